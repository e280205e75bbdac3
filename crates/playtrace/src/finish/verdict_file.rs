//! `<slug>.verdict.json`: what is known about `<slug>.coverage`, beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_ledger::{Extent, Granularity};
use playtrace_model::{MeasuredPath, RunToken, Slug, SourceHash, Verdict};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::exit::Exit;
use crate::messages::Failure;

/// The file's content. Its schema is `docs/schema/verdict.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictFile {
    /// `playtrace-verdict`.
    pub format: String,
    /// 1.
    pub version: u32,
    /// The profile.
    pub profile: Slug,
    /// The run whose data this is.
    pub run: RunToken,
    /// Status, reasons and notes.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How finely the run's agents recorded: the coarsest, if they differ; none where there was no agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<Granularity>,
    /// The Pythons that the run's agents were in: `3.12`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pythons: BTreeSet<String>,
    /// SHA-256 of the merged file: the verdict vouches for these bytes. None where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<SourceHash>,
    /// Steps that the player sent (traced requests, if no player did).
    pub requests: usize,
    /// Background jobs.
    pub jobs: usize,
    /// When it was merged.
    pub merged_at: Timestamp,
    /// When the run wrote its last record: what says which of two runs is the later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// SHA-256 of each measured file as loaded.
    pub sources: BTreeMap<MeasuredPath, SourceHash>,
    /// Measured files that the run's processes loaded with different contents: no content is that of their lines.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mixed_sources: BTreeSet<MeasuredPath>,
    /// The ledger's files that the verdict rests on, and how far each went: whether they still hold that can be told later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ledger: BTreeMap<String, Extent>,
}

/// What lies at the place of a verdict.
#[derive(Debug)]
pub(super) enum Beside {
    /// Nothing.
    Nothing,
    /// A verdict.
    Verdict(Box<VerdictFile>),
    /// Something that is no verdict, or can't be read: a sentence.
    Garbled(String),
    /// A verdict of a later version of this program: a sentence.
    Later(String),
}

impl VerdictFile {
    /// The value of `format`.
    pub const FORMAT: &'static str = "playtrace-verdict";
    /// The value of `version` that this program writes.
    pub const VERSION: u32 = 1;

    /// The file that belongs to a merged data file: `x.coverage` → `x.verdict.json`.
    pub fn path_of(data_file: &Path) -> PathBuf {
        data_file.with_extension("verdict.json")
    }

    /// Why this is no verdict on `data_file`, which says that it is of the run `of`: the end of a sentence; `None` if it is one.
    ///
    /// A merge writes both. After one that was broken off, or when another program has written the data, they don't fit.
    pub fn doubt(&self, data_file: &Path, of: Option<&RunToken>) -> std::io::Result<Option<String>> {
        let Some(of) = of else {
            return Ok(Some(format!(
                "it does not say which run it is of, so another program wrote it; the verdict beside it is of run {}",
                self.run
            )));
        };
        if *of != self.run {
            return Ok(Some(format!("it holds run {of}, the verdict beside it is of run {}", self.run)));
        }
        let Some(known) = &self.data_sha256 else { return Ok(None) };
        if *known == sha256(fs_err::File::open(data_file)?)? {
            return Ok(None);
        }
        Ok(Some(format!(
            "it was written after the verdict of run {} that lies beside it, by another program or by a merge that was broken off",
            self.run
        )))
    }

    /// When the run ended, as far as that is known: it was merged after its end.
    pub(super) fn age(&self) -> Timestamp {
        self.ended.unwrap_or(self.merged_at)
    }

    /// Reads the one beside `data_file`; `None` if there is none.
    pub fn read_beside(data_file: &Path) -> Result<Option<Self>, Failure> {
        match Self::look_beside(data_file) {
            Beside::Nothing => Ok(None),
            Beside::Verdict(file) => Ok(Some(*file)),
            Beside::Garbled(why) => Err(Failure::new(Exit::BadInput, "PT-MERGE-004", why)
                .help("it is rewritten by the next merge; `playtrace combine --profile SLUG` does one")),
            Beside::Later(why) => Err(later(why)),
        }
    }

    /// The same for who is going to write there.
    pub(super) fn look_beside(data_file: &Path) -> Beside {
        let path = Self::path_of(data_file);
        let text = match fs_err::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Beside::Nothing,
            Err(error) => return Beside::Garbled(error.to_string()),
            Ok(text) => text,
        };
        let garbled = |error: serde_json::Error| Beside::Garbled(format!("{}: {error}", path.display()));
        // A later version may have other fields: its number comes first.
        let head: Head = match serde_json::from_str(&text) {
            Err(error) => return garbled(error),
            Ok(head) => head,
        };
        let Head { format, version } = head;
        let known = Self::VERSION;
        let sentence = format!(
            "{}: {format} version {version} is not a verdict that this program reads (it knows version {known})",
            path.display(),
        );
        match (format == Self::FORMAT, version > known) {
            (false, _) => Beside::Garbled(sentence),
            (true, true) => Beside::Later(sentence),
            (true, false) => {
                serde_json::from_str(&text).map_or_else(garbled, |file| Beside::Verdict(Box::new(file)))
            }
        }
    }
}

/// What a later version vouches for is not ours to replace.
pub(super) fn later(why: String) -> Failure {
    Failure::new(Exit::BadInput, "PT-MERGE-007", why)
        .help("use the playtrace that wrote it, or a later one; nothing was changed")
}

/// The hash of a merged file's bytes, a piece at a time: the file may be larger than memory.
pub(super) fn sha256(mut file: impl Read) -> std::io::Result<SourceHash> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 18];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(SourceHash::from_digest(&hash.finalize())),
            Ok(length) => hash.update(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

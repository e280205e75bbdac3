//! `<slug>.verdict.json`: what is known about `<slug>.coverage`, beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_ledger::Granularity;
use playtrace_model::{MeasuredPath, RunToken, Slug, SourceHash, Verdict};
use serde::{Deserialize, Serialize};

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
    /// Steps that the player sent (traced requests, if no player did).
    pub requests: usize,
    /// Background jobs.
    pub jobs: usize,
    /// When it was merged.
    pub merged_at: Timestamp,
    /// SHA-256 of each measured file as loaded.
    pub sources: BTreeMap<MeasuredPath, SourceHash>,
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

    /// Reads the one beside `data_file`; `None` if there is none.
    pub fn read_beside(data_file: &Path) -> Result<Option<Self>, Failure> {
        let path = Self::path_of(data_file);
        let bad = |why: String| {
            Failure::new(Exit::BadInput, "PT-MERGE-004", why)
                .help("it is rewritten by the next merge; `playtrace combine --profile SLUG` does one")
        };
        let text = match fs_err::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| bad(error.to_string()))?,
        };
        let file: Self =
            serde_json::from_str(&text).map_err(|error| bad(format!("{}: {error}", path.display())))?;
        if file.format != Self::FORMAT || file.version > Self::VERSION {
            let Self { format, version, .. } = file;
            let known = Self::VERSION;
            return Err(bad(format!(
                "{}: {format} version {version} is not a verdict that this program reads (it knows version {known})",
                path.display(),
            )));
        }
        Ok(Some(file))
    }
}

//! A night on disk: `playtrace-night-<date>.tar.zst`, its manifest first.
//!
//! A bundle appears whole or not at all, and equal content gives equal bytes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use playtrace_model::{Slug, SourceHash};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::carry::{NightData, Tonight};
use super::list::PlaybackType;
use super::schedule::Cadence;
use crate::documents::read_json;
use crate::exit::Exit;
use crate::messages::Failure;

/// The manifest's name in a bundle.
pub const MANIFEST: &str = "manifest.json";
/// Between "fast" and "small"; higher levels gain little on data files.
const COMPRESSION: i32 = 9;
/// What temporary files and directories begin with. Whoever holds the directory's lock may remove those that are left.
pub const SCRATCH: &str = ".playtrace-night-";
const PREFIX: &str = "playtrace-night-";
const SUFFIX: &str = ".tar.zst";

/// `manifest.json` (`docs/schema/night.schema.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`Manifest::FORMAT`].
    pub format: String,
    /// [`Manifest::VERSION`].
    pub version: u32,
    /// The night.
    pub night: Date,
    /// The latest moment of what is in it: a bundle that is made again from the same is the same.
    pub as_of: Timestamp,
    /// The program that made it.
    pub playtrace: String,
    /// The versions of the documents in it.
    pub formats: BTreeMap<String, u32>,
    /// Each workflow, by name.
    pub entries: Vec<NightEntry>,
    /// The matrix's numbers, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// What is worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Every other file of the bundle.
    pub files: BTreeMap<String, FileEntry>,
}

/// A workflow in a night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightEntry {
    /// The workflow.
    pub workflow: Slug,
    /// The profile.
    pub profile: Slug,
    /// What its files are called: the profile, or the workflow where that is not a plain replay.
    pub name: Slug,
    /// What is done with the profile.
    pub playback_type: PlaybackType,
    /// How often.
    pub cadence: Cadence,
    /// How it went.
    pub tonight: Tonight,
    /// How its command ended, if it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How many tries came to an end.
    pub attempts: usize,
    /// Its data, if any is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<NightData>,
    /// What is not as it should be, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Numbers that nights are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Statements that any profile executes.
    pub lines_covered: usize,
    /// Statements.
    pub lines_total: usize,
    /// Functions and methods that no profile reaches.
    pub unreached_symbols: usize,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Of its bytes.
    pub sha256: SourceHash,
    /// Its size.
    pub bytes: u64,
}

impl Manifest {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-night";
    /// The version written.
    pub const VERSION: u32 = 1;
}

/// The bundle's name of a night.
pub fn file_name(night: Date) -> String {
    format!("{PREFIX}{night}{SUFFIX}")
}

/// The night that a file's name is of, if it is a bundle's.
pub fn night_of_name(name: &str) -> Option<Date> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// The bundles at a path (a bundle, or a directory with some at its top), by night.
pub fn bundles_at(path: &Path) -> Result<BTreeMap<Date, PathBuf>, Failure> {
    let named = |path: PathBuf| Some((night_of_name(path.file_name()?.to_str()?)?, path));
    if path.is_file() {
        return Ok(named(path.to_owned()).into_iter().collect());
    }
    if !path.is_dir() {
        return Ok(BTreeMap::new());
    }
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(path).map_err(|error| io(&error))? {
        found.extend(named(entry.map_err(|error| io(&error))?.path()));
    }
    Ok(found)
}

/// A bundle that was unpacked and whose files are as its manifest says.
#[derive(Debug)]
pub struct Opened {
    /// Its manifest.
    pub manifest: Manifest,
    dir: TempDir,
}

impl Opened {
    /// Unpacks a bundle into a temporary directory below `scratch` and checks it.
    pub fn read(path: &Path, scratch: &Path) -> Result<Self, Failure> {
        let damaged = |why: String| {
            Failure::new(Exit::BadInput, "PT-NIGHTLY-009", format!("{}: {why}", path.display()))
                .help("fetch it again, or delete it: an earlier night's bundle is used then")
        };
        let dir = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(scratch).map_err(|error| io(&error))?;
        let file = fs_err::File::open(path).map_err(|error| io(&error))?;
        let unpacked =
            zstd::Decoder::new(file).and_then(|stream| tar::Archive::new(stream).unpack(dir.path()));
        unpacked.map_err(|error| damaged(format!("can't be unpacked: {error}")))?;
        let head: Head = read_json(&dir.path().join(MANIFEST)).map_err(|failure| damaged(failure.message))?;
        if head.format != Manifest::FORMAT || head.version > Manifest::VERSION {
            return Err(damaged(format!(
                "{} version {} is not a night that this program reads (it knows version {})",
                head.format,
                head.version,
                Manifest::VERSION
            )));
        }
        let manifest: Manifest =
            read_json(&dir.path().join(MANIFEST)).map_err(|failure| damaged(failure.message))?;
        for (name, entry) in &manifest.files {
            // What leaves the bundle's directory is nothing that this program wrote.
            if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(damaged(format!("{name:?} can't be the name of a file in it")));
            }
            let known = describe(&dir.path().join(name)).map_err(|error| damaged(error.to_string()))?;
            if known != *entry {
                return Err(damaged(format!("{name} is not as the manifest says")));
            }
        }
        Ok(Self { manifest, dir })
    }

    /// A file of the bundle, if it is there.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.manifest.files.contains_key(name).then(|| self.dir.path().join(name))
    }

    /// The entry of a workflow.
    pub fn entry(&self, workflow: &Slug) -> Option<&NightEntry> {
        self.manifest.entries.iter().find(|entry| entry.workflow == *workflow)
    }
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// The hash and size of a file.
fn describe(path: &Path) -> std::io::Result<FileEntry> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let bytes = std::io::copy(&mut file, &mut HashWriter(&mut hash))?;
    Ok(FileEntry { sha256: SourceHash::from_digest(&hash.finalize()), bytes })
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All files below a directory, by name, with hash and size.
pub fn list_files(dir: &Path) -> Result<BTreeMap<String, FileEntry>, Failure> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(dir) {
        let entry = entry.map_err(|error| io(&error.into()))?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(dir).unwrap_or(entry.path()).to_string_lossy().into_owned();
            files.insert(name, describe(entry.path()).map_err(|error| io(&error))?);
        }
    }
    Ok(files)
}

/// Packs the files of `dir` that the manifest lists, refuses more than `limit` bytes, and gives the bundle its name.
pub fn write(manifest: &Manifest, dir: &Path, to: &Path, limit: u64) -> Result<u64, Failure> {
    let place = to.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(SCRATCH)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o664))
        .tempfile_in(place)
        .map_err(|error| io(&error))?;
    let text = playtrace_report::json::to_json(manifest)?;
    pack(manifest, &text, dir, &mut file).map_err(|error| io(&error))?;
    file.as_file().sync_all().map_err(|error| io(&error))?;
    let size = file.as_file().metadata().map_err(|error| io(&error))?.len();
    if size > limit {
        let why = format!("the night's bundle would have {size} bytes, and {limit} are allowed");
        return Err(Failure::new(Exit::Failed, "PT-NIGHTLY-010", why)
            .help("leave the full reports out (UPLOAD_FULL_REPORTS), or allow more with --max-size"));
    }
    file.persist(to).map_err(|error| io(&error.error))?;
    Ok(size)
}

fn pack(
    manifest: &Manifest,
    text: &str,
    dir: &Path,
    to: &mut tempfile::NamedTempFile,
) -> std::io::Result<()> {
    let mut stream = zstd::Encoder::new(to, COMPRESSION)?;
    let mut tar = tar::Builder::new(&mut stream);
    add(&mut tar, MANIFEST, text.len() as u64, text.as_bytes())?;
    for (name, entry) in &manifest.files {
        add(&mut tar, name, entry.bytes, fs_err::File::open(dir.join(name))?)?;
    }
    tar.finish()?;
    drop(tar);
    stream.finish()?.flush()
}

/// Owner, time and mode are the same for all: they would make equal bundles differ.
fn add(
    tar: &mut tar::Builder<impl std::io::Write>,
    name: &str,
    size: u64,
    data: impl std::io::Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, data)
}

fn io(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-NIGHTLY-006", error.to_string()).help("let this user read and write there")
}

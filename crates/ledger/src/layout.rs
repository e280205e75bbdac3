//! Where ledgers lie under the coverage directory.

use std::path::{Path, PathBuf};

use playtrace_model::{RunToken, Slug};

use crate::{LedgerError, ProcessId};

/// The ledger's paths: `<coverage dir>/.playtrace/<slug>/<run>/<host>.<pid>.<start>.ledger`.
///
/// No name in there matches `*.coverage*`: `coverage combine` would take the file for a shard and delete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The directory under the coverage directory.
    pub const DIRECTORY: &'static str = ".playtrace";
    /// The boot records' directory; a slug can't begin with a dot.
    const BOOT: &'static str = ".boot";
    /// The directory of signatures that came.
    const SEEN: &'static str = ".seen";
    /// The ending of a ledger file.
    pub const EXTENSION: &'static str = "ledger";
    /// The ending of the file with lines that are not in a shard yet ([`unflushed`](crate::unflushed)).
    pub const UNFLUSHED: &'static str = "lines";

    /// The layout under `coverage_dir`.
    pub fn new(coverage_dir: &Path) -> Self {
        Self { root: coverage_dir.join(Self::DIRECTORY) }
    }

    /// The ledger's root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of one run.
    pub fn run_dir(&self, slug: &Slug, run: &RunToken) -> PathBuf {
        self.root.join(slug.as_str()).join(run.as_str())
    }

    /// The directory of boot records.
    pub fn boot_dir(&self) -> PathBuf {
        self.root.join(Self::BOOT)
    }

    /// The directory of signatures that came ([`Seen`](crate::Seen)).
    pub(crate) fn seen_dir(&self) -> PathBuf {
        self.root.join(Self::SEEN)
    }

    /// The name of a process's file in a run's or the boot directory.
    pub fn file_name(process: &ProcessId) -> String {
        format!("{}.{}.{}.{}", process.host, process.pid, process.start, Self::EXTENSION)
    }

    /// The runs of a profile that have a ledger, in no particular order; empty if there are none.
    pub fn runs(&self, slug: &Slug) -> Result<Vec<RunToken>, LedgerError> {
        Ok(names(&self.root.join(slug.as_str()))?
            .into_iter()
            .filter_map(|name| RunToken::try_from(name).ok())
            .collect())
    }

    /// The profiles that have a ledger, sorted.
    pub fn slugs(&self) -> Result<Vec<Slug>, LedgerError> {
        Ok(names(&self.root)?.into_iter().filter_map(|name| Slug::parse(&name).ok()).collect())
    }
}

/// The names in a directory, sorted; none if there is no such directory.
fn names(dir: &Path) -> Result<Vec<String>, LedgerError> {
    let read = |source| LedgerError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    let entries = match fs_err::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        other => other.map_err(read)?,
    };
    for entry in entries {
        names.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

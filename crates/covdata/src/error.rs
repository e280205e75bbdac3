//! What can go wrong with coverage data and its configuration.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A fault in coverage data or its configuration; each variant has a code that docs/messages.md explains.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CovdataError {
    /// The operating system refused.
    #[error("can't {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb ("read", "delete").
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `SQLite` refused, for a reason that no other variant names.
    #[error("can't {action} data file {}: {source}", path.display())]
    Sqlite {
        /// What was tried, as a verb.
        action: &'static str,
        /// The data file.
        path: PathBuf,
        /// `SQLite`'s reason.
        source: rusqlite::Error,
    },
    /// The shard's path no longer names the file that was opened: somebody merged, removed or replaced it.
    #[error("shard {} was removed or replaced by someone else; its data has to go into a new shard", path.display())]
    ShardMoved {
        /// Where the shard was.
        path: PathBuf,
    },
    /// There is no such file (any more).
    #[error("{} does not exist (any more)", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link to a file that is not there.
    #[error("{} is a link to {}, which does not exist", path.display(), target.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// A directory, socket or pipe where a data file should be.
    #[error("{} is {what}, not a data file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// A file of no bytes: its writer was killed before the first one, or the disk was full.
    #[error("{} is empty: its writer never got to write; that process's data is lost", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file that starts with zero bytes: its content never reached the disk.
    #[error("{} holds zero bytes where its header should be: its content never reached the disk", path.display())]
    Zeroed {
        /// The file.
        path: PathBuf,
    },
    /// Not an `SQLite` file.
    #[error("{} is not a coverage data file: it is not an SQLite database{hint}", path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
        /// What it looks like, or nothing.
        hint: &'static str,
    },
    /// The file ends before its content does.
    #[error("{} is truncated: {found} bytes of {expected}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that its header promises.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// An `SQLite` file of something else.
    #[error("{} is an SQLite database, but not coverage data: it has no table coverage_schema", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Coverage data in another schema than 7.
    #[error("{} has coverage data of schema {found}; schema 7 (coverage.py 7.0 and later) is read", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// The content contradicts itself.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Someone else has the file locked and did not let go.
    #[error("{} is locked by another process, which did not let go within {seconds} s", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long we waited.
        seconds: u64,
    },
    /// A leftover journal that would make `SQLite` delete a file of its choosing.
    #[error("{} has a journal that names another file ({}); rolling it back could delete that file, so it is left alone", path.display(), journal.display())]
    ForeignJournal {
        /// The data file.
        path: PathBuf,
        /// Its journal.
        journal: PathBuf,
    },
    /// Lines and branches can't be merged.
    #[error("{} has line data and {} has branch data: they can't be merged (--prune-branches turns branches into lines); nothing was changed", lines.display(), arcs.display())]
    Mixed {
        /// A file with lines.
        lines: PathBuf,
        /// A file with arcs.
        arcs: PathBuf,
    },
    /// Two inputs name different plug-ins for one measured file.
    #[error("{measured} was measured by {first:?} in {} and by {second:?} in {}: they can't be merged; nothing was changed", first_in.display(), second_in.display())]
    TracerConflict {
        /// The measured file.
        measured: String,
        /// One plug-in ("" for none).
        first: String,
        /// The data file that says so.
        first_in: PathBuf,
        /// The other plug-in.
        second: String,
        /// The data file that says so.
        second_in: PathBuf,
    },
    /// Nothing to merge was found.
    #[error("no data to combine: no file matches {pattern}")]
    NothingToCombine {
        /// What was looked for.
        pattern: String,
    },
    /// Files were found, and not one could be read.
    #[error("no usable data files: none of {found} could be read; nothing was written")]
    NothingUsable {
        /// How many were found.
        found: usize,
    },
    /// An input has changed since it was read, and was kept.
    #[error("{} was written to while it was merged: it is kept, merge again to take in the rest", path.display())]
    Changed {
        /// The data file.
        path: PathBuf,
    },
    /// A configuration file that can't be understood.
    #[error("{}:{line}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// A file pattern that can't be understood.
    #[error(
        "file pattern {pattern:?} can't include {part:?}: use `**` only as a whole path component, and close each bracket"
    )]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The part.
        part: String,
    },
    /// A name under `source` that is neither a directory nor could be a module.
    #[error("source {name:?} is neither a directory below {} nor the name of a module", root.display())]
    Source {
        /// The name.
        name: String,
        /// What relative names are relative to.
        root: PathBuf,
    },
}

impl CovdataError {
    /// The stable code of this kind of fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "PT-COVDATA-001",
            Self::Sqlite { .. } => "PT-COVDATA-002",
            Self::ShardMoved { .. } => "PT-COVDATA-003",
            Self::Missing { .. } => "PT-COVDATA-004",
            Self::DanglingLink { .. } => "PT-COVDATA-005",
            Self::NotAFile { .. } => "PT-COVDATA-006",
            Self::Empty { .. } => "PT-COVDATA-007",
            Self::Zeroed { .. } => "PT-COVDATA-008",
            Self::NotSqlite { .. } => "PT-COVDATA-009",
            Self::Truncated { .. } => "PT-COVDATA-010",
            Self::Foreign { .. } => "PT-COVDATA-011",
            Self::Schema { .. } => "PT-COVDATA-012",
            Self::Damaged { .. } => "PT-COVDATA-013",
            Self::Locked { .. } => "PT-COVDATA-014",
            Self::ForeignJournal { .. } => "PT-COVDATA-015",
            Self::Mixed { .. } => "PT-COVDATA-016",
            Self::TracerConflict { .. } => "PT-COVDATA-017",
            Self::NothingToCombine { .. } => "PT-COVDATA-018",
            Self::Changed { .. } => "PT-COVDATA-019",
            Self::Config { .. } => "PT-COVDATA-020",
            Self::Pattern { .. } => "PT-COVDATA-021",
            Self::Source { .. } => "PT-COVDATA-022",
            Self::NothingUsable { .. } => "PT-COVDATA-023",
        }
    }
}

//! What can go wrong while reading sources.

use std::path::PathBuf;

use thiserror::Error;

/// Why a source, a tree of sources or an exclusion pattern could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file or directory could not be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The text is not Python.
    #[error("{name}:{line}: not Python: {problem}")]
    Syntax {
        /// The file's name, as given by the caller.
        name: String,
        /// The line of the first problem, counted from 1.
        line: u32,
        /// What the parser says.
        problem: String,
    },
    /// The file names an encoding that nobody knows.
    #[error(
        "{name}:{line}: unknown encoding {encoding:?}; name one that Python and the WHATWG list share, such as utf-8"
    )]
    Encoding {
        /// The file's name, as given by the caller.
        name: String,
        /// The line of the `coding:` comment.
        line: u32,
        /// The name that it gives.
        encoding: String,
    },
    /// An exclusion pattern is not a regular expression.
    #[error(
        "the exclusion pattern {pattern:?} can't be used: {problem}; correct it in the coverage config's [report] section"
    )]
    Pattern {
        /// The pattern, as configured.
        pattern: String,
        /// What the regular expression engine says.
        problem: String,
    },
    /// A pattern needs more steps on a file than is sane.
    #[error("{name}: the exclusion pattern {pattern:?} gives up on this file: {problem}; make it simpler")]
    PatternRun {
        /// The file's name, as given by the caller.
        name: String,
        /// The pattern, as configured.
        pattern: String,
        /// What the regular expression engine says.
        problem: String,
    },
    /// The root of a source tree is not a directory.
    #[error("the source root {} is not a directory; give the directory that holds the Python packages", path.display())]
    NotADirectory {
        /// The root, as given by the caller.
        path: PathBuf,
    },
    /// A Python whose compiler's rules are not known here.
    #[error("the rules of Python {version:?} are not known; 3.12, 3.13 and 3.14 are")]
    PythonVersion {
        /// The version, as given by the caller.
        version: String,
    },
    /// A coverage.py whose rules are not known here.
    #[error("the rules of coverage.py {release:?} are not known; those of 7.11 and 7.17 are")]
    CoverageRelease {
        /// The version, as given by the caller.
        release: String,
    },
}

impl SourceError {
    /// Every code that [`SourceError::code`] gives.
    pub const CODES: [&'static str; 8] = [
        "PT-SOURCE-001",
        "PT-SOURCE-002",
        "PT-SOURCE-003",
        "PT-SOURCE-004",
        "PT-SOURCE-005",
        "PT-SOURCE-006",
        "PT-SOURCE-007",
        "PT-SOURCE-008",
    ];

    /// The stable code under which `docs/messages.md` explains this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => Self::CODES[0],
            Self::Syntax { .. } => Self::CODES[1],
            Self::Encoding { .. } => Self::CODES[2],
            Self::Pattern { .. } => Self::CODES[3],
            Self::PatternRun { .. } => Self::CODES[4],
            Self::NotADirectory { .. } => Self::CODES[5],
            Self::PythonVersion { .. } => Self::CODES[6],
            Self::CoverageRelease { .. } => Self::CODES[7],
        }
    }
}

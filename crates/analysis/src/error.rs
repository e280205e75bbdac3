//! What makes a document unusable for analysis.

use thiserror::Error;

/// Why reports can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The document is something else.
    #[error(
        "{name}: this is {found:?}, not {expected:?}; give a file that `playtrace` wrote for this purpose"
    )]
    Format {
        /// The file.
        name: String,
        /// What it should say under `format`.
        expected: &'static str,
        /// What it says.
        found: String,
    },
    /// The document was written by a newer playtrace.
    #[error(
        "{name}: version {found} of {format:?} is newer than this program ({known}); use the playtrace that wrote it"
    )]
    Version {
        /// The file.
        name: String,
        /// The document's format.
        format: &'static str,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// Two reports are of one profile.
    #[error(
        "profile {profile} is reported twice, in {first} and in {second}; give one report for each profile"
    )]
    DuplicateProfile {
        /// The profile.
        profile: String,
        /// The first file.
        first: String,
        /// The second one.
        second: String,
    },
    /// There is nothing to compare.
    #[error("no reports to compare; give report files, or a directory that holds some")]
    NoReports,
}

impl AnalysisError {
    /// Every code that [`AnalysisError::code`] gives.
    pub const CODES: [&'static str; 4] =
        ["PT-ANALYSIS-001", "PT-ANALYSIS-002", "PT-ANALYSIS-003", "PT-ANALYSIS-004"];

    /// The stable code under which `docs/messages.md` explains this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Format { .. } => Self::CODES[0],
            Self::Version { .. } => Self::CODES[1],
            Self::DuplicateProfile { .. } => Self::CODES[2],
            Self::NoReports => Self::CODES[3],
        }
    }
}

/// Checks the two fields that every document of ours begins with.
pub(crate) fn check_document(
    name: &str,
    (format, version): (&str, u32),
    (expected, known): (&'static str, u32),
) -> Result<(), AnalysisError> {
    if format != expected {
        return Err(AnalysisError::Format { name: name.to_owned(), expected, found: format.to_owned() });
    }
    if version > known {
        return Err(AnalysisError::Version {
            name: name.to_owned(),
            format: expected,
            found: version,
            known,
        });
    }
    Ok(())
}

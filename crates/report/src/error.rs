//! What can go wrong while writing a format.

use thiserror::Error;

/// Why a result could not be turned into text. Both are faults of the program, not of its input.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A document could not be written as JSON.
    #[error("can't write JSON: {source}; this is a fault of playtrace, please report it")]
    Json {
        /// What the serializer says.
        #[source]
        source: serde_json::Error,
    },
    /// A page could not be rendered.
    #[error("can't render {page}: {source}; this is a fault of playtrace, please report it")]
    Template {
        /// The page.
        page: String,
        /// What the template engine says; names template and line.
        #[source]
        source: minijinja::Error,
    },
}

impl ReportError {
    /// Every code that [`ReportError::code`] gives.
    pub const CODES: [&'static str; 2] = ["PT-REPORT-001", "PT-REPORT-002"];

    /// The stable code under which `docs/messages.md` explains this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => Self::CODES[0],
            Self::Template { .. } => Self::CODES[1],
        }
    }
}

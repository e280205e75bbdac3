//! The label stored with data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The label that a set of lines is stored under, as coverage.py's `context` table has it.
///
/// Any text is a label, the empty one included (coverage.py's "no context"). Ours are `profile:<slug>`
/// (finer with request granularity) and `import`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContextLabel(String);

impl ContextLabel {
    /// The label of code that an import runs: it belongs to no profile, whoever happened to import first.
    pub const IMPORT: &'static str = "import";

    /// Takes any text as a label.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The label of code that an import runs.
    pub fn import() -> Self {
        Self::new(Self::IMPORT)
    }

    /// Whether this is the import label.
    pub fn is_import(&self) -> bool {
        self.0 == Self::IMPORT
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContextLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! The name of a measured file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name under which a file stands in data: relative to the project's root with `/` as separator
/// where `relative_files` is on, else absolute.
///
/// Two processes that measured the same file must come to the same text, else the data falls apart;
/// making that so (remapping) is covdata's and the agent's work, not this type's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeasuredPath(String);

impl MeasuredPath {
    /// Takes a path's text as it stands in data.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MeasuredPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

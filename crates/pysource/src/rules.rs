//! Whose rules: the Python that runs the code, and the coverage.py whose results are to be equalled.

use std::fmt;
use std::str::FromStr;

use crate::{Exclusions, SourceError};

/// The CPython that runs the measured code: its compiler decides which lines have code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PythonVersion {
    /// CPython 3.12.
    V3_12,
    /// CPython 3.13.
    V3_13,
    /// CPython 3.14: read, but compared with nothing yet.
    V3_14,
}

impl PythonVersion {
    /// All that are known, oldest first.
    pub const ALL: [Self; 3] = [Self::V3_12, Self::V3_13, Self::V3_14];

    /// The spelling: `3.12`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3_12 => "3.12",
            Self::V3_13 => "3.13",
            Self::V3_14 => "3.14",
        }
    }

    /// Whether `make parity` compares our results with this CPython's.
    pub const fn is_verified(self) -> bool {
        !matches!(self, Self::V3_14)
    }

    /// The same for the parser.
    pub(crate) const fn grammar(self) -> ruff_python_ast::PythonVersion {
        match self {
            Self::V3_12 => ruff_python_ast::PythonVersion::PY312,
            Self::V3_13 => ruff_python_ast::PythonVersion::PY313,
            Self::V3_14 => ruff_python_ast::PythonVersion::PY314,
        }
    }
}

impl FromStr for PythonVersion {
    type Err = SourceError;

    /// Takes `3.12`, or with a patch release, `3.12.1`.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        Self::ALL
            .into_iter()
            .find(|version| text.strip_prefix(version.as_str()).is_some_and(is_patch))
            .ok_or_else(|| SourceError::PythonVersion { version: text.to_owned() })
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rest of a version after its first numbers: nothing, or a dot and more.
fn is_patch(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// The releases of coverage.py that give the same results for the same source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum CoverageRelease {
    /// 7.11.3, with its default exclusions.
    #[default]
    V7_11,
    /// 7.17: other default exclusions, `case _:` of an excluded body is excluded, regions below `else` and the like.
    V7_17,
}

impl CoverageRelease {
    /// All that are known, oldest first.
    pub const ALL: [Self; 2] = [Self::V7_11, Self::V7_17];

    /// The spelling: `7.11`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V7_11 => "7.11",
            Self::V7_17 => "7.17",
        }
    }

    /// What it excludes where a configuration says nothing (`DEFAULT_EXCLUDE` in its `config.py`).
    pub const fn default_exclusions(self) -> [&'static str; 3] {
        const PRAGMA: &str = r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)";
        match self {
            Self::V7_11 => [
                PRAGMA,
                r"^\s*(((async )?def .*?)?\)(\s*->.*?)?:\s*)?\.\.\.\s*(#|$)",
                r"if (typing\.)?TYPE_CHECKING:",
            ],
            Self::V7_17 => [
                PRAGMA,
                r"^\s*(((async )?def .*?)?[\])]+(\s*->.*?)?:\s*)?\.\.\.\s*(#|$)",
                r"^\s*if (typing\.)?TYPE_CHECKING:",
            ],
        }
    }
}

impl FromStr for CoverageRelease {
    type Err = SourceError;

    /// Takes `7.11` or `7.17`, or with a patch release, `7.11.3`.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        Self::ALL
            .into_iter()
            .find(|release| text.strip_prefix(release.as_str()).is_some_and(is_patch))
            .ok_or_else(|| SourceError::CoverageRelease { release: text.to_owned() })
    }
}

impl fmt::Display for CoverageRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that decides what a source's statements are, besides its bytes.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The Python that runs it.
    pub python: PythonVersion,
    /// The coverage.py to equal.
    pub coverage: CoverageRelease,
    /// What is excluded.
    pub exclusions: Exclusions,
}

impl Rules {
    /// The rules of a project without a coverage configuration.
    pub fn new(python: PythonVersion, coverage: CoverageRelease) -> Self {
        Self { python, coverage, exclusions: Exclusions::default_of(coverage) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!("3.12".parse::<PythonVersion>().unwrap(), PythonVersion::V3_12);
        assert_eq!("3.13.0".parse::<PythonVersion>().unwrap(), PythonVersion::V3_13);
        assert_eq!("7.11.3".parse::<CoverageRelease>().unwrap(), CoverageRelease::V7_11);
        for wrong in ["", "3", "3.1", "3.120", "3.11", "py312"] {
            assert_eq!(wrong.parse::<PythonVersion>().unwrap_err().code(), "PT-SOURCE-007");
        }
        assert_eq!("7.1".parse::<CoverageRelease>().unwrap_err().code(), "PT-SOURCE-008");
    }
}

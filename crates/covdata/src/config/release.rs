//! Which coverage.py a configuration is read for.

use std::fmt;
use std::str::FromStr;

/// A release of coverage.py 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    minor: u16,
    patch: u16,
}

impl Release {
    /// The one whose rules hold if nothing is said.
    pub const PINNED: Self = Self { minor: 11, patch: 3 };

    /// Whether it looks for `.coveragerc.toml`, where sections need no `tool.coverage`.
    pub(super) fn knows_toml_rc(self) -> bool {
        self >= Self { minor: 13, patch: 0 }
    }
}

impl Default for Release {
    fn default() -> Self {
        Self::PINNED
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "7.{}.{}", self.minor, self.patch)
    }
}

impl FromStr for Release {
    type Err = String;

    /// Reads `7.11.3`, or `7.11`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a release of coverage.py 7, such as {}", Self::PINNED);
        let rest = text.strip_prefix("7.").ok_or_else(wrong)?;
        let (minor, patch) = rest.split_once('.').unwrap_or((rest, "0"));
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self { minor: number(minor)?, patch: number(patch)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_an_order() {
        let [old, new]: [Release; 2] = ["7.11.3", "7.13"].map(|text| text.parse().unwrap());
        assert!(old == Release::PINNED && old < new && !old.knows_toml_rc() && new.knows_toml_rc());
        for text in ["6.5.0", "7", "7.x", "7.1.2.3", ""] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }
}

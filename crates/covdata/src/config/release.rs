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
        self.is_since(13, 0)
    }

    /// Whether it reads a configuration that begins with a byte order mark; older ones refuse the file.
    pub(super) fn takes_byte_order_mark(self) -> bool {
        self.is_since(17, 4)
    }

    /// Whether a rule of `[paths]` renames a path once; in older ones it renames each part that reads as what fitted.
    pub(crate) fn renames_once(self) -> bool {
        self.is_since(16, 0)
    }

    /// Whether a merge gives measured paths the separators of the system it runs on.
    pub(crate) fn uses_local_separators(self) -> bool {
        self.is_since(16, 0)
    }

    /// Whether it refuses a wildcard in the result of a rule of `[paths]`; in older ones such a rule never applies.
    pub(crate) fn refuses_wildcard_results(self) -> bool {
        self.is_since(17, 4)
    }

    /// What it excludes if the configuration says nothing.
    pub fn default_exclude(self) -> [&'static str; 3] {
        let [pragma, mut dots, mut typing] = super::DEFAULT_EXCLUDE;
        if self.is_since(14, 3) {
            dots = r"^\s*(((async )?def .*?)?[\])]+(\s*->.*?)?:\s*)?\.\.\.\s*(#|$)";
        }
        if self.is_since(17, 0) {
            typing = r"^\s*if (typing\.)?TYPE_CHECKING:";
        }
        [pragma, dots, typing]
    }

    /// Branches that can't go both ways by Python's meaning, if the configuration says nothing.
    pub fn default_partial_always(self) -> [&'static str; 2] {
        if self.is_since(17, 0) {
            [r"^\s*while (True|1|False|0):", r"^\s*if (True|1|False|0):"]
        } else {
            super::DEFAULT_PARTIAL_ALWAYS
        }
    }

    // The releases named here were read one by one: each is the first whose source has the rule.
    fn is_since(self, minor: u16, patch: u16) -> bool {
        self >= Self { minor, patch }
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
    fn defaults_are_those_of_the_release() {
        let of = |text: &str| text.parse::<Release>().unwrap();
        assert_eq!(of("7.14.2").default_exclude(), Release::PINNED.default_exclude());
        assert_ne!(of("7.14.3").default_exclude()[1], Release::PINNED.default_exclude()[1]);
        assert_eq!(of("7.16.2").default_partial_always(), Release::PINNED.default_partial_always());
        assert_ne!(of("7.17.0").default_partial_always(), Release::PINNED.default_partial_always());
        assert_ne!(of("7.17.0").default_exclude()[2], of("7.16.2").default_exclude()[2]);
    }

    #[test]
    fn releases_have_an_order() {
        let [old, new]: [Release; 2] = ["7.11.3", "7.13"].map(|text| text.parse().unwrap());
        assert!(old == Release::PINNED && old < new && !old.knows_toml_rc() && new.knows_toml_rc());
        for text in ["6.5.0", "7", "7.x", "7.1.2.3", ""] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }
}

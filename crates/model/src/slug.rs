//! The name of a profile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ContextLabel;

/// The name of a profile, safe to use as one component of a file name.
///
/// 1 to 128 characters out of ASCII letters, digits, `-`, `_`, `.`; the first one is a letter, a digit
/// or `_`; no `..`; and not containing `.coverage`, because `<slug>.coverage.<host>.<pid>.X…x` must be
/// taken apart again. [`Slug::parse`] is the only way to get one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// Why a text is not a [`Slug`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidSlug {
    /// Nothing there.
    #[error("a profile's slug can't be empty")]
    Empty,
    /// More than [`Slug::MAX_LEN`] characters.
    #[error("a profile's slug has at most {max} characters, this one has {len}", max = Slug::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A character outside the allowed set, or one that can't come first.
    #[error(
        "{character:?} can't stand at position {position} of a profile's slug; use letters, digits, '-', '_' and '.', the first one a letter, a digit or '_'"
    )]
    Character {
        /// The character.
        character: char,
        /// Its position, counted from 1.
        position: usize,
    },
    /// `..` or `.coverage` inside.
    #[error("{part:?} can't be part of a profile's slug")]
    Part {
        /// The reserved part.
        part: &'static str,
    },
}

impl Slug {
    /// The longest slug, in characters.
    pub const MAX_LEN: usize = 128;

    /// Checks `text` and takes it as a slug.
    pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
        if text.is_empty() {
            return Err(InvalidSlug::Empty);
        }
        // First: whatever comes, no more than this is looked at.
        if text.len() > Self::MAX_LEN {
            return Err(InvalidSlug::TooLong { len: text.len() });
        }
        for (index, character) in text.chars().enumerate() {
            let fits = character.is_ascii_alphanumeric()
                || character == '_'
                || (index > 0 && matches!(character, '-' | '.'));
            if !fits {
                return Err(InvalidSlug::Character { character, position: index + 1 });
            }
        }
        for part in ["..", ".coverage"] {
            if text.contains(part) {
                return Err(InvalidSlug::Part { part });
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label under which this profile's lines are stored: `<prefix>:<slug>`.
    pub fn context_label(&self, prefix: &str) -> ContextLabel {
        ContextLabel::new(format!("{prefix}:{}", self.0))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Slug {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Slug {
    type Error = InvalidSlug;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_customers_slugs() {
        for text in ["legacy-palouse", "us-small-wbt-daymet-rap-wepp", "a", "_x", "v1.2"] {
            assert_eq!(Slug::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_could_leave_its_directory() {
        for text in
            ["", "../x", "a/b", "a\\b", ".hidden", "-rf", "a..b", "x.coverage.y", "a b", "ü", "a\n", "a\0"]
        {
            assert!(Slug::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(Slug::parse(&"x".repeat(128)).is_ok());
        assert_eq!(Slug::parse(&"x".repeat(129)), Err(InvalidSlug::TooLong { len: 129 }));
    }
}

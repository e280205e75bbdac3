//! The name of one replay of a profile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Names one run (replay) of a profile; comes with each request as `X-Profile-Trace-Run`.
///
/// 1 to 64 ASCII letters, digits, `-` or `_`, the first one a letter or a digit. Requests that carry a
/// slug but no token belong to [`RunToken::untokened`], which no client can name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunToken(String);

/// The text is not a [`RunToken`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a run token: 1 to 64 letters, digits, '-' or '_', the first a letter or a digit")]
pub struct InvalidRunToken {
    /// The refused text, cut to 80 characters.
    pub text: String,
}

impl RunToken {
    const UNTOKENED: &'static str = "_";

    /// Checks `text` and takes it as a token.
    pub fn parse(text: &str) -> Result<Self, InvalidRunToken> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && text.as_bytes()[0].is_ascii_alphanumeric();
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRunToken { text: text.chars().take(80).collect() })
        }
    }

    /// The run of all requests that carry a slug and no token (a person with `curl`).
    pub fn untokened() -> Self {
        Self(Self::UNTOKENED.to_owned())
    }

    /// Whether this is the run of requests without a token.
    pub fn is_untokened(&self) -> bool {
        self.0 == Self::UNTOKENED
    }

    /// The token as text; also the name of the run's ledger directory.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunToken {
    type Err = InvalidRunToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RunToken {
    type Error = InvalidRunToken;

    /// Unlike [`RunToken::parse`], this reads back the untokened run as well: it is for our own files.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == Self::UNTOKENED { Ok(Self(text)) } else { Self::parse(&text) }
    }
}

impl From<RunToken> for String {
    fn from(token: RunToken) -> Self {
        token.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_name_the_untokened_run() {
        assert!(RunToken::parse(RunToken::untokened().as_str()).is_err());
        assert!(RunToken::parse("20261122-9f3a_b").is_ok());
        for text in ["", "../x", "-a", "a.b", "a b"] {
            assert!(RunToken::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(RunToken::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn our_own_files_can() {
        let token: RunToken = serde_json::from_str("\"_\"").unwrap();
        assert!(token.is_untokened());
    }
}

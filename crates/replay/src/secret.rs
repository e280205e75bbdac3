//! What must not be shown.

use std::fmt;

/// A password or a cookie. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Hands it out, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who the player is to the app.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Logs in as the preset says.
    Login {
        /// `ADMIN_EMAIL`.
        email: String,
        /// `ADMIN_PASSWORD`.
        password: Secret,
    },
    /// Is logged in already: the value of a `Cookie` header.
    Cookie(Secret),
    /// Nobody.
    Anonymous,
}

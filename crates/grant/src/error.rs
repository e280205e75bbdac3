//! What is wrong with settings, and why a request is not traced. No message holds anything that a client or a secret's owner wrote.

use thiserror::Error;

use crate::WINDOW;
use crate::key::MIN_LEN;

/// A setting that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Too short to be one.
    #[error(
        "PROFILE_TRACE_SECRET has {len} bytes: use {MIN_LEN} at least, such as those of `openssl rand -hex 32`"
    )]
    ShortSecret {
        /// Its length in bytes, without white space around it.
        len: usize,
    },
    /// Not a list of networks.
    #[error(
        "PROFILE_TRACE_ALLOW: {text:?} is no network: use addresses and networks such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32, separated by commas, and `unix` for clients of a Unix socket"
    )]
    Network {
        /// The part of it.
        text: String,
    },
}

impl GrantError {
    /// The stable code of this message, explained in docs/messages.md.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ShortSecret { .. } => "PT-GRANT-001",
            Self::Network { .. } => "PT-GRANT-002",
        }
    }
}

/// Why a request is not traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no signature.
    #[error("the header must be signed (X-Profile-Trace-Signature)")]
    Unsigned,
    /// It is not written as one.
    #[error("X-Profile-Trace-Signature is not of the form v1=<unix time>,<nonce>,<hexadecimal>")]
    Malformed,
    /// It is not this app's secret's, or not of this slug, run, step, time and nonce.
    #[error(
        "the signature does not fit: another secret than this app's, or another slug, run or step than what was signed"
    )]
    Wrong,
    /// The signature is good, and was made too long ago.
    #[error("the signature is more than {WINDOW} seconds old: look at both clocks")]
    Old,
    /// The signature is good, and is made for later.
    #[error("the signature is more than {WINDOW} seconds ahead of this app's clock: look at both clocks")]
    Early,
    /// The signature is good, and came before.
    #[error("the signature was used before: each request has one of its own")]
    Replayed,
    /// It comes from another network.
    #[error("requests from this address are not traced (PROFILE_TRACE_ALLOW)")]
    Elsewhere,
    /// Nothing can be compared.
    #[error("the header must be signed, and this process does not have PROFILE_TRACE_SECRET")]
    NoSecret,
}

impl Refusal {
    /// The stable code of this message, explained in docs/messages.md.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unsigned => "PT-GRANT-003",
            Self::Malformed => "PT-GRANT-004",
            Self::Wrong => "PT-GRANT-005",
            Self::Old => "PT-GRANT-006",
            Self::Early => "PT-GRANT-007",
            Self::Replayed => "PT-GRANT-008",
            Self::Elsewhere => "PT-GRANT-009",
            Self::NoSecret => "PT-GRANT-010",
        }
    }
}

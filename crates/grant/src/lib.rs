//! Who may have a request traced: whoever can sign the header, and whoever comes from a network that is let in.
//!
//! A client says what it wants ([`Wanted`]) and signs it with the secret that it shares with the app ([`TraceKey`]); the agent
//! compares ([`Grant::admit`]). The format is described in `docs/reference/signed-headers.md`, so that other clients can sign, too.
//!
//! This crate refuses to know files and Python. That a signature is good once only needs a memory, which the ledger has.
//!
//! ```
//! use playtrace_grant::{Grant, Nonce, Peer, Signature, TraceKey, Wanted};
//! use playtrace_model::Slug;
//!
//! let key = TraceKey::parse("a secret of at least sixteen bytes").unwrap();
//! let slug = Slug::parse("legacy-palouse").unwrap();
//! let wanted = Wanted { slug: &slug, run: None, step: Some(3) };
//! let header = key.sign(wanted, 1_790_000_000, &Nonce::parse("0123456789abcdef").unwrap()).to_string();
//! assert!(header.starts_with("v1=1790000000,0123456789abcdef,"));
//!
//! let grant = Grant { key: Some(key), ..Grant::default() };
//! assert!(grant.admit(wanted, Peer::Unknown, Some(&header), 1_790_000_010).is_ok());
//! assert!(grant.admit(Wanted { step: Some(4), ..wanted }, Peer::Unknown, Some(&header), 1_790_000_010).is_err());
//! ```

mod error;
pub mod fuzzing;
mod key;
mod networks;
mod signature;

pub use error::{GrantError, Refusal};
pub use key::TraceKey;
pub use networks::{Networks, Peer};
pub use signature::{Nonce, SIGNATURE, Signature, WINDOW, Wanted};

/// What a process asks of those who want a request traced.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// Set where the header must be signed.
    pub key: Option<TraceKey>,
    /// The header must be signed, though the secret is not known here: nobody can have anything traced.
    pub signed_only: bool,
    /// Where it must come from, if not from anywhere.
    pub networks: Option<Networks>,
}

impl Grant {
    /// Whether anybody may.
    pub const fn is_open(&self) -> bool {
        self.key.is_none() && !self.signed_only && self.networks.is_none()
    }

    /// Lets a request in, or says why not. `now` is in seconds since 1970-01-01 UTC.
    ///
    /// Answers with the signature, where one was asked for: it must be the first time that it is seen.
    pub fn admit(
        &self,
        wanted: Wanted<'_>,
        peer: Peer<'_>,
        signature: Option<&str>,
        now: u64,
    ) -> Result<Option<Signature>, Refusal> {
        if self.networks.as_ref().is_some_and(|networks| !networks.contain(peer)) {
            return Err(Refusal::Elsewhere);
        }
        match &self.key {
            Some(key) => key.verify(wanted, signature.ok_or(Refusal::Unsigned)?, now).map(Some),
            None if self.signed_only => Err(Refusal::NoSecret),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use playtrace_model::Slug;

    use super::*;

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn both_conditions_must_hold_where_both_are_set() {
        let slug = Slug::parse("p").unwrap();
        let wanted = Wanted { slug: &slug, run: None, step: None };
        let key = TraceKey::parse("0123456789abcdef").unwrap();
        let header = key.sign(wanted, NOW, &Nonce::parse("0123456789abcdef").unwrap()).to_string();
        let networks = Networks::parse("10.0.0.0/8").unwrap();
        let grant = Grant { key: Some(key), signed_only: true, networks: Some(networks) };
        let (inside, outside) = (Peer::of("10.1.2.3"), Peer::of("192.0.2.1"));
        assert!(grant.admit(wanted, inside, Some(&header), NOW).unwrap().is_some());
        assert_eq!(grant.admit(wanted, outside, Some(&header), NOW), Err(Refusal::Elsewhere));
        assert_eq!(grant.admit(wanted, inside, None, NOW), Err(Refusal::Unsigned));
    }

    #[test]
    fn without_conditions_anybody_may_and_without_the_secret_nobody() {
        let slug = Slug::parse("p").unwrap();
        let wanted = Wanted { slug: &slug, run: None, step: None };
        let open = Grant::default();
        assert!(open.is_open());
        assert_eq!(open.admit(wanted, Peer::Unknown, Some("whatever"), NOW), Ok(None));
        let closed = Grant { signed_only: true, ..Grant::default() };
        assert!(!closed.is_open());
        assert_eq!(closed.admit(wanted, Peer::of("127.0.0.1"), None, NOW), Err(Refusal::NoSecret));
    }
}

//! The secret that player and app share.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{GrantError, Nonce, Refusal, Signature, WINDOW, Wanted};

/// The fewest bytes of a secret.
pub(crate) const MIN_LEN: usize = 16;

/// Signs and compares. What the secret was can't be had from it: neither `Debug` nor an error shows it.
#[derive(Clone)]
pub struct TraceKey(Hmac<Sha256>);

impl TraceKey {
    /// Takes the value of `PROFILE_TRACE_SECRET`: its UTF-8 bytes, without white space around them.
    pub fn parse(secret: &str) -> Result<Self, GrantError> {
        let secret = secret.trim().as_bytes();
        match Hmac::new_from_slice(secret) {
            Ok(keyed) if secret.len() >= MIN_LEN => Ok(Self(keyed)),
            // HMAC itself takes a key of any length.
            _ => Err(GrantError::ShortSecret { len: secret.len() }),
        }
    }

    /// Signs what is wanted. `time` is in seconds since 1970-01-01 UTC.
    pub fn sign(&self, wanted: Wanted<'_>, time: u64, nonce: &Nonce) -> Signature {
        let mac = self.keyed(wanted, time, nonce).finalize().into_bytes().into();
        Signature { time, nonce: nonce.clone(), mac }
    }

    /// Whether a header's value is a signature of what is wanted, by this secret, and of this time.
    ///
    /// The code is compared in constant time, and first: nobody else learns anything about clocks.
    pub fn verify(&self, wanted: Wanted<'_>, header: &str, now: u64) -> Result<Signature, Refusal> {
        let signature = Signature::parse(header)?;
        let keyed = self.keyed(wanted, signature.time, &signature.nonce);
        keyed.verify_slice(&signature.mac).map_err(|_| Refusal::Wrong)?;
        if signature.time.saturating_add(WINDOW) < now {
            return Err(Refusal::Old);
        }
        if now.saturating_add(WINDOW) < signature.time {
            return Err(Refusal::Early);
        }
        Ok(signature)
    }

    fn keyed(&self, wanted: Wanted<'_>, time: u64, nonce: &Nonce) -> Hmac<Sha256> {
        self.0.clone().chain_update(wanted.signed_text(time, nonce))
    }
}

impl fmt::Debug for TraceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use playtrace_model::{RunToken, Slug};

    use super::*;

    #[test]
    fn a_secret_is_long_enough_and_shown_nowhere() {
        let short = TraceKey::parse("  fifteen bytes!!\n").unwrap_err();
        assert_eq!(short, GrantError::ShortSecret { len: 15 });
        assert!(!short.to_string().contains("fifteen"));
        assert_eq!(format!("{:?}", TraceKey::parse("0123456789abcdef").unwrap()), "TraceKey(…)");
    }

    /// The value is OpenSSL's; `docs/reference/signed-headers.md` has it as an example.
    #[test]
    fn a_signature_is_what_openssl_makes() {
        let key = TraceKey::parse("correct horse battery staple\n").unwrap();
        let (slug, run) = (Slug::parse("legacy-palouse").unwrap(), RunToken::parse("check-1").unwrap());
        let wanted = Wanted { slug: &slug, run: Some(&run), step: Some(3) };
        let signature = key.sign(wanted, 1_790_000_000, &Nonce::parse("0123456789abcdef").unwrap());
        assert_eq!(
            signature.to_string(),
            "v1=1790000000,0123456789abcdef,b9e995ece31629ef4d2ab9a98541faab829be1acb03a03379d9cb902cabc2857"
        );
    }
}

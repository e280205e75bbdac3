//! What must hold for any header: called by the fuzz target (`make fuzz`), and by a test for all that is in `fuzz/corpus/header`.
//!
//! It panics where it does not hold.

use playtrace_model::{RunToken, Slug};

use crate::{Grant, Networks, Peer, Refusal, Signature, TraceKey, WINDOW, Wanted};

const NOW: u64 = 1_790_000_000;
/// The secret of the corpus.
pub const SECRET: &str = "the secret of the corpus";

/// The lines of `bytes` are slug, run, step, signature and peer, as a client may send them.
///
/// # Panics
///
/// If anything is let in that was not signed, or that is not written as it is read.
pub fn header(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (slug, run, step, signature, peer) = (line(), line(), line(), line(), line());
    let (Ok(key), Ok(networks)) = (TraceKey::parse(SECRET), Networks::parse("10.0.0.0/8,2001:db8::/32"))
    else {
        return;
    };
    let inside = networks.contain(Peer::of(peer));
    let read = Signature::parse(signature);
    if let Ok(read) = &read {
        assert_eq!(read.to_string(), signature, "two ways to write one signature");
    }
    let Ok(slug) = Slug::parse(slug) else { return };
    assert!(slug.as_str().len() <= Slug::MAX_LEN && !slug.as_str().contains(['/', '\\', '\0', '\n', '\r']));
    let run = RunToken::parse(run).ok();
    let step = step.parse().ok();
    let wanted = Wanted { slug: &slug, run: run.as_ref(), step };
    let grant = Grant { key: Some(key.clone()), signed_only: false, networks: Some(networks) };
    match grant.admit(wanted, Peer::of(peer), Some(signature), NOW) {
        Ok(Some(good)) => {
            assert!(inside);
            assert_eq!(key.sign(wanted, good.time, &good.nonce), good, "let in, and not signed by us");
            assert!(good.time.abs_diff(NOW) <= WINDOW);
        }
        Ok(None) => panic!("let in without a signature"),
        Err(refused) => {
            assert_eq!(refused == Refusal::Elsewhere, !inside);
            assert_eq!(inside && read.is_err(), refused == Refusal::Malformed);
        }
    }
    if let Ok(read) = read {
        // Of the same thing, one that is good now; and of any other thing, it is not.
        let good = key.sign(wanted, NOW, &read.nonce).to_string();
        assert!(key.verify(wanted, &good, NOW).is_ok());
        let other = Wanted { step: Some(step.map_or(0, |step: u32| step ^ 1)), ..wanted };
        assert_eq!(key.verify(other, &good, NOW), Err(Refusal::Wrong));
    }
}

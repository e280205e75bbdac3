//! Signing and comparing, for anything that can be asked for; and all that fuzzing has found worth keeping, again.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use std::path::Path;

use playtrace_grant::{Nonce, Refusal, Signature, TraceKey, WINDOW, Wanted, fuzzing};
use playtrace_model::{RunToken, Slug};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

const NOW: u64 = 1_790_000_000;

prop_compose! {
    fn asked()(slug in "[A-Za-z0-9_][A-Za-z0-9_-]{0,127}", run in option::of("[A-Za-z0-9][A-Za-z0-9_-]{0,63}"), step in option::of(any::<u32>()))
        -> (Slug, Option<RunToken>, Option<u32>) {
        (Slug::parse(&slug).unwrap(), run.map(|run| RunToken::parse(&run).unwrap()), step)
    }
}

fn wanted((slug, run, step): &(Slug, Option<RunToken>, Option<u32>)) -> Wanted<'_> {
    Wanted { slug, run: run.as_ref(), step: *step }
}

proptest! {
    #[test]
    fn what_was_signed_is_good_for_its_time(
        secret in "\\S[ -~]{14,80}\\S", asked in asked(), nonce in "[A-Za-z0-9_-]{16,64}", late in 0..=2 * WINDOW,
    ) {
        let key = TraceKey::parse(&secret).unwrap();
        let nonce = Nonce::parse(&nonce).unwrap();
        let header = key.sign(wanted(&asked), NOW, &nonce).to_string();
        prop_assert_eq!(Signature::parse(&header).unwrap().to_string(), header.clone());
        let expected = if late > WINDOW { Err(Refusal::Old) } else { Signature::parse(&header) };
        prop_assert_eq!(key.verify(wanted(&asked), &header, NOW + late), expected);
        let expected = if late > WINDOW { Err(Refusal::Early) } else { Signature::parse(&header) };
        prop_assert_eq!(key.verify(wanted(&asked), &header, NOW - late), expected);
    }

    #[test]
    fn nothing_else_is(
        asked in asked(), other in asked(), nonce in "[A-Za-z0-9_-]{16,64}", at in any::<Index>(), byte in any::<u8>(),
    ) {
        let [key, stranger] = ["0123456789abcdef", "0123456789abcdeF"].map(|secret| TraceKey::parse(secret).unwrap());
        let nonce = Nonce::parse(&nonce).unwrap();
        let header = key.sign(wanted(&asked), NOW, &nonce).to_string();
        prop_assert_eq!(stranger.verify(wanted(&asked), &header, NOW), Err(Refusal::Wrong));
        if asked != other {
            prop_assert_eq!(key.verify(wanted(&other), &header, NOW), Err(Refusal::Wrong));
        }
        // Any byte of it.
        let mut changed = header.clone().into_bytes();
        let at = at.index(changed.len());
        if changed[at] != byte && let Ok(changed) = { changed[at] = byte; String::from_utf8(changed) } {
            let refused = key.verify(wanted(&asked), &changed, NOW).unwrap_err();
            prop_assert!(matches!(refused, Refusal::Wrong | Refusal::Malformed), "{:?}", refused);
        }
    }

    #[test]
    fn no_header_makes_it_panic(lines in proptest::collection::vec(".{0,40}", 0..6)) {
        fuzzing::header(lines.join("\n").as_bytes());
    }
}

/// Slug, run and step are told apart: what belongs to one of them can't be signed as a part of its neighbour.
#[test]
fn parts_do_not_run_together() {
    let key = TraceKey::parse("0123456789abcdef").unwrap();
    let nonce = Nonce::parse("0123456789abcdef").unwrap();
    let (p, p1) = (Slug::parse("p").unwrap(), Slug::parse("p1").unwrap());
    let (one, run) = (RunToken::parse("1").unwrap(), RunToken::parse("r").unwrap());
    let all = [
        Wanted { slug: &p, run: None, step: None },
        Wanted { slug: &p1, run: None, step: None },
        Wanted { slug: &p, run: Some(&one), step: None },
        Wanted { slug: &p, run: None, step: Some(1) },
        Wanted { slug: &p, run: Some(&run), step: Some(1) },
        Wanted { slug: &p, run: Some(&one), step: Some(1) },
    ];
    for (n, signed) in all.iter().enumerate() {
        let header = key.sign(*signed, NOW, &nonce).to_string();
        for (m, wanted) in all.iter().enumerate() {
            assert_eq!(key.verify(*wanted, &header, NOW).is_ok(), n == m, "{signed:?} {wanted:?}");
        }
    }
}

#[test]
fn the_corpus_and_bytes_near_it() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/header");
    let mut count = 0;
    for file in fs_err::read_dir(corpus).unwrap() {
        let bytes = fs_err::read(file.unwrap().path()).unwrap();
        fuzzing::header(&bytes);
        for at in 0..bytes.len() {
            fuzzing::header(&bytes[..at]);
            for flip in [1, 0x20, 0x80] {
                let mut near = bytes.clone();
                near[at] ^= flip;
                fuzzing::header(&near);
            }
        }
        count += 1;
    }
    assert!(count > 5, "the corpus is gone");
}

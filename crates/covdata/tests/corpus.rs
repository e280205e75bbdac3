//! All that fuzzing has found worth keeping, again; and bytes near it.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use playtrace_covdata::fuzzing;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Runs a target on its corpus, and on `near` changed copies of each entry.
fn again(target: &str, run: fn(&[u8]), near: usize) {
    let files = fuzzing::corpus(target);
    assert!(files.len() > 2, "the corpus of {target} is gone");
    let change = (any::<Index>(), any::<u8>(), 0u8..4);
    let changes = proptest::collection::vec(change, 1..5);
    let mut runner = TestRunner::deterministic();
    for file in files {
        let bytes = fs_err::read(&file).unwrap();
        run(&bytes);
        for _ in 0..near {
            let mut bytes = bytes.clone();
            for (at, byte, kind) in changes.new_tree(&mut runner).unwrap().current() {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match kind {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, byte),
                    _ => bytes[at] = byte,
                }
            }
            run(&bytes);
        }
    }
}

#[test]
fn numbits() {
    again("numbits", fuzzing::numbits, 200);
}

#[test]
fn data_files() {
    again("data_file", fuzzing::data_file, 150);
}

#[test]
fn configurations() {
    again("config", fuzzing::config, 200);
}

#[test]
fn paths() {
    again("remapping", fuzzing::remapping, 200);
}

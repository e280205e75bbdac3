//! See `playtrace_grant::fuzzing::header`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| playtrace_grant::fuzzing::header(bytes));

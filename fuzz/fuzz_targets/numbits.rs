//! See `playtrace_covdata::fuzzing::numbits`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| playtrace_covdata::fuzzing::numbits(bytes));

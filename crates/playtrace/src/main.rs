//! `playtrace`: which code does each real user session execute?

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// Syntax trees are made of small pieces: a fifth of the time of a report went into the C library's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // The same program answers to both names; `wctl` also knows how to hand a command on.
    if std::env::args_os().next().is_some_and(|name| playtrace::wctl::is_wctl(&name)) {
        return playtrace::wctl::main();
    }
    playtrace::run(playtrace::Cli::parse()).into()
}

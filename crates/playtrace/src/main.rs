//! `playtrace`: which code does each real user session execute?

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The same program answers to both names; `wctl` also knows how to hand a command on.
    if std::env::args_os().next().is_some_and(|name| playtrace::wctl::is_wctl(&name)) {
        return playtrace::wctl::main();
    }
    playtrace::run(playtrace::Cli::parse()).into()
}

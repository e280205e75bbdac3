//! `wctl`: the customer's name for the same program.

use std::process::ExitCode;

fn main() -> ExitCode {
    playtrace::wctl::main()
}

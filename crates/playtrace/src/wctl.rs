//! The program under the customer's name.
//!
//! WEPPcloud has a `wctl` of its own with many commands. Ours knows those of the profile coverage and hands
//! everything else on to the next `wctl` on the PATH.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, run};
use crate::exit::Exit;
use crate::messages::{Failure, show};

/// The customer's commands that this program answers itself.
pub(crate) const OURS: [&str; 5] = [
    "run-test-profile",
    "run-fork-profile",
    "run-archive-profile",
    "run-profile-coverage-batch",
    "check-profile-coverage",
];

/// Whether the program was called as `wctl`.
pub fn is_wctl(name: &OsStr) -> bool {
    Path::new(name).file_stem() == Some(OsStr::new("wctl"))
}

/// Answers as `wctl`.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let first = args.get(1).and_then(|arg| arg.to_str());
    match first {
        Some(command) if OURS.contains(&command) => run(Cli::parse_from(args)).into(),
        _ => match next_wctl() {
            Some(next) => {
                let error = std::process::Command::new(&next).args(&args[1..]).exec();
                let message = format!("can't run {}: {error}", next.display());
                show(&Failure::new(Exit::Io, "PT-CLI-002", message)).into()
            }
            None if first.is_none_or(|arg| arg.starts_with('-')) => run(Cli::parse_from(args)).into(),
            None => show(
                &Failure::new(
                    Exit::Usage,
                    "PT-CLI-001",
                    format!(
                        "this wctl knows {}, not {:?}, and there is no other wctl on the PATH",
                        OURS.join(", "),
                        first.unwrap_or_default()
                    ),
                )
                .help("run `playtrace --help` for everything that playtrace does"),
            )
            .into(),
        },
    }
}

/// The next program named `wctl` on the PATH that is not this one.
fn next_wctl() -> Option<PathBuf> {
    let me = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let here = me.as_deref().and_then(Path::parent).map(Path::to_owned);
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join("wctl"))
        .filter(|candidate| candidate.is_file())
        .find(|candidate| {
            let real = candidate.canonicalize().ok();
            // A link to `playtrace` beside it is this program under its other name.
            real.is_some() && real != me && real.as_deref().and_then(Path::parent) != here.as_deref()
        })
}

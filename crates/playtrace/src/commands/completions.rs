//! `playtrace completions`: what makes a shell complete the program's commands and options.

use clap_complete::Shell;

use crate::cli::{Name, command_of};
use crate::documents::say;
use crate::exit::Exit;
use crate::messages::Failure;

/// Print a shell's completions of `playtrace`, or of `wctl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// Under which name the program is called.
    #[arg(long, value_name = "NAME", default_value = "playtrace")]
    name: Name,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command_of(args.name), args.name.as_str(), &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

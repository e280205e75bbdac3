//! `playtrace workflows`: a CI system's files from the list of profiles, and what its jobs run.

pub mod check;
pub mod generate;
pub mod job;

use std::path::PathBuf;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::nightly::list::{self, Entry, USUAL_PLACE};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with workflows.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Write the CI system's files from the list
    #[command(after_help = "Example:\n  playtrace workflows generate --platform github --utc")]
    Generate(generate::Args),
    /// Compare the CI system's files with the list; exit code 1 if they differ
    #[command(after_help = "Example:\n  playtrace workflows check --json")]
    Check(check::Args),
    /// What a generated job runs: a command, tried again if it fails, with a record of how it went and the data that it left
    #[command(
        after_help = "Example:\n  playtrace workflows job legacy-palouse --output-dir playback-artifact --log telemetry/legacy-palouse.log -- wctl run-test-profile legacy-palouse --trace-code"
    )]
    Job(job::Args),
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Generate(args) => generate::run(args),
        Action::Check(args) => check::run(args),
        Action::Job(args) => job::run(args),
    }
}

/// The list and the repository that it belongs to.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// The repository's root: paths in it are those of the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: PathBuf,
    /// The list of profiles, below the root
    #[arg(long, value_name = "FILE", default_value = USUAL_PLACE)]
    pub list: PathBuf,
}

impl ListArgs {
    pub(crate) fn read(&self) -> Result<Vec<Entry>, Failure> {
        list::read(&self.root.join(&self.list))
    }

    /// The list's path as the files name it: below the root.
    pub(crate) fn name(&self) -> String {
        let path = self.list.strip_prefix(&self.root).unwrap_or(&self.list);
        path.to_string_lossy().trim_start_matches("./").to_owned()
    }
}

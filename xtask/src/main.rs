//! Set-up, generators and checks of this repository: `cargo xtask --help`.

mod arrows;
mod features;
mod messages;
mod python;
mod redis;
mod stamp;
mod step;
mod venv;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use venv::Venv;

/// What went wrong, for the person at the terminal.
pub(crate) type Failure = String;

#[derive(Debug, Parser)]
#[command(about = "Set-up, generators and checks of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make `.venv` (Python, requirements), find or fetch a redis-server, build and install the agent's wheel.
    Setup,
    /// Make `.tools/other-python`, an environment for the agent's tests with the CPython that `.venv` is not made from, and
    /// `.tools/older-python`, one with CPython 3.11.
    Other,
    /// Make the environments of `setup` and `other`, without the agent: that needs no build.
    Venvs,
    /// Build the agent's wheel into `dist/` (part of `setup`).
    Wheel,
    /// Build the program's wheel, shell completions and manual pages into `dist/`; the program must be built.
    Packages,
    /// Compare the crates' dependencies with the arrows of ARCHITECTURE.md.
    Arrows,
    /// Check that the program, the wheel and the tests share one build of their dependencies.
    Features,
    /// Stitch `docs/messages/*.md` into `docs/messages.md`; with `--check`, only say whether it is up to date.
    Messages {
        /// Change nothing; fail if the file would change.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let root = root();
    let done = match Cli::parse().task {
        Task::Setup => setup(&root),
        Task::Other => other(&root),
        Task::Venvs => venv::make(&root).and_then(|_| others(&root).map(drop)),
        Task::Wheel => venv::make(&root).and_then(|_| wheel::build(&root).map(drop)),
        Task::Packages => venv::make(&root).and_then(|_| wheel::packages(&root)),
        Task::Arrows => arrows::check(&root),
        Task::Features => features::check(&root),
        Task::Messages { check } => messages::stitch(&root, check),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            step::fail(&failure);
            ExitCode::FAILURE
        }
    }
}

fn setup(root: &Path) -> Result<(), Failure> {
    let venv = venv::make(root)?;
    redis::provide(root, &venv)?;
    let wheel = wheel::build(root)?;
    wheel::install(root, &venv, &wheel)
}

fn other(root: &Path) -> Result<(), Failure> {
    for venv in others(root)? {
        let wheel = wheel::build(root)?;
        wheel::install(root, &venv, &wheel)?;
    }
    Ok(())
}

/// The environments with other `CPython`s that the agent is tested with, as far as this machine has them.
fn others(root: &Path) -> Result<Vec<Venv>, Failure> {
    let other = venv::make_other(root)?;
    if other.is_none() {
        step::say("not run: this machine has no second CPython of 3.12 and 3.13 (`pyenv install 3.13`)");
    }
    let older = venv::make_older(root)?;
    if older.is_none() {
        step::say(
            "not run: this machine has no CPython 3.11, which coverage.py traces (`pyenv install 3.11`)",
        );
    }
    Ok([other, older].into_iter().flatten().collect())
}

/// The repository: the parent of this crate's directory. Cargo tells where that is now; what was built may have been copied.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_owned()
}

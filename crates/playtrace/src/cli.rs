//! The command line.

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::commands::{
    aggregate, check_profile_coverage, combine, completions, doctor, export, index, inspect, man, matrix,
    perf, play, prune, report, run_archive_profile, run_fork_profile, run_profile_coverage_batch,
    run_test_profile, serve, shards, sign, workflows,
};
use crate::exit::Exit;
use crate::messages::{Failure, show};

/// Which code does each real user session execute, and which code does none?
#[derive(Debug, Parser)]
#[command(name = "playtrace", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay a profile against the app, without the service.
    #[command(
        after_help = "Example:\n  playtrace play legacy-palouse --base-url http://127.0.0.1:8080/weppcloud --trace-code"
    )]
    Play(play::Args),
    /// Offer the player as an HTTP service.
    #[command(after_help = "Example:\n  playtrace serve --host 127.0.0.1 --port 8070")]
    Serve(serve::Args),
    /// Replay a profile through the service, and trace it with --trace-code.
    #[command(
        after_help = "Example:\n  wctl run-test-profile legacy-palouse --trace-code --coverage-dir /tmp/profile-coverage"
    )]
    RunTestProfile(run_test_profile::Args),
    /// Have the app fork a profile's snapshot, through the service, and trace that with --trace-code.
    #[command(after_help = "Example:\n  wctl run-fork-profile legacy-palouse --undisturbify --timeout 120")]
    RunForkProfile(run_fork_profile::Args),
    /// Have the app archive a profile's snapshot, through the service, and trace that with --trace-code.
    #[command(
        after_help = "Example:\n  wctl run-archive-profile legacy-palouse --archive-comment baseline --timeout 120"
    )]
    RunArchiveProfile(run_archive_profile::Args),
    /// Replay and trace many profiles, one merged file each.
    #[command(
        after_help = "Example:\n  wctl run-profile-coverage-batch --include legacy-palouse single-storm --jobs 2 --artifacts-dir artifacts"
    )]
    RunProfileCoverageBatch(run_profile_coverage_batch::Args),
    /// Check that inventory, configuration, coverage.py, workflows and profiles are in step with the tree.
    #[command(after_help = "Example:\n  wctl check-profile-coverage --fix")]
    CheckProfileCoverage(Box<check_profile_coverage::Args>),
    /// Merge shards into one data file.
    #[command(after_help = "Example:\n  playtrace combine --profile legacy-palouse /srv/coverage")]
    Combine(combine::Args),
    /// Check a running stack, and say what to do.
    #[command(
        after_help = "Example:\n  playtrace doctor --base-url http://127.0.0.1:8080/weppcloud --redis-url redis://127.0.0.1:6379/0"
    )]
    Doctor(doctor::Args),
    /// Print the headers that have one request traced, signed.
    #[command(after_help = "Example:\n  playtrace sign by-hand --run check-1 --step 1")]
    Sign(sign::Args),
    /// List shards with their owner, age and size.
    #[command(after_help = "Example:\n  playtrace shards /srv/coverage")]
    Shards(shards::Args),
    /// The symbol inventory of a source tree: write it, check it, compare two.
    #[command(
        after_help = "Example:\n  playtrace index build src --python-version 3.12 --output coverage-symbols.json"
    )]
    Index(index::Args),
    /// Show what could run in source files: statements, exclusions, symbols.
    #[command(after_help = "Example:\n  playtrace inspect src/app.py --python-version 3.12 --json")]
    Inspect(inspect::Args),
    /// Report per profile which code it executed.
    #[command(
        after_help = "Example:\n  playtrace report legacy-palouse --data-dir /srv/coverage --source . --output-dir out"
    )]
    Report(report::Args),
    /// Write coverage.py's reports from a data file: text, JSON, XML, LCOV, HTML.
    #[command(
        after_help = "Example:\n  playtrace export legacy-palouse.coverage --source . --format xml --output coverage.xml"
    )]
    Export(Box<export::Args>),
    /// Compare profiles: profile -> symbols, symbol -> profiles, gaps.
    #[command(
        after_help = "Example:\n  playtrace matrix --reports-dir out/reports --inventory coverage-symbols.json --output-dir out"
    )]
    Matrix(matrix::Args),
    /// Make one bundle of the artifacts of a night's jobs.
    #[command(
        after_help = "Example:\n  playtrace aggregate night/artifacts --previous night/bundles --output-dir night/bundles --json"
    )]
    Aggregate(aggregate::Args),
    /// Measure what tracing costs on your own profiles, and whether a budget holds.
    #[command(
        after_help = "Example:\n  playtrace perf legacy-palouse single-storm --base-url http://127.0.0.1:8080/weppcloud --markdown perf.md"
    )]
    Perf(perf::Args),
    /// Delete what is old or too much: bundles, shards, ledgers, what killed writers left.
    #[command(after_help = "Example:\n  playtrace prune night/bundles --older-than 14d --max-size 250MB")]
    Prune(prune::Args),
    /// The nightly workflows: generate them from the list of profiles, check them, run a job of theirs.
    #[command(after_help = "Example:\n  playtrace workflows generate --utc")]
    Workflows(workflows::Args),
    /// Print a shell's completions.
    #[command(after_help = "Example:\n  playtrace completions bash --name wctl")]
    Completions(completions::Args),
    /// Write the manual pages.
    #[command(after_help = "Example:\n  playtrace man --output-dir man/man1")]
    Man(man::Args),
}

/// The names that the program answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// All commands.
    Playtrace,
    /// The customer's.
    Wctl,
}

impl Name {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Playtrace => "playtrace",
            Self::Wctl => "wctl",
        }
    }
}

/// The command line under a name: as `wctl`, the commands that are not handed on to the next `wctl`.
pub fn command_of(name: Name) -> clap::Command {
    let all = Cli::command();
    if name == Name::Playtrace {
        return all;
    }
    let ours = all.get_subcommands().filter(|command| crate::wctl::OURS.contains(&command.get_name()));
    clap::Command::new(name.as_str())
        .version(env!("CARGO_PKG_VERSION"))
        .about("Replay and trace profiles; every other command is the next wctl's on the PATH")
        .propagate_version(true)
        .subcommands(ours.cloned())
}

/// Runs a command and says how it ended; an error is shown on stderr.
pub fn run(cli: Cli) -> Exit {
    let ended: Result<Exit, Failure> = match cli.command {
        Command::Play(args) => play::run(args),
        Command::Serve(args) => serve::run(args),
        Command::RunTestProfile(args) => run_test_profile::run(args),
        Command::RunForkProfile(args) => run_fork_profile::run(args),
        Command::RunArchiveProfile(args) => run_archive_profile::run(args),
        Command::RunProfileCoverageBatch(args) => run_profile_coverage_batch::run(args),
        Command::CheckProfileCoverage(args) => check_profile_coverage::run(*args),
        Command::Combine(args) => combine::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Shards(args) => shards::run(args),
        Command::Index(args) => index::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Report(args) => report::run(args),
        Command::Export(args) => export::run(&args),
        Command::Matrix(args) => matrix::run(args),
        Command::Aggregate(args) => aggregate::run(args),
        Command::Perf(args) => perf::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Workflows(args) => workflows::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    ended.unwrap_or_else(|failure| show(&failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_shows_an_example_that_it_takes() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example =
                help.strip_prefix("Example:\n  ").unwrap_or_else(|| panic!("{command}: no example"));
            assert_eq!(example.split(' ').nth(1), Some(command.get_name()));
            if let Err(error) = Cli::try_parse_from(example.split(' ')) {
                panic!("{example}: {error}");
            }
        }
    }
}

//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{
    combine, index, inspect, matrix, play, report, run_profile_coverage_batch, run_test_profile, serve,
    shards,
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
    Play(play::Args),
    /// Offer the player as an HTTP service.
    Serve(serve::Args),
    /// Replay a profile through the service, and trace it with --trace-code.
    RunTestProfile(run_test_profile::Args),
    /// Replay and trace many profiles, one merged file each.
    RunProfileCoverageBatch(run_profile_coverage_batch::Args),
    /// Merge shards into one data file.
    Combine(combine::Args),
    /// List shards with their owner, age and size.
    Shards(shards::Args),
    /// Write the symbol inventory of a source tree.
    Index(index::Args),
    /// Show what could run in source files: statements, exclusions, symbols.
    Inspect(inspect::Args),
    /// Report per profile which code it executed.
    Report(report::Args),
    /// Compare profiles: profile -> symbols, symbol -> profiles, gaps.
    Matrix(matrix::Args),
}

/// Runs a command and says how it ended; an error is shown on stderr.
pub fn run(cli: Cli) -> Exit {
    let ended: Result<Exit, Failure> = match cli.command {
        Command::Play(args) => play::run(args),
        Command::Serve(args) => serve::run(args),
        Command::RunTestProfile(args) => run_test_profile::run(args),
        Command::RunProfileCoverageBatch(args) => run_profile_coverage_batch::run(args),
        Command::Combine(args) => combine::run(args),
        Command::Shards(args) => shards::run(args),
        Command::Index(args) => index::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Report(args) => report::run(args),
        Command::Matrix(args) => matrix::run(args),
    };
    ended.unwrap_or_else(|failure| show(&failure))
}

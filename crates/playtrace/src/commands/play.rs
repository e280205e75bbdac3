//! `playtrace play`: a replay without the service.

use std::path::PathBuf;

use super::run_test_profile::{Common, Waiting};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::api::RunResult;
use crate::service::console::Console;
use crate::service::engine::prepare;
use crate::service::settings::{self, Settings};
use crate::service::tracker;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    waiting: Waiting,
    /// How the app wants to be replayed: a preset's file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", default_value = playtrace_replay::DEFAULT_PRESET)]
    preset: String,
    /// The folder that contains the profiles [default: `PROFILE_PLAYBACK_ROOT`].
    #[arg(long, value_name = "DIR")]
    profiles_root: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let console = Console::new(args.common.verbose);
    let mut known = Settings::from_environment()?;
    known.preset = settings::preset(&args.preset)?;
    if let Some(root) = args.profiles_root {
        known.profiles_root = root;
    }
    let mut body = args.common.body(console.is_coloured())?;
    body.job_timeout = args.waiting.job_timeout;
    let prepared = prepare(&known, &args.common.slug, body)?;
    let ended = super::run_async(async {
        tokio::select! {
            ended = prepared.run(&console) => Some(ended),
            // The manifest without an end tells the rest: whoever merges sees that the run was broken off.
            _ = tokio::signal::ctrl_c() => None,
        }
    })?;
    let Some(ended) = ended else {
        return Err(Failure::new(Exit::Interrupted, "PT-PLAY-008", "the replay was broken off"));
    };
    if let Some(file) = &args.common.tracker
        && !ended.summary.dry_run
    {
        tracker::append(file, &RunResult::from(&ended.summary))?;
    }
    match ended.failure {
        Some(failure) => Err(failure),
        None => Ok(ended.exit),
    }
}

//! The end of a traced run: wait until its records are there, merge its shards, give the verdict.

mod clear;
mod complete;
mod earlier;
mod granularity;
mod kind;
mod lock;
mod merge;
mod place;
mod proof;
mod runs;
mod settle;
mod standing;
mod steps_file;
mod verdict_file;

use playtrace_covdata::shard::list_of;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::RunToken;

use crate::messages::Failure;

#[doc(hidden)]
pub use merge::merge_run_with;
pub use merge::{MergeRun, Merged, merge_run};
pub(crate) use place::{Newcomer, Place};
pub use settle::{Patience, settle};
pub use steps_file::steps_path_of;
pub use verdict_file::VerdictFile;

/// How a traced run ended for whoever ran the player.
#[derive(Debug)]
pub enum Finished {
    /// Its data is merged.
    Merged(Box<Merged>),
    /// The shards are elsewhere: nothing in the coverage directory comes from the app. A sentence says why that is known.
    OutOfSight(String),
}

/// Waits until everything that the run promised has arrived or patience is over, then merges it.
///
/// `waiting` is told once what it waits for.
pub fn finish_run(
    wanted: &MergeRun,
    run: &RunToken,
    patience: Patience,
    waiting: impl FnMut(&str),
) -> Result<Finished, Failure> {
    let (dir, slug) = (&wanted.coverage_dir, &wanted.slug);
    if !dir.is_dir() {
        return Ok(Finished::OutOfSight(format!("{} can't be seen from here", dir.display())));
    }
    settle(dir, slug, run, wanted.manifest.as_deref(), patience, waiting)?;
    let ledger = RunLedger::scan(&Layout::new(dir), slug, run)?;
    let has_shards = || Ok::<_, Failure>(list_of(dir, slug)?.iter().any(|shard| shard.run() == Some(run)));
    if ledger.was_answered_by_an_agent() && !ledger.has_traced_work() && !has_shards()? {
        return Ok(Finished::OutOfSight(format!(
            "an agent answered, but nothing of its work is in {}: the app writes to another directory, or a proxy drops X-Profile-Trace-Run",
            dir.display()
        )));
    }
    Ok(Finished::Merged(Box::new(merge_run(&MergeRun { run: Some(run.clone()), ..wanted.clone() })?)))
}

//! The end of a traced run: wait until its records are there, merge its shards, give the verdict.

mod merge;
mod runs;
mod settle;
mod verdict_file;

use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::RunToken;

use crate::messages::Failure;

pub use merge::{MergeRun, Merged, merge_run};
pub use settle::{Patience, settle};
pub use verdict_file::VerdictFile;

/// How a traced run ended for whoever ran the player.
#[derive(Debug)]
pub enum Finished {
    /// Its data is merged.
    Merged(Box<Merged>),
    /// The shards are elsewhere: nothing in the coverage directory comes from the app.
    OutOfSight {
        /// A sentence for the verdict.
        reason: String,
        /// The command to run where they are.
        command: String,
    },
}

/// Waits until everything that the run promised has arrived or patience is over, then merges it.
///
/// `traced` says whether the player saw an agent answer: then a directory without a trace of the app's work is not the
/// app's directory. `waiting` is told once what it waits for.
pub fn finish_run(
    wanted: &MergeRun,
    run: &RunToken,
    traced: bool,
    patience: Patience,
    waiting: impl FnMut(&str),
) -> Result<Finished, Failure> {
    let (dir, slug) = (&wanted.coverage_dir, &wanted.slug);
    if dir.is_dir() {
        settle(dir, slug, run, wanted.manifest.as_deref(), patience, waiting)?;
    }
    if traced && !RunLedger::read(&Layout::new(dir), slug, run)?.has_traced_work() {
        return Ok(Finished::OutOfSight {
            reason: format!(
                "the app was traced, but it writes to another directory than {}: its data was not merged",
                dir.display()
            ),
            command: format!(
                "playtrace combine --profile {slug} --run {run} <the app's PROFILE_COVERAGE_DIR>"
            ),
        });
    }
    Ok(Finished::Merged(Box::new(merge_run(&MergeRun { run: Some(run.clone()), ..wanted.clone() })?)))
}

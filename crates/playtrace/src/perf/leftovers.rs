//! What the replays of a measurement leave behind, and its removal.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use playtrace_ledger::judge::judge;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::{RunToken, Slug};
use uuid::Uuid;

use crate::exit::Exit;
use crate::messages::Failure;

/// Traced replays are of this profile, not of the measured one: its data is nobody's night.
pub(super) const SLUG: &str = "playtrace-perf";
/// For the last records.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs and sandboxes of a measurement; removed when it is done, however that comes.
#[derive(Debug)]
pub(super) struct Leftovers {
    dir: PathBuf,
    slug: Slug,
    runs: Vec<RunToken>,
    sandboxes: Vec<PathBuf>,
}

impl Leftovers {
    /// Nothing yet.
    pub(super) fn new(dir: PathBuf) -> Result<Self, Failure> {
        let slug = Slug::parse(SLUG).map_err(|error| odd(&error))?;
        Ok(Self { dir, slug, runs: Vec::new(), sandboxes: Vec::new() })
    }

    /// A traced run.
    pub(super) fn begin(&mut self) -> Result<(Slug, RunToken), Failure> {
        let token = format!("perf-{}", Uuid::new_v4().simple());
        let run = RunToken::parse(&token).map_err(|error| odd(&error))?;
        self.runs.push(run.clone());
        Ok((self.slug.clone(), run))
    }

    /// A sandbox that will be made.
    pub(super) fn add_sandbox(&mut self, dir: PathBuf) {
        self.sandboxes.push(dir);
    }

    /// Removes the sandboxes so far. Best effort: the app may have written into them as another user.
    pub(super) fn clear_sandboxes(&mut self) {
        for dir in self.sandboxes.drain(..) {
            let _ = fs_err::remove_dir_all(dir);
        }
    }

    /// Waits until nothing is written for these runs any more, as far as that can be seen from here.
    pub(super) async fn settle(&self) {
        let (begun, layout) = (Instant::now(), Layout::new(&self.dir));
        let pending = |run: &RunToken| {
            RunLedger::read(&layout, &self.slug, run)
                .is_ok_and(|ledger| !judge(&ledger, &BTreeSet::new()).pending.is_empty())
        };
        while self.dir.is_dir() && self.runs.iter().any(pending) && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        self.clear_sandboxes();
        let layout = Layout::new(&self.dir);
        for shard in playtrace_covdata::shard::list_of(&self.dir, &self.slug).unwrap_or_default() {
            if shard.run().is_some_and(|run| self.runs.contains(run)) {
                let _ = fs_err::remove_file(&shard.path);
            }
        }
        for run in &self.runs {
            let dir = layout.run_dir(&self.slug, run);
            let _ = fs_err::remove_dir_all(&dir);
            // Goes with the last run in it.
            let _ = dir.parent().map(fs_err::remove_dir);
        }
    }
}

fn odd(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::BadInput, "PT-PERF-003", format!("the measurement's own run can't be named: {error}"))
}

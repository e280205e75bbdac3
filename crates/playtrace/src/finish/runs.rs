//! Which runs of a profile there are, and when an older one may go.

use playtrace_covdata::shard::ShardInfo;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::{RunToken, Slug};

use crate::messages::Failure;

/// The run with the latest record; without a ledger, the one that the shards agree on.
pub(super) fn latest(
    layout: &Layout,
    slug: &Slug,
    shards: &[ShardInfo],
) -> Result<Option<RunToken>, Failure> {
    let mut latest = None;
    for run in layout.runs(slug)? {
        let at = RunLedger::read(layout, slug, &run)?.latest();
        latest = latest.max(Some((at, run)));
    }
    Ok(latest.map(|(_, run)| run).or_else(|| shards.iter().find_map(|shard| shard.run().cloned())))
}

/// Removes shards and ledgers of older runs that have ended. Best effort: what can't be removed now is removed after
/// the next run, and `playtrace shards` lists it.
pub(super) fn retire_older(layout: &Layout, slug: &Slug, newest: &RunToken, shards: &[ShardInfo]) {
    let age = |run: &RunToken| RunLedger::read(layout, slug, run).ok();
    let Some(limit) = age(newest).and_then(|ledger| ledger.latest()) else { return };
    for run in layout.runs(slug).unwrap_or_default() {
        if run == *newest {
            continue;
        }
        let ended =
            age(&run).is_some_and(|ledger| ledger.latest().is_none_or(|at| at < limit) && is_over(&ledger));
        if ended {
            for shard in shards.iter().filter(|shard| shard.run() == Some(&run)) {
                let _ = fs_err::remove_file(&shard.path);
            }
            forget(layout, slug, &run);
        }
    }
}

/// Whether nothing of a run is under way.
fn is_over(ledger: &RunLedger) -> bool {
    playtrace_ledger::judge::judge(ledger, &std::collections::BTreeSet::new())
        .pending
        .iter()
        .all(|pending| !pending.running)
}

/// Removes a run's ledger.
pub(super) fn forget(layout: &Layout, slug: &Slug, run: &RunToken) {
    // A process that still has a file of it open finds it gone and starts a new one.
    let _ = fs_err::remove_dir_all(layout.run_dir(slug, run));
}

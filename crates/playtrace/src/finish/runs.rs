//! Which runs of a profile there are, and when an older one may go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use playtrace_covdata::shard::ShardInfo;
use playtrace_ledger::judge::judge;
use playtrace_ledger::{Layout, Record, RunLedger};
use playtrace_model::{RunToken, Slug, Status};

use super::VerdictFile;
use crate::messages::Failure;

/// The run with the latest record, or, where a run's ledger is gone, with the latest shard.
pub(super) fn latest(
    layout: &Layout,
    slug: &Slug,
    shards: &[ShardInfo],
) -> Result<Option<RunToken>, Failure> {
    let runs: BTreeSet<RunToken> = layout
        .runs(slug)?
        .into_iter()
        .chain(shards.iter().filter_map(|shard| shard.run().cloned()))
        .collect();
    if runs.len() < 2 {
        // Nothing is to be compared, and a ledger may be large.
        return Ok(runs.into_iter().next());
    }
    let mut latest = None;
    for run in runs {
        let at = ended(&RunLedger::scan(layout, slug, &run)?, &run, shards);
        latest = latest.max(Some((at, run)));
    }
    Ok(latest.map(|(_, run)| run))
}

/// When a run wrote its last record; without any, when its shards were last written.
pub(super) fn ended(ledger: &RunLedger, run: &RunToken, shards: &[ShardInfo]) -> Option<Timestamp> {
    let recorded = ledger.latest().and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
    let written = || {
        let mine = shards.iter().filter(|shard| shard.run() == Some(run));
        Timestamp::try_from(mine.filter_map(|shard| shard.modified).max()?).ok()
    };
    recorded.or_else(written)
}

/// Removes shards and ledgers of older runs that have ended and are no better than the one that was merged. Best effort: what
/// can't be removed now is removed after the next run, and `playtrace shards` lists it.
pub(super) fn retire_older(layout: &Layout, slug: &Slug, merged: &VerdictFile, shards: &[ShardInfo]) {
    let Some(limit) = merged.ended else { return };
    let others = layout.runs(slug).unwrap_or_default().into_iter().filter(|run| *run != merged.run);
    for run in others {
        let Ok(ledger) = RunLedger::scan(layout, slug, &run) else { continue };
        if !is_retired(&ledger, merged.verdict.status, limit) {
            continue;
        }
        for shard in shards.iter().filter(|shard| shard.run() == Some(&run)) {
            let _ = fs_err::remove_file(&shard.path);
        }
        forget(layout, slug, &run);
    }
}

/// A ledger without a record tells nothing, above all not that its run is older, or that its shards were merged.
fn is_retired(ledger: &RunLedger, status: Status, limit: Timestamp) -> bool {
    let Some(at) = ledger.latest() else { return false };
    let merged = |record: &Record| matches!(record, Record::Merged { .. });
    let was_merged = ledger.entries().any(|entry| merged(&entry.record));
    i64::try_from(at).is_ok_and(|at| at < limit.as_millisecond())
        && is_over(ledger)
        // A complete run that nobody has merged yet must not go for a partial one.
        && (was_merged || judge(ledger, &BTreeSet::new()).verdict.status >= status)
}

/// Whether nothing of a run is under way.
fn is_over(ledger: &RunLedger) -> bool {
    judge(ledger, &BTreeSet::new()).pending.iter().all(|pending| !pending.running)
}

/// Removes a run's ledger.
pub(super) fn forget(layout: &Layout, slug: &Slug, run: &RunToken) {
    // A process that still has a file of it open finds it gone and starts a new one.
    let _ = fs_err::remove_dir_all(layout.run_dir(slug, run));
}

//! Which runs of a profile there are, and whose shards are whose.

use std::path::{Path, PathBuf};

use playtrace_covdata::data::Ownership;
use playtrace_covdata::shard::ShardName;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::{RunToken, Slug};

use crate::exit::Exit;
use crate::messages::Failure;

/// A shard in the coverage directory.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    path: PathBuf,
    /// The run that it says it belongs to; `None` if it can't be read or doesn't say.
    pub(super) run: Option<RunToken>,
}

impl Shard {
    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// The shards of a profile, by their names.
pub(super) fn shards_of(dir: &Path, slug: &Slug) -> Result<Vec<Shard>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Io, "PT-MERGE-004", format!("can't read the coverage directory: {error}"))
    };
    let mut shards = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let named = path.file_name().and_then(|name| ShardName::parse(name.to_str()?));
        if named.is_some_and(|name| name.slug == *slug) {
            let run = Ownership::read(&path).ok().and_then(|owner| owner.run);
            shards.push(Shard { path, run });
        }
    }
    shards.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(shards)
}

/// The run with the latest record; without a ledger, the one that the shards agree on.
pub(super) fn latest(layout: &Layout, slug: &Slug, shards: &[Shard]) -> Result<Option<RunToken>, Failure> {
    let mut latest = None;
    for run in layout.runs(slug)? {
        let at = RunLedger::read(layout, slug, &run)?.latest();
        latest = latest.max(Some((at, run)));
    }
    Ok(latest.map(|(_, run)| run).or_else(|| shards.iter().find_map(|shard| shard.run.clone())))
}

/// Removes shards and ledgers of older runs that have ended. Best effort: what can't be removed now is removed after
/// the next run, and `playtrace shards` lists it.
pub(super) fn retire_older(layout: &Layout, slug: &Slug, newest: &RunToken, shards: &[Shard]) {
    let age = |run: &RunToken| RunLedger::read(layout, slug, run).ok();
    let Some(limit) = age(newest).and_then(|ledger| ledger.latest()) else { return };
    for run in layout.runs(slug).unwrap_or_default() {
        if run == *newest {
            continue;
        }
        let ended =
            age(&run).is_some_and(|ledger| ledger.latest().is_none_or(|at| at < limit) && is_over(&ledger));
        if ended {
            for shard in shards.iter().filter(|shard| shard.run.as_ref() == Some(&run)) {
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

//! Shards that stay are combined by hand afterwards: what only the ledger has is put beside them.

use std::path::Path;

use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_covdata::{CovdataError, CoverageData};
use playtrace_ledger::ProcessId;
use playtrace_model::{LineData, RunToken, Slug};

/// Writes a shard with what `behind` has and `shards` (the data of all that lie there) lacks; nothing if that is nothing.
///
/// Agents let lines wait in the ledger where requests follow one another closely, and a process that gets no other request
/// has nothing that would remind it.
pub(super) fn complete(
    (dir, slug, run): (&Path, &Slug, &RunToken),
    behind: &LineData,
    shards: &CoverageData,
) -> Result<(), CovdataError> {
    let missing = behind.difference(&shards.lines());
    if missing.is_empty() {
        return Ok(());
    }
    let ProcessId { host, pid, .. } = ProcessId::current();
    ShardWriter::create(&mut ShardDraft::new()?, dir, (slug, run), (&host, pid), &missing).map(drop)
}

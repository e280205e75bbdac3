//! Shards that stay are combined by hand afterwards: what only the ledger has is put beside them.

use std::path::Path;

use playtrace_covdata::CovdataError;
use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_ledger::ProcessId;
use playtrace_model::{LineData, RunToken, Slug};

/// Writes a shard with `missing`: what the ledger has and no shard that lies there; nothing if that is nothing.
///
/// Agents let lines wait in the ledger where requests follow one another closely, and a process that gets no other request
/// has nothing that would remind it.
pub(super) fn complete(
    (dir, slug, run): (&Path, &Slug, &RunToken),
    missing: &LineData,
) -> Result<(), CovdataError> {
    if missing.is_empty() {
        return Ok(());
    }
    let ProcessId { host, pid, .. } = ProcessId::current();
    ShardWriter::create(&mut ShardDraft::new()?, dir, (slug, run), (&host, pid), missing).map(drop)
}

//! Data that nothing proves: a ledger that was taken away, or cut off between two records, looks like one that never had more.

use playtrace_covdata::merge::FileLines;
use playtrace_ledger::RunLedger;
use playtrace_ledger::judge::Judgement;
use playtrace_model::Status;

use super::earlier::{Earlier, lines_missing};
use super::kind::Kind;

/// Lowers the verdict where `data` (the shards', and what an unfinished merge left) holds more than the ledger (`recorded`) and
/// earlier verdicts vouch for. An agent writes each line to both.
pub(super) fn check(
    data: &FileLines,
    recorded: &FileLines,
    earlier: &Earlier,
    ledger: &RunLedger,
    judgement: &mut Judgement,
) {
    if ledger.writers.is_empty() {
        judgement.verdict.lower(
            Status::Partial,
            "nothing proves this data: no ledger of the run is here (it was taken away, or another tracer wrote the shards)",
        );
        return;
    }
    let explained = judgement.verdict.reasons.iter().any(|reason| reason.starts_with("data lost"));
    if explained || !judgement.pending.is_empty() {
        // Between the two writes a process may be at work still, or was killed.
        return;
    }
    // The ledger has lines; where branches were vouched for, they are no measure.
    if earlier.kind(Kind::Lines, true).is_none() {
        return;
    }
    let mut vouched = recorded.clone();
    earlier.add_lines(&mut vouched, true);
    let missing = lines_missing(data, &vouched);
    if let [(path, _), ..] = missing.as_slice() {
        let count: usize = missing.iter().map(|(_, count)| count).sum();
        judgement.verdict.lower(
            Status::Partial,
            format!(
                "data lost: a part of the ledger is gone: no record has {count} of the lines in the shards (the first file is {path})"
            ),
        );
    }
}

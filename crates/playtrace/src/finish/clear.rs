//! Taking away the shards that a merge has read.

use std::path::{Path, PathBuf};

use playtrace_covdata::CovdataError;
use playtrace_covdata::data::ContextPolicy;
use playtrace_covdata::merge::{MergeOptions, MergeOutcome, Union, holds_all, merge_files, remove_inputs};

/// How often a shard that was written to meanwhile is looked at again.
const LOOKS: usize = 3;

/// Removes the inputs of a merge whose data is safe on disk in `data_file`; a sentence for each that stays.
///
/// A process that caught up while we merged wrote lines that its ledger had told already (ADR-0002): its shard has changed
/// and goes all the same, as long as the merged file has all that it holds.
pub(super) fn remove_merged(
    outcome: &MergeOutcome<Union>,
    data_file: &Path,
    contexts: ContextPolicy,
) -> Vec<String> {
    let kept = remove_inputs(outcome, data_file).into_iter();
    kept.filter_map(|kept| remove_again(kept, data_file, contexts))
        .map(|(path, why)| format!("{} was merged and stays: {why}", path.display()))
        .collect()
}

/// Removes a shard that changed while it was merged, if it may go; it and the reason if it stays.
fn remove_again(
    (path, mut why): (PathBuf, CovdataError),
    data_file: &Path,
    contexts: ContextPolicy,
) -> Option<(PathBuf, CovdataError)> {
    let options = MergeOptions { contexts, ..MergeOptions::default() };
    for _ in 0..LOOKS {
        if !matches!(why, CovdataError::Changed { .. }) {
            break;
        }
        let again = merge_files(std::slice::from_ref(&path), &options, &|| ()).ok();
        let is_held =
            |again: &MergeOutcome<Union>| again.problems.is_empty() && holds_all(data_file, &again.data);
        let Some(again) = again.filter(is_held) else { break };
        why = remove_inputs(&again, data_file).pop()?.1;
    }
    Some((path, why))
}

#[cfg(test)]
mod tests {
    use playtrace_covdata::data::Ownership;
    use playtrace_covdata::merge::Gathering;
    use playtrace_covdata::shard::{ShardDraft, ShardWriter};
    use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken};

    use super::*;

    fn lines(context: &str, lines: &[u32]) -> LineData {
        let mut data = LineData::new();
        data.add(
            &ContextLabel::new(context),
            &MeasuredPath::new("/app/a.py"),
            &lines.iter().copied().collect(),
        );
        data
    }

    /// A shard with line 1 is merged, and gets `late` before it would be taken away; `told` is what the ledger added.
    fn left(contexts: ContextPolicy, told: &[u32], late: &[u32]) -> (Vec<String>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let of = (&"a".parse().unwrap(), &RunToken::untokened());
        let label = "profile:a:step:1";
        let mut draft = ShardDraft::new().unwrap();
        let mut writer =
            ShardWriter::create(&mut draft, dir.path(), of, ("host", 1), &lines(label, &[1])).unwrap();
        let shard = writer.path().to_owned();
        let options = MergeOptions { contexts, ..MergeOptions::default() };
        let mut gathering = Gathering::default();
        gathering.add_lines(&lines(label, told)).unwrap();
        let read = gathering.read(std::slice::from_ref(&shard), &options, &|| ()).unwrap();
        let outcome = gathering.finish(read, Some(false), &options).unwrap();
        writer.add(&lines(label, late)).unwrap();
        let output = dir.path().join("a.coverage");
        outcome.data.stage(&output, &Ownership::default()).unwrap().place().unwrap();
        (remove_merged(&outcome, &output, contexts), shard.exists())
    }

    #[test]
    fn a_shard_that_caught_up_with_its_ledger_goes() {
        for contexts in [ContextPolicy::Keep, ContextPolicy::Profile, ContextPolicy::Drop] {
            assert_eq!(left(contexts, &[2, 3], &[2, 3]), (Vec::new(), false), "{contexts:?}");
        }
    }

    #[test]
    fn one_with_lines_that_nobody_else_has_stays() {
        let (sentences, exists) = left(ContextPolicy::Keep, &[2], &[2, 3]);
        assert!(exists);
        assert!(sentences.len() == 1 && sentences[0].contains("merge again"), "{sentences:?}");
    }
}

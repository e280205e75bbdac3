//! Reads the inputs of a merge on all cores.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::ahead::{Ahead, Turn};
use super::gather::Gatherer;
use super::gathering::Gathering;
use super::union::Union;
use super::{MergeOptions, MergeOutcome};
use crate::CovdataError;
use crate::data::{Ownership, Raw, Reader, State};

/// What all threads together keep of rows in memory, in bytes; the rest goes to temporary files.
pub(super) const BUDGET: usize = 128 << 20;

/// What is known of one input.
pub(super) struct Facts {
    state: State,
    owner: Ownership,
    fingerprint: u64,
    has_arcs: Option<bool>,
}

pub(super) type Read = (usize, Result<Facts, CovdataError>);

/// Reads `inputs` in parallel and takes their union; `progress` is called as each of them is done, from any thread.
///
/// An input that can't be read is named in the outcome, the others are merged. An error means that the
/// readable ones don't go together; nothing has been touched then either. Memory stays bounded: what is too much for
/// it goes to temporary files (in `TMPDIR`).
pub fn merge_files(
    inputs: &[PathBuf],
    options: &MergeOptions,
    progress: &(dyn Fn() + Sync),
) -> Result<MergeOutcome<Union>, CovdataError> {
    merge_within(BUDGET, inputs, options, progress)
}

pub(super) fn merge_within(
    budget: usize,
    inputs: &[PathBuf],
    options: &MergeOptions,
    progress: &(dyn Fn() + Sync),
) -> Result<MergeOutcome<Union>, CovdataError> {
    let mut gathering = Gathering::silent(budget);
    let read = gathering.read(inputs, options, progress)?;
    let has_arcs = read.data;
    gathering.finish(read, has_arcs, options)
}

/// What became of inputs, and whether they hold lines or branches.
pub(super) fn sort_out(
    inputs: &[PathBuf],
    read: Vec<Read>,
) -> Result<MergeOutcome<Option<bool>>, CovdataError> {
    let mut outcome = MergeOutcome::<Option<bool>>::default();
    let mut seen = BTreeSet::new();
    let mut kinds = [None, None];
    for (input, result) in read {
        let path = &inputs[input];
        let facts = match result {
            Ok(facts) => facts,
            Err(problem) => {
                outcome.problems.push((path.clone(), problem));
                continue;
            }
        };
        outcome.states.push((path.clone(), facts.state));
        outcome.owners.insert((facts.owner.slug.map(Into::into), facts.owner.run.map(Into::into)));
        // Its data is in the union all the same: should two fingerprints ever meet, nothing is lost.
        let is_new = seen.insert(facts.fingerprint);
        let kind = if is_new { &mut outcome.merged } else { &mut outcome.duplicates };
        kind.push(path.clone());
        if let Some(has_arcs) = facts.has_arcs {
            kinds[usize::from(has_arcs)].get_or_insert(path);
        }
    }
    outcome.data = match kinds {
        [Some(lines), Some(arcs)] => {
            return Err(CovdataError::Mixed { lines: lines.clone(), arcs: arcs.clone() });
        }
        [Some(_), None] => Some(false),
        [None, Some(_)] => Some(true),
        [None, None] => None,
    };
    Ok(outcome)
}

/// A temporary file that can't be made, written or read.
pub(super) fn no_room(source: io::Error) -> CovdataError {
    CovdataError::Io { action: "keep rows in a temporary file in", path: std::env::temp_dir(), source }
}

/// How many threads read so many inputs.
pub(super) fn threads_for(inputs: usize) -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).clamp(1, inputs.max(1))
}

/// Reads with one thread for each of the `gatherers`.
pub(super) fn read_all(
    gatherers: Vec<Gatherer>,
    inputs: &[PathBuf],
    prune_branches: bool,
    progress: &(dyn Fn() + Sync),
) -> io::Result<(Vec<Gatherer>, Vec<Read>)> {
    let ahead = Ahead::new(inputs);
    let share = inputs.len().div_ceil(gatherers.len().max(1));
    let work = |mut gatherer: Gatherer| -> io::Result<(Gatherer, Vec<Read>)> {
        let (mut reader, mut raw) = (Reader::default(), Raw::default());
        let mut read = Vec::new();
        let mut has_room = gatherer.is_telling();
        loop {
            let Some(names) = ahead.next() else { return Ok((gatherer, read)) };
            for turn in names {
                let input = turn.input;
                let facts = read_one(turn, prune_branches, &mut reader, &mut raw, &mut gatherer)?;
                read.push((input, facts));
                if !has_room && gatherer.is_telling() {
                    gatherer.expect(share.div_ceil(read.len()));
                    has_room = true;
                }
                progress();
            }
        }
    };
    let work = &work;
    let mut done = std::thread::scope(|scope| {
        let mut gatherers = gatherers.into_iter();
        let mine = gatherers.next();
        let others: Vec<_> = gatherers.map(|gatherer| scope.spawn(move || work(gatherer))).collect();
        let mut done: Vec<_> = mine.map(work).into_iter().collect();
        for thread in others {
            done.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done.into_iter().collect::<io::Result<Vec<_>>>()
    })?;
    let mut read: Vec<Read> = done.iter_mut().flat_map(|(_, read)| std::mem::take(read)).collect();
    read.sort_unstable_by_key(|(input, _)| *input);
    Ok((done.into_iter().map(|(gatherer, _)| gatherer).collect(), read))
}

/// The outer error is one of the disk on which rows are kept, the inner one the input's.
fn read_one(
    turn: Turn<'_>,
    prune_branches: bool,
    reader: &mut Reader,
    raw: &mut Raw,
    gatherer: &mut Gatherer,
) -> io::Result<Result<Facts, CovdataError>> {
    let mut kept = Ok(());
    let mut take = |part: &Raw| {
        if kept.is_ok() {
            kept = if prune_branches { gatherer.take_rows(&part.pruned()) } else { gatherer.take_rows(part) };
        }
    };
    let Turn { input, path, early } = turn;
    if let Err(error) = reader.read_opened(path, early, raw, &mut take) {
        return kept.map(|()| Err(error));
    }
    kept?;
    let fingerprint = raw.fingerprint();
    if prune_branches {
        raw.prune_branches();
    }
    gatherer.take_rows(raw)?;
    gatherer.take_plugins(raw, input);
    let owner = Ownership::of(&raw.meta);
    // It is there whenever a file has been read.
    let Some(state) = raw.state.take() else {
        return Ok(Err(CovdataError::Missing { path: path.to_owned() }));
    };
    Ok(Ok(Facts { state, owner, fingerprint, has_arcs: raw.has_arcs }))
}

#[cfg(test)]
mod tests {
    use playtrace_model::{ContextLabel, LineData, MeasuredPath};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::data::{ArcData, CoverageData, Measured};

    fn data(arcs: bool, rows: &[(u8, u8, Vec<u16>)]) -> CoverageData {
        let (mut lines, mut found) = (LineData::new(), ArcData::default());
        for (context, file, numbers) in rows {
            let context = ContextLabel::new(format!("c{context}"));
            let path = MeasuredPath::new(format!("f{file}.py"));
            lines.add(&context, &path, &numbers.iter().map(|line| u32::from(*line) + 1).collect());
            for line in numbers {
                found.add(&context, &path, (-1, i32::from(*line)));
            }
        }
        let mut data = CoverageData::from_lines(lines);
        if arcs {
            data.measured = Measured::Arcs(found);
        }
        data
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_does_not_fit_into_memory_is_merged_all_the_same(
            arcs: bool,
            parts in proptest::collection::vec(
                proptest::collection::vec((0u8..9, 0u8..9, proptest::collection::vec(0u16..900, 1..9)), 0..30), 1..9)
        ) {
            let dir = TempDir::new().unwrap();
            let paths: Vec<PathBuf> = (0..parts.len()).map(|part| dir.path().join(part.to_string())).collect();
            for (part, path) in parts.iter().zip(&paths) {
                data(arcs, part).write(path, &Ownership::default()).unwrap();
            }
            let merged = |budget| merge_within(budget, &paths, &MergeOptions::default(), &|| ()).unwrap();
            let (whole, spilled) = (merged(BUDGET), merged(64));
            let files = ["whole", "spilled"].map(|name| dir.path().join(name));
            for (outcome, file) in [&whole, &spilled].into_iter().zip(&files) {
                outcome.data.stage(file, &Ownership::default()).unwrap().place().unwrap();
            }
            prop_assert_eq!(fs_err::read(&files[0]).unwrap(), fs_err::read(&files[1]).unwrap());
            let mut expected = CoverageData::default();
            for part in &parts {
                assert!(expected.include(data(arcs, part)));
            }
            prop_assert_eq!(spilled.data.into_data().unwrap(), expected);
        }
    }
}

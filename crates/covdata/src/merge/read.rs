//! Reads the inputs of a merge on all cores.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use playtrace_model::{ContextLabel, MeasuredPath};

use super::gather::Gatherer;
use super::paths::Mapping;
use super::union::{Numbers, Union};
use super::{MergeOptions, MergeOutcome};
use crate::CovdataError;
use crate::data::{Ownership, Raw, Reader, State};

/// What all threads together keep of rows in memory, in bytes; the rest goes to temporary files.
const BUDGET: usize = 128 << 20;

/// What is known of one input.
struct Facts {
    state: State,
    owner: Ownership,
    fingerprint: u64,
    has_arcs: Option<bool>,
}

type Read = (usize, Result<Facts, CovdataError>);

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

fn merge_within(
    budget: usize,
    inputs: &[PathBuf],
    options: &MergeOptions,
    progress: &(dyn Fn() + Sync),
) -> Result<MergeOutcome<Union>, CovdataError> {
    let inputs: BTreeSet<&PathBuf> = inputs.iter().collect();
    let inputs: Vec<&Path> = inputs.into_iter().map(PathBuf::as_path).collect();
    let (gathered, read) = read_all(budget, &inputs, options.prune_branches, progress).map_err(no_room)?;

    let mut outcome = MergeOutcome::<Union>::default();
    let mut seen = BTreeSet::new();
    let mut kinds = [None, None];
    for (input, result) in read {
        let path = inputs[input];
        let facts = match result {
            Ok(facts) => facts,
            Err(problem) => {
                outcome.problems.push((path.to_owned(), problem));
                continue;
            }
        };
        outcome.states.insert(path.to_owned(), facts.state);
        outcome.owners.insert((facts.owner.slug.map(Into::into), facts.owner.run.map(Into::into)));
        // Its data is in the union all the same: should two fingerprints ever meet, nothing is lost.
        let is_new = seen.insert(facts.fingerprint);
        let kind = if is_new { &mut outcome.merged } else { &mut outcome.duplicates };
        kind.push(path.to_owned());
        if let Some(has_arcs) = facts.has_arcs {
            kinds[usize::from(has_arcs)].get_or_insert(path);
        }
    }
    let has_arcs = match kinds {
        [Some(lines), Some(arcs)] => {
            return Err(CovdataError::Mixed { lines: lines.to_owned(), arcs: arcs.to_owned() });
        }
        [Some(_), None] => Some(false),
        [None, Some(_)] => Some(true),
        [None, None] => None,
    };
    outcome.data.has_arcs = has_arcs;
    name(&mut outcome, gathered, &inputs, options)?;
    Ok(outcome)
}

/// A temporary file that can't be made, written or read.
pub(super) fn no_room(source: io::Error) -> CovdataError {
    CovdataError::Io { action: "keep rows in a temporary file in", path: std::env::temp_dir(), source }
}

fn read_all(
    budget: usize,
    inputs: &[&Path],
    prune_branches: bool,
    progress: &(dyn Fn() + Sync),
) -> io::Result<(Vec<Gatherer>, Vec<Read>)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, inputs.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<(Gatherer, Vec<Read>)> {
        let mut gatherer = Gatherer::new(budget / threads);
        let (mut reader, mut raw) = (Reader::default(), Raw::default());
        let mut read = Vec::new();
        loop {
            let input = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = inputs.get(input) else { return Ok((gatherer, read)) };
            let facts = read_one(path, input, prune_branches, &mut reader, &mut raw, &mut gatherer)?;
            read.push((input, facts));
            progress();
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = vec![work()];
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
    path: &Path,
    input: usize,
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
    if let Err(error) = reader.read(path, raw, &mut take) {
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

/// Gives files and contexts their names and numbers in the output.
fn name(
    outcome: &mut MergeOutcome<Union>,
    gathered: Vec<Gatherer>,
    inputs: &[&Path],
    options: &MergeOptions,
) -> Result<(), CovdataError> {
    let texts = |of: fn(&Gatherer) -> Vec<&str>| -> BTreeSet<&str> { gathered.iter().flat_map(of).collect() };
    let files: Vec<MeasuredPath> =
        texts(|gatherer| gatherer.files.texts()).into_iter().map(MeasuredPath::new).collect();
    let mapping = Mapping::new(&options.paths, files.iter());
    let new_file = |old: &str| mapping.get(&MeasuredPath::new(old)).clone();
    let new_context = |old: &str| options.contexts.apply(&ContextLabel::new(old));
    let mut file_numbers: BTreeMap<MeasuredPath, u32> =
        files.iter().map(|file| (mapping.get(file).clone(), 0)).collect();
    let mut context_numbers: BTreeMap<ContextLabel, u32> =
        texts(|gatherer| gatherer.contexts.texts()).into_iter().map(|text| (new_context(text), 0)).collect();
    file_numbers.values_mut().zip(1..).for_each(|(number, new)| *number = new);
    context_numbers.values_mut().zip(1..).for_each(|(number, new)| *number = new);

    let numbers: Vec<Numbers> = gathered
        .iter()
        .map(|gatherer| Numbers {
            files: gatherer.files.texts().into_iter().map(|text| file_numbers[&new_file(text)]).collect(),
            contexts: gatherer
                .contexts
                .texts()
                .into_iter()
                .map(|text| context_numbers[&new_context(text)])
                .collect(),
        })
        .collect();
    let names: Vec<MeasuredPath> = file_numbers.into_keys().collect();
    outcome.data.tracers = plugins(&gathered, &numbers, &names, inputs)?;
    outcome.data.files = names;
    outcome.data.contexts = context_numbers.into_keys().collect();
    outcome.data.add_all(gathered.into_iter().zip(numbers).collect()).map_err(no_room)?;
    outcome.unmapped = mapping.unmapped;
    Ok(())
}

/// The plug-ins of files: one measured file is measured by one plug-in, or by none, in all inputs that have it.
fn plugins(
    gathered: &[Gatherer],
    numbers: &[Numbers],
    names: &[MeasuredPath],
    inputs: &[&Path],
) -> Result<BTreeMap<u32, String>, CovdataError> {
    let mut said: BTreeMap<u32, BTreeMap<&str, usize>> = BTreeMap::new();
    if gathered.iter().all(|gatherer| gatherer.plugged.is_empty()) {
        return Ok(BTreeMap::new());
    }
    for (gatherer, numbers) in gathered.iter().zip(numbers) {
        let plain = gatherer.plain.iter().zip(0..).filter(|(input, _)| **input != usize::MAX);
        let plain = plain.map(|(input, file)| ((file, ""), input));
        let plugged = gatherer.plugged.iter().map(|((file, name), input)| ((*file, name.as_str()), input));
        for ((file, name), input) in plain.chain(plugged) {
            let first = said.entry(numbers.files[file as usize]).or_default().entry(name).or_insert(*input);
            *first = (*first).min(*input);
        }
    }
    let mut plugins = BTreeMap::new();
    for (file, said) in said {
        let mut by_input: Vec<(usize, &str)> = said.into_iter().map(|(name, input)| (input, name)).collect();
        by_input.sort_unstable();
        if let [(first_in, first), (second_in, second), ..] = by_input[..] {
            return Err(CovdataError::TracerConflict {
                measured: names[file as usize - 1].to_string(),
                first: first.to_owned(),
                first_in: inputs[first_in].to_owned(),
                second: second.to_owned(),
                second_in: inputs[second_in].to_owned(),
            });
        }
        plugins.extend(
            by_input.first().filter(|(_, name)| !name.is_empty()).map(|(_, name)| (file, (*name).to_owned())),
        );
    }
    Ok(plugins)
}

#[cfg(test)]
mod tests {
    use playtrace_model::LineData;
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

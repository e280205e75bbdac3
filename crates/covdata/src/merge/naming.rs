//! The names of files and contexts in a merged file, and their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use playtrace_model::{ContextLabel, MeasuredPath};

use super::gather::{Gatherer, Rows};
use super::paths::Mapping;
use super::read::no_room;
use super::union::{Numbers, Union};
use super::{MergeOptions, MergeOutcome};
use crate::CovdataError;

/// Gives files and contexts their names and numbers in the output, and sorts all rows under them. `tracers` are the plug-ins of
/// files that count whatever inputs say.
pub(super) fn name(
    (gathered, inputs, tracers): (Vec<Gatherer>, &[PathBuf], BTreeMap<MeasuredPath, String>),
    read: MergeOutcome<Option<bool>>,
    has_arcs: Option<bool>,
    options: &MergeOptions,
) -> Result<MergeOutcome<Union>, CovdataError> {
    let MergeOutcome { merged, duplicates, problems, owners, states, .. } = read;
    let mut union = Union::default();
    union.has_arcs = has_arcs;
    let texts = |of: fn(&Gatherer) -> Vec<&str>| -> BTreeSet<&str> { gathered.iter().flat_map(of).collect() };
    let files: Vec<MeasuredPath> =
        texts(|gatherer| gatherer.files.texts()).into_iter().map(MeasuredPath::new).collect();
    let mapping = Mapping::new(&options.paths, files.iter());
    let mut file_numbers: BTreeMap<MeasuredPath, u32> =
        files.iter().map(|file| (mapping.get(file).clone(), 0)).collect();
    file_numbers.values_mut().zip(1..).for_each(|(number, new)| *number = new);

    // There may be as many contexts as there are requests in a night: they are numbered without a tree of them.
    let new_context = |old: &str| options.contexts.apply(&ContextLabel::new(old));
    let mut contexts: Vec<ContextLabel> =
        gathered.iter().flat_map(|gatherer| gatherer.contexts.texts()).map(new_context).collect();
    contexts.sort_unstable();
    contexts.dedup();
    let context_number = |old: &str| {
        let at = contexts.binary_search(&new_context(old)).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "so many names don't fit into memory")]
        let number = at as u32 + 1;
        number
    };
    let numbers: Vec<Numbers> = gathered
        .iter()
        .map(|gatherer| {
            let files = gatherer.files.texts().into_iter();
            let contexts = gatherer.contexts.texts().into_iter();
            Numbers {
                files: files.map(|text| file_numbers[mapping.get(&MeasuredPath::new(text))]).collect(),
                contexts: contexts.map(context_number).collect(),
            }
        })
        .collect();
    let names: Vec<MeasuredPath> = file_numbers.into_keys().collect();
    union.tracers = plugins(&gathered, &numbers, &names, inputs)?;
    for (path, tracer) in tracers {
        if let Ok(at) = names.binary_search(mapping.get(&path)) {
            #[expect(clippy::cast_possible_truncation, reason = "so many names don't fit into memory")]
            union.tracers.insert(at as u32 + 1, tracer);
        }
    }
    union.files = names;
    union.contexts = contexts;
    let rows = gathered.into_iter().map(Rows::from).zip(numbers).collect();
    union.add_all(rows).map_err(no_room)?;
    Ok(MergeOutcome { data: union, merged, duplicates, problems, unmapped: mapping.unmapped, owners, states })
}

/// The plug-ins of files: one measured file is measured by one plug-in, or by none, in all inputs that have it.
fn plugins(
    gathered: &[Gatherer],
    numbers: &[Numbers],
    names: &[MeasuredPath],
    inputs: &[PathBuf],
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
                first_in: inputs[first_in].clone(),
                second: second.to_owned(),
                second_in: inputs[second_in].clone(),
            });
        }
        plugins.extend(
            by_input.first().filter(|(_, name)| !name.is_empty()).map(|(_, name)| (file, (*name).to_owned())),
        );
    }
    Ok(plugins)
}

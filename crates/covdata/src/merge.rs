//! Many data files into one.

mod inputs;
mod output;
mod paths;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use playtrace_model::MeasuredPath;
use rayon::prelude::*;

use crate::CovdataError;
use crate::data::{ContextPolicy, CoverageData, Measured, Ownership, Raw, State, read_raw};

pub use inputs::combinable_files;
pub use output::{Fate, remove_inputs, write_merged};
pub use paths::PathMap;

/// How to merge.
#[derive(Debug, Clone, Default)]
pub struct MergeOptions {
    /// Renames measured files (`[paths]`).
    pub paths: PathMap,
    /// Turns branch data into lines first.
    pub prune_branches: bool,
    /// What becomes of contexts.
    pub contexts: ContextPolicy,
}

/// What a merge came to; nothing on disk has changed yet.
#[derive(Debug, Default)]
pub struct MergeOutcome {
    /// The union of all inputs that could be read.
    pub data: CoverageData,
    /// The inputs that are in it, sorted; duplicates are not among them.
    pub merged: Vec<PathBuf>,
    /// Inputs with the same rows as another one, sorted: all that they hold is in the data as well.
    pub duplicates: Vec<PathBuf>,
    /// Inputs that could not be read, sorted. They are never removed.
    pub problems: Vec<(PathBuf, CovdataError)>,
    /// Measured files that a rule for paths fits, but whose new name does not exist as a file: they keep
    /// their name, and the data of one source file may lie under two.
    pub unmapped: Vec<(MeasuredPath, String)>,
    /// The profiles and runs that the inputs say they belong to.
    pub owners: BTreeSet<(Option<String>, Option<String>)>,
    states: BTreeMap<PathBuf, State>,
}

impl MergeOutcome {
    /// The one profile and run that all inputs belong to; what they don't agree on is `None`.
    pub fn ownership(&self) -> Ownership {
        let slugs: BTreeSet<_> = self.owners.iter().map(|(slug, _)| slug).collect();
        let runs: BTreeSet<_> = self.owners.iter().map(|(_, run)| run).collect();
        let only = |texts: &BTreeSet<&Option<String>>| match texts.iter().next() {
            Some(text) if texts.len() == 1 => (*text).clone(),
            _ => None,
        };
        Ownership {
            slug: only(&slugs).and_then(|text| text.parse().ok()),
            run: only(&runs).and_then(|text| text.try_into().ok()),
        }
    }
}

/// Reads `inputs` in parallel and takes their union.
///
/// An input that can't be read is named in the outcome, the others are merged. An error means that the
/// readable ones don't go together; nothing has been touched then either.
pub fn merge(inputs: &[PathBuf], options: &MergeOptions) -> Result<MergeOutcome, CovdataError> {
    let inputs: BTreeSet<&PathBuf> = inputs.iter().collect();
    let inputs: Vec<&PathBuf> = inputs.into_iter().collect();
    let mut outcome = MergeOutcome::default();
    let mut read: Vec<(&Path, Raw)> = Vec::with_capacity(inputs.len());
    let mut seen = BTreeSet::new();
    for (path, result) in inputs.par_iter().map(|path| (*path, read_raw(path))).collect::<Vec<_>>() {
        let mut raw = match result {
            Ok(raw) => raw,
            Err(problem) => {
                outcome.problems.push((path.clone(), problem));
                continue;
            }
        };
        outcome.states.insert(path.clone(), raw.state.clone());
        let owner = Ownership::of(&raw.meta);
        outcome.owners.insert((owner.slug.map(Into::into), owner.run.map(Into::into)));
        // Its data is merged all the same: should two fingerprints ever meet, nothing is lost.
        let kind = if seen.insert(fingerprint(&raw)) { &mut outcome.merged } else { &mut outcome.duplicates };
        kind.push(path.clone());
        if options.prune_branches {
            raw.prune_branches();
        }
        read.push((path, raw));
    }
    let has_arcs = one_kind(&read)?;
    let map = paths::Mapping::new(&options.paths, read.iter().flat_map(|(_, raw)| &raw.files));
    check_tracers(&read, &map)?;
    outcome.data = union(read.into_iter().map(|(_, raw)| raw).collect(), has_arcs, &map);
    outcome.data.relabel(options.contexts);
    outcome.unmapped = map.unmapped;
    Ok(outcome)
}

/// Lines or arcs: whatever the inputs agree on.
fn one_kind(read: &[(&Path, Raw)]) -> Result<Option<bool>, CovdataError> {
    let first =
        |wanted: bool| read.iter().find(|(_, raw)| raw.has_arcs == Some(wanted)).map(|(path, _)| *path);
    match (first(false), first(true)) {
        (Some(lines), Some(arcs)) => {
            Err(CovdataError::Mixed { lines: lines.to_owned(), arcs: arcs.to_owned() })
        }
        (Some(_), None) => Ok(Some(false)),
        (None, Some(_)) => Ok(Some(true)),
        (None, None) => Ok(None),
    }
}

/// One measured file is measured by one plug-in, or by none, in all inputs that have it.
fn check_tracers(read: &[(&Path, Raw)], map: &paths::Mapping) -> Result<(), CovdataError> {
    if read.iter().all(|(_, raw)| raw.tracers.is_empty()) {
        return Ok(());
    }
    let mut known: BTreeMap<&MeasuredPath, (&str, &Path)> = BTreeMap::new();
    for (path, raw) in read {
        let named: BTreeMap<usize, &str> =
            raw.tracers.iter().map(|(at, name)| (*at, name.as_str())).collect();
        for (at, file) in raw.files.iter().enumerate() {
            let second = named.get(&at).copied().unwrap_or_default();
            let (first, first_in) = *known.entry(map.get(file)).or_insert((second, path));
            if first != second {
                return Err(CovdataError::TracerConflict {
                    measured: map.get(file).to_string(),
                    first: first.to_owned(),
                    first_in: first_in.to_owned(),
                    second: second.to_owned(),
                    second_in: (*path).to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn union(raws: Vec<Raw>, has_arcs: Option<bool>, map: &paths::Mapping) -> CoverageData {
    let empty = || {
        let mut data = CoverageData::default();
        data.expect(has_arcs);
        data
    };
    raws.into_par_iter()
        .fold(empty, |mut data, raw| {
            let names: Vec<_> = raw.files.iter().map(|file| map.get(file).clone()).collect();
            data.take(raw, &names);
            data
        })
        .reduce(empty, |mut a, b| {
            a.absorb(b);
            a
        })
}

impl CoverageData {
    /// Adds all of `other`; lines and branches don't go together.
    ///
    /// Says whether it did.
    pub fn include(&mut self, other: Self) -> bool {
        let fits = !matches!(
            (&self.measured, &other.measured),
            (Measured::Lines(_), Measured::Arcs(_)) | (Measured::Arcs(_), Measured::Lines(_))
        );
        if fits {
            self.absorb(other);
        }
        fits
    }

    /// Adds data of the same kind.
    fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        self.contexts.extend(other.contexts);
        self.tracers.extend(other.tracers);
        match (&mut self.measured, other.measured) {
            (Measured::Lines(mine), Measured::Lines(theirs)) => mine.union_with(&theirs),
            (Measured::Arcs(mine), Measured::Arcs(theirs)) => mine.union_with(theirs),
            (mine @ Measured::Nothing, theirs) => *mine = theirs,
            _ => {}
        }
    }
}

/// A number that differs when rows differ (for all that matters: see its use).
fn fingerprint(raw: &Raw) -> u64 {
    let mut hasher = DefaultHasher::new();
    raw.files.hash(&mut hasher);
    raw.contexts.hash(&mut hasher);
    raw.has_arcs.hash(&mut hasher);
    for (file, context, lines) in &raw.lines {
        (file, context, lines.as_numbits()).hash(&mut hasher);
    }
    raw.arcs.hash(&mut hasher);
    raw.tracers.hash(&mut hasher);
    hasher.finish()
}

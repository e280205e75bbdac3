//! Many data files into one.

mod ahead;
mod gather;
mod gathering;
mod held;
mod inputs;
mod naming;
mod notes;
mod output;
mod paths;
mod read;
mod union;

use std::collections::BTreeSet;
use std::path::PathBuf;

use playtrace_model::MeasuredPath;

use crate::CovdataError;
use crate::data::{ContextPolicy, CoverageData, Measured, Ownership, State};

pub use gathering::{FileLines, Found, Gathering};
pub use held::holds_all;
pub use inputs::combinable_files;
pub use output::{Fate, Stage, remove_inputs, write_merged};
pub use paths::PathMap;
#[doc(hidden)]
pub use paths::remapped;
pub use read::merge_files;
pub use union::Union;

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
pub struct MergeOutcome<D = CoverageData> {
    /// The union of all inputs that could be read.
    pub data: D,
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
    states: Vec<(PathBuf, State)>,
}

impl<D> MergeOutcome<D> {
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

/// As [`merge_files`], with the union as a value.
pub fn merge(inputs: &[PathBuf], options: &MergeOptions) -> Result<MergeOutcome, CovdataError> {
    let MergeOutcome { data, merged, duplicates, problems, unmapped, owners, states } =
        merge_files(inputs, options, &|| ())?;
    let data = data.into_data().map_err(read::no_room)?;
    Ok(MergeOutcome { data, merged, duplicates, problems, unmapped, owners, states })
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

//! A merge in steps: data of several kinds is gathered, and what has to be known about each kind is kept while it passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use playtrace_model::{LineBits, LineData, MeasuredPath};

use super::gather::Gatherer;
use super::notes::{ByFile, Watch};
use super::read::{BUDGET, no_room, read_all, sort_out, threads_for};
use super::{MergeOptions, MergeOutcome, Union, naming};
use crate::CovdataError;
use crate::data::{Raw, Reader};

/// Lines by file, whatever their context.
pub type FileLines = BTreeMap<MeasuredPath, LineBits>;

/// Rows of many sources, on their way to a [`Union`]. Memory stays bounded: what is too much for it goes to temporary files
/// (in `TMPDIR`).
#[derive(Debug)]
pub struct Gathering {
    budget: usize,
    gatherers: Vec<Gatherer>,
    inputs: Vec<PathBuf>,
    /// Lines that are looked for in inputs, and those of them that were there.
    watched: Option<(Arc<LineData>, LineData)>,
    /// The plug-ins of files that were added and are no inputs.
    tracers: BTreeMap<MeasuredPath, String>,
}

/// What was found of one kind of data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its lines; of branches, their ends.
    pub lines: FileLines,
    /// Whether it is branches or lines; none if it doesn't say and has neither.
    pub has_arcs: Option<bool>,
}

impl Default for Gathering {
    fn default() -> Self {
        Self::within(BUDGET)
    }
}

impl Gathering {
    /// Keeps about so many bytes of rows in memory.
    #[doc(hidden)]
    pub fn within(budget: usize) -> Self {
        let mut gathering = Self::silent(budget);
        gathering.gatherers[0].by_file = Some(ByFile::default());
        gathering
    }

    /// The same for one that is never asked what it found.
    pub(super) fn silent(budget: usize) -> Self {
        let first = Gatherer::new(budget / threads_for(usize::MAX));
        Self { budget, gatherers: vec![first], inputs: Vec::new(), watched: None, tracers: BTreeMap::new() }
    }

    /// Adds lines that no data file holds.
    pub fn add_lines(&mut self, lines: &LineData) -> Result<(), CovdataError> {
        self.gatherers[0].take_lines(lines).map_err(no_room)
    }

    /// Adds a data file that is no input: it is not among what was merged, and its plug-ins replace what others say.
    pub fn add_file(&mut self, path: &Path) -> Result<Found, CovdataError> {
        let mut raw = Raw::default();
        let (mut kept, gatherer) = (Ok(()), &mut self.gatherers[0]);
        let mut take = |part: &Raw| {
            if kept.is_ok() {
                kept = gatherer.take_rows(part);
            }
        };
        Reader::default().read(path, &mut raw, &mut take)?;
        take(&raw);
        kept.map_err(no_room)?;
        for (file, tracer) in &raw.tracers {
            self.tracers
                .extend(raw.files.iter().nth(*file).map(|name| (MeasuredPath::new(name), tracer.clone())));
        }
        Ok(Found { has_arcs: raw.has_arcs, lines: self.lines_since() })
    }

    /// From now on, it is noted which of these lines inputs hold, each under its context.
    pub fn watch(&mut self, wanted: LineData) {
        self.watched = (!wanted.is_empty()).then(|| (Arc::new(wanted), LineData::new()));
    }

    /// The lines that were watched for and that no input holds.
    pub fn not_found(&self) -> LineData {
        self.watched.as_ref().map(|(wanted, found)| wanted.difference(found)).unwrap_or_default()
    }

    /// The lines of all that was gathered since the last time that this was asked.
    pub fn lines_since(&mut self) -> FileLines {
        let mut lines = FileLines::new();
        for gatherer in &mut self.gatherers {
            if let Some(mine) = &mut gatherer.by_file {
                std::mem::take(mine).name(&gatherer.files.texts(), &mut lines);
            }
        }
        lines
    }

    /// Reads `inputs` in parallel; `progress` is called as each of them is done, from any thread.
    ///
    /// An input that can't be read is named in the outcome, the others are gathered. An error means that the
    /// readable ones don't go together; nothing has been touched then either.
    pub fn read(
        &mut self,
        inputs: &[PathBuf],
        options: &MergeOptions,
        progress: &(dyn Fn() + Sync),
    ) -> Result<MergeOutcome<Option<bool>>, CovdataError> {
        self.inputs = inputs.to_vec();
        self.inputs.sort();
        self.inputs.dedup();
        let threads = threads_for(self.inputs.len()).max(self.gatherers.len());
        let mut gatherers = std::mem::take(&mut self.gatherers);
        let is_asked = gatherers.iter().any(|gatherer| gatherer.by_file.is_some());
        gatherers.resize_with(threads, Gatherer::default);
        for gatherer in &mut gatherers {
            gatherer.budget = self.budget / threads;
            gatherer.watch = self.watched.as_ref().map(|(wanted, _)| Watch::new(wanted));
            gatherer.by_file = gatherer.by_file.take().or_else(|| is_asked.then(ByFile::default));
        }
        let (gatherers, read) =
            read_all(gatherers, &self.inputs, options.prune_branches, progress).map_err(no_room)?;
        self.gatherers = gatherers;
        for watch in self.gatherers.iter_mut().filter_map(|gatherer| gatherer.watch.take()) {
            if let Some((_, found)) = &mut self.watched {
                found.union_with(&watch.found);
            }
        }
        sort_out(&self.inputs, read)
    }

    /// The union of all that was gathered, as lines or as branches.
    pub fn finish(
        mut self,
        read: MergeOutcome<Option<bool>>,
        has_arcs: Option<bool>,
        options: &MergeOptions,
    ) -> Result<MergeOutcome<Union>, CovdataError> {
        if self.gatherers.iter().any(|gatherer| !gatherer.spilled.is_empty()) {
            // Sorting takes the rows of one temporary file after the other into memory: there is to be room for them.
            self.gatherers.iter_mut().try_for_each(Gatherer::spill_rest).map_err(no_room)?;
        }
        let Self { gatherers, inputs, tracers, .. } = self;
        naming::name((gatherers, &inputs, tracers), read, has_arcs, options)
    }
}

#[cfg(test)]
mod tests;

//! What a coverage.py data file holds, in memory.

mod arcs;
mod build;
mod locked;
mod pages;
mod probe;
mod raw;
mod read;
mod record;
mod snapshot;
mod tree;
mod write;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken, Slug};

pub use arcs::{Arc, ArcData};
pub(crate) use build::{Frame, RowSink};
pub(crate) use locked::{open_early, reserve, spare_handles};
pub(crate) use probe::{Header, sidecar};
pub(crate) use raw::Raw;
#[doc(hidden)]
pub use read::readers_agree;
pub use read::traffic_sources;
pub(crate) use read::{BUSY_SECONDS, Reader, open_locked};
pub(crate) use snapshot::{State, Wal, identity, identity_at};
pub(crate) use write::stage_file;
pub use write::{Staged, share};

/// What was measured: a data file has lines or arcs, never both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Measured {
    /// Neither yet.
    #[default]
    Nothing,
    /// Lines.
    Lines(LineData),
    /// Branches.
    Arcs(ArcData),
}

/// The content of a data file.
///
/// Equal content is equal as a value and, written, equal as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CoverageData {
    /// Measured files, those with nothing executed included.
    pub files: BTreeSet<MeasuredPath>,
    /// Contexts, those with nothing executed included.
    pub contexts: BTreeSet<ContextLabel>,
    /// Lines or arcs.
    pub measured: Measured,
    /// The coverage.py plug-in that measured a file, where one did.
    pub tracers: BTreeMap<MeasuredPath, String>,
}

/// Whose data a file is: two more rows in `meta`, which coverage.py ignores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ownership {
    /// The profile.
    pub slug: Option<Slug>,
    /// The run of it.
    pub run: Option<RunToken>,
}

/// How contexts are kept in a merged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContextPolicy {
    /// As they are.
    #[default]
    Keep,
    /// Cut to `<prefix>:<slug>`: what requests and jobs added is dropped.
    Profile,
    /// All lines under coverage.py's empty context.
    Drop,
}

impl ContextPolicy {
    /// The label that `context` gets.
    pub fn apply(self, context: &ContextLabel) -> ContextLabel {
        match self {
            Self::Keep => context.clone(),
            Self::Drop => ContextLabel::new(""),
            Self::Profile => {
                let mut parts = context.as_str().splitn(3, ':');
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(prefix), Some(slug), Some(_)) => ContextLabel::new(format!("{prefix}:{slug}")),
                    _ => context.clone(),
                }
            }
        }
    }
}

impl CoverageData {
    /// Data that holds these lines.
    pub fn from_lines(lines: LineData) -> Self {
        let mut data = Self::default();
        data.note(&lines);
        data.measured = Measured::Lines(lines);
        data
    }

    /// Adds lines; to branch data, nothing can be added so.
    ///
    /// Says whether it did.
    pub fn add_lines(&mut self, lines: &LineData) -> bool {
        match &mut self.measured {
            Measured::Arcs(_) => return false,
            Measured::Lines(mine) => mine.union_with(lines),
            Measured::Nothing => self.measured = Measured::Lines(lines.clone()),
        }
        self.note(lines);
        true
    }

    fn note(&mut self, lines: &LineData) {
        for (context, path, bits) in lines.iter() {
            if !self.files.contains(path) {
                self.files.insert(path.clone());
            }
            if !bits.is_empty() && !self.contexts.contains(context) {
                self.contexts.insert(context.clone());
            }
        }
    }

    /// The executed lines; of branch data, the ends of its arcs.
    pub fn lines(&self) -> Cow<'_, LineData> {
        match &self.measured {
            Measured::Nothing => Cow::Owned(LineData::new()),
            Measured::Lines(lines) => Cow::Borrowed(lines),
            Measured::Arcs(arcs) => Cow::Owned(arcs.to_lines()),
        }
    }

    /// Turns branch data into line data.
    pub fn prune_branches(&mut self) {
        if let Measured::Arcs(arcs) = &self.measured {
            self.measured = Measured::Lines(arcs.to_lines());
        }
    }

    /// Stores everything under the labels that `policy` gives.
    pub fn relabel(&mut self, policy: ContextPolicy) {
        if policy == ContextPolicy::Keep {
            return;
        }
        self.contexts = self.contexts.iter().map(|context| policy.apply(context)).collect();
        self.measured = match std::mem::take(&mut self.measured) {
            Measured::Nothing => Measured::Nothing,
            Measured::Arcs(arcs) => Measured::Arcs(arcs.relabelled(|context| policy.apply(context))),
            Measured::Lines(lines) => {
                let mut relabelled = LineData::new();
                for (context, path, bits) in lines.iter() {
                    relabelled.add(&policy.apply(context), path, bits);
                }
                Measured::Lines(relabelled)
            }
        };
    }

    /// Whether no file was measured.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

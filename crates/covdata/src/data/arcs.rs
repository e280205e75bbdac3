//! Branch data.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath};

/// A transition from line to line. A negative end is coverage.py's mark for entering (first) or leaving
/// (second) the code object that starts at that line; it never leaves this crate.
pub type Arc = (i32, i32);

/// Which arcs were executed, by context and measured file: the form of a branch-measuring data file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArcData {
    contexts: BTreeMap<ContextLabel, BTreeMap<MeasuredPath, BTreeSet<Arc>>>,
}

impl ArcData {
    /// Adds one arc.
    pub fn add(&mut self, context: &ContextLabel, path: &MeasuredPath, arc: Arc) {
        // Look up before cloning the keys: a data file has thousands of arcs for each of them.
        if let Some(arcs) = self.contexts.get_mut(context).and_then(|files| files.get_mut(path)) {
            arcs.insert(arc);
        } else {
            let files = self.contexts.entry(context.clone()).or_default();
            files.entry(path.clone()).or_default().insert(arc);
        }
    }

    /// Every (context, file, arcs), sorted by context, then by file.
    pub fn iter(&self) -> impl Iterator<Item = (&ContextLabel, &MeasuredPath, &BTreeSet<Arc>)> {
        self.contexts
            .iter()
            .flat_map(|(context, files)| files.iter().map(move |(path, arcs)| (context, path, arcs)))
    }

    /// Adds everything of `other`.
    pub fn union_with(&mut self, other: Self) {
        for (context, files) in other.contexts {
            let mine = self.contexts.entry(context).or_default();
            for (path, arcs) in files {
                mine.entry(path).or_default().extend(arcs);
            }
        }
    }

    /// The lines at the arcs' ends, as coverage.py takes lines from branch data.
    pub fn to_lines(&self) -> LineData {
        let mut data = LineData::new();
        for (context, path, arcs) in self.iter() {
            let lines: LineBits = arcs
                .iter()
                .flat_map(|(from, to)| [*from, *to])
                .filter_map(|line| u32::try_from(line).ok().filter(|line| *line > 0))
                .collect();
            data.add(context, path, &lines);
        }
        data
    }

    /// Stores everything under the label that `label` gives for its present one.
    #[must_use]
    pub fn relabelled(self, label: impl Fn(&ContextLabel) -> ContextLabel) -> Self {
        let mut data = Self::default();
        for (context, files) in self.contexts {
            let contexts = BTreeMap::from([(label(&context), files)]);
            data.union_with(Self { contexts });
        }
        data
    }
}

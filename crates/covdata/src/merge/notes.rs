//! What is found out about rows while they pass: the union itself may be on disk, and is not gone through for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath};

use super::gather::unite;
use crate::data::Raw;

/// The lines of each file, by its number, whatever their context.
#[derive(Debug, Default)]
pub(super) struct ByFile(Vec<Vec<u8>>);

impl ByFile {
    /// Adds the lines of a part of a data file; of branches, their ends. `files` has the numbers of its files.
    pub(super) fn take(&mut self, raw: &Raw, files: &[u32]) {
        for row in &raw.lines {
            self.add(files[row.file], raw.numbits(row));
        }
        for (file, _, (from, to)) in &raw.arcs {
            for end in [*from, *to].into_iter().filter_map(|line| u32::try_from(line).ok()) {
                if end > 0 {
                    let lines: LineBits = std::iter::once(end).collect();
                    self.add(files[*file], lines.as_numbits());
                }
            }
        }
    }

    pub(super) fn add(&mut self, file: u32, numbits: &[u8]) {
        let file = file as usize;
        if self.0.len() <= file {
            self.0.resize_with(file + 1, Vec::new);
        }
        let mine = &mut self.0[file];
        if mine.len() < numbits.len() {
            mine.resize(numbits.len(), 0);
        }
        unite(mine, numbits);
    }

    /// Adds all of it to `all`, under the files' names.
    pub(super) fn name(self, names: &[&str], all: &mut BTreeMap<MeasuredPath, LineBits>) {
        for (lines, name) in self.0.into_iter().zip(names).filter(|(lines, _)| !lines.is_empty()) {
            all.entry(MeasuredPath::new(*name)).or_default().union_with(&LineBits::from_numbits(lines));
        }
    }
}

/// Lines that are looked for, and those of them that were found.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    wanted: Arc<LineData>,
    pub(super) found: LineData,
}

impl Watch {
    pub(super) fn new(wanted: &Arc<LineData>) -> Self {
        Self { wanted: Arc::clone(wanted), found: LineData::new() }
    }

    /// Looks for them in a part of a data file.
    pub(super) fn take(&mut self, raw: &Raw) {
        let labels: Vec<ContextLabel> = raw.contexts.iter().map(ContextLabel::new).collect();
        let wanted: Vec<_> = labels.iter().map(|label| self.wanted.context(label)).collect();
        if wanted.iter().all(Option::is_none) {
            return;
        }
        let paths: Vec<MeasuredPath> = raw.files.iter().map(MeasuredPath::new).collect();
        for row in &raw.lines {
            let path = &paths[row.file];
            if let Some(lines) = wanted[row.context].and_then(|files| files.get(path)) {
                let here = LineBits::from_numbits(raw.numbits(row).to_vec());
                self.found.add(&labels[row.context], path, &lines.intersection(&here));
            }
        }
    }
}

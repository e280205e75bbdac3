//! The rows of one data file, in few allocations, to be used again for the next file.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};

use playtrace_model::LineBits;
use rustc_hash::FxHasher;

use super::Arc;
use super::snapshot::State;

/// Texts in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    text: String,
    ends: Vec<usize>,
    ids: Vec<i64>,
}

impl Names {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.ids.clear();
    }

    /// Adds a text. Ids come in ascending order.
    pub(crate) fn push(&mut self, id: i64, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.ids.push(id);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where the text of that id is.
    pub(crate) fn position(&self, id: i64) -> Option<usize> {
        // They are numbered from 1 on, but where rows were deleted.
        let guess = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        guess.filter(|guess| self.ids.get(*guess) == Some(&id)).or_else(|| self.ids.binary_search(&id).ok())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.text[*start..*end])
    }
}

/// Lines of one file in one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// Position of the file.
    pub(crate) file: usize,
    /// Position of the context.
    pub(crate) context: usize,
    start: usize,
    end: usize,
}

/// The rows of a data file, not yet under their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) files: Names,
    pub(crate) contexts: Names,
    pub(crate) lines: Vec<Row>,
    numbits: Vec<u8>,
    /// Position of the file, position of the context, arc.
    pub(crate) arcs: Vec<(usize, usize, Arc)>,
    pub(crate) tracers: Vec<(usize, String)>,
    /// `None`: the file doesn't say and has neither.
    pub(crate) has_arcs: Option<bool>,
    pub(crate) meta: BTreeMap<String, String>,
    /// What the file was like; it is there once all has been read.
    pub(crate) state: Option<State>,
    found_lines: bool,
    found_arcs: bool,
    /// What was hashed of rows that are not here any more.
    hashed: u64,
}

impl Raw {
    pub(crate) fn clear(&mut self) {
        self.files.clear();
        self.contexts.clear();
        self.clear_rows();
        self.tracers.clear();
        self.has_arcs = None;
        self.meta.clear();
        self.state = None;
        (self.found_lines, self.found_arcs, self.hashed) = (false, false, 0);
    }

    /// Makes room for more of the file's lines and arcs, and keeps what they refer to.
    pub(crate) fn next_part(&mut self) {
        self.hashed = self.fingerprint();
        self.clear_rows();
    }

    fn clear_rows(&mut self) {
        self.lines.clear();
        self.numbits.clear();
        self.arcs.clear();
    }

    /// Bytes that lines and arcs take.
    pub(crate) fn size(&self) -> usize {
        self.numbits.len()
            + self.lines.len() * size_of::<Row>()
            + self.arcs.len() * size_of::<(usize, usize, Arc)>()
    }

    pub(crate) fn push_lines(&mut self, file: usize, context: usize, numbits: &[u8]) {
        let start = self.numbits.len();
        self.numbits.extend_from_slice(numbits);
        self.found_lines = true;
        self.lines.push(Row { file, context, start, end: self.numbits.len() });
    }

    pub(crate) fn push_arc(&mut self, file: usize, context: usize, arc: Arc) {
        self.found_arcs = true;
        self.arcs.push((file, context, arc));
    }

    pub(crate) fn numbits(&self, row: &Row) -> &[u8] {
        &self.numbits[row.start..row.end]
    }

    /// Finds out whether it is lines or arcs that the file holds, when all its rows are there.
    pub(crate) fn settle_kind(&mut self) -> Result<(), String> {
        let said = match self.meta.get("has_arcs").map(String::as_str) {
            Some("0") => Some(false),
            Some("1") => Some(true),
            Some(other) => return Err(format!("its has_arcs is {other:?}, not 0 or 1")),
            None => None,
        };
        let found = match (self.found_lines, self.found_arcs) {
            (false, false) => None,
            (true, false) => Some(false),
            (false, true) => Some(true),
            (true, true) => return Err(BOTH.to_owned()),
        };
        if matches!((said, found), (Some(said), Some(found)) if said != found) {
            return Err(BOTH.to_owned());
        }
        self.has_arcs = said.or(found);
        Ok(())
    }

    /// Turns arcs into the lines at their ends.
    pub(crate) fn prune_branches(&mut self) {
        if self.has_arcs == Some(true) {
            *self = std::mem::take(self).into_lines();
            self.has_arcs = Some(false);
        }
    }

    /// The rows as lines, if they are arcs, and the names.
    pub(crate) fn pruned(&self) -> Self {
        let copy = Self {
            files: self.files.clone(),
            contexts: self.contexts.clone(),
            lines: self.lines.clone(),
            numbits: self.numbits.clone(),
            arcs: self.arcs.clone(),
            ..Self::default()
        };
        copy.into_lines()
    }

    fn into_lines(mut self) -> Self {
        let mut lines: BTreeMap<(usize, usize), LineBits> = BTreeMap::new();
        for (file, context, (from, to)) in std::mem::take(&mut self.arcs) {
            let ends = [from, to].into_iter().filter_map(|line| u32::try_from(line).ok());
            lines.entry((file, context)).or_default().extend(ends.filter(|line| *line > 0));
        }
        for ((file, context), lines) in lines {
            self.push_lines(file, context, lines.as_numbits());
        }
        self
    }

    /// A number that differs when content differs (for all that matters: see its use).
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write_u64(self.hashed);
        for names in [&self.files, &self.contexts] {
            (&names.text, &names.ends).hash(&mut hasher);
        }
        self.has_arcs.hash(&mut hasher);
        for row in &self.lines {
            (row.file, row.context, row.end).hash(&mut hasher);
        }
        hasher.write(&self.numbits);
        self.arcs.hash(&mut hasher);
        self.tracers.hash(&mut hasher);
        hasher.finish()
    }
}

const BOTH: &str = "it holds lines and branches at once";

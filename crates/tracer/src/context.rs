//! One context: the lines that it executed, and where it left its bits.

use std::collections::BTreeMap;

use playtrace_model::LineBits;

use crate::code::{CodeId, FileId};
use crate::token::{Slot, Token};

/// A context, from [`add_context`](crate::Tracer::add_context) to
/// [`remove_context`](crate::Tracer::remove_context). The number is used again after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub(crate) u32);

/// Executed lines by file.
pub type FileLines = BTreeMap<FileId, LineBits>;

/// What a context records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Every line.
    Lines,
    /// The first line (`co_firstlineno`) of every code object that it enters: which functions ran.
    Entries,
}

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) wants: Wants,
    /// Whose lines this context's lines are, if it does not want them itself.
    pub(crate) lines_go_to: Option<ContextId>,
    /// Lines that were drained.
    drained: FileLines,
    /// Lines since.
    fresh: FileLines,
    /// The code objects that hold this context's bit.
    pub(crate) touched: Vec<CodeId>,
    pub(crate) active: Option<Active>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    pub(crate) token: Token,
    pub(crate) slot: Slot,
}

impl Context {
    pub(crate) fn new(wants: Wants, lines_go_to: Option<ContextId>) -> Self {
        let (drained, fresh) = (FileLines::new(), FileLines::new());
        Self { wants, lines_go_to, drained, fresh, touched: Vec::new(), active: None }
    }

    /// Says whether it is news.
    pub(crate) fn record(&mut self, file: FileId, line: u32) -> bool {
        if self.drained.get(&file).is_some_and(|lines| lines.contains(line)) {
            return false;
        }
        self.fresh.entry(file).or_default().insert(line)
    }

    pub(crate) fn drain(&mut self) -> FileLines {
        let fresh = std::mem::take(&mut self.fresh);
        for (file, lines) in &fresh {
            self.drained.entry(*file).or_default().union_with(lines);
        }
        fresh
    }

    pub(crate) fn whole(&self) -> FileLines {
        let mut whole = self.drained.clone();
        for (file, lines) in &self.fresh {
            whole.entry(*file).or_default().union_with(lines);
        }
        whole
    }

    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Forgets every line; the activation stays.
    pub(crate) fn clear(&mut self) {
        self.drained.clear();
        self.fresh.clear();
        self.touched.clear();
    }
}

//! One context: the lines that it executed, and where it left its bits.

use std::collections::BTreeMap;

use playtrace_model::LineBits;
use rustc_hash::FxHashMap;

use crate::code::{CodeId, FileId};
use crate::linewords::LineWords;
use crate::token::{Slot, Token};
use crate::trail::Followed;

/// The room for so many files and code objects is kept for the next context: less than a hundred kilobytes.
const SMALL: usize = 1024;

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
    files: Vec<Recorded>,
    /// Where in `files` a file is.
    places: FxHashMap<FileId, usize>,
    /// How much room the lines of a file took in the context before.
    rooms: FxHashMap<FileId, usize>,
    /// The file that was recorded last; the next line is nearly always of the same one.
    last: usize,
    /// The files with lines that were not drained yet, each once.
    fresh: Vec<usize>,
    /// The code objects that hold this context's bit.
    pub(crate) touched: Vec<CodeId>,
    pub(crate) active: Option<Active>,
    /// Since when it sleeps, counted in silenced code objects ([`Silences`](crate::sleep::Silences)).
    pub(crate) asleep_since: Option<u64>,
}

/// One file's lines.
#[derive(Debug)]
struct Recorded {
    file: FileId,
    drained: LineBits,
    /// Lines since.
    fresh: LineWords,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    pub(crate) token: Token,
    pub(crate) slot: Slot,
}

impl Context {
    pub(crate) fn new(wants: Wants, lines_go_to: Option<ContextId>) -> Self {
        Self {
            wants,
            lines_go_to,
            files: Vec::new(),
            places: FxHashMap::default(),
            rooms: FxHashMap::default(),
            last: 0,
            fresh: Vec::new(),
            touched: Vec::new(),
            active: None,
            asleep_since: None,
        }
    }

    /// The same in the room of one that is gone: with request granularity, each request has one.
    pub(crate) fn in_room_of(mut gone: Self, wants: Wants, lines_go_to: Option<ContextId>) -> Self {
        gone.rooms.clear();
        for Recorded { file, drained, fresh } in gone.files.drain(..) {
            gone.rooms.insert(file, fresh.room().max(LineWords::room_of(&drained)));
        }
        gone.places.clear();
        gone.fresh.clear();
        gone.touched.clear();
        let Self { files, places, rooms, fresh, touched, .. } = gone;
        Self { files, places, rooms, fresh, touched, ..Self::new(wants, lines_go_to) }
    }

    /// Says whether it is news.
    pub(crate) fn record(&mut self, file: FileId, line: u32) -> bool {
        if self.files.get(self.last).is_none_or(|last| last.file != file) {
            self.find(file);
        }
        let recorded = &mut self.files[self.last];
        if recorded.drained.contains(line) {
            return false;
        }
        if recorded.fresh.is_empty() {
            self.fresh.push(self.last);
        }
        recorded.fresh.insert(line)
    }

    fn find(&mut self, file: FileId) {
        self.last = *self.places.entry(file).or_insert_with(|| {
            let fresh = LineWords::with_room(self.rooms.get(&file).copied().unwrap_or_default());
            self.files.push(Recorded { file, drained: LineBits::new(), fresh });
            self.files.len() - 1
        });
    }

    /// Where among the files a file is, if a line of it was recorded.
    pub(crate) fn place_of(&self, file: FileId) -> Option<usize> {
        if self.files.get(self.last).is_some_and(|last| last.file == file) {
            return Some(self.last);
        }
        self.places.get(&file).copied()
    }

    /// Records another line of the file at a place, if it is news and `note` has noted it.
    #[inline(always)]
    #[allow(clippy::inline_always)] // for each line; it is called in one place
    pub(crate) fn record_at(&mut self, place: usize, line: u32, note: impl FnOnce() -> bool) -> Followed {
        let Some(recorded) = self.files.get_mut(place) else { return Followed::Lost };
        if recorded.drained.contains(line) {
            return Followed::Known;
        }
        // The first one since the last flush is not as simple as that.
        match recorded.fresh.word_among_others(line) {
            Some((word, bit)) if *word & bit != 0 => Followed::Known,
            Some((word, bit)) if note() => {
                *word |= bit;
                Followed::Fresh
            }
            _ => Followed::Lost,
        }
    }

    /// The lines of the file at a place: those that were drained, and those since, if there are any.
    pub(crate) fn places_at(&mut self, place: usize) -> Option<(&[u8], &mut [u64])> {
        let recorded = self.files.get_mut(place)?;
        Some((recorded.drained.as_numbits(), recorded.fresh.words_among_others()?))
    }

    pub(crate) fn has(&self, file: FileId, line: u32) -> bool {
        let recorded = self.places.get(&file).and_then(|place| self.files.get(*place));
        recorded.is_some_and(|recorded| recorded.drained.contains(line) || recorded.fresh.contains(line))
    }

    pub(crate) fn drain(&mut self) -> FileLines {
        let files = &mut self.files;
        let drained = self.fresh.drain(..).map(|place| {
            let recorded = &mut files[place];
            let fresh = recorded.fresh.take();
            recorded.drained.union_with(&fresh);
            (recorded.file, fresh)
        });
        drained.collect()
    }

    pub(crate) fn whole(&self) -> FileLines {
        let whole = self.files.iter().map(|recorded| {
            let mut lines = recorded.drained.clone();
            lines.union_with(&recorded.fresh.lines());
            (recorded.file, lines)
        });
        whole.collect()
    }

    /// Whether its room is worth keeping for another one.
    pub(crate) fn is_small(&self) -> bool {
        self.files.capacity() <= SMALL && self.touched.capacity() <= SMALL
    }

    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Forgets the lines that were drained; those that were not, and the activation, stay.
    pub(crate) fn start_over(&mut self) {
        for recorded in &mut self.files {
            recorded.drained = LineBits::new();
        }
        self.touched.clear();
    }
}

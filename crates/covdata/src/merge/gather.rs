//! The union of many files' rows, in little memory: what one reading thread has gathered.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::File;
use std::io::{self, BufWriter};

use playtrace_model::LineData;
use rustc_hash::FxHashMap;

use super::notes::{ByFile, Watch};
use crate::data::{Arc, Raw};

/// A file and a context, each by its number: the file in the upper half.
pub(super) fn key(file: u32, context: u32) -> u64 {
    u64::from(file) << 32 | u64::from(context)
}

/// The file and the context of a key.
#[expect(clippy::cast_possible_truncation, reason = "halves")]
pub(super) const fn parts(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

/// An arc whose order as a number is its order as two.
pub(super) fn pack(arc: Arc) -> u64 {
    let half = |line: i32| line.cast_unsigned() ^ (1 << 31);
    key(half(arc.0), half(arc.1))
}

/// Reverses [`pack`].
pub(super) const fn unpack(arc: u64) -> Arc {
    let (from, to) = parts(arc);
    ((from ^ (1 << 31)).cast_signed(), (to ^ (1 << 31)).cast_signed())
}

/// Texts, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Interner {
    numbers: FxHashMap<Box<str>, u32>,
}

impl Interner {
    #[expect(clippy::cast_possible_truncation, reason = "so many names don't fit into memory")]
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(text.into(), number);
        number
    }

    /// The texts by their numbers.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = vec![""; self.numbers.len()];
        #[expect(clippy::iter_over_hash_type, reason = "each goes to its own place")]
        for (text, number) in &self.numbers {
            texts[*number as usize] = text;
        }
        texts
    }
}

/// Where the lines of a key are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// In units of [`UNIT`] bytes.
    at: u32,
    len: u32,
}

/// So many keys tell how many there will be: inputs that share their keys stay below, and a small table is a quick one.
const TELLING: usize = 1 << 13;

/// Lines get whole units, so that a set that grows a little stays where it is.
const UNIT: usize = 8;

/// Lines of many keys.
#[derive(Debug, Default)]
pub(super) struct LineTable {
    places: FxHashMap<u64, Place>,
    bytes: Vec<u8>,
}

impl LineTable {
    fn add(&mut self, key: u64, numbits: &[u8]) {
        let len = numbits.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let numbits = &numbits[..len];
        if len == 0 {
            // Measured, and nothing ran: the names say that.
            return;
        }
        let bytes = &mut self.bytes;
        match self.places.entry(key) {
            Slot::Vacant(slot) => {
                slot.insert(put(bytes, numbits));
            }
            Slot::Occupied(mut slot) => {
                let place = slot.get_mut();
                if len > (place.len as usize).next_multiple_of(UNIT) {
                    let old = place.range();
                    *place = put(bytes, numbits);
                    let (before, new) = bytes.split_at_mut(place.range().start);
                    unite(new, &before[old]);
                } else {
                    unite(&mut bytes[place.range().start..], numbits);
                    place.len = place.len.max(u32::try_from(len).unwrap_or(u32::MAX));
                }
            }
        }
    }

    /// What it takes in memory, about.
    fn size(&self) -> usize {
        self.bytes.len() + self.places.len() * 32
    }

    /// Makes room for `times` what there is, but not for more than `most` bytes. A table that grows by and by leaves as much
    /// behind as it takes itself.
    fn reserve(&mut self, times: usize, most: usize) {
        let times = times.min(most / self.size().max(1)).saturating_sub(1);
        self.places.reserve(self.places.len() * times);
        self.bytes.reserve(self.bytes.len() * times);
    }

    /// The lines under the keys that `rename` gives, sorted by these; some may come more than once.
    pub(super) fn sorted(self, rename: impl Fn(u64) -> u64) -> SortedLines {
        let places = self.places.into_iter().map(|(key, place)| (rename(key), place)).collect();
        let mut sorted = SortedLines { places, bytes: self.bytes };
        sorted.sort();
        sorted
    }
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        let start = self.at as usize * UNIT;
        start..start + self.len as usize
    }
}

#[expect(clippy::cast_possible_truncation, reason = "32 GB of lines are not held in memory")]
fn put(bytes: &mut Vec<u8>, numbits: &[u8]) -> Place {
    let place = Place { at: (bytes.len() / UNIT) as u32, len: numbits.len() as u32 };
    bytes.extend_from_slice(numbits);
    bytes.resize(bytes.len().next_multiple_of(UNIT), 0);
    place
}

pub(super) fn unite(mine: &mut [u8], theirs: &[u8]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine |= theirs;
    }
}

/// Lines in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct SortedLines {
    places: Vec<(u64, Place)>,
    bytes: Vec<u8>,
}

impl SortedLines {
    fn sort(&mut self) {
        self.places.sort_unstable_by_key(|(key, place)| (*key, place.at));
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<(u64, &[u8])> {
        let (key, place) = self.places.get(index)?;
        Some((*key, &self.bytes[place.range()]))
    }
}

/// Arcs of many keys.
#[derive(Debug, Default)]
pub(super) struct ArcTable {
    arcs: Vec<(u64, u64)>,
    /// So many are there before those that came more than once are looked for.
    next: usize,
}

impl ArcTable {
    fn add(&mut self, key: u64, arc: Arc) {
        if self.arcs.len() >= self.next.max(1 << 16) {
            self.compact();
            self.next = self.arcs.len() * 2;
        }
        self.arcs.push((key, pack(arc)));
    }

    fn compact(&mut self) {
        self.arcs.sort_unstable();
        self.arcs.dedup();
    }

    fn size(&self) -> usize {
        self.arcs.capacity() * size_of::<(u64, u64)>()
    }

    /// The arcs under the keys that `rename` gives, sorted.
    pub(super) fn sorted(mut self, rename: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
        for (key, _) in &mut self.arcs {
            *key = rename(*key);
        }
        self.compact();
        self.arcs
    }
}

/// What one thread has gathered.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    pub(super) files: Interner,
    pub(super) contexts: Interner,
    pub(super) lines: LineTable,
    pub(super) arcs: ArcTable,
    /// What did not fit into memory, in files without names: rows as [`Spill`] has them.
    pub(super) spilled: Vec<Spill>,
    /// For each file's number, the first input that measured it without a plug-in.
    pub(super) plain: Vec<usize>,
    /// A file's number and the plug-in that measured it, and the first input that says so.
    pub(super) plugged: BTreeMap<(u32, String), usize>,
    /// The lines of each file since the last look, where somebody wants to know.
    pub(super) by_file: Option<ByFile>,
    /// Lines that somebody looks for.
    pub(super) watch: Option<Watch>,
    pub(super) budget: usize,
}

/// Rows on disk.
#[derive(Debug)]
pub(super) enum Spill {
    /// Key (8 bytes), length (4 bytes), numbits.
    Lines(File),
    /// Key and packed arc (8 bytes each).
    Arcs(File),
}

/// The rows of a [`Gatherer`], when it has no more use for its names.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) lines: LineTable,
    pub(super) arcs: ArcTable,
    pub(super) spilled: Vec<Spill>,
}

impl From<Gatherer> for Rows {
    fn from(gatherer: Gatherer) -> Self {
        let Gatherer { lines, arcs, spilled, .. } = gatherer;
        Self { lines, arcs, spilled }
    }
}

impl Gatherer {
    /// Keeps about `budget` bytes of rows in memory.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Whether there is enough to tell from it how much will come.
    pub(super) fn is_telling(&self) -> bool {
        self.lines.places.len() > TELLING
    }

    /// Makes room for `times` as much as was taken so far.
    pub(super) fn expect(&mut self, times: usize) {
        self.lines.reserve(times, self.budget);
    }

    /// Takes lines and arcs.
    pub(super) fn take_rows(&mut self, raw: &Raw) -> io::Result<()> {
        let files: Vec<u32> = raw.files.iter().map(|file| self.files.number(file)).collect();
        let contexts: Vec<u32> = raw.contexts.iter().map(|context| self.contexts.number(context)).collect();
        for row in &raw.lines {
            self.lines.add(key(files[row.file], contexts[row.context]), raw.numbits(row));
        }
        for (file, context, arc) in &raw.arcs {
            self.arcs.add(key(files[*file], contexts[*context]), *arc);
        }
        if let Some(by_file) = &mut self.by_file {
            by_file.take(raw, &files);
        }
        if let Some(watch) = &mut self.watch {
            watch.take(raw);
        }
        self.bound()
    }

    /// Takes lines that no data file holds.
    pub(super) fn take_lines(&mut self, data: &LineData) -> io::Result<()> {
        for (context, path, lines) in data.iter() {
            let file = self.files.number(path.as_str());
            // As in a data file: what was measured has a name, and a label has one only where something ran.
            if lines.is_empty() {
                continue;
            }
            let context = self.contexts.number(context.as_str());
            self.lines.add(key(file, context), lines.as_numbits());
            if let Some(by_file) = &mut self.by_file {
                by_file.add(file, lines.as_numbits());
            }
        }
        self.bound()
    }

    /// Puts on disk what is too much for memory.
    fn bound(&mut self) -> io::Result<()> {
        if self.lines.size() > self.budget {
            self.spill_lines()?;
        }
        if self.arcs.size() > self.budget {
            self.arcs.compact();
            if self.arcs.arcs.len() * 2 * size_of::<(u64, u64)>() > self.budget {
                self.spill_arcs()?;
            }
        }
        Ok(())
    }

    /// Takes what stands beside the rows of `input`.
    pub(super) fn take_plugins(&mut self, raw: &Raw, input: usize) {
        let mut named = vec![""; if raw.tracers.is_empty() { 0 } else { raw.files.len() }];
        for (file, tracer) in &raw.tracers {
            named[*file] = tracer;
        }
        for (at, file) in raw.files.iter().enumerate() {
            let number = self.files.number(file);
            if let Some(name) = named.get(at).copied().filter(|name| !name.is_empty()) {
                self.plugged.entry((number, name.to_owned())).or_insert(input);
                continue;
            }
            let number = number as usize;
            if self.plain.len() <= number {
                self.plain.resize(number + 1, usize::MAX);
            }
            self.plain[number] = self.plain[number].min(input);
        }
    }

    /// Puts all rows on disk.
    pub(super) fn spill_rest(&mut self) -> io::Result<()> {
        if !self.lines.places.is_empty() {
            self.spill_lines()?;
        }
        if !self.arcs.arcs.is_empty() {
            self.arcs.compact();
            self.spill_arcs()?;
        }
        self.lines = LineTable::default();
        Ok(())
    }

    fn spill_lines(&mut self) -> io::Result<()> {
        let table = &mut self.lines;
        let mut out = BufWriter::new(tempfile::tempfile()?);
        #[expect(clippy::iter_over_hash_type, reason = "they are sorted when they are read")]
        for (key, place) in &table.places {
            write_lines(&mut out, *key, &table.bytes[place.range()])?;
        }
        self.spilled.push(Spill::Lines(out.into_inner().map_err(io::IntoInnerError::into_error)?));
        // What it took is kept for the next rows: growing anew takes half as much again.
        table.places.clear();
        table.bytes.clear();
        Ok(())
    }

    fn spill_arcs(&mut self) -> io::Result<()> {
        let table = std::mem::take(&mut self.arcs);
        let mut out = BufWriter::new(tempfile::tempfile()?);
        for arc in &table.arcs {
            write_arc(&mut out, *arc)?;
        }
        self.spilled.push(Spill::Arcs(out.into_inner().map_err(io::IntoInnerError::into_error)?));
        Ok(())
    }

    /// The rows that lie in a file of so many bytes, sorted by the keys that `rename` gives. No key comes twice there, so
    /// nothing is looked up.
    pub(super) fn load_lines(
        rows: &mut impl Iterator<Item = io::Result<(u64, Vec<u8>)>>,
        bytes: usize,
        rename: impl Fn(u64) -> u64,
    ) -> io::Result<SortedLines> {
        // With whole units instead of what stands before each row, no more is needed than the file has.
        let mut loaded = SortedLines { places: Vec::new(), bytes: Vec::with_capacity(bytes) };
        for row in rows {
            let (key, numbits) = row?;
            loaded.places.push((rename(key), put(&mut loaded.bytes, &numbits)));
        }
        loaded.sort();
        Ok(loaded)
    }

    /// As [`Gatherer::load_lines`].
    pub(super) fn load_arcs(rows: &mut impl Iterator<Item = io::Result<(u64, u64)>>) -> io::Result<ArcTable> {
        let arcs = rows.collect::<io::Result<_>>()?;
        Ok(ArcTable { arcs, next: 0 })
    }
}

pub(super) fn write_lines(out: &mut impl io::Write, key: u64, numbits: &[u8]) -> io::Result<()> {
    out.write_all(&key.to_le_bytes())?;
    #[expect(clippy::cast_possible_truncation, reason = "it was a u32 before")]
    out.write_all(&(numbits.len() as u32).to_le_bytes())?;
    out.write_all(numbits)
}

pub(super) fn write_arc(out: &mut impl io::Write, (key, arc): (u64, u64)) -> io::Result<()> {
    out.write_all(&key.to_le_bytes())?;
    out.write_all(&arc.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_arcs_keep_their_order(a: Arc, b: Arc) {
            prop_assert_eq!(unpack(pack(a)), a);
            prop_assert_eq!(pack(a).cmp(&pack(b)), a.cmp(&b));
        }

        #[test]
        fn a_table_of_lines_is_a_map_of_sets(
            rows in proptest::collection::vec((0u64..4, proptest::collection::vec(any::<u8>(), 0..40)), 0..30)
        ) {
            use playtrace_model::LineBits;
            let mut table = LineTable::default();
            let mut sets: BTreeMap<u64, LineBits> = BTreeMap::new();
            for (key, bytes) in rows {
                table.add(key, &bytes);
                let bits = LineBits::from_numbits(bytes);
                if !bits.is_empty() {
                    sets.entry(key).or_default().union_with(&bits);
                }
            }
            let sorted = table.sorted(|key| key);
            let found: Vec<(u64, Vec<u8>)> =
                (0..).map_while(|at| sorted.get(at)).map(|(key, bytes)| (key, bytes.to_vec())).collect();
            let expected: Vec<(u64, Vec<u8>)> =
                sets.into_iter().map(|(key, bits)| (key, bits.as_numbits().to_vec())).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

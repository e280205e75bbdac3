//! `SQLite`'s trees of pages, written from sorted rows in one go: each page once, from the first to the last.
//!
//! <https://www.sqlite.org/fileformat2.html>, sections 1.6 (pages) and 2.1 (their order in trees).

use std::io::{self, Write};

use super::pages::local_bytes;
use super::record::push_varint;

/// Bytes of a page; no byte of it is reserved.
pub(super) const SIZE: usize = 4096;

/// The page that holds the bytes which `SQLite` locks: it must stay unused.
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
const LOCKED_PAGE: u32 = (0x4000_0000 / SIZE + 1) as u32;

/// The largest row that stays whole in its page.
const LARGEST_ROW: usize = SIZE - 35;

/// The largest entry of an index that stays whole.
const LARGEST_ENTRY: usize = (SIZE - 12) * 64 / 255 - 23;

/// What kind of page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    IndexInterior = 2,
    TableInterior = 5,
    IndexLeaf = 10,
    TableLeaf = 13,
}

/// A file that grows by pages.
#[derive(Debug)]
pub(super) struct PageFile<W> {
    out: W,
    pages: u32,
}

impl<W: Write> PageFile<W> {
    /// A file whose first page is written later, when it is known what stands in it.
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[0; SIZE])?;
        Ok(Self { out, pages: 1 })
    }

    /// How many pages there are.
    pub(super) const fn pages(&self) -> u32 {
        self.pages
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }

    fn next_number(&self) -> u32 {
        if self.pages + 1 == LOCKED_PAGE { LOCKED_PAGE + 1 } else { self.pages + 1 }
    }

    /// Writes a page; returns its number.
    fn append(&mut self, page: &[u8; SIZE]) -> io::Result<u32> {
        let number = self.next_number();
        if number > self.pages + 1 {
            self.out.write_all(&[0; SIZE])?;
        }
        self.out.write_all(page)?;
        self.pages = number;
        Ok(number)
    }

    /// Adds a payload to `cell`, and writes what is too much for it to pages of its own.
    fn spill(&mut self, payload: &[u8], largest: usize, cell: &mut Vec<u8>) -> io::Result<()> {
        let local = local_bytes(SIZE, payload.len(), largest);
        let (here, elsewhere) = payload.split_at(local);
        cell.extend_from_slice(here);
        if elsewhere.is_empty() {
            return Ok(());
        }
        cell.extend_from_slice(&self.next_number().to_be_bytes());
        let mut parts = elsewhere.chunks(SIZE - 4).peekable();
        while let Some(part) = parts.next() {
            let mut page = [0; SIZE];
            if parts.peek().is_some() {
                // The number of the page after this one.
                let this = self.next_number();
                let next = if this + 1 == LOCKED_PAGE { this + 2 } else { this + 1 };
                page[..4].copy_from_slice(&next.to_be_bytes());
            }
            page[4..4 + part.len()].copy_from_slice(part);
            self.append(&page)?;
        }
        Ok(())
    }
}

/// A page that is being filled: cells from its end, their places from its start.
#[derive(Debug)]
pub(super) struct Page {
    bytes: Box<[u8; SIZE]>,
    /// Where the page's header begins: 100 in a file's first page.
    start: usize,
    header: usize,
    cells: usize,
    content: usize,
    last: usize,
}

impl Page {
    pub(super) fn new(start: usize, kind: Kind) -> Self {
        let header = if matches!(kind, Kind::IndexInterior | Kind::TableInterior) { 12 } else { 8 };
        let mut bytes = Box::new([0; SIZE]);
        bytes[start] = kind as u8;
        Self { bytes, start, header, cells: 0, content: SIZE, last: 0 }
    }

    fn places(&self) -> usize {
        self.start + self.header + 2 * self.cells
    }

    fn fits(&self, cell: usize) -> bool {
        self.content - self.places() >= cell + 2
    }

    /// Adds a cell that fits.
    pub(super) fn push(&mut self, cell: &[u8]) {
        self.content -= cell.len();
        self.bytes[self.content..self.content + cell.len()].copy_from_slice(cell);
        let place = self.places();
        self.bytes[place..place + 2].copy_from_slice(&word(self.content));
        self.cells += 1;
        self.last = cell.len();
    }

    /// Takes the cell that was added last out again.
    fn pop(&mut self) -> Vec<u8> {
        let cell = self.bytes[self.content..self.content + self.last].to_vec();
        self.content += self.last;
        self.cells -= 1;
        let place = self.places();
        self.bytes[place..place + 2].fill(0);
        cell
    }

    /// The page with its header.
    pub(super) fn finish(&mut self) -> &mut [u8; SIZE] {
        let (cells, content) = (word(self.cells), word(self.content));
        self.bytes[self.start + 3..self.start + 5].copy_from_slice(&cells);
        self.bytes[self.start + 5..self.start + 7].copy_from_slice(&content);
        &mut self.bytes
    }

    fn set_right(&mut self, child: u32) {
        self.bytes[self.start + 8..self.start + 12].copy_from_slice(&child.to_be_bytes());
    }

    /// Makes it an empty page again. What is left of old cells must not reach the file: equal data is equal bytes.
    fn clear(&mut self) {
        let kind = self.bytes[self.start];
        self.bytes.fill(0);
        self.bytes[self.start] = kind;
        (self.cells, self.content) = (0, SIZE);
    }
}

/// Two bytes; nothing in a page lies beyond.
#[expect(clippy::cast_possible_truncation, reason = "at most the size of a page")]
const fn word(number: usize) -> [u8; 2] {
    (number as u16).to_be_bytes()
}

/// The finished pages of one level: each but the last with what divides it from the next.
#[derive(Debug, Default)]
struct Level {
    pages: Vec<u32>,
    dividers: Vec<u8>,
    ends: Vec<usize>,
}

impl Level {
    fn push(&mut self, page: u32, divider: &[u8]) {
        self.pages.push(page);
        self.dividers.extend_from_slice(divider);
        self.ends.push(self.dividers.len());
    }

    fn divider(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.dividers[start..self.ends[at]]
    }

    /// Writes the levels above this one, whose last page is `last`; returns the root.
    fn finish<W: Write>(mut self, out: &mut PageFile<W>, kind: Kind, mut last: u32) -> io::Result<u32> {
        while !self.pages.is_empty() {
            (self, last) = self.above(out, kind, last)?;
        }
        Ok(last)
    }

    fn above<W: Write>(&self, out: &mut PageFile<W>, kind: Kind, last: u32) -> io::Result<(Self, u32)> {
        // Which dividers go up: each ends a page.
        let mut cuts = Vec::new();
        let mut room = Page::new(0, kind);
        let (size, mut used) = (SIZE - room.header, 0);
        let mut first = 0;
        for at in 0..self.pages.len() {
            let cell = 4 + self.divider(at).len() + 2;
            if used + cell > size {
                cuts.push(at);
                (used, first) = (0, at + 1);
            } else {
                used += cell;
            }
        }
        if first == self.pages.len()
            && let Some(cut) = cuts.last_mut()
        {
            // The last page would be left with a child and no divider.
            *cut -= 1;
        }
        cuts.push(self.pages.len());
        let mut level = Self::default();
        let mut first = 0;
        let mut cell = Vec::new();
        for cut in cuts {
            room.clear();
            for at in first..cut {
                cell.clear();
                cell.extend_from_slice(&self.pages[at].to_be_bytes());
                cell.extend_from_slice(self.divider(at));
                room.push(&cell);
            }
            room.set_right(self.pages.get(cut).copied().unwrap_or(last));
            let page = out.append(room.finish())?;
            if cut == self.pages.len() {
                return Ok((level, page));
            }
            level.push(page, self.divider(cut));
            first = cut + 1;
        }
        Ok((level, last))
    }
}

/// A table, given its rows in the order of their numbers.
#[derive(Debug)]
pub(super) struct TableTree {
    leaf: Page,
    last_row: i64,
    level: Level,
    cell: Vec<u8>,
}

impl TableTree {
    pub(super) fn new() -> Self {
        Self { leaf: Page::new(0, Kind::TableLeaf), last_row: 0, level: Level::default(), cell: Vec::new() }
    }

    /// The cell of a row: for a page that is filled elsewhere.
    pub(super) fn cell<W: Write>(
        out: &mut PageFile<W>,
        row: i64,
        payload: &[u8],
        cell: &mut Vec<u8>,
    ) -> io::Result<()> {
        cell.clear();
        push_varint(cell, payload.len() as u64);
        push_varint(cell, row.cast_unsigned());
        out.spill(payload, LARGEST_ROW, cell)
    }

    pub(super) fn add<W: Write>(
        &mut self,
        out: &mut PageFile<W>,
        row: i64,
        payload: &[u8],
    ) -> io::Result<()> {
        Self::cell(out, row, payload, &mut self.cell)?;
        if !self.leaf.fits(self.cell.len()) {
            let page = out.append(self.leaf.finish())?;
            self.leaf.clear();
            let mut divider = Vec::with_capacity(9);
            push_varint(&mut divider, self.last_row.cast_unsigned());
            self.level.push(page, &divider);
        }
        self.leaf.push(&self.cell);
        self.last_row = row;
        Ok(())
    }

    /// Returns the number of the root.
    pub(super) fn finish<W: Write>(mut self, out: &mut PageFile<W>) -> io::Result<u32> {
        let last = out.append(self.leaf.finish())?;
        self.level.finish(out, Kind::TableInterior, last)
    }
}

/// An index, given its entries in order.
#[derive(Debug)]
pub(super) struct IndexTree {
    leaf: Page,
    /// The page before, full, and the entry between the two: it stands in the level above.
    full: Option<(Page, Vec<u8>)>,
    level: Level,
    cell: Vec<u8>,
}

impl IndexTree {
    pub(super) fn new() -> Self {
        Self { leaf: Page::new(0, Kind::IndexLeaf), full: None, level: Level::default(), cell: Vec::new() }
    }

    pub(super) fn add<W: Write>(&mut self, out: &mut PageFile<W>, payload: &[u8]) -> io::Result<()> {
        self.cell.clear();
        push_varint(&mut self.cell, payload.len() as u64);
        out.spill(payload, LARGEST_ENTRY, &mut self.cell)?;
        if self.leaf.fits(self.cell.len()) {
            self.leaf.push(&self.cell);
            return Ok(());
        }
        let mut empty = match self.full.take() {
            Some((page, divider)) => self.flush(out, page, &divider)?,
            None => Page::new(0, Kind::IndexLeaf),
        };
        empty.clear();
        let full = std::mem::replace(&mut self.leaf, empty);
        self.full = Some((full, self.cell.clone()));
        Ok(())
    }

    fn flush<W: Write>(&mut self, out: &mut PageFile<W>, mut page: Page, divider: &[u8]) -> io::Result<Page> {
        let number = out.append(page.finish())?;
        self.level.push(number, divider);
        Ok(page)
    }

    /// Returns the number of the root.
    pub(super) fn finish<W: Write>(mut self, out: &mut PageFile<W>) -> io::Result<u32> {
        if let Some((mut full, mut divider)) = self.full.take() {
            if self.leaf.cells == 0 {
                // A page without entries is allowed for the root alone.
                self.leaf.push(&divider);
                divider = full.pop();
            }
            self.flush(out, full, &divider)?;
        }
        let last = out.append(self.leaf.finish())?;
        self.level.finish(out, Kind::IndexInterior, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers where each page is and what it begins with.
    #[derive(Default)]
    struct Starts(Vec<[u8; 4]>);

    impl Write for Starts {
        fn write(&mut self, page: &[u8]) -> io::Result<usize> {
            assert_eq!(page.len(), SIZE);
            self.0.push([page[0], page[1], page[2], page[3]]);
            Ok(SIZE)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_page_with_the_locks_stays_unused() {
        let mut file = PageFile { out: Starts::default(), pages: LOCKED_PAGE - 3 };
        let mut cell = Vec::new();
        // Four pages besides what stays in the cell.
        file.spill(&[7; SIZE * 4], LARGEST_ROW, &mut cell).unwrap();
        assert_eq!(cell[cell.len() - 4..], (LOCKED_PAGE - 2).to_be_bytes());
        let next = [LOCKED_PAGE - 1, LOCKED_PAGE + 1, 0, LOCKED_PAGE + 2, 0].map(u32::to_be_bytes);
        assert_eq!(file.out.0, next);
        assert_eq!(file.pages(), LOCKED_PAGE + 2);
    }
}

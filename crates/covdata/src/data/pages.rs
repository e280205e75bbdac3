//! The rows of a data file, straight from its pages.
//!
//! Opening an `SQLite` connection, parsing the schema and stepping through statements takes several times as long as
//! the rows of a shard themselves, and merges read thousands of shards. So the common case is read here: a file as
//! coverage.py or we leave it, at rest. Whatever else it is (damaged, in WAL mode, with a journal, locked by a writer,
//! with tables of another shape), this says `None`, and `SQLite` has to read it, or to say what is wrong.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use super::locked;
use super::raw::Raw;
use super::record::{Record, Value, varint};
use crate::schema;

/// No tree of a file of that size is as deep as this.
const DEEPEST: usize = 12;

const LEAF: u8 = 13;
const INTERIOR: u8 = 5;

/// Reads files, one after the other.
#[derive(Debug, Default)]
pub(crate) struct PageReader {
    file: Vec<u8>,
    /// The statements that have been found to make tables of the known shape.
    accepted: HashSet<Vec<u8>>,
}

impl PageReader {
    /// Reads the data file at `path` in place of what `raw` holds; `early` is what `open_early` made of it. `None`: not in
    /// this way.
    pub(crate) fn read(&mut self, path: &Path, early: Option<File>, raw: &mut Raw) -> Option<()> {
        let state = locked::contents(path, early, &mut self.file)?;
        raw.clear();
        self.rows(raw)?;
        raw.settle_kind().ok()?;
        raw.state = Some(state);
        Some(())
    }

    /// Reads the rows of the file in memory.
    fn rows(&mut self, raw: &mut Raw) -> Option<()> {
        let Self { file, accepted } = self;
        let pages = Pages::new(file)?;
        let mut roots = [0; schema::TABLE_NAMES.len()];
        pages.each(1, &mut |_, row| {
            let mut row = Record::new(row)?;
            let (kind, name) = (row.next()?.text()?, row.next()?.text()?);
            let Some(at) = schema::TABLE_NAMES.iter().position(|table| *table == name) else {
                return Some(());
            };
            let (_, root) = (row.next()?, row.next()?.integer()?);
            let sql = row.next()?.text()?;
            if !accepted.contains(sql.as_bytes()) {
                if kind != "table" || !schema::is_known(at, sql) {
                    return None;
                }
                accepted.insert(sql.as_bytes().to_vec());
            }
            roots[at] = u32::try_from(root).ok()?;
            Some(())
        })?;
        let [schema_root, meta, file_root, context, line_bits, arc, tracer] = roots;

        let mut versions = Vec::new();
        pages.each(schema_root, &mut |_, row| {
            versions.push(Record::new(row)?.next()?.integer()?);
            Some(())
        })?;
        if versions != [schema::SCHEMA_VERSION] {
            return None;
        }
        pages.each(meta, &mut |_, row| {
            let mut row = Record::new(row)?;
            let key = row.next()?.text()?;
            match row.next()? {
                Value::Null => {}
                value => {
                    raw.meta.insert(key.to_owned(), value.text()?.to_owned());
                }
            }
            Some(())
        })?;
        for (root, names) in [(file_root, &mut raw.files), (context, &mut raw.contexts)] {
            pages.each(root, &mut |id, row| {
                let mut row = Record::new(row)?;
                // The id is the row's number and stands as NULL in the row.
                if row.next()? != Value::Null {
                    return None;
                }
                names.push(id, row.next()?.text()?);
                Some(())
            })?;
        }
        pages.each(line_bits, &mut |_, row| {
            let mut row = Record::new(row)?;
            let (file, context) = (row.next()?.integer()?, row.next()?.integer()?);
            raw.push_lines(raw.files.position(file)?, raw.contexts.position(context)?, row.next()?.blob()?);
            Some(())
        })?;
        pages.each(arc, &mut |_, row| {
            let mut row = Record::new(row)?;
            let (file, context) = (row.next()?.integer()?, row.next()?.integer()?);
            let mut line = || i32::try_from(row.next()?.integer()?).ok();
            let arc = (line()?, line()?);
            raw.push_arc(raw.files.position(file)?, raw.contexts.position(context)?, arc);
            Some(())
        })?;
        pages.each(tracer, &mut |file, row| {
            let mut row = Record::new(row)?;
            let _ = row.next()?;
            raw.tracers.push((raw.files.position(file)?, row.next()?.text()?.to_owned()));
            Some(())
        })
    }
}

/// A file in memory.
struct Pages<'a> {
    bytes: &'a [u8],
    size: usize,
    /// What a page holds without the bytes that extensions reserve at its end.
    usable: usize,
}

impl<'a> Pages<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let size = match u16::from_be_bytes([*bytes.get(16)?, *bytes.get(17)?]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = size.checked_sub(usize::from(*bytes.get(20)?))?;
        let utf8 = bytes.get(56..60)? == [0, 0, 0, 1];
        (size >= 512 && usable >= 480 && utf8).then_some(Self { bytes, size, usable })
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        let at = (number as usize).checked_sub(1)?.checked_mul(self.size)?;
        self.bytes.get(at..at.checked_add(self.size)?)
    }

    /// Gives each row of a table, with its number, to `take`, in the order of the numbers.
    fn each(&self, root: u32, take: &mut dyn FnMut(i64, &[u8]) -> Option<()>) -> Option<()> {
        // Pages of a damaged tree may point in circles.
        let mut left = self.bytes.len() / self.size;
        self.visit(root, DEEPEST, &mut left, &mut Vec::new(), take)
    }

    fn visit(
        &self,
        number: u32,
        depth: usize,
        left: &mut usize,
        scratch: &mut Vec<u8>,
        take: &mut dyn FnMut(i64, &[u8]) -> Option<()>,
    ) -> Option<()> {
        *left = left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        let page = self.page(number)?;
        let start = if number == 1 { 100 } else { 0 };
        let word = |at: usize| Some(usize::from(u16::from_be_bytes(page.get(at..at + 2)?.try_into().ok()?)));
        let child = |at: usize| Some(u32::from_be_bytes(page.get(at..at + 4)?.try_into().ok()?));
        let cells = word(start + 3)?;
        match page[start] {
            LEAF => {
                for cell in 0..cells {
                    let at = word(start + 8 + 2 * cell)?;
                    let (len, skip) = varint(page.get(at..)?)?;
                    let (row, skip2) = varint(page.get(at + skip..)?)?;
                    let len = usize::try_from(len).ok().filter(|len| *len <= self.bytes.len())?;
                    let at = at + skip + skip2;
                    let payload = if len <= self.usable - 35 {
                        page.get(at..at.checked_add(len)?)?
                    } else {
                        self.overflowing(page, at, len, scratch)?;
                        &scratch[..]
                    };
                    take(row.cast_signed(), payload)?;
                }
            }
            INTERIOR => {
                for cell in 0..cells {
                    self.visit(child(word(start + 12 + 2 * cell)?)?, depth, left, scratch, take)?;
                }
                self.visit(child(start + 8)?, depth, left, scratch, take)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Puts a row together that goes on in pages of its own.
    fn overflowing(&self, page: &[u8], at: usize, len: usize, row: &mut Vec<u8>) -> Option<()> {
        let local = local_bytes(self.usable, len, self.usable - 35);
        row.clear();
        row.extend_from_slice(page.get(at..at + local)?);
        let mut next = page.get(at + local..at + local + 4)?;
        while row.len() < len {
            let page = self.page(u32::from_be_bytes(next.try_into().ok()?))?;
            let part = (len - row.len()).min(self.usable - 4);
            row.extend_from_slice(page.get(4..4 + part)?);
            next = &page[..4];
        }
        Some(())
    }
}

/// How many bytes of a payload stay in its cell; `largest` is the largest payload that stays whole.
pub(super) fn local_bytes(usable: usize, len: usize, largest: usize) -> usize {
    if len <= largest {
        return len;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let local = least + (len - least) % (usable - 4);
    if local <= largest { local } else { least }
}

//! A data file from sorted rows, without `SQLite`'s statements: those take longer than all the rest of a merge.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use super::record::{RecordWriter, Value};
use super::tree::{IndexTree, Kind, Page, PageFile, SIZE, TableTree};
use crate::schema;

/// What stands in a data file besides its lines or arcs.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) meta: Vec<(&'a str, &'a str)>,
    /// Sorted; the first has number 1.
    pub(crate) files: Vec<&'a str>,
    /// Sorted; the first has number 1.
    pub(crate) contexts: Vec<&'a str>,
    /// The number of a file and its plug-in, sorted.
    pub(crate) tracers: Vec<(u32, &'a str)>,
}

/// Takes the rows of a data file, sorted by file, context and, for arcs, their ends. Files and contexts go by their numbers.
#[derive(Debug)]
pub(crate) struct RowSink<W> {
    out: PageFile<W>,
    record: RecordWriter,
    payload: Vec<u8>,
    rows: i64,
    lines: (TableTree, IndexTree),
    arcs: (TableTree, IndexTree),
}

impl<W: Write> RowSink<W> {
    pub(crate) fn lines(&mut self, file: u32, context: u32, numbits: &[u8]) -> io::Result<()> {
        let (file, context) = (Value::Integer(file.into()), Value::Integer(context.into()));
        self.rows += 1;
        let Self { out, record, payload, rows, lines: (table, index), .. } = self;
        record.write(&[file, context, Value::Blob(numbits)], payload);
        table.add(out, *rows, payload)?;
        record.write(&[file, context, Value::Integer(*rows)], payload);
        index.add(out, payload)
    }

    pub(crate) fn arc(&mut self, file: u32, context: u32, (from, to): (i32, i32)) -> io::Result<()> {
        let mut values = [file.into(), context.into(), from.into(), to.into(), 0].map(Value::Integer);
        self.rows += 1;
        let Self { out, record, payload, rows, arcs: (table, index), .. } = self;
        record.write(&values[..4], payload);
        table.add(out, *rows, payload)?;
        values[4] = Value::Integer(*rows);
        record.write(&values, payload);
        index.add(out, payload)
    }
}

/// Writes a data file to `out`, its lines or arcs being what `fill` gives.
pub(crate) fn build<W: Write + Seek>(
    out: W,
    frame: &Frame<'_>,
    fill: impl FnOnce(&mut RowSink<BufWriter<W>>) -> io::Result<()>,
) -> io::Result<W> {
    let mut sink = RowSink {
        out: PageFile::new(BufWriter::with_capacity(1 << 18, out))?,
        record: RecordWriter::default(),
        payload: Vec::new(),
        rows: 0,
        lines: (TableTree::new(), IndexTree::new()),
        arcs: (TableTree::new(), IndexTree::new()),
    };
    fill(&mut sink)?;
    let RowSink { mut out, mut record, mut payload, lines, arcs, .. } = sink;
    let mut roots = Vec::with_capacity(12);

    let mut table = TableTree::new();
    record.write(&[Value::Integer(schema::SCHEMA_VERSION)], &mut payload);
    table.add(&mut out, 1, &payload)?;
    roots.push(("coverage_schema", table.finish(&mut out)?, None));

    let mut table = TableTree::new();
    for ((key, value), row) in frame.meta.iter().zip(1..) {
        record.write(&[Value::Text(key), Value::Text(value)], &mut payload);
        table.add(&mut out, row, &payload)?;
    }
    let mut keys: Vec<(&str, i64)> = frame.meta.iter().map(|(key, _)| *key).zip(1..).collect();
    keys.sort_unstable();
    let mut index = IndexTree::new();
    for (key, row) in keys {
        record.write(&[Value::Text(key), Value::Integer(row)], &mut payload);
        index.add(&mut out, &payload)?;
    }
    roots.push(("meta", table.finish(&mut out)?, Some(index.finish(&mut out)?)));

    for (name, texts) in [("file", &frame.files), ("context", &frame.contexts)] {
        let (mut table, mut index) = (TableTree::new(), IndexTree::new());
        for (text, row) in texts.iter().zip(1..) {
            record.write(&[Value::Null, Value::Text(text)], &mut payload);
            table.add(&mut out, row, &payload)?;
            record.write(&[Value::Text(text), Value::Integer(row)], &mut payload);
            index.add(&mut out, &payload)?;
        }
        roots.push((name, table.finish(&mut out)?, Some(index.finish(&mut out)?)));
    }
    for (name, (table, index)) in [("line_bits", lines), ("arc", arcs)] {
        roots.push((name, table.finish(&mut out)?, Some(index.finish(&mut out)?)));
    }
    let mut table = TableTree::new();
    for (file, tracer) in &frame.tracers {
        record.write(&[Value::Null, Value::Text(tracer)], &mut payload);
        table.add(&mut out, (*file).into(), &payload)?;
    }
    roots.push(("tracer", table.finish(&mut out)?, None));

    let first = first_page(&mut out, &roots)?;
    let mut out = out.into_inner().into_inner().map_err(io::IntoInnerError::into_error)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&first)?;
    Ok(out)
}

/// The page that says which tables there are, and where.
fn first_page<W: Write>(
    out: &mut PageFile<W>,
    roots: &[(&str, u32, Option<u32>)],
) -> io::Result<[u8; SIZE]> {
    let mut page = Page::new(100, Kind::TableLeaf);
    let (mut record, mut payload, mut cell) = (RecordWriter::default(), Vec::new(), Vec::new());
    let mut row = 0;
    for ((name, table, index), sql) in roots.iter().zip(schema::TABLES) {
        let automatic = format!("sqlite_autoindex_{name}_1");
        let entries = [
            Some(("table", *name, *table, Value::Text(sql))),
            index.map(|index| ("index", automatic.as_str(), index, Value::Null)),
        ];
        for (kind, entry, root, sql) in entries.into_iter().flatten() {
            row += 1;
            let texts = [kind, entry, name].map(Value::Text);
            let [kind, entry, of] = texts;
            record.write(&[kind, entry, of, Value::Integer(root.into()), sql], &mut payload);
            TableTree::cell(out, row, &payload, &mut cell)?;
            page.push(&cell);
        }
    }
    let pages = out.pages();
    let bytes = page.finish();
    bytes[..16].copy_from_slice(b"SQLite format 3\0");
    #[expect(clippy::cast_possible_truncation, reason = "4096")]
    bytes[16..18].copy_from_slice(&(SIZE as u16).to_be_bytes());
    // A rollback journal; no reserved bytes; the fractions that the format asks for.
    bytes[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
    let words = [
        (24, 1),     // change counter
        (28, pages), // size
        (40, 1),     // schema cookie
        (44, 4),     // schema format
        (56, 1),     // UTF-8
        (92, 1),     // the change counter for which the size is right
        (96, rusqlite::version_number().cast_unsigned()),
    ];
    for (at, word) in words {
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
    }
    Ok(*bytes)
}

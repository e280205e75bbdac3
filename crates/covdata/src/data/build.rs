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
fn first_page<W: Write>(out: &mut PageFile<W>, roots: &[(&str, u32, Option<u32>)]) -> io::Result<[u8; SIZE]> {
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;
    use crate::CoverageData;
    use crate::data::readers_agree;

    /// Writes a file and has `SQLite` look it over; returns how many lines and arcs are in it.
    fn check(files: &[String], contexts: &[String], len: usize, arcs: i32) -> (i64, i64) {
        let frame = Frame {
            meta: vec![("version", "x"), ("has_arcs", if arcs > 0 { "1" } else { "0" })],
            files: files.iter().map(String::as_str).collect(),
            contexts: contexts.iter().map(String::as_str).collect(),
            tracers: if files.is_empty() { Vec::new() } else { vec![(1, "plugin")] },
        };
        let bytes = build(Cursor::new(Vec::new()), &frame, |sink| {
            for (file, _) in (1..).zip(files) {
                for (context, _) in (1..).zip(contexts) {
                    if arcs == 0 {
                        let len = 1 + (len * file as usize + context as usize) % (len + 1);
                        sink.lines(file, context, &vec![3; len])?;
                    }
                    for arc in 0..arcs {
                        sink.arc(file, context, (arc - 3, arc * 1000))?;
                    }
                }
            }
            Ok(())
        });
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("x");
        fs_err::write(&path, bytes.unwrap().into_inner()).unwrap();
        let db = Connection::open(&path).unwrap();
        let sane: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sane, "ok");
        let count = |table: &str| -> i64 {
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count("file"), i64::try_from(files.len()).unwrap());
        assert_eq!(count("context"), i64::try_from(contexts.len()).unwrap());
        // Found by its index, and by none: the last of each.
        let by_index =
            "SELECT count(*) FROM context WHERE context = (SELECT max(context) FROM context NOT INDEXED)";
        let found: i64 = db.query_row(by_index, [], |row| row.get(0)).unwrap();
        assert_eq!(found, i64::from(!contexts.is_empty()));
        assert_eq!(readers_agree(&path), cfg!(target_os = "linux").then_some(true));
        CoverageData::read(&path).unwrap();
        (count("line_bits"), count("arc"))
    }

    fn names(count: usize, len: usize) -> Vec<String> {
        (0..count).map(|at| format!("{at:07}{}", "x".repeat(len))).collect()
    }

    #[test]
    fn trees_of_many_levels_are_sane() {
        assert_eq!(check(&names(300, 10), &names(700, 0), 70, 0), (210_000, 0));
        assert_eq!(check(&names(20, 0), &names(50, 0), 0, 150), (0, 150_000));
        assert_eq!(check(&[], &[], 0, 0), (0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

        #[test]
        fn files_of_any_shape_are_sane(
            files in 0usize..40, contexts in 0usize..60, name in 0usize..1500, len in 0usize..9000, arcs in 0i32..20
        ) {
            let rows = i64::try_from(files * contexts).unwrap();
            let arcs = if len % 2 == 0 { 0 } else { arcs };
            let expected = if arcs == 0 { (rows, 0) } else { (0, rows * i64::from(arcs)) };
            prop_assert_eq!(check(&names(files, name), &names(contexts, name * 3), len, arcs), expected);
        }
    }
}

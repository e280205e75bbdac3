//! Data files into memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, RunToken, Slug};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::pages::PageReader;
use super::probe::Header;
use super::raw::{Names, Raw};
use super::snapshot::{Snapshot, State};
use super::{ArcData, CoverageData, Measured, Ownership};
use crate::shard::{Sources, sources_of};
use crate::{CovdataError, schema};

/// How long to wait for a writer: one of its transactions takes milliseconds.
pub(crate) const BUSY_SECONDS: u64 = 5;
const BUSY: Duration = Duration::from_secs(BUSY_SECONDS);

/// How often to read again when a writer came in between.
const ATTEMPTS: usize = 20;

impl CoverageData {
    /// Reads a data file of coverage.py or of ours.
    ///
    /// The file is not changed, not even where its writer was killed and left a journal to roll back.
    pub fn read(path: &Path) -> Result<Self, CovdataError> {
        let mut data = Self::default();
        let mut raw = Raw::default();
        Reader::default().read(path, &mut raw, &mut |part| data.take(part))?;
        data.expect(raw.has_arcs);
        data.take(&raw);
        for (file, tracer) in &raw.tracers {
            if let Some(name) = raw.files.iter().nth(*file) {
                data.tracers.insert(MeasuredPath::new(name), tracer.clone());
            }
        }
        data.files.extend(raw.files.iter().map(MeasuredPath::new));
        data.contexts.extend(raw.contexts.iter().map(ContextLabel::new));
        Ok(data)
    }

    /// Fixes what is measured, where a file says so and has nothing of it.
    pub(crate) fn expect(&mut self, has_arcs: Option<bool>) {
        match (&self.measured, has_arcs) {
            (Measured::Nothing, Some(true)) => self.measured = Measured::Arcs(ArcData::default()),
            (Measured::Nothing, Some(false)) => self.measured = Measured::Lines(LineData::new()),
            _ => {}
        }
    }

    /// Takes the lines and arcs of `raw` in.
    fn take(&mut self, raw: &Raw) {
        let files: Vec<MeasuredPath> = raw.files.iter().map(MeasuredPath::new).collect();
        let contexts: Vec<ContextLabel> = raw.contexts.iter().map(ContextLabel::new).collect();
        if !raw.lines.is_empty() {
            self.expect(Some(false));
        }
        if !raw.arcs.is_empty() {
            self.expect(Some(true));
        }
        if let Measured::Lines(data) = &mut self.measured {
            for row in &raw.lines {
                let lines = LineBits::from_numbits(raw.numbits(row).to_vec());
                data.add(&contexts[row.context], &files[row.file], &lines);
            }
        }
        if let Measured::Arcs(data) = &mut self.measured {
            for (file, context, arc) in &raw.arcs {
                data.add(&contexts[*context], &files[*file], *arc);
            }
        }
    }
}

impl Ownership {
    /// Reads whose data a file is; both are `None` for a file that coverage.py wrote.
    pub fn read(path: &Path) -> Result<Self, CovdataError> {
        open(path, |db, _| meta(db)).map(|meta| Self::of(&meta))
    }

    /// Reads a data file as [`CoverageData::read`] does, and keeps nothing of it but whose it is.
    pub fn check(path: &Path) -> Result<Self, CovdataError> {
        let mut raw = Raw::default();
        Reader::default().read(path, &mut raw, &mut |_| ())?;
        Ok(Self::of(&raw.meta))
    }

    pub(crate) fn of(meta: &BTreeMap<String, String>) -> Self {
        Self {
            slug: meta.get(schema::META_SLUG).and_then(|text| Slug::parse(text).ok()),
            run: meta.get(schema::META_RUN).and_then(|text| RunToken::try_from(text.clone()).ok()),
        }
    }
}

/// What a shard of real traffic says of the sources of its files, as they were when they were loaded.
pub fn traffic_sources(path: &Path) -> Result<Sources, CovdataError> {
    open(path, |db, _| meta(db)).map(|meta| sources_of(&meta))
}

/// Takes a part of the rows of a file that is too large to be held as a whole.
pub(crate) type TakePart<'a> = &'a mut dyn FnMut(&Raw);

/// Reads data files, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pages: PageReader,
}

impl Reader {
    /// Reads the data file at `path` in place of what `raw` holds.
    ///
    /// Rows of a large file go to `take` part by part, and the last part stays in `raw`; its names, and all that is small,
    /// are whole in each part. A file that can't be read to its end has given no part, but for a fault of the disk in
    /// between: then what was taken is true, and not all.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        raw: &mut Raw,
        take: TakePart<'_>,
    ) -> Result<(), CovdataError> {
        self.read_opened(path, None, raw, take)
    }

    /// The same for a file that was perhaps opened before its turn, by `open_early`.
    pub(crate) fn read_opened(
        &mut self,
        path: &Path,
        early: Option<File>,
        raw: &mut Raw,
        take: TakePart<'_>,
    ) -> Result<(), CovdataError> {
        if self.pages.read(path, early, raw).is_some() {
            return Ok(());
        }
        let is_large = fs_err::metadata(path).is_ok_and(|meta| meta.len() > PARTS_ABOVE);
        let state = open(path, |db, state| {
            if is_large {
                rows(db, raw, &mut |_| ())?;
            }
            rows(db, raw, take)?;
            Ok(state.clone())
        })?;
        raw.state = Some(state);
        Ok(())
    }
}

/// Whether the data file at `path` has the same rows, read from its pages and by `SQLite`; `None` if one of them refuses it.
#[doc(hidden)]
pub fn readers_agree(path: &Path) -> Option<bool> {
    let (mut ours, mut theirs) = (Raw::default(), Raw::default());
    PageReader::default().read(path, None, &mut ours)?;
    open(path, |db, _| rows(db, &mut theirs, &mut |_| ())).ok()?;
    theirs.state.clone_from(&ours.state);
    Some(ours == theirs)
}

/// The largest file whose rows are held as a whole.
const PARTS_ABOVE: u64 = 32 << 20;

/// The bytes of rows that are held at once.
const PART: usize = 16 << 20;

/// A fault while reading rows.
enum RowFault {
    Sqlite(rusqlite::Error),
    Damaged(String),
    Foreign,
    Schema(i64),
}

impl From<rusqlite::Error> for RowFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Opens a data file, whatever state its writer left it in, and reads from it in one transaction.
fn open<T>(
    path: &Path,
    mut read: impl FnMut(&Connection, &State) -> Result<T, RowFault>,
) -> Result<T, CovdataError> {
    let fault = |fault| match fault {
        RowFault::Sqlite(source) => named(path, source),
        RowFault::Damaged(detail) => CovdataError::Damaged { path: path.to_owned(), detail },
        RowFault::Foreign => CovdataError::Foreign { path: path.to_owned() },
        RowFault::Schema(found) => CovdataError::Schema { path: path.to_owned(), found },
    };
    for _ in 0..ATTEMPTS {
        let header = Header::read(path)?;
        if header.wal {
            break;
        }
        let Ok(meta) = std::fs::metadata(path) else {
            return Err(CovdataError::Missing { path: path.to_owned() });
        };
        let state = State::at_rest(&meta, &header);
        let outcome = read_in_place(path, |db| read(db, &state));
        let hot = matches!(&outcome, Err(RowFault::Sqlite(error)) if needs_rollback(error));
        if hot {
            break;
        }
        // Only a header that is the same before and after says which state was read.
        let after = Header::read(path)?;
        if after == header {
            // SQLite notices missing pages, but not a last page cut short.
            let len = fs_err::metadata(path).map_or(0, |meta| meta.len());
            header.check_length(path, len)?;
            return outcome.map_err(fault);
        }
    }
    let snapshot = Snapshot::take(path)?;
    read(&snapshot.db, &snapshot.state).map_err(fault)
}

fn read_in_place<T>(
    path: &Path,
    read: impl FnOnce(&Connection) -> Result<T, RowFault>,
) -> Result<T, RowFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.execute_batch("BEGIN")?;
    read(&db)
}

/// Whether the file can only be read after a rollback, which a reader has no right to do in place.
fn needs_rollback(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK
            || error.extended_code == rusqlite::ffi::SQLITE_READONLY_RECOVERY
            || error.extended_code == rusqlite::ffi::SQLITE_READONLY_CANTINIT
            || error.code == ErrorCode::CannotOpen
    })
}

/// `SQLite`'s fault under our names.
pub(super) fn named(path: &Path, source: rusqlite::Error) -> CovdataError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => CovdataError::NotSqlite { path, hint: "" },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            CovdataError::Locked { path, seconds: BUSY_SECONDS }
        }
        // Without a code it is rusqlite's: a column holds another type than it should.
        None | Some(ErrorCode::DatabaseCorrupt) => CovdataError::Damaged { path, detail: source.to_string() },
        Some(_) => CovdataError::Sqlite { action: "read", path, source },
    }
}

/// Checks that it is coverage data of our schema, and reads `meta`.
fn meta(db: &Connection) -> Result<BTreeMap<String, String>, RowFault> {
    let known = db
        .query_row(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'coverage_schema'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if known.is_none() {
        return Err(RowFault::Foreign);
    }
    let version: Option<i64> =
        db.query_row("SELECT version FROM coverage_schema", [], |row| row.get(0)).optional()?;
    match version {
        Some(schema::SCHEMA_VERSION) => {}
        Some(other) => return Err(RowFault::Schema(other)),
        None => return Err(RowFault::Damaged("its table coverage_schema is empty".to_owned())),
    }
    let mut query = db.prepare("SELECT key, value FROM meta WHERE value IS NOT NULL")?;
    // Values are text by declaration; a number is read as its digits.
    let rows = query.query_map([], |row| Ok((row.get(0)?, text(&row.get_ref(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn text(value: &rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    }
}

/// Reads all rows in place of what `raw` holds.
fn rows(db: &Connection, raw: &mut Raw, take: TakePart<'_>) -> Result<(), RowFault> {
    raw.clear();
    raw.meta = meta(db)?;
    names(db, "SELECT id, path FROM file ORDER BY id", &mut raw.files)?;
    names(db, "SELECT id, context FROM context ORDER BY id", &mut raw.contexts)?;
    let lookup = |names: &Names, table: &str, what: &str, id: i64| {
        names.position(id).ok_or_else(|| {
            RowFault::Damaged(format!("table {table} refers to {what} {id}, which is not in the file"))
        })
    };

    let mut query = db.prepare("SELECT file_id, context_id, numbits FROM line_bits")?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        let file = lookup(&raw.files, "line_bits", "file", row.get(0)?)?;
        let context = lookup(&raw.contexts, "line_bits", "context", row.get(1)?)?;
        let numbits = row.get_ref(2)?.as_blob().map_err(|error| RowFault::Damaged(error.to_string()))?;
        raw.push_lines(file, context, numbits);
        if raw.size() > PART {
            take(raw);
            raw.next_part();
        }
    }

    let mut query = db.prepare("SELECT file_id, context_id, fromno, tono FROM arc")?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        let file = lookup(&raw.files, "arc", "file", row.get(0)?)?;
        let context = lookup(&raw.contexts, "arc", "context", row.get(1)?)?;
        raw.push_arc(file, context, (row.get(2)?, row.get(3)?));
        if raw.size() > PART {
            take(raw);
            raw.next_part();
        }
    }

    let mut query = db.prepare("SELECT file_id, tracer FROM tracer")?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        raw.tracers.push((lookup(&raw.files, "tracer", "file", row.get(0)?)?, row.get(1)?));
    }
    raw.settle_kind().map_err(RowFault::Damaged)
}

/// Reads texts in the order of their ids.
fn names(db: &Connection, sql: &str, into: &mut Names) -> Result<(), RowFault> {
    let mut query = db.prepare(sql)?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        let text = row.get_ref(1)?.as_str().map_err(|error| RowFault::Damaged(error.to_string()))?;
        into.push(row.get(0)?, text);
    }
    Ok(())
}

/// Opens the file itself, locked against other writers; a leftover journal is rolled back by that.
///
/// `Ok(None)`: someone else has it locked.
pub(crate) fn open_locked(path: &Path) -> rusqlite::Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    match db.execute_batch("BEGIN IMMEDIATE") {
        Ok(()) => Ok(Some(db)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
        Err(error) => Err(error),
    }
}

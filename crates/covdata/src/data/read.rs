//! Data files into memory.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, RunToken, Slug};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::probe::Header;
use super::snapshot::{Snapshot, State, Wal};
use super::{Arc, ArcData, CoverageData, Measured, Ownership};
use crate::{CovdataError, schema};

/// How long to wait for a writer: one of its transactions takes milliseconds.
pub(crate) const BUSY_SECONDS: u64 = 5;
const BUSY: Duration = Duration::from_secs(BUSY_SECONDS);

/// How often to read again when a writer came in between.
const ATTEMPTS: usize = 20;

/// The rows of a data file, not yet under their names.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) files: Vec<MeasuredPath>,
    pub(crate) contexts: Vec<ContextLabel>,
    /// Index of the file, index of the context, lines.
    pub(crate) lines: Vec<(usize, usize, LineBits)>,
    /// Index of the file, index of the context, arc.
    pub(crate) arcs: Vec<(usize, usize, Arc)>,
    pub(crate) tracers: Vec<(usize, String)>,
    /// `None`: the file doesn't say and has neither.
    pub(crate) has_arcs: Option<bool>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) state: State,
}

impl CoverageData {
    /// Reads a data file of coverage.py or of ours.
    ///
    /// The file is not changed, not even where its writer was killed and left a journal to roll back.
    pub fn read(path: &Path) -> Result<Self, CovdataError> {
        let mut data = Self::default();
        let raw = read_raw(path)?;
        data.expect(raw.has_arcs);
        let names = raw.files.clone();
        data.take(raw, &names);
        Ok(data)
    }

    /// Fixes what is going to be measured, where a file says so.
    pub(crate) fn expect(&mut self, has_arcs: Option<bool>) {
        match has_arcs {
            Some(true) => self.measured = Measured::Arcs(ArcData::default()),
            Some(false) => self.measured = Measured::Lines(LineData::new()),
            None => {}
        }
    }

    /// Takes `raw` in, its files under `names`. Lines and arcs don't mix: the caller has seen to that.
    pub(crate) fn take(&mut self, raw: Raw, names: &[MeasuredPath]) {
        for (index, context, lines) in &raw.lines {
            if let Measured::Lines(data) = &mut self.measured {
                data.add(&raw.contexts[*context], &names[*index], lines);
            }
        }
        for (index, context, arc) in &raw.arcs {
            if let Measured::Arcs(data) = &mut self.measured {
                data.add(&raw.contexts[*context], &names[*index], *arc);
            }
        }
        for (index, tracer) in raw.tracers {
            self.tracers.insert(names[index].clone(), tracer);
        }
        for name in names {
            if !self.files.contains(name) {
                self.files.insert(name.clone());
            }
        }
        for context in raw.contexts {
            self.contexts.insert(context);
        }
    }
}

impl Ownership {
    /// Reads whose data a file is; both are `None` for a file that coverage.py wrote.
    pub fn read(path: &Path) -> Result<Self, CovdataError> {
        open(path, |db, _| meta(db)).map(|meta| Self::of(&meta))
    }

    pub(crate) fn of(meta: &BTreeMap<String, String>) -> Self {
        Self {
            slug: meta.get(schema::META_SLUG).and_then(|text| Slug::parse(text).ok()),
            run: meta.get(schema::META_RUN).and_then(|text| RunToken::try_from(text.clone()).ok()),
        }
    }
}

/// Reads the rows of a data file.
pub(crate) fn read_raw(path: &Path) -> Result<Raw, CovdataError> {
    open(path, |db, state| rows(db, state.clone()))
}

impl Raw {
    /// Turns arcs into the lines at their ends.
    pub(crate) fn prune_branches(&mut self) {
        if self.has_arcs != Some(true) {
            return;
        }
        let mut lines: BTreeMap<(usize, usize), LineBits> = BTreeMap::new();
        for (file, context, (from, to)) in self.arcs.drain(..) {
            let ends = [from, to].into_iter().filter_map(|line| u32::try_from(line).ok());
            lines.entry((file, context)).or_default().extend(ends.filter(|line| *line > 0));
        }
        self.lines = lines.into_iter().map(|((file, context), bits)| (file, context, bits)).collect();
        self.has_arcs = Some(false);
    }
}

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
    read: impl Fn(&Connection, &State) -> Result<T, RowFault>,
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
        let Some(state) = state(path, &header) else {
            return Err(CovdataError::Missing { path: path.to_owned() });
        };
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

fn state(path: &Path, header: &Header) -> Option<State> {
    let meta = std::fs::metadata(path).ok()?;
    Some(State {
        identity: (meta.dev(), meta.ino()),
        change_counter: header.change_counter,
        wal: Wal::Unused,
    })
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

fn rows(db: &Connection, state: State) -> Result<Raw, RowFault> {
    let meta = meta(db)?;
    let (files, file_at) =
        names(db, "SELECT id, path FROM file ORDER BY id", |text: String| MeasuredPath::new(text))?;
    let (contexts, context_at) =
        names(db, "SELECT id, context FROM context ORDER BY id", |text: String| ContextLabel::new(text))?;
    let lookup = |ids: &HashMap<i64, usize>, table: &str, what: &str, id: i64| {
        ids.get(&id).copied().ok_or_else(|| {
            RowFault::Damaged(format!("table {table} refers to {what} {id}, which is not in the file"))
        })
    };

    let mut lines = Vec::new();
    let mut query = db.prepare("SELECT file_id, context_id, numbits FROM line_bits")?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        lines.push((
            lookup(&file_at, "line_bits", "file", row.get(0)?)?,
            lookup(&context_at, "line_bits", "context", row.get(1)?)?,
            LineBits::from_numbits(row.get(2)?),
        ));
    }

    let mut arcs = Vec::new();
    let mut query = db.prepare("SELECT file_id, context_id, fromno, tono FROM arc")?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        arcs.push((
            lookup(&file_at, "arc", "file", row.get(0)?)?,
            lookup(&context_at, "arc", "context", row.get(1)?)?,
            (row.get(2)?, row.get(3)?),
        ));
    }

    let mut tracers = Vec::new();
    let mut query = db.prepare("SELECT file_id, tracer FROM tracer")?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        tracers.push((lookup(&file_at, "tracer", "file", row.get(0)?)?, row.get(1)?));
    }

    let has_arcs = match meta.get("has_arcs").map(String::as_str) {
        Some("0") => Some(false),
        Some("1") => Some(true),
        Some(other) => return Err(RowFault::Damaged(format!("its has_arcs is {other:?}, not 0 or 1"))),
        None if !arcs.is_empty() => Some(true),
        None if !lines.is_empty() => Some(false),
        None => None,
    };
    if (has_arcs == Some(true) && !lines.is_empty()) || (has_arcs == Some(false) && !arcs.is_empty()) {
        return Err(RowFault::Damaged("it holds lines and branches at once".to_owned()));
    }
    Ok(Raw { files, contexts, lines, arcs, tracers, has_arcs, meta, state })
}

/// Names in the order of their ids, and where each id is in that order.
fn names<T>(
    db: &Connection,
    sql: &str,
    make: impl Fn(String) -> T,
) -> Result<(Vec<T>, HashMap<i64, usize>), RowFault> {
    let mut values = Vec::new();
    let mut at = HashMap::new();
    let mut query = db.prepare(sql)?;
    let mut found = query.query([])?;
    while let Some(row) = found.next()? {
        at.insert(row.get(0)?, values.len());
        values.push(make(row.get(1)?));
    }
    Ok((values, at))
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

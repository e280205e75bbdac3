//! The writing side, used inside the traced process.

mod once;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, RunToken, Slug};
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension as _, params};

pub(super) use self::once::{Added, add_to, create_as};
use super::ShardName;
use crate::data::{identity, identity_at, share};
use crate::{CovdataError, schema};

/// How long a flush waits for a reader or a merger that has the file locked. The interpreter stands still meanwhile.
const BUSY: Duration = Duration::from_millis(100);

/// So many contexts' ids are kept in mind: with a context for each request, there is no end of them.
const KNOWN: usize = 1024;

/// One process's open shard.
///
/// A killed process loses nothing that [`ShardWriter::add`] returned for: the journal is on disk, and what
/// is not synchronised survives the process (though not the machine).
#[derive(Debug)]
pub struct ShardWriter {
    path: PathBuf,
    file_name: String,
    identity: (u64, u64),
    /// Open from the second transaction on.
    db: Option<Connection>,
    /// Keeps the file's number from being another file's. Never closed before `db` is: that would give up the locks of the
    /// process.
    file: File,
    /// How many bytes it had after the last transaction.
    written: u64,
    files: HashMap<MeasuredPath, i64>,
    contexts: HashMap<ContextLabel, i64>,
}

impl ShardWriter {
    /// Makes a new shard in `dir` with what `data` holds, under a name that no other shard has.
    ///
    /// It appears under its name complete with its tables and rows: a merge that runs at the same time never
    /// finds an empty file there (which `coverage combine` would delete). It is made in memory and written in one go, a tenth of
    /// the system calls of a transaction; the file is opened as a database when there is more to add.
    pub fn create(
        draft: &mut ShardDraft,
        dir: &Path,
        (slug, run): (&Slug, &RunToken),
        (host, pid): (&str, u32),
        data: &LineData,
    ) -> Result<Self, CovdataError> {
        let (mut files, mut contexts) = (HashMap::new(), HashMap::new());
        let image = draft
            .filled((slug, run), data, &[], (&mut files, &mut contexts))
            .map_err(|source| CovdataError::Sqlite { action: "prepare", path: dir.to_owned(), source })?;
        let placed = place(dir, &image, || Some(ShardName::fresh(slug, host, pid).to_string()))?;
        // Names do not run out.
        let Some((path, file_name, file)) = placed else {
            return Err(CovdataError::Missing { path: dir.to_owned() });
        };
        let meta = file.metadata().map_err(|source| CovdataError::Io {
            action: "make a shard in",
            path: dir.to_owned(),
            source,
        })?;
        let (identity, written) = (identity(&meta), meta.len());
        Ok(Self { path, file_name, identity, db: None, file, written, files, contexts })
    }

    /// The shard's name, without its directory.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Where the shard is, or was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it has; none once somebody took it away.
    pub fn size(&self) -> u64 {
        self.file.metadata().ok().filter(|meta| meta.nlink() > 0).map_or(0, |meta| meta.len())
    }

    /// How many it had when it was written last: nobody else writes to it. Asks nobody.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Whether the path still names the file that we opened.
    ///
    /// A merge takes shards away while their process lives; that is normal, and what comes after has
    /// to go into a new shard, with the context's whole set.
    pub fn is_current(&self) -> bool {
        identity_at(&self.path) == Some(self.identity)
    }

    /// Adds `data` to what the shard holds, in one transaction: afterwards all of it is there, or, on an
    /// error, nothing of it.
    ///
    /// Fails with [`CovdataError::ShardMoved`] when the shard is not current any more.
    pub fn add(&mut self, data: &LineData) -> Result<(), CovdataError> {
        let result = self.write(data);
        if result.is_err() {
            // The transaction is rolled back, and ids that it handed out with it.
            self.files.clear();
            self.contexts.clear();
        }
        self.written = self.size();
        result
    }

    fn write(&mut self, data: &LineData) -> Result<(), CovdataError> {
        if !self.is_current() {
            return Err(CovdataError::ShardMoved { path: self.path.clone() });
        }
        let Self { path, identity: opened, db, files, contexts, .. } = self;
        let fault = |source| fault(path, source);
        let db = match db {
            Some(db) => db,
            None => db.insert(open(path).map_err(fault)?),
        };
        let transaction = Transaction::begin(db).map_err(fault)?;
        // Again, now under the lock that our merge holds while it unlinks.
        if identity_at(path) != Some(*opened) {
            return Err(CovdataError::ShardMoved { path: path.clone() });
        }
        if contexts.len() > KNOWN {
            contexts.clear();
        }
        Rows::new(transaction.db, files, contexts).add_all(data).map_err(fault)?;
        transaction.commit().map_err(fault)
    }

    /// Gives the open file up without closing it.
    ///
    /// For a forked child: closing the inherited handle would drop the parent's locks (POSIX locks belong
    /// to the process and the file, not to the handle).
    pub fn leak(self) {
        std::mem::forget((self.db, self.file));
    }
}

/// Why a shard could not be written.
fn fault(path: &Path, source: rusqlite::Error) -> CovdataError {
    let path = path.to_owned();
    match source.sqlite_error() {
        Some(error) if error.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => {
            CovdataError::ShardMoved { path }
        }
        // Overwritten or cut off in place: no more ours than one that was taken away.
        Some(error)
            if matches!(
                error.code,
                rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt
            ) =>
        {
            CovdataError::ShardMoved { path }
        }
        Some(error) if error.code == rusqlite::ErrorCode::DatabaseBusy => {
            CovdataError::Locked { path, seconds: BUSY.as_secs() }
        }
        _ => CovdataError::Sqlite { action: "write", path, source },
    }
}

/// An empty shard in memory, from which shards are made: making its tables takes longer than filling them.
///
/// No file is open for it, so that a forked child may go on with it.
#[derive(Debug)]
pub struct ShardDraft(Connection);

impl ShardDraft {
    /// Makes the tables.
    pub fn new() -> Result<Self, CovdataError> {
        let empty = || {
            let db = Connection::open_in_memory()?;
            schema::create(&db, &[])?;
            Ok(Self(db))
        };
        empty().map_err(|source| CovdataError::Sqlite {
            action: "prepare",
            path: PathBuf::from(":memory:"),
            source,
        })
    }

    /// The bytes of a shard; `known` gets the ids of its rows.
    fn filled(
        &mut self,
        of: (&Slug, &RunToken),
        data: &LineData,
        more: &[(String, String)],
        known: (&mut HashMap<MeasuredPath, i64>, &mut HashMap<ContextLabel, i64>),
    ) -> rusqlite::Result<Vec<u8>> {
        // Never committed: nothing is left of it for the next one, not even free pages.
        self.0.prepare_cached("BEGIN")?.execute([])?;
        let filled = self.fill(of, data, more, known).and_then(|()| schema::image(&mut self.0));
        self.0.prepare_cached("ROLLBACK")?.execute([])?;
        filled
    }

    fn fill(
        &self,
        (slug, run): (&Slug, &RunToken),
        data: &LineData,
        more: &[(String, String)],
        (files, contexts): (&mut HashMap<MeasuredPath, i64>, &mut HashMap<ContextLabel, i64>),
    ) -> rusqlite::Result<()> {
        let meta = [
            ("version", schema::WRITER_VERSION),
            ("has_arcs", "0"),
            (schema::META_SLUG, slug.as_str()),
            (schema::META_RUN, run.as_str()),
        ];
        schema::add_meta(&self.0, &meta)?;
        more.iter().try_for_each(|(key, value)| schema::add_meta(&self.0, &[(key, value)]))?;
        Rows::new(&self.0, files, contexts).add_all(data)
    }
}

/// A transaction that is rolled back unless it is committed. `rusqlite`'s own parses both of its statements each time.
struct Transaction<'a> {
    db: &'a Connection,
}

impl<'a> Transaction<'a> {
    fn begin(db: &'a Connection) -> rusqlite::Result<Self> {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self { db })
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.db.is_autocommit() {
            // What can't be rolled back now is rolled back by whoever opens the file next.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }
}

/// Writes rows within a transaction, and knows which ids there are.
struct Rows<'a> {
    db: &'a Connection,
    files: &'a mut HashMap<MeasuredPath, i64>,
    contexts: &'a mut HashMap<ContextLabel, i64>,
    /// The context whose row was made last in this transaction: no file has lines of it, but what this transaction added.
    new_context: Option<i64>,
    /// Statements that were asked for, for the length of the transaction: a request may have a context of its own.
    insert_context: Option<CachedStatement<'a>>,
    insert_lines: Option<CachedStatement<'a>>,
}

impl<'a> Rows<'a> {
    fn new(
        db: &'a Connection,
        files: &'a mut HashMap<MeasuredPath, i64>,
        contexts: &'a mut HashMap<ContextLabel, i64>,
    ) -> Self {
        Self { db, files, contexts, new_context: None, insert_context: None, insert_lines: None }
    }

    fn add_all(&mut self, data: &LineData) -> rusqlite::Result<()> {
        data.iter().try_for_each(|(context, file, lines)| self.add(context, file, lines))
    }

    /// Adds lines. At most once for a context and a file.
    fn add(&mut self, context: &ContextLabel, file: &MeasuredPath, lines: &LineBits) -> rusqlite::Result<()> {
        let (file_id, new_file) = if let Some(id) = self.files.get(file) {
            (*id, false)
        } else {
            let insert = &mut self.db.prepare_cached(INSERT_FILE)?;
            let (id, is_new) = row_id(self.db, insert, SELECT_FILE, file.as_str())?;
            self.files.insert(file.clone(), id);
            (id, is_new)
        };
        if lines.is_empty() {
            // Measured, and nothing ran: the file's own row says that.
            return Ok(());
        }
        let context_id = if let Some(id) = self.contexts.get(context) {
            *id
        } else {
            let insert = kept(&mut self.insert_context, self.db, INSERT_CONTEXT)?;
            let (id, is_new) = row_id(self.db, insert, SELECT_CONTEXT, context.as_str())?;
            self.contexts.insert(context.clone(), id);
            self.new_context = is_new.then_some(id);
            id
        };
        if new_file || self.new_context == Some(context_id) {
            // Nobody can have put lines there before.
            let insert = kept(&mut self.insert_lines, self.db, INSERT_LINES)?;
            insert.execute(params![file_id, context_id, lines.as_numbits()])?;
            return Ok(());
        }
        let known: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT numbits FROM line_bits WHERE file_id = ?1 AND context_id = ?2")?
            .query_row([file_id, context_id], |row| row.get(0))
            .optional()?;
        let mut all = LineBits::from_numbits(known.unwrap_or_default());
        if lines.is_subset(&all) {
            return Ok(());
        }
        all.union_with(lines);
        let replace = "INSERT OR REPLACE INTO line_bits (file_id, context_id, numbits) VALUES (?1, ?2, ?3)";
        self.db.prepare_cached(replace)?.execute(params![file_id, context_id, all.as_numbits()])?;
        Ok(())
    }
}

/// A statement that is looked up, or compiled, when it is first needed.
fn kept<'a, 'db>(
    statement: &'a mut Option<CachedStatement<'db>>,
    db: &'db Connection,
    sql: &str,
) -> rusqlite::Result<&'a mut CachedStatement<'db>> {
    match statement {
        Some(statement) => Ok(statement),
        none => Ok(none.insert(db.prepare_cached(sql)?)),
    }
}

const INSERT_FILE: &str = "INSERT INTO file (path) VALUES (?1) ON CONFLICT DO NOTHING";
const SELECT_FILE: &str = "SELECT id FROM file WHERE path = ?1";
const INSERT_CONTEXT: &str = "INSERT INTO context (context) VALUES (?1) ON CONFLICT DO NOTHING";
const SELECT_CONTEXT: &str = "SELECT id FROM context WHERE context = ?1";
/// Without a way out for a row that is there: SQLite would keep a journal for that.
const INSERT_LINES: &str = "INSERT INTO line_bits (file_id, context_id, numbits) VALUES (?1, ?2, ?3)";

/// The id of a row, and whether it was made now.
fn row_id(
    db: &Connection,
    insert: &mut CachedStatement<'_>,
    select: &str,
    value: &str,
) -> rusqlite::Result<(i64, bool)> {
    if insert.execute([value])? > 0 {
        return Ok((db.last_insert_rowid(), true));
    }
    let known = db.prepare_cached(select)?.query_row([value], |row| row.get(0))?;
    Ok((known, false))
}

/// Writes `image` beside its place and gives it the first name that is free; `None` where there is none.
fn place(
    dir: &Path,
    image: &[u8],
    mut name: impl FnMut() -> Option<String>,
) -> Result<Option<(PathBuf, String, File)>, CovdataError> {
    let fault = |source| CovdataError::Io { action: "make a shard in", path: dir.to_owned(), source };
    let group = fs_err::metadata(dir).map_err(fault)?.gid();
    let mut file = tempfile::Builder::new().prefix(".playtrace-").tempfile_in(dir).map_err(fault)?;
    file.write_all(image).map_err(fault)?;
    share(file.as_file(), group).map_err(fault)?;
    loop {
        let Some(file_name) = name() else { return Ok(None) };
        let path = dir.join(&file_name);
        match file.persist_noclobber(&path) {
            Ok(file) => return Ok(Some((path, file_name, file))),
            Err(taken) if taken.error.kind() == std::io::ErrorKind::AlreadyExists => file = taken.file,
            Err(error) => return Err(fault(error.error)),
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    // Without CREATE: should the shard be gone already, an empty one must not take its place.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    Ok(db)
}

#[cfg(test)]
mod tests;

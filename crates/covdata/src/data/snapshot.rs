//! Reading a file that its owner may be writing, or was killed while writing.

use std::fs::Metadata;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::probe::{Header, sidecar};
use crate::CovdataError;

/// `SQLite`'s journal magic, which also ends a journal that names a super-journal.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// A file that changes each time we look is being written; its owner is done sooner than this.
const ATTEMPTS: usize = 20;

/// What a data file was like when it was read: whether it is still the same can be told later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    /// The header's counter, after a leftover journal was rolled back.
    pub(crate) change_counter: u32,
    /// The same for a file in WAL mode, whose counter stands still.
    pub(crate) wal: Wal,
    /// Length and time of change, where the file itself was read: a new file may have an old one's inode and counter.
    pub(crate) stamp: Option<Stamp>,
}

impl State {
    /// The state of a file in rollback mode, as it is.
    pub(super) fn at_rest(meta: &Metadata, header: &Header) -> Self {
        let change_counter = header.change_counter;
        Self { identity: identity(meta), change_counter, wal: Wal::Unused, stamp: Some(stamp(meta)) }
    }

    /// Whether an open file is the one that was read, as it was.
    pub(crate) fn is_of(&self, meta: &Metadata) -> bool {
        self.identity == identity(meta) && self.stamp.is_none_or(|before| before == stamp(meta))
    }
}

/// Device and inode.
pub(crate) fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The same of what a path leads to; `None` where it can't be looked at.
pub(crate) fn identity_at(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|meta| identity(&meta))
}

/// Whether commits went to a `-wal` file, and how that file was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wal {
    /// They go to the data file itself.
    Unused,
    /// There was none.
    Absent,
    /// It was like this.
    Present(Stamp),
}

impl Wal {
    /// The `-wal` file of the data file `path`, as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        // `SQLite` has it beside what a link leads to.
        let real = std::fs::canonicalize(path);
        let path = real.as_deref().unwrap_or(path);
        stamp_of(&sidecar(path, "-wal")).map_or(Self::Absent, Self::Present)
    }
}

/// Length and time of change (seconds, nanoseconds) of a file.
pub(crate) type Stamp = (u64, i64, i64);

fn stamp(meta: &Metadata) -> Stamp {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    std::fs::metadata(path).ok().map(|meta| stamp(&meta))
}

/// A private copy, rolled back.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) db: Connection,
    pub(crate) state: State,
    // Dropped after the connection.
    _dir: TempDir,
}

impl Snapshot {
    /// Copies a data file with its companions and lets `SQLite` repair the copy: the original may belong
    /// to another user, and its owner may come back.
    pub(crate) fn take(path: &Path) -> Result<Self, CovdataError> {
        let io = |action| move |source| CovdataError::Io { action, path: path.to_owned(), source };
        Header::read(path)?;
        // Its journal is beside what a link leads to.
        let real = fs_err::canonicalize(path).map_err(io("look at"))?;
        let dir = TempDir::new().map_err(io("make room for a copy of"))?;
        let copy = dir.path().join("data");
        let mut attempt = 0;
        let identity = loop {
            let before = look(&real)?;
            refuse_super_journal(&real)?;
            fs_err::copy(&real, &copy).map_err(io("copy"))?;
            for suffix in ["-journal", "-wal"] {
                let to = sidecar(&copy, suffix);
                match fs_err::copy(sidecar(&real, suffix), &to) {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        // One left by an earlier attempt belongs to another state.
                        let _ = fs_err::remove_file(&to);
                    }
                    Err(source) => return Err(io("copy the journal of")(source)),
                }
            }
            if look(&real)? == before {
                break before.identity;
            }
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(CovdataError::Changed { path: path.to_owned() });
            }
        };
        let wal = if Header::read(path)?.wal { Wal::of(path) } else { Wal::Unused };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&copy, flags)
            .and_then(|db| {
                // The first query rolls back.
                db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
                Ok(db)
            })
            .map_err(|source| super::read::named(path, source))?;
        let header = Header::read(&copy).map_err(|error| at(path, error))?;
        let len = fs_err::metadata(&copy).map_err(io("read"))?.len();
        header.check_length(path, len)?;
        let state = State { identity, change_counter: header.change_counter, wal, stamp: None };
        Ok(Self { db, state, _dir: dir })
    }
}

#[derive(PartialEq, Eq)]
struct Look {
    identity: (u64, u64),
    stamps: [Option<Stamp>; 3],
}

fn look(path: &Path) -> Result<Look, CovdataError> {
    Header::read(path)?;
    let meta = fs_err::metadata(path).map_err(|_| CovdataError::Missing { path: path.to_owned() })?;
    Ok(Look {
        identity: identity(&meta),
        stamps: [Some(stamp(&meta)), stamp_of(&sidecar(path, "-journal")), stamp_of(&sidecar(path, "-wal"))],
    })
}

/// Rolling back a journal that names a super-journal deletes that file, wherever it is: data files come
/// from other users and machines, so that one of them could name anything.
fn refuse_super_journal(path: &Path) -> Result<(), CovdataError> {
    let journal = sidecar(path, "-journal");
    let Ok(mut file) = fs_err::File::open(&journal) else { return Ok(()) };
    let mut tail = [0; 8];
    let ends_with_magic = file.seek(SeekFrom::End(-8)).is_ok() && file.read_exact(&mut tail).is_ok();
    // A journal of 512 bytes or fewer has no records, its magic stands at its start.
    if ends_with_magic && tail == JOURNAL_MAGIC {
        return Err(CovdataError::ForeignJournal { path: path.to_owned(), journal });
    }
    Ok(())
}

/// The same fault, told of the original instead of its copy.
fn at(path: &Path, error: CovdataError) -> CovdataError {
    let path = path.to_owned();
    match error {
        CovdataError::Empty { .. } => CovdataError::Empty { path },
        CovdataError::Truncated { expected, found, .. } => CovdataError::Truncated { path, expected, found },
        other => CovdataError::Damaged { path, detail: format!("after rolling back its journal: {other}") },
    }
}

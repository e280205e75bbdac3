//! What a file is, from its first bytes: so that each kind of damage gets its own name.

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::CovdataError;

const MAGIC: &[u8] = b"SQLite format 3\0";
const VERSION_4: &[u8] = b"!coverage.py: This is a private format";

/// The fields of an `SQLite` file's header that tell its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Goes up with each transaction that changed something (not in WAL mode).
    pub(crate) change_counter: u32,
    /// Whether commits go to a `-wal` file.
    pub(crate) wal: bool,
    /// Bytes that the file should have, where the header can be trusted on it.
    promised: Option<u64>,
}

impl Header {
    /// The bytes of a header.
    pub(super) const LEN: usize = 100;

    /// Reads the header of the file at `path`; anything that can't be a data file is an error.
    pub(crate) fn read(path: &Path) -> Result<Self, CovdataError> {
        let meta = match fs_err::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(path)),
            Err(source) => return Err(CovdataError::Io { action: "look at", path: path.to_owned(), source }),
        };
        let kind = meta.file_type();
        // Opening a pipe would wait for its other end.
        if !kind.is_file() {
            let what = if kind.is_dir() {
                "a directory"
            } else if kind.is_fifo() || kind.is_socket() {
                "a pipe or socket"
            } else {
                "a device"
            };
            return Err(CovdataError::NotAFile { path: path.to_owned(), what });
        }
        let file = fs_err::File::open(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => missing(path),
            _ => CovdataError::Io { action: "read", path: path.to_owned(), source },
        })?;
        Self::of(path, &file)
    }

    /// Reads the header of an open file.
    pub(crate) fn of(path: &Path, file: &fs_err::File) -> Result<Self, CovdataError> {
        let fault = |source| CovdataError::Io { action: "read", path: path.to_owned(), source };
        let mut bytes = Vec::with_capacity(Self::LEN);
        file.take(Self::LEN as u64).read_to_end(&mut bytes).map_err(fault)?;
        Self::parse(path, &bytes)
    }

    /// Parses the first bytes of a file: all of them, where there are fewer than a header has.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CovdataError> {
        let path = path.to_owned();
        if bytes.is_empty() {
            return Err(CovdataError::Empty { path });
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(CovdataError::Zeroed { path });
        }
        let common = bytes.len().min(MAGIC.len());
        if bytes[..common] != MAGIC[..common] {
            let old = bytes.starts_with(VERSION_4);
            let hint = if old { " (it is one of coverage.py 4, whose format is not read)" } else { "" };
            return Err(CovdataError::NotSqlite { path, hint });
        }
        if bytes.len() < Self::LEN {
            let (expected, found) = (Self::LEN as u64, bytes.len() as u64);
            return Err(CovdataError::Truncated { path, expected, found });
        }
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let page = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let change_counter = word(24);
        // Old writers leave a stale page count; SQLite marks a good one by this second counter.
        let promised = (word(92) == change_counter).then(|| u64::from(word(28)) * page);
        Ok(Self { change_counter, wal: bytes[18] == 2 || bytes[19] == 2, promised })
    }

    /// Whether the file has all the bytes that it promises.
    pub(crate) fn check_length(&self, path: &Path, len: u64) -> Result<(), CovdataError> {
        match self.promised {
            Some(expected) if len < expected => {
                Err(CovdataError::Truncated { path: path.to_owned(), expected, found: len })
            }
            _ => Ok(()),
        }
    }
}

/// A companion of a data file: `-journal`, `-wal`, `-shm`.
pub(crate) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn missing(path: &Path) -> CovdataError {
    match fs_err::read_link(path) {
        Ok(target) => CovdataError::DanglingLink { path: path.to_owned(), target },
        Err(_) => CovdataError::Missing { path: path.to_owned() },
    }
}

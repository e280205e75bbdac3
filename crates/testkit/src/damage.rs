//! Damage as kills, full disks and strangers leave it.

use std::path::Path;

use rusqlite::Connection;

use crate::datafile;

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// No byte at all.
    Empty,
    /// As many zero bytes as a shard has.
    Zeroed,
    /// Text.
    Garbage,
    /// Half of a good file.
    Truncated,
    /// A good file that lacks its last byte.
    LastByteMissing,
    /// Only half a header.
    HalfHeader,
    /// Good at both ends, other bytes in between.
    Scribbled,
    /// A database of something else.
    Foreign,
    /// coverage.py's schema 6.
    OlderSchema,
    /// A file of coverage.py 4.
    Version4,
    /// Rows that refer to a file that is not there.
    DanglingRow,
    /// A text where lines should be.
    WrongType,
    /// Lines and arcs at once.
    LinesAndArcs,
    /// A directory.
    Directory,
    /// A link to nothing.
    DanglingLink,
    /// A named pipe: opening it would wait for ever.
    Pipe,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Empty,
        Self::Zeroed,
        Self::Garbage,
        Self::Truncated,
        Self::LastByteMissing,
        Self::HalfHeader,
        Self::Scribbled,
        Self::Foreign,
        Self::OlderSchema,
        Self::Version4,
        Self::DanglingRow,
        Self::WrongType,
        Self::LinesAndArcs,
        Self::Directory,
        Self::DanglingLink,
        Self::Pipe,
    ];

    /// Puts such a file at `path`, where nothing is yet.
    pub fn make(self, path: &Path) {
        let write = |bytes: &[u8]| fs_err::write(path, bytes).expect("the directory is writable");
        match self {
            Self::Empty => write(b""),
            Self::Zeroed => write(&vec![0; 53_248]),
            Self::Garbage => write(b"this is not a database, whatever its name says\n"),
            Self::Truncated => {
                let bytes = good(path);
                write(&bytes[..bytes.len() / 2]);
            }
            Self::LastByteMissing => {
                let bytes = good(path);
                write(&bytes[..bytes.len() - 1]);
            }
            Self::HalfHeader => {
                let bytes = good(path);
                write(&bytes[..50]);
            }
            Self::Scribbled => {
                let mut bytes = good(path);
                let end = bytes.len() - 100;
                bytes[4096..end].fill(0xa5);
                write(&bytes);
            }
            Self::Foreign => {
                datafile::sqlite(
                    path,
                    "CREATE TABLE bookmark (url text); INSERT INTO bookmark VALUES ('x');",
                );
            }
            Self::OlderSchema => datafile::lines(path, "UPDATE coverage_schema SET version = 6;"),
            Self::Version4 => {
                write(b"!coverage.py: This is a private format, don't read it directly!{\"lines\":{}}");
            }
            Self::DanglingRow => datafile::lines(path, "INSERT INTO line_bits VALUES (9, 1, x'02');"),
            Self::WrongType => datafile::lines(path, "UPDATE line_bits SET numbits = 'two';"),
            Self::LinesAndArcs => datafile::lines(path, "INSERT INTO arc VALUES (1, 1, 1, 2);"),
            Self::Directory => fs_err::create_dir(path).expect("the directory is writable"),
            Self::DanglingLink => {
                std::os::unix::fs::symlink("/nowhere/at/all", path).expect("links are possible");
            }
            Self::Pipe => {
                let status = std::process::Command::new("mkfifo").arg(path).status();
                assert!(status.is_ok_and(|status| status.success()), "mkfifo {}", path.display());
            }
        }
    }
}

fn good(path: &Path) -> Vec<u8> {
    datafile::lines(path, "");
    let bytes = fs_err::read(path).expect("it was just written");
    fs_err::remove_file(path).expect("it is there");
    bytes
}

/// Leaves `path` as a writer does that is killed in the middle of a commit: the data file half rewritten, its journal
/// beside it. What is committed are lines 1 and 2 of `app.py`.
pub fn killed_in_commit(path: &Path) {
    datafile::lines(path, "");
    let db = Connection::open(path).expect("it is a database");
    // With no room in its cache SQLite writes pages before the commit.
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;
         UPDATE line_bits SET numbits = x'ff';
         WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO file SELECT i, 'generated/module_' || i || '.py' FROM n;",
    )
    .expect("the statements are valid");
    let journal = path.with_extension(match path.extension() {
        Some(extension) => format!("{}-journal", extension.to_string_lossy()),
        None => panic!("a shard's name has dots"),
    });
    // Copies of both files as they are in this moment are what a kill leaves.
    let frozen = [fs_err::read(path), fs_err::read(&journal)].map(|bytes| bytes.expect("both are there"));
    db.execute_batch("ROLLBACK").expect("it is open");
    drop(db);
    fs_err::write(path, &frozen[0]).expect("the directory is writable");
    fs_err::write(&journal, &frozen[1]).expect("the directory is writable");
}

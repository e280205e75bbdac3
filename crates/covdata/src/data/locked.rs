//! Data files at rest, under locks of the system that `SQLite` respects and that belong to a handle.

use std::fs::File;
use std::path::Path;

use super::snapshot::State;

/// A larger file is left to `SQLite`, which need not have it in memory.
#[cfg(target_os = "linux")]
const LARGEST: u64 = 64 << 20;

/// Opens a file that [`contents`] will be asked for soon, and has the disk begin to read it. `None`: it is opened then.
pub(crate) fn open_early(path: &Path) -> Option<File> {
    system::open_early(path)
}

/// The bytes of a data file at rest; `early` is what [`open_early`] made of it. `None`: not in this way.
pub(super) fn contents(path: &Path, early: Option<File>, into: &mut Vec<u8>) -> Option<State> {
    system::contents(path, early, into)
}

/// Locks a data file at rest against writers, as long as the file that is returned is open. `None`: not in this way.
pub(crate) fn reserve(path: &Path) -> Option<File> {
    system::reserve(path)
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::OpenOptions;
    use std::io::Read as _;
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

    use nix::fcntl::{FcntlArg, OFlag, PosixFadviseAdvice, fcntl, posix_fadvise};
    use nix::libc;

    use super::super::probe::{Header, sidecar};
    use super::super::snapshot::Wal;
    use super::{File, LARGEST, Path, State};

    /// `SQLite`'s bytes for shared locks.
    const SHARED_FIRST: i64 = 0x4000_0002;
    const SHARED_SIZE: i64 = 510;

    /// The byte that a writer locks before it begins.
    const RESERVED: i64 = 0x4000_0001;

    pub(super) fn open_early(path: &Path) -> Option<File> {
        let file = open(path, false)?;
        // Of use without it, too.
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
        Some(file)
    }

    pub(super) fn contents(path: &Path, early: Option<File>, into: &mut Vec<u8>) -> Option<State> {
        let mut file = early.or_else(|| open(path, false))?;
        lock(&file, libc::F_RDLCK, SHARED_FIRST, SHARED_SIZE)?;
        let meta = file.metadata().ok()?;
        // What was removed since it was opened has no name any more.
        if !meta.is_file() || meta.nlink() == 0 || meta.len() > LARGEST {
            return None;
        }
        // Under the lock nobody begins to write; a journal is of somebody who was killed, or whose lock we can't see.
        if std::fs::symlink_metadata(sidecar(path, "-journal")).is_ok() {
            return None;
        }
        // Nor does it grow: one call reads all of it.
        into.resize(usize::try_from(meta.len()).ok()?, 0);
        file.read_exact(into).ok()?;
        let header = Header::parse(path, into.get(..Header::LEN)?).ok()?;
        header.check_length(path, meta.len()).ok()?;
        (!header.wal).then(|| State {
            identity: (meta.dev(), meta.ino()),
            change_counter: header.change_counter,
            wal: Wal::Unused,
        })
    }

    pub(super) fn reserve(path: &Path) -> Option<File> {
        let file = open(path, true)?;
        // Who rolls a journal back has no lock on this byte, but a journal.
        lock(&file, libc::F_WRLCK, RESERVED, 1)?;
        std::fs::symlink_metadata(sidecar(path, "-journal")).is_err().then_some(file)
    }

    fn open(path: &Path, write: bool) -> Option<File> {
        // A pipe would wait for its other end.
        OpenOptions::new().read(true).write(write).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).ok()
    }

    /// Takes a lock as `SQLite` does. It belongs to this handle and goes with it: a lock of the other kind would go when
    /// any other handle on the file is closed.
    #[expect(clippy::cast_possible_truncation, reason = "small constants of the system")]
    fn lock(file: &File, kind: libc::c_int, start: i64, len: i64) -> Option<()> {
        let wanted = libc::flock {
            l_type: kind as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: start,
            l_len: len,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_OFD_SETLK(&wanted)).ok().map(|_| ())
    }
}

/// Locks that belong to a handle are Linux's.
#[cfg(not(target_os = "linux"))]
mod system {
    use super::{File, Path, State};

    pub(super) fn open_early(_: &Path) -> Option<File> {
        None
    }

    pub(super) fn contents(_: &Path, _: Option<File>, _: &mut Vec<u8>) -> Option<State> {
        None
    }

    pub(super) fn reserve(_: &Path) -> Option<File> {
        None
    }
}

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

/// How many files this process may hold open besides those that it needs: a sixteenth of what the system lets it have.
pub(crate) fn spare_handles() -> usize {
    system::spare_handles()
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
    use std::fs::{Metadata, OpenOptions};
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    use nix::fcntl::{FcntlArg, OFlag, PosixFadviseAdvice, fcntl, posix_fadvise};
    use nix::libc;
    use nix::sys::resource::{Resource, getrlimit};

    use super::super::probe::{Header, sidecar};
    use super::super::snapshot::identity;
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

    pub(super) fn spare_handles() -> usize {
        getrlimit(Resource::RLIMIT_NOFILE)
            .map_or(0, |(now, _)| usize::try_from(now / 16).unwrap_or(usize::MAX))
    }

    pub(super) fn contents(path: &Path, early: Option<File>, into: &mut Vec<u8>) -> Option<State> {
        let mut file = early.or_else(|| open(path, false))?;
        lock(&file, libc::F_RDLCK, SHARED_FIRST, SHARED_SIZE)?;
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.len() > LARGEST || !is_at(path, &meta) {
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
        (!header.wal).then(|| State::at_rest(&meta, &header))
    }

    pub(super) fn reserve(path: &Path) -> Option<File> {
        let file = open(path, true)?;
        lock(&file, libc::F_RDLCK, SHARED_FIRST, SHARED_SIZE)?;
        lock(&file, libc::F_WRLCK, RESERVED, 1)?;
        let is_at_rest = std::fs::symlink_metadata(sidecar(path, "-journal")).is_err();
        (is_at_rest && is_at(path, &file.metadata().ok()?)).then_some(file)
    }

    /// Whether an open file is what lies at `path`, where its journal would be: since it was opened it may have been moved,
    /// with its journal or away from another file, and a link's journal is where the link leads to.
    fn is_at(path: &Path, file: &Metadata) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|there| identity(&there) == identity(file))
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

    pub(super) fn spare_handles() -> usize {
        0
    }

    pub(super) fn contents(_: &Path, _: Option<File>, _: &mut Vec<u8>) -> Option<State> {
        None
    }

    pub(super) fn reserve(_: &Path) -> Option<File> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_early_is_read_only_where_it_still_is() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("data");
        playtrace_testkit::datafile::lines(&path, "");
        let mut bytes = Vec::new();
        let early = open_early(&path);
        assert!(early.is_some());
        assert!(contents(&path, early, &mut bytes).is_some());

        // It has a name still, and so has another file.
        let early = open_early(&path);
        fs_err::rename(&path, dir.path().join("moved")).unwrap();
        assert!(contents(&path, early, &mut bytes).is_none());
        let early = open_early(&dir.path().join("moved"));
        playtrace_testkit::datafile::lines(&path, "");
        assert!(contents(&path, early, &mut bytes).is_none());
        assert!(contents(&path, None, &mut bytes).is_some());

        // The journal of what a link leads to is not beside the link.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(contents(&link, None, &mut bytes).is_none());
        assert!(reserve(&link).is_none() && reserve(&path).is_some());
    }
}

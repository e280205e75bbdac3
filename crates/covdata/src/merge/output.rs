//! The merged file, and what becomes of its inputs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{MergeOutcome, Union};
use crate::data::{
    BUSY_SECONDS, Header, Ownership, Staged, State, Wal, identity, identity_at, open_locked, reserve, sidecar,
};
use crate::{CovdataError, CoverageData};

/// How many threads remove inputs. They wait for the disk, which gives back a file's blocks, and compute nothing.
const REMOVERS: usize = 16;

/// What becomes of inputs after a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They stay.
    Keep,
    /// They are removed, once the merged file is safe on disk, and where they are as they were read.
    Remove,
}

/// Data that can be written to a file.
pub trait Stage {
    /// Writes all of it beside `path`, safe on disk; `path` itself is as it was.
    fn stage(&self, path: &Path, owner: &Ownership) -> Result<Staged, CovdataError>;
}

impl Stage for CoverageData {
    fn stage(&self, path: &Path, owner: &Ownership) -> Result<Staged, CovdataError> {
        Self::stage(self, path, owner)
    }
}

impl Stage for Union {
    fn stage(&self, path: &Path, owner: &Ownership) -> Result<Staged, CovdataError> {
        Self::stage(self, path, owner)
    }
}

/// Writes the merged data to `output`, and then lets go of the inputs as `fate` says.
///
/// Returns the inputs that were not removed although they should have been, with the reason: above all
/// those that were written to in the meantime. What was written then is in them alone, so they must be
/// merged again.
pub fn write_merged<D: Stage>(
    outcome: &MergeOutcome<D>,
    output: &Path,
    owner: &Ownership,
    fate: Fate,
) -> Result<Vec<(PathBuf, CovdataError)>, CovdataError> {
    outcome.data.stage(output, owner)?.place()?;
    Ok(if fate == Fate::Remove { remove_inputs(outcome, output) } else { Vec::new() })
}

/// Removes the inputs of a merge whose data is safe on disk in `output`; returns those that stay, with the reason, as
/// [`write_merged`] does.
pub fn remove_inputs<D>(outcome: &MergeOutcome<D>, output: &Path) -> Vec<(PathBuf, CovdataError)> {
    // The output may be one of the inputs (--append), under whatever path; it is a new file now.
    let output = identity_at(output);
    // Not by name, but as they lie on the disk.
    let mut states: Vec<_> = outcome.states.iter().collect();
    states.sort_by_key(|(_, state)| state.identity);
    let mut files: Vec<_> = states.chunk_by_mut(|(_, a), (_, b)| a.identity == b.identity).collect();
    for names in files.iter_mut().filter(|names| names.len() > 1) {
        // Of one file's names those go first that lead nowhere without the others.
        names.sort_by_key(|(path, _)| !path.is_symlink());
    }
    let remove = |(path, state): &(PathBuf, State)| match fs_err::metadata(path) {
        // Someone else removed it; that is what we wanted.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(meta) if Some(identity(&meta)) == output => Ok(()),
        Ok(_) => remove(path, state),
        Err(source) => Err(CovdataError::Io { action: "remove", path: path.clone(), source }),
    };
    let next = AtomicUsize::new(0);
    let work = || {
        // All names of a file are one thread's: they have its locks.
        let taken = std::iter::from_fn(|| files.get(next.fetch_add(1, Ordering::Relaxed)));
        let inputs = taken.flat_map(|names| names.iter().copied());
        let kept = inputs.filter_map(|input| remove(input).err().map(|why| (input.0.clone(), why)));
        kept.collect::<Vec<_>>()
    };
    let mut kept = std::thread::scope(|scope| {
        // Where the system has no more threads to give, fewer do.
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..REMOVERS.min(files.len())).map_while(spawn).collect();
        let mut kept = work();
        for thread in others {
            kept.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        kept
    });
    kept.sort_by(|(a, _), (b, _)| a.cmp(b));
    kept
}

/// Removes a data file under its write lock, if it is still what was read: a writer that comes later finds
/// its file gone (and starts a new one), and one that came before has changed the counter.
fn remove(path: &Path, read: &State) -> Result<(), CovdataError> {
    let changed = || CovdataError::Changed { path: path.to_owned() };
    let fault = |source| CovdataError::Io { action: "remove", path: path.to_owned(), source };
    let in_place = read.wal == Wal::Unused;
    if !in_place && read.wal != Wal::of(path) {
        return Err(changed());
    }
    // Opened before the lock and closed after the removal: closing any handle on a file drops all the
    // locks that this process has on it, but for those that belong to a handle.
    let (lock, file) = if let Some(file) = reserve(path).filter(|_| in_place) {
        (None, fs_err::File::from_parts(file, path))
    } else {
        let file = fs_err::File::open(path).map_err(fault)?;
        let lock = open_locked(path).map_err(|source| CovdataError::Sqlite {
            action: "lock",
            path: path.to_owned(),
            source,
        })?;
        if lock.is_none() {
            return Err(CovdataError::Locked { path: path.to_owned(), seconds: BUSY_SECONDS });
        }
        (lock, file)
    };
    if !read.is_of(&file.metadata().map_err(fault)?)
        || in_place && Header::of(path, &file)?.change_counter != read.change_counter
    {
        return Err(changed());
    }
    // No lock keeps another file from being moved here: looked at as late as can be.
    if fs_err::metadata(path).map(|meta| identity(&meta)).map_err(fault)? != read.identity {
        return Err(changed());
    }
    fs_err::remove_file(path).map_err(fault)?;
    // Where there is no lock by `SQLite`, there is no journal either.
    let left: &[&str] = if lock.is_some() { &["-journal", "-wal", "-shm"] } else { &["-wal", "-shm"] };
    for suffix in left {
        // What is left of one belongs to the file that is gone. Mostly there is none, and to look takes no lock on the directory.
        let beside = sidecar(path, suffix);
        if beside.symlink_metadata().is_ok() {
            let _ = fs_err::remove_file(beside);
        }
    }
    drop(lock);
    drop(file);
    Ok(())
}

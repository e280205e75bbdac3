//! Inputs in turn, with the disk some of them ahead of who reads.
//!
//! A file that is not in the system's cache is waited for, and a disk is quick only where it is asked for many at a time.
//! Threads that wait could ask it, and each would have tables of its own; so each input is opened, and the system told
//! that it will be read, while those before it are. Their turns come in the order of their inodes, which is mostly the order
//! in which they were made and lie on the disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::data::{identity_at, open_early, spare_handles};

/// How many inputs are open before their turn, at most: 16 to 256 made no difference.
const AHEAD: usize = 32;

/// Gives each file to one thread, with all names that it has among the inputs: a thread that closed it would end the locks of
/// another one that reads it through `SQLite`.
pub(super) struct Ahead<'a> {
    inputs: &'a [PathBuf],
    /// The inputs that each file is, by number, in turn.
    files: Vec<Vec<usize>>,
    /// Of each file, by its first name.
    early: Vec<Mutex<Early>>,
    distance: usize,
    next: AtomicUsize,
}

enum Early {
    /// Nobody has come to it.
    Not,
    Opened(File),
    /// Its turn has come. To open it now would be wrong: closing a file ends the locks of `SQLite` in this process on it.
    Over,
}

/// An input whose turn it is.
pub(super) struct Turn<'a> {
    /// Its number among all.
    pub(super) input: usize,
    pub(super) path: &'a Path,
    /// What was opened ahead of its turn.
    pub(super) early: Option<File>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(inputs: &'a [PathBuf]) -> Self {
        // What can't be looked at comes last, in one turn.
        let identity = |path: &PathBuf| identity_at(path).unwrap_or((u64::MAX, u64::MAX));
        let mut order: Vec<_> = inputs.iter().map(identity).zip(0..).collect();
        order.sort_unstable();
        let names = |names: &[(_, usize)]| names.iter().map(|(_, input)| *input).collect();
        let files: Vec<_> = order.chunk_by(|(a, _), (b, _)| a == b).map(names).collect();
        let early = files.iter().map(|_| Mutex::new(Early::Not)).collect();
        Self { inputs, files, early, distance: AHEAD.min(spare_handles()), next: AtomicUsize::new(0) }
    }

    /// The inputs that are the next file; `None` once all have had their turn.
    pub(super) fn next(&self) -> Option<impl Iterator<Item = Turn<'a>>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let names = self.files.get(turn)?;
        if turn == 0 {
            (1..self.distance).for_each(|later| self.open(later));
        }
        self.open(turn.saturating_add(self.distance));
        let mut early = match std::mem::replace(&mut *self.early(turn)?, Early::Over) {
            Early::Opened(file) => Some(file),
            Early::Not | Early::Over => None,
        };
        Some(names.iter().map(move |input| Turn {
            input: *input,
            path: &self.inputs[*input],
            early: early.take(),
        }))
    }

    fn open(&self, turn: usize) {
        if let (Some(&[first, ..]), Some(mut early)) =
            (self.files.get(turn).map(Vec::as_slice), self.early(turn))
            && matches!(*early, Early::Not)
        {
            *early = open_early(&self.inputs[first]).map_or(Early::Not, Early::Opened);
        }
    }

    fn early(&self, turn: usize) -> Option<MutexGuard<'_, Early>> {
        self.early.get(turn).map(|early| early.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_input_has_one_turn_whoever_asks() {
        let dir = tempfile::TempDir::new().unwrap();
        let inputs: Vec<PathBuf> = (0..3 * AHEAD).map(|n| dir.path().join(n.to_string())).collect();
        // Every third is missing, and is somebody's turn all the same.
        for path in inputs.iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, path)| path) {
            fs_err::write(path, "x").unwrap();
        }
        let ahead = Ahead::new(&inputs);
        let turns: Vec<(usize, bool)> = std::thread::scope(|scope| {
            let ask = || {
                std::iter::from_fn(|| ahead.next()).flatten().map(|turn| (turn.input, turn.early.is_some()))
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(move || ask().collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(turns.len(), inputs.len());
        let distinct: BTreeSet<usize> = turns.iter().map(|(input, _)| *input).collect();
        assert_eq!(distinct, (0..inputs.len()).collect());
        assert!(turns.iter().all(|(input, early)| input % 3 != 0 || !early));
        // One thread is ahead of itself by all but the first.
        let ahead = Ahead::new(&inputs);
        let opened =
            std::iter::from_fn(|| ahead.next()).flatten().filter(|turn| turn.early.is_some()).count();
        assert_eq!(opened, if cfg!(target_os = "linux") { 2 * AHEAD - 1 } else { 0 });
    }

    #[test]
    fn turns_come_in_the_order_of_inodes() {
        let dir = tempfile::TempDir::new().unwrap();
        let mut inputs: Vec<PathBuf> = ["b", "d", "a", "c"].map(|name| dir.path().join(name)).into();
        for path in &inputs {
            fs_err::write(path, "x").unwrap();
        }
        inputs.push(dir.path().join("0: missing"));
        let mut by_inode = inputs[..4].to_vec();
        by_inode.sort_by_key(|path| identity_at(path));
        inputs.sort();
        let ahead = Ahead::new(&inputs);
        let turns: Vec<_> = std::iter::from_fn(|| ahead.next()).flatten().collect();
        let paths: Vec<&Path> = turns.iter().map(|turn| turn.path).collect();
        assert_eq!(paths[..4], by_inode);
        assert!(paths[4].ends_with("0: missing"));
        assert!(turns.iter().all(|turn| inputs[turn.input] == turn.path));
    }

    #[test]
    fn all_names_of_a_file_have_one_turn() {
        let dir = tempfile::TempDir::new().unwrap();
        let inputs: Vec<PathBuf> = ["a", "b", "c", "d", "e"].map(|name| dir.path().join(name)).into();
        fs_err::write(&inputs[1], "x").unwrap();
        fs_err::write(&inputs[2], "y").unwrap();
        std::os::unix::fs::symlink(&inputs[1], &inputs[0]).unwrap();
        fs_err::hard_link(&inputs[1], &inputs[4]).unwrap();
        std::os::unix::fs::symlink(&inputs[2], &inputs[3]).unwrap();
        let ahead = Ahead::new(&inputs);
        let inputs_of = |turns: Vec<Turn<'_>>| turns.iter().map(|turn| turn.input).collect::<Vec<_>>();
        let files = std::iter::from_fn(|| ahead.next()).map(|turns| inputs_of(turns.collect()));
        assert_eq!(files.collect::<BTreeSet<_>>(), BTreeSet::from([vec![0, 1, 4], vec![2, 3]]));
    }
}

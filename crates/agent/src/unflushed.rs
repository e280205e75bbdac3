//! The shared memory map with lines that are not in the shard yet: what a `kill -9` must not lose.
//!
//! The format is the ledger's ([`playtrace_ledger::unflushed`]); here is the mapping, which needs unsafe code.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::MmapMut;
use nix::fcntl::posix_fallocate;
use playtrace_ledger::shared::{make_directory, share};
use playtrace_ledger::unflushed::{HEADER, MAGIC, file_record, line_record, opened_record, with_line};
use playtrace_model::MeasuredPath;

use crate::stretch;

/// Two thousand lines; most requests add fewer.
const FIRST_SIZE: usize = 16 * 1024;

/// How many forks lie between this process and the one that began to count.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Whether forks are counted. The C library calls the handler before anything else runs in a child, which is before
/// Python's own hooks: code of the app that runs in those is traced already.
static COUNTED: LazyLock<bool> = LazyLock::new(|| {
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
        // What is kept leads into the parent's map.
        stretch::end();
    }
    // SAFETY: the handler lives as long as the process (an extension module is never unloaded) and does nothing that a
    // forked child must not do.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) == 0 }
});

/// Another number in a forked child than in its parent.
#[inline]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// One process's map of one run.
#[derive(Debug)]
pub(crate) struct Unflushed(Rc<Shared>);

/// The end of a map, for whoever has another line of what was noted there before. When the map itself is gone, nothing can be
/// noted here any more.
#[derive(Debug, Clone)]
pub(crate) struct Tail(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    end: End,
    records: RefCell<Records>,
}

/// Where the next record goes.
#[derive(Debug)]
pub(crate) struct End {
    /// Of the mapping; it lives as long as this.
    base: Cell<*mut u8>,
    /// Bytes of it.
    size: Cell<usize>,
    /// Bytes of records.
    used: Cell<usize>,
    /// Another number after each time that it was emptied, and in no other map.
    since: Cell<u64>,
    /// [`FORKS`] when it was made: in a child that inherited it, it is the parent's, who goes on writing there.
    forks: u32,
}

/// What is mapped, and what stands there.
#[derive(Debug)]
struct Records {
    file: File,
    map: MmapMut,
    /// Which numbers of contexts and scopes are defined among the records that count now. They are few, and become large.
    labels: Vec<u32>,
    /// The same for files, by number.
    files: Vec<bool>,
}

/// Says that the numbers of a context and a file are defined among the records of a map that count now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineNote {
    /// The record of line 0.
    record: u64,
    /// [`Records::since`] of the map.
    since: u64,
}

/// Counts maps, and each time that one was emptied.
static EMPTIED: AtomicU64 = AtomicU64::new(1);

impl Unflushed {
    /// Makes the file; one that is there already is this process's own, of a run that was let go of, and is used anew.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            make_directory(dir)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        share(&file);
        let mut map = map(&file, FIRST_SIZE)?;
        if !*COUNTED {
            return Err(io::Error::other("a fork would not be noticed"));
        }
        map[..MAGIC.len()].copy_from_slice(&MAGIC);
        let end = End {
            base: Cell::new(map.as_mut_ptr()),
            size: Cell::new(map.len()),
            used: Cell::new(0),
            since: Cell::new(EMPTIED.fetch_add(1, Ordering::Relaxed)),
            forks: forks(),
        };
        end.publish();
        let records = RefCell::new(Records { file, map, labels: Vec::new(), files: Vec::new() });
        Ok(Self(Rc::new(Shared { end, records })))
    }

    /// Whether this process made it: an inherited one must be dropped unwritten.
    pub(crate) fn is_own(&self) -> bool {
        self.0.end.is_own()
    }

    /// Where [`LineNote`]s of it are good.
    pub(crate) fn tail(&self) -> Tail {
        Tail(Rc::clone(&self.0))
    }

    /// Notes a line; `None` if that did not work. `path` and `definition` (a record) are asked for what the numbers mean,
    /// once.
    pub(crate) fn note<'a>(
        &mut self,
        (label, definition): (u32, impl FnOnce() -> Vec<u8>),
        (file, path): (u32, impl FnOnce() -> &'a MeasuredPath),
        line: u32,
    ) -> Option<LineNote> {
        let Shared { end, records } = &*self.0;
        let records = &mut *records.borrow_mut();
        let note = LineNote { record: line_record(label, file, 0)?, since: end.since.get() };
        let record = line_record(label, file, line)?;
        if !records.labels.contains(&label) {
            if !records.push(end, &definition()) {
                return None;
            }
            records.labels.push(label);
        }
        if first_time(&mut records.files, file) && !records.push(end, &file_record(file, path())) {
            return None;
        }
        records.push(end, &record.to_le_bytes()).then_some(note)
    }

    /// Keeps the beginning of a unit, as the ledger will have it; says whether that worked.
    pub(crate) fn note_opened(&mut self, line: &[u8]) -> bool {
        let Shared { end, records } = &*self.0;
        end.is_own() && records.borrow_mut().push(end, &opened_record(line))
    }

    /// Forgets everything: it is on disk.
    pub(crate) fn clear(&mut self) {
        let Shared { end, records } = &*self.0;
        if end.used.get() > 0 && end.is_own() {
            let records = &mut *records.borrow_mut();
            end.used.set(0);
            end.since.set(EMPTIED.fetch_add(1, Ordering::Relaxed));
            records.labels.clear();
            records.files.clear();
            end.publish();
        }
    }
}

impl Drop for Unflushed {
    fn drop(&mut self) {
        // Whoever has its tail must ask for another map. Nothing in the mapping is touched.
        self.0.end.since.set(EMPTIED.fetch_add(1, Ordering::Relaxed));
    }
}

impl Tail {
    /// Whether it is the end of the same map.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The record of line 0 and the end itself, where another line of the same context and file can be noted here.
    pub(crate) fn whole(&self, note: LineNote) -> Option<(u64, &End)> {
        let end = &self.0.end;
        (note.since == end.since.get() && end.is_own()).then_some((note.record, end))
    }

    /// Notes another line of the same context and file. `None` where it can't be noted here. Can't panic.
    #[inline]
    pub(crate) fn note_again(&self, note: LineNote, line: u32) -> Option<()> {
        let end = &self.0.end;
        if note.since != end.since.get() || !end.is_own() {
            return None;
        }
        let record = with_line(note.record, line)?;
        end.push_word(record)
    }
}

impl End {
    #[inline]
    fn is_own(&self) -> bool {
        self.forks == forks()
    }

    /// Writes a word, if there is room for it, and lets it count.
    #[inline(always)]
    #[allow(clippy::inline_always)] // for each line
    pub(crate) fn push_word(&self, word: u64) -> Option<()> {
        let (base, end) = (self.base.get(), self.used.get() + size_of::<u64>());
        if HEADER + end > self.size.get() {
            return None;
        }
        self.used.set(end);
        // SAFETY: it lies within the mapping, which is this one's. Nobody else in this process has a reference at the moment: code that has
        // one reports no line.
        unsafe {
            base.add(HEADER + end - size_of::<u64>()).cast::<[u8; 8]>().write(word.to_le_bytes());
            publish(base, end);
        }
        Some(())
    }

    /// Lets what was written count: the number is stored after the records.
    #[inline]
    fn publish(&self) {
        // SAFETY: it is the mapping.
        unsafe { publish(self.base.get(), self.used.get()) };
    }
}

/// Lets so many bytes of records count in a mapping.
///
/// # Safety
/// `base` must be where a mapping of this process begins.
#[inline(always)]
#[allow(clippy::inline_always)] // for each line
unsafe fn publish(base: *mut u8, used: usize) {
    // SAFETY: eight aligned bytes at the beginning. Nobody else in this process has a reference; other processes only read.
    let word = unsafe { AtomicU64::from_ptr(base.add(MAGIC.len()).cast()) };
    word.store((used as u64).to_le(), Ordering::Release);
}

impl Records {
    fn push(&mut self, end: &End, record: &[u8]) -> bool {
        let begin = HEADER + end.used.get();
        let needed = begin + record.len();
        if needed > self.map.len() && !self.grow(end, needed) {
            return false;
        }
        self.map[begin..needed].copy_from_slice(record);
        end.used.set(end.used.get() + record.len());
        end.publish();
        true
    }

    fn grow(&mut self, end: &End, needed: usize) -> bool {
        match map(&self.file, needed.next_power_of_two()) {
            Ok(map) => {
                self.map = map;
                end.base.set(self.map.as_mut_ptr());
                end.size.set(self.map.len());
                true
            }
            Err(_) => false,
        }
    }
}

/// Maps that many bytes of the file, which has them on disk: a full disk shows here, and not as SIGBUS later.
fn map(file: &File, size: usize) -> io::Result<MmapMut> {
    let length = i64::try_from(size).map_err(|_| io::Error::other("too large"))?;
    posix_fallocate(file, 0, length)?;
    // SAFETY: the file is this process's own by its name, and nothing shrinks it: whoever cleans up removes it whole,
    // which leaves the mapping as it is.
    unsafe { memmap2::MmapOptions::new().len(size).map_mut(file) }
}

/// Whether `number` was not in the table; now it is.
fn first_time(table: &mut Vec<bool>, number: u32) -> bool {
    let index = number as usize;
    if index >= table.len() {
        table.resize(index + 1, false);
    }
    !std::mem::replace(&mut table[index], true)
}

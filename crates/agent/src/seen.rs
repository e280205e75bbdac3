//! Signatures that came, in a table that all processes of this machine have mapped: a file for each costs a traced request more than
//! everything else that is done for it.
//!
//! A table is for the signatures of one stretch of time, by their own word. Nothing is ever taken out of it, so that whoever looks for
//! a signature passes the same places as whoever put it there, and one exchange decides who of two was first: there is no lock that
//! a killed process could hold. Where there is no table, and where one has no place left, it is a file ([`playtrace_ledger::Seen`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapMut;
use nix::fcntl::posix_fallocate;
use playtrace_grant::{Signature, WINDOW};
use playtrace_ledger::shared::{make_directory, share};
use playtrace_ledger::{Layout, LedgerError, ProcessId};

/// Places of a table: four hundred signatures in each second of its time.
const PLACES: usize = 1 << 17;
/// So many places are looked at.
const PROBES: usize = 64;
/// Bytes of a table.
const SIZE: usize = PLACES * size_of::<u64>();
/// What a table's name ends in.
const ENDING: &str = ".table";
/// What is good spans three of them; a clock that jumps may want more.
const OPEN: usize = 4;

/// What came, to this process or to others.
#[derive(Debug)]
pub(crate) struct Seen {
    directory: PathBuf,
    /// The end of a table's name: processes that share the name share the memory.
    machine: String,
    tables: Vec<(u64, Table)>,
    files: playtrace_ledger::Seen,
}

#[derive(Debug)]
struct Table {
    file: File,
    /// Kept for its end.
    _map: MmapMut,
    /// Of the mapping; it lives as long as this.
    base: *mut u8,
}

impl Seen {
    pub(crate) fn new(directory: &Path) -> Self {
        let layout = Layout::new(directory);
        // Containers have host names of their own, and one kernel.
        let machine = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let machine = machine.map_or_else(|_| ProcessId::current().host, |id| id.trim().to_owned());
        let files = playtrace_ledger::Seen::new(&layout, WINDOW);
        Self { directory: layout.root().join(".seen"), machine, tables: Vec::new(), files }
    }

    /// Whether a good signature comes for the first time; from now on it does not. `now` is in seconds since 1970-01-01 UTC.
    pub(crate) fn is_first(&mut self, good: &Signature, now: u64) -> Result<bool, LedgerError> {
        let name = good.name();
        // Of a code that nobody can choose who has not the secret.
        let code = u64::from_str_radix(&name[..16], 16).unwrap_or_default().max(1);
        let known = self.table(good.time() / WINDOW, now).and_then(|table| table.is_first(code));
        known.map_or_else(|| self.files.is_first(good.time(), &name, now), Ok)
    }

    fn table(&mut self, stretch: u64, now: u64) -> Option<&Table> {
        // A clean-up may have taken one away: others would not find what is in it.
        self.tables.retain(|(_, table)| table.is_named());
        if !self.tables.iter().any(|(known, _)| *known == stretch) {
            self.sweep(now);
            let table = Table::open(&self.directory, &format!("{stretch}.{}{ENDING}", self.machine)).ok()?;
            if self.tables.len() >= OPEN {
                self.tables.remove(0);
            }
            self.tables.push((stretch, table));
        }
        self.tables.iter().find(|(known, _)| *known == stretch).map(|(_, table)| table)
    }

    /// Removes tables whose signatures can't be good any more, wherever clocks differ by less than a window.
    fn sweep(&self, now: u64) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let stretch =
                name.to_str().and_then(|name| name.strip_suffix(ENDING)?.split('.').next()?.parse().ok());
            if stretch.is_some_and(|stretch: u64| now / WINDOW >= stretch.saturating_add(3)) {
                // Another process may be at it, too.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Table {
    fn open(directory: &Path, name: &str) -> io::Result<Self> {
        make_directory(directory)?;
        let path = directory.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < SIZE as u64 {
            share(&file);
            // A full disk shows here, and not as SIGBUS later. What another process has put there meanwhile stays.
            posix_fallocate(&file, 0, i64::try_from(SIZE).map_err(io::Error::other)?)?;
        }
        // SAFETY: nothing shrinks the file: whoever cleans up removes it whole, which leaves the mapping as it is. All that is read
        // or written of it is read and written by atomic operations.
        let mut map = unsafe { memmap2::MmapOptions::new().len(SIZE).map_mut(&file)? };
        let base = map.as_mut_ptr();
        Ok(Self { file, _map: map, base })
    }

    fn is_named(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0 && meta.len() >= SIZE as u64)
    }

    /// Whether a code is not in it; now it is. `None` where it has no place left for it, which stays so.
    fn is_first(&self, code: u64) -> Option<bool> {
        // The lower half: the codes of one place differ in the upper one.
        let begin = usize::try_from(code & 0xffff_ffff).unwrap_or_default();
        for probe in 0..PROBES {
            let place = begin.wrapping_add(probe) % PLACES;
            // SAFETY: an aligned word within the mapping, which is writable and lives as long as this, and of which everybody makes
            // atomic words only.
            let word = unsafe { AtomicU64::from_ptr(self.base.add(place * size_of::<u64>()).cast()) };
            match word.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(other) if other == code => return Some(false),
                Err(_) => {}
            }
        }
        None
    }
}

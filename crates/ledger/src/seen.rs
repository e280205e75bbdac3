//! Signatures that came: each is good once, whichever process of the app it comes to, on whichever machine.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::shared::make_directory;
use crate::{Layout, LedgerError};

/// What is too old is looked for each time that so many came.
const SWEEP_AFTER: u32 = 64;
/// So many of the old ones are removed then at most: more than came, and no request waits for long.
const SWEPT: usize = 256;

/// Remembers signatures by an empty file each, `<coverage dir>/.playtrace/.seen/<time / window>/<name>`.
///
/// Making a file that must not be there is one step for all processes that share the directory. What a signature says of its time
/// is part of what is signed: one that comes again is looked for in the same place. Nothing is kept in memory.
#[derive(Debug)]
pub struct Seen {
    dir: PathBuf,
    window: u64,
    /// How many came since it was swept.
    since: u32,
}

impl Seen {
    /// A memory for signatures that are good until `window` seconds after their time, and from `window` seconds before it.
    pub fn new(layout: &Layout, window: u64) -> Self {
        Self { dir: layout.seen_dir(), window: window.max(1), since: SWEEP_AFTER }
    }

    /// Whether a signature comes for the first time; from now on it does not. `time` is its own, `now` the clock's, in seconds
    /// since 1970-01-01 UTC; `name` must be fit for a file.
    pub fn is_first(&mut self, time: u64, name: &str, now: u64) -> Result<bool, LedgerError> {
        self.since += 1;
        if self.since > SWEEP_AFTER {
            self.since = 0;
            // Best effort: what stays takes room, and no more.
            let _ = self.sweep(now);
        }
        let bucket = self.dir.join((time / self.window).to_string());
        let path = bucket.join(name);
        let made = match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_directory(&bucket).and_then(|()| File::create_new(&path))
            }
            made => made,
        };
        match made {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(LedgerError::Create { path, source }),
        }
    }

    /// Removes some of what can't be good any more, wherever clocks differ by less than a window.
    fn sweep(&self, now: u64) -> io::Result<()> {
        let mut left = SWEPT;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let bucket = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            // Its youngest is good until the end of the next one, and by a clock that is late for one more.
            let over = |bucket: u64| now / self.window >= bucket.saturating_add(3);
            if !bucket.is_some_and(over) {
                continue;
            }
            for file in fs::read_dir(entry.path())? {
                if left == 0 {
                    return Ok(());
                }
                // Another process may be at it, too.
                let _ = fs::remove_file(file?.path());
                left -= 1;
            }
            let _ = fs::remove_dir(entry.path());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 300;

    fn files(dir: &std::path::Path) -> usize {
        let buckets = fs::read_dir(dir.join(".playtrace/.seen")).unwrap();
        buckets.map(|bucket| fs::read_dir(bucket.unwrap().path()).unwrap().count()).sum()
    }

    #[test]
    fn each_is_good_once_in_all_processes() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let (mut one, mut other) = (Seen::new(&layout, WINDOW), Seen::new(&layout, WINDOW));
        assert!(one.is_first(1000, "a", 1000).unwrap());
        assert!(!one.is_first(1000, "a", 1300).unwrap());
        assert!(!other.is_first(1000, "a", 1001).unwrap());
        assert!(other.is_first(1000, "b", 1001).unwrap());
        // A new process of the app has not forgotten it.
        assert!(!Seen::new(&layout, WINDOW).is_first(1000, "a", 1002).unwrap());
    }

    #[test]
    fn what_is_still_good_anywhere_is_kept_and_all_else_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Seen::new(&Layout::new(dir.path()), WINDOW);
        let begin = 10 * WINDOW;
        for n in 0..2000 {
            assert!(seen.is_first(begin + n % WINDOW, &n.to_string(), begin).unwrap());
        }
        // The youngest of them is good until then by this clock, and by a late one.
        let late = begin + 3 * WINDOW - 1;
        for n in 0..200 {
            assert!(seen.is_first(late, &format!("late {n}"), late).unwrap());
        }
        assert!(!seen.is_first(begin + WINDOW - 1, "299", late).unwrap());
        assert_eq!(files(dir.path()), 2200);
        let over = begin + 3 * WINDOW;
        for n in 0..SWEEP_AFTER * 9 {
            assert!(seen.is_first(over, &format!("over {n}"), over).unwrap());
        }
        assert_eq!(files(dir.path()), 200 + SWEEP_AFTER as usize * 9);
    }

    #[test]
    fn where_nothing_can_be_remembered_nothing_is_good() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".playtrace"), "in the way").unwrap();
        let mut seen = Seen::new(&Layout::new(dir.path()), WINDOW);
        assert_eq!(seen.is_first(1, "a", 1).unwrap_err().code(), "PT-LEDGER-001");
    }
}

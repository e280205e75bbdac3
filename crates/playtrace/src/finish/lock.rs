//! One merge of a profile at a time: two would remove each other's inputs.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use playtrace_ledger::shared::make_directory;
use playtrace_ledger::{Layout, ProcessId};
use playtrace_model::Slug;

use super::merge::unwritable;
use crate::exit::Exit;
use crate::messages::Failure;

/// How long a merge waits for another one: the largest takes seconds.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Held as long as the value lives; the system lets go of a killed process's lock.
#[derive(Debug)]
pub(super) struct MergeLock {
    _file: File,
}

impl MergeLock {
    /// Waits for the lock, and says who has it when patience is over.
    pub(super) fn take(layout: &Layout, slug: &Slug, patience: Duration) -> Result<Self, Failure> {
        let dir = layout.root().join(slug.as_str());
        make_directory(&dir).map_err(|error| {
            unwritable(&std::io::Error::new(error.kind(), format!("can't make {}: {error}", dir.display())))
        })?;
        let path = dir.join("merge.lock");
        let mut options = fs_err::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(|error| unwritable(&error))?.into_file();
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begin.elapsed() < patience => {
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                Err(TryLockError::WouldBlock) => return Err(held(&path, &mut file, slug, patience)),
                Err(TryLockError::Error(error)) => return Err(unwritable(&error)),
            }
        }
        // For people, and not needed by anyone.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", ProcessId::current()));
        Ok(Self { _file: file })
    }
}

fn held(path: &Path, file: &mut File, slug: &Slug, patience: Duration) -> Failure {
    let mut holder = String::new();
    let known = file.rewind().and_then(|()| file.read_to_string(&mut holder));
    let holder = match (known, holder.trim()) {
        (Ok(_), name) if !name.is_empty() => format!("process {name}"),
        _ => "another process".to_owned(),
    };
    Failure::new(
        Exit::Io,
        "PT-MERGE-006",
        format!(
            "{holder} has been merging profile {slug} for more than {} s (it holds {})",
            patience.as_secs(),
            path.display()
        ),
    )
    .help("nothing was changed; merge again when that process has ended, or end it if it hangs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_lock_is_named_and_nobody_waits_for_ever() {
        let dir = tempfile::TempDir::new().unwrap();
        let (layout, slug) = (Layout::new(dir.path()), Slug::parse("p").unwrap());
        let first = MergeLock::take(&layout, &slug, Duration::ZERO).unwrap();
        let failure = MergeLock::take(&layout, &slug, Duration::ZERO).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Io, "PT-MERGE-006"));
        let me = format!("process {} on ", std::process::id());
        assert!(failure.message.contains(&me) && failure.message.contains("merge.lock"), "{failure:?}");
        drop(first);
        MergeLock::take(&layout, &slug, Duration::ZERO).unwrap();
    }
}

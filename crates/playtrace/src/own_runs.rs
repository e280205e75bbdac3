//! Runs of the program's own: what `doctor` and `perf` have traced, and its removal from the user's coverage directory.
//!
//! They go when their command is done, however that comes. A command that was killed could not see to that: the next one of its
//! kind does, unless another one is at work, which a lock tells.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use playtrace_ledger::judge::judge;
use playtrace_ledger::shared::share;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::{RunToken, Slug};
use uuid::Uuid;

use crate::exit::Exit;
use crate::messages::Failure;

/// For what is under way when a command is broken off.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a UUID in its usual form.
const UUID_LENGTH: usize = 36;

/// A command that has runs of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// What its tokens begin with; its lock is called after it.
    pub name: &'static str,
    /// Its profiles. Nobody else's data is under them.
    pub slugs: &'static [&'static str],
    /// What is said where one of these can't be a name, which is a fault of the program.
    pub code: &'static str,
}

/// The runs of one command.
#[derive(Debug)]
pub struct OwnRuns {
    kind: &'static Kind,
    dir: PathBuf,
    runs: BTreeSet<(Slug, RunToken)>,
    /// Directories outside of the coverage directory, such as sandboxes.
    directories: Vec<PathBuf>,
    /// Shared with all others of the kind: whoever has it alone may remove what is there.
    lock: Option<File>,
}

impl OwnRuns {
    /// Nothing yet. What one that was killed left in `dir` is removed; of directories outside, those below `root`.
    pub fn new(kind: &'static Kind, dir: &Path, root: Option<&Path>) -> Self {
        let lock = Self::lock(kind, dir, root);
        Self { kind, dir: dir.to_owned(), runs: BTreeSet::new(), directories: Vec::new(), lock }
    }

    /// A run.
    pub fn begin(&mut self, slug: &'static str) -> Result<(Slug, RunToken), Failure> {
        let odd = |why: String| Failure::new(Exit::BadInput, self.kind.code, why);
        debug_assert!(self.kind.slugs.contains(&slug), "what {slug} leaves would stay");
        let token = format!("{}-{}", self.kind.name, Uuid::new_v4().simple());
        let slug = Slug::parse(slug).map_err(|error| odd(error.to_string()))?;
        let run = (slug, RunToken::parse(&token).map_err(|error| odd(error.to_string()))?);
        self.runs.insert(run.clone());
        Ok(run)
    }

    /// A directory that will be made, and goes with the runs.
    pub fn add_directory(&mut self, dir: PathBuf) {
        if let Some(mut file) = self.lock.as_ref() {
            // Best effort: it is for the case that this process is killed.
            let _ = writeln!(file, "{}", dir.display());
        }
        self.directories.push(dir);
    }

    /// Removes the directories so far. Best effort: the app may have written into them as another user.
    pub fn clear_directories(&mut self) {
        for dir in self.directories.drain(..) {
            let _ = fs_err::remove_dir_all(dir);
        }
    }

    /// Waits until nothing is written for these runs any more, as far as that can be seen from here, and removes them.
    pub async fn clear(&mut self) {
        let (begun, layout) = (Instant::now(), Layout::new(&self.dir));
        let pending = |(slug, run): &(Slug, RunToken)| {
            RunLedger::scan(&layout, slug, run)
                .is_ok_and(|ledger| !judge(&ledger, &BTreeSet::new()).pending.is_empty())
        };
        while self.dir.is_dir() && self.all().iter().any(pending) && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.remove();
    }

    /// The runs, and those of requests that lost their token on the way.
    fn all(&self) -> BTreeSet<(Slug, RunToken)> {
        let untokened = slugs(self.kind).map(|slug| (slug, RunToken::untokened()));
        self.runs.iter().cloned().chain(untokened.filter(|_| !self.runs.is_empty())).collect()
    }

    fn remove(&mut self) {
        self.clear_directories();
        let all = self.all();
        remove(&self.dir, self.kind, |slug, run| all.contains(&(slug.clone(), run.clone())));
        self.runs.clear();
    }

    fn lock(kind: &'static Kind, dir: &Path, root: Option<&Path>) -> Option<File> {
        let layout = Layout::new(dir);
        // Where there is no ledger, there is nothing to remove; and whoever makes its directory first owns it.
        if !layout.root().is_dir() {
            return None;
        }
        let path = layout.root().join(format!(".{}.lock", kind.name));
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).ok()?;
        if is_new {
            share(&file);
        }
        if file.try_lock().is_ok() {
            sweep(kind, dir, root, &file);
            file.unlock().ok()?;
        }
        file.lock_shared().ok()?;
        Some(file)
    }
}

impl Drop for OwnRuns {
    fn drop(&mut self) {
        self.remove();
    }
}

fn slugs(kind: &Kind) -> impl Iterator<Item = Slug> {
    kind.slugs.iter().filter_map(|slug| Slug::parse(slug).ok())
}

/// Removes what killed ones left, but for runs that something is still at work on.
fn sweep(kind: &Kind, dir: &Path, root: Option<&Path>, mut list: &File) {
    let layout = Layout::new(dir);
    let mut goes_on = false;
    remove(dir, kind, |slug, run| {
        let is_over = RunLedger::scan(&layout, slug, run).is_ok_and(|ledger| {
            !judge(&ledger, &BTreeSet::new()).pending.iter().any(|pending| pending.running)
        });
        goes_on |= !is_over;
        is_over
    });
    if goes_on {
        // It may write into its sandbox: that is for the next one.
        return;
    }
    let (mut listed, mut again) = (String::new(), String::new());
    let known = list.rewind().and_then(|()| list.read_to_string(&mut listed));
    if let (Ok(_), Some(root)) = (known, root) {
        for line in listed.lines().filter(|line| is_sandbox(Path::new(line), root)) {
            // A request that came just before the kill, and is in no ledger yet, may make it once more: that is for the next one.
            if fs_err::remove_dir_all(line).is_ok() {
                again.push_str(line);
                again.push('\n');
            }
        }
    }
    let _ = list.set_len(0).and_then(|()| list.write_all(again.as_bytes()));
}

/// Whether a directory that a file names is one that a player made below `root`. The whole group can write such files, so it has to
/// look like one: by a UUID in its name.
pub fn is_sandbox(dir: &Path, root: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let has_uuid = (0..name.len())
        .filter_map(|at| name.get(at..at + UUID_LENGTH))
        .any(|part| Uuid::try_parse(part).is_ok());
    let is_plain = !dir.components().any(|part| part == Component::ParentDir);
    has_uuid && is_plain && dir != root && dir.starts_with(root)
}

/// Removes the shards and ledgers of some runs. Best effort: what stays is called after its command, and no merge asks for it.
fn remove(dir: &Path, kind: &Kind, mut wanted: impl FnMut(&Slug, &RunToken) -> bool) {
    let layout = Layout::new(dir);
    for slug in slugs(kind) {
        let known = layout.runs(&slug).unwrap_or_default();
        let shards = playtrace_covdata::shard::list_of(dir, &slug).unwrap_or_default();
        let of_shards = shards.iter().filter_map(|shard| shard.run().cloned());
        let runs: BTreeSet<RunToken> =
            known.into_iter().chain(of_shards).filter(|run| wanted(&slug, run)).collect();
        for shard in shards.iter().filter(|shard| shard.run().is_some_and(|run| runs.contains(run))) {
            let _ = fs_err::remove_file(&shard.path);
        }
        for run in &runs {
            let dir = layout.run_dir(&slug, run);
            let _ = fs_err::remove_dir_all(&dir);
            // Goes with the last run in it.
            let _ = dir.parent().map(fs_err::remove_dir);
        }
    }
}

#[cfg(test)]
#[path = "own_runs_tests.rs"]
mod tests;

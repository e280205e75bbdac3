//! Limits: of what this process holds, of what it writes, and of what may lie in the coverage directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use playtrace_ledger::Occupied;
use playtrace_model::{RunToken, Slug};

/// For so long, what was counted in the directory counts.
const COUNTED_FOR: Duration = Duration::from_secs(5);
/// The same for the room on the disk.
const FREE_FOR: Duration = Duration::from_secs(1);

/// A process that lives for months forgets none of them.
const TOLD: usize = 1000;

/// The most, or the least, of each. A limit that is not wanted is out of reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Contexts of the tracer that are under way in this process.
    pub(crate) contexts: u64,
    /// Runs that have a ledger in the directory.
    pub(crate) runs: u64,
    /// Files in the directory.
    pub(crate) files: u64,
    /// Bytes of one process's shard of a run.
    pub(crate) shard: u64,
    /// Bytes of one process's ledger of a run.
    pub(crate) ledger: u64,
    /// Bytes that are to be left free on the disk.
    pub(crate) free: u64,
}

impl Limits {
    /// By their names; 0, or no number, is no limit.
    pub(crate) fn of(named: &BTreeMap<String, u64>) -> Self {
        let least = |name: &str| named.get(name).copied().unwrap_or_default();
        let most = |name: &str| if least(name) == 0 { u64::MAX } else { least(name) };
        Self {
            contexts: most("contexts"),
            runs: most("runs"),
            files: most("files"),
            shard: most("shard"),
            ledger: most("ledger"),
            free: least("free"),
        }
    }
}

/// A limit, and what has reached it.
#[derive(Debug, Clone)]
pub(crate) struct Full {
    /// The setting.
    pub(crate) name: &'static str,
    /// Whole sentence, with the limit and without what changes.
    pub(crate) limit: String,
}

impl Full {
    pub(crate) fn new(name: &'static str, what: &str, limit: u64) -> Self {
        Self { name, limit: format!("{what} ({name}={limit})") }
    }
}

/// The room that there is, as it was when it was looked at last.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) limits: Limits,
    counted: Option<(Instant, Occupied)>,
    free: Option<(Instant, u64)>,
    /// Whose ledger was told of which limit, where this process has no part in the run.
    told: BTreeSet<(Slug, RunToken, &'static str)>,
}

impl Room {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, counted: None, free: None, told: BTreeSet::new() }
    }

    /// Whether the ledger of a run is to be told of a limit; from now on it was. No more than [`TOLD`] are.
    pub(crate) fn is_untold(&mut self, slug: &Slug, token: &RunToken, name: &'static str) -> bool {
        self.told.len() < TOLD && self.told.insert((slug.clone(), token.clone(), name))
    }

    /// Whether the disk is as full as it may be. One that can't be asked is not: what is written will show.
    pub(crate) fn disk(&mut self, directory: &Path) -> Option<Full> {
        let Limits { free: limit, .. } = self.limits;
        if limit == 0 {
            return None;
        }
        let free = match self.free {
            Some((at, free)) if at.elapsed() < FREE_FOR => free,
            _ => {
                let free = statvfs(directory).map_or(u64::MAX, |disk| {
                    // Their types differ from system to system.
                    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
                    let free = (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64);
                    // What is no disk has no room that could be full.
                    if disk.blocks() == 0 { u64::MAX } else { free }
                });
                self.free = Some((Instant::now(), free));
                free
            }
        };
        let what = "the disk of the coverage directory has less room than is to be left free, in bytes";
        (free < limit).then(|| Full::new("PROFILE_COVERAGE_MIN_FREE", what, limit))
    }

    /// Whether there are as many runs or files in the directory as there may be. What begins now is counted: a run that is new there, or
    /// this process's part of one.
    pub(crate) fn directory(&mut self, directory: &Path, is_new: bool) -> Option<Full> {
        let Limits { runs, files, .. } = self.limits;
        if runs == u64::MAX && files == u64::MAX {
            return None;
        }
        let counted = match &mut self.counted {
            Some((at, counted)) if at.elapsed() < COUNTED_FOR => counted,
            counted => {
                &mut counted.insert((Instant::now(), Occupied::count(directory, Occupied { runs, files }))).1
            }
        };
        if is_new && counted.runs >= runs {
            let what = "so many runs are in the coverage directory: merge them, or `playtrace prune`";
            return Some(Full::new("PROFILE_COVERAGE_MAX_RUNS", what, runs));
        }
        if counted.files >= files {
            let what = "so many files are in the coverage directory: merge them, or `playtrace prune`";
            return Some(Full::new("PROFILE_COVERAGE_MAX_FILES", what, files));
        }
        // A ledger, a map and a shard.
        *counted = Occupied { runs: counted.runs + u64::from(is_new), files: counted.files + 3 };
        None
    }
}

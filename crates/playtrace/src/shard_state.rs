//! Whose a shard is, and what it waits for.

use std::collections::BTreeMap;
use std::path::Path;

use playtrace_covdata::CovdataError;
use playtrace_covdata::shard::{ShardInfo, is_in_a_day};
use playtrace_ledger::{Layout, Record, RunLedger};
use playtrace_model::{RunToken, Slug};

use crate::messages::Failure;

/// Whether the process that writes a shard lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It does.
    Running,
    /// It has ended.
    Ended,
    /// It is, or was, on another host.
    Unknown,
}

/// What a shard waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its process may write more.
    InUse,
    /// It is in a merged file already.
    Merged,
    /// Its run has not been merged.
    Waiting,
    /// Its process has ended and no run claims it.
    Orphan,
    /// It can't be read.
    Unreadable,
    /// It is called as data files are, and belongs to no profile.
    Foreign,
    /// It is a day's of real traffic, and its process has ended, or is on another host, or writes to another day's.
    Traffic,
}

impl Owner {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Merged => "merged",
            Self::Waiting => "waiting",
            Self::Orphan => "orphan",
            Self::Unreadable => "unreadable",
            Self::Foreign => "foreign",
            Self::Traffic => "traffic",
        }
    }
}

/// The ledgers of the runs that shards belong to, each read once.
#[derive(Debug)]
pub struct Runs {
    layout: Layout,
    known: BTreeMap<(Slug, RunToken), RunLedger>,
}

impl Runs {
    /// Those under a coverage directory.
    pub fn new(coverage_dir: &Path) -> Self {
        Self { layout: Layout::new(coverage_dir), known: BTreeMap::new() }
    }

    /// Looks at one shard.
    pub fn judge(&mut self, shard: &ShardInfo) -> Result<(Owner, State), Failure> {
        let run = match &shard.owner {
            Ok(owner) => owner.run.clone(),
            Err(CovdataError::Missing { .. }) => None,
            Err(_) => return Ok((process(&shard.name.host, shard.name.pid), State::Unreadable)),
        };
        if is_in_a_day(&shard.path) {
            // Somebody looks at a day's directory: no run will ever claim these.
            return Ok((process(&shard.name.host, shard.name.pid), State::Traffic));
        }
        let Some(run) = run else {
            // coverage.py wrote it: all there is to go by is the process id.
            let owner = process(&shard.name.host, shard.name.pid);
            return Ok((owner, if owner == Owner::Ended { State::Orphan } else { State::InUse }));
        };
        let key = (shard.name.slug.clone(), run);
        if !self.known.contains_key(&key) {
            let ledger = RunLedger::scan(&self.layout, &key.0, &key.1)?;
            self.known.insert(key.clone(), ledger);
        }
        let ledger = &self.known[&key];
        let name = file_name(&shard.path);
        let merged = ledger
            .entries()
            .any(|entry| matches!(&entry.record, Record::Merged { shards, .. } if shards.contains(&name)));
        let owner = owner(shard, ledger);
        let state = match owner {
            Owner::Running => State::InUse,
            _ if merged => State::Merged,
            _ if !ledger.writers.is_empty() => State::Waiting,
            Owner::Ended => State::Orphan,
            Owner::Unknown => State::Waiting,
        };
        Ok((owner, state))
    }
}

/// The ledger knows when the owner started, so that a process id used again is not taken for it.
fn owner(shard: &ShardInfo, ledger: &RunLedger) -> Owner {
    let lives = ledger
        .writers
        .iter()
        .filter_map(|writer| writer.process.as_ref())
        .filter(|(process, _)| process.pid == shard.name.pid && process.host == shard.name.host)
        .map(|(process, _)| process.is_alive());
    match lives.max() {
        None => process(&shard.name.host, shard.name.pid),
        Some(Some(true)) => Owner::Running,
        Some(Some(false)) => Owner::Ended,
        Some(None) => Owner::Unknown,
    }
}

/// A process by its number alone.
pub fn process(host: &str, pid: u32) -> Owner {
    let here = playtrace_ledger::ProcessId::current();
    // Newer releases of coverage.py write hosts without dots.
    if (host != here.host && host != here.host.replace('.', "_")) || here.start == 0 {
        Owner::Unknown
    } else if Path::new(&format!("/proc/{pid}")).exists() {
        Owner::Running
    } else {
        Owner::Ended
    }
}

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

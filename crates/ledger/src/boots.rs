//! The boot records: which processes have the agent on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Layout, LedgerError, ProcessId, Record, Role, decode};

/// A process that has the agent on, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnabledProcess {
    /// The process.
    pub process: ProcessId,
    /// What it does.
    pub role: Role,
    /// `playtrace-agent 0.1.0, CPython 3.12.1, native`, say.
    pub program: String,
    /// When it was switched on, in milliseconds since 1970-01-01 UTC, by its own clock.
    pub at: u64,
    /// What it found and put in place; none from agents that don't tell.
    pub setup: Option<Setup>,
    /// How many requests it did not trace so far, by the reason ([`Record::Refused`]).
    pub refused: BTreeMap<String, u64>,
    /// Its boot record.
    pub path: PathBuf,
}

/// See [`Record::Setup`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// The release of coverage.py.
    pub coverage: Option<String>,
    /// The release of RQ.
    pub rq: Option<String>,
    /// The hooks in place.
    pub hooks: Vec<String>,
}

impl EnabledProcess {
    /// Whether it still runs, if that can be known from here.
    pub fn is_alive(&self) -> Option<bool> {
        self.process.is_alive()
    }

    /// Whether a hook is in place; `None` where the agent doesn't tell.
    pub fn has_hook(&self, name: &str) -> Option<bool> {
        self.setup.as_ref().map(|setup| setup.hooks.iter().any(|hook| hook == name))
    }
}

/// All boot records under a coverage directory, sorted by process; none where there is no such directory.
///
/// Records of processes that ended stay. One without a readable beginning is left out: its process may be about to write it.
pub fn enabled_processes(layout: &Layout) -> Result<Vec<EnabledProcess>, LedgerError> {
    let dir = layout.boot_dir();
    let read = |source| LedgerError::Read { path: dir.clone(), source };
    let entries = match fs_err::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(read)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(read)?.path();
        if path.extension().is_none_or(|ending| ending != Layout::EXTENSION) {
            continue;
        }
        let bytes = fs_err::read(&path).map_err(|source| LedgerError::Read { path: path.clone(), source })?;
        found.extend(process_of(&path, &bytes));
    }
    found.sort_by(|a, b| a.process.cmp(&b.process));
    Ok(found)
}

fn process_of(path: &Path, bytes: &[u8]) -> Option<EnabledProcess> {
    let (entries, _) = decode(bytes);
    let mut known: Option<EnabledProcess> = None;
    for entry in entries {
        match entry.record {
            Record::Boot { process, role, program, .. } => {
                let (at, path) = (entry.at, path.to_owned());
                let refused = BTreeMap::new();
                known = Some(EnabledProcess { process, role, program, at, setup: None, refused, path });
            }
            Record::Setup { coverage, rq, hooks } => {
                if let Some(known) = &mut known {
                    known.setup = Some(Setup { coverage, rq, hooks });
                }
            }
            Record::Refused { reason, count } => {
                if let Some(known) = &mut known {
                    known.refused.insert(reason, count);
                }
            }
            _ => {}
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Journal;

    #[test]
    fn the_golden_boot_record_of_before_there_was_a_setup_is_read() {
        let golden = include_bytes!("../tests/golden/v1.ledger");
        let read = process_of(Path::new("x.ledger"), golden).unwrap();
        assert_eq!((read.process.pid, read.role, read.setup), (4711, Role::Web, None));
        assert_eq!(read.program, "playtrace-agent 0.1.0, CPython 3.12.1, native");
    }

    #[test]
    fn the_last_setup_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(enabled_processes(&layout).unwrap(), []);
        let setup = |hooks: &[&str]| Record::Setup {
            coverage: Some("7.11.3".to_owned()),
            rq: None,
            hooks: hooks.iter().map(|&hook| hook.to_owned()).collect(),
        };
        assert_eq!(Journal::add_to_boot(&layout, 1, setup(&[])).unwrap_err().code(), "PT-LEDGER-002");
        Journal::open_boot(&layout, Role::Worker, "program", 7).unwrap();
        Journal::add_to_boot(&layout, 8, setup(&[])).unwrap();
        Journal::add_to_boot(&layout, 9, setup(&["rq-worker"])).unwrap();
        let [process] = &enabled_processes(&layout).unwrap()[..] else { panic!("one process") };
        assert_eq!((process.at, process.role, process.is_alive()), (7, Role::Worker, Some(true)));
        assert_eq!(process.has_hook("rq-worker"), Some(true));
        assert_eq!(process.has_hook("rq-queue"), Some(false));
    }

    #[test]
    fn the_last_count_of_what_was_refused_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        Journal::open_boot(&layout, Role::Web, "program", 7).unwrap();
        for (reason, count) in [("unsigned", 1), ("another", 3), ("unsigned", 10)] {
            let refused = Record::Refused { reason: reason.to_owned(), count };
            Journal::add_to_boot(&layout, 8, refused).unwrap();
        }
        let [process] = &enabled_processes(&layout).unwrap()[..] else { panic!("one process") };
        assert_eq!(process.refused, BTreeMap::from([("another".to_owned(), 3), ("unsigned".to_owned(), 10)]));
    }

    #[test]
    fn a_setup_is_written_as_documented() {
        let record = Record::Setup {
            coverage: Some("7.11.3".to_owned()),
            rq: None,
            hooks: vec!["rq-queue".to_owned()],
        };
        let bytes = crate::encode(&crate::Entry { at: 1, record }).unwrap();
        let json = String::from_utf8(bytes[18..].to_vec()).unwrap();
        assert_eq!(json, "{\"at\":1,\"t\":\"setup\",\"coverage\":\"7.11.3\",\"hooks\":[\"rq-queue\"]}\n");
    }
}

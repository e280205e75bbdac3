//! The player's side of the ledger: what it promised to send, what it sent, what it saw.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use playtrace_ledger::{
    Engine, Granularity, Journal, Layout, LedgerError, Outcome, ProcessId, Record, Role, VERSION,
};

use crate::plan::Plan;
use crate::step::Tracing;

const PROGRAM: &str = concat!("playtrace ", env!("CARGO_PKG_VERSION"));

/// The player's records of one run, in the coverage directory (where the player sees it) and beside its summary.
pub(crate) struct Manifest {
    journals: Vec<Journal>,
}

impl Manifest {
    /// Opens the journals and writes the promise.
    pub(crate) fn open(plan: &Plan, tracing: &Tracing, command: &str) -> Result<Self, LedgerError> {
        let mut manifest = Self { journals: Vec::new() };
        if let Some(dir) = &tracing.coverage_dir {
            let layout = Layout::new(dir);
            manifest.journals.push(Journal::open(
                &layout,
                &plan.slug,
                &tracing.run,
                Role::Player,
                PROGRAM,
                now(),
            )?);
        }
        if let Some(path) = &tracing.manifest_copy {
            manifest.journals.push(copy(path)?);
        }
        manifest.append(&Record::Manifest {
            version: VERSION,
            profile: plan.slug.clone(),
            run: tracing.run.clone(),
            steps: plan.step_count(),
            base_url: plan.base.as_str().to_owned(),
            command: command.to_owned(),
        })?;
        Ok(manifest)
    }

    /// The records of a run that is not traced: none.
    pub(crate) const fn none() -> Self {
        Self { journals: Vec::new() }
    }

    /// Appends a record to each journal.
    pub(crate) fn append(&mut self, record: &Record) -> Result<(), LedgerError> {
        let at = now();
        self.journals.iter_mut().try_for_each(|journal| journal.append(at, record.clone()))
    }

    /// The last record.
    pub(crate) fn end(&mut self, outcome: Outcome, failures: Vec<String>) -> Result<(), LedgerError> {
        self.append(&Record::End { outcome, failures })
    }
}

fn copy(path: &Path) -> Result<Journal, LedgerError> {
    let mut journal = Journal::append_to(path.to_owned())?;
    let (process, ppid) = (ProcessId::current(), std::os::unix::process::parent_id());
    let boot = Record::Boot {
        version: VERSION,
        process,
        ppid,
        role: Role::Player,
        program: PROGRAM.to_owned(),
        granularity: Granularity::Profile,
        engine: Engine::Native,
    };
    journal.append(now(), boot)?;
    Ok(journal)
}

/// Milliseconds since 1970-01-01 UTC.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

//! Waiting for the last records of a run.

use std::path::Path;
use std::time::{Duration, Instant};

use playtrace_ledger::{Layout, LedgerError, RunLedger, Writer, judge};
use playtrace_model::{RunToken, Slug};

/// How long to wait for what is missing.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// While a living process is at work on something.
    pub running: Duration,
    /// Since the last new record, when nothing is known to be at work.
    pub quiet: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { running: Duration::from_mins(1), quiet: Duration::from_secs(5) }
    }
}

impl Patience {
    /// For a run that was given up: what is at work may be at it for ever.
    pub fn given_up() -> Self {
        let quiet = Self::default().quiet;
        Self { running: quiet, quiet }
    }
}

/// Time between two looks at the ledger: there is nothing to be notified by, and the files may lie on a network share.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Waits until everything that the run's ledger promises has arrived, or patience is over. `manifest` is the player's file,
/// where it does not lie in the run's directory. `waiting` is told once what it waits for.
///
/// Says nothing about the result: whoever merges judges again.
pub fn settle(
    coverage_dir: &Path,
    slug: &Slug,
    run: &RunToken,
    manifest: Option<&Path>,
    patience: Patience,
    mut waiting: impl FnMut(&str),
) -> Result<(), LedgerError> {
    let layout = Layout::new(coverage_dir);
    let begin = Instant::now();
    let (mut last_change, mut last_size, mut told) = (begin, 0, false);
    loop {
        let mut ledger = RunLedger::scan(&layout, slug, run)?;
        if let Some(manifest) = manifest {
            ledger.scan_file(manifest, &mut |_| ())?;
        }
        let size = ledger.writers.iter().map(Writer::records).sum::<usize>();
        if size != last_size {
            (last_size, last_change) = (size, Instant::now());
        }
        let pending = judge::judge(&ledger, &std::collections::BTreeSet::new()).pending;
        let (running, quiet) = (begin.elapsed(), last_change.elapsed());
        let worth_while = if pending.iter().any(|pending| pending.running) {
            running < patience.running
        } else {
            quiet < patience.quiet && running < patience.running
        };
        let Some(first) = pending.first().filter(|_| worth_while) else { return Ok(()) };
        // Most runs settle at once; who waits wants to know for what.
        if !told && running > Duration::from_secs(1) {
            told = true;
            waiting(&first.reason);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

//! Waiting until the app's side of the ledger says that its work is done.
//!
//! Some requests start jobs that their answers don't name. Where the ledger can be seen, the player need not
//! guess when these are done by asking for their result over and over: each "not yet" would be traced as well.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use playtrace_ledger::judge::judge;
use playtrace_ledger::{Layout, Role, RunLedger};
use playtrace_model::Slug;

use crate::step::Tracing;

/// The longest wait. Work that goes on for longer is left to the poll rule's own time.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits for the work of one run.
pub(crate) struct Quiet<'a> {
    layout: Option<Layout>,
    slug: &'a Slug,
    tracing: Option<&'a Tracing>,
    /// What did not end within one wait: it is not waited for again.
    given_up: BTreeSet<String>,
}

impl<'a> Quiet<'a> {
    pub(crate) fn new(slug: &'a Slug, tracing: Option<&'a Tracing>) -> Self {
        let layout = tracing.and_then(|tracing| tracing.coverage_dir.as_deref()).map(Layout::new);
        Self { layout, slug, tracing, given_up: BTreeSet::new() }
    }

    /// Returns when nothing is under way any more, or after the longest wait.
    pub(crate) async fn wait(&mut self, interval: Duration) {
        let started = Instant::now();
        loop {
            let mut pending = self.pending();
            pending.retain(|what| !self.given_up.contains(what));
            if pending.is_empty() {
                return;
            }
            if started.elapsed() >= LONGEST {
                self.given_up.extend(pending);
                return;
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// What is under way in the app. A ledger that can't be read says nothing here; the merge will say why.
    fn pending(&self) -> Vec<String> {
        let (Some(layout), Some(tracing)) = (&self.layout, self.tracing) else { return Vec::new() };
        let Ok(mut ledger) = RunLedger::scan(layout, self.slug, &tracing.run) else {
            return Vec::new();
        };
        // The player's own records say that the player is at work, which it knows.
        ledger.writers.retain(|writer| !matches!(writer.process, Some((_, Role::Player))));
        judge(&ledger, &BTreeSet::new()).pending.into_iter().map(|pending| pending.reason).collect()
    }
}

//! What the shard is behind with: lines that are in the ledger already.
//!
//! A transaction in the shard makes and removes a journal file and writes a dozen pages; a ledger's record is one write. Where requests
//! with news follow one another closely, some share a transaction: ADR-0002.

use std::time::{Duration, Instant};

use playtrace_model::LineData;

/// Writing shards takes at most one part in so many of the time: a transaction waits for that many times what the last one took.
const SHARE: u32 = 50;
/// So many sets of lines, one a context and file, wait at most.
const ENOUGH: usize = 1000;
/// The first of them waits so long for others: who asks for a page asks for what is on it, and a transaction for all of that is hardly
/// more than one for a part.
const COMPANY: Duration = Duration::from_millis(50);

/// Whether lines may be in the ledger alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Another flush comes, at the end of the process at the latest.
    Soon,
    /// There may be no other.
    Now,
}

/// Lines that are in the ledger and not in the shard.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    lines: LineData,
    sets: usize,
    /// When the first of them came.
    since: Option<Instant>,
    /// When the last transaction ended, and how long to wait after it.
    last: Option<(Instant, Duration)>,
}

impl Behind {
    pub(crate) fn is_empty(&self) -> bool {
        self.sets == 0
    }

    /// Whether it is time for another transaction, for what waits.
    pub(crate) fn may_write(&self) -> bool {
        let now = Instant::now();
        let is_past = |begin: Instant, length| now.saturating_duration_since(begin) >= length;
        let is_paused = self.last.is_some_and(|(end, pause)| !is_past(end, pause));
        self.sets > ENOUGH || (!is_paused && self.since.is_some_and(|since| is_past(since, COMPANY)))
    }

    /// More lines wait.
    pub(crate) fn add(&mut self, lines: LineData) {
        if lines.is_empty() {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        self.sets += lines.iter().count();
        self.lines.append(lines);
    }

    /// Gives what waits; nothing does then.
    pub(crate) fn take(&mut self) -> LineData {
        (self.sets, self.since) = (0, None);
        std::mem::take(&mut self.lines)
    }

    /// Everything is in the shard, by a transaction that began at `begin`.
    pub(crate) fn written(&mut self, begin: Instant) {
        let end = Instant::now();
        *self = Self { last: Some((end, (end - begin) * SHARE)), ..Self::default() };
    }
}

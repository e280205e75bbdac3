//! When a request without the header has more to do than to pass by: nearly never, and then it is one look at the clock.
//!
//! The agent says when ([`REST`], [`TRAFFIC`]), where it has looked; who passes by asks nothing else.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::token;

/// Runs without work may rest.
pub(crate) static REST: Due = Due(AtomicU64::new(NEVER));
/// Real traffic is to be recorded, and its clock looked at.
pub(crate) static TRAFFIC: Due = Due(AtomicU64::new(NEVER));

const NEVER: u64 = u64::MAX;

/// Times are counted from here.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A time, in nanoseconds; 0 is at once.
#[derive(Debug)]
pub(crate) struct Due(AtomicU64);

impl Due {
    /// At that moment, and no sooner.
    pub(crate) fn set(&self, moment: Instant) {
        self.0.store(counted(moment), Ordering::Relaxed);
    }

    /// At once, for whoever comes next.
    pub(crate) fn set_now(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Not any more.
    pub(crate) fn set_never(&self) {
        self.0.store(NEVER, Ordering::Relaxed);
    }

    /// Whether it ever is.
    #[inline]
    pub(crate) fn is_ever(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NEVER
    }

    #[inline]
    fn has_come(&self, now: u64) -> bool {
        self.0.load(Ordering::Relaxed) <= now
    }
}

/// Whether it is time to rest, and time for real traffic.
#[inline]
pub(crate) fn now() -> (bool, bool) {
    let (rests, records) = (REST.is_ever(), TRAFFIC.is_ever());
    if !rests && !records {
        return (false, false);
    }
    let now = counted(Instant::now());
    // What a unit left behind may have come to its end at a bad moment.
    (REST.has_come(now) || (rests && token::any_left()), TRAFFIC.has_come(now))
}

fn counted(moment: Instant) -> u64 {
    let since = moment.saturating_duration_since(*BEGIN);
    // Five hundred years.
    u64::try_from(since.as_nanos()).unwrap_or(NEVER - 1)
}

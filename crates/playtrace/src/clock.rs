//! The one place that asks the system for the time.

use jiff::Timestamp;

/// Now.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Milliseconds since 1970-01-01 UTC, as the ledger counts.
pub fn now_millis() -> u64 {
    u64::try_from(now().as_millisecond()).unwrap_or(0)
}

//! A process, told apart from all others also after its pid was used again.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Names one process on one host for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The host's name, without path separators.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/<pid>/stat`, proc(5)); 0 where there is no `/proc`.
    pub start: u64,
}

/// The calling process's pid and start time: a forked child has another pid.
static KNOWN_START: AtomicU64 = AtomicU64::new(0);
/// Ticks of a hundredth of a second for 350 years; pids have 22 bits (`PID_MAX_LIMIT`).
const START_BITS: u32 = 40;

impl ProcessId {
    /// The calling process.
    pub fn current() -> Self {
        let pid = std::process::id();
        // Read once a process: later, /proc may be out of reach (no file descriptor left), and the name would change.
        let packed = KNOWN_START.load(Ordering::Relaxed);
        let start = if packed >> START_BITS == u64::from(pid) {
            packed & ((1 << START_BITS) - 1)
        } else {
            let start = start_time(pid).unwrap_or(0);
            if start > 0 && start >> START_BITS == 0 {
                KNOWN_START.store(u64::from(pid) << START_BITS | start, Ordering::Relaxed);
            }
            start
        };
        Self { host: host_name(), pid, start }
    }

    /// Whether the process still runs; `None` if that can't be known from here (another host, no `/proc`).
    ///
    /// A zombie does not run any more.
    pub fn is_alive(&self) -> Option<bool> {
        if self.host != host_name() || self.start == 0 {
            return None;
        }
        Some(start_time(self.pid) == Some(self.start))
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.pid, self.host)
    }
}

/// The host's name as it stands in file names.
fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().replace(['/', '\\'], "_")
}

/// Start time of a running (not a zombie) process.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may itself hold spaces and parentheses.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // After the state (field 3), field 22 is the 19th.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_an_ended_one_does_not() {
        let me = ProcessId::current();
        assert_eq!(me.is_alive(), Some(true));
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let id = ProcessId { host: me.host.clone(), pid: child.id(), start: start_time(child.id()).unwrap() };
        assert_eq!(id.is_alive(), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(id.is_alive(), Some(false));
    }

    #[test]
    fn a_pid_that_was_used_again_is_another_process() {
        let mut other = ProcessId::current();
        other.start += 1;
        assert_eq!(other.is_alive(), Some(false));
        other.host.push('x');
        assert_eq!(other.is_alive(), None);
    }
}

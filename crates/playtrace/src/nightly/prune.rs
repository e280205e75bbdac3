//! What may be deleted: decided by age, then by size, among files that are known to be playtrace's and that nothing needs.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What a file, or a directory of files that go together, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A night's bundle, with its summary.
    Bundle,
    /// A shard.
    Shard,
    /// A day's shard of real traffic.
    Traffic,
    /// A run's ledger.
    Ledger,
    /// What a process left that has, or had, the agent on.
    BootRecord,
    /// What an agent noted about a job that was enqueued.
    JobNote,
    /// Merged data beside the usual place: of an earlier run, an incomplete one, or one that was replaced.
    SparedData,
    /// A run's summary and manifest.
    RunSummary,
    /// What a writer that was killed left.
    Leftover,
    /// Merged data at its usual place, with verdict and steps.
    Data,
}

/// Something that could go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Files and directories that go together.
    pub paths: Vec<PathBuf>,
    /// What it is.
    pub kind: Kind,
    /// Its size.
    pub bytes: u64,
    /// When it was last of use.
    pub moment: Timestamp,
    /// Why it stays whatever its age and size, if so.
    pub needed: Option<&'static str>,
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It is older than the limit.
    Age,
    /// All together is larger than the limit.
    Size,
}

/// What goes and what stays.
#[derive(Debug, Default)]
pub struct Plan {
    /// What goes, in order.
    pub remove: Vec<(Item, Why)>,
    /// Bytes that stay.
    pub kept_bytes: u64,
    /// Whether what stays is larger than the limit: all of it is needed.
    pub is_over: bool,
}

/// Leftovers of killed writers are nobody's after a day.
const LEFTOVER_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Chooses what goes: first what is older than `older_than`, then the oldest until the rest has at most `max_bytes`.
pub fn plan(
    mut items: Vec<Item>,
    now: Timestamp,
    older_than: Option<SignedDuration>,
    max_bytes: Option<u64>,
) -> Plan {
    items.sort_by(|one, other| (one.moment, &one.paths).cmp(&(other.moment, &other.paths)));
    let mut plan = Plan::default();
    let mut rest = Vec::new();
    for item in items {
        let age = now.duration_since(item.moment);
        let limit = match item.kind {
            Kind::Leftover => Some(LEFTOVER_AGE),
            _ => older_than,
        };
        if item.needed.is_none() && limit.is_some_and(|limit| age > limit) {
            plan.remove.push((item, Why::Age));
        } else {
            rest.push(item);
        }
    }
    let mut total: u64 = rest.iter().map(|item| item.bytes).sum();
    for item in rest {
        // A leftover that young may have a living writer.
        let may_go = item.needed.is_none() && item.kind != Kind::Leftover;
        if may_go && max_bytes.is_some_and(|max| total > max) {
            total -= item.bytes;
            plan.remove.push((item, Why::Size));
        }
    }
    plan.kept_bytes = total;
    plan.is_over = max_bytes.is_some_and(|max| total > max);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 100 * 86_400;

    fn item(name: &str, kind: Kind, bytes: u64, days_old: i64) -> Item {
        let moment = Timestamp::from_second(NOW - days_old * 86_400).unwrap();
        Item { paths: vec![PathBuf::from(name)], kind, bytes, moment, needed: None }
    }

    fn gone(items: Vec<Item>, days: i64, max: u64) -> (Vec<String>, u64, bool) {
        let now = Timestamp::from_second(NOW).unwrap();
        let older = SignedDuration::from_hours(24 * days);
        let plan = plan(items, now, Some(older), Some(max));
        let name = |(item, why): &(Item, Why)| format!("{} {why:?}", item.paths[0].display());
        (plan.remove.iter().map(name).collect(), plan.kept_bytes, plan.is_over)
    }

    #[test]
    fn the_old_go_then_the_oldest_and_what_is_needed_stays() {
        let items = || {
            vec![
                item("a", Kind::Bundle, 100, 20),
                item("b", Kind::Shard, 100, 13),
                item("c", Kind::Bundle, 100, 3),
                Item { needed: Some("the last night"), ..item("d", Kind::Bundle, 100, 30) },
            ]
        };
        assert_eq!(gone(items(), 14, 1000), (vec!["a Age".to_owned()], 300, false));
        assert_eq!(gone(items(), 14, 250), (vec!["a Age".to_owned(), "b Size".to_owned()], 200, false));
        let all = ["a Age", "b Size", "c Size"].map(str::to_owned).to_vec();
        assert_eq!(gone(items(), 14, 50), (all, 100, true));
        assert_eq!(gone(items(), 30, 400), (vec![], 400, false));
    }

    #[test]
    fn leftovers_go_after_a_day_and_never_for_their_size() {
        let items = vec![item("old", Kind::Leftover, 10, 2), item("new", Kind::Leftover, 10, 0)];
        assert_eq!(gone(items, 14, 5), (vec!["old Age".to_owned()], 10, true));
    }
}

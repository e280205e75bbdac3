//! What two profiles executed, each alone and both at once.

use std::collections::BTreeMap;

use playtrace_ledger::{Record, RunLedger, UnitKind};
use playtrace_model::{LineBits, MeasuredPath};

/// Executed lines by file.
pub(super) type Lines = BTreeMap<MeasuredPath, LineBits>;

/// One profile's lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Executed {
    /// Alone, before the other one came.
    pub(super) before: Lines,
    /// While both were at work.
    pub(super) both: Lines,
    /// Alone again.
    pub(super) after: Lines,
}

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// One of them executes nothing that the other one doesn't: lines that went to the wrong one could not be told.
    Alike,
    /// Lines of the other one were credited to the profile with this number; the first of them.
    Mixed(usize, MeasuredPath, u32),
    /// Lines that the profile with this number executes whenever it is alone are missing; the first of them.
    Lost(usize, MeasuredPath, u32),
    /// Each has its own lines; how many each alone has that the other one has not.
    Apart([usize; 2]),
}

impl Executed {
    fn alone(&self) -> Lines {
        let mut lines = self.before.clone();
        for (path, more) in &self.after {
            lines.entry(path.clone()).or_default().union_with(more);
        }
        lines
    }

    /// How many lines it executed alone.
    pub(super) fn count(&self) -> usize {
        count(&self.alone())
    }
}

/// Compares.
pub(super) fn compare(profiles: &[Executed; 2]) -> Compared {
    let alone = [profiles[0].alone(), profiles[1].alone()];
    let own = [difference(&alone[0], &alone[1]), difference(&alone[1], &alone[0])];
    if own.iter().any(Lines::is_empty) {
        return Compared::Alike;
    }
    for (number, profile) in profiles.iter().enumerate() {
        let strange = intersection(&profile.both, &own[1 - number]);
        if let Some((path, line)) = first(&strange) {
            return Compared::Mixed(number, path, line);
        }
        let lost = difference(&intersection(&profile.before, &profile.after), &profile.both);
        if let Some((path, line)) = first(&lost) {
            return Compared::Lost(number, path, line);
        }
    }
    Compared::Apart([count(&own[0]), count(&own[1])])
}

fn combined(one: &Lines, other: &Lines, with: impl Fn(&LineBits, &LineBits) -> LineBits) -> Lines {
    let nothing = LineBits::default();
    let pairs =
        one.iter().map(|(path, lines)| (path.clone(), with(lines, other.get(path).unwrap_or(&nothing))));
    pairs.filter(|(_, lines)| !lines.is_empty()).collect()
}

fn difference(one: &Lines, other: &Lines) -> Lines {
    combined(one, other, LineBits::difference)
}

fn intersection(one: &Lines, other: &Lines) -> Lines {
    combined(one, other, LineBits::intersection)
}

fn first(lines: &Lines) -> Option<(MeasuredPath, u32)> {
    lines.iter().find_map(|(path, lines)| Some((path.clone(), lines.iter().next()?)))
}

fn count(lines: &Lines) -> usize {
    lines.values().map(LineBits::len).sum()
}

/// How many pairs of requests, one of each run, were under way at the same time: anywhere, and within one process.
pub(super) fn overlapping(one: &RunLedger, other: &RunLedger) -> (usize, usize) {
    let (one, other) = (spans(one), spans(other));
    let (mut anywhere, mut within) = (0, 0);
    for (file, begin, end) in &one {
        for (other_file, other_begin, other_end) in &other {
            if begin < other_end && other_begin < end {
                anywhere += 1;
                within += usize::from(file == other_file);
            }
        }
    }
    (anywhere, within)
}

/// Each finished request: its process's file, beginning and end in milliseconds.
fn spans(ledger: &RunLedger) -> Vec<(String, u64, u64)> {
    let mut spans = Vec::new();
    for writer in &ledger.writers {
        let mut open = BTreeMap::new();
        for entry in writer.entries() {
            match &entry.record {
                Record::Open { unit, kind: UnitKind::Request, .. } => {
                    open.insert(unit, entry.at);
                }
                Record::Closed { unit, .. } => {
                    spans.extend(open.remove(unit).map(|begin| (writer.file.clone(), begin, entry.at)));
                }
                _ => {}
            }
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: &[u32]) -> Lines {
        Lines::from([(MeasuredPath::new("app.py"), numbers.iter().copied().collect())])
    }

    fn executed(before: &[u32], both: &[u32], after: &[u32]) -> Executed {
        Executed { before: lines(before), both: lines(both), after: lines(after) }
    }

    #[test]
    fn each_keeps_its_own() {
        let one = executed(&[1, 2, 9], &[1, 2], &[1, 2]);
        assert_eq!(compare(&[one.clone(), executed(&[1, 3], &[1, 3], &[1, 3])]), Compared::Apart([2, 1]));
        let stranger = compare(&[one.clone(), executed(&[1, 3], &[1, 2, 3], &[1, 3])]);
        assert_eq!(stranger, Compared::Mixed(1, MeasuredPath::new("app.py"), 2));
        let lost = compare(&[one.clone(), executed(&[1, 3], &[3], &[1, 3])]);
        assert_eq!(lost, Compared::Lost(1, MeasuredPath::new("app.py"), 1));
        assert_eq!(compare(&[one.clone(), one]), Compared::Alike);
    }

    #[test]
    fn what_neither_has_alone_is_nobodys() {
        let one = executed(&[1, 2], &[1, 2, 7], &[1, 2]);
        assert_eq!(compare(&[one, executed(&[1, 3], &[1, 3, 7], &[1, 3])]), Compared::Apart([1, 1]));
    }
}

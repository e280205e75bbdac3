//! Real traffic against profiles: what it runs and no profile does.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{LineBits, MeasuredPath, SourceHash};
use serde::{Deserialize, Serialize};

use crate::{Inventory, Matrix, ProfileReport};

/// What real traffic entered in one process on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficDay {
    /// The day, `2026-11-29`, in UTC.
    pub day: String,
    /// What names the process, with the children that it forked: host, number, start.
    pub process: String,
    /// First lines (`co_firstlineno`) of what was entered.
    pub entered: BTreeMap<MeasuredPath, LineBits>,
    /// What the files looked like when they were loaded.
    pub sources: BTreeMap<MeasuredPath, SourceHash>,
}

/// When, and by how many processes, something was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The first day, `2026-11-29`, in UTC.
    pub since: String,
    /// The last one.
    pub until: String,
    /// How many days.
    pub days: usize,
    /// How many processes; one counts with the children that it forked.
    pub processes: usize,
}

/// Collects days and processes.
#[derive(Debug, Default)]
struct Seen<'a> {
    days: BTreeSet<&'a str>,
    processes: BTreeSet<&'a str>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, day: &'a TrafficDay) {
        self.days.insert(&day.day);
        self.processes.insert(&day.process);
    }

    /// `None` if there was nothing.
    fn traffic(&self) -> Option<Traffic> {
        let (since, until) = (self.days.first()?, self.days.last()?);
        let [since, until] = [since, until].map(|day| (*day).to_owned());
        Some(Traffic { since, until, days: self.days.len(), processes: self.processes.len() })
    }
}

impl Matrix {
    /// Says of each gap whether real traffic runs it; what it does run comes first. `reports` and `inventory` are what the matrix was
    /// built from: their sources are the ones that count, and what ran another version of a file says nothing of it.
    pub fn add_traffic(
        &mut self,
        days: &[TrafficDay],
        reports: &[(String, ProfileReport)],
        inventory: Option<&Inventory>,
    ) {
        let mut hashes: BTreeMap<&MeasuredPath, BTreeSet<&str>> = BTreeMap::new();
        for file in reports.iter().flat_map(|(_, report)| &report.files) {
            hashes.entry(&file.path).or_default().insert(file.sha256.as_str());
        }
        for file in inventory.into_iter().flat_map(|inventory| &inventory.files) {
            hashes.entry(&file.path).or_default().insert(file.sha256.as_str());
        }
        let (mut all, mut others) = (Seen::default(), BTreeMap::<&MeasuredPath, BTreeSet<&str>>::new());
        let mut by_place: BTreeMap<(&MeasuredPath, u32), Seen<'_>> = BTreeMap::new();
        for day in days {
            all.add(day);
            for (path, lines) in &day.entered {
                // What is no file of interest any more is in no gap.
                let Some(known) = hashes.get(path) else { continue };
                let ran = day.sources.get(path).map(SourceHash::as_str);
                if known.len() > 1 || ran.is_none_or(|ran| !known.contains(ran)) {
                    others.entry(path).or_default().insert(&day.day);
                    continue;
                }
                for line in lines.iter() {
                    by_place.entry((path, line)).or_default().add(day);
                }
            }
        }
        self.gaps.traffic = all.traffic();
        for gap in &mut self.gaps.symbols {
            let place = (&gap.symbol.file, gap.symbol.line_span.0);
            gap.traffic = by_place.get(&place).and_then(Seen::traffic);
        }
        // Stable: by file and line among themselves.
        self.gaps.symbols.sort_by_key(|gap| gap.traffic.is_none());
        self.notes.extend(others.into_iter().map(|(path, days)| {
            format!(
                "{path}: on {} real traffic ran another version of it, or nothing says which: what it entered there is left out",
                count(days.len(), "day", "days")
            )
        }));
    }
}

impl Traffic {
    /// `since 2026-11-01, on 3 days, in 2 processes`
    pub fn in_words(&self) -> String {
        format!(
            "since {}, on {}, in {}",
            self.since,
            count(self.days, "day", "days"),
            count(self.processes, "process", "processes")
        )
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

//! Real traffic against profiles: what it runs and no profile does.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{LineBits, MeasuredPath, SourceHash};
use serde::{Deserialize, Serialize};

use crate::{Gap, Inventory, Matrix, ProfileReport};

/// What real traffic entered in one process on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficDay {
    /// The day, `2026-11-29`, in UTC.
    pub day: String,
    /// What names the process, with the children that it forked: host, number, start.
    pub process: String,
    /// First lines (`co_firstlineno`) of what was entered.
    pub entered: BTreeMap<MeasuredPath, LineBits>,
    /// The same by route, as far as requests were samples of their routes, or the first of the day to enter something.
    pub routes: BTreeMap<String, BTreeMap<MeasuredPath, LineBits>>,
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

/// What the requests of a route of real traffic were seen to enter, or a job's function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficRoute {
    /// When they were seen.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Keys of the functions and methods.
    pub symbols: Vec<String>,
    /// Those of them that no profile reaches.
    pub gaps: Vec<String>,
}

/// What is to be known of every list by route.
pub const BY_ROUTE: &str = "real traffic by route comes from samples of its requests: what is not listed for a route was not seen in these, and may run by it all the same";

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
        let mut by_route = ByRoute::new();
        for day in days {
            all.add(day);
            // What is no file of interest any more is in no gap, and what ran another version says nothing of this one.
            let is_other = |path: &MeasuredPath| {
                let ran = day.sources.get(path).map(SourceHash::as_str);
                hashes.get(path).map(|known| known.len() > 1 || ran.is_none_or(|ran| !known.contains(ran)))
            };
            for (path, lines) in &day.entered {
                match is_other(path) {
                    None => {}
                    Some(true) => drop(others.entry(path).or_default().insert(&day.day)),
                    Some(false) => {
                        lines.iter().for_each(|line| by_place.entry((path, line)).or_default().add(day));
                    }
                }
            }
            for (route, files) in &day.routes {
                let (seen, places) = by_route.entry(route).or_default();
                seen.add(day);
                for (path, lines) in files.iter().filter(|(path, _)| is_other(path) == Some(false)) {
                    places.extend(lines.iter().map(|line| (path, line)));
                }
            }
        }
        self.gaps.traffic = all.traffic();
        self.add_routes(&by_route);
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

type ByRoute<'a> = BTreeMap<&'a str, (Seen<'a>, BTreeSet<(&'a MeasuredPath, u32)>)>;

impl Matrix {
    fn add_routes(&mut self, by_route: &ByRoute<'_>) {
        let keys: BTreeMap<(&MeasuredPath, u32), &str> = self
            .symbols
            .iter()
            .map(|(key, entry)| ((&entry.symbol.file, entry.symbol.line_span.0), key.as_str()))
            .collect();
        let mut routes = BTreeMap::new();
        for (route, (seen, places)) in by_route {
            let Some(traffic) = seen.traffic() else { continue };
            let mut symbols: Vec<String> =
                places.iter().filter_map(|place| keys.get(place).map(|key| (*key).to_owned())).collect();
            symbols.sort_unstable();
            routes.insert((*route).to_owned(), TrafficRoute { traffic, symbols, gaps: Vec::new() });
        }
        for gap in &mut self.gaps.symbols {
            // By place: two files may define one name on the same line.
            let place = (&gap.symbol.file, gap.symbol.line_span.0);
            for (name, route) in &mut routes {
                if by_route.get(name.as_str()).is_some_and(|(_, places)| places.contains(&place)) {
                    gap.traffic_routes.push(name.clone());
                    route.gaps.push(gap.key.clone());
                }
            }
        }
        for route in routes.values_mut() {
            route.gaps.sort_unstable();
        }
        if !routes.is_empty() {
            self.notes.push(BY_ROUTE.to_owned());
        }
        self.traffic_routes = routes;
    }
}

impl Gap {
    /// `by POST /x, GET /y`, or nothing where no route is known.
    pub fn by_routes(&self) -> String {
        let (named, more) = self.traffic_routes.split_at(self.traffic_routes.len().min(3));
        match (named, more.len()) {
            ([], _) => String::new(),
            (named, 0) => format!("by {}", named.join(", ")),
            (named, more) => {
                format!("by {} and {}", named.join(", "), count(more, "more route", "more routes"))
            }
        }
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

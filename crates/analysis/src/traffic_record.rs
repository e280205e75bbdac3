//! Real traffic of many days as one document, which joins what others saw of it.

use std::collections::BTreeMap;

use playtrace_model::{LineBits, MeasuredPath, SourceHash};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::check_document;
use crate::{AnalysisError, TrafficDay};

/// What real traffic entered, by day and process.
///
/// Field by field this is the traffic JSON (`docs/schema/traffic.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficRecord {
    /// [`TrafficRecord::FORMAT`].
    pub format: String,
    /// [`TrafficRecord::VERSION`].
    pub version: u32,
    /// Sorted by day and process.
    pub days: Vec<TrafficDay>,
}

impl TrafficRecord {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-traffic";
    /// The version written.
    pub const VERSION: u32 = 1;

    /// A record of these days. What several say of one process on one day is joined, unless they saw different sources: then the
    /// first one's counts of each file.
    pub fn of(days: impl IntoIterator<Item = TrafficDay>) -> Self {
        let mut joined: BTreeMap<(String, String), TrafficDay> = BTreeMap::new();
        for day in days {
            let key = (day.day.clone(), day.process.clone());
            match joined.get_mut(&key) {
                Some(known) => known.join(day),
                None => drop(joined.insert(key, day)),
            }
        }
        Self { format: Self::FORMAT.to_owned(), version: Self::VERSION, days: joined.into_values().collect() }
    }

    /// Whether this is a record that this program understands; `name` is the file's, for the error.
    pub fn check(&self, name: &str) -> Result<(), AnalysisError> {
        check_document(name, (&self.format, self.version), (Self::FORMAT, Self::VERSION))
    }
}

impl TrafficDay {
    fn join(&mut self, other: Self) {
        let differs = |path: &MeasuredPath| {
            let (ours, theirs) = (self.sources.get(path), other.sources.get(path));
            ours.is_some() && theirs.is_some() && ours != theirs
        };
        let fits = |files: BTreeMap<MeasuredPath, LineBits>| {
            files.into_iter().filter(|(path, _)| !differs(path)).collect::<Vec<_>>()
        };
        let entered = fits(other.entered);
        let routes: Vec<_> = other.routes.into_iter().map(|(route, files)| (route, fits(files))).collect();
        add(&mut self.entered, entered);
        for (route, files) in routes {
            add(self.routes.entry(route).or_default(), files);
        }
        for (path, hash) in other.sources {
            self.sources.entry(path).or_insert(hash);
        }
    }
}

fn add(files: &mut BTreeMap<MeasuredPath, LineBits>, more: Vec<(MeasuredPath, LineBits)>) {
    for (path, lines) in more {
        files.entry(path).or_default().union_with(&lines);
    }
}

/// A day as it stands in the document: lines as lists.
#[derive(Serialize, Deserialize)]
pub(crate) struct Written {
    day: String,
    process: String,
    entered: Files,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    routes: BTreeMap<String, Files>,
    sources: BTreeMap<MeasuredPath, SourceHash>,
}

type Files = BTreeMap<MeasuredPath, Vec<u32>>;

fn lists(files: &BTreeMap<MeasuredPath, LineBits>) -> Files {
    files.iter().map(|(path, lines)| (path.clone(), lines.iter().collect())).collect()
}

fn bits(files: Files) -> BTreeMap<MeasuredPath, LineBits> {
    files.into_iter().map(|(path, lines)| (path, lines.into_iter().collect())).collect()
}

impl Serialize for TrafficDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written {
            day: self.day.clone(),
            process: self.process.clone(),
            entered: lists(&self.entered),
            routes: self.routes.iter().map(|(route, files)| (route.clone(), lists(files))).collect(),
            sources: self.sources.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TrafficDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { day, process, entered, routes, sources } = Written::deserialize(deserializer)?;
        let routes = routes.into_iter().map(|(route, files)| (route, bits(files))).collect();
        Ok(Self { day, process, entered: bits(entered), routes, sources })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, process: &str, lines: &[u32], hash: &str) -> TrafficDay {
        let path = MeasuredPath::new("a.py");
        let entered = BTreeMap::from([(path.clone(), lines.iter().copied().collect())]);
        TrafficDay {
            day: day.to_owned(),
            process: process.to_owned(),
            routes: BTreeMap::from([("GET /".to_owned(), entered.clone())]),
            entered,
            sources: BTreeMap::from([(path, SourceHash::from_hex(hash))]),
        }
    }

    fn seen(record: &TrafficRecord) -> Vec<(String, String, Vec<u32>, Vec<u32>)> {
        let lines = |files: &BTreeMap<MeasuredPath, LineBits>| {
            files.values().flat_map(|l| l.iter().collect::<Vec<_>>()).collect()
        };
        let of = |day: &TrafficDay| {
            (day.day.clone(), day.process.clone(), lines(&day.entered), lines(&day.routes["GET /"]))
        };
        record.days.iter().map(of).collect()
    }

    #[test]
    fn what_several_saw_of_a_process_and_day_is_joined() {
        let days = || {
            [
                day("2026-11-02", "p", &[1], "aa"),
                day("2026-11-01", "q", &[9], "aa"),
                day("2026-11-02", "p", &[3], "aa"),
            ]
        };
        let record = TrafficRecord::of(days());
        let expected = [
            ("2026-11-01".to_owned(), "q".to_owned(), vec![9], vec![9]),
            ("2026-11-02".to_owned(), "p".to_owned(), vec![1, 3], vec![1, 3]),
        ];
        assert_eq!(seen(&record), expected);
        assert_eq!(TrafficRecord::of(record.days.clone().into_iter().chain(days())), record, "seen twice");
        let read: TrafficRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        assert_eq!(read, record);
        read.check("x").unwrap();
        assert!(TrafficRecord { version: 2, ..read }.check("x").is_err());
    }

    #[test]
    fn lines_of_another_source_are_not_mixed_in() {
        let record =
            TrafficRecord::of([day("2026-11-02", "p", &[1], "aa"), day("2026-11-02", "p", &[3], "bb")]);
        assert_eq!(seen(&record)[0].2, [1]);
        assert_eq!(seen(&record)[0].3, [1]);
    }
}

//! Real traffic in a night's bundle: what coverage directories hold of the days that are over, and what the bundles before knew.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use playtrace_analysis::{TrafficDay, TrafficRecord};
use playtrace_covdata::shard::ANYONE;

use super::bundle::Opened;
use super::schedule::nights_between;
use crate::documents::read_json;
use crate::exit::Exit;
use crate::messages::Failure;

/// Its name in a bundle.
pub const TRAFFIC: &str = "traffic.json";

/// What is known of it, and what can't be read.
#[derive(Debug)]
pub struct NightTraffic {
    /// Days before the night, at most so many nights ago.
    pub record: TrafficRecord,
    /// In sentences.
    pub notes: Vec<String>,
}

/// Joins the shards below the artifacts and in the coverage directories with what earlier bundles have. A day that is not over is left out: the
/// same night made twice is the same.
pub fn gather<'a>(
    artifacts: &[PathBuf],
    coverage_dirs: &[PathBuf],
    earlier: impl Iterator<Item = &'a Opened>,
    (night, limit): (Date, u32),
) -> Result<NightTraffic, Failure> {
    let (mut days, mut notes) = (Vec::new(), Vec::new());
    let mut dirs = coverage_dirs.to_vec();
    for artifact in artifacts {
        dirs.extend(with_traffic(artifact)?);
    }
    for dir in &dirs {
        let (found, unread) = crate::traffic::read(dir)?;
        days.extend(found);
        notes.extend(unread);
    }
    for bundle in earlier {
        let Some(path) = bundle.file(TRAFFIC) else { continue };
        let read = read_json::<TrafficRecord>(&path)
            .and_then(|record| record.check(TRAFFIC).map(|()| record).map_err(Failure::from));
        match read {
            Ok(record) => days.extend(record.days),
            Err(failure) => notes.push(format!(
                "real traffic of the bundle of {} is left out: {}",
                bundle.manifest.night, failure.message
            )),
        }
    }
    let counts = |day: &TrafficDay| {
        let date = day.day.parse::<Date>().ok();
        date.is_some_and(|date| date < night && nights_between(date, night) <= limit)
    };
    Ok(NightTraffic { record: TrafficRecord::of(days.into_iter().filter(counts)), notes })
}

/// Coverage directories with real traffic at or below a directory.
fn with_traffic(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry
            .map_err(|error: walkdir::Error| Failure::new(Exit::Io, "PT-NIGHTLY-006", error.to_string()))?;
        if entry.file_type().is_dir() && entry.file_name() == ANYONE {
            found.extend(entry.path().parent().map(Path::to_owned));
        }
    }
    Ok(found)
}

//! What the shards of real traffic say.

use std::collections::BTreeMap;
use std::path::Path;

use playtrace_analysis::TrafficDay;
use playtrace_covdata::data::traffic_sources;
use playtrace_covdata::shard::{anyones_label, list_traffic, route_of_label};
use playtrace_covdata::{CovdataError, CoverageData};

/// What real traffic entered, by process and day; and what can't be read of it.
pub fn read(coverage_dir: &Path) -> Result<(Vec<TrafficDay>, Vec<String>), CovdataError> {
    let (mut days, mut unread) = (Vec::new(), Vec::new());
    for found in list_traffic(coverage_dir)? {
        let path = &found.shard.path;
        let read = CoverageData::read(path).and_then(|data| Ok((data, traffic_sources(path)?)));
        match read {
            Ok((data, sources)) => {
                let lines = data.lines();
                let mut routes = BTreeMap::new();
                for label in lines.contexts() {
                    if let (Some(route), Some(files)) = (route_of_label(label), lines.context(label)) {
                        routes.insert(route.to_owned(), files.clone());
                    }
                }
                days.push(TrafficDay {
                    day: found.day,
                    process: found.shard.name.to_string(),
                    entered: lines.context(&anyones_label()).cloned().unwrap_or_default(),
                    routes,
                    sources,
                });
            }
            // Somebody has deleted it since it was listed.
            Err(CovdataError::Missing { .. }) => {}
            Err(error) => unread.push(format!("real traffic of {} is left out: {error}", found.day)),
        }
    }
    Ok((days, unread))
}

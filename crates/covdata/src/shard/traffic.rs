//! Shards of real traffic: which functions the work of no profile entered, a directory a day.
//!
//! They lie apart from the shards of profiles, `<coverage directory>/anyone/<day>/`: no merge takes them. A file may have several
//! writers (a process and the children that it forked), so that none is held open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken, Slug, SourceHash};

use super::writer::{Added, add_to, create_as};
use super::{ShardDraft, ShardInfo, ShardName, list};
use crate::CovdataError;

/// The directory of these shards in the coverage directory, and the name under which they stand.
pub const ANYONE: &str = "anyone";

/// What the rows in `meta` begin with that say what a file looked like when it was loaded.
const META_SOURCE: &str = "playtrace_source:";

/// With so many shards of a host and a day, a new process adds to the one of a process that has ended: workers may be
/// started by the thousand.
const ENOUGH: usize = 64;

/// A process, by host, number and start.
pub type Owner<'a> = (&'a str, u32, u64);

/// The label of what work of no profile enters.
pub fn anyones_label() -> ContextLabel {
    ContextLabel::new(ANYONE)
}

/// What the sources of the files were, by their names in data.
pub type Sources = BTreeMap<MeasuredPath, SourceHash>;

/// The label of what requests of a route entered, as far as they were seen.
pub fn label_of_route(route: &str) -> ContextLabel {
    ContextLabel::new(format!("{ANYONE}:{route}"))
}

/// The route that a label of a day's shard is of; `None` for that of all work.
pub fn route_of_label(label: &ContextLabel) -> Option<&str> {
    label.as_str().strip_prefix(ANYONE)?.strip_prefix(':')
}

/// What a process has to write.
pub struct TrafficNews<'a> {
    /// What may be new.
    pub data: &'a LineData,
    /// The shard that has everything else.
    pub known_by: Option<&'a str>,
    /// Everything, for any other shard.
    pub whole: &'a dyn Fn() -> LineData,
    /// What the sources were.
    pub sources: &'a Sources,
}

impl TrafficNews<'_> {
    fn add_to(&self, day: &Path, name: &str, meta: &[(String, String)]) -> Result<Added, CovdataError> {
        if self.known_by == Some(name) {
            return add_to(&day.join(name), self.data, meta);
        }
        add_to(&day.join(name), &(self.whole)(), meta)
    }
}

/// Adds to a day's shard of a process, which is made if need be; all of it or nothing. Gives the shard's name.
///
/// `has_ended` says of a process of this host whether it has.
pub fn add_traffic(
    draft: &mut ShardDraft,
    day: &Path,
    (host, pid, start): Owner<'_>,
    news: &TrafficNews<'_>,
    has_ended: impl Fn(u32) -> bool,
) -> Result<String, CovdataError> {
    let meta: Vec<(String, String)> = news
        .sources
        .iter()
        .map(|(path, hash)| (format!("{META_SOURCE}{path}"), hash.as_str().to_owned()))
        .collect();
    let slug = Slug::parse(ANYONE).map_err(|_| CovdataError::Missing { path: day.to_owned() })?;
    let own = ShardName { random: letters(start), ..ShardName::fresh(&slug, host, pid) };
    let of = (&slug, &RunToken::untokened());
    let name = own.to_string();
    let is_new = !day.join(&name).exists();
    for other in if is_new { ended(day, &own, has_ended)? } else { Vec::new() } {
        // Where it can't be added, it is not for us.
        if matches!(news.add_to(day, &other, &meta), Ok(Added::Everything)) {
            return Ok(other);
        }
    }
    // A forked sibling may be as far.
    if is_new && let Some(made) = create_as(draft, day, &name, of, &(news.whole)(), &meta)? {
        return Ok(made);
    }
    match news.add_to(day, &name, &meta) {
        Ok(Added::Everything) => return Ok(name),
        // Other code ran there, or it was taken away or broken since.
        Ok(Added::NothingAsMetaDiffers)
        | Err(CovdataError::ShardMoved { .. } | CovdataError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    loop {
        let name = ShardName::fresh(&slug, host, pid).to_string();
        if let Some(made) = create_as(draft, day, &name, of, &(news.whole)(), &meta)? {
            return Ok(made);
        }
    }
}

/// The shards that processes of this host left which have ended, if there are many.
fn ended(day: &Path, own: &ShardName, has_ended: impl Fn(u32) -> bool) -> Result<Vec<String>, CovdataError> {
    let fault = |source| CovdataError::Io { action: "list", path: day.to_owned(), source };
    let mut names: Vec<ShardName> = Vec::new();
    for entry in fs_err::read_dir(day).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        names.extend(name.to_str().and_then(ShardName::parse).filter(|name| name.host == own.host));
    }
    if names.len() < ENOUGH {
        return Ok(Vec::new());
    }
    names.sort();
    Ok(names.into_iter().filter(|name| has_ended(name.pid)).map(|name| name.to_string()).collect())
}

/// Six letters that tell the processes of one number apart.
fn letters(start: u64) -> String {
    let places = (0..6u32).map(|place| start / 26u64.pow(place) % 26);
    places.map(|letter| char::from(b'a' + u8::try_from(letter).unwrap_or_default())).collect()
}

/// A day's shard of real traffic.
#[derive(Debug)]
pub struct TrafficShard {
    /// The day, `2026-11-29`, in UTC.
    pub day: String,
    /// The file.
    pub shard: ShardInfo,
}

/// The shards of real traffic under a coverage directory, by day and name; none if nothing was recorded.
pub fn list_traffic(coverage_dir: &Path) -> Result<Vec<TrafficShard>, CovdataError> {
    let root = coverage_dir.join(ANYONE);
    let fault = |source| CovdataError::Io { action: "list", path: root.clone(), source };
    let mut days: Vec<(String, PathBuf)> = Vec::new();
    let entries = match fs_err::read_dir(&root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault)?,
    };
    for entry in entries {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_day(&name) && entry.path().is_dir() {
            days.push((name, entry.path()));
        }
    }
    days.sort();
    let mut shards = Vec::new();
    for (day, path) in days {
        let of_day = list(&path)?.into_iter().filter(|shard| shard.name.slug.as_str() == ANYONE);
        shards.extend(of_day.map(|shard| TrafficShard { day: day.clone(), shard }));
    }
    Ok(shards)
}

/// Whether a file lies where shards of real traffic do.
pub fn is_in_a_day(path: &Path) -> bool {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let Some(day) = whole.parent() else { return false };
    let named = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    named(day).is_some_and(|name| is_day(&name))
        && day.parent().and_then(named).is_some_and(|name| name == ANYONE)
}

/// Whether a name is a day's.
fn is_day(name: &str) -> bool {
    let shape = |(place, byte): (usize, u8)| {
        if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() }
    };
    name.len() == 10 && name.bytes().enumerate().all(shape)
}

/// What a day's shard says of the files' sources.
pub(crate) fn sources_of(meta: &BTreeMap<String, String>) -> Sources {
    let rows = meta.iter().filter_map(|(key, value)| Some((key.strip_prefix(META_SOURCE)?, value)));
    rows.map(|(path, hash)| (MeasuredPath::new(path), SourceHash::from_hex(hash.clone()))).collect()
}

#[cfg(test)]
mod tests;

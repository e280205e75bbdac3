//! What lies in a directory that playtrace wrote there, and what of it is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use playtrace_covdata::shard::{ShardName, list, list_traffic};
use playtrace_ledger::judge::judge;
use playtrace_ledger::{Layout, Role, RunLedger, enabled_processes};
use playtrace_model::{RunToken, Slug};
use playtrace_replay::RUNS_DIR;
use serde::Deserialize;

use crate::documents::read_json;
use crate::exit::Exit;
use crate::finish::{VerdictFile, steps_path_of};
use crate::messages::Failure;
use crate::nightly::bundle::bundles_at;
use crate::nightly::prune::{Item, Kind};
use crate::own_runs::is_sandbox;
use crate::service::settings;
use crate::shard_state::{Owner, process};

/// What a ledger is called from the moment on in which its removal begins: half of one would tell of a run that is not what it was.
pub(super) const GOING: &str = ".playtrace-pruned-";
/// Whether a server on another host goes on can't be seen. `playtrace doctor` looks for its record: one that is so old is no loss.
const UNSEEN: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Where agents leave notes about jobs, below the ledger's root (`crates/agent/src/jobs.rs`).
const JOBS: &str = ".jobs";
/// No replay takes so long.
const LONGEST_REPLAY: SignedDuration = SignedDuration::from_hours(24);

/// Everything in `dir` that is known; ages are counted from `now`.
pub(super) fn items(dir: &Path, now: Timestamp) -> Result<Vec<Item>, Failure> {
    if !dir.is_dir() {
        return Err(Failure::new(
            Exit::BadInput,
            "PT-NIGHTLY-011",
            format!("{} is no directory", dir.display()),
        )
        .help("name the directory of the bundles, or of the coverage data"));
    }
    let mut items = bundles(dir)?;
    items.extend(leftovers(dir)?);
    items.extend(coverage(dir)?);
    items.extend(boots(&Layout::new(dir), now)?);
    for runs in [dir.join(RUNS_DIR), dir.to_owned()] {
        if runs.is_dir() && runs.file_name().is_some_and(|name| name == RUNS_DIR) {
            items.extend(run_summaries(&runs, now)?);
        }
    }
    Ok(items)
}

fn bundles(dir: &Path) -> Result<Vec<Item>, Failure> {
    let found = bundles_at(dir)?;
    let last = found.keys().next_back().copied();
    // A summary may be alone: whoever removed its bundle was killed.
    let summaries = entries(dir)?.into_iter().filter_map(|path| {
        let night =
            name_of(&path).strip_prefix("playtrace-night-")?.strip_suffix(".md")?.parse::<Date>().ok()?;
        Some((night, path))
    });
    let mut by_night: BTreeMap<Date, Vec<PathBuf>> = BTreeMap::new();
    for (night, path) in found.into_iter().chain(summaries).filter(|(_, path)| path.is_file()) {
        by_night.entry(night).or_default().push(path);
    }
    let mut items = Vec::new();
    for (night, paths) in by_night {
        // The name's date: a bundle that was downloaded is as old as its night.
        let moment =
            night.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |midnight| midnight.timestamp());
        let needed = (Some(night) == last).then_some("the last bundle");
        items.push(Item { bytes: size(&paths), paths, kind: Kind::Bundle, moment, needed });
    }
    Ok(items)
}

fn leftovers(dir: &Path) -> Result<Vec<Item>, Failure> {
    let is_leftover = |path: &Path| {
        let name = name_of(path);
        // SQLite's journal of a shard that is gone.
        let of_shard = name.strip_suffix("-journal").filter(|shard| ShardName::parse(shard).is_some());
        (name.starts_with(".playtrace-") && name != ".playtrace-aggregate.lock")
            || of_shard.is_some_and(|shard| !path.with_file_name(shard).exists())
    };
    let found = entries(dir)?.into_iter().filter(|path| is_leftover(path));
    Ok(found.map(|path| item(vec![path], Kind::Leftover)).collect())
}

/// The records of processes that have the agent on, and notes about jobs. Records of processes that have ended are of no use to anybody.
fn boots(layout: &Layout, now: Timestamp) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for process in enabled_processes(layout)? {
        let known = item(vec![process.path.clone()], Kind::BootRecord);
        let serves = matches!(process.role, Role::Web | Role::Worker);
        let needed = match process.is_alive() {
            Some(true) => Some("its process goes on"),
            None if serves && now.duration_since(known.moment) < UNSEEN => {
                Some("its process may go on, on another host")
            }
            _ => None,
        };
        items.push(Item { needed, ..known });
    }
    // A worker takes its job's note away: one that is old is of a job that nobody ran. The slug in the job itself still counts.
    let notes = entries(&layout.root().join(JOBS))?;
    // Most are names of a file that lies with its run.
    items.extend(notes.into_iter().map(|path| Item { bytes: 0, ..item(vec![path], Kind::JobNote) }));
    // A record that was being written when its process was killed.
    let unnamed =
        entries(&layout.boot_dir())?.into_iter().filter(|path| path.extension() == Some("new".as_ref()));
    items.extend(unnamed.map(|path| item(vec![path], Kind::Leftover)));
    Ok(items)
}

fn coverage(dir: &Path) -> Result<Vec<Item>, Failure> {
    let layout = Layout::new(dir);
    let (mut items, mut running, mut needed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for path in entries(dir)? {
        if name_of(&path).strip_suffix(".coverage").is_some_and(|stem| Slug::parse(stem).is_ok())
            && path.is_file()
        {
            if let Ok(Some(verdict)) = VerdictFile::read_beside(&path) {
                needed.insert((verdict.profile, verdict.run));
            }
            items.push(Item { needed: Some("merged data"), ..item(with_beside(path), Kind::Data) });
        }
    }
    let slugs = if layout.root().is_dir() { layout.slugs()? } else { Vec::new() };
    for slug in slugs {
        for run in layout.runs(&slug)? {
            let ledger = RunLedger::scan(&layout, &slug, &run)?;
            let goes_on = judge(&ledger, &BTreeSet::new()).pending.iter().any(|pending| pending.running);
            let recorded =
                ledger.latest().and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
            let known = item(vec![layout.run_dir(&slug, &run)], Kind::Ledger);
            let moment = recorded.unwrap_or(known.moment);
            let why = match (goes_on, needed.contains(&(slug.clone(), run.clone()))) {
                (true, _) => Some("its run goes on"),
                (false, true) => Some("it proves merged data"),
                (false, false) => None,
            };
            if goes_on {
                running.insert((slug.clone(), run));
            }
            items.push(Item { moment, needed: why, ..known });
        }
    }
    let mut named: BTreeSet<PathBuf> = BTreeSet::new();
    for shard in list(dir)? {
        let goes_on = shard
            .run()
            .is_some_and(|run: &RunToken| running.contains(&(shard.name.slug.clone(), run.clone())));
        let journal = shard.path.with_file_name(format!("{}-journal", name_of(&shard.path)));
        let paths = [shard.path, journal].into_iter().filter(|path| path.is_file()).collect();
        items.push(Item { needed: goes_on.then_some("its run goes on"), ..item(paths, Kind::Shard) });
    }
    let today = crate::clock::now().to_zoned(TimeZone::UTC).date().to_string();
    for traffic in list_traffic(dir)? {
        let name = &traffic.shard.name;
        let goes_on = traffic.day == today && process(&name.host, name.pid) == Owner::Running;
        let journal = traffic.shard.path.with_file_name(format!("{}-journal", name_of(&traffic.shard.path)));
        let paths = [traffic.shard.path, journal].into_iter().filter(|path| path.is_file()).collect();
        items.push(Item { needed: goes_on.then_some("its process goes on"), ..item(paths, Kind::Traffic) });
    }
    for place in ["earlier", "incomplete", "replaced"] {
        for path in entries(&dir.join(place))? {
            // `earlier/<run>/` goes as a whole; elsewhere a data file goes with what lies beside it.
            let paths = if path.is_dir() { vec![path] } else { with_beside(path) };
            if paths.iter().all(|path| named.insert(path.clone())) {
                items.push(item(paths, Kind::SparedData));
            }
        }
    }
    Ok(items)
}

/// A data file with its verdict and steps; anything else alone.
fn with_beside(path: PathBuf) -> Vec<PathBuf> {
    if path.extension().is_none_or(|extension| extension != "coverage") {
        return vec![path];
    }
    let beside = [VerdictFile::path_of(&path), steps_path_of(&path)];
    std::iter::once(path).chain(beside).filter(|path| path.is_file()).collect()
}

/// Summaries with their manifests, and with the sandboxes that they name.
fn run_summaries(dir: &Path, now: Timestamp) -> Result<Vec<Item>, Failure> {
    let roots: Vec<PathBuf> = settings::sandbox_roots().into_iter().flatten().collect();
    let mut by_run: BTreeMap<RunToken, Vec<PathBuf>> = BTreeMap::new();
    for path in entries(dir)? {
        let known = path.extension().is_some_and(|extension| extension == "json" || extension == "manifest");
        let run = path.file_stem().and_then(|stem| RunToken::parse(stem.to_str()?).ok());
        if let Some(run) = run.filter(|_| known) {
            let paths = by_run.entry(run).or_default();
            // First: nobody would find it without its summary.
            paths.splice(0..0, sandboxes(&path, &roots));
            paths.push(path);
        }
    }
    let goes_on = |known: &Item| {
        let has_sandbox = known.paths.first().is_some_and(|path| path.is_dir());
        has_sandbox && now.duration_since(known.moment) < LONGEST_REPLAY
    };
    let items = by_run.into_values().map(|paths| item(paths, Kind::RunSummary));
    Ok(items
        .map(|known| Item { needed: goes_on(&known).then_some("its replay may go on"), ..known })
        .collect())
}

/// The directories of a run that its summary names, if they are players' and there.
fn sandboxes(summary: &Path, roots: &[PathBuf]) -> Vec<PathBuf> {
    let Ok(named) = read_json::<Places>(summary) else { return Vec::new() };
    let FlowPlaces { fork_dir, archive_dir } = named.flow.unwrap_or_default();
    let all = [named.run_dir, fork_dir, archive_dir].into_iter().flatten();
    all.filter(|dir| dir.is_dir() && roots.iter().any(|root| is_sandbox(dir, root))).collect()
}

/// What a summary says about directories.
#[derive(Deserialize)]
struct Places {
    run_dir: Option<PathBuf>,
    flow: Option<FlowPlaces>,
}

#[derive(Default, Deserialize)]
struct FlowPlaces {
    fork_dir: Option<PathBuf>,
    archive_dir: Option<PathBuf>,
}

/// An item that nothing needs, as old as the last change of its files.
fn item(paths: Vec<PathBuf>, kind: Kind) -> Item {
    let moment = paths.iter().flat_map(|path| files(path)).filter_map(|(_, at)| at).max();
    Item { bytes: size(&paths), kind, moment: moment.unwrap_or(Timestamp::UNIX_EPOCH), needed: None, paths }
}

fn size(paths: &[PathBuf]) -> u64 {
    paths.iter().flat_map(|path| files(path)).map(|(bytes, _)| bytes).sum()
}

/// Size and last change of each file at or below a path; links are not followed.
fn files(path: &Path) -> Vec<(u64, Option<Timestamp>)> {
    let meta = walkdir::WalkDir::new(path)
        .follow_root_links(false)
        .into_iter()
        .filter_map(|entry| entry.ok()?.metadata().ok());
    meta.map(|meta| {
        let bytes = if meta.is_file() { meta.len() } else { 0 };
        (bytes, meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok()))
    })
    .collect()
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(Exit::Io, "PT-NIGHTLY-006", error.to_string());
    let read = match fs_err::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in read {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

//! `playtrace aggregate`: the artifacts of a night's jobs as one bundle.

mod maps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use playtrace_model::Slug;
use playtrace_pysource::PythonVersion;

use crate::documents::{say, write_document};
use crate::exit::Exit;
use crate::finish::VerdictFile;
use crate::messages::{Failure, note};
use crate::nightly::bundle::{self, Manifest, NightEntry, Opened, SCRATCH, bundles_at, list_files};
use crate::nightly::carry::{Known, NightData, Origin, Tonight, choose};
use crate::nightly::gather::{self, FoundJob};
use crate::nightly::job::JobRecord;
use crate::nightly::list::{self, PlaybackType, USUAL_PLACE};
use crate::nightly::schedule::{Cadence, night_of};
use crate::nightly::summary::{is_well, markdown, nights};
use crate::nightly::traffic::{self, TRAFFIC};
use crate::sources::SourceArgs;
use maps::{MapInput, put, put_data};

/// Writes playtrace-night-<date>.tar.zst and, beside it, its summary (.md). Where a profile failed, is missing or was killed, the
/// last good night's data is carried forward, with its age. Exit code 3 where not all data is of this night.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories that the jobs' artifacts were downloaded into
    #[arg(value_name = "DIR", required = true)]
    artifacts: Vec<PathBuf>,
    /// The list of profiles: who is missing [default: the usual place, if it is there]
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Earlier bundles, or directories with some [default: the output directory]
    #[arg(long, value_name = "PATH")]
    previous: Vec<PathBuf>,
    /// Where the bundle goes
    #[arg(long, value_name = "DIR", default_value = "night/bundles")]
    output_dir: PathBuf,
    /// The night, by its morning's date in Pacific time [default: the one that ends next]
    #[arg(long, value_name = "DATE")]
    night: Option<Date>,
    /// Coverage directories whose record of real traffic is taken, besides what lies below the artifacts [default: `PROFILE_COVERAGE_DIR`, if that is set]
    #[arg(long, value_name = "DIR", env = "PROFILE_COVERAGE_DIR")]
    traffic: Vec<PathBuf>,
    /// For how many nights data is carried forward
    #[arg(long, value_name = "NIGHTS", default_value_t = 30)]
    carry_for: u32,
    /// The tree.
    #[command(flatten)]
    source: SourceArgs,
    /// The Python that ran the app [default: what the runs' ledgers say]
    #[arg(long, value_name = "VERSION", env = "PLAYTRACE_PYTHON_VERSION")]
    python_version: Option<PythonVersion>,
    /// What contexts of profiles begin with
    #[arg(long, value_name = "PREFIX", env = "PROFILE_COVERAGE_CONTEXT_PREFIX", default_value = "profile")]
    context_prefix: String,
    /// HTML reports as well [default: what `UPLOAD_FULL_REPORTS` says]
    #[arg(long)]
    full_reports: bool,
    /// The most that the bundle may have
    #[arg(long, value_name = "SIZE", default_value = "250MB")]
    max_size: ByteSize,
    /// Print the manifest instead of the summary
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print the bundle's path alone
    #[arg(short, long)]
    quiet: bool,
}

/// An entry of the list, or what takes its place where there is none.
struct Wanted {
    workflow: Slug,
    profile: Slug,
    playback_type: PlaybackType,
    cadence: Cadence,
}

/// What is known of the nights before.
struct Before {
    /// An earlier bundle of this very night.
    same: Option<Opened>,
    /// The last one before it.
    last: Option<Opened>,
    notes: Vec<String>,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let out = &args.output_dir;
    fs_err::create_dir_all(out).map_err(|error| io(&error))?;
    let _lock = lock(out)?;
    let night = args.night.unwrap_or_else(|| night_of(crate::clock::now()));
    let before = before(&args, night)?;
    let (jobs, problems) = gather::find(&args.artifacts)?;
    let wanted = wanted(&args, &jobs, &before)?;
    let work = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(out).map_err(|error| io(&error))?;
    let mut notes: Vec<String> = before.notes.iter().cloned().chain(problems).collect();
    let (mut entries, mut inputs) = (Vec::new(), Vec::new());
    let mut as_of = night_begins(night);
    let mut jobs = jobs;
    for (wanted, name) in named(wanted) {
        let (mine, others): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|job| job.is_of(&wanted.workflow, &wanted.profile, wanted.playback_type));
        jobs = others;
        let known = before.same.as_ref().and_then(|bundle| gather::in_bundle(bundle, &wanted.workflow));
        let found = gather::best(known.into_iter().chain(mine).collect());
        as_of = as_of.max(found.as_ref().map_or(as_of, latest));
        let (entry, input) =
            settle(wanted, name, found.as_ref(), &before, (night, args.carry_for), work.path())?;
        entries.push(entry);
        inputs.extend(input);
    }
    notes.extend(jobs.iter().map(|job| match &job.record {
        Some(record) => {
            format!("the artifact of {} is left out: the list has no such workflow", record.workflow)
        }
        None => format!("data of {} is left out: the list has no plain replay of it", job.profile),
    }));
    let earlier = before.same.iter().chain(&before.last);
    let traffic = traffic::gather(&args.artifacts, &args.traffic, earlier, (night, args.carry_for))?;
    notes.extend(traffic.notes);
    if !traffic.record.days.is_empty() {
        put(&work.path().join(TRAFFIC), &playtrace_report::json::to_json(&traffic.record)?)?;
    }
    let full = args.full_reports || is_on("UPLOAD_FULL_REPORTS");
    let made = maps::make(
        &inputs,
        &args.source,
        args.python_version,
        &args.context_prefix,
        (as_of, full),
        &traffic.record,
        work.path(),
    )?;
    notes.extend(made.notes);
    let mut manifest = Manifest {
        format: Manifest::FORMAT.to_owned(),
        version: Manifest::VERSION,
        night,
        as_of,
        playtrace: env!("CARGO_PKG_VERSION").to_owned(),
        formats: formats(),
        entries,
        totals: made.totals,
        notes,
        files: BTreeMap::new(),
    };
    let text = markdown(&manifest, before.last.as_ref().and_then(|bundle| bundle.manifest.totals));
    put(&work.path().join("summary.md"), &text)?;
    manifest.files = list_files(work.path())?;
    let path = out.join(bundle::file_name(night));
    bundle::write(&manifest, work.path(), &path, args.max_size.as_u64())?;
    // By way of the scratch directory: what a kill leaves there, the next run removes.
    let summary = format!("playtrace-night-{night}.md");
    let staged = work.path().join(&summary);
    write_document(&staged, &text)?;
    fs_err::rename(staged, out.join(summary)).map_err(|error| io(&error))?;
    tell(&args, &manifest, &text, &path)?;
    Ok(exit_of(&manifest))
}

fn tell(args: &Args, manifest: &Manifest, text: &str, path: &Path) -> Result<(), Failure> {
    if args.quiet {
        return say(&format!("{}\n", path.display()));
    }
    if args.json {
        return say(&format!("{}\n", playtrace_report::json::to_json(manifest)?.trim_end()));
    }
    say(text)?;
    say(&format!("\n{}\n", path.display()))
}

/// All as it should be, or not with everything; failed where nothing at all is known.
fn exit_of(manifest: &Manifest) -> Exit {
    if manifest.entries.iter().all(|entry| entry.data.is_none()) {
        return Exit::Failed;
    }
    if manifest.entries.iter().all(is_well) { Exit::Success } else { Exit::Partial }
}

/// Chooses an entry's data, puts it into the work directory, and says what is wrong.
fn settle(
    wanted: Wanted,
    name: Slug,
    found: Option<&FoundJob>,
    before: &Before,
    (night, limit): (Date, u32),
    work: &Path,
) -> Result<(NightEntry, Option<MapInput>), Failure> {
    let record = found.and_then(|job| job.record.as_ref());
    let fresh = found.and_then(|job| job.data.as_ref());
    let earlier = before.last.as_ref().and_then(|bundle| {
        let entry = bundle.entry(&wanted.workflow)?;
        Some((bundle.file(&format!("data/{}.coverage", entry.name))?, entry.data.as_ref()?))
    });
    let known = Known {
        fresh: fresh.map(|(_, verdict)| (verdict.verdict.status, &verdict.run)),
        earlier: earlier.as_ref().map(|(_, data)| *data),
    };
    let tonight = Tonight::of(record, fresh.is_some(), wanted.cadence, night);
    let data = choose(known, night, limit);
    let mut reasons = reasons(tonight, found, record.and_then(JobRecord::exit_code));
    let mut input = None;
    if let Some(data) = &data {
        let from = match data.origin {
            Origin::Carried => earlier.as_ref().map(|(path, _)| path),
            Origin::Fresh | Origin::Incomplete => fresh.map(|(path, _)| path),
        };
        if let Some(from) = from {
            let to = work.join(format!("data/{name}.coverage"));
            put_data(from, &to)?;
            let stale = (data.origin == Origin::Carried).then(|| carried(data, tonight));
            let profile =
                wanted.playback_type.traced_as(&wanted.profile).unwrap_or_else(|_| wanted.profile.clone());
            input = Some(MapInput { name: name.clone(), profile, data: to, stale });
        }
        if data.origin == Origin::Carried && tonight != Tonight::NotScheduled {
            reasons.push(format!("carried forward from {}, {} old", data.night, nights(data.age_nights)));
        }
    } else if let Some((_, data)) = &earlier {
        reasons.push(format!("data of {} is too old to be carried forward", data.night));
    } else {
        reasons.push("no data of it is known".to_owned());
    }
    if let Some(record_file) = found.and_then(|job| job.record_file.as_ref()) {
        let text = fs_err::read_to_string(record_file).map_err(|error| io(&error))?;
        put(&work.join(format!("jobs/{}.json", wanted.workflow)), &text)?;
    }
    let entry = NightEntry {
        exit_code: record.and_then(JobRecord::exit_code),
        attempts: record.map_or(0, |record| record.attempts.len()),
        workflow: wanted.workflow,
        profile: wanted.profile,
        name,
        playback_type: wanted.playback_type,
        cadence: wanted.cadence,
        tonight,
        data,
        reasons,
    };
    Ok((entry, input))
}

fn carried(data: &NightData, tonight: Tonight) -> String {
    format!(
        "carried forward from the night of {} ({} old, then {}): this night it is {}",
        data.night,
        nights(data.age_nights),
        data.status,
        tonight.as_str()
    )
}

/// What is wrong with this night's job, as far as its record and its data say.
fn reasons(tonight: Tonight, found: Option<&FoundJob>, exit_code: Option<i32>) -> Vec<String> {
    let mut reasons = match (tonight, exit_code) {
        (Tonight::Missing, _) => vec!["it left no artifact".to_owned()],
        (Tonight::Killed, _) => vec!["it was killed before its end".to_owned()],
        (Tonight::Failed, Some(code)) => vec![format!("its command ended with {code}")],
        (Tonight::Failed, None) => vec!["its command was killed".to_owned()],
        (Tonight::Flaky, _) => vec!["it passed only when tried again".to_owned()],
        (Tonight::Passed | Tonight::NotScheduled, _) => Vec::new(),
    };
    let Some(job) = found else { return reasons };
    reasons.extend(job.problem.clone());
    match &job.data {
        Some((_, verdict)) => reasons.extend(verdict.verdict.reasons.iter().take(3).cloned()),
        None if matches!(tonight, Tonight::Passed | Tonight::Flaky) && job.problem.is_none() => {
            reasons.push("it passed without being traced".to_owned());
        }
        None => {}
    }
    reasons
}

fn latest(job: &FoundJob) -> Timestamp {
    let merged = job.data.as_ref().map(|(_, verdict): &(PathBuf, VerdictFile)| verdict.merged_at);
    let ended = job.record.as_ref().map(|record| record.ended.unwrap_or(record.started));
    merged.into_iter().chain(ended).max().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn night_begins(night: Date) -> Timestamp {
    night.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |moment| moment.timestamp())
        - SignedDuration::from_hours(4)
}

/// The list's entries; without a list, what was found and what the nights before had.
fn wanted(args: &Args, jobs: &[FoundJob], before: &Before) -> Result<Vec<Wanted>, Failure> {
    let usual = Path::new(USUAL_PLACE);
    let path = args.list.clone().or_else(|| usual.is_file().then(|| usual.to_owned()));
    if let Some(path) = path {
        let entry = |entry: list::Entry| Wanted {
            workflow: entry.workflow_slug,
            profile: entry.profile_slug,
            playback_type: entry.playback_type,
            cadence: entry.cadence,
        };
        return Ok(list::read(&path)?.into_iter().map(entry).collect());
    }
    let mut by_name: BTreeMap<Slug, Wanted> = BTreeMap::new();
    for bundle in before.last.iter().chain(&before.same) {
        for entry in &bundle.manifest.entries {
            let wanted = Wanted {
                workflow: entry.workflow.clone(),
                profile: entry.profile.clone(),
                playback_type: entry.playback_type,
                cadence: entry.cadence,
            };
            by_name.insert(entry.workflow.clone(), wanted);
        }
    }
    for job in jobs {
        let (workflow, playback_type) = match &job.record {
            Some(record) => (record.workflow.clone(), record.playback_type),
            None => (job.profile.clone(), PlaybackType::Run),
        };
        by_name.entry(workflow.clone()).or_insert_with(|| Wanted {
            workflow,
            profile: job.profile.clone(),
            playback_type,
            cadence: Cadence::Nightly,
        });
    }
    Ok(by_name.into_values().collect())
}

/// What the files of each entry are called: as the profile where it is its only plain replay, else as the workflow.
fn named(wanted: Vec<Wanted>) -> Vec<(Wanted, Slug)> {
    let mut replays: BTreeMap<Slug, usize> = BTreeMap::new();
    for entry in wanted.iter().filter(|entry| entry.playback_type == PlaybackType::Run) {
        *replays.entry(entry.profile.clone()).or_default() += 1;
    }
    let name = |entry: &Wanted| {
        let plain = entry.playback_type == PlaybackType::Run && replays.get(&entry.profile) == Some(&1);
        let taken = replays.get(&entry.workflow) == Some(&1);
        match (plain, taken) {
            (true, _) => entry.profile.clone(),
            (false, false) => entry.workflow.clone(),
            // Another entry's profile is called like this workflow.
            (false, true) => Slug::parse(&format!("{}.{}", entry.workflow, entry.playback_type.as_str()))
                .unwrap_or_else(|_| entry.workflow.clone()),
        }
    };
    wanted.into_iter().map(|entry| (name(&entry), entry)).map(|(name, entry)| (entry, name)).collect()
}

fn before(args: &Args, night: Date) -> Result<Before, Failure> {
    let places = if args.previous.is_empty() { vec![args.output_dir.clone()] } else { args.previous.clone() };
    let mut bundles = BTreeMap::new();
    for place in &places {
        bundles.extend(bundles_at(place)?);
    }
    // An earlier one of this night lies where this one goes.
    bundles.extend(bundles_at(&args.output_dir)?);
    let mut notes = Vec::new();
    let mut open = |path: &Path| match Opened::read(path, &args.output_dir) {
        Ok(bundle) => Some(bundle),
        Err(failure) => {
            note(&failure.message);
            notes.push(failure.message);
            None
        }
    };
    let same = bundles.get(&night).and_then(|path| open(path));
    let last = bundles.range(..night).rev().find_map(|(_, path)| open(path));
    Ok(Before { same, last, notes })
}

fn formats() -> BTreeMap<String, u32> {
    use playtrace_analysis::{Inventory, Matrix, ProfileReport, RunSteps, TrafficRecord};
    let known = [
        (Manifest::FORMAT, Manifest::VERSION),
        (VerdictFile::FORMAT, VerdictFile::VERSION),
        (Inventory::FORMAT, Inventory::VERSION),
        (Matrix::FORMAT, Matrix::VERSION),
        (ProfileReport::FORMAT, ProfileReport::VERSION),
        (RunSteps::FORMAT, RunSteps::VERSION),
        (TrafficRecord::FORMAT, TrafficRecord::VERSION),
        (JobRecord::FORMAT, JobRecord::VERSION),
    ];
    known.into_iter().map(|(name, version)| (name.to_owned(), version)).collect()
}

/// One aggregation at a time in a directory; what earlier ones that were killed left there is removed.
fn lock(dir: &Path) -> Result<std::fs::File, Failure> {
    let path = dir.join(".playtrace-aggregate.lock");
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(path).map_err(|error| io(&error))?.into_file();
    file.lock().map_err(|error| io(&error))?;
    for entry in fs_err::read_dir(dir).map_err(|error| io(&error))? {
        let path = entry.map_err(|error| io(&error))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SCRATCH)) {
            let gone = if path.is_dir() { fs_err::remove_dir_all(&path) } else { fs_err::remove_file(&path) };
            gone.map_err(|error| io(&error))?;
        }
    }
    Ok(file)
}

fn is_on(variable: &str) -> bool {
    let value = std::env::var(variable).unwrap_or_default().to_ascii_lowercase();
    ["1", "true", "yes", "on"].contains(&value.as_str())
}

fn io(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-NIGHTLY-006", error.to_string()).help("let this user read and write there")
}

//! One run's shards and ledger → `<slug>.coverage`, `<slug>.verdict.json` and `<slug>.steps.json`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_covdata::CovdataError;
use playtrace_covdata::data::{ContextPolicy, Ownership};
use playtrace_covdata::merge::{Gathering, MergeOptions, MergeOutcome};
use playtrace_covdata::shard::{ShardInfo, list_of};
use playtrace_ledger::judge::{Judgement, behind, judge};
use playtrace_ledger::{Journal, Layout, Record, Role, RunLedger, Writer};
use playtrace_model::{LineData, RunToken, Slug, Status};

use super::VerdictFile;
use super::clear::remove_merged;
use super::complete::complete;
use super::earlier::{Earlier, unite};
use super::kind::Kind;
use super::lock::{self, MergeLock};
use super::place::{Newcomer, Place};
use super::standing::Standing;
use super::steps_file::Steps;
use super::verdict_file::sha256;
use super::{granularity, proof, runs};
use crate::clock;
use crate::exit::Exit;
use crate::messages::Failure;
use crate::whole_file::{StagedFile, stage_whole};

/// What to merge, and how.
#[derive(Debug, Clone)]
pub struct MergeRun {
    /// The directory of the shards.
    pub coverage_dir: PathBuf,
    /// The profile.
    pub slug: Slug,
    /// The run; the latest one if not said.
    pub run: Option<RunToken>,
    /// The player's file, where it does not lie in the run's directory.
    pub manifest: Option<PathBuf>,
    /// Where the merged file goes; `<coverage dir>/<slug>.coverage` if not said.
    pub output: Option<PathBuf>,
    /// Whether this run's shards stay. Those of older finished runs go in any case.
    pub keep_shards: bool,
    /// What becomes of contexts.
    pub contexts: ContextPolicy,
}

/// What a merge came to.
#[derive(Debug)]
pub struct Merged {
    /// What is known about the data; also written beside it.
    pub verdict: VerdictFile,
    /// The merged file.
    pub data_file: PathBuf,
    /// How many shards are in it.
    pub shards: usize,
    /// Shards that could not be merged, or were merged and could not be removed: each a sentence that names the file.
    pub problems: Vec<String>,
    /// Sentences, if this run's data, or what stood at its place, is elsewhere than a reader would look.
    pub elsewhere: Vec<String>,
}

impl Merged {
    /// How a program that did this merge ends.
    pub fn exit(&self) -> Exit {
        match self.verdict.verdict.status {
            Status::Failed => Exit::Failed,
            Status::Complete | Status::Consistent if self.problems.is_empty() => Exit::Success,
            Status::Complete | Status::Consistent | Status::Partial | Status::Stale => Exit::Partial,
        }
    }
}

/// Merges one run of a profile. What stands at its place is added to, replaced or left alone as `place.rs` says; inputs are
/// removed only after everything is safe.
pub fn merge_run(wanted: &MergeRun) -> Result<Merged, Failure> {
    merge_run_with(wanted, Gathering::default())
}

/// The same, with rows gathered where the caller says: for tests with a small limit.
#[doc(hidden)]
pub fn merge_run_with(wanted: &MergeRun, mut gathering: Gathering) -> Result<Merged, Failure> {
    let (dir, slug) = (&wanted.coverage_dir, &wanted.slug);
    let layout = Layout::new(dir);
    if wanted.manifest.is_none() && list_of(dir, slug)?.is_empty() && layout.runs(slug)?.is_empty() {
        return Err(nothing(dir, slug, None, None));
    }
    let _lock = MergeLock::take(&layout, slug, lock::PATIENCE)?;
    // Another merge may have removed what was there before we had the lock.
    let shards = list_of(dir, slug)?;
    let run = match &wanted.run {
        Some(run) => run.clone(),
        None => runs::latest(&layout, slug, &shards)?.ok_or_else(|| nothing(dir, slug, None, None))?,
    };
    // Rows go where there is room for them as they are read: all of them together may be larger than memory.
    let (ledger, has_lines) = read_ledger(wanted, &layout, &run, &mut gathering)?;
    let recorded = gathering.lines_since();
    let usual = wanted.output.clone().unwrap_or_else(|| dir.join(format!("{slug}.coverage")));
    let mut earlier = Earlier::find(&usual, &run, &ledger)?;
    // A shard that can't be read may be of any run: it is tried, named and kept.
    let mine: Vec<PathBuf> = shards
        .iter()
        .filter(|shard| shard.run().is_none_or(|of| *of == run))
        .map(|shard| shard.path.clone())
        .collect();
    if mine.is_empty() && ledger.writers.is_empty() && ledger.unflushed.is_empty() {
        return Err(nothing(dir, slug, Some(&run), earlier.data_files().next()));
    }
    if wanted.keep_shards {
        gathering.watch(behind(&ledger));
    }
    let options = MergeOptions { contexts: wanted.contexts, ..MergeOptions::default() };
    let read = gathering.read(&mine, &options, &|| ())?;
    let mut fresh = gathering.lines_since();
    let waiting = gathering.not_found();
    earlier.gather(&mut gathering)?;
    let present: BTreeSet<String> =
        read.merged.iter().chain(&read.duplicates).filter_map(|p| name(p)).collect();
    let mut judgement = judge(&ledger, &present);
    let mut problems = name_problems(&read, &mut judgement);

    // Shards that others combine and delete take lines with them, which the ledger and earlier merges have too.
    let kind = earlier.kind(read.data.into(), false).ok_or_else(mixed)?;
    earlier.add_lines(&mut fresh, false);
    proof::check(&fresh, &recorded, &earlier, &ledger, &mut judgement);
    let kind = if has_lines { kind.with(Kind::Lines).ok_or_else(mixed)? } else { kind };
    unite(&mut fresh, &recorded);

    // The ledger names files as the shards do, and a run's merge renames none.
    let mut steps = Steps::of((slug, &run), &judgement.entered, &ledger);
    earlier.add_steps(&mut steps, &run);
    let mut verdict = verdict_of(wanted, &run, judgement, &ledger, &shards);
    earlier.weigh(&mut verdict, &fresh, &ledger);
    let kind = earlier.kind(kind, true).ok_or_else(mixed)?;
    let outcome = gathering.finish(read, kind.has_arcs(), &options)?;
    if let Err(why) = complete((dir, slug, &run), &waiting) {
        problems.push(format!("the shards in {} lack lines that the merged file has: {why}", dir.display()));
    }

    let place = match &wanted.output {
        Some(output) => named_place(output)?,
        None => Place::choose(&usual, &newcomer(&verdict, &earlier))?,
    };
    place.make_directory()?;
    let data_file = &place.data_file;
    let owner = Ownership { slug: Some(slug.clone()), run: Some(run.clone()) };
    // All is on disk before the first file appears. The verdict comes last: it vouches for the rest.
    let data = outcome.data.stage(data_file, &owner).map_err(not_written)?;
    verdict.data_sha256 = Some(data.read_with(sha256).map_err(not_written)?);
    let steps = steps.stage(data_file)?;
    let staged_verdict = stage_verdict(&verdict, data_file)?;
    place.displace()?;
    data.place().map_err(not_written)?;
    steps.place()?;
    staged_verdict.place().map_err(|error| unwritable(&error))?;

    note_merge(&layout, &verdict, present, data_file);
    earlier.clear_others(data_file);
    if !wanted.keep_shards {
        problems.extend(remove_merged(&outcome, data_file, wanted.contexts));
    }
    if place.usual {
        runs::retire_older(&layout, slug, &verdict, &shards);
    }
    if run.is_untokened() && !wanted.keep_shards {
        // Requests without a token have no other way to begin a new run than that the old one is gone.
        runs::forget(&layout, slug, &run);
    }
    let shards = outcome.merged.len() + outcome.duplicates.len();
    Ok(Merged { verdict, data_file: place.data_file, shards, problems, elsewhere: place.sentences })
}

/// The run's ledger with the player's own record. Its lines go to `gathering`; whether there are any.
fn read_ledger(
    wanted: &MergeRun,
    layout: &Layout,
    run: &RunToken,
    gathering: &mut Gathering,
) -> Result<(RunLedger, bool), Failure> {
    let (mut kept, mut has_lines) = (Ok(()), false);
    let mut take = |lines: &LineData| {
        has_lines |= !lines.is_empty();
        if kept.is_ok() {
            kept = gathering.add_lines(lines);
        }
    };
    let mut ledger = RunLedger::scan_lines(layout, &wanted.slug, run, &mut take)?;
    if let Some(manifest) = &wanted.manifest {
        ledger.scan_file(manifest, &mut take)?;
        check_manifest(&ledger, manifest, &wanted.slug, run)?;
    }
    ledger.unflushed.iter().for_each(|unflushed| take(&unflushed.lines));
    kept?;
    Ok((ledger, has_lines))
}

/// Whether the player's own record is of this run: another one's steps would be missed, or taken for these.
fn check_manifest(ledger: &RunLedger, path: &Path, slug: &Slug, run: &RunToken) -> Result<(), Failure> {
    let mine = ledger.writers.iter().filter(|writer| Some(&writer.file) == name(path).as_ref());
    for entry in mine.flat_map(Writer::entries) {
        if let Record::Manifest { profile, run: of, .. } = &entry.record
            && (profile != slug || of != run)
        {
            let message =
                format!("{} is of run {of} of profile {profile}, not of run {run} of {slug}", path.display());
            return Err(Failure::new(Exit::BadInput, "PT-MERGE-008", message)
                .help("manifests are called <run>.manifest; give that run's, or none"));
        }
    }
    Ok(())
}

fn mixed() -> Failure {
    Failure::new(
        Exit::BadInput,
        "PT-MERGE-002",
        "the shards hold branch data and the ledger, or an earlier merge, lines: they were not written by one program",
    )
}

fn verdict_of(
    wanted: &MergeRun,
    run: &RunToken,
    mut judgement: Judgement,
    ledger: &RunLedger,
    shards: &[ShardInfo],
) -> VerdictFile {
    let granularities = granularity::of(ledger);
    judgement.verdict.notes.extend(granularity::note(&granularities));
    VerdictFile {
        format: VerdictFile::FORMAT.to_owned(),
        version: VerdictFile::VERSION,
        profile: wanted.slug.clone(),
        run: run.clone(),
        verdict: judgement.verdict,
        granularity: granularities.first().copied(),
        pythons: granularity::pythons(ledger),
        data_sha256: None,
        requests: judgement.requests,
        jobs: judgement.jobs,
        merged_at: clock::now(),
        ended: runs::ended(ledger, run, shards),
        sources: judgement.sources,
        mixed_sources: judgement.mixed_sources,
        ledger: ledger.extents(),
    }
}

fn newcomer<'a>(verdict: &'a VerdictFile, earlier: &'a Earlier) -> Newcomer<'a> {
    Newcomer {
        run: &verdict.run,
        status: verdict.verdict.status,
        age: verdict.age(),
        includes: earlier.data_files().collect(),
    }
}

/// The file that the command line names. Data there is replaced, as with `coverage combine`; anything else was not meant.
fn named_place(output: &Path) -> Result<Place, Failure> {
    match Standing::at(output)? {
        Standing::Unreadable(why) => Err(Failure::new(
            Exit::BadInput,
            "PT-MERGE-005",
            format!("{} is not replaced: {why}", output.display()),
        )
        .help("give another --data-file, or move that file away; nothing was changed")),
        _ => Ok(Place::named(output)),
    }
}

/// Names unreadable shards; where the ledger doesn't vouch for their lines, the verdict says that they may be lost.
fn name_problems<D>(outcome: &MergeOutcome<D>, judgement: &mut Judgement) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, why) in &outcome.problems {
        let vouched = name(path).is_some_and(|name| judgement.shards.contains(&name));
        if vouched && matches!(why, CovdataError::Missing { .. }) {
            // Combined by hand a moment ago; that its lines were restored is a note already.
            continue;
        }
        problems.push(why.to_string());
        if vouched {
            judgement.verdict.notes.push(format!("{why}; its lines were taken from the ledger"));
        } else {
            judgement.verdict.lower(Status::Partial, format!("data lost: {why}"));
        }
    }
    problems
}

fn stage_verdict(verdict: &VerdictFile, data_file: &Path) -> Result<StagedFile, Failure> {
    let mut text = serde_json::to_string_pretty(verdict).map_err(|error| {
        Failure::new(Exit::Io, "PT-MERGE-003", format!("can't write the verdict: {error}"))
    })?;
    text.push('\n');
    stage_whole(&VerdictFile::path_of(data_file), text.as_bytes()).map_err(|error| unwritable(&error))
}

/// Says in the ledger what was merged, so that a later merge doesn't miss the removed shards. The data is safe by now: a
/// ledger that can't be written costs no more than a note in a later verdict.
fn note_merge(layout: &Layout, verdict: &VerdictFile, shards: BTreeSet<String>, data_file: &Path) {
    let program = concat!("playtrace ", env!("CARGO_PKG_VERSION"));
    let at = clock::now_millis();
    if let Ok(mut journal) = Journal::open(layout, &verdict.profile, &verdict.run, Role::Merger, program, at)
    {
        let into = name(data_file).unwrap_or_default();
        let _ = journal.append(at, Record::Merged { shards: shards.into_iter().collect(), into });
    }
}

fn name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

pub(super) fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-MERGE-003", error.to_string()).help(NOTHING_REMOVED)
}

fn not_written(error: CovdataError) -> Failure {
    Failure { exit: Exit::Io, ..Failure::from(error) }.help(NOTHING_REMOVED)
}

const NOTHING_REMOVED: &str =
    "shards and ledger are as they were: free space, or let this user write there, and merge again";

fn nothing(dir: &Path, slug: &Slug, run: Option<&RunToken>, merged: Option<&Path>) -> Failure {
    let of = run.map(|run| format!(" of run {run}")).unwrap_or_default();
    let mut message = format!("{} holds neither shards nor a ledger{of} of profile {slug}", dir.display());
    if let Some(merged) = merged {
        message = format!("{message}; what was merged of it before is in {} and stays", merged.display());
    }
    Failure::new(Exit::BadInput, "PT-MERGE-001", message).help(
        "is it the directory that the app writes to (PROFILE_COVERAGE_DIR)? `playtrace shards` lists what is there",
    )
}

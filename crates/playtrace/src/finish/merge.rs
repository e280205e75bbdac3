//! One run's shards and ledger → `<slug>.coverage`, `<slug>.verdict.json` and `<slug>.steps.json`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use playtrace_covdata::data::{ContextPolicy, Ownership};
use playtrace_covdata::merge::{Fate, MergeOptions, MergeOutcome, merge, write_merged};
use playtrace_covdata::shard::list_of;
use playtrace_ledger::judge::{Judgement, judge};
use playtrace_ledger::{Journal, Layout, Record, Role, RunLedger};
use playtrace_model::{RunToken, Slug, Status};

use super::VerdictFile;
use super::{granularity, runs, steps_file};
use crate::clock;
use crate::exit::Exit;
use crate::messages::Failure;
use crate::whole_file::write_whole;

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
    /// A sentence, if a better run's file was kept and this one was written elsewhere.
    pub beside: Option<String>,
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

/// Merges one run of a profile. Inputs are removed only after the output is safe.
pub fn merge_run(wanted: &MergeRun) -> Result<Merged, Failure> {
    let (dir, slug) = (&wanted.coverage_dir, &wanted.slug);
    let layout = Layout::new(dir);
    let shards = list_of(dir, slug)?;
    let run = match &wanted.run {
        Some(run) => run.clone(),
        None => runs::latest(&layout, slug, &shards)?.ok_or_else(|| nothing(dir, slug, None))?,
    };
    let _lock = lock(&layout, slug)?;
    let mut ledger = RunLedger::read(&layout, slug, &run)?;
    if let Some(manifest) = &wanted.manifest {
        ledger.add_file(manifest)?;
    }
    // A shard that can't be read may be of any run: it is tried, named and kept.
    let mine: Vec<PathBuf> = shards
        .iter()
        .filter(|shard| shard.run().is_none_or(|of| *of == run))
        .map(|shard| shard.path.clone())
        .collect();
    if mine.is_empty() && ledger.writers.is_empty() {
        return Err(nothing(dir, slug, Some(&run)));
    }
    let mut outcome = merge(&mine, &MergeOptions { contexts: wanted.contexts, ..MergeOptions::default() })?;
    let present: BTreeSet<String> =
        outcome.merged.iter().chain(&outcome.duplicates).filter_map(|p| name(p)).collect();
    let mut judgement = judge(&ledger, &present);
    add_ledger_lines(&mut outcome, &judgement, wanted.contexts)?;
    let mut problems = name_problems(&outcome, &mut judgement);

    let (data_file, beside) = destination(wanted, &run, judgement.verdict.status)?;
    if let Some(parent) = data_file.parent() {
        fs_err::create_dir_all(parent).map_err(|error| unwritable(&error))?;
    }
    let owner = Ownership { slug: Some(slug.clone()), run: Some(run.clone()) };
    let fate = if wanted.keep_shards { Fate::Keep } else { Fate::Remove };
    let kept = write_merged(&outcome, &data_file, &owner, fate)?;
    problems.extend(
        kept.into_iter().map(|(path, why)| format!("{} was merged and stays: {why}", path.display())),
    );

    // The ledger names files as the shards do, and a run's merge renames none. The verdict comes last: it vouches for the rest.
    steps_file::write(&data_file, (slug, &run), &judgement.entered, &ledger)?;
    let granularities = granularity::of(&ledger);
    judgement.verdict.notes.extend(granularity::note(&granularities));
    let verdict = VerdictFile {
        format: VerdictFile::FORMAT.to_owned(),
        version: VerdictFile::VERSION,
        profile: slug.clone(),
        run: run.clone(),
        verdict: judgement.verdict,
        granularity: granularities.first().copied(),
        requests: judgement.requests,
        jobs: judgement.jobs,
        merged_at: clock::now(),
        sources: judgement.sources,
    };
    write_verdict(&verdict, &data_file)?;
    note_merge(&layout, &verdict, present, &data_file);
    if wanted.output.is_none() && beside.is_none() {
        runs::retire_older(&layout, slug, &run, &shards);
    }
    if run.is_untokened() && fate == Fate::Remove {
        // Requests without a token have no other way to begin a new run than that the old one is gone.
        runs::forget(&layout, slug, &run);
    }
    let shards = outcome.merged.len() + outcome.duplicates.len();
    Ok(Merged { verdict, data_file, shards, problems, beside })
}

/// A shard that someone combined in the middle of the run has taken its lines with it; the ledger has them too.
fn add_ledger_lines(
    outcome: &mut MergeOutcome,
    judgement: &Judgement,
    contexts: ContextPolicy,
) -> Result<(), Failure> {
    if judgement.lines.is_empty() {
        return Ok(());
    }
    if !outcome.data.add_lines(&judgement.lines) {
        return Err(Failure::new(
            Exit::BadInput,
            "PT-MERGE-002",
            "the shards hold branch data and the ledger lines: they were not written by one program",
        ));
    }
    outcome.data.relabel(contexts);
    Ok(())
}

/// Names unreadable shards; where the ledger doesn't vouch for their lines, the verdict says that they may be lost.
fn name_problems(outcome: &MergeOutcome, judgement: &mut Judgement) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, why) in &outcome.problems {
        let vouched = name(path).is_some_and(|name| judgement.shards.contains(&name));
        problems.push(why.to_string());
        if vouched {
            judgement.verdict.notes.push(format!("{why}; its lines were taken from the ledger"));
        } else {
            judgement.verdict.lower(Status::Partial, format!("data lost: {why}"));
        }
    }
    problems
}

/// `<slug>.coverage`, unless that would replace a better run's data: then a directory beside.
fn destination(
    wanted: &MergeRun,
    run: &RunToken,
    status: Status,
) -> Result<(PathBuf, Option<String>), Failure> {
    if let Some(output) = &wanted.output {
        return Ok((output.clone(), None));
    }
    let file_name = format!("{}.coverage", wanted.slug);
    let usual = wanted.coverage_dir.join(&file_name);
    let known = if usual.exists() { VerdictFile::read_beside(&usual)? } else { None };
    match known {
        Some(known) if known.run != *run && known.verdict.status < status => {
            let elsewhere = wanted.coverage_dir.join("incomplete").join(file_name);
            let sentence = format!(
                "{} stays as it is ({} data of run {}); this {status} run's data is in {}",
                usual.display(),
                known.verdict.status,
                known.run,
                elsewhere.display()
            );
            Ok((elsewhere, Some(sentence)))
        }
        _ => Ok((usual, None)),
    }
}

fn write_verdict(verdict: &VerdictFile, data_file: &Path) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(verdict).map_err(|error| {
        Failure::new(Exit::Io, "PT-MERGE-003", format!("can't write the verdict: {error}"))
    })?;
    text.push('\n');
    write_whole(&VerdictFile::path_of(data_file), text.as_bytes()).map_err(|error| unwritable(&error))
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

/// One merge of a profile at a time: two would remove each other's inputs.
fn lock(layout: &Layout, slug: &Slug) -> Result<File, Failure> {
    let dir = layout.root().join(slug.as_str());
    fs_err::create_dir_all(&dir).map_err(|error| unwritable(&error))?;
    let path = dir.join("merge.lock");
    let file = fs_err::File::create(path).map_err(|error| unwritable(&error))?.into_file();
    file.lock().map_err(|error| unwritable(&error))?;
    Ok(file)
}

fn name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

pub(super) fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, "PT-MERGE-003", error.to_string())
}

fn nothing(dir: &Path, slug: &Slug, run: Option<&RunToken>) -> Failure {
    let of = run.map(|run| format!(" of run {run}")).unwrap_or_default();
    Failure::new(
        Exit::BadInput,
        "PT-MERGE-001",
        format!("{} holds neither shards nor a ledger{of} of profile {slug}", dir.display()),
    )
    .help("is it the directory that the app writes to (PROFILE_COVERAGE_DIR)? `playtrace shards` lists what is there")
}

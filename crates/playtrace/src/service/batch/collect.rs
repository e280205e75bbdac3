//! Cleaning up before a run, and fetching its merged file afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_covdata::data::{ContextPolicy, Ownership};
use playtrace_covdata::shard::ShardName;
use playtrace_ledger::judge::judge;
use playtrace_ledger::{Layout, RunLedger};
use playtrace_model::{RunToken, Slug, Status};
use playtrace_replay::RUNS_DIR;

use super::Batch;
use crate::exit::Exit;
use crate::finish::{MergeRun, Patience, VerdictFile, merge_run, settle};
use crate::messages::Failure;
use crate::service::api::RunResult;
use crate::service::artifact::copy_to_its_place;

/// A merged file that has arrived among the artifacts.
pub(super) struct Collected {
    pub(super) path: PathBuf,
    /// Set if the merge was done here: the verdict that it came to.
    pub(super) verdict: Option<Status>,
    pub(super) exit: Exit,
    pub(super) notes: Vec<String>,
}

/// Removes the shards that earlier runs of a profile left; those of a run that goes on stay.
pub(super) fn clean_shards(dir: &Path, slug: &Slug) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Io, "PT-BATCH-005", format!("can't remove old shards of {slug}: {error}"))
    };
    let entries = match fs_err::read_dir(dir) {
        // Nothing is to be cleaned where nothing can be seen.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let mut going_on = Vec::new();
    for run in Layout::new(dir).runs(slug)? {
        let ledger = RunLedger::scan(&Layout::new(dir), slug, &run)?;
        if judge(&ledger, &BTreeSet::new()).pending.iter().any(|pending| pending.running) {
            going_on.push(run);
        }
    }
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let mine = path
            .file_name()
            .and_then(|name| ShardName::parse(name.to_str()?))
            .is_some_and(|name| name.slug == *slug);
        if !mine {
            continue;
        }
        let run = Ownership::read(&path).ok().and_then(|owner| owner.run);
        if run.is_some_and(|run| going_on.contains(&run)) {
            continue;
        }
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(failed)?,
        }
    }
    Ok(())
}

/// Finds a run's merged file, or merges it where the player could not, and copies it to the artifacts.
pub(super) fn collect(batch: &Batch, slug: &Slug, result: &RunResult) -> Result<Collected, Failure> {
    let run = RunToken::parse(&result.token)
        .map_err(|error| Failure::new(Exit::BadInput, "PT-BATCH-006", error.to_string()))?;
    let (mut exit, mut status, mut notes) = (Exit::Success, None, Vec::new());
    let merged = match find(batch, slug, &run, result) {
        Some(merged) => merged,
        None if result.coverage_artifact.is_none() && batch.shards.is_dir() => {
            let merged = merge_here(batch, slug, &run)?;
            (exit, status) = (merged.exit(), Some(merged.verdict.verdict.status));
            notes.extend(merged.elsewhere.into_iter().chain(merged.problems));
            merged.data_file
        }
        None => {
            let there = result.coverage_artifact.as_ref().map_or_else(
                || "nobody merged it".to_owned(),
                |path| format!("the service has it at {}", path.display()),
            );
            let why = format!("the merged file of run {run} can't be seen from here: {there}");
            return Err(Failure::new(Exit::Io, "PT-BATCH-007", why)
                .help("--coverage-shards names the directory of the shards as this machine sees it"));
        }
    };
    let wanted = batch.artifacts.join(format!("{slug}.coverage"));
    let (path, sentences) = copy_to_its_place(&merged, &wanted)?;
    notes.extend(sentences);
    Ok(Collected { path, verdict: status, exit, notes })
}

/// The merged file of exactly this run, wherever this process can see it.
fn find(batch: &Batch, slug: &Slug, run: &RunToken, result: &RunResult) -> Option<PathBuf> {
    let name = format!("{slug}.coverage");
    let places = [batch.shards.join(&name), batch.shards.join("incomplete").join(&name)];
    result.coverage_artifact.iter().chain(&places).find(|path| belongs_to(path, run)).cloned()
}

fn belongs_to(path: &Path, run: &RunToken) -> bool {
    path.is_file() && VerdictFile::read_beside(path).ok().flatten().is_some_and(|verdict| verdict.run == *run)
}

fn merge_here(batch: &Batch, slug: &Slug, run: &RunToken) -> Result<crate::finish::Merged, Failure> {
    let manifest = batch.profiles_root.join(RUNS_DIR).join(format!("{run}.manifest"));
    let manifest = Some(manifest).filter(|path| path.is_file());
    settle(&batch.shards, slug, run, manifest.as_deref(), Patience::default(), |_| {})?;
    merge_run(&MergeRun {
        coverage_dir: batch.shards.clone(),
        slug: slug.clone(),
        run: Some(run.clone()),
        manifest,
        output: None,
        keep_shards: batch.body.keep_shards.unwrap_or(false),
        contexts: ContextPolicy::Keep,
    })
}

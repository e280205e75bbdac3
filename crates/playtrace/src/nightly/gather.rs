//! The artifacts of a night's jobs: what lies where.

use std::path::{Path, PathBuf};

use playtrace_covdata::data::Ownership;
use playtrace_model::Slug;

use super::bundle::Opened;
use super::job::{JOB_FILE, JobRecord};
use super::list::PlaybackType;
use crate::exit::Exit;
use crate::finish::VerdictFile;
use crate::messages::Failure;

/// What a job left.
#[derive(Debug)]
pub struct FoundJob {
    /// The profile.
    pub profile: Slug,
    /// Its record; a batch by hand leaves none.
    pub record: Option<JobRecord>,
    /// The record's file.
    pub record_file: Option<PathBuf>,
    /// Its data, if there is some that its verdict vouches for.
    pub data: Option<(PathBuf, VerdictFile)>,
    /// What is wrong with its data.
    pub problem: Option<String>,
}

impl FoundJob {
    fn at(profile: Slug, record: Option<(JobRecord, PathBuf)>, data: &Path) -> Self {
        let (data, problem) = match vouched(data) {
            Ok(data) => (data, None),
            Err(why) => (None, Some(why)),
        };
        let (record, record_file) = record.unzip();
        Self { profile, record, record_file, data, problem }
    }

    /// Whether this is of the workflow: by its record, or, without one, as a plain replay of its profile.
    pub fn is_of(&self, workflow: &Slug, profile: &Slug, playback_type: PlaybackType) -> bool {
        match &self.record {
            Some(record) => record.workflow == *workflow,
            None => self.profile == *profile && playback_type == PlaybackType::Run,
        }
    }

    /// Which of two finds of one workflow tells more: the better data, then the later end.
    fn rank(&self) -> (bool, std::cmp::Reverse<playtrace_model::Status>, Option<jiff::Timestamp>) {
        let status =
            self.data.as_ref().map_or(playtrace_model::Status::Stale, |(_, verdict)| verdict.verdict.status);
        let ended = self.record.as_ref().map(|record| record.ended.unwrap_or(record.started));
        (self.data.is_some(), std::cmp::Reverse(status), ended)
    }
}

/// The data at a path with its verdict; nothing where there is none, and a sentence where it can't be trusted.
fn vouched(data: &Path) -> Result<Option<(PathBuf, VerdictFile)>, String> {
    if !data.is_file() {
        return Ok(None);
    }
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let verdict = VerdictFile::read_beside(data)
        .map_err(|failure| failure.message)?
        .ok_or_else(|| format!("{name} has no verdict beside it"))?;
    let owner = Ownership::read(data).map_err(|error| format!("{name}: {error}"))?;
    match verdict.doubt(data, owner.run.as_ref()).map_err(|error| error.to_string())? {
        None => Ok(Some((data.to_owned(), verdict))),
        Some(why) => Err(format!("{name}: {why}")),
    }
}

/// All jobs below the directories, in the order of their paths; what can't be read is told in a sentence.
pub fn find(dirs: &[PathBuf]) -> Result<(Vec<FoundJob>, Vec<String>), Failure> {
    let (mut jobs, mut problems) = (Vec::new(), Vec::new());
    for dir in dirs {
        if !dir.is_dir() {
            return Err(Failure::new(
                Exit::BadInput,
                "PT-NIGHTLY-011",
                format!("{} is no directory", dir.display()),
            )
            .help("name the directory that the jobs' artifacts were downloaded into"));
        }
        let unreadable = |error: walkdir::Error| Failure::new(Exit::Io, "PT-NIGHTLY-006", error.to_string());
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
            let entry = entry.map_err(unreadable)?;
            if entry.file_type().is_file() {
                files.push(entry.into_path());
            }
        }
        for path in files.iter().filter(|path| path.file_name().is_some_and(|name| name == JOB_FILE)) {
            match JobRecord::read(path) {
                Ok(record) => {
                    let profile = record.profile.clone();
                    let data = path.with_file_name(format!("{}.coverage", record.traced_as()));
                    jobs.push(FoundJob::at(profile, Some((record, path.clone())), &data));
                }
                Err(failure) => problems.push(failure.message),
            }
        }
        for path in &files {
            let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".coverage"));
            if let Some(profile) = stem.and_then(|stem| Slug::parse(stem).ok())
                && !path.with_file_name(JOB_FILE).is_file()
            {
                jobs.push(FoundJob::at(profile, None, path));
            }
        }
    }
    Ok((jobs, problems))
}

/// What an earlier bundle of the same night knows of a workflow.
pub fn in_bundle(bundle: &Opened, workflow: &Slug) -> Option<FoundJob> {
    let entry = bundle.entry(workflow)?;
    let record_file = bundle.file(&format!("jobs/{workflow}.json"));
    let record = record_file.and_then(|path| Some((JobRecord::read(&path).ok()?, path)));
    let tonight = entry.data.as_ref().is_some_and(|data| data.night == bundle.manifest.night);
    let data = bundle.file(&format!("data/{}.coverage", entry.name)).filter(|_| tonight);
    if record.is_none() && data.is_none() {
        return None;
    }
    Some(FoundJob::at(entry.profile.clone(), record, &data.unwrap_or_default()))
}

/// The one of a workflow's finds that tells most.
pub fn best(jobs: Vec<FoundJob>) -> Option<FoundJob> {
    jobs.into_iter().max_by_key(FoundJob::rank)
}

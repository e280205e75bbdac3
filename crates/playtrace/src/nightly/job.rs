//! What a night's job leaves behind: `job.json`, and beside it the profile's data.
//!
//! The record is written when the job begins and again when it ends, so that one that was killed in the middle is told
//! from one that never began.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_model::{RunToken, Slug, Status};
use serde::{Deserialize, Serialize};

use super::list::PlaybackType;
use crate::documents::{read_json, write_document};
use crate::exit::Exit;
use crate::finish::VerdictFile;
use crate::messages::Failure;
use crate::service::artifact::copy_data;

/// The record's name in the job's artifact.
pub const JOB_FILE: &str = "job.json";
/// The job's summary for people, in the job's artifact.
pub const SUMMARY_FILE: &str = "summary.md";

/// Whether a job came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It began; if nobody changes that any more, it was killed.
    Running,
    /// It ended by itself.
    Ended,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How its command ended; none where a signal ended it.
    pub exit_code: Option<i32>,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// The run whose data it left, if it left some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunToken>,
    /// That data's verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// `job.json` (`docs/schema/job.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// [`JobRecord::FORMAT`].
    pub format: String,
    /// [`JobRecord::VERSION`].
    pub version: u32,
    /// The workflow.
    pub workflow: Slug,
    /// The profile.
    pub profile: Slug,
    /// What was done with it.
    pub playback_type: PlaybackType,
    /// Whether it came to its end.
    pub state: JobState,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Each try, in order.
    pub attempts: Vec<Attempt>,
    /// The program that wrote this.
    pub playtrace: String,
}

impl JobRecord {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-job";
    /// The version written.
    pub const VERSION: u32 = 1;

    /// A job that begins.
    pub fn begin(workflow: Slug, profile: Slug, playback_type: PlaybackType, started: Timestamp) -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            workflow,
            profile,
            playback_type,
            state: JobState::Running,
            started,
            ended: None,
            attempts: Vec::new(),
            playtrace: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Reads a record, and refuses what is none, or is of a later version.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let head: Head = read_json(path)?;
        if head.format != Self::FORMAT || head.version > Self::VERSION {
            return Err(Failure::new(
                Exit::BadInput,
                "PT-NIGHTLY-005",
                format!(
                    "{}: {} version {} is not a job's record that this program reads (it knows version {})",
                    path.display(),
                    head.format,
                    head.version,
                    Self::VERSION
                ),
            )
            .help("use the playtrace that wrote it, or a later one"));
        }
        read_json(path)
    }

    /// Writes the record and the summary.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        write_document(&dir.join(SUMMARY_FILE), &self.summary())?;
        write_document(&dir.join(JOB_FILE), &playtrace_report::json::to_json(self)?)
    }

    /// The slug that names its data: a flow's is not the profile's. One that can't be is named as the profile: nothing lies there.
    pub fn traced_as(&self) -> Slug {
        self.playback_type.traced_as(&self.profile).unwrap_or_else(|_| self.profile.clone())
    }

    /// How the last try ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.attempts.last().and_then(|attempt| attempt.exit_code)
    }

    /// Markdown for a job's summary page.
    pub fn summary(&self) -> String {
        let mut text =
            format!("### {} ({} of `{}`)\n\n", self.workflow, self.playback_type.as_str(), self.profile);
        if self.state == JobState::Running {
            text.push_str("Begun, and not ended.\n");
        }
        if !self.attempts.is_empty() {
            text.push_str("| try | exit code | verdict | seconds |\n|---:|---:|---|---:|\n");
        }
        for (number, attempt) in (1..).zip(&self.attempts) {
            let code = attempt.exit_code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
            let status = attempt.status.map_or("not traced", Status::as_str);
            // Writing to a String can't fail.
            let _ = writeln!(text, "| {number} | {code} | {status} | {} |", attempt.seconds);
        }
        text
    }
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// The data of one profile in a coverage directory, to tell what a job adds from what was there before.
#[derive(Debug)]
pub struct DataWatch {
    places: [PathBuf; 2],
    seen: BTreeSet<RunToken>,
}

impl DataWatch {
    /// Remembers what is there now.
    pub fn new(coverage_dir: &Path, profile: &Slug) -> Self {
        let name = format!("{profile}.coverage");
        let places = [coverage_dir.join(&name), coverage_dir.join("incomplete").join(&name)];
        let seen = places.iter().filter_map(|place| verdict_at(place)).map(|verdict| verdict.run).collect();
        Self { places, seen }
    }

    /// The best data that came since the last look.
    fn fresh(&mut self) -> Option<(PathBuf, VerdictFile)> {
        let fresh = self
            .places
            .iter()
            .filter_map(|place| Some((place.clone(), verdict_at(place)?)))
            .filter(|(_, verdict)| !self.seen.contains(&verdict.run))
            .min_by_key(|(_, verdict)| verdict.verdict.status);
        self.seen.extend(fresh.iter().map(|(_, verdict)| verdict.run.clone()));
        fresh
    }

    /// Copies what came since the last look to `dir`, unless better data of an earlier try is there; says which run it is of.
    pub fn collect(&mut self, dir: &Path, profile: &Slug) -> Result<Option<(RunToken, Status)>, Failure> {
        let Some((path, verdict)) = self.fresh() else { return Ok(None) };
        let (run, status) = (verdict.run, verdict.verdict.status);
        let to = dir.join(format!("{profile}.coverage"));
        if verdict_at(&to).is_none_or(|there| status <= there.verdict.status) {
            copy_data(&path, &to)?;
        }
        Ok(Some((run, status)))
    }
}

/// What can't be read vouches for nothing.
fn verdict_at(data: &Path) -> Option<VerdictFile> {
    data.is_file().then(|| VerdictFile::read_beside(data).ok().flatten()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_keeps_to_its_schema_and_later_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let slug = |text: &str| Slug::parse(text).unwrap();
        let started = "2026-11-29T11:00:00Z".parse().unwrap();
        let mut record = JobRecord::begin(slug("run-a"), slug("a"), PlaybackType::Run, started);
        record.attempts.push(Attempt { exit_code: None, seconds: 3, run: None, status: None });
        let run = Some(RunToken::parse("r1").unwrap());
        record.attempts.push(Attempt { exit_code: Some(0), seconds: 9, run, status: Some(Status::Complete) });
        record.write(dir.path()).unwrap();
        let path = dir.path().join(JOB_FILE);
        assert_eq!(JobRecord::read(&path).unwrap(), record);
        let text = fs_err::read_to_string(&path).unwrap();
        playtrace_testkit::schema::check(&serde_json::from_str(&text).unwrap(), "job");
        insta::assert_snapshot!(record.summary(), @r"
        ### run-a (run of `a`)

        Begun, and not ended.
        | try | exit code | verdict | seconds |
        |---:|---:|---|---:|
        | 1 | killed | not traced | 3 |
        | 2 | 0 | complete | 9 |
        ");
        fs_err::write(&path, text.replace("\"version\": 1", "\"version\": 2, \"new\": true")).unwrap();
        assert_eq!(JobRecord::read(&path).unwrap_err().code, "PT-NIGHTLY-005");
    }
}

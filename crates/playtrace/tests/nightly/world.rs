//! Nights without an app: jobs that leave what agents, players and merges would have left.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::civil::Date;
use playtrace::finish::{MergeRun, merge_run};
use playtrace::nightly::job::{Attempt, DataWatch, JobRecord, JobState};
use playtrace::nightly::list::PlaybackType;
use playtrace_covdata::data::ContextPolicy;
use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_ledger::{
    Engine, Granularity, Journal, Layout, NewLines, Outcome, ProcessId, Record, Role, UnitKind,
};
use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken, Slug, SourceHash};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// How a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Passes,
    /// At the second try.
    Flaky,
    /// A request's end never arrives.
    Partial,
    /// The replay goes wrong.
    Fails,
    /// In its middle.
    Killed,
    /// Before it could leave anything.
    Missing,
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// A repository with a list and a source tree, the app's coverage directory, and a place for bundles.
pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { dir: TempDir::new().unwrap() };
        for name in ["app", "coverage", "nights"] {
            fs_err::create_dir(world.path(name)).unwrap();
        }
        world.write_source(0);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of two functions for everybody, and one more for each change.
    pub(crate) fn write_source(&self, changes: usize) {
        let mut text = "def first():\n    return 1\n\n\ndef second():\n    return 2\n".to_owned();
        for number in 0..changes {
            let _ = write!(text, "\n\ndef new_{number}():\n    return {number}\n");
        }
        fs_err::write(self.path("app/shared.py"), text).unwrap();
    }

    /// The list: nightly profiles, and those whose name begins with `w` on Sundays.
    pub(crate) fn write_list(&self, profiles: &[&str]) {
        let entry = |name: &&str| {
            let cadence = if name.starts_with('w') { "weekly" } else { "nightly" };
            format!(
                "- workflow_slug: run-{name}\n  title: {name}\n  playback_type: run\n  profile_slug: {name}\n  \
                 schedule_pt: 03:10\n  artifact_name: {name}-log\n  artifact_path: telemetry/{name}.log\n  \
                 description: {name}\n  cadence: {cadence}\n"
            )
        };
        fs_err::write(self.path("list.yml"), profiles.iter().map(entry).collect::<String>()).unwrap();
    }

    /// Replays `profile`; what its job leaves goes into the night's artifacts.
    pub(crate) fn job(&self, night: Date, profile: &str, fate: Fate) {
        let artifacts = self.artifacts(night);
        fs_err::create_dir_all(&artifacts).unwrap();
        if fate == Fate::Missing {
            return;
        }
        let out = artifacts.join(format!("run-{profile}"));
        fs_err::create_dir_all(&out).unwrap();
        let started = noon(night);
        let mut record =
            JobRecord::begin(slug(&format!("run-{profile}")), slug(profile), PlaybackType::Run, started);
        record.write(&out).unwrap();
        let mut watch = DataWatch::new(&self.path("coverage"), &slug(profile));
        let tries: &[(i32, bool, Outcome)] = match fate {
            Fate::Passes => &[(0, true, Outcome::Passed)],
            Fate::Flaky => &[(3, false, Outcome::Passed), (0, true, Outcome::Passed)],
            Fate::Partial => &[(3, false, Outcome::Passed), (3, false, Outcome::Passed)],
            Fate::Fails => &[(1, true, Outcome::Failed), (1, true, Outcome::Failed)],
            Fate::Killed | Fate::Missing => &[],
        };
        for (number, (code, ended, outcome)) in tries.iter().enumerate() {
            let run = format!("{profile}-{}-{number}", night.strftime("%Y%m%d"));
            self.traced(profile, &run, started, *ended, *outcome);
            let found = watch.collect(&out, &slug(profile)).unwrap();
            let (run, status) = found.unzip();
            record.attempts.push(Attempt { exit_code: Some(*code), seconds: 1, run, status });
        }
        if fate != Fate::Killed {
            record.state = JobState::Ended;
            record.ended = Some(started);
        }
        record.write(&out).unwrap();
        self.boot(ProcessId { pid: 9, start: at_of(night), ..ProcessId::current() }, Role::Child);
        self.age(night);
    }

    /// What a process leaves that has the agent on: a job's own Python, say.
    pub(crate) fn boot(&self, process: ProcessId, role: Role) {
        let path = Layout::new(&self.path("coverage")).boot_dir().join(Layout::file_name(&process));
        let record = Record::Boot {
            version: 1,
            process,
            ppid: 1,
            role,
            program: "test".to_owned(),
            granularity: Granularity::Profile,
            engine: Engine::Native,
        };
        Journal::append_to(path).unwrap().append(1, record).unwrap();
    }

    /// One merged run whose process executed the first function, and its profile's own line of it.
    fn traced(&self, profile: &str, run: &str, at: jiff::Timestamp, ended: bool, outcome: Outcome) {
        let dir = self.path("coverage");
        let at = u64::try_from(at.as_millisecond()).unwrap();
        let (slug, token) = (slug(profile), RunToken::parse(run).unwrap());
        let mut lines = LineData::new();
        let source = MeasuredPath::new("shared.py");
        lines.add(&ContextLabel::new(format!("profile:{profile}")), &source, &[2_u32].into_iter().collect());
        let mut player = Journal::open(&Layout::new(&dir), &slug, &token, Role::Player, "test", at).unwrap();
        let (base_url, command) = ("http://app".to_owned(), "test".to_owned());
        let failures = if outcome == Outcome::Passed { vec![] } else { vec!["step 1: 500".to_owned()] };
        for record in [
            Record::Manifest {
                version: 1,
                profile: slug.clone(),
                run: token.clone(),
                steps: 1,
                base_url,
                command,
            },
            Record::Sent { step: 1, method: "GET".to_owned(), target: "/".to_owned() },
            Record::Answered { step: 1, status: Some(200), trace: Some("on".to_owned()) },
            Record::End { outcome, failures },
        ] {
            player.append(at, record).unwrap();
        }
        let mut shard = ShardWriter::create(
            &mut ShardDraft::new().unwrap(),
            &dir,
            (&slug, &token),
            ("h", 9),
            &LineData::new(),
        )
        .unwrap();
        shard.add(&lines).unwrap();
        let path = Layout::new(&dir).run_dir(&slug, &token).join("h.9.1.ledger");
        let mut web = Journal::append_to(path).unwrap();
        let process = ProcessId { pid: 9, start: 1, ..ProcessId::current() };
        let text = fs_err::read(self.path("app/shared.py")).unwrap();
        let hash = SourceHash::from_digest(&Sha256::digest(text));
        let mut records = vec![
            Record::Boot {
                version: 1,
                process,
                ppid: 1,
                role: Role::Web,
                program: "test".to_owned(),
                granularity: Granularity::Profile,
                engine: Engine::Native,
            },
            Record::Source { path: source, hash },
            Record::Open {
                unit: "1".to_owned(),
                kind: UnitKind::Request,
                step: Some(1),
                job: None,
                child: None,
                what: String::new(),
                scope: None,
            },
        ];
        if ended {
            let name = Some(shard.file_name().to_owned());
            let (new, entered) = (NewLines(lines), NewLines::default());
            records.push(Record::Closed { unit: "1".to_owned(), shard: name, new, entered });
        }
        for record in records {
            web.append(at, record).unwrap();
        }
        merge_run(&MergeRun {
            coverage_dir: dir,
            slug,
            run: Some(token),
            manifest: None,
            output: None,
            keep_shards: true,
            contexts: ContextPolicy::Keep,
        })
        .unwrap();
    }

    /// Gives the night's files their night's time.
    pub(crate) fn age(&self, night: Date) {
        let (then, now) = (noon(night), jiff::Timestamp::now());
        for entry in walkdir::WalkDir::new(self.path("coverage")) {
            let entry = entry.unwrap();
            let is_new =
                |at: std::time::SystemTime| now.duration_since(at.try_into().unwrap()).as_secs() < 600;
            if entry.file_type().is_file() && is_new(entry.metadata().unwrap().modified().unwrap()) {
                let file = fs_err::OpenOptions::new().append(true).open(entry.path()).unwrap().into_file();
                file.set_modified(then.into()).unwrap();
            }
        }
    }

    pub(crate) fn artifacts(&self, night: Date) -> PathBuf {
        self.path("artifacts").join(night.to_string())
    }

    pub(crate) fn bundle(&self, night: Date) -> PathBuf {
        self.path("nights").join(format!("playtrace-night-{night}.tar.zst"))
    }

    /// `playtrace aggregate` of a night.
    pub(crate) fn aggregation(&self, night: Date, nights: &Path) -> Command {
        let mut command = playtrace();
        command.arg("aggregate").arg(self.artifacts(night)).arg("--list").arg(self.path("list.yml"));
        command.arg("--output-dir").arg(nights).arg("--source").arg(self.path("app"));
        command.args(["--python-version", "3.12", "--no-cache", "--json", "--night", &night.to_string()]);
        command
    }

    /// Aggregates a night: the manifest, and the exit code.
    pub(crate) fn aggregate(&self, night: Date) -> (Value, i32) {
        let done = output(&mut self.aggregation(night, &self.path("nights")));
        let code = done.status.code().unwrap();
        assert!(matches!(code, 0 | 1 | 3), "{code}: {}", String::from_utf8_lossy(&done.stderr));
        (serde_json::from_slice(&done.stdout).unwrap(), code)
    }

    /// `playtrace prune` as if it were the night's noon; what went.
    pub(crate) fn prune(&self, dir: &str, night: Date, limits: &[&str]) -> Value {
        let mut command = playtrace();
        command
            .arg("prune")
            .arg(self.path(dir))
            .args(["--json", "--now", &noon(night).to_string()])
            .args(limits);
        let done = output(&mut command);
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

pub(crate) fn playtrace() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playtrace"));
    for name in [
        "UPLOAD_FULL_REPORTS",
        "PROFILE_COVERAGE_DIR",
        "PROFILE_COVERAGE_CONFIG",
        "PROFILE_COVERAGE_ROOT",
        "PROFILE_PLAYBACK_RUN_ROOT",
    ] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// The morning of a night, in UTC: every job of it has ended.
pub(crate) fn noon(night: Date) -> jiff::Timestamp {
    night.at(16, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

fn at_of(night: Date) -> u64 {
    u64::try_from(noon(night).as_second()).unwrap()
}

/// Bytes of all files below a directory.
pub(crate) fn size(dir: &Path) -> u64 {
    let files = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.unwrap().metadata().unwrap());
    files.filter(std::fs::Metadata::is_file).map(|meta| meta.len()).sum()
}

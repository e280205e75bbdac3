//! Runs, as agents and players leave them.

use std::path::{Path, PathBuf};

use playtrace::finish::{MergeRun, Merged, merge_run};
use playtrace_covdata::CoverageData;
use playtrace_covdata::data::ContextPolicy;
use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_ledger::{
    Engine, Granularity, Journal, Layout, NewLines, Outcome, ProcessId, Record, Role, UnitKind,
};
use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken, Slug};

pub(crate) fn slug() -> Slug {
    Slug::parse("p").unwrap()
}

pub(crate) fn token(run: &str) -> RunToken {
    RunToken::try_from(run.to_owned()).unwrap()
}

pub(crate) fn lines(numbers: &[u32]) -> LineData {
    let mut data = LineData::new();
    data.add(&ContextLabel::new("profile:p"), &MeasuredPath::new("a.py"), &numbers.iter().copied().collect());
    data
}

/// A run of one step whose process wrote `numbers`; `ended` is false for one that died at its work.
pub(crate) fn traced(dir: &Path, run: &str, at: u64, numbers: &[u32], ended: bool) -> ShardWriter {
    player(dir, run, at);
    let mut shard = ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        dir,
        (&slug(), &token(run)),
        ("h", 9),
        &LineData::new(),
    )
    .unwrap();
    shard.add(&lines(numbers)).unwrap();
    // The web process is another one than the player: a file of its own, whose process is over.
    let path = Layout::new(dir).run_dir(&slug(), &token(run)).join("h.9.1.ledger");
    let mut journal = Journal::append_to(path).unwrap();
    let process = ProcessId { pid: 9, start: 1, ..ProcessId::current() };
    let boot = Record::Boot {
        version: 1,
        process,
        ppid: 1,
        role: Role::Web,
        program: "test".to_owned(),
        granularity: Granularity::Profile,
        engine: Engine::Native,
    };
    let open = Record::Open {
        unit: "1".to_owned(),
        kind: UnitKind::Request,
        step: Some(1),
        job: None,
        child: None,
        what: String::new(),
        scope: None,
    };
    journal.append(at, boot).unwrap();
    journal.append(at, open).unwrap();
    if ended {
        let shard = Some(shard.file_name().to_owned());
        journal
            .append(
                at,
                Record::Closed {
                    unit: "1".to_owned(),
                    shard,
                    new: NewLines(lines(numbers)),
                    entered: NewLines::default(),
                },
            )
            .unwrap();
    }
    shard
}

pub(crate) fn player(dir: &Path, run: &str, at: u64) {
    let mut journal =
        Journal::open(&Layout::new(dir), &slug(), &token(run), Role::Player, "test", at).unwrap();
    let (base_url, command) = ("http://app".to_owned(), "test".to_owned());
    let manifest =
        Record::Manifest { version: 1, profile: slug(), run: token(run), steps: 1, base_url, command };
    journal.append(at, manifest).unwrap();
    let (method, target) = ("GET".to_owned(), "/".to_owned());
    journal.append(at, Record::Sent { step: 1, method, target }).unwrap();
    let trace = Some("on".to_owned());
    journal.append(at, Record::Answered { step: 1, status: Some(200), trace }).unwrap();
    journal.append(at, Record::End { outcome: Outcome::Passed, failures: vec![] }).unwrap();
}

pub(crate) fn wanted(dir: &Path, run: Option<&str>) -> MergeRun {
    MergeRun {
        coverage_dir: dir.to_owned(),
        slug: slug(),
        run: run.map(token),
        manifest: None,
        output: None,
        keep_shards: true,
        contexts: ContextPolicy::Keep,
    }
}

pub(crate) fn merged(dir: &Path, run: &str) -> Merged {
    merge_run(&wanted(dir, Some(run))).unwrap()
}

pub(crate) fn content(merged: &Merged) -> LineData {
    CoverageData::read(&merged.data_file).unwrap().lines().into_owned()
}

/// Merges a run and removes its shards, as the batch does.
pub(crate) fn merged_for_good(dir: &Path, run: &str) -> Merged {
    merge_run(&MergeRun { keep_shards: false, ..wanted(dir, Some(run)) }).unwrap()
}

/// The ledger of the run's web process.
pub(crate) fn web_ledger(dir: &Path, run: &str) -> PathBuf {
    Layout::new(dir).run_dir(&slug(), &token(run)).join("h.9.1.ledger")
}

/// Another request of the web process of [`traced`], which executes `numbers` and ends; nothing of it is in a shard.
pub(crate) fn another_request(
    dir: &Path,
    run: &str,
    at: u64,
    unit: &str,
    step: Option<u32>,
    numbers: &[u32],
) {
    let mut journal = Journal::append_to(web_ledger(dir, run)).unwrap();
    let open = Record::Open {
        unit: unit.to_owned(),
        kind: UnitKind::Request,
        step,
        job: None,
        child: None,
        what: String::new(),
        scope: None,
    };
    journal.append(at, open).unwrap();
    let closed = Record::Closed {
        unit: unit.to_owned(),
        shard: None,
        new: NewLines(lines(numbers)),
        entered: NewLines::default(),
    };
    journal.append(at, closed).unwrap();
}

/// Every file below `dir` with its bytes, but for what a merge says about itself.
pub(crate) fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(next) = rest.pop() {
        for entry in fs_err::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else if path.file_name().is_some_and(|name| name != "merge.lock") {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.push((name, fs_err::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

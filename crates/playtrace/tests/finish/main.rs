//! The end of a run: what is merged, what is restored, what is kept.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod large;
mod made;
mod places;
mod twice;
mod unfinished;

use std::path::Path;

use playtrace::finish::{Finished, MergeRun, Patience, VerdictFile, finish_run, merge_run, steps_path_of};
use playtrace_ledger::{Engine, Granularity, Journal, Layout, NewLines, Record, Role, UnitKind};
use playtrace_model::{ContextLabel, MeasuredPath, Status};
use tempfile::TempDir;

use made::{content, lines, merged, player, slug, token, traced, wanted};

#[test]
fn a_complete_run_is_merged_and_its_verdict_keeps_to_the_schema() {
    let dir = TempDir::new().unwrap();
    let shard = traced(dir.path(), "r1", 10, &[1, 5], true);
    let done = merged(dir.path(), "r1");
    assert_eq!(done.verdict.verdict.status, Status::Complete, "{:?}", done.verdict);
    assert_eq!((done.shards, done.verdict.requests, &*done.problems), (1, 1, &[][..]));
    assert_eq!(content(&done), lines(&[1, 5]));
    assert!(shard.path().is_file(), "shards stay when they are to be kept");
    let text = fs_err::read_to_string(VerdictFile::path_of(&done.data_file)).unwrap();
    playtrace_testkit::schema::check(&serde_json::from_str(&text).unwrap(), "verdict");
}

#[test]
fn a_shard_combined_by_hand_is_restored() {
    let dir = TempDir::new().unwrap();
    let shard = traced(dir.path(), "r1", 10, &[1, 5], true);
    fs_err::remove_file(shard.path()).unwrap();
    let done = merged(dir.path(), "r1");
    assert_eq!(content(&done), lines(&[1, 5]));
    assert_eq!(done.verdict.verdict.status, Status::Complete);
    assert!(done.verdict.verdict.notes[0].contains("restored from the ledger"), "{:?}", done.verdict);
}

#[test]
fn a_truncated_shard_is_named_kept_and_restored() {
    let dir = TempDir::new().unwrap();
    let shard = traced(dir.path(), "r1", 10, &[1, 5], true);
    let path = shard.path().to_owned();
    drop(shard);
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let done = merge_run(&MergeRun { keep_shards: false, ..wanted(dir.path(), Some("r1")) }).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(done.problems.iter().any(|problem| problem.contains(name)), "{:?}", done.problems);
    assert!(path.is_file(), "what could not be read is not removed");
    assert_eq!(content(&done), lines(&[1, 5]));
    assert_eq!(done.exit(), playtrace::Exit::Partial);
}

#[test]
fn a_shard_that_no_record_vouches_for_and_that_cannot_be_read_is_lost_data() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    let broken = dir.path().join("p.coverage.host.2.Xabcdefx");
    playtrace_testkit::damage::Damage::Truncated.make(&broken);
    let done = merge_run(&MergeRun { keep_shards: false, ..wanted(dir.path(), Some("r1")) }).unwrap();
    assert_eq!(done.verdict.verdict.status, Status::Partial);
    let reason = &done.verdict.verdict.reasons[0];
    assert!(reason.starts_with("data lost: ") && reason.contains("Xabcdefx is truncated"), "{reason}");
    assert!(broken.is_file());
}

#[test]
fn a_worse_run_does_not_replace_a_better_one() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    let good = merged(dir.path(), "r1");
    traced(dir.path(), "r2", 20, &[1], false);
    let bad = merged(dir.path(), "r2");
    assert_eq!(bad.verdict.verdict.status, Status::Partial);
    assert_ne!(bad.data_file, good.data_file);
    assert!(bad.elsewhere[0].contains("stays as it is (complete data of run r1)"), "{:?}", bad.elsewhere);
    assert_eq!(content(&good), lines(&[1, 5]));
}

#[test]
fn a_later_run_retires_an_older_one() {
    let dir = TempDir::new().unwrap();
    let old = traced(dir.path(), "r1", 10, &[1, 5], true);
    merged(dir.path(), "r1");
    let new = traced(dir.path(), "r2", 20, &[7], true);
    let done = merge_run(&wanted(dir.path(), None)).unwrap();
    assert_eq!(done.verdict.run, token("r2"), "the latest run is the one merged");
    assert_eq!(content(&done), lines(&[7]), "two runs never mix");
    assert!(!old.path().exists() && new.path().is_file());
    assert_eq!(Layout::new(dir.path()).runs(&slug()).unwrap(), [token("r2")]);
}

#[test]
fn an_app_that_writes_elsewhere_is_not_taken_for_one_that_ran_nothing() {
    let dir = TempDir::new().unwrap();
    player(dir.path(), "r1", 10);
    let patience = Patience { running: std::time::Duration::ZERO, quiet: std::time::Duration::ZERO };
    let finished = finish_run(&wanted(dir.path(), None), &token("r1"), patience, |_| {}).unwrap();
    assert!(matches!(finished, Finished::OutOfSight(why) if why.contains("writes to another directory")));
    assert!(!dir.path().join("p.coverage").exists());
}

#[test]
fn nothing_to_merge_is_an_error_that_names_the_directory() {
    let dir = TempDir::new().unwrap();
    let failure = merge_run(&wanted(dir.path(), None)).unwrap_err();
    assert_eq!(failure.code, "PT-MERGE-001");
    assert!(failure.message.contains(dir.path().to_str().unwrap()));
    assert!(fs_err::read_dir(dir.path()).unwrap().next().is_none(), "nothing was written");
}

/// Adds a process with step granularity that entered a function in step 1 and in a job.
pub(crate) fn entering(dir: &Path, run: &str, granularity: Granularity) {
    let path = Layout::new(dir).run_dir(&slug(), &token(run)).join("h.10.1.ledger");
    let mut journal = Journal::append_to(path).unwrap();
    let process = playtrace_ledger::ProcessId { pid: 10, start: 1, ..playtrace_ledger::ProcessId::current() };
    let boot = Record::Boot {
        version: 1,
        process,
        ppid: 1,
        role: Role::Job,
        program: "test".to_owned(),
        granularity,
        engine: Engine::Native,
    };
    journal.append(10, boot).unwrap();
    for (unit, kind, step, job, scope) in
        [("1", UnitKind::Request, Some(1), None, "1"), ("2", UnitKind::Job, None, Some("j1"), "job:a.f:j1")]
    {
        let (unit, job) = (unit.to_owned(), job.map(str::to_owned));
        let (child, what, scope) = (None, "a.f".to_owned(), Some(scope.to_owned()));
        let open = Record::Open { unit: unit.clone(), kind, step, job, child, what, scope: scope.clone() };
        journal.append(10, open).unwrap();
        let mut entered = NewLines::default();
        let lines = [3, 20].into_iter().collect();
        entered.0.add(&ContextLabel::new(scope.unwrap()), &MeasuredPath::new("a.py"), &lines);
        journal.append(10, Record::Closed { unit, shard: None, new: NewLines::default(), entered }).unwrap();
    }
    let (state, function, worker) = ("failed".to_owned(), String::new(), String::new());
    journal.append(10, Record::Job { job: "j1".to_owned(), state, function, worker }).unwrap();
}

fn document(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn what_each_step_entered_lies_beside_the_data_and_keeps_to_the_schema() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    entering(dir.path(), "r1", Granularity::Steps);
    let done = merged(dir.path(), "r1");
    let steps = document(&steps_path_of(&done.data_file));
    playtrace_testkit::schema::check(&steps, "steps");
    assert_eq!((&steps["profile"], &steps["run"]), (&"p".into(), &"r1".into()));
    let [request, job] = steps["steps"].as_array().unwrap().as_slice() else { panic!("{steps}") };
    assert_eq!(request["what"], "GET /");
    assert_eq!((&request["outcome"], &request["failed"]), (&"200".into(), &false.into()));
    assert_eq!((&job["outcome"], &job["failed"]), (&"failed".into(), &true.into()));
    assert_eq!(job["functions"], serde_json::json!({"a.py": [3, 20]}));

    // The one web process of `traced` recorded by profile.
    let verdict = document(&VerdictFile::path_of(&done.data_file));
    playtrace_testkit::schema::check(&verdict, "verdict");
    assert_eq!(verdict["granularity"], "profile");
    let notes = &done.verdict.verdict.notes;
    assert!(notes.iter().any(|note| note.contains("(profile, steps)")), "{notes:?}");
    assert_eq!(done.verdict.verdict.status, Status::Complete, "a note takes nothing away");
}

#[test]
fn steps_of_an_earlier_run_do_not_stay_beside_later_data() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    entering(dir.path(), "r1", Granularity::Symbol);
    let first = merged(dir.path(), "r1");
    assert_eq!(first.verdict.granularity, Some(Granularity::Symbol), "the coarsest one");
    assert!(steps_path_of(&first.data_file).is_file());
    let copy = dir.path().join("copy/p.coverage");
    playtrace::service::artifact::copy_data(&first.data_file, &copy).unwrap();
    assert!(steps_path_of(&copy).is_file());

    traced(dir.path(), "r2", 20, &[7], true);
    let second = merged(dir.path(), "r2");
    assert_eq!(second.data_file, first.data_file);
    assert!(!steps_path_of(&second.data_file).exists());
    assert_eq!(second.verdict.granularity, Some(Granularity::Profile));
    assert!(second.verdict.verdict.notes.is_empty(), "{:?}", second.verdict);
    playtrace::service::artifact::copy_data(&second.data_file, &copy).unwrap();
    assert!(!steps_path_of(&copy).exists() && VerdictFile::path_of(&copy).is_file());
}

mod harmed;
mod promised;
mod queues;
mod scan;

use std::collections::BTreeSet;

use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken, Slug, SourceHash, Status};

use super::{Judgement, behind, judge};
use crate::{
    Engine, Entry, Granularity, NewLines, Outcome, ProcessId, Record, Role, RunLedger, Unflushed, UnitKind,
    Writer, encode,
};

/// A ledger file of a process that ended long ago (its host is this one, its start time no one's).
fn writer(pid: u32, role: Role, records: Vec<Record>) -> Writer {
    let process = ProcessId { pid, start: 1, ..ProcessId::current() };
    let boot = Record::Boot {
        version: 1,
        process,
        ppid: 1,
        role,
        program: "test".to_owned(),
        granularity: Granularity::Profile,
        engine: Engine::Native,
    };
    let entries = std::iter::once(boot).chain(records).map(|record| Entry { at: 5, record });
    let bytes: Vec<u8> = entries.flat_map(|entry| encode(&entry).unwrap()).collect();
    Writer::from_bytes(format!("h.{pid}.1.ledger"), &bytes)
}

/// The same file with other records.
fn changed(writer: &Writer, change: impl FnOnce(&mut Vec<Entry>)) -> Writer {
    let mut entries = writer.entries().to_vec();
    change(&mut entries);
    let bytes: Vec<u8> = entries.iter().flat_map(|entry| encode(entry).unwrap()).collect();
    Writer::from_bytes(writer.file.clone(), &bytes)
}

fn player(steps: u32, more: Vec<Record>, end: impl Into<Option<Record>>) -> Writer {
    let mut records = vec![Record::Manifest {
        version: 1,
        profile: Slug::parse("p").unwrap(),
        run: RunToken::parse("r").unwrap(),
        steps,
        base_url: "http://app".to_owned(),
        command: "playtrace play p".to_owned(),
    }];
    for step in 1..=steps {
        records.push(Record::Sent { step, method: "GET".to_owned(), target: format!("/{step}") });
        records.push(Record::Answered { step, status: Some(200), trace: Some("on".to_owned()) });
    }
    records.extend(more);
    records.extend(end.into());
    writer(1, Role::Player, records)
}

fn passed() -> Record {
    Record::End { outcome: Outcome::Passed, failures: vec![] }
}

fn open(unit: &str, step: u32) -> Record {
    Record::Open {
        unit: unit.to_owned(),
        kind: UnitKind::Request,
        step: Some(step),
        job: None,
        child: None,
        what: String::new(),
        scope: None,
    }
}

fn open_job(unit: &str, job: &str) -> Record {
    Record::Open {
        unit: unit.to_owned(),
        kind: UnitKind::Job,
        step: None,
        job: Some(job.to_owned()),
        child: None,
        what: String::new(),
        scope: None,
    }
}

fn lines(numbers: &[u32]) -> LineData {
    let mut data = LineData::new();
    data.add(&ContextLabel::new("profile:p"), &MeasuredPath::new("a.py"), &numbers.iter().copied().collect());
    data
}

fn closed(unit: &str, numbers: &[u32]) -> Record {
    Record::Closed {
        unit: unit.to_owned(),
        shard: Some("p.coverage.h.9.Xaaaaaax".to_owned()),
        new: NewLines(lines(numbers)),
        entered: NewLines::default(),
    }
}

fn enqueue(job: &str) -> Record {
    Record::Enqueue {
        job: job.to_owned(),
        function: "app.build".to_owned(),
        queue: "q".to_owned(),
        again: false,
    }
}

fn judged(writers: Vec<Writer>) -> Judgement {
    let present = BTreeSet::from(["p.coverage.h.9.Xaaaaaax".to_owned()]);
    judge(&RunLedger { writers, ..RunLedger::default() }, &present)
}

fn assert_reason(judgement: &Judgement, status: Status, part: &str) {
    assert_eq!(judgement.verdict.status, status, "{:?}", judgement.verdict);
    assert!(judgement.verdict.reasons.iter().any(|reason| reason.contains(part)), "{:?}", judgement.verdict);
}

#[test]
fn complete_needs_every_step_and_job() {
    let web = writer(
        9,
        Role::Web,
        vec![open("1", 1), closed("1", &[1, 2]), open("2", 2), enqueue("j"), closed("2", &[9])],
    );
    let job = writer(10, Role::Job, vec![open_job("1", "j"), closed("1", &[30])]);
    let worker =
        writer(11, Role::Worker, vec![Record::JobStart { job: "j".to_owned(), worker: "w".to_owned() }]);
    let judgement = judged(vec![player(2, vec![], passed()), web.clone(), job, worker.clone()]);
    assert_eq!(judgement.verdict.status, Status::Complete, "{:?}", judgement.verdict);
    assert_eq!((judgement.requests, judgement.jobs), (2, 1));
    assert_eq!(judgement.lines, lines(&[1, 2, 9, 30]));
    assert_eq!(judgement.pending, []);

    let judgement = judged(vec![player(2, vec![], passed()), web, worker]);
    assert_reason(
        &judgement,
        Status::Partial,
        "job j (app.build) was started by worker w, but its work horse left no record",
    );
}

#[test]
fn without_a_manifest_the_best_is_consistent() {
    let judgement = judged(vec![writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])])]);
    assert_eq!(judgement.verdict.status, Status::Consistent);
    assert_eq!(judgement.requests, 1);
}

#[test]
fn a_process_that_coverage_py_traced_is_named_and_lowers_nothing() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let native = judged(vec![player(1, vec![], passed()), web.clone()]);
    assert_eq!(native.verdict.notes, Vec::<String>::new());
    let web = changed(&web, |entries| {
        let Some(Entry { record: Record::Boot { engine, .. }, .. }) = entries.first_mut() else {
            panic!("a ledger begins with its boot record");
        };
        *engine = Engine::Coverage;
    });
    let line = String::from_utf8(encode(&web.entries()[0]).unwrap()).unwrap();
    assert!(line.contains(r#""engine":"coverage""#), "{line}");
    let judgement = judged(vec![player(1, vec![], passed()), web]);
    assert_eq!(judgement.verdict.status, Status::Complete);
    assert!(
        judgement.verdict.notes[0].contains("was traced by coverage.py: what a C extension"),
        "{:?}",
        judgement.verdict
    );
}

#[test]
fn a_process_that_dies_at_work_loses_data() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1]), open("2", 2)]);
    let judgement = judged(vec![player(2, vec![], passed()), web]);
    assert_reason(&judgement, Status::Partial, "data lost: web process 9 on");
    assert_reason(&judgement, Status::Partial, "in the middle of step 2 (GET /2)");
    assert_eq!(judgement.pending, [], "a dead process has nothing more to say");
}

#[test]
fn a_living_process_is_waited_for() {
    let mut web = writer(9, Role::Web, vec![open("1", 1)]);
    web.process = Some((ProcessId::current(), Role::Web));
    let judgement = judged(vec![player(1, vec![], passed()), web]);
    assert!(judgement.pending.iter().any(|pending| pending.running), "{judgement:?}");
    assert_eq!(judgement.verdict.status, Status::Partial);
}

#[test]
fn a_step_whose_process_left_nothing_is_missed() {
    let judgement = judged(vec![player(1, vec![], passed())]);
    assert_reason(
        &judgement,
        Status::Partial,
        "step 1 (GET /1) was traced, but its process's ledger is not in this directory",
    );
}

#[test]
fn a_web_process_without_an_agent_is_named() {
    let answered = Record::Answered { step: 1, status: Some(200), trace: None };
    let judgement = judged(vec![player(1, vec![answered], passed())]);
    assert_reason(&judgement, Status::Failed, "step 1 (GET /1) was answered without an agent");
    let answered = Record::Answered { step: 1, status: Some(200), trace: Some("off; disk full".to_owned()) };
    let judgement = judged(vec![player(1, vec![answered], passed())]);
    assert_reason(&judgement, Status::Partial, "not traced: step 1 (GET /1): off; disk full");
}

#[test]
fn a_worker_without_an_agent_is_named() {
    let web = writer(9, Role::Web, vec![open("1", 1), enqueue("j"), closed("1", &[1])]);
    let state = Record::Job {
        job: "j".to_owned(),
        state: "finished".to_owned(),
        function: String::new(),
        worker: "worker-7".to_owned(),
    };
    let judgement = judged(vec![player(1, vec![state], passed()), web.clone()]);
    assert_reason(
        &judgement,
        Status::Failed,
        "job j (app.build) is finished, but worker worker-7 has no agent",
    );
    let judgement = judged(vec![player(1, vec![], passed()), web.clone()]);
    assert_reason(&judgement, Status::Partial, "job j (app.build) was enqueued and has not been started");
    let withdrawn =
        writer(12, Role::Web, vec![Record::Withdrawn { job: "j".to_owned(), reason: "no Redis".to_owned() }]);
    let judgement = judged(vec![player(1, vec![], passed()), web, withdrawn]);
    assert_eq!(judgement.verdict.status, Status::Complete, "{:?}", judgement.verdict);
    assert_eq!(judgement.jobs, 0);
}

#[test]
fn an_owed_slug_fails_and_a_loss_is_partial() {
    let web = |more| writer(9, Role::Web, vec![open("1", 1), closed("1", &[1]), more]);
    let owed = Record::Owed { what: "job j has no profile_trace_slug in its meta".to_owned() };
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web(owed)]),
        Status::Failed,
        "not traced: job j has no",
    );
    let lost = Record::Lost { unit: None, reason: "No space left on device".to_owned() };
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web(lost)]),
        Status::Partial,
        "data lost: web process 9",
    );
}

#[test]
fn what_a_limit_kept_from_being_traced_is_not_traced() {
    let refused = Record::Refused { reason: "the shard is large".to_owned(), count: 1 };
    let web = writer(2, Role::Web, vec![open("1", 1), closed("1", &[1]), refused]);
    let judgement = judged(vec![player(1, vec![], passed()), web]);
    assert_reason(&judgement, Status::Partial, "not traced: the shard is large (said by web process 2");
    assert!(judgement.verdict.reasons.iter().all(|reason| !reason.contains("data lost")));
}

#[test]
fn a_python_child_owes_a_record_and_another_command_does_not() {
    let web = |python| {
        let spawn = Record::Spawn { child: "c1".to_owned(), command: "python -m x".to_owned(), python };
        writer(9, Role::Web, vec![open("1", 1), spawn, closed("1", &[1])])
    };
    let child = Record::Open {
        unit: "1".to_owned(),
        kind: UnitKind::Child,
        step: None,
        job: None,
        child: Some("c1".to_owned()),
        what: String::new(),
        scope: None,
    };
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web(true)]),
        Status::Partial,
        "the Python child `python -m x`",
    );
    let other = judged(vec![player(1, vec![], passed()), web(false)]).verdict;
    assert_eq!(other.status, Status::Complete);
    // What it may start, and how that may be lost, is said.
    assert!(
        other.notes[0].starts_with("a program that is not Python was started (`python -m x`)"),
        "{:?}",
        other.notes
    );
    assert!(judged(vec![player(1, vec![], passed()), web(true)]).verdict.notes.is_empty());
    let alive = writer(20, Role::Child, vec![child.clone(), closed("1", &[3])]);
    assert_eq!(judged(vec![player(1, vec![], passed()), web(true), alive]).verdict.status, Status::Complete);
    let killed = writer(20, Role::Child, vec![child]);
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web(true), killed]),
        Status::Partial,
        "child process 20",
    );
}

#[test]
fn the_replays_failures_are_the_verdicts() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let end =
        Record::End { outcome: Outcome::Failed, failures: vec!["job j failed: no such storm".to_owned()] };
    assert_reason(
        &judged(vec![player(1, vec![], end), web.clone()]),
        Status::Failed,
        "job j failed: no such storm",
    );
    assert_reason(
        &judged(vec![player(1, vec![], None::<Record>), web]),
        Status::Partial,
        "the player ended after 1 of 1 steps",
    );
}

#[test]
fn a_shard_that_is_gone_is_restored_from_the_ledger() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[4, 5])]);
    let judgement = judge(
        &RunLedger { writers: vec![player(1, vec![], passed()), web], ..RunLedger::default() },
        &BTreeSet::new(),
    );
    assert_eq!(judgement.verdict.status, Status::Complete);
    assert_eq!(judgement.lines, lines(&[4, 5]));
    assert!(
        judgement.verdict.notes[0].contains("p.coverage.h.9.Xaaaaaax is gone"),
        "{:?}",
        judgement.verdict.notes
    );
}

#[test]
fn one_file_with_two_contents_is_stale() {
    let source = |digit: &str| Record::Source {
        path: MeasuredPath::new("a.py"),
        hash: SourceHash::from_hex(digit.repeat(64)),
    };
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1]), source("a")]);
    let job = writer(10, Role::Job, vec![source("b")]);
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web, job]),
        Status::Stale,
        "a.py was loaded with 2 different contents",
    );
}

#[test]
fn a_torn_record_is_a_loss() {
    let mut web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let mut bytes: Vec<u8> = web.entries().iter().flat_map(|entry| encode(entry).unwrap()).collect();
    bytes.truncate(bytes.len() - 3);
    web = Writer::from_bytes(web.file, &bytes);
    let judgement = judged(vec![player(1, vec![], passed()), web]);
    assert_reason(&judgement, Status::Partial, "the ledger h.9.1.ledger ends in the middle of a record");
}

#[test]
fn the_golden_ledger_reads_as_it_was_written() {
    let bytes = include_bytes!("../../tests/golden/v1.ledger");
    let read = Writer::from_bytes("v1.ledger", bytes);
    assert_eq!(read.damages, []);
    let again: Vec<u8> = read.entries().iter().flat_map(|entry| encode(entry).unwrap()).collect();
    assert_eq!(
        again, bytes,
        "the format changed: raise VERSION, keep reading this file, and write a new golden one"
    );
    let judgement = judge(&RunLedger { writers: vec![read], ..RunLedger::default() }, &BTreeSet::new());
    insta::assert_debug_snapshot!(judgement);
}

#[test]
fn what_a_unit_left_behind_is_waited_for_and_named() {
    let web = |more: Vec<Record>| {
        let begun = vec![open("1", 1), closed("", &[1]), Record::Left { unit: "1".to_owned() }];
        writer(9, Role::Web, [begun, more].concat())
    };
    let left = judged(vec![player(1, vec![], passed()), web(vec![])]);
    assert_reason(&left, Status::Partial, "left behind");
    let ended = judged(vec![player(1, vec![], passed()), web(vec![closed("1", &[2])])]);
    assert_eq!(ended.verdict.status, Status::Complete, "{:?}", ended.verdict);
}

#[test]
fn lines_of_a_memory_map_count_and_are_named_where_their_process_is_gone() {
    let web = writer(9, Role::Web, vec![open("1", 1)]);
    let unflushed =
        vec![Unflushed { writer: web.file.clone(), lines: lines(&[4, 5]), entered: LineData::new() }];
    let ledger =
        RunLedger { writers: vec![player(1, vec![], passed()), web], unflushed, ..RunLedger::default() };
    let judgement = judge(&ledger, &BTreeSet::new());
    assert_eq!(judgement.lines, lines(&[4, 5]));
    assert_eq!(judgement.verdict.status, Status::Partial, "the unit never ended");
    let saved = judgement.verdict.notes.iter().find(|note| note.contains("memory map"));
    assert!(saved.is_some_and(|note| note.starts_with("2 lines")), "{:?}", judgement.verdict);
}

#[test]
fn lines_that_no_shard_has_yet_are_told_until_one_has_them_or_a_merge_came() {
    let waiting = |unit: &str, numbers: &[u32]| {
        let mut record = closed(unit, numbers);
        if let Record::Closed { shard, .. } = &mut record {
            *shard = None;
        }
        record
    };
    let mut records = vec![open("1", 1), closed("1", &[1]), open("2", 2), waiting("2", &[2, 3])];
    let missing =
        |writers: &[Writer]| behind(&RunLedger { writers: writers.to_vec(), ..RunLedger::default() });
    let writers = vec![writer(9, Role::Web, records.clone())];
    assert_eq!(missing(&writers), lines(&[2, 3]));
    let behind = judged(writers);
    assert_eq!(behind.lines, lines(&[1, 2, 3]));
    let note = behind.verdict.notes.iter().find(|note| note.contains("ledger")).unwrap();
    assert!(note.starts_with("2 lines that web process 9 on"), "{note}");
    assert_eq!(behind.verdict.status, Status::Consistent);

    let into = "p.coverage".to_owned();
    let combined = writer(12, Role::Merger, vec![Record::Merged { shards: vec![], into }]);
    let writers = vec![writer(9, Role::Web, records.clone()), combined];
    assert!(missing(&writers).is_empty());
    let merged = judged(writers);
    assert!(merged.verdict.notes.is_empty(), "{:?}", merged.verdict);

    records.extend([open("3", 3), closed("3", &[])]);
    let writers = vec![writer(9, Role::Web, records)];
    assert!(missing(&writers).is_empty());
    let caught_up = judged(writers);
    assert!(caught_up.verdict.notes.is_empty(), "{:?}", caught_up.verdict);
}

#[test]
fn entered_functions_are_told_by_step_and_job() {
    let mut opened = open("1", 3);
    if let Record::Open { scope, .. } = &mut opened {
        *scope = Some("3".to_owned());
    }
    let mut done = closed("1", &[1]);
    if let Record::Closed { entered, .. } = &mut done {
        entered.0.add(&ContextLabel::new("3"), &MeasuredPath::new("a.py"), &[10, 20].into_iter().collect());
    }
    let judgement = judged(vec![writer(9, Role::Web, vec![opened, done])]);
    let [step] = judgement.entered.as_slice() else { panic!("{:?}", judgement.entered) };
    assert_eq!((step.step, step.scope.as_str()), (Some(3), "3"));
    let functions = &step.functions[&MeasuredPath::new("a.py")];
    assert_eq!(functions.iter().collect::<Vec<_>>(), [10, 20]);
}

#[test]
fn what_a_step_entered_before_its_process_was_killed_is_told_and_no_line() {
    let mut opened = open("1", 3);
    if let Record::Open { scope, .. } = &mut opened {
        *scope = Some("3".to_owned());
    }
    let web = writer(9, Role::Web, vec![opened]);
    let mut entered = LineData::new();
    entered.add(&ContextLabel::new("3"), &MeasuredPath::new("a.py"), &[10].into_iter().collect());
    let unflushed = vec![Unflushed { writer: web.file.clone(), lines: LineData::new(), entered }];
    let judgement =
        judge(&RunLedger { writers: vec![web], unflushed, ..RunLedger::default() }, &BTreeSet::new());
    let [step] = judgement.entered.as_slice() else { panic!("{:?}", judgement.entered) };
    assert_eq!(step.functions[&MeasuredPath::new("a.py")].iter().collect::<Vec<_>>(), [10]);
    assert!(judgement.lines.is_empty());
    let notes = &judgement.verdict.notes;
    assert!(matches!(notes.as_slice(), [note] if note.starts_with("1 function that")), "{notes:?}");
}

#[test]
fn a_retry_whose_work_horse_left_nothing_is_missed() {
    let start = || Record::JobStart { job: "j1".to_owned(), worker: "w".to_owned() };
    let worker = |records| writer(8, Role::Worker, records);
    let horse = || writer(7, Role::Job, vec![open_job("1", "j1"), closed("1", &[1])]);
    let web = || writer(9, Role::Web, vec![open("1", 1), enqueue("j1"), closed("1", &[1])]);
    let once = judged(vec![player(1, vec![], passed()), web(), worker(vec![start()]), horse()]);
    assert_eq!(once.verdict.status, Status::Complete, "{:?}", once.verdict);
    let twice = judged(vec![player(1, vec![], passed()), web(), worker(vec![start(), start()]), horse()]);
    assert_reason(&twice, Status::Partial, "started 2 times");
}

#[test]
fn a_job_that_was_refused_and_enqueued_again_is_owed() {
    let withdrawn = Record::Withdrawn { job: "j1".to_owned(), reason: "refused".to_owned() };
    let web =
        writer(9, Role::Web, vec![open("1", 1), enqueue("j1"), withdrawn, enqueue("j1"), closed("1", &[1])]);
    assert_reason(&judged(vec![player(1, vec![], passed()), web]), Status::Partial, "has not been started");
}

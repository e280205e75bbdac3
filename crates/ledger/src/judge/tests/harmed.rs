//! Records that are missing, harmed, or say too little: each is named.

use std::collections::BTreeSet;

use playtrace_model::{LineData, MeasuredPath, SourceHash, Status};

use super::{assert_reason, changed, closed, judge, judged, lines, open, open_job, passed, player, writer};
use crate::{Entry, Outcome, ProcessId, Record, Role, RunLedger, Unflushed, UnitKind, Writer, encode};

#[test]
fn a_step_without_an_answer_is_missed_where_the_app_left_no_trace() {
    let sent = |answer: Option<Record>| {
        let mut records = vec![Record::Sent { step: 2, method: "GET".to_owned(), target: "/2".to_owned() }];
        records.extend(answer);
        player(1, records, passed())
    };
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    assert_reason(
        &judged(vec![sent(None), web.clone()]),
        Status::Partial,
        "data lost: step 2 (GET /2) was sent and never answered",
    );
    let none = Record::Answered { step: 2, status: None, trace: None };
    assert_reason(
        &judged(vec![sent(Some(none)), web]),
        Status::Partial,
        "data lost: step 2 (GET /2) got no answer and left no trace",
    );
}

#[test]
fn a_replay_that_is_not_over_or_was_broken_off_is_not_complete() {
    let web = || writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let mut at_work = player(1, vec![], None::<Record>);
    at_work.process = Some((ProcessId::current(), Role::Player));
    let judgement = judged(vec![at_work, web()]);
    assert_reason(&judgement, Status::Partial, "the player is still at work");
    assert!(judgement.pending[0].running);

    let aborted = Record::End { outcome: Outcome::Aborted, failures: vec![] };
    assert_reason(
        &judged(vec![player(1, vec![], aborted), web()]),
        Status::Failed,
        "the replay was broken off",
    );

    let short = changed(&player(1, vec![], passed()), |entries| {
        for entry in entries {
            if let Record::Manifest { steps, .. } = &mut entry.record {
                *steps = 3;
            }
        }
    });
    assert_reason(&judged(vec![short, web()]), Status::Partial, "1 of 3 steps were sent");
}

#[test]
fn a_damaged_record_and_one_of_a_later_version_are_named() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1]), open("2", 1), closed("2", &[2])]);
    let lines: Vec<Vec<u8>> = web.entries().iter().map(|entry| encode(entry).unwrap()).collect();
    let mut scribbled = lines.clone();
    scribbled[2][30] ^= 1;
    let harmed = Writer::from_bytes(web.file.clone(), &scribbled.concat());
    let judgement = judged(vec![player(1, vec![], passed()), harmed]);
    assert_reason(&judgement, Status::Partial, "data lost: the ledger h.9.1.ledger holds a damaged record");

    let later = changed(&web, |entries| entries.push(Entry { at: 9, record: Record::Unknown }));
    assert_reason(
        &judged(vec![player(1, vec![], passed()), later]),
        Status::Partial,
        "1 records were written by a later version",
    );
}

#[test]
fn a_ledger_without_a_beginning_is_named_also_where_no_player_says_what_there_should_be() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let emptied = Writer::from_bytes("h.10.1.ledger", b"");
    let judgement = judged(vec![web.clone(), emptied]);
    assert_reason(&judgement, Status::Partial, "data lost: the ledger h.10.1.ledger has no beginning");
    assert!(!judgement.pending[0].running, "its process may have made it this moment");

    let headless = changed(&web, |entries| _ = entries.remove(0));
    assert_reason(
        &judged(vec![headless]),
        Status::Partial,
        "data lost: the ledger h.9.1.ledger has no beginning",
    );
}

#[test]
fn a_job_that_nobody_enqueued_is_owed_by_whoever_says_that_there_is_one() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let start = Record::JobStart { job: "j".to_owned(), worker: "w".to_owned() };
    let worker = writer(11, Role::Worker, vec![start]);
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web.clone(), worker]),
        Status::Partial,
        "data lost: job j (its function is not known) was started by worker w, but its work horse left no record",
    );
    let (job, state) = ("j".to_owned(), "finished".to_owned());
    let seen = Record::Job { job, state, function: "app.build".to_owned(), worker: String::new() };
    let judgement = judged(vec![player(1, vec![seen.clone()], passed()), web.clone()]);
    assert_reason(
        &judgement,
        Status::Failed,
        "not traced: job j (app.build) is finished, but no process of the app",
    );
    let horse = writer(10, Role::Job, vec![open_job("1", "j"), closed("1", &[3])]);
    let judgement = judged(vec![player(1, vec![seen], passed()), web, horse]);
    assert_eq!(judgement.verdict.status, Status::Complete, "{:?}", judgement.verdict);
}

#[test]
fn a_unit_that_was_open_when_its_program_was_replaced_stays_open() {
    let begun = writer(9, Role::Web, vec![open("1", 1)]);
    let again = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let web = changed(&begun, |entries| entries.extend_from_slice(again.entries()));
    assert_reason(
        &judged(vec![player(1, vec![], passed()), web]),
        Status::Partial,
        "in the middle of step 1",
    );
    // A ledger that was cut off has a second beginning, too: its process's units end after it.
    let cut = changed(&begun, |entries| {
        entries.push(entries[0].clone());
        entries.push(Entry { at: 6, record: closed("1", &[1]) });
    });
    let judgement = judged(vec![player(1, vec![], passed()), cut]);
    assert_eq!(judgement.verdict.status, Status::Complete, "{:?}", judgement.verdict);
}

#[test]
fn work_on_another_host_that_has_not_ended_is_waited_for_and_named() {
    let mut web = writer(9, Role::Web, vec![open("1", 1)]);
    let process = ProcessId { host: "elsewhere".to_owned(), pid: 9, start: 1 };
    web.process = Some((process, Role::Web));
    let judgement = judged(vec![player(1, vec![], passed()), web]);
    assert_reason(
        &judgement,
        Status::Partial,
        "step 1 (GET /1) has not ended in web process 9 on elsewhere (which can't be looked at from here)",
    );
    assert!(!judgement.pending[0].running);
}

#[test]
fn every_kind_of_work_that_was_cut_off_is_named() {
    for (kind, name) in [
        (UnitKind::Thread, "a thread (app.poll)"),
        (UnitKind::Block, "a traced block (app.poll)"),
        (UnitKind::Child, "a child process (app.poll)"),
        (UnitKind::Job, "a job (app.poll)"),
        (UnitKind::Request, "a request (app.poll)"),
    ] {
        let (unit, what) = ("1".to_owned(), "app.poll".to_owned());
        let cut = Record::Open { unit, kind, step: None, job: None, child: None, what, scope: None };
        let judgement = judged(vec![writer(9, Role::Other, vec![cut])]);
        assert_reason(&judgement, Status::Partial, &format!("ended in the middle of {name}"));
    }
}

#[test]
fn a_memory_map_that_is_damaged_or_alone_is_named() {
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let whole = RunLedger { writers: vec![player(1, vec![], passed()), web], ..RunLedger::default() };
    let damaged = RunLedger { damaged_maps: BTreeSet::from(["h.9.1.ledger".to_owned()]), ..whole.clone() };
    assert_reason(
        &judge(&damaged, &BTreeSet::new()),
        Status::Partial,
        "data lost: the memory map of web process 9 on",
    );
    let alone =
        vec![Unflushed { writer: "h.10.1.ledger".to_owned(), lines: lines(&[4]), entered: LineData::new() }];
    let judgement = judge(&RunLedger { unflushed: alone, ..whole }, &BTreeSet::new());
    assert_reason(&judgement, Status::Partial, "data lost: the ledger h.10.1.ledger is gone: a memory map");
    assert_eq!(judgement.lines, lines(&[1, 4]), "its lines count all the same");
}

#[test]
fn a_file_with_two_contents_has_no_hash() {
    let source = |path: &str, digit: &str| Record::Source {
        path: MeasuredPath::new(path),
        hash: SourceHash::from_hex(digit.repeat(64)),
    };
    let web =
        writer(9, Role::Web, vec![open("1", 1), source("b.py", "a"), source("c.py", "c"), closed("1", &[1])]);
    let job = writer(10, Role::Job, vec![source("b.py", "b")]);
    let judgement = judged(vec![player(1, vec![], passed()), web, job]);
    assert_eq!(judgement.mixed_sources, BTreeSet::from([MeasuredPath::new("b.py")]));
    assert_eq!(judgement.sources.keys().map(MeasuredPath::as_str).collect::<Vec<_>>(), ["c.py"]);
}

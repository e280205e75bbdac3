//! What queues tell besides: jobs that workers drop, and jobs that enqueue themselves again.

use playtrace_model::Status;

use super::{assert_reason, closed, enqueue, judged, open_job, passed, player, writer};
use crate::{Record, Role};

#[test]
fn what_a_worker_dropped_is_told() {
    let dropped = |reason: &str, asked| {
        let record = Record::Dropped { job: "j1".to_owned(), reason: reason.to_owned(), asked };
        writer(7, Role::Worker, vec![record])
    };
    let enqueuer = || writer(9, Role::Web, vec![enqueue("j1")]);
    let judgement =
        judged(vec![player(0, vec![], passed()), dropped("expired in the queue", false), enqueuer()]);
    assert_reason(&judgement, Status::Partial, "job j1 (app.build) did not run: expired in the queue");
    assert_eq!(judgement.pending, vec![]);
    let judgement = judged(vec![player(0, vec![], passed()), dropped("revoked", true), enqueuer()]);
    assert_eq!(judgement.verdict.status, Status::Complete);
    assert_eq!(judgement.verdict.notes, ["job j1 (app.build) did not run: revoked"]);
    // A retry that is dropped does not hide that the first execution is missing.
    let again = writer(8, Role::Worker, vec![retry("j1")]);
    let judgement = judged(vec![player(0, vec![], passed()), dropped("revoked", true), enqueuer(), again]);
    assert_reason(
        &judgement,
        Status::Partial,
        "was enqueued again (a retry, say), and of its 2 executions 1 did not start",
    );
}

fn retry(job: &str) -> Record {
    Record::Enqueue {
        job: job.to_owned(),
        function: "app.build".to_owned(),
        queue: "q".to_owned(),
        again: true,
    }
}

#[test]
fn an_execution_that_a_job_asks_for_itself_is_owed_besides() {
    let enqueuer = || writer(9, Role::Web, vec![enqueue("j1")]);
    let first = || writer(7, Role::Worker, vec![open_job("1", "j1"), retry("j1"), closed("1", &[1])]);
    let second = || writer(8, Role::Worker, vec![open_job("1", "j1"), closed("1", &[1])]);
    assert_reason(
        &judged(vec![player(0, vec![], passed()), enqueuer(), first()]),
        Status::Partial,
        "job j1 (app.build) was enqueued again (a retry, say), and of its 2 executions 1 did not start",
    );
    let whole = judged(vec![player(0, vec![], passed()), enqueuer(), first(), second()]);
    assert_eq!(whole.verdict.status, Status::Complete, "{:?}", whole.verdict.reasons);
}

#[test]
fn past_a_limit_a_job_without_a_record_may_have_run() {
    let limited = |mut more: Vec<Record>| {
        more.push(Record::Refused { reason: "the shard is large".to_owned(), count: 1 });
        writer(7, Role::Worker, more)
    };
    let said = |worker, seen: Vec<Record>| {
        judged(vec![player(0, seen, passed()), writer(9, Role::Web, vec![enqueue("j1")]), worker])
    };
    let start = || Record::JobStart { job: "j1".to_owned(), worker: "w".to_owned() };
    let seen = || Record::Job {
        job: "j1".to_owned(),
        state: "finished".to_owned(),
        function: "app.build".to_owned(),
        worker: "w".to_owned(),
    };
    for (worker, seen, reason) in [
        (
            limited(vec![]),
            vec![],
            "not traced, as a limit was reached, or not started: job j1 (app.build) was enqueued and left no record",
        ),
        (
            limited(vec![]),
            vec![seen()],
            "not traced: job j1 (app.build) is finished and left no record, as a limit was reached",
        ),
        (
            limited(vec![start()]),
            vec![],
            "not traced, as a limit was reached, or data lost: job j1 (app.build) was started by worker w, but",
        ),
        (
            limited(vec![open_job("1", "j1"), closed("1", &[1]), start(), start()]),
            vec![],
            "not traced, as a limit was reached, or data lost: job j1 (app.build) was started 2 times, but",
        ),
        (
            limited(vec![open_job("1", "j1"), closed("1", &[1]), retry("j1")]),
            vec![],
            "of its 2 executions 1 left no record, as a limit was reached, or did not start",
        ),
    ] {
        assert_reason(&said(worker, seen), Status::Partial, reason);
    }
    // That nobody says to have enqueued it, no limit explains.
    let foreign = judged(vec![player(0, vec![seen()], passed()), limited(vec![])]);
    assert_reason(&foreign, Status::Failed, "no process of the app says that it enqueued it");
}

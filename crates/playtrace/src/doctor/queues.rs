//! Celery, Dramatiq, Huey and arq: what the boot records tell of who sends their jobs, and who runs them.
//!
//! None of them has a list of its workers that could be asked for, as RQ's Redis has: a worker without the agent is seen by
//! nobody. What can be seen is that jobs are tagged and nobody who runs takes them.

use playtrace_ledger::EnabledProcess;

use super::Facts;
use super::finding::{Check, Finding, counted};

/// A queue, and the hooks by which the agent takes part in it.
struct Queue {
    name: &'static str,
    /// Tags what is sent.
    sends: &'static str,
    /// Traces what is run.
    works: &'static str,
    /// Puts both in place.
    install: &'static str,
    /// Starts a worker.
    start: &'static str,
}

const QUEUES: [Queue; 4] = [
    Queue {
        name: "Celery",
        sends: "celery-publish",
        works: "celery-worker",
        install: "playtrace_agent.celery.install()",
        start: "celery -A app worker",
    },
    Queue {
        name: "Dramatiq",
        sends: "dramatiq",
        works: "dramatiq-worker",
        install: "playtrace_agent.dramatiq.install()",
        start: "dramatiq app",
    },
    Queue {
        name: "Huey",
        sends: "huey",
        works: "huey-worker",
        install: "playtrace_agent.huey.install()",
        start: "huey_consumer app.huey",
    },
    Queue {
        name: "arq",
        sends: "arq",
        works: "arq-worker",
        install: "playtrace_agent.arq.install()",
        start: "arq app.WorkerSettings",
    },
];

/// What is said where the boot records name none of them.
const NONE: &str = "no process with the agent on uses Celery, Dramatiq, Huey or arq";

/// Whether a process runs jobs of one of these queues. Its role may be another one: a worker's module may make the web app, too.
pub(super) fn is_worker(process: &EnabledProcess) -> bool {
    QUEUES.iter().any(|queue| process.has_hook(queue.works) == Some(true))
}

/// Who sends and who runs the jobs of one queue, of the processes that have not ended as far as that can be known.
struct Seen<'a> {
    queue: &'a Queue,
    senders: Vec<&'a EnabledProcess>,
    workers: Vec<&'a EnabledProcess>,
    /// The latest of those that have ended.
    ended: Option<&'a EnabledProcess>,
}

fn look(enabled: &[EnabledProcess]) -> Vec<Seen<'_>> {
    let seen = QUEUES.iter().map(|queue| {
        let has = |process: &&EnabledProcess, hook| process.has_hook(hook) == Some(true);
        let running = || enabled.iter().filter(|process| process.is_alive() != Some(false));
        let ended = enabled.iter().filter(|process| process.is_alive() == Some(false));
        Seen {
            queue,
            senders: running().filter(|it| has(it, queue.sends) && !has(it, queue.works)).collect(),
            workers: running().filter(|it| has(it, queue.works)).collect(),
            ended: ended.filter(|it| has(it, queue.works)).max_by_key(|it| it.at),
        }
    });
    seen.filter(|seen| !(seen.senders.is_empty() && seen.workers.is_empty())).collect()
}

/// `queue.workers`, `queue.hooks`.
pub(super) fn check(facts: &Facts) -> [Finding; 2] {
    let web: Vec<&EnabledProcess> = facts.web_processes().collect();
    let dir = facts.layout.boot_dir();
    [workers(&facts.enabled, &dir.display().to_string()), hooks(&facts.enabled, &web)]
}

fn workers(enabled: &[EnabledProcess], dir: &str) -> Finding {
    let check = Check::QueueWorkers;
    let seen = look(enabled);
    if seen.is_empty() {
        return check.ok(NONE);
    }
    let mut told = Vec::new();
    let mut elsewhere = None;
    for Seen { queue, senders, workers, ended } in &seen {
        let name = queue.name;
        if !workers.is_empty() {
            let have = if workers.len() == 1 { "has" } else { "have" };
            told.push(format!("{name}: {} {have} the agent on", counted(workers.len(), "worker")));
            continue;
        }
        let Some(sender) = senders.iter().find(|sender| sender.is_alive() == Some(true)) else {
            elsewhere = Some(format!(
                "process {} tags {name} jobs, or did, and whether it still runs can't be seen from here; no worker is known",
                senders[0].process
            ));
            continue;
        };
        let last = ended
            .map_or_else(String::new, |last| format!(" (the last one, process {}, has ended)", last.process));
        return check.failed(
            format!(
                "process {} tags {name} jobs, and no running {name} worker has left a boot record in {dir}{last}: its jobs would not be traced",
                sender.process
            ),
            format!(
                "start the worker (`{}`) with ENABLE_PROFILE_COVERAGE=1 and the PROFILE_COVERAGE_DIR of the web processes, {} in the module \
                 that it loads; one that runs was started without, writes elsewhere, or may not write there: restart it",
                queue.start, queue.install
            ),
        );
    }
    match elsewhere {
        Some(why) => check.not_checked(why),
        None => check.ok(told.join(", ")),
    }
}

fn hooks(enabled: &[EnabledProcess], web: &[&EnabledProcess]) -> Finding {
    let check = Check::QueueHooks;
    let seen = look(enabled);
    if seen.is_empty() {
        return check.ok(NONE);
    }
    for Seen { queue, senders, workers, .. } in &seen {
        if !senders.is_empty() || workers.is_empty() {
            continue;
        }
        let name = queue.name;
        let Some(process) = web.first() else {
            return check.not_checked(format!(
                "{name} workers have the agent on, and no running web process is known (web.toggle)"
            ));
        };
        return check.failed(
            format!(
                "{name} workers have the agent on, and web process {} does not tag what it sends",
                process.process
            ),
            format!(
                "call {} in the module that web processes and workers load, or start both by `playtrace-agent run`; restart them. \
                 Where only a scheduler sends {name} jobs, leave this check out (--skip {})",
                queue.install,
                check.id()
            ),
        );
    }
    let tagged = seen.iter().filter(|seen| !seen.senders.is_empty()).map(|seen| seen.queue.name);
    check.ok(format!("jobs are tagged: {}", tagged.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use playtrace_ledger::{ProcessId, Role, Setup};

    use super::super::finding::Status;
    use super::*;

    fn process(role: Role, hooks: &[&str]) -> EnabledProcess {
        EnabledProcess {
            process: ProcessId::current(),
            role,
            program: "playtrace-agent 0.1.0, CPython 3.12.1, native".to_owned(),
            at: 1,
            refused: BTreeMap::new(),
            setup: Some(Setup {
                hooks: hooks.iter().map(|&hook| hook.to_owned()).collect(),
                ..Setup::default()
            }),
            path: PathBuf::new(),
        }
    }

    fn ended(mut process: EnabledProcess) -> EnabledProcess {
        process.process.start += 1;
        process
    }

    fn elsewhere(mut process: EnabledProcess) -> EnabledProcess {
        "another-host".clone_into(&mut process.process.host);
        process
    }

    fn web() -> EnabledProcess {
        process(Role::Web, &["celery-publish"])
    }

    fn worker() -> EnabledProcess {
        process(Role::Worker, &["celery-publish", "celery-worker"])
    }

    #[test]
    fn a_stack_without_such_queues_is_as_it_should_be() {
        let enabled = [process(Role::Web, &["rq-queue"]), process(Role::Worker, &["rq-worker"])];
        assert_eq!(workers(&enabled, "d"), Check::QueueWorkers.ok(NONE));
        assert_eq!(hooks(&enabled, &[&enabled[0]]), Check::QueueHooks.ok(NONE));
    }

    #[test]
    fn jobs_that_are_tagged_want_a_worker_that_runs() {
        assert_eq!(workers(&[web(), worker()], "d").reason, "Celery: 1 worker has the agent on");
        let found = workers(&[web(), ended(worker())], "d");
        assert_eq!(found.status, Status::Failed);
        assert!(
            found.reason.contains("no running Celery worker has left a boot record in d (the last one"),
            "{found:?}"
        );
        assert!(found.remedy.unwrap().contains("playtrace_agent.celery.install()"));
        assert!(!workers(&[web()], "d").reason.contains("the last one"));
        // Another queue's worker is none of this one's.
        let other = process(Role::Worker, &["huey", "huey-worker"]);
        assert_eq!(workers(&[web(), other], "d").status, Status::Failed);
        assert_eq!(workers(&[web(), elsewhere(worker())], "d").status, Status::Ok);
        assert_eq!(workers(&[elsewhere(web())], "d").status, Status::NotChecked);
    }

    #[test]
    fn workers_want_somebody_who_tags_their_jobs() {
        let silent = process(Role::Web, &["rq-queue"]);
        assert_eq!(hooks(&[web(), worker()], &[&web()]).reason, "jobs are tagged: Celery");
        let found = hooks(&[silent.clone(), worker()], &[&silent]);
        assert_eq!(found.status, Status::Failed);
        assert!(found.reason.contains("does not tag what it sends"), "{found:?}");
        assert_eq!(hooks(&[worker()], &[]).status, Status::NotChecked);
    }

    #[test]
    fn a_worker_is_known_by_its_hook_whatever_its_role() {
        assert!(is_worker(&process(Role::Web, &["dramatiq", "dramatiq-worker"])));
        assert!(!is_worker(&process(Role::Web, &["dramatiq"])));
    }
}

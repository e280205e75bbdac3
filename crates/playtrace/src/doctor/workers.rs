//! RQ's workers against the boot records: who has the agent on, and since when.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_ledger::EnabledProcess;

use super::directory::same_directory;
use super::finding::{Check, Finding, counted};
use super::process::{self, Identity};
use super::redis::{RedisLook, Worker};
use super::{Facts, redis};

/// Between a process's start and its worker's birth lies less than this, in milliseconds: else the record is of an earlier process
/// with the same number.
const START_UP: i64 = 600_000;
const DEFAULT_DIRECTORY: &str = "/workdir/wepppy-test-engine-data/coverage";

/// A worker, and what is known of its agent.
pub(super) struct Seen {
    /// The worker.
    pub(super) worker: Worker,
    /// Its agent.
    pub(super) agent: Agent,
}

/// What is known of a worker's agent.
pub(super) enum Agent {
    /// It is on.
    On(EnabledProcess),
    /// It is on, and writes to another directory.
    Elsewhere(PathBuf),
    /// The toggle is set, and the directory can't be written by this user.
    Locked(Identity),
    /// The toggle is set, and nothing has switched the agent on.
    Silent,
    /// The toggle is not set.
    Off,
    /// It left no record, and the process can't be looked into from here.
    Unknown,
}

impl Seen {
    /// Whether a boot record is this worker's.
    pub(super) fn is(&self, process: &EnabledProcess) -> bool {
        (&process.process.host, process.process.pid) == (&self.worker.host, self.worker.pid)
    }

    /// Whether it surely has the agent off, or perhaps.
    fn lacks_it(&self) -> bool {
        matches!(self.agent, Agent::Off | Agent::Unknown)
    }
}

/// Matches Redis's workers with what lies in the directory and what the system tells.
pub(super) fn look(facts: &Facts, dir: &Path) -> Vec<Seen> {
    let Some(Ok(RedisLook { workers, .. })) = &facts.redis else { return Vec::new() };
    let seen = |worker: &Worker| Seen { agent: agent(worker, &facts.enabled, dir), worker: worker.clone() };
    workers.iter().map(seen).collect()
}

fn agent(worker: &Worker, enabled: &[EnabledProcess], dir: &Path) -> Agent {
    let of = |pid: u32| {
        enabled
            .iter()
            .filter(|known| (&known.process.host, known.process.pid) == (&worker.host, pid))
            .filter(|known| known.is_alive() != Some(false))
            .max_by_key(|known| known.at)
    };
    let fits = |known: &&EnabledProcess| known.is_alive() == Some(true) || is_of_that_start(worker, known.at);
    if let Some(known) = of(worker.pid).filter(fits) {
        return Agent::On(known.clone());
    }
    if !worker.is_here() {
        return Agent::Unknown;
    }
    // A pool of workers switches the agent on once, and forks.
    if let Some(known) =
        process::parent(worker.pid).and_then(of).filter(|known| known.has_hook("rq-worker") == Some(true))
    {
        return Agent::On(known.clone());
    }
    let Some(environment) = process::environment(worker.pid) else { return Agent::Unknown };
    let on = environment.get("ENABLE_PROFILE_COVERAGE").map(|value| value.trim().to_ascii_lowercase());
    if !matches!(on.as_deref(), Some("1" | "true" | "yes" | "on")) {
        return Agent::Off;
    }
    let named = environment.get("PROFILE_COVERAGE_DIR").filter(|value| !value.is_empty());
    let theirs = Path::new(named.map_or(DEFAULT_DIRECTORY, String::as_str));
    let theirs =
        process::working_directory(worker.pid).map_or_else(|| theirs.to_owned(), |cwd| cwd.join(theirs));
    if !same_directory(&theirs, dir) {
        return Agent::Elsewhere(theirs);
    }
    let identity = Identity::of(worker.pid);
    let boot_dir = playtrace_ledger::Layout::new(dir).boot_dir();
    let nearest = boot_dir.ancestors().find_map(|path| fs_err::metadata(path).ok());
    match (identity, nearest) {
        (Some(identity), Some(nearest)) if !identity.may_write_in(&nearest) => Agent::Locked(identity),
        _ => Agent::Silent,
    }
}

/// Whether a record of a process that can't be seen was written when this worker started.
fn is_of_that_start(worker: &Worker, at: u64) -> bool {
    let (Some(birth), Ok(at)) = (worker.birth, i64::try_from(at)) else { return true };
    (birth.as_millisecond() - at).abs() < START_UP
}

/// `redis.reachable`, `rq.workers`, `worker.toggle`, `worker.restarted`, `rq.hooks`.
pub(super) fn check(facts: &Facts) -> [Finding; 5] {
    let rest = [Check::RqWorkers, Check::WorkerToggle, Check::WorkerRestarted, Check::RqHooks];
    let without = |first: Finding, why: &str| {
        let [a, b, c, d] = rest.map(|check| check.not_checked(why));
        [first, a, b, c, d]
    };
    let check = Check::RedisReachable;
    match &facts.redis {
        None => without(check.not_checked("no Redis is named: give --redis-url or set REDIS_URL"), "no Redis is named"),
        Some(Err(why)) => without(
            check.failed(
                why,
                "start Redis, or name the one that app and workers use: --redis-url or REDIS_URL (redis://host:6379/0)",
            ),
            "Redis can't be reached",
        ),
        Some(Ok(redis)) => {
            let reached = check.ok(format!("{} answers", redis.address));
            if facts.workers.is_empty() {
                let [a, b, c] = [Check::WorkerToggle, Check::WorkerRestarted, Check::RqHooks]
                    .map(|check| check.not_checked("there is no worker"));
                return [reached, no_workers(redis), a, b, c];
            }
            let count = facts.workers.len();
            let are = if count == 1 { "is" } else { "are" };
            let count = Check::RqWorkers.ok(format!("{} {are} registered", counted(count, "worker")));
            [reached, count, toggle(facts), restarted(facts), hooks(facts)]
        }
    }
}

fn no_workers(redis: &redis::RedisLook) -> Finding {
    Check::RqWorkers.failed(
        format!("no RQ worker is registered at {}: jobs would wait for ever", redis.address),
        "start the worker, or name the Redis that it uses: --redis-url or REDIS_URL",
    )
}

fn names<'a>(seen: impl Iterator<Item = &'a Seen>) -> String {
    seen.map(|seen| seen.worker.describe()).collect::<Vec<_>>().join(", ")
}

fn toggle(facts: &Facts) -> Finding {
    let check = Check::WorkerToggle;
    let of = |wanted: fn(&Agent) -> bool| names(facts.workers.iter().filter(|seen| wanted(&seen.agent)));
    let off = of(|agent| matches!(agent, Agent::Off));
    if !off.is_empty() {
        return check.failed(
            format!("{off}: ENABLE_PROFILE_COVERAGE is not on in its environment"),
            "set ENABLE_PROFILE_COVERAGE=1 where the worker is started (with Docker: in the env file of rq-worker, too), and restart it",
        );
    }
    let unknown = of(|agent| matches!(agent, Agent::Unknown));
    if !unknown.is_empty() {
        return check.failed(
            format!("{unknown}: no boot record, and its environment can't be seen from here"),
            "look at its environment (`docker exec rq-worker env | grep COVERAGE`): ENABLE_PROFILE_COVERAGE=1 and the PROFILE_COVERAGE_DIR \
             of the web processes; have it call playtrace_agent.rq.install() at its start; restart it",
        );
    }
    let count = facts.workers.len();
    let have = if count == 1 { "has" } else { "have" };
    check.ok(format!("{} {have} ENABLE_PROFILE_COVERAGE on", counted(count, "worker")))
}

fn restarted(facts: &Facts) -> Finding {
    let check = Check::WorkerRestarted;
    let set = facts.web_processes().map(|process| process.at).min();
    let set = set.and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
    let lacking: Vec<&Seen> = facts.workers.iter().filter(|seen| seen.lacks_it()).collect();
    if lacking.is_empty() {
        return check.ok("all workers were started since the toggle was set: they see it");
    }
    let Some(set) = set else {
        return check.not_checked(
            "no web process here has the agent on, so that nothing tells when the toggle was set",
        );
    };
    let older =
        names(lacking.iter().copied().filter(|seen| seen.worker.birth.is_some_and(|birth| birth < set)));
    if older.is_empty() {
        return check.ok("the workers were started after the web processes were switched on");
    }
    check.failed(
        format!("{older}: started before the web processes were switched on ({set:.0})"),
        "restart the worker: the agent looks at the toggle when a process starts",
    )
}

fn hooks(facts: &Facts) -> Finding {
    let check = Check::RqHooks;
    let without = |seen: &&Seen| match &seen.agent {
        Agent::Silent => true,
        Agent::On(process) => process.has_hook("rq-worker") == Some(false),
        _ => false,
    };
    let missing = names(facts.workers.iter().filter(without));
    if !missing.is_empty() {
        return check.failed(
            format!("{missing}: nothing has put the hook in place that traces its jobs"),
            "call playtrace_agent.rq.install() before the worker begins to work, or start it with \
             `rq worker --worker-class playtrace_agent.rq.Worker`; restart it",
        );
    }
    let web = facts.web_processes().find(|process| process.has_hook("rq-queue") == Some(false));
    if let Some(process) = web {
        return check.failed(
            format!("web process {}: nothing tags the jobs that it enqueues", process.process),
            "call playtrace_agent.flask.init_app(app) (or playtrace_agent.rq.install_queue_if_present()) after RQ is installed there; restart it",
        );
    }
    let known = facts
        .workers
        .iter()
        .filter(|seen| matches!(&seen.agent, Agent::On(process) if process.setup.is_some()));
    let (known, all) = (known.count(), facts.workers.len());
    if known < all {
        return check.not_checked(format!(
            "no agent here tells of {} of {} (worker.toggle, directory.same, directory.writable)",
            all - known,
            counted(all, "worker")
        ));
    }
    let release = facts.workers.iter().find_map(|seen| match &seen.agent {
        Agent::On(process) => process.setup.as_ref()?.rq.clone(),
        _ => None,
    });
    check.ok(format!(
        "jobs are tagged, and traced by {} (RQ {})",
        counted(all, "worker"),
        release.as_deref().unwrap_or("?")
    ))
}

//! What a check comes to.

use serde::Serialize;

/// The three words for how a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Status {
    /// It was looked at, and it is as it should be.
    #[serde(rename = "ok")]
    Ok,
    /// It was looked at, and it is not.
    #[serde(rename = "failed")]
    Failed,
    /// It could not be looked at; that says nothing about it.
    #[serde(rename = "not checked")]
    NotChecked,
}

impl Status {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotChecked => "not checked",
        }
    }
}

/// The checks, in the order in which they are told. The ids are a contract: `docs/doctor.md` explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Check {
    /// The playback service answers.
    #[serde(rename = "service.reachable")]
    ServiceReachable,
    /// The app answers.
    #[serde(rename = "app.reachable")]
    AppReachable,
    /// The app lets the player in.
    #[serde(rename = "app.login")]
    AppLogin,
    /// The web processes have the agent on.
    #[serde(rename = "web.toggle")]
    WebToggle,
    /// The older middleware is not active beside it.
    #[serde(rename = "web.old-middleware")]
    WebOldMiddleware,
    /// The agent there traces what it is asked for.
    #[serde(rename = "web.traces")]
    WebTraces,
    /// Player and app have one secret, or none.
    #[serde(rename = "web.signature")]
    WebSignature,
    /// Header and answer come through what stands before the app.
    #[serde(rename = "header.arrives")]
    HeaderArrives,
    /// The headers that name run and step come with it.
    #[serde(rename = "header.run")]
    HeaderRun,
    /// The header survives redirects.
    #[serde(rename = "header.redirects")]
    HeaderRedirects,
    /// Redis answers.
    #[serde(rename = "redis.reachable")]
    RedisReachable,
    /// There are RQ workers.
    #[serde(rename = "rq.workers")]
    RqWorkers,
    /// The workers have the toggle on.
    #[serde(rename = "worker.toggle")]
    WorkerToggle,
    /// The workers were started since it was set.
    #[serde(rename = "worker.restarted")]
    WorkerRestarted,
    /// Jobs are tagged and traced.
    #[serde(rename = "rq.hooks")]
    RqHooks,
    /// Other queues' jobs that are tagged have a worker that traces them.
    #[serde(rename = "queue.workers")]
    QueueWorkers,
    /// Other queues' workers have somebody who tags their jobs.
    #[serde(rename = "queue.hooks")]
    QueueHooks,
    /// The agents are of this release.
    #[serde(rename = "agent.version")]
    AgentVersion,
    /// The agents' engine and interpreter.
    #[serde(rename = "agent.engine")]
    AgentEngine,
    /// The releases of coverage.py.
    #[serde(rename = "coverage.version")]
    CoverageVersion,
    /// All write to one directory.
    #[serde(rename = "directory.same")]
    DirectorySame,
    /// All may write there.
    #[serde(rename = "directory.writable")]
    DirectoryWritable,
    /// There is room there.
    #[serde(rename = "disk.space")]
    DiskSpace,
    /// No data of processes that have ended lies about.
    #[serde(rename = "shards.orphans")]
    ShardsOrphans,
    /// The clocks agree.
    #[serde(rename = "clock.skew")]
    ClockSkew,
    /// Two profiles at once are kept apart.
    #[serde(rename = "probe.concurrency")]
    ProbeConcurrency,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Self; 26] = [
        Self::ServiceReachable,
        Self::AppReachable,
        Self::AppLogin,
        Self::WebToggle,
        Self::WebOldMiddleware,
        Self::WebTraces,
        Self::WebSignature,
        Self::HeaderArrives,
        Self::HeaderRun,
        Self::HeaderRedirects,
        Self::RedisReachable,
        Self::RqWorkers,
        Self::WorkerToggle,
        Self::WorkerRestarted,
        Self::RqHooks,
        Self::QueueWorkers,
        Self::QueueHooks,
        Self::AgentVersion,
        Self::AgentEngine,
        Self::CoverageVersion,
        Self::DirectorySame,
        Self::DirectoryWritable,
        Self::DiskSpace,
        Self::ShardsOrphans,
        Self::ClockSkew,
        Self::ProbeConcurrency,
    ];

    /// The stable id.
    pub const fn id(self) -> &'static str {
        match self {
            Self::ServiceReachable => "service.reachable",
            Self::AppReachable => "app.reachable",
            Self::AppLogin => "app.login",
            Self::WebToggle => "web.toggle",
            Self::WebOldMiddleware => "web.old-middleware",
            Self::WebTraces => "web.traces",
            Self::WebSignature => "web.signature",
            Self::HeaderArrives => "header.arrives",
            Self::HeaderRun => "header.run",
            Self::HeaderRedirects => "header.redirects",
            Self::RedisReachable => "redis.reachable",
            Self::RqWorkers => "rq.workers",
            Self::WorkerToggle => "worker.toggle",
            Self::WorkerRestarted => "worker.restarted",
            Self::RqHooks => "rq.hooks",
            Self::QueueWorkers => "queue.workers",
            Self::QueueHooks => "queue.hooks",
            Self::AgentVersion => "agent.version",
            Self::AgentEngine => "agent.engine",
            Self::CoverageVersion => "coverage.version",
            Self::DirectorySame => "directory.same",
            Self::DirectoryWritable => "directory.writable",
            Self::DiskSpace => "disk.space",
            Self::ShardsOrphans => "shards.orphans",
            Self::ClockSkew => "clock.skew",
            Self::ProbeConcurrency => "probe.concurrency",
        }
    }

    /// The check of an id.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.id() == id)
    }

    /// It is as it should be; `reason` says what was seen.
    pub fn ok(self, reason: impl Into<String>) -> Finding {
        Finding { id: self, status: Status::Ok, reason: reason.into(), remedy: None }
    }

    /// It is not; `remedy` mends it.
    pub fn failed(self, reason: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { id: self, status: Status::Failed, reason: reason.into(), remedy: Some(remedy.into()) }
    }

    /// It can't be looked at, and why.
    pub fn not_checked(self, reason: impl Into<String>) -> Finding {
        Finding { id: self, status: Status::NotChecked, reason: reason.into(), remedy: None }
    }
}

/// One check's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub id: Check,
    /// How it ended.
    pub status: Status,
    /// What was seen, or why it could not be looked at.
    pub reason: String,
    /// What to do; only where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// So many of something that has an `s` or `es` where there are several, for people.
pub(super) fn counted(count: usize, what: &str) -> String {
    let ending = match count {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_json_and_on_the_command_line_are_the_same() {
        for check in Check::ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.id());
            assert_eq!(Check::parse(check.id()), Some(check));
        }
        let mut sorted = Check::ALL;
        sorted.sort_unstable();
        assert_eq!(sorted, Check::ALL);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "worker")), ["0 workers", "1 worker", "2 workers"]);
        assert_eq!([1, 2].map(|count| counted(count, "process")), ["1 process", "2 processes"]);
    }

    #[test]
    fn every_check_is_explained() {
        let page = include_str!("../../../../docs/doctor.md");
        for check in Check::ALL {
            assert!(page.contains(&format!("| `{}` |", check.id())), "docs/doctor.md: {}", check.id());
        }
    }
}

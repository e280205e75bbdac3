//! The releases of everything that has to fit together.

use std::collections::BTreeMap;

use playtrace_ledger::EnabledProcess;

use super::Facts;
use super::finding::{Check, Finding, counted};
use super::workers::Agent;

/// The first release of coverage.py that reads and combines shards (data schema 7).
const OLDEST_COVERAGE: &str = "7.0";

/// `agent.version`, `agent.engine`, `coverage.version`.
pub(super) fn check(facts: &Facts) -> [Finding; 3] {
    let known = in_use(facts);
    if known.is_empty() {
        let why = "no running process is known to have the agent on (web.toggle, worker.toggle)";
        return [Check::AgentVersion, Check::AgentEngine, Check::CoverageVersion]
            .map(|check| check.not_checked(why));
    }
    [version(&known, env!("CARGO_PKG_VERSION")), engine(&known), coverage(&known)]
}

/// The processes that run now and have the agent on: web processes and queues' workers by their record, RQ's workers by Redis.
///
/// Those of other hosts can't be seen to live: the latest of each role and host stands for them.
fn in_use(facts: &Facts) -> Vec<&EnabledProcess> {
    let mut known: Vec<&EnabledProcess> = facts.web_processes().chain(facts.queue_workers()).collect();
    known.extend(facts.workers.iter().filter_map(|seen| match &seen.agent {
        Agent::On(process) => Some(process),
        _ => None,
    }));
    let mut elsewhere: BTreeMap<&str, &EnabledProcess> = BTreeMap::new();
    for process in facts.enabled.iter().filter(|process| process.is_alive().is_none()) {
        let latest = elsewhere.entry(&process.process.host).or_insert(process);
        if process.at > latest.at {
            *latest = process;
        }
    }
    known.extend(elsewhere.into_values());
    known
}

fn name(process: &EnabledProcess) -> String {
    let role = match process.role {
        playtrace_ledger::Role::Web => "web process",
        playtrace_ledger::Role::Worker => "worker",
        _ => "process",
    };
    format!("{role} {}", process.process)
}

fn version(known: &[&EnabledProcess], ours: &str) -> Finding {
    let check = Check::AgentVersion;
    let agent = |process: &EnabledProcess| {
        let word = process.program.split(',').next().unwrap_or_default();
        word.trim().trim_start_matches("playtrace-agent").trim().to_owned()
    };
    for process in known {
        let theirs = agent(process);
        let word = match numbers(&theirs).cmp(&numbers(ours)) {
            std::cmp::Ordering::Equal => continue,
            std::cmp::Ordering::Less => "an older one",
            std::cmp::Ordering::Greater => "a newer one",
        };
        return check.failed(
            format!("{}: playtrace-agent {theirs}; this is playtrace {ours}: {word}", name(process)),
            format!("install one release of both where that process runs (pip install playtrace-agent=={ours}), and restart it"),
        );
    }
    check.ok(format!("playtrace-agent {ours} in {}", counted(known.len(), "process")))
}

fn engine(known: &[&EnabledProcess]) -> Finding {
    let check = Check::AgentEngine;
    let mut engines: Vec<String> = Vec::new();
    for process in known {
        let mut words = process.program.split(',').map(str::trim).skip(1);
        let (python, engine) = (words.next().unwrap_or("?"), words.next().unwrap_or("?"));
        // Which lines it gives, and at what speed, is no reason to use it where there is a better one.
        let needed = engine.starts_with("coverage.py") && !has_monitoring(python);
        if engine != "native" && !needed {
            return check.failed(
                format!("{} traces with the engine {engine:?}", name(process)),
                "unset PROFILE_COVERAGE_ENGINE there (the engine is native then), and restart the process",
            );
        }
        let told = format!("{engine} on {python}");
        if !engines.contains(&told) {
            engines.push(told);
        }
    }
    if engines.len() > 1 {
        return check.failed(
            format!("web processes and workers run different interpreters: {}", engines.join(", ")),
            "run them with one release of Python: which lines a file has depends on it, and one report is for one",
        );
    }
    check.ok(engines.join(", "))
}

/// Whether an interpreter, as agents name theirs (`CPython 3.12.1`), has `sys.monitoring`.
fn has_monitoring(python: &str) -> bool {
    numbers(python.trim_start_matches("CPython").trim()) >= vec![3, 12]
}

fn coverage(known: &[&EnabledProcess]) -> Finding {
    let check = Check::CoverageVersion;
    let told: Vec<(&EnabledProcess, Option<&str>)> = known
        .iter()
        .filter_map(|process| Some((*process, process.setup.as_ref()?.coverage.as_deref())))
        .collect();
    if told.is_empty() {
        return check.not_checked("the agents are too old to tell (agent.version)");
    }
    for (process, release) in &told {
        if let Some(release) = release
            && numbers(release) < numbers(OLDEST_COVERAGE)
        {
            return check.failed(
                format!("{} has coverage.py {release}, which can't read shards", name(process)),
                format!(
                    "install coverage.py {OLDEST_COVERAGE} or newer there (pip install 'coverage>={OLDEST_COVERAGE}'), or merge with \
                     `playtrace combine`, which needs none; restart the process"
                ),
            );
        }
    }
    let mut releases: Vec<&str> = told.iter().filter_map(|(_, release)| *release).collect();
    releases.sort_unstable();
    releases.dedup();
    check.ok(match &releases[..] {
        [] => "coverage.py is not installed beside the app: `playtrace combine` needs none".to_owned(),
        [one] => format!("coverage.py {one}"),
        several => format!("coverage.py {}: each of them reads the same shards", several.join(" and ")),
    })
}

/// A release's numbers, for comparing; what is not a number ends them.
fn numbers(release: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for part in release.split('.') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        let Ok(number) = digits.parse() else { break };
        numbers.push(number);
        if digits.len() < part.len() {
            break;
        }
    }
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use playtrace_ledger::{ProcessId, Role, Setup};

    use super::*;

    fn process(program: &str, coverage: Option<&str>) -> EnabledProcess {
        EnabledProcess {
            process: ProcessId { host: "web-1".to_owned(), pid: 7, start: 1 },
            role: Role::Web,
            program: program.to_owned(),
            at: 0,
            refused: BTreeMap::new(),
            setup: coverage.map(|release| Setup { coverage: Some(release.to_owned()), ..Setup::default() }),
            path: PathBuf::new(),
        }
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(numbers("6.5.0") < numbers("7.0") && numbers("7.0") == numbers("7"));
        assert!(numbers("7.10.1") > numbers("7.9") && numbers("7.0a1") == numbers("7.0"));
    }

    #[test]
    fn an_older_agent_is_named() {
        let old = process("playtrace-agent 0.0.9, CPython 3.12.1, native", None);
        let found = version(&[&old], "0.1.0");
        assert!(
            found.reason.starts_with("web process 7 on web-1: playtrace-agent 0.0.9"),
            "{}",
            found.reason
        );
        assert!(found.reason.ends_with("an older one"));
        assert_eq!(version(&[&old], "0.0.9").remedy, None);
    }

    #[test]
    fn engines_and_interpreters_are_one() {
        let here = process("playtrace-agent 0.1.0, CPython 3.12.1, native", Some("7.11.3"));
        let there = process("playtrace-agent 0.1.0, CPython 3.13.0, native", Some("6.5"));
        assert_eq!(engine(&[&here, &here]).reason, "native on CPython 3.12.1");
        assert!(engine(&[&here, &there]).remedy.is_some());
        assert!(coverage(&[&here, &there]).reason.contains("6.5"));
        assert_eq!(coverage(&[&here]).reason, "coverage.py 7.11.3");
    }
}

//! RQ's workers, as Redis knows them.

use std::time::Duration;

use jiff::Timestamp;
use redis::{Client, Connection, RedisError};

use super::process;

/// For connecting, and for each answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The set of all workers' keys (`rq.worker_registration`).
const WORKERS: &str = "rq:workers";

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worker {
    /// RQ's name for it.
    pub(super) name: String,
    /// Its host, as Python calls it.
    pub(super) host: String,
    /// Its process id there.
    pub(super) pid: u32,
    /// When it registered, by its own clock.
    pub(super) birth: Option<Timestamp>,
}

/// What Redis says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RedisLook {
    /// Where it is, without a password.
    pub(super) address: String,
    /// How far its clock is ahead of this machine's, in seconds.
    pub(super) ahead: f64,
    /// The workers that have not said that they ended, by name.
    pub(super) workers: Vec<Worker>,
}

/// Asks Redis. The error is a sentence without the URL's password.
pub(super) fn look(url: &str) -> Result<RedisLook, String> {
    let address = address(url);
    ask(url, &address)
        .map_err(|error| format!("{address}: {}", error.to_string().trim_end_matches(['.', ' '])))
}

fn ask(url: &str, address: &str) -> Result<RedisLook, RedisError> {
    let client = Client::open(url)?;
    let mut connection = client.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let before = crate::clock::now();
    let (seconds, micros): (i64, i32) = redis::cmd("TIME").query(&mut connection)?;
    let there = Timestamp::new(seconds, micros.saturating_mul(1000)).unwrap_or(before);
    let ahead = there.duration_since(before).as_secs_f64();
    let mut keys: Vec<String> = redis::cmd("SMEMBERS").arg(WORKERS).query(&mut connection)?;
    keys.sort();
    let mut workers = Vec::new();
    for key in keys {
        workers.extend(worker(&key, &mut connection)?);
    }
    Ok(RedisLook { address: address.to_owned(), ahead, workers })
}

/// What a worker registered; `None` if it has ended, or its record ran out.
fn worker(key: &str, connection: &mut Connection) -> Result<Option<Worker>, RedisError> {
    let fields: Vec<Option<String>> =
        redis::cmd("HMGET").arg(key).arg(&["hostname", "pid", "birth", "death"]).query(connection)?;
    let [Some(host), Some(pid), birth, None] = &fields[..] else { return Ok(None) };
    let Ok(pid) = pid.parse::<u32>() else { return Ok(None) };
    let worker = Worker {
        name: key.rsplit(':').next().unwrap_or(key).to_owned(),
        host: host.clone(),
        pid,
        birth: birth.as_deref().and_then(|birth| birth.parse().ok()),
    };
    // Killed, and Redis has not noticed yet.
    let gone = worker.is_here() && process::parent(pid).is_none();
    Ok((!gone).then_some(worker))
}

impl Worker {
    /// Whether it runs on this machine.
    pub(super) fn is_here(&self) -> bool {
        let here = playtrace_ledger::ProcessId::current();
        here.host == self.host && here.start > 0
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        let name: String = self.name.chars().take(12).collect();
        format!("RQ worker {name} ({} on {})", self.pid, self.host)
    }
}

/// Host and port of a Redis URL; a password in it is nobody's business.
fn address(url: &str) -> String {
    let Ok(parsed) = url::Url::parse(url) else { return "the Redis URL".to_owned() };
    match (parsed.host_str(), parsed.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        _ => parsed.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_told() {
        assert_eq!(address("redis://:secret@redis.example.org:6380/2"), "redis.example.org:6380");
        assert_eq!(address("redis://127.0.0.1"), "127.0.0.1");
        let error = look("redis://:secret@127.0.0.1:1/0").unwrap_err();
        assert!(error.starts_with("127.0.0.1:1: ") && !error.contains("secret"), "{error}");
    }
}

//! Background jobs: found in answers, followed to their end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::address::BaseUrl;
use crate::http::{Answer, Http, chain};
use crate::job_tree::{JobNode, JobState};
use crate::listener::{Line, Listener, Tone};
use crate::preset::JobRule;

/// How a job that the player waited for ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobResult {
    /// Its id.
    pub id: String,
    /// The step whose answer named it.
    pub step: u32,
    /// The job with those that it started; none if its state could never be read.
    pub tree: Option<JobNode>,
    /// What went wrong, in a sentence; none if all went well.
    pub failure: Option<String>,
    /// Whether the player stopped waiting before the job ended.
    pub given_up: bool,
}

/// Follows the jobs of one replay.
pub(crate) struct Watcher<'a> {
    http: &'a Http,
    base: &'a BaseUrl,
    rule: &'a JobRule,
    timeout: Duration,
    /// Position in `info_urls` of the URL that answered last.
    known_url: usize,
    pending: Vec<(u32, String)>,
    seen: BTreeSet<String>,
}

/// One look at a job.
enum Look {
    /// Its state.
    Node(JobNode),
    /// No status page knows it.
    Unknown,
    /// The status page is in trouble.
    Trouble(String),
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(
        http: &'a Http,
        base: &'a BaseUrl,
        rule: &'a JobRule,
        timeout: Option<Duration>,
    ) -> Self {
        let timeout = timeout.unwrap_or(Duration::from_secs(rule.timeout_s));
        Self { http, base, rule, timeout, known_url: 0, pending: Vec::new(), seen: BTreeSet::new() }
    }

    /// Notes the jobs that an answer names; says which are new.
    pub(crate) fn note(&mut self, step: u32, method: &str, answer: &Answer) -> Vec<String> {
        if !self.rule.methods.iter().any(|known| known.eq_ignore_ascii_case(method)) {
            return Vec::new();
        }
        let mut ids = Vec::new();
        if let Some(json) = answer.json() {
            collect_ids(&json, &self.rule.id_keys, &mut ids);
        }
        ids.retain(|id| self.seen.insert(id.clone()));
        self.pending.extend(ids.iter().map(|id| (step, id.clone())));
        ids
    }

    /// Waits for all jobs noted since the last time.
    pub(crate) async fn wait(&mut self, listener: &dyn Listener) -> Vec<JobResult> {
        let mut results = Vec::new();
        for (step, id) in std::mem::take(&mut self.pending) {
            results.push(self.follow(step, id, listener).await);
        }
        results
    }

    async fn follow(&mut self, step: u32, id: String, listener: &dyn Listener) -> JobResult {
        let started = Instant::now();
        let grace = Duration::from_secs(self.rule.unknown_grace_s);
        listener.line(&Line::log().plain("  waiting for job ").span(Tone::Job, &id));
        let mut trouble_since = None;
        let (mut last, mut last_state) = (None, String::new());
        loop {
            match self.look(&id).await {
                Look::Node(node) => {
                    trouble_since = None;
                    if node.state != last_state {
                        last_state.clone_from(&node.state);
                        tell_state(listener, &node, started.elapsed());
                    }
                    match node.whole_state() {
                        JobState::Good => {
                            return JobResult { id, step, tree: Some(node), failure: None, given_up: false };
                        }
                        JobState::Bad => return bad(id, step, node, listener),
                        JobState::Pending => last = Some(node),
                    }
                }
                Look::Unknown | Look::Trouble(_) if trouble_since.is_none() => {
                    trouble_since = Some(Instant::now());
                }
                Look::Unknown => {
                    if trouble_since.is_some_and(|since: Instant| since.elapsed() > grace) {
                        let urls =
                            self.rule.info_urls.iter().map(|url| self.url(url, &id)).collect::<Vec<_>>();
                        let failure = format!("job {id}: no status page knows it ({})", urls.join(", "));
                        return JobResult { id, step, tree: last, failure: Some(failure), given_up: true };
                    }
                }
                Look::Trouble(why) => {
                    if trouble_since.is_some_and(|since: Instant| since.elapsed() > grace) {
                        let failure = format!("job {id}: its status can't be read: {why}; is Redis running?");
                        return JobResult { id, step, tree: last, failure: Some(failure), given_up: true };
                    }
                }
            }
            if started.elapsed() >= self.timeout {
                return self.timed_out(id, step, last, listener);
            }
            let left = self.timeout.saturating_sub(started.elapsed());
            tokio::time::sleep(Duration::from_millis(self.rule.interval_ms).min(left)).await;
        }
    }

    fn timed_out(&self, id: String, step: u32, last: Option<JobNode>, listener: &dyn Listener) -> JobResult {
        let state = last.as_ref().map_or("unknown", |node| node.state.as_str());
        let function = last.as_ref().map(|node| node.function.as_str()).filter(|name| !name.is_empty());
        let failure = format!(
            "job {id}{}: still {state} after {} s, the job time-out (--job-timeout)",
            function.map(|name| format!(" ({name})")).unwrap_or_default(),
            self.timeout.as_secs()
        );
        // What has no tree is told by whoever gets this result.
        if last.is_some() {
            listener.line(&Line::log().span(Tone::Bad, &format!("  {failure}")));
        }
        JobResult { id, step, tree: last, failure: Some(failure), given_up: true }
    }

    async fn look(&mut self, id: &str) -> Look {
        // The first trouble is told: the URLs are in the order of preference.
        let mut trouble: Option<String> = None;
        let count = self.rule.info_urls.len();
        for offset in 0..count {
            let at = (self.known_url + offset) % count;
            let url = self.url(&self.rule.info_urls[at], id);
            // Polls carry no trace headers: they belong to the player, not to the session.
            let answer = match self.http.following.get(&url).send().await {
                Ok(response) => Answer::read(response).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if answer.is_success() => {
                    if let Some(node) = answer.json().and_then(|json| JobNode::read(&json, id, self.rule)) {
                        self.known_url = at;
                        return Look::Node(node);
                    }
                    trouble.get_or_insert(format!("{url} answers {} without a job's state", answer.status));
                }
                Ok(answer) if answer.status == 404 => {}
                Ok(answer) => {
                    trouble.get_or_insert(format!("{url} answers {} ({})", answer.status, answer.excerpt()));
                }
                Err(error) => {
                    trouble.get_or_insert(format!("{url}: {}", chain(&error.without_url())));
                }
            }
        }
        trouble.map_or(Look::Unknown, Look::Trouble)
    }

    fn url(&self, template: &str, id: &str) -> String {
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        self.base.fill(template).replace("{id}", &id)
    }
}

fn bad(id: String, step: u32, tree: JobNode, listener: &dyn Listener) -> JobResult {
    listener.line(&Line::log().span(Tone::Bad, &format!("  job {id} failed:")));
    for line in tree.render() {
        listener.line(&Line::log().plain("    ").span(Tone::Bad, &line));
    }
    let failure = tree.failures().join("; ");
    JobResult { id, step, tree: Some(tree), failure: Some(failure), given_up: false }
}

fn tell_state(listener: &dyn Listener, node: &JobNode, after: Duration) {
    let line = Line::log().plain("  job ").span(Tone::Job, &node.id);
    let function = if node.function.is_empty() { String::new() } else { format!(" {}", node.function) };
    listener.line(&line.plain(&format!("{function}: {} ({:.1} s)", node.state, after.as_secs_f64())));
}

/// Ids under the given keys, at any depth, in order.
fn collect_ids(json: &Value, keys: &[String], ids: &mut Vec<String>) {
    match json {
        Value::Object(map) => {
            for (key, value) in map {
                if keys.contains(key) {
                    match value {
                        Value::String(id) if !id.is_empty() => ids.push(id.clone()),
                        Value::Number(id) => ids.push(id.to_string()),
                        _ => {}
                    }
                }
                collect_ids(value, keys, ids);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_ids(value, keys, ids)),
        _ => {}
    }
}

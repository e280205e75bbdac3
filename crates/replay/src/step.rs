//! Sending one request, and judging its answer.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use playtrace_grant::TraceKey;
use playtrace_ledger::Record;
use playtrace_model::{RunToken, Slug};
use serde::Serialize;
use url::Url;

use crate::ReplayError;
use crate::hops::{self, Hop};
use crate::http::{Answer, Http, chain};
use crate::listener::{Line, Listener, Tone};
use crate::manifest::Manifest;
use crate::plan::Step;
use crate::quiet::Quiet;
use crate::trace::{TRACE, TRACE_RUN, TRACE_STATUS, TRACE_STEP, traced};

/// A replay that is traced.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The run's name.
    pub run: RunToken,
    /// The directory of shards and ledgers, if the player sees it.
    pub coverage_dir: Option<PathBuf>,
    /// Where a second copy of the player's records goes: for a merge that happens elsewhere.
    pub manifest_copy: Option<PathBuf>,
    /// Signs the headers, where the app asks for that (`PROFILE_TRACE_SECRET`).
    pub key: Option<TraceKey>,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepResult {
    /// Its number, counted from 1.
    pub step: u32,
    /// Its line in the recording, if it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The HTTP method.
    pub method: String,
    /// The URL that was sent.
    pub url: String,
    /// The status that is expected: the recorded one, or what a flow's request must be answered with.
    pub expected: u16,
    /// The status now; none if there was no answer.
    pub status: Option<u16>,
    /// From sending to the answer's last byte, in milliseconds; the last attempt's where there were several.
    pub duration_ms: u64,
    /// The same to the clock's precision, for those who compare.
    #[serde(skip)]
    pub took: Duration,
    /// The answer's length in bytes.
    pub bytes: u64,
    /// How often it was sent: more than once only where a poll rule says so.
    pub attempts: u32,
    /// The agent's word, `on` or `off; <reason>`; none without an agent or without tracing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The jobs that the answer names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Sends the steps of one replay.
pub(crate) struct Sender<'a> {
    pub(crate) http: &'a Http,
    pub(crate) slug: &'a Slug,
    pub(crate) count: u32,
    pub(crate) tracing: Option<&'a Tracing>,
    pub(crate) login_page: Option<&'a Url>,
    pub(crate) listener: &'a dyn Listener,
    /// Whether the app has answered anything yet.
    pub(crate) reached: bool,
    /// Whether an agent has answered yet.
    pub(crate) agent_seen: bool,
}

impl Sender<'_> {
    /// Sends a step; a wrong answer is a result, only what makes the whole run pointless is an error.
    pub(crate) async fn send(
        &mut self,
        step: &Step,
        manifest: &mut Manifest,
        quiet: &mut Quiet<'_>,
    ) -> Result<(StepResult, Option<Answer>), ReplayError> {
        if let Some(poll) = &step.poll {
            quiet.wait(poll.interval()).await;
        }
        self.tell_context(step);
        let (method, target) = (step.method.to_string(), step.target());
        manifest.append(&Record::Sent { step: step.index, method: method.clone(), target })?;
        let begun = Instant::now();
        let mut attempts = 0;
        let (answer, took) = loop {
            attempts += 1;
            let sent = Instant::now();
            let answer = self.attempt(step).await?;
            let not_yet = step.poll.as_ref().filter(|poll| {
                answer.as_ref().is_ok_and(|answer| poll.statuses.contains(&answer.status))
                    && begun.elapsed() < poll.timeout()
            });
            match not_yet {
                Some(poll) => tokio::time::sleep(poll.interval()).await,
                None => break (answer, sent.elapsed()),
            }
        };
        let mut result = StepResult {
            step: step.index,
            line: step.line,
            method,
            url: step.url.to_string(),
            expected: step.expected,
            status: None,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            took,
            bytes: 0,
            attempts,
            trace: None,
            jobs: Vec::new(),
            failure: None,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                manifest.append(&Record::Answered { step: step.index, status: None, trace: None })?;
                let why = chain(&error.without_url());
                if !self.reached {
                    let (method, url) = (result.method, result.url);
                    return Err(ReplayError::Unreachable { method, url, why });
                }
                result.failure = Some(format!("{}: no answer: {why}", name(step)));
                return Ok((result, None));
            }
        };
        self.reached = true;
        result.status = Some(answer.status);
        result.bytes = answer.length;
        if self.tracing.is_some() {
            result.trace = answer
                .headers
                .get(TRACE_STATUS)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
        let (status, trace) = (Some(answer.status), result.trace.clone());
        manifest.append(&Record::Answered { step: step.index, status, trace })?;
        self.check_agent(step, &answer, &result)?;
        result.failure = self.failure(step, &answer, begun.elapsed());
        Ok((result, Some(answer)))
    }

    /// The line that tells a step's result.
    pub(crate) fn tell(&self, step: &Step, result: &StepResult) {
        let line = self.heading(step);
        let mut line = match result.status {
            Some(status) => line.plain(" ").status(status),
            None => line.plain(" ").span(Tone::Bad, "no answer"),
        };
        line = line.plain(&format!(" ({} ms, {} bytes", result.duration_ms, result.bytes));
        if result.attempts > 1 {
            line = line.plain(&format!(", {} attempts", result.attempts));
        }
        line = line.plain(")");
        for job in &result.jobs {
            line = line.plain(" job ").span(Tone::Job, job);
        }
        self.listener.line(&line);
        if let Some(failure) = &result.failure {
            self.listener.line(&Line::log().span(Tone::Bad, &format!("  {failure}")));
        }
    }

    /// Number, method and URL.
    fn heading(&self, step: &Step) -> Line {
        heading(step, self.count)
    }

    fn tell_context(&self, step: &Step) {
        let recorded = step.line.map(|line| format!("line {line} of the recording, ")).unwrap_or_default();
        let mut line = Line::context().plain(&format!(
            "[{}/{}] {recorded}expects {}, {}",
            step.index, self.count, step.expected, step.body
        ));
        if let Some(tracing) = self.tracing {
            line = line.plain(&format!(
                "; {TRACE}: {}, {TRACE_RUN}: {}, {TRACE_STEP}: {}",
                self.slug, tracing.run, step.index
            ));
        }
        self.listener.line(&line);
    }

    async fn attempt(&self, step: &Step) -> Result<Result<Answer, reqwest::Error>, ReplayError> {
        if let Some((tracing, key)) = self.tracing.and_then(|tracing| Some((tracing, tracing.key.as_ref()?)))
        {
            return self.signed(step, tracing, key).await;
        }
        let mut request = self.http.following.request(step.method.clone(), step.url.clone());
        if let Some(tracing) = self.tracing {
            request = traced(request, (self.slug, &tracing.run, step.index), None);
        }
        let request = step.body.attach(request).await?;
        Ok(match request.send().await {
            Ok(response) => Answer::read(response).await,
            Err(error) => Err(error),
        })
    }

    /// The same with signatures: each redirect is a request with one of its own.
    async fn signed(
        &self,
        step: &Step,
        tracing: &Tracing,
        key: &TraceKey,
    ) -> Result<Result<Answer, reqwest::Error>, ReplayError> {
        let mut hop = Hop::first(&step.method, &step.url);
        let mut followed = 0;
        loop {
            let mut request = self.http.direct.request(hop.method.clone(), hop.url.clone());
            request = traced(request, (self.slug, &tracing.run, step.index), Some(key));
            if let Some((name, from)) = hop.referer() {
                request = request.header(name, from);
            }
            if hop.with_body {
                request = step.body.attach(request).await?;
            }
            let answer = match request.send().await {
                Ok(response) => Answer::read(response).await,
                Err(error) => Err(error),
            };
            let next = answer.as_ref().ok().and_then(|answer| hop.next(answer.status, &answer.headers));
            match next {
                // Where there is no end to them, the last one is the answer.
                Some(next) if followed < hops::MOST => hop = next,
                _ => return Ok(answer),
            }
            followed += 1;
        }
    }

    /// The first traced answer shows whether there is an agent at all; later ones are the verdict's business.
    fn check_agent(&mut self, step: &Step, answer: &Answer, result: &StepResult) -> Result<(), ReplayError> {
        if self.tracing.is_none() || self.agent_seen {
            return Ok(());
        }
        match result.trace.as_deref().map(str::trim) {
            Some("on") => {
                self.agent_seen = true;
                Ok(())
            }
            Some(status) => {
                let reason = status.strip_prefix("off;").unwrap_or(status).trim().to_owned();
                Err(ReplayError::AgentOff { url: step.url.to_string(), reason })
            }
            None => Err(ReplayError::NoAgent {
                url: step.url.to_string(),
                step: step.index,
                status: answer.status,
            }),
        }
    }

    fn failure(&self, step: &Step, answer: &Answer, waited: Duration) -> Option<String> {
        let name = name(step);
        if self.login_page.is_some_and(|page| page.path() == answer.url.path())
            && answer.url.path() != step.url.path()
        {
            return Some(format!(
                "{name}: sent to the log-in page: the app does not know the session (any more)"
            ));
        }
        if answer.status / 100 == step.expected / 100 {
            return None;
        }
        let excerpt = answer.excerpt();
        let excerpt = if excerpt.is_empty() { String::new() } else { format!(" ({excerpt})") };
        let waited = match &step.poll {
            Some(poll) if poll.statuses.contains(&answer.status) => {
                format!(", still after {} s", waited.as_secs())
            }
            _ => String::new(),
        };
        Some(format!("{name}: answered {} instead of {}{waited}{excerpt}", answer.status, step.expected))
    }
}

/// A step for people: `step 3 (POST /weppcloud/…)`.
fn name(step: &Step) -> String {
    format!("step {} ({} {})", step.index, step.method, step.target())
}

/// Number, method and URL of a step.
pub(crate) fn heading(step: &Step, count: u32) -> Line {
    let width = count.to_string().len();
    Line::log()
        .plain(&format!("[{:>width$}/{count}] {} ", step.index, step.method))
        .span(Tone::Url, step.url.as_str())
}

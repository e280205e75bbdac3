//! A whole replay: log-in, steps, jobs, end.

use std::time::{Duration, Instant};

use playtrace_ledger::{Outcome, Record};

use crate::ReplayError;
use crate::flow::FlowResult;
use crate::http::Http;
use crate::jobs::{JobResult, Watcher};
use crate::listener::{Line, Listener};
use crate::login;
use crate::manifest::Manifest;
use crate::plan::{Plan, PlanItem};
use crate::preset::{Preset, Reaction};
use crate::quiet::Quiet;
use crate::secret::Credentials;
use crate::step::{Sender, StepResult, Tracing, heading};

/// How a plan is played.
#[derive(Debug, Clone)]
pub struct PlayOptions {
    /// Who the player is to the app.
    pub credentials: Credentials,
    /// Set if the replay is traced.
    pub tracing: Option<Tracing>,
    /// How long each job is waited for; the preset's time if not set.
    pub job_timeout: Option<Duration>,
    /// The command that started the replay, without secrets: for the manifest.
    pub command: String,
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replay {
    /// The steps that were sent.
    pub steps: Vec<StepResult>,
    /// The jobs that were waited for.
    pub jobs: Vec<JobResult>,
    /// How many steps were not sent, because the preset says to stop after a failure.
    pub not_sent: u32,
    /// What came of the flow, if this was one.
    pub flow: Option<FlowResult>,
    /// From the first step to the end of the last job; neither log-in nor sandbox is in it.
    pub took: Duration,
}

impl Replay {
    /// A sentence for each step and job that went wrong, in order; empty if the replay did what the recording did.
    pub fn failures(&self) -> Vec<String> {
        let steps = self.steps.iter().filter_map(|step| step.failure.clone());
        let jobs = self.jobs.iter().filter_map(|job| job.failure.clone());
        let rest = (self.not_sent > 0).then(|| format!("{} steps were not sent after that", self.not_sent));
        let flow = self.flow.iter().filter_map(|flow| flow.failure.clone());
        steps.chain(jobs).chain(rest).chain(flow).collect()
    }

    /// How many jobs ran, those started by jobs included.
    pub fn job_count(&self) -> usize {
        self.jobs.iter().map(|job| job.tree.as_ref().map_or(1, |tree| tree.walk().len())).sum()
    }
}

impl Plan {
    /// Tells the plan: what would be sent, and what not, and why.
    pub fn tell(&self, listener: &dyn Listener) {
        for item in &self.items {
            listener.line(&match item {
                PlanItem::Step(step) => heading(step, self.step_count())
                    .plain(&format!(" expects {}, {}", step.expected, step.body)),
                PlanItem::Skip(skipped) => Line::log()
                    .plain(&format!("skipped: {} {} ({})", skipped.method, skipped.endpoint, skipped.reason)),
            });
        }
    }
}

/// Plays a plan against its app.
///
/// The sandbox is filled and the manifest written before the first step, after the log-in: an app that is not
/// there, or that does not let the player in, leaves nothing behind. An error after that is noted in the
/// manifest as a run that was broken off.
pub async fn play(
    plan: &Plan,
    preset: &Preset,
    options: &PlayOptions,
    listener: &dyn Listener,
) -> Result<Replay, ReplayError> {
    let http = Http::new(&plan.base, preset)?;
    let login_page = preset.login.as_ref().map(|rule| login::page_url(&plan.base, rule)).transpose()?;
    let reached = authenticate(&http, plan, preset, &options.credentials, listener).await?;
    if let Some(sandbox) = &plan.sandbox {
        let files = sandbox.fill()?;
        listener.line(&Line::log().plain(&format!("sandbox {} ({files} files)", sandbox.dir().display())));
    }
    let mut manifest = match &options.tracing {
        Some(tracing) => Manifest::open(plan, tracing, &options.command)?,
        None => Manifest::none(),
    };
    let sender = Sender {
        http: &http,
        slug: &plan.slug,
        count: plan.step_count(),
        tracing: options.tracing.as_ref(),
        login_page: login_page.as_ref(),
        listener,
        reached,
        agent_seen: false,
    };
    let watcher = preset.jobs.as_ref().map(|rule| Watcher::new(&http, &plan.base, rule, options.job_timeout));
    let quiet = Quiet::new(&plan.slug, options.tracing.as_ref());
    let mut session = Session {
        plan,
        preset,
        sender,
        watcher,
        quiet,
        manifest: &mut manifest,
        replay: Replay::default(),
        answer: None,
    };
    let begun = Instant::now();
    let played = session.run().await;
    let mut replay = session.replay;
    replay.took = begun.elapsed();
    match played {
        Ok(()) => {
            let failures = replay.failures();
            let outcome = if failures.is_empty() { Outcome::Passed } else { Outcome::Failed };
            manifest.end(outcome, failures)?;
            Ok(replay)
        }
        Err(error) => {
            // The first error is the one to tell, also where the ledger can't take this one any more.
            manifest.end(Outcome::Aborted, vec![error.to_string()]).ok();
            Err(error)
        }
    }
}

/// Logs in, if the app wants that; says whether the app has answered.
async fn authenticate(
    http: &Http,
    plan: &Plan,
    preset: &Preset,
    credentials: &Credentials,
    listener: &dyn Listener,
) -> Result<bool, ReplayError> {
    let Some(rule) = &preset.login else { return Ok(false) };
    let url = login::page_url(&plan.base, rule)?;
    match credentials {
        Credentials::Cookie(cookie) => {
            http.add_cookies(&url, cookie.expose());
            listener.line(&Line::log().plain("using the given cookie instead of logging in"));
            Ok(false)
        }
        Credentials::Login { email, password } => {
            login::log_in(http, &plan.base, rule, email, password).await?;
            listener.line(&Line::log().plain("logged in at ").span(crate::Tone::Url, url.as_str()));
            Ok(true)
        }
        Credentials::Anonymous => Err(ReplayError::LogIn {
            url: url.to_string(),
            why: "there are no credentials; set ADMIN_EMAIL and ADMIN_PASSWORD, or give --cookie".to_owned(),
        }),
    }
}

struct Session<'a> {
    plan: &'a Plan,
    preset: &'a Preset,
    sender: Sender<'a>,
    watcher: Option<Watcher<'a>>,
    quiet: Quiet<'a>,
    manifest: &'a mut Manifest,
    replay: Replay,
    /// What the app answered to a flow's request.
    answer: Option<serde_json::Value>,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), ReplayError> {
        let plan = self.plan;
        for item in &plan.items {
            let goes_on = match item {
                PlanItem::Skip(skipped) if skipped.wait => self.wait_for_jobs().await?,
                PlanItem::Skip(_) => true,
                PlanItem::Step(step) => {
                    // A page that reads what its jobs made waited for them.
                    let ready = if step.method == "GET" { self.wait_for_jobs().await? } else { true };
                    ready && self.step(step).await?
                }
            };
            if !goes_on {
                let sent = u32::try_from(self.replay.steps.len()).unwrap_or(u32::MAX);
                self.replay.not_sent = plan.step_count().saturating_sub(sent);
                break;
            }
        }
        self.wait_for_jobs().await?;
        self.conclude_flow()
    }

    /// Looks at what a flow was to make.
    fn conclude_flow(&mut self) -> Result<(), ReplayError> {
        let Some(flow) = &self.plan.flow else { return Ok(()) };
        let went_well = self.replay.failures().is_empty();
        let result = flow.conclude(self.answer.as_ref(), &self.replay.jobs, went_well)?;
        if let Some(text) = result.told() {
            self.sender.listener.line(&Line::log().plain(&text));
        }
        if let Some(failure) = &result.failure {
            self.sender.listener.line(&Line::log().span(crate::Tone::Bad, failure));
        }
        self.replay.flow = Some(result);
        Ok(())
    }

    /// Sends a step; says whether the run goes on.
    async fn step(&mut self, step: &crate::Step) -> Result<bool, ReplayError> {
        let (mut result, answer) = self.sender.send(step, self.manifest, &mut self.quiet).await?;
        if let (Some(watcher), Some(answer)) = (&mut self.watcher, &answer) {
            result.jobs = watcher.note(step.index, step.method.as_str(), answer);
        }
        if let Some(flow) = &self.plan.flow {
            self.answer = answer.as_ref().and_then(crate::http::Answer::json);
            result.failure = result.failure.or_else(|| flow.refusal(self.answer.as_ref()));
        }
        self.sender.tell(step, &result);
        let failed = result.failure.is_some();
        self.replay.steps.push(result);
        Ok(!(failed && self.preset.on_failure.step == Reaction::Stop))
    }

    /// Waits for the jobs that are under way; says whether the run goes on.
    async fn wait_for_jobs(&mut self) -> Result<bool, ReplayError> {
        let Some(watcher) = &mut self.watcher else { return Ok(true) };
        let ended = watcher.wait(self.sender.listener).await;
        let failed = ended.iter().any(|job| job.failure.is_some());
        for job in ended {
            for node in job.tree.iter().flat_map(crate::JobNode::walk) {
                self.manifest.append(&Record::Job {
                    job: node.id.clone(),
                    state: node.state.clone(),
                    function: node.function.clone(),
                    worker: node.worker.clone(),
                })?;
            }
            if job.tree.is_none()
                && let Some(failure) = &job.failure
            {
                self.sender.listener.line(&Line::log().span(crate::Tone::Bad, &format!("  {failure}")));
            }
            self.replay.jobs.push(job);
        }
        Ok(!(failed && self.preset.on_failure.job == Reaction::Stop))
    }
}

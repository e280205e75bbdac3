//! One run: from a profile's name to its verdict.

use std::path::{Path, PathBuf};
use std::time::Duration;

use playtrace_covdata::data::ContextPolicy;
use playtrace_model::{RunToken, Slug, Status, Verdict};
use playtrace_profile::{Library, Profile};
use playtrace_replay::{
    BaseUrl, Credentials, Flow, FlowKind, FlowRoots, Line, Listener, Plan, PlanOptions, PlayOptions,
    RUNS_DIR, Replay, RunOutcome, Secret, Summary, Tone, Tracing, play,
};
use uuid::Uuid;

use super::api::{FlowBody, RunBody, SAVED_MARK, VERDICT_MARK};
use super::artifact::{check_writable, copy_data, copy_to_its_place};
use super::settings::Settings;
use crate::clock;
use crate::exit::Exit;
use crate::finish::{Finished, MergeRun, Patience, finish_run};
use crate::messages::Failure;

/// A run that was checked and can begin.
#[derive(Debug)]
pub struct Prepared {
    settings: Settings,
    body: RunBody,
    plan: Plan,
    token: RunToken,
    summary: Summary,
}

/// A run that ended, one way or the other.
#[derive(Debug)]
pub struct Ended {
    /// What came of it; written beside the profiles unless it was a dry run.
    pub summary: Summary,
    /// How a command that did this run ends.
    pub exit: Exit,
    /// Why it could not be done, if so.
    pub failure: Option<Failure>,
}

/// Reads and checks everything that a replay needs. Nothing is sent or written, but that directories are tried.
pub fn prepare(settings: &Settings, slug: &str, body: RunBody) -> Result<Prepared, Failure> {
    prepare_work(settings, slug, None, body)
}

/// The same for a flow on the profile's snapshot, or, where none is named, for a replay of its recording.
pub fn prepare_work(
    settings: &Settings,
    slug: &str,
    flow: Option<FlowKind>,
    body: RunBody,
) -> Result<Prepared, Failure> {
    let settings = settings.clone();
    let library = Library::new(&settings.profiles_root);
    let profile = library.open_named(slug)?;
    let Some(base) = body.base_url.as_ref().or(settings.base_url.as_ref()) else {
        let why = "neither --base-url nor PROFILE_PLAYBACK_BASE_URL says where the app is";
        return Err(Failure::new(Exit::Usage, "PT-PLAY-005", why));
    };
    let base = BaseUrl::parse(base)?;
    let uuid = Uuid::new_v4();
    let options = PlanOptions { base: &base, run_root: settings.run_root.as_deref(), uuid };
    let plan = match flow {
        None => Plan::new(&profile, &settings.preset, options)?,
        Some(kind) => flow_plan(&profile, &settings, options, &flow_of(kind, &body.flow)?)?,
    };
    if plan.slug != profile.slug && library.has(&plan.slug) {
        let why = format!(
            "a {} of {slug} is traced as {}, and there is a profile of that name",
            flow.map_or("flow", FlowKind::as_str),
            plan.slug
        );
        return Err(Failure::new(Exit::BadInput, "PT-PLAY-009", why).help("rename that profile"));
    }
    if let Some(config) = &body.coverage_config {
        check_config(config)?;
    }
    if !body.dry_run {
        check_writable(&settings.profiles_root.join(RUNS_DIR), "the folder of run summaries")?;
        if body.trace_code {
            if settings.coverage_dir.is_dir() {
                check_writable(&settings.coverage_dir, "the coverage directory")?;
            }
            if let Some(dir) = export_dir(&settings, &body) {
                check_writable(dir, "the directory of the coverage copy (--coverage-dir)")?;
            }
        }
    }
    let token = RunToken::parse(&uuid.to_string())
        .map_err(|error| Failure::new(Exit::BadInput, "PT-PLAY-006", error.to_string()))?;
    let command = body
        .command
        .clone()
        .unwrap_or_else(|| format!("POST /{}/{}", flow.map_or("run", FlowKind::as_str), profile.slug));
    let summary = Summary::planned(&plan, token.clone(), command, started_at());
    Ok(Prepared { settings, body, plan, token, summary })
}

fn flow_plan(
    profile: &Profile,
    settings: &Settings,
    options: PlanOptions<'_>,
    flow: &Flow,
) -> Result<Plan, Failure> {
    let roots = FlowRoots { fork: settings.fork_root.as_deref(), archive: settings.archive_root.as_deref() };
    Ok(Plan::flow(profile, &settings.preset, options, roots, flow)?)
}

fn flow_of(kind: FlowKind, body: &FlowBody) -> Result<Flow, Failure> {
    if body.timeout_seconds == Some(0) {
        let why = "timeout_seconds is 0: nothing could be waited for";
        return Err(Failure::new(Exit::Usage, "PT-PLAY-010", why));
    }
    Ok(match kind {
        FlowKind::Fork => {
            Flow::Fork { undisturbify: body.undisturbify, target_runid: body.target_runid.clone() }
        }
        FlowKind::Archive => Flow::Archive { comment: body.comment.clone() },
    })
}

impl Prepared {
    /// The run's token.
    pub fn token(&self) -> &RunToken {
        &self.token
    }

    /// The slug under which the run is traced.
    pub fn slug(&self) -> &Slug {
        &self.plan.slug
    }

    /// Does the run. What goes wrong is in the result, and in the summary.
    pub async fn run(mut self, listener: &dyn Listener) -> Ended {
        self.announce(listener);
        if self.body.dry_run {
            self.plan.tell(listener);
            listener.line(&Line::log().plain("dry run: nothing was sent, deleted or written"));
            return Ended { summary: self.summary, exit: Exit::Success, failure: None };
        }
        let (exit, failure) = match self.play_and_finish(listener).await {
            Ok(exit) => (exit, None),
            Err(failure) => {
                self.summary.aborted(failure.message.clone());
                if self.body.trace_code {
                    let mut verdict = Verdict::new(Status::Failed);
                    verdict.reasons.push(failure.message.clone());
                    self.summary.verdict = Some(verdict);
                }
                (failure.exit, Some(failure))
            }
        };
        self.summary.exit_code = exit as u8;
        let (exit, failure) = match self.summary.write(&self.settings.profiles_root) {
            Ok(path) => {
                listener.line(&Line::context().plain(&format!("summary: {}", path.display())));
                (exit, failure)
            }
            Err(error) => (exit.max(Exit::Failed), failure.or(Some(error.into()))),
        };
        self.conclude(listener, failure.as_ref());
        Ended { summary: self.summary, exit, failure }
    }

    fn announce(&self, listener: &dyn Listener) {
        let plan = &self.plan;
        let line = Line::log().plain(&match &plan.flow {
            None => format!("profile {}: {} requests to ", plan.slug, plan.step_count()),
            Some(flow) => format!("{} of profile {}: asked of ", flow.kind.as_str(), plan.profile),
        });
        let line = line.span(Tone::Url, plan.base.as_str()).plain(&format!(", run {}", self.token));
        listener.line(&line.plain(if self.body.trace_code { ", traced" } else { "" }));
        for (name, id) in [("recorded run", &plan.source_run_id), ("sandbox run", &plan.sandbox_run_id)] {
            if let Some(id) = id {
                listener.line(&Line::context().plain(&format!("{name}: {id}")));
            }
        }
    }

    async fn play_and_finish(&mut self, listener: &dyn Listener) -> Result<Exit, Failure> {
        let tracing = self.body.trace_code.then(|| Tracing {
            run: self.token.clone(),
            coverage_dir: Some(self.settings.coverage_dir.clone()).filter(|dir| dir.is_dir()),
            manifest_copy: Some(self.manifest()),
            key: self.settings.trace_key.clone(),
        });
        let credentials = match &self.body.cookie {
            Some(cookie) => Credentials::Cookie(Secret::new(cookie)),
            None => self.settings.credentials.clone(),
        };
        let options = PlayOptions {
            credentials,
            tracing,
            job_timeout: self.job_timeout(),
            command: self.summary.command.clone(),
        };
        let replay = play(&self.plan, &self.settings.preset, &options, listener).await?;
        self.summary.played(&replay);
        if self.body.trace_code {
            self.finish(&replay, listener).await
        } else if replay.failures().is_empty() {
            Ok(Exit::Success)
        } else {
            Ok(Exit::Failed)
        }
    }

    fn job_timeout(&self) -> Option<Duration> {
        let seconds = if self.plan.flow.is_some() {
            let said = self.body.flow.timeout_seconds.or(self.body.job_timeout);
            Some(said.unwrap_or(FlowBody::USUAL_TIMEOUT))
        } else {
            self.body.job_timeout
        };
        seconds.map(Duration::from_secs)
    }

    /// Waits for the last records, merges, and copies.
    async fn finish(&mut self, replay: &Replay, listener: &dyn Listener) -> Result<Exit, Failure> {
        let dir = self.settings.coverage_dir.clone();
        let wanted = MergeRun {
            coverage_dir: dir.clone(),
            slug: self.plan.slug.clone(),
            run: Some(self.token.clone()),
            manifest: None,
            output: None,
            keep_shards: self.body.keep_shards.unwrap_or(true),
            contexts: ContextPolicy::Keep,
        };
        let given_up = replay.jobs.iter().any(|job| job.given_up);
        let patience = if given_up { Patience::given_up() } else { Patience::default() };
        let token = self.token.clone();
        // It waits for files and hashes data: no work for the threads that answer others.
        let finished = tokio::task::spawn_blocking(move || {
            let mut waited_for = None;
            let tell = |what: &str| waited_for = Some(what.to_owned());
            finish_run(&wanted, &token, patience, tell).map(|finished| (finished, waited_for))
        });
        let (finished, waited_for) = finished.await.map_err(|error| {
            Failure::new(Exit::Io, "PT-PLAY-007", format!("the merge was broken off: {error}"))
        })??;
        let merged = match finished {
            Finished::Merged(merged) => *merged,
            Finished::OutOfSight(why) => return Ok(self.cannot_see(&why, &dir, replay)),
        };
        if let Some(what) = waited_for {
            listener.line(&Line::log().plain(&format!("waited for: {what}")));
        }
        for sentence in merged.elsewhere.iter().chain(&merged.problems) {
            listener.line(&Line::log().span(Tone::Bad, sentence));
        }
        let exit = merged.exit();
        let mut artifact = merged.data_file;
        if let Some(export) = export_dir(&self.settings, &self.body) {
            let name = artifact.strip_prefix(&dir).unwrap_or(&artifact);
            artifact = if name.components().count() > 1 {
                // What stands beside a better run's data stands beside its copy.
                copy_data(&artifact, &export.join(name))?
            } else {
                let (copy, sentences) = copy_to_its_place(&artifact, &export.join(name))?;
                for sentence in sentences {
                    listener.line(&Line::log().span(Tone::Bad, &sentence));
                }
                copy
            };
        }
        listener.line(&Line::log().plain(&format!("{SAVED_MARK}{}", artifact.display())));
        self.summary.coverage_artifact = Some(artifact);
        self.summary.count_jobs(merged.verdict.jobs);
        self.summary.verdict = Some(merged.verdict.verdict);
        Ok(exit)
    }

    /// The verdict of a run whose shards lie where the player can't see them.
    fn cannot_see(&mut self, why: &str, dir: &Path, replay: &Replay) -> Exit {
        let mut verdict = Verdict::new(Status::Partial);
        for failure in replay.failures() {
            verdict.lower(Status::Failed, failure);
        }
        verdict.lower(
            Status::Partial,
            format!(
                "data not merged: {why}; run `playtrace combine --profile {} --run {} --manifest {} {}` where it is",
                self.plan.slug, self.token, self.manifest().display(), dir.display()
            ),
        );
        let exit = if verdict.status == Status::Failed { Exit::Failed } else { Exit::Partial };
        self.summary.verdict = Some(verdict);
        exit
    }

    /// The last lines of the log.
    fn conclude(&self, listener: &dyn Listener, failure: Option<&Failure>) {
        if let Some(failure) = failure {
            listener
                .line(&Line::log().span(Tone::Bad, &format!("error[{}]: {}", failure.code, failure.message)));
        }
        let (word, good, reasons, notes) = match &self.summary.verdict {
            Some(verdict) => {
                let good = matches!(verdict.status, Status::Complete | Status::Consistent);
                (verdict.status.as_str(), good, verdict.reasons.clone(), verdict.notes.clone())
            }
            None => match self.summary.outcome {
                RunOutcome::Passed => ("passed", true, Vec::new(), Vec::new()),
                RunOutcome::Aborted => ("aborted", false, Vec::new(), Vec::new()),
                _ => {
                    let failures = self.summary.report.lines().skip(1);
                    ("failed", false, failures.map(str::to_owned).collect(), Vec::new())
                }
            },
        };
        let line = Line::log().plain(VERDICT_MARK);
        listener.line(&line.span(if good { Tone::Good } else { Tone::Bad }, word));
        for reason in reasons {
            listener.line(&Line::log().plain(&format!("  {reason}")));
        }
        for note in notes {
            listener.line(&Line::log().plain(&format!("  note: {note}")));
        }
    }

    /// The player's own records, beside the summary.
    fn manifest(&self) -> PathBuf {
        self.settings.profiles_root.join(RUNS_DIR).join(format!("{}.manifest", self.token))
    }
}

/// Now, to the second: people read it.
fn started_at() -> String {
    let now = clock::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

fn export_dir<'a>(settings: &'a Settings, body: &'a RunBody) -> Option<&'a PathBuf> {
    body.coverage_dir.as_ref().or(settings.export_dir.as_ref())
}

/// The agent reads its configuration when it starts; a run can only see to it that the one it is meant for is sound.
fn check_config(path: &Path) -> Result<(), Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    playtrace_covdata::config::CoverageConfig::read(path, &environment).map(drop).map_err(Failure::from)
}

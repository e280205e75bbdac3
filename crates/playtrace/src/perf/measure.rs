//! The rounds: each profile replayed in each way, again and again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use playtrace_grant::TraceKey;
use playtrace_model::RunToken;
use playtrace_profile::Profile;
use playtrace_replay::{
    BaseUrl, Credentials, Line, Listener, Plan, PlanOptions, PlayOptions, Preset, ProbeTrace, Prober, Replay,
    Tracing, play,
};
use uuid::Uuid;

use super::analyse::noise;
use super::{Arm, SLUG, route};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::own_runs::OwnRuns;

/// Jobs and results are asked for so often: what the player waits too long would be noise.
const LOOK_EVERY_MS: u64 = 50;
/// A profile of which so many rounds failed is given up.
const FAILURES: usize = 3;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The app with the agent.
    pub base: BaseUrl,
    /// The app without it, if there is one.
    pub plain: Option<BaseUrl>,
    /// How it wants to be replayed.
    pub preset: Preset,
    /// Who the player is, to both.
    pub credentials: Credentials,
    /// Signs the headers of what is traced.
    pub trace_key: Option<TraceKey>,
    /// Where sandboxes lie, if this machine sees it.
    pub run_root: Option<PathBuf>,
    /// The directory of shards; it need not exist here.
    pub coverage_dir: PathBuf,
    /// How long each job is waited for.
    pub job_timeout: Option<Duration>,
    /// Rounds that count.
    pub rounds: usize,
    /// So many at most, as long as the twins differ by more than [`Self::precision`].
    pub max_rounds: usize,
    /// How far from 1 the ratio of two twins may reach for the measurement to tell something.
    pub precision: f64,
    /// Rounds before them that don't: caches are filled, modules imported.
    pub warmup: usize,
}

impl Asked {
    /// Whether another round is wanted. The twins decide, who say nothing about tracing: were it the costs, a measurement
    /// would be likelier to end while chance makes them look better or worse than they are.
    fn wants_more(&self, measured: &Measured) -> bool {
        let done = measured.rounds.len();
        done < self.rounds
            || (done < self.max_rounds && noise(measured).is_none_or(|noise| noise > self.precision))
    }
}

/// What one replay took, in seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Each request, in the plan's order.
    pub steps: Vec<f64>,
    /// All of it, from the first request to the end of the last job.
    pub whole: f64,
}

/// What was measured of a profile.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// The endpoint of each step.
    pub endpoints: Vec<String>,
    /// Rounds in which each replay passed: what each way took.
    pub rounds: Vec<BTreeMap<Arm, Sample>>,
    /// A sentence for each replay that did not pass.
    pub failures: Vec<String>,
    /// Whether it was given up.
    pub given_up: bool,
}

/// Replays one profile in all ways. A replay that goes wrong makes its round not count; three of them end it.
pub async fn measure(
    asked: &Asked,
    profile: &Profile,
    listener: &dyn Listener,
    left: &mut OwnRuns,
) -> Result<Measured, Failure> {
    let mut preset = asked.preset.clone();
    if let Some(jobs) = &mut preset.jobs {
        jobs.interval_ms = jobs.interval_ms.min(LOOK_EVERY_MS);
    }
    for poll in &mut preset.poll {
        poll.interval_ms = poll.interval_ms.min(LOOK_EVERY_MS);
    }
    let mut player = Player { asked, profile, preset: &preset, listener, left: &mut *left };
    let arms = Arm::all(asked.plain.is_some());
    let mut measured = Measured::default();
    let mut round = 0;
    while !measured.given_up && asked.wants_more(&measured) {
        let counts = round >= asked.warmup;
        let mut samples = BTreeMap::new();
        for arm in Arm::order(&arms, round) {
            match player.replay(arm).await? {
                (endpoints, Ok(sample)) => {
                    measured.endpoints = endpoints;
                    samples.insert(arm, sample);
                }
                (_, Err(why)) => {
                    measured.failures.push(format!("{} replay in round {}: {why}", arm.as_str(), round + 1));
                }
            }
        }
        round += 1;
        measured.given_up = measured.failures.len() >= FAILURES;
        let number = measured.rounds.len() + 1;
        let what = match number {
            _ if !counts => "warm-up".to_owned(),
            number if number <= asked.rounds => format!("round {number} of {}", asked.rounds),
            _ => format!("noisy, so round {number} of at most {}", asked.max_rounds),
        };
        listener.line(&Line::context().plain(&format!("{}: {what}: {}", profile.slug, brief(&samples))));
        if counts && samples.len() == arms.len() {
            measured.rounds.push(samples);
        }
    }
    left.clear().await;
    Ok(measured)
}

/// Makes sure that what is to be the app without an agent is one.
pub async fn check_plain(asked: &Asked, left: &mut OwnRuns) -> Result<(), Failure> {
    let Some(plain) = &asked.plain else { return Ok(()) };
    let prober = Prober::new(plain.clone(), asked.preset.clone())?.signing(asked.trace_key.clone());
    let page = prober.login_page()?.map_or_else(|| prober.page("/"), Ok)?;
    let (slug, run) = left.begin(SLUG)?;
    let reply = prober.get(&page, Some(&ProbeTrace { slug, run, step: 1 })).await;
    // An agent may be writing yet when its answer is here.
    left.clear().await;
    match reply?.trace {
        None => Ok(()),
        Some(said) => Err(Failure::new(
            Exit::Usage,
            "PT-PERF-002",
            format!("there is an agent in the app at --plain-url {} (it says {said:?})", plain.as_str()),
        )
        .help("start that one without ENABLE_PROFILE_COVERAGE, or leave --plain-url out")),
    }
}

fn brief(samples: &BTreeMap<Arm, Sample>) -> String {
    let words = samples.iter().map(|(arm, sample)| format!("{} {:.2} s", arm.as_str(), sample.whole));
    words.collect::<Vec<_>>().join(", ")
}

struct Player<'a> {
    asked: &'a Asked,
    profile: &'a Profile,
    preset: &'a Preset,
    listener: &'a dyn Listener,
    left: &'a mut OwnRuns,
}

impl Player<'_> {
    /// One replay: the endpoints of its steps, and what they took or why that does not count.
    async fn replay(&mut self, arm: Arm) -> Result<(Vec<String>, Result<Sample, String>), Failure> {
        let asked = self.asked;
        let base = match (arm, &asked.plain) {
            (Arm::Plain | Arm::Twin, Some(plain)) => plain,
            _ => &asked.base,
        };
        let options = PlanOptions { base, run_root: asked.run_root.as_deref(), uuid: Uuid::new_v4() };
        let mut plan = Plan::new(self.profile, self.preset, options)?;
        if let Some(sandbox) = plan.run_dir() {
            self.left.add_directory(sandbox);
        }
        let tracing = match arm {
            Arm::Traced => {
                let (slug, run): (_, RunToken) = self.left.begin(SLUG)?;
                plan.slug = slug;
                // Without the player's own records: they would be read between steps, and in this way only.
                Some(Tracing { run, coverage_dir: None, manifest_copy: None, key: asked.trace_key.clone() })
            }
            _ => None,
        };
        let play_options = PlayOptions {
            credentials: asked.credentials.clone(),
            tracing,
            job_timeout: asked.job_timeout,
            command: String::new(),
        };
        let replay = play(&plan, self.preset, &play_options, &Silent(self.listener)).await?;
        self.left.clear_directories();
        let run_ids: Vec<&str> =
            [&plan.sandbox_run_id, &plan.source_run_id].into_iter().flatten().map(String::as_str).collect();
        let endpoints = plan
            .steps()
            .map(|step| route::template(step.method.as_str(), step.url.path(), &run_ids))
            .collect();
        Ok((endpoints, sample(&replay, arm)))
    }
}

fn sample(replay: &Replay, arm: Arm) -> Result<Sample, String> {
    if let Some(failure) = replay.failures().into_iter().next() {
        return Err(failure);
    }
    let untraced = |step: &&playtrace_replay::StepResult| step.trace.as_deref().map(str::trim) != Some("on");
    if arm == Arm::Traced
        && let Some(step) = replay.steps.iter().find(untraced)
    {
        let said = step.trace.as_deref().unwrap_or("nothing about tracing");
        return Err(format!(
            "step {} ({} {}) was not traced: the answer says {said}",
            step.step, step.method, step.url
        ));
    }
    Ok(Sample {
        steps: replay.steps.iter().map(|step| step.took.as_secs_f64()).collect(),
        whole: replay.took.as_secs_f64(),
    })
}

/// Hears the log of dozens of replays as context, for those who look closer.
struct Silent<'a>(&'a dyn Listener);

impl Listener for Silent<'_> {
    fn line(&self, line: &Line) {
        let mut line = line.clone();
        line.channel = playtrace_replay::Channel::Log;
        self.0.line(&line);
    }
}

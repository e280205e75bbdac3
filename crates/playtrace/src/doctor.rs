//! `playtrace doctor`: is this stack ready to be traced, and if not, what is to be done.
//!
//! First everything is looked at ([`Facts`]), then each check judges what was seen. Nothing is changed but for what the
//! probe's own runs leave, and that is removed.

mod agents;
mod app;
mod clocks;
mod concurrency;
mod directory;
pub mod finding;
mod header;
mod overlap;
mod process;
mod queues;
mod redis;
mod service;
pub mod show;
mod signature;
mod storage;
mod web;
mod workers;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use playtrace_grant::TraceKey;
use playtrace_ledger::{EnabledProcess, Layout, Record, Role, RunLedger, enabled_processes};
use playtrace_model::{RunToken, Slug};
use playtrace_replay::{BaseUrl, Credentials, Preset, Prober};

use self::app::App;
use self::finding::{Check, Finding};
use self::redis::RedisLook;
use self::service::Health;
use crate::messages::Failure;
use crate::own_runs::{Kind, OwnRuns};
use crate::service::client::ServiceClient;

/// The profile that the doctor's requests are traced for.
pub const SLUG: &str = "playtrace-doctor";
/// The two of the concurrency probe.
const SLUGS: [&str; 2] = ["playtrace-doctor-a", "playtrace-doctor-b"];
/// The doctor's own runs.
pub const RUNS: Kind = Kind { name: "doctor", slugs: &[SLUG, SLUGS[0], SLUGS[1]], code: "PT-DOCTOR-001" };
/// How long records are waited for that were promised by an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the doctor is asked to look at.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The app, if one is named.
    pub base: Option<BaseUrl>,
    /// The playback service.
    pub service: ServiceClient,
    /// Redis, if one is named.
    pub redis_url: Option<String>,
    /// The directory of shards and ledgers, as it is called here.
    pub coverage_dir: PathBuf,
    /// How the app wants to be replayed.
    pub preset: Preset,
    /// Who the player is.
    pub credentials: Credentials,
    /// Signs the headers of what is traced.
    pub trace_key: Option<TraceKey>,
    /// Two pages of the app that execute different code, for the concurrency probe.
    pub paths: [String; 2],
    /// The least room that there is to be, in bytes.
    pub min_free: u64,
    /// By how many seconds clocks may differ.
    pub max_skew: f64,
    /// What is not to be looked at.
    pub skip: BTreeSet<Check>,
}

/// What was seen.
struct Facts {
    health: Result<Health, String>,
    app: Option<Result<App, String>>,
    redis: Option<Result<RedisLook, String>>,
    layout: Layout,
    /// Whether the coverage directory can be seen from here.
    has_directory: bool,
    /// All boot records in it.
    enabled: Vec<EnabledProcess>,
    /// What the app's side wrote about the probe's requests.
    probed: RunLedger,
    /// How many of them came to the app without their run.
    strays: usize,
    /// The workers, and what is known of each one's agent.
    workers: Vec<workers::Seen>,
}

/// Looks at everything, and judges. What its requests have left is in `left`.
pub async fn examine(asked: &Asked, left: &mut OwnRuns) -> Result<Vec<Finding>, Failure> {
    let run = left.begin(SLUG)?;
    let facts = look(asked, &run).await?;
    let mut findings = vec![service::check(asked.service.url(), &facts.health)];
    findings.extend(app::check(facts.app.as_ref()));
    findings.extend(web::check(&facts));
    findings.push(signature::check(asked.trace_key.is_some(), &facts));
    findings.extend(header::check(&facts));
    findings.extend(workers::check(&facts));
    findings.extend(queues::check(&facts));
    findings.extend(agents::check(&facts));
    findings.extend(directory::check(asked, &facts));
    findings.extend(storage::check(asked, &facts)?);
    findings.push(clocks::check(asked.max_skew, &facts));
    findings.push(if asked.skip.contains(&Check::ProbeConcurrency) {
        Check::ProbeConcurrency.not_checked("")
    } else {
        concurrency::check(asked, &facts, left).await?
    });
    for finding in &mut findings {
        if asked.skip.contains(&finding.id) {
            *finding = finding.id.not_checked("you said so (--skip)");
        }
    }
    findings.sort_by_key(|finding| finding.id);
    Ok(findings)
}

async fn look(asked: &Asked, run: &(Slug, RunToken)) -> Result<Facts, Failure> {
    let layout = Layout::new(&asked.coverage_dir);
    let before = strays(&layout, &run.0)?;
    let health = service::look(&asked.service).await;
    let app = match &asked.base {
        Some(base) => {
            let prober = Prober::new(base.clone(), asked.preset.clone())?.signing(asked.trace_key.clone());
            Some(app::look(&prober, base, asked, run).await)
        }
        None => None,
    };
    let redis = match asked.redis_url.clone() {
        Some(url) => tokio::task::spawn_blocking(move || redis::look(&url)).await.ok(),
        None => None,
    };
    let traced = app.as_ref().and_then(|app| app.as_ref().ok()).map_or(0, App::traced);
    let (probed, strays) = await_requests(&layout, run, before, traced).await?;
    let enabled = enabled_processes(&layout)?;
    let mut facts = Facts {
        health,
        app,
        redis,
        has_directory: asked.coverage_dir.is_dir(),
        layout,
        enabled,
        probed,
        strays,
        workers: Vec::new(),
    };
    facts.workers = workers::look(&facts, &asked.coverage_dir);
    Ok(facts)
}

/// The records of a run, once so many requests are in it, or patience is over; and how many came without their run since there
/// were `before`.
async fn await_requests(
    layout: &Layout,
    (slug, run): &(Slug, RunToken),
    before: usize,
    wanted: usize,
) -> Result<(RunLedger, usize), Failure> {
    let begun = Instant::now();
    loop {
        let ledger = RunLedger::read(layout, slug, run)?;
        let strays = strays(layout, slug)?.saturating_sub(before);
        if requests(&ledger) + strays >= wanted || begun.elapsed() > PATIENCE {
            return Ok((ledger, strays));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many requests of a profile came to the app without a run.
fn strays(layout: &Layout, slug: &Slug) -> Result<usize, Failure> {
    Ok(requests(&RunLedger::read(layout, slug, &RunToken::untokened())?))
}

/// How many requests a run's ledger knows of.
fn requests(ledger: &RunLedger) -> usize {
    let entries = ledger.entries();
    entries.filter(|entry| matches!(entry.record, Record::Open { .. })).count()
}

impl Facts {
    /// The app's answers, if it gave any.
    fn answers(&self) -> Option<&App> {
        self.app.as_ref()?.as_ref().ok()
    }

    /// How many of the probe's requests the app's side has recorded, with their run or without it.
    fn recorded(&self) -> usize {
        requests(&self.probed) + self.strays
    }

    /// Web processes that have the agent on and run now, as far as that can be seen from here.
    fn web_processes(&self) -> impl Iterator<Item = &EnabledProcess> {
        self.enabled.iter().filter(|process| {
            process.role == Role::Web && process.is_alive() == Some(true) && !self.is_worker(process)
        })
    }

    /// Workers of other queues than RQ that have the agent on and run now, as far as that can be seen from here.
    fn queue_workers(&self) -> impl Iterator<Item = &EnabledProcess> {
        self.enabled.iter().filter(|process| {
            queues::is_worker(process)
                && process.is_alive() == Some(true)
                && !self.workers.iter().any(|worker| worker.is(process))
        })
    }

    /// Whether a process runs jobs.
    fn is_worker(&self, process: &EnabledProcess) -> bool {
        queues::is_worker(process) || self.workers.iter().any(|worker| worker.is(process))
    }
}

//! What will be sent, decided and checked before anything is.

use std::path::{Path, PathBuf};

use playtrace_model::Slug;
use playtrace_profile::{Outcome, Profile, RecordedStep};
use reqwest::Method;
use url::Url;
use uuid::Uuid;

use crate::ReplayError;
use crate::address::{Address, Addresses, BaseUrl};
use crate::body::Body;
use crate::flow::FlowPlan;
use crate::preset::{PollRule, Preset};
use crate::rewrite::RunIdRewriter;
use crate::sandbox::Sandbox;

/// A profile made ready for one app: each request as it will be sent.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The slug under which it is traced: the profile's, or the flow's.
    pub slug: Slug,
    /// The profile.
    pub profile: Slug,
    /// The app.
    pub base: BaseUrl,
    /// The recorded run's id, if the recording names one.
    pub source_run_id: Option<String>,
    /// The id that replaces it.
    pub sandbox_run_id: Option<String>,
    /// The sandbox directory, if there is a place for one.
    pub sandbox: Option<Sandbox>,
    /// What happens, in order.
    pub items: Vec<PlanItem>,
    /// Set if this is no replay of the recording but a flow on the snapshot.
    pub flow: Option<FlowPlan>,
}

/// One thing in the plan.
#[derive(Debug, Clone)]
pub enum PlanItem {
    /// A request is sent.
    Step(Step),
    /// A recorded request is left out.
    Skip(Skipped),
}

/// A request that will be sent.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number, counted from 1 over the requests that are sent: `X-Profile-Trace-Step`.
    pub index: u32,
    /// Its line in the recording, if it was recorded.
    pub line: Option<usize>,
    /// The HTTP method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Its body.
    pub body: Body,
    /// The recorded status, or the one that a flow's request must be answered with.
    pub expected: u16,
    /// Set if "not yet" is an answer that is asked again.
    pub poll: Option<PollRule>,
}

/// A recorded request that will not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its line in the recording.
    pub line: usize,
    /// The HTTP method.
    pub method: String,
    /// The recorded endpoint.
    pub endpoint: String,
    /// Why, for people.
    pub reason: String,
    /// Whether the recorded page waited for its jobs here.
    pub wait: bool,
}

/// Where and as whom a profile is replayed.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions<'a> {
    /// The app.
    pub base: &'a BaseUrl,
    /// `PROFILE_PLAYBACK_RUN_ROOT`: where sandboxes lie, if this machine sees it.
    pub run_root: Option<&'a Path>,
    /// Names the sandbox.
    pub uuid: Uuid,
}

impl Plan {
    /// Makes a profile ready. Nothing is sent or written; files that will be needed are looked for.
    pub fn new(profile: &Profile, preset: &Preset, options: PlanOptions<'_>) -> Result<Self, ReplayError> {
        let PlanOptions { base, run_root, uuid } = options;
        let recording = &profile.recording;
        let source_run_id = preset.run_id.as_ref().and_then(|rule| {
            recording.steps.iter().find_map(|step| rule.pattern.first_group(path_of(&step.request.endpoint)))
        });
        let sandbox_run_id =
            preset.run_id.as_ref().map(|rule| rule.sandbox.replace("{uuid}", &uuid.to_string()));
        let rewriter = match (source_run_id, &sandbox_run_id) {
            (Some(from), Some(to)) => Some(RunIdRewriter::new(from, to)),
            _ => None,
        };
        let sandbox = Sandbox::plan(profile, preset, run_root, uuid)?;
        let planner = Planner {
            profile,
            preset,
            addresses: Addresses::new(base, recording.root_url.as_deref(), &preset.host_paths),
            rewriter,
        };
        let (mut items, mut index) = (Vec::new(), 0);
        for recorded in &recording.steps {
            let item = planner.item(recorded, index + 1)?;
            if matches!(item, PlanItem::Step(_)) {
                index += 1;
            }
            items.push(item);
        }
        if index == 0 {
            let (path, preset) = (recording.path.clone(), preset.name.clone());
            return Err(ReplayError::NothingToReplay { path, preset });
        }
        Ok(Self {
            slug: profile.slug.clone(),
            profile: profile.slug.clone(),
            base: base.clone(),
            source_run_id: source_run_id.map(str::to_owned),
            sandbox_run_id,
            sandbox,
            items,
            flow: None,
        })
    }

    /// The requests that will be sent.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.items.iter().filter_map(|item| match item {
            PlanItem::Step(step) => Some(step),
            PlanItem::Skip(_) => None,
        })
    }

    /// How many requests will be sent.
    pub fn step_count(&self) -> u32 {
        self.steps().last().map_or(0, |step| step.index)
    }

    /// The sandbox directory.
    pub fn run_dir(&self) -> Option<PathBuf> {
        self.sandbox.as_ref().map(|sandbox| sandbox.dir().to_owned())
    }
}

impl Step {
    /// Path and query, for people and the ledger.
    pub fn target(&self) -> String {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.url.path())
    }
}

/// The path of a recorded endpoint, without origin and query.
pub(crate) fn path_of(endpoint: &str) -> &str {
    let end = endpoint.find(['?', '#']).unwrap_or(endpoint.len());
    let endpoint = &endpoint[..end];
    match endpoint.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => endpoint,
    }
}

struct Planner<'a> {
    profile: &'a Profile,
    preset: &'a Preset,
    addresses: Addresses<'a>,
    rewriter: Option<RunIdRewriter>,
}

impl Planner<'_> {
    fn item(&self, recorded: &RecordedStep, index: u32) -> Result<PlanItem, ReplayError> {
        let request = &recorded.request;
        let path = path_of(&request.endpoint);
        let skip = |reason: String, wait| {
            let (method, endpoint) = (request.method.to_uppercase(), request.endpoint.clone());
            Ok(PlanItem::Skip(Skipped { line: recorded.line, method, endpoint, reason, wait }))
        };
        if let Some(rule) = self.preset.skips(path) {
            return skip(rule.reason.clone(), rule.wait);
        }
        let expected = match &recorded.outcome {
            Outcome::Answered(status @ 200..=299) => *status,
            Outcome::Answered(status) => return skip(format!("answered {status} in the recording"), false),
            Outcome::Failed(failure) => {
                let why = failure.message.as_deref().or(failure.name.as_deref()).unwrap_or("no reason");
                return skip(format!("failed in the recording ({why})"), false);
            }
            Outcome::Unanswered => return skip("not answered in the recording".to_owned(), false),
        };
        let unplayable = |why: String| ReplayError::Unplayable {
            path: self.profile.recording.path.clone(),
            line: recorded.line,
            why,
        };
        let address = self
            .addresses
            .locate(&self.rewrite(&request.endpoint))
            .map_err(|error| unplayable(format!("{:?} is no URL: {error}", request.endpoint)))?;
        let url = match address {
            Address::App(url) => url,
            Address::Elsewhere(host) => return skip(format!("goes to another host, {host}"), false),
        };
        let method = Method::from_bytes(request.method.to_uppercase().as_bytes())
            .map_err(|_| unplayable(format!("{:?} is no HTTP method", request.method)))?;
        let body = Body::rebuild(recorded, path, self.profile, self.preset, |text| self.rewrite(text))
            .map_err(unplayable)?;
        let poll = self.preset.polls(method.as_str(), path).cloned();
        Ok(PlanItem::Step(Step { index, line: Some(recorded.line), method, url, body, expected, poll }))
    }

    fn rewrite(&self, text: &str) -> String {
        self.rewriter.as_ref().map_or_else(|| text.to_owned(), |rewriter| rewriter.rewrite(text))
    }
}

//! Flows: what the app does with a run as a whole, asked for on a profile's snapshot.
//!
//! A flow is a session of one request: the sandbox is filled from the snapshot, the app is asked to fork or archive it, and the
//! job is followed to its end. What WEPPcloud's answers and requests look like stands in the preset (`[flows]`).

use std::path::{Path, PathBuf};

use playtrace_model::{InvalidSlug, Slug};
use playtrace_profile::Profile;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ReplayError;
use crate::body::Body;
use crate::jobs::JobResult;
use crate::plan::{Plan, PlanItem, PlanOptions, Step, path_of};
use crate::preset::{FlowRule, Preset};
use crate::sandbox::{Sandbox, copy_tree};

/// Characters of an archive's comment, as WEPPcloud limits them.
const COMMENT_MAX: usize = 200;

/// Which flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowKind {
    /// The run is copied to a new one.
    Fork,
    /// The run is packed.
    Archive,
}

impl FlowKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Archive => "archive",
        }
    }

    /// The slug under which a flow on `profile` is traced: `<profile>-fork`, `<profile>-archive`.
    ///
    /// It is not the profile's own: data of one request must not replace, or mix with, that of the recorded session.
    pub fn slug(self, profile: &Slug) -> Result<Slug, InvalidSlug> {
        Slug::parse(&format!("{profile}-{}", self.as_str()))
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// A copy of the run.
    Fork {
        /// The copy is without the fire.
        undisturbify: bool,
        /// The copy's run id; the preset's if not said.
        target_runid: Option<String>,
    },
    /// An archive of the run.
    Archive {
        /// Is kept with the archive.
        comment: Option<String>,
    },
}

/// Where what flows make lies, if this machine sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlowRoots<'a> {
    /// `PROFILE_PLAYBACK_FORK_ROOT`.
    pub fork: Option<&'a Path>,
    /// `PROFILE_PLAYBACK_ARCHIVE_ROOT`.
    pub archive: Option<&'a Path>,
}

/// What a plan knows of its flow besides the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPlan {
    /// Which flow.
    pub kind: FlowKind,
    /// The run id that the result is to have.
    pub target: Option<String>,
    /// Where the result is to lie.
    pub directory: Option<PathBuf>,
    /// The sandbox's folder of archives.
    archives: Option<PathBuf>,
    comment: Option<String>,
    run_id_keys: Vec<String>,
    success_keys: Vec<String>,
    error_keys: Vec<String>,
}

/// What came of a flow; its keys are those of WEPPcloud's own playback service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowResult {
    /// Which flow.
    pub kind: FlowKind,
    /// The job that did it.
    pub job_id: Option<String>,
    /// The state in which the job was seen last.
    pub status: Option<String>,
    /// The copy's run id, as the app names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_run_id: Option<String>,
    /// Where the copy lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_dir: Option<PathBuf>,
    /// The id under which the app shows the archives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_run_id: Option<String>,
    /// Where the archives lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_dir: Option<PathBuf>,
    /// Their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archives: Option<Vec<String>>,
    /// The comment that was sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Flow {
    /// Which flow it is.
    pub const fn kind(&self) -> FlowKind {
        match self {
            Self::Fork { .. } => FlowKind::Fork,
            Self::Archive { .. } => FlowKind::Archive,
        }
    }

    /// The value of a field's placeholder; none if nothing was said, and the field is left out.
    fn value(&self, placeholder: &str, target: Option<&str>) -> Option<String> {
        match (self, placeholder) {
            (Self::Fork { undisturbify, .. }, "{undisturbify}") => Some(undisturbify.to_string()),
            (Self::Fork { .. }, "{target_runid}") => target.map(str::to_owned),
            (Self::Archive { comment }, "{comment}") => comment.clone(),
            (_, "{undisturbify}" | "{target_runid}" | "{comment}") => None,
            (_, constant) => Some(constant.to_owned()),
        }
    }

    fn fields(
        &self,
        rule: &std::collections::BTreeMap<String, String>,
        target: Option<&str>,
    ) -> Vec<(String, String)> {
        rule.iter().filter_map(|(name, value)| Some((name.clone(), self.value(value, target)?))).collect()
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Fork { target_runid: Some(id), .. } if id.trim().is_empty() => {
                Err("the target's run id is empty".to_owned())
            }
            Self::Archive { comment: Some(text) } if text.chars().count() > COMMENT_MAX => {
                Err(format!("the comment has more than {COMMENT_MAX} characters"))
            }
            _ => Ok(()),
        }
    }
}

impl Plan {
    /// Makes a flow on a profile's snapshot ready. Nothing is sent or written.
    pub fn flow(
        profile: &Profile,
        preset: &Preset,
        options: PlanOptions<'_>,
        roots: FlowRoots<'_>,
        flow: &Flow,
    ) -> Result<Self, ReplayError> {
        let PlanOptions { base, run_root, uuid } = options;
        let kind = flow.kind();
        let refused =
            |why: String| ReplayError::Flow { slug: profile.slug.to_string(), flow: kind.as_str(), why };
        flow.check().map_err(refused)?;
        let slug = kind.slug(&profile.slug).map_err(|error| refused(error.to_string()))?;
        let (Some(rules), Some(run_id)) = (&preset.flows, &preset.run_id) else {
            return Err(refused(format!("preset {} has no [flows] and [run_id]", preset.name)));
        };
        let rule = match kind {
            FlowKind::Fork => rules.fork.as_ref(),
            FlowKind::Archive => rules.archive.as_ref(),
        }
        .ok_or_else(|| refused(format!("preset {} has no [flows.{}]", preset.name, kind.as_str())))?;
        let Some(snapshot) = &profile.snapshot else {
            return Err(refused(format!("it has no snapshot ({})", profile.dir.join("run").display())));
        };
        let endpoints = || profile.recording.steps.iter().map(|step| path_of(&step.request.endpoint));
        let config = match config_in(&snapshot.join(&rules.config_file)) {
            Some(config) => config,
            None => endpoints()
                .find_map(|path| rules.config_pattern.first_group(path))
                .map(str::to_owned)
                .ok_or_else(|| {
                    refused(format!(
                        "neither {} in its snapshot nor its recording names the run's configuration",
                        rules.config_file
                    ))
                })?,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !config.chars().all(plain) || config.starts_with('.') {
            return Err(refused(format!("{config:?} is no name of a configuration")));
        }
        let id = uuid.to_string();
        let sandbox_run_id = run_id.sandbox.replace("{uuid}", &id);
        let sandbox = Sandbox::plan(profile, preset, run_root, uuid)?;
        let usual_target = rule.target.as_ref().map(|target| target.replace("{uuid}", &id));
        let asked = match flow {
            Flow::Fork { target_runid, .. } => target_runid.clone(),
            Flow::Archive { .. } => None,
        };
        let root = match kind {
            FlowKind::Fork => roots.fork,
            FlowKind::Archive => roots.archive,
        };
        // Where a run with an id of somebody's own lies is the app's business.
        let directory =
            root.filter(|_| asked.is_none()).map(|root| root.join(rule.directory.replace("{uuid}", &id)));
        let target = asked.or(usual_target);
        let path = rule.endpoint.replace("{run_id}", &sandbox_run_id).replace("{config}", &config);
        let url = base.under(&path).map_err(|error| refused(format!("{path:?} is no URL: {error}")))?;
        let step = Step {
            index: 1,
            line: None,
            method: Method::POST,
            url,
            body: body(rule, flow, target.as_deref()),
            expected: 200,
            poll: None,
        };
        let archives =
            sandbox.as_ref().zip(rule.archives.as_ref()).map(|(sandbox, name)| sandbox.dir().join(name));
        let flow = FlowPlan {
            kind,
            target,
            directory,
            archives,
            comment: match flow {
                Flow::Archive { comment } => comment.clone(),
                Flow::Fork { .. } => None,
            },
            run_id_keys: rule.run_id_keys.clone(),
            success_keys: rules.success_keys.clone(),
            error_keys: rules.error_keys.clone(),
        };
        Ok(Self {
            slug,
            profile: profile.slug.clone(),
            base: base.clone(),
            source_run_id: endpoints().find_map(|path| run_id.pattern.first_group(path)).map(str::to_owned),
            sandbox_run_id: Some(sandbox_run_id),
            sandbox,
            items: vec![PlanItem::Step(step)],
            flow: Some(flow),
        })
    }
}

fn body(rule: &FlowRule, flow: &Flow, target: Option<&str>) -> Body {
    if rule.form.is_empty() {
        let object: Map<String, Value> = flow
            .fields(&rule.json, target)
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect();
        return Body::Text { content_type: "application/json", text: Value::Object(object).to_string() };
    }
    Body::Form(flow.fields(&rule.form, target))
}

/// The first word of the file, if it is there and holds one.
fn config_in(file: &Path) -> Option<String> {
    let text = fs_err::read_to_string(file).ok()?;
    let word = text.split_whitespace().next()?;
    Some(Path::new(word).file_stem()?.to_string_lossy().into_owned())
}

impl FlowPlan {
    /// Why the app's answer, though it came with a good status, is a refusal.
    pub(crate) fn refusal(&self, answer: Option<&Value>) -> Option<String> {
        let answer = answer?;
        let refused = self.success_keys.iter().any(|key| answer.get(key) == Some(&Value::Bool(false)));
        refused.then(|| {
            let why = text_at(answer, &self.error_keys).unwrap_or_else(|| "it gives no reason".to_owned());
            format!("the app refused the {}: {why}", self.kind.as_str())
        })
    }

    /// What came of it: the answer and the job are over, the result must be where it belongs.
    pub(crate) fn conclude(
        &self,
        answer: Option<&Value>,
        jobs: &[JobResult],
        went_well: bool,
    ) -> Result<FlowResult, ReplayError> {
        let job = jobs.first();
        let mut result = FlowResult {
            kind: self.kind,
            job_id: job.map(|job| job.id.clone()),
            status: job.and_then(|job| job.tree.as_ref()).map(|tree| tree.state.clone()),
            new_run_id: None,
            fork_dir: None,
            archive_run_id: None,
            archive_dir: None,
            archives: None,
            comment: self.comment.clone(),
            failure: None,
        };
        if went_well && job.is_none() {
            result.failure = Some(format!("the app's answer to the {} names no job", self.kind.as_str()));
        }
        let is_done = went_well && job.is_some();
        match self.kind {
            FlowKind::Fork => {
                result.new_run_id = answer
                    .and_then(|answer| text_at(answer, &self.run_id_keys))
                    .or_else(|| self.target.clone().filter(|_| is_done));
                // The app may have chosen another id, whose place is not known here.
                let dir = self.directory.clone().filter(|_| is_done && result.new_run_id == self.target);
                if let Some(dir) = &dir
                    && dir.parent().is_some_and(Path::is_dir)
                    && !dir.is_dir()
                {
                    result.failure = Some(format!(
                        "the fork's job ended well, and {} is not there: do app and player have the same PROFILE_PLAYBACK_FORK_ROOT?",
                        dir.display()
                    ));
                }
                result.fork_dir = dir;
            }
            FlowKind::Archive => {
                result.archive_run_id.clone_from(&self.target);
                if let (true, Some(made)) = (is_done, &self.archives) {
                    let place = self.directory.as_ref().unwrap_or(made);
                    if made.is_dir() && place != made {
                        copy_tree(made, place)?;
                    }
                    let names = names_in(place)?;
                    if names.is_empty() {
                        result.failure = Some(format!(
                            "the archive's job ended well, and there is no archive in {}",
                            made.display()
                        ));
                    }
                    result.archive_dir = Some(place.clone());
                    result.archives = Some(names);
                }
            }
        }
        Ok(result)
    }
}

impl FlowResult {
    /// What came of it, for people; none if it went wrong.
    pub fn told(&self) -> Option<String> {
        if self.failure.is_some() {
            return None;
        }
        let at = |dir: &Option<PathBuf>| {
            dir.as_ref().map(|dir| format!(" ({})", dir.display())).unwrap_or_default()
        };
        match self.kind {
            FlowKind::Fork => {
                self.new_run_id.as_ref().map(|id| format!("Forked to {id}{}", at(&self.fork_dir)))
            }
            FlowKind::Archive => self
                .archives
                .as_ref()
                .map(|names| format!("Archived as {}{}", names.join(", "), at(&self.archive_dir))),
        }
    }
}

fn text_at(answer: &Value, keys: &[String]) -> Option<String> {
    keys.iter().find_map(|key| answer.get(key)?.as_str()).map(str::to_owned)
}

fn names_in(dir: &Path) -> Result<Vec<String>, ReplayError> {
    let failed = |source| ReplayError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    if dir.is_dir() {
        for entry in fs_err::read_dir(dir).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

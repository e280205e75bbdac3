//! How an app wants to be replayed: data, read from TOML.
//!
//! Everything that is particular to an app stands in its preset; the player has no other knowledge of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;

use crate::ReplayError;

/// The presets that come with the program, by name.
const BUILT_IN: [(&str, &str); 1] = [("weppcloud", include_str!("../presets/weppcloud.toml"))];

/// The preset that is used when none is named.
pub const DEFAULT_PRESET: &str = "weppcloud";

/// How an app wants to be replayed. `presets/weppcloud.toml` explains each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Version of the preset format: 1.
    pub format: Format,
    /// Its name, for people.
    pub name: String,
    /// Beginnings of paths that are at the host's root instead of under the base URL.
    #[serde(default)]
    pub host_paths: Vec<String>,
    /// How requests are sent.
    #[serde(default)]
    pub http: Http,
    /// How the recorded run is recognised, and what replaces it; none: nothing is rewritten.
    pub run_id: Option<RunIdRule>,
    /// What the sandbox is filled with; none: there is no sandbox directory.
    pub sandbox: Option<SandboxRule>,
    /// How to log in; none: the app has no log-in.
    pub login: Option<LoginRule>,
    /// Requests that are never sent.
    #[serde(default)]
    pub skip: Vec<SkipRule>,
    /// How background jobs are found and followed; none: the app has none.
    pub jobs: Option<JobRule>,
    /// GETs that are repeated until they answer.
    #[serde(default)]
    pub poll: Vec<PollRule>,
    /// Form uploads that are rebuilt from seed files.
    #[serde(default)]
    pub upload: Vec<UploadRule>,
    /// How the app is asked to fork or archive a run; none: it does neither.
    pub flows: Option<FlowRules>,
    /// Whether the run goes on after a failure.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// The version of the preset format: only 1 is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Format;

impl TryFrom<u32> for Format {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("preset format {other} is not known, this program reads format 1")),
        }
    }
}

/// A regular expression, checked when the preset is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it occurs in a path.
    pub fn is_match(&self, path: &str) -> bool {
        self.0.is_match(path)
    }

    /// The text of its first group in a path.
    pub fn first_group<'t>(&self, path: &'t str) -> Option<&'t str> {
        self.0.captures(path)?.get(1).map(|group| group.as_str())
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

/// How requests are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Seconds for one request, to the last byte of its answer.
    pub timeout_s: u64,
    /// Headers of every request; `{base}` and `{origin}` are replaced.
    pub headers: BTreeMap<String, String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { timeout_s: 600, headers: BTreeMap::new() }
    }
}

/// The recorded run and its replacement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunIdRule {
    /// Its first group in a request's path is the recorded run's id.
    pub pattern: Pattern,
    /// The new id; `{uuid}` is the sandbox's UUID.
    pub sandbox: String,
}

/// The sandbox directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxRule {
    /// Its name under `PROFILE_PLAYBACK_RUN_ROOT`; `{uuid}` is the sandbox's UUID.
    pub directory: String,
    /// Folders of `capture/seed/` that are copied into it.
    #[serde(default)]
    pub seeds: Vec<SeedCopy>,
}

/// A folder of seeds that is copied into the sandbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedCopy {
    /// Under `capture/seed/`.
    pub from: PathBuf,
    /// Under the sandbox directory.
    pub to: PathBuf,
}

/// How to log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRule {
    /// Path of the page with the form, under the base URL; the form is posted to it as well.
    pub page: String,
    /// The form's fields; `{email}` and `{password}` are replaced.
    pub fields: BTreeMap<String, String>,
    /// Names of hidden inputs that are sent back as they stand in the form.
    #[serde(default)]
    pub form_tokens: Vec<String>,
    /// Statuses with which the app takes the log-in.
    pub success_status: Vec<u16>,
    /// The cookie that must result.
    pub cookie: String,
}

/// Requests that are never sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipRule {
    /// Which.
    pub endpoint: Pattern,
    /// Why, for people.
    pub reason: String,
    /// Whether the recorded page was waiting for its jobs here; the player does, too.
    #[serde(default)]
    pub wait: bool,
}

/// How background jobs are found and followed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRule {
    /// Requests with these methods may start jobs.
    pub methods: Vec<String>,
    /// Keys of a JSON answer that hold a job's id, at any depth.
    pub id_keys: Vec<String>,
    /// Where a job's state is told; `{origin}`, `{base}` and `{id}` are replaced.
    pub info_urls: Vec<String>,
    /// Keys that hold the state.
    pub state_keys: Vec<String>,
    /// States that end well.
    pub good: Vec<String>,
    /// States that end badly.
    pub bad: Vec<String>,
    /// Keys that hold the jobs that a job started.
    #[serde(default)]
    pub child_keys: Vec<String>,
    /// Keys that hold the function's name.
    #[serde(default)]
    pub function_keys: Vec<String>,
    /// Keys that hold the worker's name.
    #[serde(default)]
    pub worker_keys: Vec<String>,
    /// Keys that hold what went wrong.
    #[serde(default)]
    pub error_keys: Vec<String>,
    /// Milliseconds between two looks at a job.
    pub interval_ms: u64,
    /// Seconds for which each job is waited for.
    pub timeout_s: u64,
    /// Seconds for which a job may be unknown, or its status page in trouble.
    pub unknown_grace_s: u64,
}

/// GETs that are repeated until they answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRule {
    /// Which.
    pub endpoint: Pattern,
    /// Statuses that mean "not yet".
    pub statuses: Vec<u16>,
    /// Milliseconds between two attempts.
    pub interval_ms: u64,
    /// Seconds after which "not yet" is the answer.
    pub timeout_s: u64,
}

/// A form upload.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadRule {
    /// Which requests.
    pub endpoint: Pattern,
    /// The form field that the file goes into.
    pub field: String,
    /// The kind of seed: the folder under `capture/seed/uploads/`.
    pub kind: String,
    /// Whether the file always goes along; else only where the recorded form names the field.
    #[serde(default = "yes")]
    pub required: bool,
}

const fn yes() -> bool {
    true
}

/// What the app does with a run as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowRules {
    /// A file of the snapshot whose first word is the run's configuration; an extension is cut off.
    pub config_file: String,
    /// Else its first group in a recorded request's path is.
    pub config_pattern: Pattern,
    /// Keys of a JSON answer that say with `false` that the app refused.
    #[serde(default)]
    pub success_keys: Vec<String>,
    /// Keys that then say why.
    #[serde(default)]
    pub error_keys: Vec<String>,
    /// Copying it.
    pub fork: Option<FlowRule>,
    /// Packing it.
    pub archive: Option<FlowRule>,
}

/// One flow: a POST whose answer names a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowRule {
    /// Path under the base URL; `{run_id}` and `{config}` are replaced.
    pub endpoint: String,
    /// Fields of a form; a field whose value is a placeholder without a value is left out.
    #[serde(default)]
    pub form: BTreeMap<String, String>,
    /// The same as a JSON object, where there is no form.
    #[serde(default)]
    pub json: BTreeMap<String, String>,
    /// The run id of what the flow makes; `{uuid}` is the sandbox's UUID.
    pub target: Option<String>,
    /// Where that lies under the flow's root.
    pub directory: String,
    /// Keys of the answer that hold the new run's id.
    #[serde(default)]
    pub run_id_keys: Vec<String>,
    /// The sandbox's folder in which the app leaves archives.
    pub archives: Option<PathBuf>,
}

/// Whether the run goes on after a failure.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnFailure {
    /// After a step that went wrong.
    pub step: Reaction,
    /// After a job that ended badly.
    pub job: Reaction,
}

/// What the run does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reaction {
    /// Goes on to its end.
    #[default]
    Continue,
    /// Ends.
    Stop,
}

impl Preset {
    /// The preset of the given name that comes with the program.
    pub fn built_in(name: &str) -> Result<Self, ReplayError> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text, Path::new(&format!("the built-in preset {name}"))),
            None => Err(ReplayError::UnknownPreset {
                name: name.to_owned(),
                known: BUILT_IN.map(|(known, _)| known).join(", "),
            }),
        }
    }

    /// Reads a preset file.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let text = fs_err::read_to_string(path)
            .map_err(|source| ReplayError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ReplayError> {
        toml::from_str(text)
            .map_err(|source| ReplayError::Preset { path: path.to_owned(), source: Box::new(source) })
    }

    /// The rule that forbids a request.
    pub(crate) fn skips(&self, path: &str) -> Option<&SkipRule> {
        self.skip.iter().find(|rule| rule.endpoint.is_match(path))
    }

    /// The rule that says that a GET is to be repeated.
    pub(crate) fn polls(&self, method: &str, path: &str) -> Option<&PollRule> {
        self.poll.iter().find(|rule| method.eq_ignore_ascii_case("GET") && rule.endpoint.is_match(path))
    }

    /// The upload rules of a request: a form may take several files.
    pub(crate) fn uploads<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a UploadRule> {
        self.upload.iter().filter(move |rule| rule.endpoint.is_match(path))
    }
}

impl PollRule {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_preset_is_valid() {
        let preset = Preset::built_in(DEFAULT_PRESET).unwrap();
        assert_eq!(preset.name, DEFAULT_PRESET);
        assert!(preset.skips("/rq-engine/api/jobinfo/1").unwrap().wait);
        assert!(preset.polls("GET", "/weppcloud/runs/a/b/resources/x.geojson").is_some());
        assert!(preset.polls("POST", "/weppcloud/runs/a/b/resources/x.geojson").is_none());
        let fields: Vec<_> =
            preset.uploads("/runs/a/b/tasks/upload_sbs").map(|rule| rule.field.as_str()).collect();
        assert_eq!(fields, ["input_upload_sbs"]);
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line() {
        let text = BUILT_IN[0].1.replace("unknown_grace_s", "unknown_grace");
        let error = Preset::parse(&text, Path::new("mine.toml")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("mine.toml") && message.contains("unknown_grace"), "{message}");
    }

    #[test]
    fn other_mistakes_are_refused() {
        for (right, wrong) in [
            ("format = 1", "format = 2"),
            ("'/runs/([^/?#]+)/'", "'/runs/('"),
            ("step = \"continue\"", "step = \"pause\""),
        ] {
            let text = BUILT_IN[0].1.replace(right, wrong);
            assert_ne!(text, BUILT_IN[0].1, "{right} is not in the preset");
            assert!(Preset::parse(&text, Path::new("mine.toml")).is_err(), "{wrong} was taken");
        }
        assert_eq!(Preset::built_in("nope").unwrap_err().code(), "PT-REPLAY-002");
    }
}

//! `.github/forest_workflows/playback-profiles.yml`: which profiles are replayed when.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use playtrace_model::{InvalidSlug, Slug};
use playtrace_replay::FlowKind;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::schedule::{Cadence, ClockTime};
use crate::exit::Exit;
use crate::messages::Failure;

/// Where the list lies, below the repository's root.
pub const USUAL_PLACE: &str = ".github/forest_workflows/playback-profiles.yml";
/// The workflow that collects the others' artifacts; no entry may have its name.
pub const AGGREGATION: &str = "nightly_aggregation";
/// Minutes after which a job is broken off, unless the entry says otherwise.
const DEFAULT_TIMEOUT: u32 = 120;
/// What GitHub refuses in an artifact's name.
const NOT_IN_ARTIFACT_NAMES: [char; 9] = ['"', ':', '<', '>', '|', '*', '?', '\\', '/'];

/// What is done with a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaybackType {
    /// It is replayed.
    Run,
    /// The app's fork flow.
    Fork,
    /// The app's archive flow.
    Archive,
}

impl PlaybackType {
    /// The `wctl` command that does it.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Run => "run-test-profile",
            Self::Fork => "run-fork-profile",
            Self::Archive => "run-archive-profile",
        }
    }

    /// The slug under which it is traced, and that names its data.
    pub fn traced_as(self, profile: &Slug) -> Result<Slug, InvalidSlug> {
        match self {
            Self::Run => Ok(profile.clone()),
            Self::Fork => FlowKind::Fork.slug(profile),
            Self::Archive => FlowKind::Archive.slug(profile),
        }
    }

    /// The word of the list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Fork => "fork",
            Self::Archive => "archive",
        }
    }
}

/// One line of the night: a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Names the workflow's file, and the job in a night's bundle.
    pub workflow_slug: Slug,
    /// For people.
    pub title: String,
    /// What is done.
    pub playback_type: PlaybackType,
    /// The profile.
    pub profile_slug: Slug,
    /// Options of the `wctl` command, one word each.
    pub playback_options: Vec<String>,
    /// When it starts, in Pacific time.
    pub schedule_pt: ClockTime,
    /// The log's artifact.
    pub artifact_name: String,
    /// The log's path in the workspace.
    pub artifact_path: String,
    /// For people.
    pub description: String,
    /// How often.
    pub cadence: Cadence,
    /// Minutes after which the job is broken off.
    pub timeout_minutes: u32,
    /// Labels of the runner.
    pub runs_on: Vec<String>,
}

impl Entry {
    /// The slug that names its data.
    pub fn traced_as(&self) -> Slug {
        // The list was refused where that can't be.
        self.playback_type.traced_as(&self.profile_slug).unwrap_or_else(|_| self.profile_slug.clone())
    }
}

/// An entry as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    workflow_slug: String,
    title: String,
    playback_type: PlaybackType,
    profile_slug: String,
    #[serde(default)]
    playback_options: Vec<String>,
    schedule_pt: String,
    artifact_name: String,
    artifact_path: String,
    description: String,
    #[serde(default)]
    cadence: Cadence,
    timeout_minutes: Option<u32>,
    runs_on: Option<Labels>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Labels {
    One(String),
    Many(Vec<String>),
}

/// Reads and checks the list.
pub fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Io, "PT-NIGHTLY-001", error.to_string())
            .help(format!("name the list with --list; it usually is {USUAL_PLACE}"))
    })?;
    parse(&text, &path.display().to_string())
}

/// Parses and checks the list; `name` is its file's, for messages.
pub fn parse(text: &str, name: &str) -> Result<Vec<Entry>, Failure> {
    let written: Vec<Spanned<Written>> = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map(|at| format!(":{}", at.line())).unwrap_or_default();
        let why = error.without_snippet().to_string();
        Failure::new(Exit::BadInput, "PT-NIGHTLY-002", format!("{name}{line}: {}", first_line(&why)))
            .help("each entry is a mapping with the keys that docs/dev-notes/nightly.md lists")
    })?;
    let mut entries = Vec::new();
    let mut seen: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
    for Spanned { value, referenced, .. } in written {
        let line = referenced.line();
        let refused = |why: String| {
            Failure::new(Exit::BadInput, "PT-NIGHTLY-003", format!("{name}:{line}: {why}"))
                .help("change the entry that begins on this line")
        };
        let entry = checked(value).map_err(&refused)?;
        for (key, text) in [
            ("workflow_slug", entry.workflow_slug.to_string()),
            ("artifact_name", entry.artifact_name.clone()),
        ] {
            if let Some(first) = seen.insert((key, text.to_lowercase()), line) {
                return Err(refused(format!("{key} {text:?} is also that of the entry on line {first}")));
            }
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(Failure::new(Exit::BadInput, "PT-NIGHTLY-003", format!("{name}: the list is empty"))
            .help("a night without a profile has nothing to say; add an entry"));
    }
    entries.sort_by(|one, other| one.workflow_slug.cmp(&other.workflow_slug));
    Ok(entries)
}

fn checked(written: Written) -> Result<Entry, String> {
    let slug = |key: &str, text: &str| Slug::parse(text).map_err(|error| format!("{key}: {error}"));
    let workflow_slug = slug("workflow_slug", &written.workflow_slug)?;
    if workflow_slug.as_str().to_lowercase().replace('-', "_") == AGGREGATION {
        return Err(format!(
            "workflow_slug: {AGGREGATION} is the name of the workflow that collects the others"
        ));
    }
    let profile_slug = slug("profile_slug", &written.profile_slug)?;
    written.playback_type.traced_as(&profile_slug).map_err(|error| {
        format!("profile_slug: the {}'s own slug: {error}", written.playback_type.as_str())
    })?;
    let artifact_name = one_line("artifact_name", &written.artifact_name)?;
    if let Some(bad) = artifact_name.chars().find(|c| NOT_IN_ARTIFACT_NAMES.contains(c)) {
        return Err(format!("artifact_name: an artifact's name can't hold {bad:?}"));
    }
    let artifact_path = one_line("artifact_path", &written.artifact_path)?;
    if !stays_inside(&artifact_path) {
        return Err(format!(
            "artifact_path: {artifact_path:?} must be a file's path in the workspace, without `..`"
        ));
    }
    let playback_options = written
        .playback_options
        .iter()
        .map(|word| one_line("playback_options", word))
        .collect::<Result<_, _>>()?;
    let timeout_minutes = written.timeout_minutes.unwrap_or(DEFAULT_TIMEOUT);
    // GitHub's own limit is six hours for its runners, five days for one's own.
    if !(1..=7200).contains(&timeout_minutes) {
        return Err(format!("timeout_minutes: {timeout_minutes} is not between 1 and 7200"));
    }
    let runs_on = match written.runs_on {
        None => vec!["self-hosted".to_owned()],
        Some(Labels::One(label)) => vec![label],
        Some(Labels::Many(labels)) => labels,
    };
    if runs_on.is_empty() || runs_on.iter().any(|label| label.trim().is_empty()) {
        return Err("runs_on: a runner needs a label".to_owned());
    }
    Ok(Entry {
        title: one_line("title", &written.title)?,
        description: one_line("description", &written.description)?,
        schedule_pt: written.schedule_pt.parse().map_err(|why: String| format!("schedule_pt: {why}"))?,
        playback_type: written.playback_type,
        cadence: written.cadence,
        workflow_slug,
        profile_slug,
        playback_options,
        artifact_name,
        artifact_path,
        timeout_minutes,
        runs_on,
    })
}

/// Text that is safe in a workflow: what GitHub would expand in it, or breaks a line, could become a command.
fn one_line(key: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{key}: there is nothing in it"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{key}: {text:?} holds a control character"));
    }
    if text.contains("${{") {
        return Err(format!(
            "{key}: {text:?} holds an expression of GitHub, which would run as part of a command"
        ));
    }
    Ok(text.to_owned())
}

fn stays_inside(path: &str) -> bool {
    let parts: Vec<Component<'_>> = Path::new(path).components().collect();
    !parts.is_empty() && !path.ends_with('/') && parts.iter().all(|part| matches!(part, Component::Normal(_)))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "- workflow_slug: archive-us-small\n  title: US Small\n  playback_type: archive\n  \
        profile_slug: us-small\n  playback_options: []\n  schedule_pt: 05:05\n  artifact_name: us-log\n  \
        artifact_path: telemetry/us.log\n  description: Archive of\n    two lines\n";

    #[test]
    fn the_customers_form_is_read() {
        let entries = parse(ONE, "list.yml").unwrap();
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(
            (entry.playback_type, entry.schedule_pt.to_string()),
            (PlaybackType::Archive, "05:05".to_owned())
        );
        assert_eq!((&*entry.description, entry.timeout_minutes), ("Archive of two lines", 120));
        assert_eq!((entry.cadence, &*entry.runs_on), (Cadence::Nightly, &["self-hosted".to_owned()][..]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let second = |from: &str, to: &str| {
            let other = ONE.replace("archive-us-small", "b").replace("us-log", "b-log").replace(from, to);
            parse(&format!("{ONE}\n{other}"), "list.yml").unwrap_err()
        };
        for (from, to, code, says) in [
            ("05:05", "25:05", "PT-NIGHTLY-003", "list.yml:12: schedule_pt"),
            ("workflow_slug: b", "workflow_slug: archive-us-small", "PT-NIGHTLY-003", "line 1"),
            ("b-log", "us-log", "PT-NIGHTLY-003", "artifact_name \"us-log\" is also"),
            ("b-log", "a/b", "PT-NIGHTLY-003", "can't hold '/'"),
            ("telemetry/us.log", "../us.log", "PT-NIGHTLY-003", "artifact_path"),
            ("options: []", "options: ['${{ secrets.X }}']", "PT-NIGHTLY-003", "an expression of GitHub"),
            ("profile_slug: us-small", "profile_slug: ../us", "PT-NIGHTLY-003", "profile_slug"),
            (
                "workflow_slug: b",
                "workflow_slug: nightly-aggregation",
                "PT-NIGHTLY-003",
                "collects the others",
            ),
            ("playback_type: archive", "playback_type: play", "PT-NIGHTLY-002", "list.yml:14"),
            ("  title:", "  colour: red\n  title:", "PT-NIGHTLY-002", "colour"),
        ] {
            let failure = second(from, to);
            assert_eq!((failure.exit, failure.code), (Exit::BadInput, code), "{failure:?}");
            assert!(failure.message.contains(says), "{says}: {failure:?}");
        }
        assert_eq!(parse("[]", "list.yml").unwrap_err().code, "PT-NIGHTLY-003");
        assert_eq!(parse("- [", "list.yml").unwrap_err().code, "PT-NIGHTLY-002");
    }
}

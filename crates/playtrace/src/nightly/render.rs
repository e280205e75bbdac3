//! The list as files of a CI system.
//!
//! Templates have delimiters of their own: GitHub's expressions look like Jinja's.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::list::{AGGREGATION, Entry};
use super::schedule::{Cadence, ClockTime, ZONE};
use crate::exit::Exit;
use crate::messages::Failure;

/// Days for which a CI system keeps artifacts.
pub const RETENTION_DAYS: u32 = 14;
/// Where GitLab's file lies.
pub const GITLAB_FILE: &str = ".gitlab/forest_workflows.gitlab-ci.yml";
/// Where GitHub's files lie.
pub const GITHUB_DIR: &str = ".github/workflows";
/// A night ends at noon; the aggregation must start before that.
const LAST_START: u32 = 24 * 60 - 15;
/// Minutes between the last job's latest end and the aggregation.
const GRACE: u32 = 15;
const NOON: u32 = 12 * 60;
/// Where GitHub's aggregation keeps bundles, as its shell says it.
const NIGHTS: &str = "\"$PLAYTRACE_NIGHTS\"";

/// For which CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Platform {
    /// `.github/workflows/forest_workflow_<slug>.yml`, one for each entry, and one that aggregates
    Github,
    /// `.gitlab/forest_workflows.gitlab-ci.yml`, to be included
    Gitlab,
}

impl Platform {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
        }
    }
}

/// How to write schedules, and where the list is said to be.
#[derive(Debug, Clone)]
pub struct Style {
    /// The list's path below the repository's root.
    pub list: String,
    /// Cron in UTC, for runners that don't know the schedule's `timezone`.
    pub utc: bool,
}

/// A file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Path below the repository's root.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// All files of the list for one CI system, sorted by path.
pub fn render(entries: &[Entry], platform: Platform, style: &Style) -> Result<Vec<Generated>, Failure> {
    let templates = environment().map_err(|error| broken(&error))?;
    let renderer = Renderer { templates, style, platform, list_command: command(platform, style) };
    let mut files = match platform {
        Platform::Github => renderer.github(entries),
        Platform::Gitlab => renderer.gitlab(entries),
    }
    .map_err(|error| broken(&error))?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The file of GitHub's for a workflow.
pub fn github_path(workflow: &str) -> String {
    format!("{GITHUB_DIR}/forest_workflow_{workflow}.yml")
}

/// The command that generates a file, as its first line has it.
fn command(platform: Platform, style: &Style) -> String {
    let mut command = "playtrace workflows generate".to_owned();
    if platform != Platform::Github {
        command.push_str(" --platform ");
        command.push_str(platform.as_str());
    }
    if style.utc {
        command.push_str(" --utc");
    }
    command
}

/// Whether a file's text says that it is generated, and if so, whether with UTC schedules.
pub fn generated_with_utc(text: &str) -> Option<bool> {
    let first = text.lines().next()?;
    let command = first.strip_prefix("# Generated from ")?.split_once(" by `playtrace workflows generate")?.1;
    Some(command.contains(" --utc"))
}

/// When the night's artifacts are collected: after the last job's latest end.
pub fn aggregation_time(entries: &[Entry]) -> ClockTime {
    let since_noon = |entry: &Entry| (entry.schedule_pt.minutes() + NOON) % (24 * 60) + entry.timeout_minutes;
    let latest = entries.iter().map(since_noon).max().unwrap_or(0);
    let noon = ClockTime::default().later(NOON).0;
    noon.later((latest + GRACE).min(LAST_START)).0
}

struct Renderer<'a> {
    templates: Environment<'static>,
    style: &'a Style,
    platform: Platform,
    list_command: String,
}

impl Renderer<'_> {
    fn github(&self, entries: &[Entry]) -> Result<Vec<Generated>, minijinja::Error> {
        let mut files = Vec::new();
        for entry in entries {
            let text = self.one("github_profile.yml", self.of_entry(entry)?)?;
            files.push(Generated { path: github_path(entry.workflow_slug.as_str()), text });
        }
        let time = aggregation_time(entries);
        let slugs: Vec<String> = entries.iter().map(|entry| entry.workflow_slug.to_string()).collect();
        let more = context! {
            time => time.to_string(),
            summer => summer(time),
            cron => self.cron(time, Cadence::Nightly),
            runs_on => flow_list(&common_runner(entries)),
            aggregation_file => format!("forest_workflow_{AGGREGATION}.yml"),
            download => self.one("download.sh", context! { slugs })?,
            aggregate => self.aggregate("night/artifacts", NIGHTS)?,
            prune => self.prune(NIGHTS)?,
            ..self.shared()?
        };
        files.push(Generated {
            path: github_path(AGGREGATION),
            text: self.one("github_aggregation.yml", more)?,
        });
        Ok(files)
    }

    fn gitlab(&self, entries: &[Entry]) -> Result<Vec<Generated>, minijinja::Error> {
        let since_noon = |entry: &Entry| (entry.schedule_pt.minutes() + NOON) % (24 * 60);
        let mut ordered: Vec<&Entry> = entries.iter().collect();
        ordered.sort_by_key(|entry| since_noon(entry));
        let first = ordered.first().map_or(0, |entry| since_noon(entry));
        let first_time = ordered.first().map(|entry| entry.schedule_pt).unwrap_or_default();
        let jobs = ordered
            .iter()
            .map(|entry| {
                let night = "$CI_PIPELINE_SOURCE == \"schedule\" && $FOREST_NIGHT == \"1\"";
                let rule = match entry.cadence {
                    Cadence::Nightly => night.to_owned(),
                    Cadence::Weekly => format!("{night} && $FOREST_WEEKLY == \"1\""),
                };
                Ok(context! { rule, wait => since_noon(entry) - first, ..self.of_entry(entry)? })
            })
            .collect::<Result<Vec<Value>, minijinja::Error>>()?;
        let more = context! {
            jobs,
            own_path => GITLAB_FILE,
            first_cron => first_time.cron(Cadence::Nightly),
            runs_on => flow_list(&common_runner(entries)),
            aggregate => self.aggregate("playback-artifact", "night/bundles")?,
            ..self.shared()?
        };
        Ok(vec![Generated { path: GITLAB_FILE.to_owned(), text: self.one("gitlab.yml", more)? }])
    }

    fn aggregate(&self, inputs: &str, nights: &str) -> Result<String, minijinja::Error> {
        let github = self.platform == Platform::Github;
        let (list, prune) = (self.style.list.clone(), self.prune(nights)?);
        self.one("aggregate.sh", context! { inputs, nights, list, github, prune })
    }

    fn prune(&self, nights: &str) -> Result<String, minijinja::Error> {
        let github = self.platform == Platform::Github;
        self.one("prune.sh", context! { nights, github, retention => RETENTION_DAYS })
    }

    fn of_entry(&self, entry: &Entry) -> Result<Value, minijinja::Error> {
        let artifacts = format!("playback-artifact/{}", entry.workflow_slug);
        let scripts = context! {
            list => self.style.list.clone(),
            artifacts => artifacts.clone(),
            entry => context! {
                playback_type_command => entry.playback_type.command(),
                traced_as => entry.traced_as().as_str(),
                ..Value::from(Serde(entry))
            },
        };
        let kind = match entry.playback_type.as_str() {
            "run" => "Profile Run",
            "fork" => "Profile Fork",
            _ => "Profile Archive",
        };
        Ok(context! {
            entry => Value::from(Serde(entry)),
            kind,
            artifacts,
            weekly => if entry.cadence == Cadence::Weekly { " on Sundays" } else { "" },
            summer => summer(entry.schedule_pt),
            cron => self.cron(entry.schedule_pt, entry.cadence),
            runs_on => flow_list(&entry.runs_on),
            replay => self.one("replay.sh", scripts.clone())?,
            report => self.one("report.sh", scripts)?,
            ..self.shared()?
        })
    }

    fn shared(&self) -> Result<Value, minijinja::Error> {
        let github = self.platform == Platform::Github;
        Ok(context! {
            list => self.style.list.clone(),
            command => self.list_command.clone(),
            utc => self.style.utc,
            zone => ZONE,
            retention => RETENTION_DAYS,
            // By tag: no commit of theirs was verified here.
            actions => context! { checkout => "actions/checkout@v6", upload => "actions/upload-artifact@v6" },
            find => self.one("find.sh", context! { github })?,
            health => self.one("health.sh", context! {})?,
        })
    }

    fn cron(&self, time: ClockTime, cadence: Cadence) -> String {
        if self.style.utc { time.utc_cron(cadence) } else { time.cron(cadence) }
    }

    fn one(&self, template: &str, values: Value) -> Result<String, minijinja::Error> {
        self.templates.get_template(template)?.render(values)
    }
}

/// What a schedule in UTC comes to in Pacific time in summer: an hour later.
fn summer(time: ClockTime) -> String {
    time.later(60).0.to_string()
}

/// The runner of the aggregation: the one that most entries have, of equally frequent ones the first by name.
fn common_runner(entries: &[Entry]) -> Vec<String> {
    let count = |labels: &Vec<String>| entries.iter().filter(|entry| entry.runs_on == *labels).count();
    let mut all: Vec<&Vec<String>> = entries.iter().map(|entry| &entry.runs_on).collect();
    all.sort();
    all.into_iter().rev().max_by_key(|labels| count(labels)).cloned().unwrap_or_default()
}

fn flow_list(words: &[String]) -> String {
    match words {
        [only] => format!("[{}]", yaml(only)),
        _ => format!("[{}]", words.iter().map(|word| yaml(word)).collect::<Vec<_>>().join(", ")),
    }
}

/// A YAML scalar; the list's texts hold no line breaks.
fn yaml(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One word of a POSIX shell.
fn sh(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    let syntax = SyntaxConfig::builder()
        .block_delimiters("@%", "%@")
        .variable_delimiters("@{", "}@")
        .comment_delimiters("@#", "#@")
        .trim_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    templates.set_syntax(syntax);
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.add_filter("yaml", |text: String| yaml(&text));
    templates.add_filter("sh", |text: String| sh(&text));
    for (name, text) in [
        ("github_profile.yml", include_str!("templates/github_profile.yml")),
        ("github_aggregation.yml", include_str!("templates/github_aggregation.yml")),
        ("gitlab.yml", include_str!("templates/gitlab.yml")),
        ("find.sh", include_str!("templates/find.sh")),
        ("health.sh", include_str!("templates/health.sh")),
        ("replay.sh", include_str!("templates/replay.sh")),
        ("report.sh", include_str!("templates/report.sh")),
        ("download.sh", include_str!("templates/download.sh")),
        ("aggregate.sh", include_str!("templates/aggregate.sh")),
        ("prune.sh", include_str!("templates/prune.sh")),
    ] {
        templates.add_template(name, text)?;
    }
    Ok(templates)
}

/// The templates are part of the program, so this is a bug of ours.
fn broken(error: &minijinja::Error) -> Failure {
    Failure::new(Exit::BadInput, "PT-NIGHTLY-004", format!("a template can't be rendered: {error:#}"))
        .help("please report this, with the list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::list::parse;

    fn entries(more: &str) -> Vec<Entry> {
        let one = "- workflow_slug: a\n  title: It's \"A\"\n  playback_type: fork\n  profile_slug: us-small\n  \
            playback_options: [--undisturbify, 'a b']\n  schedule_pt: 05:45\n  artifact_name: a-log\n  \
            artifact_path: telemetry/a.log\n  description: 'A: # \"it''s\"'\n";
        parse(&format!("{one}{more}"), "list.yml").unwrap()
    }

    fn style(utc: bool) -> Style {
        Style { list: "list.yml".to_owned(), utc }
    }

    #[test]
    fn schedules_are_in_pacific_time_or_in_utc_and_say_so() {
        let files = render(&entries("  cadence: weekly\n"), Platform::Github, &style(false)).unwrap();
        let [profile, aggregation] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!(profile.path, ".github/workflows/forest_workflow_a.yml");
        assert!(
            profile.text.contains("- cron: '45 5 * * 0'\n      timezone: America/Los_Angeles\n"),
            "{}",
            profile.text
        );
        assert!(aggregation.text.contains("- cron: '0 8 * * *'\n      timezone: America/Los_Angeles\n"));
        assert_eq!(generated_with_utc(&profile.text), Some(false));
        let files = render(&entries("  cadence: weekly\n"), Platform::Github, &style(true)).unwrap();
        assert!(
            files[0]
                .text
                .contains("while that lasts, this is 06:45 there.\n    - cron: '45 13 * * 0'\n  workflow")
        );
        assert_eq!(
            files.iter().map(|file| generated_with_utc(&file.text)).collect::<Vec<_>>(),
            [Some(true); 2]
        );
        assert!(!files[0].text.contains("timezone"));
        assert_eq!(generated_with_utc("name: by hand\n"), None);
    }

    #[test]
    fn the_lists_words_reach_the_shell_and_yaml_as_they_are() {
        let files = render(&entries(""), Platform::Github, &style(false)).unwrap();
        let text = &files[0].text;
        assert!(
            text.contains("-- wctl run-fork-profile us-small --undisturbify 'a b' \"${trace[@]}\"\n"),
            "{text}"
        );
        assert!(text.contains("name: 'Profile Fork - It''s \"A\"'\n"), "{text}");
        assert!(text.contains("# A: # \"it's\"\n"));
    }

    #[test]
    fn the_aggregation_starts_when_all_have_ended_and_before_noon() {
        let at = |time: &str, minutes: u32| {
            let more = format!(
                "- workflow_slug: b\n  title: B\n  playback_type: run\n  profile_slug: b\n  \
                schedule_pt: '{time}'\n  artifact_name: b\n  artifact_path: b.log\n  description: B\n  \
                timeout_minutes: {minutes}\n"
            );
            aggregation_time(&entries(&more)).to_string()
        };
        assert_eq!(at("03:00", 30), "08:00");
        assert_eq!(at("07:00", 60), "08:15");
        // Begun the evening before.
        assert_eq!(at("23:00", 60), "08:00");
        assert_eq!(at("11:00", 600), "11:45");
    }

    #[test]
    fn gitlab_s_jobs_wait_for_their_time() {
        let more = "- workflow_slug: b\n  title: B\n  playback_type: run\n  profile_slug: b\n  schedule_pt: 03:00\n  \
            artifact_name: b\n  artifact_path: b.log\n  description: B\n  runs_on: [linux, x64]\n";
        let files = render(&entries(more), Platform::Gitlab, &style(false)).unwrap();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        assert!(file.text.contains("cron '0 3 * * *'"), "{}", file.text);
        assert!(file.text.contains("start_in: 165 minutes"), "{}", file.text);
        assert_eq!(file.text.matches("when: delayed").count(), 1);
        assert!(file.text.contains("tags: ['linux', 'x64']"));
    }
}

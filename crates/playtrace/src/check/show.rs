//! Findings for people, for programs, and for GitHub.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::finding::{Examined, Finding, State};
use crate::exit::Exit;

/// The most annotations that are written; GitHub shows ten of a step.
const ANNOTATIONS: usize = 50;

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// The same, and each finding as an annotation of GitHub's
    Github,
    /// For programs (docs/schema/check.schema.json)
    Json,
}

/// All that there is to say.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    format: &'static str,
    version: u32,
    /// Whether all is in step.
    pub in_step: bool,
    /// What was looked at.
    pub checks: Vec<Examined>,
    /// The files that were written again.
    pub fixed: Vec<String>,
}

impl Report {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-check";
    /// The version of the JSON.
    pub const VERSION: u32 = 1;

    /// Of these, in the order in which they are told.
    pub fn new(checks: Vec<Examined>, fixed: Vec<String>) -> Self {
        let in_step = checks.iter().all(|examined| examined.state != State::Drift);
        Self { format: Self::FORMAT, version: Self::VERSION, in_step, checks, fixed }
    }

    /// Failed if something is not in step.
    pub const fn exit(&self) -> Exit {
        if self.in_step { Exit::Success } else { Exit::Failed }
    }

    /// Each finding.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|examined| &examined.findings)
    }

    /// As text, with terminal codes: whoever prints it takes them out where they are not wanted.
    pub fn to_ansi(&self) -> String {
        let mut text = String::new();
        for finding in self.findings() {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{}{} [{}]", place(finding), finding.message, finding.code);
        }
        if self.findings().next().is_some() {
            text.push('\n');
        }
        for Examined { check, state, detail, findings } in &self.checks {
            let style = style(*state);
            let word = state.as_str();
            let count =
                if findings.is_empty() { String::new() } else { format!("{} found; ", findings.len()) };
            let detail = format!("{count}{detail}");
            let detail = detail.trim_end_matches("; ");
            let _ = writeln!(text, "{style}{word:<11}{style:#}  {:<11}  {detail}", check.id());
        }
        for file in &self.fixed {
            let _ = writeln!(text, "wrote {file}");
        }
        text
    }

    /// As annotations: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
    pub fn to_annotations(&self) -> String {
        let mut text = String::new();
        for finding in self.findings().take(ANNOTATIONS) {
            let mut properties = Vec::new();
            if let Some(file) = &finding.file {
                properties.push(format!("file={}", property(file)));
            }
            if let Some(line) = finding.line {
                properties.push(format!("line={line}"));
            }
            properties.push(format!("title={}", property(finding.code)));
            let _ = writeln!(text, "::error {}::{}", properties.join(","), data(&finding.message));
        }
        let more = self.findings().count().saturating_sub(ANNOTATIONS);
        if more > 0 {
            let _ =
                writeln!(text, "::error title=playtrace::and {more} more findings: see the log of this step");
        }
        text
    }
}

fn place(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        // Most messages without a line name their file themselves.
        (Some(file), None) if !finding.message.contains(file.as_str()) => format!("{file}: "),
        _ => String::new(),
    }
}

/// Text of an annotation, escaped as GitHub's own toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of an annotation.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn style(state: State) -> Style {
    let colour = match state {
        State::Ok => AnsiColor::BrightGreen,
        State::Drift => AnsiColor::BrightRed,
        State::NotChecked => AnsiColor::Yellow,
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Check, Kind};
    use super::*;

    fn report() -> Report {
        let odd = Finding::new("PT-CHECK-008", Kind::MatchesNothing, "50%\nof a, b: c")
            .at(Some("a,b:c%.ini".to_owned()), Some(7));
        let bare = Finding::new("PT-CHECK-004", Kind::Missing, "x.json: nothing");
        Report::new(
            vec![
                Examined::of(Check::Patterns, vec![odd], "3 patterns".to_owned()),
                Examined::of(Check::Inventory, vec![bare], String::new()),
                Examined::of(Check::CoveragePy, Vec::new(), "7.11.3".to_owned()),
                Examined::not_checked(Check::Profiles, "no folder"),
            ],
            vec!["y.yml".to_owned()],
        )
    }

    #[test]
    fn annotations_are_escaped_as_github_reads_them() {
        insta::assert_snapshot!(report().to_annotations(), @r"
        ::error file=a%2Cb%3Ac%25.ini,line=7,title=PT-CHECK-008::50%25%0Aof a, b: c
        ::error title=PT-CHECK-004::x.json: nothing
        ");
        let many = vec![Finding::new("PT-CHECK-005", Kind::Added, "f"); 53];
        let report = Report::new(vec![Examined::of(Check::Inventory, many, String::new())], Vec::new());
        let text = report.to_annotations();
        assert_eq!(text.lines().count(), 51);
        assert!(text.ends_with("and 3 more findings: see the log of this step\n"));
    }

    #[test]
    fn text_is_for_people() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&report().to_ansi()).to_string(), @r"
        a,b:c%.ini:7: 50%
        of a, b: c [PT-CHECK-008]
        x.json: nothing [PT-CHECK-004]

        drift        patterns     1 found; 3 patterns
        drift        inventory    1 found
        ok           coverage-py  7.11.3
        not checked  profiles     no folder
        wrote y.yml
        ");
    }
}

//! Findings for people and for programs.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::finding::{Finding, Status};
use crate::exit::Exit;

/// The version of the JSON.
const VERSION: u32 = 1;
/// Where explanations begin, in columns.
const INDENT: usize = 13;

/// All that the doctor has to say.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    version: u32,
    ok: usize,
    failed: usize,
    not_checked: usize,
    checks: Vec<Finding>,
    #[serde(skip)]
    waived: usize,
}

impl Report {
    /// Of these findings; so many of those that were not checked were not to be checked.
    pub fn new(checks: Vec<Finding>, waived: usize) -> Self {
        let count = |status| checks.iter().filter(|finding| finding.status == status).count();
        Self {
            version: VERSION,
            ok: count(Status::Ok),
            failed: count(Status::Failed),
            not_checked: count(Status::NotChecked),
            checks,
            waived,
        }
    }

    /// Failed, if one has; partial, if something could not be looked at that was asked for.
    pub const fn exit(&self) -> Exit {
        if self.failed > 0 {
            Exit::Failed
        } else if self.not_checked > self.waived {
            Exit::Partial
        } else {
            Exit::Success
        }
    }

    /// As text, with terminal codes: whoever prints it takes them out where they are not wanted.
    pub fn to_ansi(&self) -> String {
        let mut text = String::new();
        for finding in &self.checks {
            let style = style(finding.status);
            let word = finding.status.as_str();
            // Writing to a String can't fail.
            let _ = writeln!(text, "{style}{word:<11}{style:#}  {}", finding.id.id());
            let _ = writeln!(text, "{:INDENT$}{}", "", plain(&finding.reason));
            if let Some(remedy) = &finding.remedy {
                let bold = Style::new().bold();
                let _ = writeln!(text, "{:INDENT$}{bold}to do:{bold:#} {}", "", plain(remedy));
            }
        }
        let _ = writeln!(text, "\n{} ok, {} failed, {} not checked", self.ok, self.failed, self.not_checked);
        text
    }

    /// As JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

fn style(status: Status) -> Style {
    let colour = match status {
        Status::Ok => AnsiColor::BrightGreen,
        Status::Failed => AnsiColor::BrightRed,
        Status::NotChecked => AnsiColor::BrightYellow,
    };
    Style::new().fg_color(Some(colour.into())).bold()
}

/// What an app or a proxy wrote may hold line ends and terminal codes.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    fn report() -> Report {
        Report::new(
            vec![
                Check::AppReachable.ok("http://127.0.0.1:8080/weppcloud/login answers 200"),
                Check::WorkerToggle.failed(
                    "worker a1 (4711 on host)\u{1b}[2J has no ENABLE_PROFILE_COVERAGE in its environment",
                    "set ENABLE_PROFILE_COVERAGE=1 where the worker is started, and restart it",
                ),
                Check::RqHooks.not_checked("the worker has the agent off (worker.toggle)"),
            ],
            0,
        )
    }

    #[test]
    fn text_is_for_people() {
        let plain = anstream::adapter::strip_str(&report().to_ansi()).to_string();
        insta::assert_snapshot!(plain);
    }

    #[test]
    fn only_the_words_are_coloured() {
        assert!(report().to_ansi().contains("\u{1b}[1m\u{1b}[92mok"));
        assert!(!report().to_ansi().contains("\u{1b}[2J"));
    }

    #[test]
    fn json_is_for_programs() {
        insta::assert_snapshot!(report().to_json().unwrap());
    }

    #[test]
    fn the_worst_decides_how_it_ends() {
        let ok = || Check::AppReachable.ok("");
        let not_checked = || Check::RqHooks.not_checked("");
        assert_eq!(report().exit(), Exit::Failed);
        assert_eq!(Report::new(vec![ok(), not_checked()], 0).exit(), Exit::Partial);
        assert_eq!(Report::new(vec![ok(), not_checked()], 1).exit(), Exit::Success);
        assert_eq!(Report::new(vec![ok()], 0).exit(), Exit::Success);
    }
}

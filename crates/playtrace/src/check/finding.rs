//! What a check comes to.

use std::path::Path;

use serde::Serialize;

/// The things that are looked at, in the order in which they are told. The ids are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The coverage configuration can be read, and coverage.py knows its options.
    Config,
    /// Each include and omit pattern matches something.
    Patterns,
    /// The source roots are there.
    Sources,
    /// The stored inventory is that of the tree.
    Inventory,
    /// One coverage.py is pinned, installed and asked for.
    CoveragePy,
    /// The generated workflows are as generated.
    Workflows,
    /// The preset can be read.
    Preset,
    /// Every profile can be replayed by it.
    Profiles,
}

impl Check {
    /// Its id.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Patterns => "patterns",
            Self::Sources => "sources",
            Self::Inventory => "inventory",
            Self::CoveragePy => "coverage-py",
            Self::Workflows => "workflows",
            Self::Preset => "preset",
            Self::Profiles => "profiles",
        }
    }
}

/// How one of them stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In step.
    Ok,
    /// Not in step: there are findings.
    Drift,
    /// There is nothing of the kind here, or it can't be looked at; that says nothing about it.
    NotChecked,
}

impl State {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drift => "drift",
            Self::NotChecked => "not checked",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The tree has a symbol that the inventory lacks.
    Added,
    /// The inventory has one that the tree lacks.
    Removed,
    /// The same text stands under another id.
    Moved,
    /// A symbol's text is another.
    Changed,
    /// The same text stands on other lines.
    Shifted,
    /// A file is not as it was indexed, or other rules hold.
    Differs,
    /// Something that is named is not there.
    Missing,
    /// A pattern that matches nothing.
    MatchesNothing,
    /// An option that nobody knows.
    Unknown,
    /// Something can't be read, or can't be used.
    Unreadable,
    /// A release that is not the one that is asked for.
    OtherRelease,
    /// A requirement without a release.
    NotPinned,
    /// A generated file of an entry that is gone.
    NotInTheList,
}

/// One thing that is not in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, explained in `docs/messages.md`.
    pub code: &'static str,
    /// What is wrong.
    pub kind: Kind,
    /// The file, below the repository's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// A sentence.
    pub message: String,
}

impl Finding {
    /// One without a place.
    pub fn new(code: &'static str, kind: Kind, message: impl Into<String>) -> Self {
        Self { code, kind, file: None, line: None, message: message.into() }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, file: Option<String>, line: Option<usize>) -> Self {
        (self.file, self.line) = (file, line);
        self
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Which.
    #[serde(rename = "id")]
    pub check: Check,
    /// How it stands.
    pub state: State,
    /// How much there is of it, or why it was not looked at.
    pub detail: String,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Examined {
    /// In step if there is no finding.
    pub fn of(check: Check, findings: Vec<Finding>, detail: String) -> Self {
        let state = if findings.is_empty() { State::Ok } else { State::Drift };
        Self { check, state, detail, findings }
    }

    /// Not looked at.
    pub fn not_checked(check: Check, why: impl Into<String>) -> Self {
        Self { check, state: State::NotChecked, detail: why.into(), findings: Vec::new() }
    }
}

/// A finding from one of our messages, at the place that it begins with (`<file>:<line>: …`), where it does.
pub(super) fn at_its_place(root: &Path, code: &'static str, message: &str) -> Finding {
    let (file, line) = place_in(message);
    let shorter =
        file.as_ref().zip(line).and_then(|(file, line)| message.strip_prefix(&format!("{file}:{line}: ")));
    let finding = Finding::new(code, Kind::Unreadable, shorter.unwrap_or(message));
    finding.at(file.map(|file| super::shown(root, Path::new(&file))), line)
}

/// File and line at the beginning of one of our messages (`<file>:<line>: …`), where it begins so.
pub(super) fn place_in(message: &str) -> (Option<String>, Option<usize>) {
    let mut parts = message.splitn(3, ':');
    let (Some(file), Some(line), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return (None, None);
    };
    match line.parse() {
        Ok(line) => (Some(file.to_owned()), Some(line)),
        Err(_) => (None, None),
    }
}

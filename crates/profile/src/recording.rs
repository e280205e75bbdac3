//! From events to steps: each request with what came of it, in the order in which they were sent.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::{Event, Failure, ProfileError, Request, Stage};

/// A whole `events.jsonl`, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file.
    pub path: PathBuf,
    /// Each request with its outcome, in recorded order.
    pub steps: Vec<RecordedStep>,
    /// The app's root as the browser saw it (`https://host/weppcloud`), from the first event that says it.
    pub root_url: Option<String>,
    /// The recorded run's id, from the first event that says it.
    pub run_id: Option<String>,
}

/// One recorded request with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStep {
    /// Where the request stands in the file, counted from 1.
    pub line: usize,
    /// Pairs it with its outcome.
    pub id: String,
    /// The request.
    pub request: Request,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a recorded request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was answered with this HTTP status.
    Answered(u16),
    /// It failed; the status is known if there was an answer.
    Failed(Failure),
    /// The recording ends before any answer.
    Unanswered,
}

impl Outcome {
    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(*status),
            Self::Failed(failure) => failure.status,
            Self::Unanswered => None,
        }
    }

    /// Whether the answer was 2xx.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }
}

impl Recording {
    /// Reads `<profile>/capture/events.jsonl`.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let text = fs_err::read_to_string(path)
            .map_err(|source| ProfileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Understands the text of an `events.jsonl`; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ProfileError> {
        let mut steps = Steps { path, list: Vec::new(), by_id: HashMap::new() };
        let (mut root_url, mut run_id) = (None, None);
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let event: Event = serde_json::from_str(text).map_err(|source| ProfileError::Line {
                path: path.to_owned(),
                line,
                source,
            })?;
            root_url = root_url.or_else(|| event.root_url.clone().filter(|url| !url.is_empty()));
            run_id = run_id.or_else(|| event.run_id.clone().filter(|id| !id.is_empty()));
            steps.take(line, event)?;
        }
        if steps.list.is_empty() {
            return Err(ProfileError::Empty { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), steps: steps.list, root_url, run_id })
    }
}

struct Steps<'a> {
    path: &'a Path,
    list: Vec<RecordedStep>,
    /// Id → position in `list`, line of the answer.
    by_id: HashMap<String, (usize, Option<usize>)>,
}

impl Steps<'_> {
    fn take(&mut self, line: usize, event: Event) -> Result<(), ProfileError> {
        match event.stage {
            Stage::Request(request) => {
                if let Some((first, _)) = self.by_id.get(&event.id) {
                    let first = self.list[*first].line;
                    let id = event.id;
                    return Err(self.contradiction(line, format!("request {id} is in line {first} already")));
                }
                self.by_id.insert(event.id.clone(), (self.list.len(), None));
                self.list.push(RecordedStep { line, id: event.id, request, outcome: Outcome::Unanswered });
            }
            // An answer without a request was sent before the recording began: nothing can be replayed of it.
            Stage::Response(answer) => {
                if let Some((step, answered)) = self.by_id.get_mut(&event.id) {
                    if let Some(earlier) = answered.replace(line) {
                        let what = format!("request {} was answered in line {earlier} already", event.id);
                        return Err(self.contradiction(line, what));
                    }
                    self.list[*step].outcome = Outcome::Answered(answer.status);
                }
            }
            // The page's code reports a bad answer as an error too: the answer itself knows more.
            Stage::Error(failed) => {
                if let Some((step, None)) = self.by_id.get(&event.id) {
                    self.list[*step].outcome = Outcome::Failed(failed.error);
                }
            }
        }
        Ok(())
    }

    fn contradiction(&self, line: usize, what: String) -> ProfileError {
        ProfileError::Contradiction { path: self.path.to_owned(), line, what }
    }
}

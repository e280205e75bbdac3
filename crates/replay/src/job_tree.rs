//! A job with the jobs that it started, as a status page tells it.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::preset::JobRule;

/// A job and those that it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobNode {
    /// Its id.
    pub id: String,
    /// The app's word for its state.
    pub state: String,
    /// Its function, if the page tells.
    pub function: String,
    /// The worker that has or had it, if the page tells.
    pub worker: String,
    /// What went wrong: the last line of a traceback, if the page tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The jobs that it started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<JobNode>,
    #[serde(skip)]
    own: JobState,
}

/// What a state means for the one who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobState {
    /// Ended well.
    Good,
    /// Not ended.
    Pending,
    /// Ended badly.
    Bad,
}

impl JobNode {
    /// Reads a status page's JSON; `None` if it tells no state.
    pub(crate) fn read(json: &Value, id: &str, rule: &JobRule) -> Option<Self> {
        let map = json.as_object()?;
        let state = text(map, &rule.state_keys)?;
        let own = if rule.good.iter().any(|good| good.eq_ignore_ascii_case(&state)) {
            JobState::Good
        } else if rule.bad.iter().any(|bad| bad.eq_ignore_ascii_case(&state)) {
            JobState::Bad
        } else {
            JobState::Pending
        };
        let mut children = Vec::new();
        for key in &rule.child_keys {
            if let Some(value) = map.get(key) {
                read_children(value, rule, &mut children);
            }
        }
        let error = if own == JobState::Bad { text(map, &rule.error_keys) } else { None };
        Some(Self {
            id: text(map, &rule.id_keys)
                .or_else(|| text(map, &["id".to_owned()]))
                .unwrap_or_else(|| id.to_owned()),
            state,
            function: text(map, &rule.function_keys).unwrap_or_default(),
            worker: text(map, &rule.worker_keys).unwrap_or_default(),
            error: error.as_deref().and_then(last_line),
            children,
            own,
        })
    }

    /// The state of the whole tree: bad as soon as one job is, good when all are.
    pub(crate) fn whole_state(&self) -> JobState {
        self.children.iter().map(Self::whole_state).fold(self.own, JobState::max)
    }

    /// A sentence for each job that ended badly, those at the root of the trouble only: a parent whose state just
    /// repeats its child's adds nothing.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self.children.iter().flat_map(Self::failures).collect();
        if self.own == JobState::Bad && (failures.is_empty() || self.error.is_some()) {
            let function =
                if self.function.is_empty() { String::new() } else { format!(" ({})", self.function) };
            let error = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            failures.push(format!("job {}{function} {}{error}", self.id, self.state));
        }
        failures
    }

    /// The tree for people, one job a line.
    pub fn render(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.render_into(0, &mut lines);
        lines
    }

    /// This job and all below it.
    pub fn walk(&self) -> Vec<&Self> {
        std::iter::once(self).chain(self.children.iter().flat_map(Self::walk)).collect()
    }

    fn render_into(&self, depth: usize, lines: &mut Vec<String>) {
        let function = if self.function.is_empty() { String::new() } else { format!(" {}", self.function) };
        let error = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        lines.push(format!("{}{}{function} {}{error}", "  ".repeat(depth), self.id, self.state));
        for child in &self.children {
            child.render_into(depth + 1, lines);
        }
    }
}

/// Children come as a list, or as lists by number (RQ's job info groups them by order).
fn read_children(value: &Value, rule: &JobRule, children: &mut Vec<JobNode>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| read_children(value, rule, children)),
        Value::Object(map) => match JobNode::read(value, "", rule) {
            Some(node) => children.push(node),
            None => map.values().for_each(|value| read_children(value, rule, children)),
        },
        _ => {}
    }
}

/// The first of the keys that holds a text or a number.
fn text(map: &Map<String, Value>, keys: &[String]) -> Option<String> {
    keys.iter().find_map(|key| match map.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// The last line that says something: of a traceback, the exception. At most 300 characters.
fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preset::{DEFAULT_PRESET, Preset};

    fn read(json: &Value) -> Option<JobNode> {
        JobNode::read(json, "asked", &Preset::built_in(DEFAULT_PRESET).unwrap().jobs.unwrap())
    }

    #[test]
    fn a_tree_is_as_good_as_its_worst_job() {
        let tree = |child: &str| {
            read(&json!({"status": "finished", "children": {"0": [{"job_id": "c", "status": child}]}}))
                .unwrap()
        };
        assert_eq!(tree("finished").whole_state(), JobState::Good);
        assert_eq!(tree("started").whole_state(), JobState::Pending);
        assert_eq!(tree("failed").whole_state(), JobState::Bad);
        assert_eq!(read(&json!({"job_id": "x"})), None);
    }

    #[test]
    fn failures_name_job_function_and_error() {
        let node = read(&json!({
            "id": "root", "status": "failed", "func_name": "app.build",
            "children": [
                {"id": "a", "status": "finished", "func_name": "app.part"},
                {"id": "b", "status": "failed", "func_name": "app.part",
                 "exc_info": "Traceback (most recent call last):\n  File \"x.py\"\nValueError: no soil\n\n"},
            ],
        }))
        .unwrap();
        assert_eq!(node.failures(), ["job b (app.part) failed: ValueError: no soil"]);
        insta::assert_snapshot!(node.render().join("\n"), @r"
        root app.build failed
          a app.part finished
          b app.part failed: ValueError: no soil
        ");
        assert_eq!(node.walk().len(), 3);
    }
}

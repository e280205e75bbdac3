//! One line of `events.jsonl`, as the browser recorder writes it.
//!
//! Keys that are not named here are ignored: recorders may add what older readers don't know.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Pairs a request with its response or error.
    #[serde(deserialize_with = "text_or_number")]
    pub id: String,
    /// When it happened, ISO 8601. Kept as text: nothing is computed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The browser session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The app's root as the browser saw it, with its prefix: `https://host/weppcloud`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_url: Option<String>,
    /// The run that the page belonged to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The run's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The sub-project of the run, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pup: Option<Value>,
    /// Who recorded it; never read, kept so that a rewritten recording loses nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Value>,
    /// What happened.
    #[serde(flatten)]
    pub stage: Stage,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum Stage {
    /// The browser sent a request.
    Request(Request),
    /// An answer came.
    Response(Answer),
    /// No answer came, or the page's code gave up on it.
    Error(FailedCall),
}

/// A recorded request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// Absolute URL or path, with its query.
    pub endpoint: String,
    /// Whether files went along.
    #[serde(default)]
    pub category: Category,
    /// The query's keys, repeated from `endpoint`; not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// What is known of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_meta: Option<RequestMeta>,
}

/// What kind of request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Without files.
    #[default]
    HttpRequest,
    /// With files, which are found among the seeds.
    FileUpload,
    /// A later recorder's word.
    #[serde(other)]
    Other,
}

/// What a recording keeps of a request's body.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestMeta {
    /// Whether there was a body.
    pub has_body: bool,
    /// `json`, `form-data`, `text` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_type: Option<String>,
    /// The whole JSON body, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_payload: Option<String>,
    /// The first 256 characters of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_preview: Option<String>,
    /// The body's length. Recorders count characters or bytes; equal for what a preview can replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_length: Option<u64>,
    /// Names of all fields of a form, files included, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form_keys: Option<Vec<String>>,
    /// Values of a form's fields, files left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form_values: Option<BTreeMap<String, FormValue>>,
}

/// The value of a form's field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FormValue {
    /// The field came once.
    One(String),
    /// The field came several times, in this order.
    Many(Vec<String>),
}

impl FormValue {
    /// The values in order.
    pub fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// A recorded answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The request's method, repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's endpoint, repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// Whether the browser called it good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
}

/// A recorded error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedCall {
    /// What the page's code saw.
    #[serde(default)]
    pub error: Failure,
}

/// The error object of the page's code.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The HTTP status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl Event {
    /// The event as one line of `events.jsonl`, without the line's end.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Some recorders number their requests, others name them.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

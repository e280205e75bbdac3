//! Request bodies, rebuilt from what the recording and the seeds keep of them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use playtrace_profile::{Category, Profile, RecordedStep, RequestMeta};
use reqwest::multipart;

use crate::ReplayError;
use crate::preset::{Preset, UploadRule};

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// A text of some type.
    Text {
        /// Its `Content-Type`.
        content_type: &'static str,
        /// The text.
        text: String,
    },
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// `multipart/form-data`.
    Multipart(Vec<FormPart>),
}

/// A field of a multipart form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormPart {
    /// A value.
    Value {
        /// The field.
        name: String,
        /// Its value.
        value: String,
    },
    /// A file.
    File {
        /// The field.
        name: String,
        /// The seed file; none for a file input that was left empty, which browsers send without a name.
        path: Option<PathBuf>,
    },
}

impl Body {
    /// Rebuilds the body of a recorded request; `rewrite` puts the sandbox's id in. `Err` says what is missing.
    pub(crate) fn rebuild(
        recorded: &RecordedStep,
        path: &str,
        profile: &Profile,
        preset: &Preset,
        rewrite: impl Fn(&str) -> String,
    ) -> Result<Self, String> {
        let none = RequestMeta::default();
        let meta = recorded.request.request_meta.as_ref().unwrap_or(&none);
        let is_upload = recorded.request.category == Category::FileUpload;
        let body_type = meta.body_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        let text = |content_type| {
            let text = meta.json_payload.clone().map_or_else(|| whole_preview(meta), Ok)?;
            Ok(Self::Text { content_type, text: rewrite(&text) })
        };
        match body_type.as_str() {
            "form-data" | "formdata" | "multipart" => {
                parts(meta, is_upload, path, profile, preset, rewrite).map(Self::Multipart)
            }
            _ if is_upload => parts(meta, true, path, profile, preset, rewrite).map(Self::Multipart),
            "urlencoded" | "url-encoded" | "form-urlencoded" | "urlsearchparams" | "form" => {
                match (&meta.form_values, meta.body_preview.is_some()) {
                    (None, true) => text("application/x-www-form-urlencoded;charset=UTF-8"),
                    _ => Ok(Self::Form(values(meta, rewrite).collect())),
                }
            }
            "json" => text("application/json"),
            "text" => text("text/plain;charset=UTF-8"),
            _ if !meta.has_body && meta.json_payload.is_none() => Ok(Self::Empty),
            "" if meta.json_payload.is_some() => text("application/json"),
            "" if meta.form_values.is_some() => {
                parts(meta, is_upload, path, profile, preset, rewrite).map(Self::Multipart)
            }
            other => Err(format!(
                "its body is of the type {other:?}, which recordings don't keep; record the session again with a recorder that does"
            )),
        }
    }

    /// Puts the body into a request.
    pub(crate) async fn attach(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::RequestBuilder, ReplayError> {
        Ok(match self {
            Self::Empty => request,
            Self::Text { content_type, text } => {
                request.header(reqwest::header::CONTENT_TYPE, *content_type).body(text.clone())
            }
            Self::Form(fields) => {
                let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                request
                    .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8")
                    .body(text)
            }
            Self::Multipart(parts) => {
                let mut form = multipart::Form::new();
                for part in parts {
                    form = match part {
                        FormPart::Value { name, value } => form.text(name.clone(), value.clone()),
                        FormPart::File { name, path } => {
                            form.part(name.clone(), file_part(path.as_ref()).await?)
                        }
                    };
                }
                request.multipart(form)
            }
        })
    }
}

async fn file_part(path: Option<&PathBuf>) -> Result<multipart::Part, ReplayError> {
    match path {
        Some(path) => multipart::Part::file(path)
            .await
            .map_err(|source| ReplayError::Read { path: path.clone(), source }),
        None => Ok(multipart::Part::bytes(Vec::new()).file_name("")),
    }
}

impl fmt::Display for Body {
    /// The body for a log: what and how much, never the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no body"),
            Self::Text { content_type, text } => write!(f, "{content_type}, {} bytes", text.len()),
            Self::Form(fields) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "form: {}", names.join(", "))
            }
            Self::Multipart(parts) => {
                let parts: Vec<String> = parts
                    .iter()
                    .map(|part| match part {
                        FormPart::Value { name, .. } => name.clone(),
                        FormPart::File { name, path: None } => format!("{name}=(no file)"),
                        FormPart::File { name, path: Some(path) } => {
                            format!("{name}=@{}", path.file_name().unwrap_or_default().to_string_lossy())
                        }
                    })
                    .collect();
                write!(f, "multipart form: {}", parts.join(", "))
            }
        }
    }
}

/// The body, if its preview is all of it.
fn whole_preview(meta: &RequestMeta) -> Result<String, String> {
    let preview = meta.body_preview.clone().unwrap_or_default();
    let kept = preview.chars().count() as u64;
    let whole = match meta.body_length {
        // Recorders that count bytes and those that count UTF-16 units are both right.
        Some(length) => [kept, preview.len() as u64, preview.encode_utf16().count() as u64].contains(&length),
        None => kept < 256,
    };
    if whole {
        return Ok(preview);
    }
    let length = meta.body_length.map_or_else(|| "unknown".to_owned(), |length| length.to_string());
    Err(format!(
        "only the first {kept} characters of its body were recorded (length: {length}); record the session again"
    ))
}

/// The recorded names of a form's fields, each once, in the form's order.
fn field_names(meta: &RequestMeta) -> Vec<&str> {
    let listed = meta.form_keys.iter().flatten().map(String::as_str);
    let valued = meta.form_values.iter().flat_map(|values| values.keys()).map(String::as_str);
    let mut seen = BTreeSet::new();
    listed.chain(valued).filter(|name| seen.insert(*name)).collect()
}

fn values(meta: &RequestMeta, rewrite: impl Fn(&str) -> String) -> impl Iterator<Item = (String, String)> {
    field_names(meta).into_iter().flat_map(move |name| {
        let values = meta.form_values.as_ref().and_then(|values| values.get(name));
        let values = values.map_or(&[][..], |value| value.values());
        values.iter().map(|value| (name.to_owned(), rewrite(value))).collect::<Vec<_>>()
    })
}

/// The parts of a multipart form: recorded values, and seed files where the preset says so.
fn parts(
    meta: &RequestMeta,
    is_upload: bool,
    path: &str,
    profile: &Profile,
    preset: &Preset,
    rewrite: impl Fn(&str) -> String,
) -> Result<Vec<FormPart>, String> {
    let mut rules: Vec<&UploadRule> = preset.uploads(path).collect();
    let mut parts = Vec::new();
    let mut has_file = false;
    for name in field_names(meta) {
        if let Some(at) = rules.iter().position(|rule| rule.field == name) {
            has_file = true;
            parts.push(file(rules.remove(at), profile)?);
            continue;
        }
        let recorded = meta.form_values.as_ref().and_then(|values| values.get(name));
        for value in recorded.map_or(&[][..], |value| value.values()) {
            parts.push(FormPart::Value { name: name.to_owned(), value: rewrite(value) });
        }
    }
    for rule in rules.into_iter().filter(|rule| rule.required) {
        has_file = true;
        parts.push(file(rule, profile)?);
    }
    if is_upload && !has_file {
        return Err(format!(
            "it uploaded a file, and no [[upload]] rule of preset {} says which seed file that is; add one for {path}",
            preset.name
        ));
    }
    Ok(parts)
}

fn file(rule: &UploadRule, profile: &Profile) -> Result<FormPart, String> {
    let (name, folder) = (rule.field.clone(), profile.seeds.root().join("uploads").join(&rule.kind));
    match profile.seeds.uploads(&rule.kind) {
        [path] => Ok(FormPart::File { name, path: Some(path.clone()) }),
        [] if rule.required => {
            Err(format!("its field {name} needs a seed file, and {} holds none", folder.display()))
        }
        [] => Ok(FormPart::File { name, path: None }),
        several => Err(format!(
            "its field {name} takes one seed file, and {} holds {}; keep the one that was uploaded",
            folder.display(),
            several.len()
        )),
    }
}

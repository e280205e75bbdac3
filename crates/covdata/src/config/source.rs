//! The options of a configuration file, whatever its syntax.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::options::SECTIONS;
use super::substitute::{Environment, substitute};
use super::{Release, ini};
use crate::CovdataError;

/// A value as the file has it.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// INI: everything is text.
    Ini(String),
    /// TOML.
    Text(String),
    Bool(bool),
    List(Vec<Value>),
    Other(String),
}

/// One option with its place.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) path: &'a Path,
    pub(super) section: String,
    pub(super) key: String,
    pub(super) line: usize,
    value: Value,
}

/// The options of the sections that are coverage.py's, in order. `ours`: the file is coverage.py's own, so that
/// its sections need no prefix.
pub(super) fn entries<'a>(
    path: &'a Path,
    text: &str,
    ours: bool,
    release: Release,
) -> Result<Vec<Entry<'a>>, CovdataError> {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return toml_entries(path, text, ours && release.knows_toml_rc());
    }
    let sections = ini::parse(text).map_err(|(line, message)| CovdataError::Config {
        path: path.to_owned(),
        line,
        message,
    })?;
    let mut entries = Vec::new();
    for section in &sections {
        let name = match section.name.strip_prefix("coverage:") {
            Some(name) => name,
            // The prefixed section counts where a file has both.
            None if ours && !sections.iter().any(|s| s.name == format!("coverage:{}", section.name)) => {
                &section.name
            }
            None => continue,
        };
        entries.extend(section.options.iter().map(|option| Entry {
            path,
            section: name.to_owned(),
            key: option.key.clone(),
            line: option.line,
            value: Value::Ini(option.value.clone()),
        }));
    }
    Ok(entries)
}

/// `bare`: sections need no `tool.coverage`.
fn toml_entries<'a>(path: &'a Path, text: &str, bare: bool) -> Result<Vec<Entry<'a>>, CovdataError> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let document = DeTable::parse(text).map_err(|error| CovdataError::Config {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(span.start)),
        message: error.message().to_owned(),
    })?;
    let document = document.get_ref();
    let prefixed = document
        .get("tool")
        .and_then(|tool| tool.get_ref().as_table())
        .and_then(|tool| tool.get("coverage"))
        .and_then(|coverage| coverage.get_ref().as_table());
    // A prefixed section counts where a file has both.
    let is_prefixed = |section: &str| prefixed.is_some_and(|prefixed| prefixed.contains_key(section));
    let bare =
        bare.then_some(document).into_iter().flatten().filter(|(name, _)| !is_prefixed(name.get_ref()));
    let mut entries = Vec::new();
    for (section, options) in prefixed.into_iter().flatten().chain(bare) {
        let line = line_of(section.span().start);
        let Some(options) = options.get_ref().as_table() else {
            if SECTIONS.contains(&section.get_ref().as_ref()) || section.get_ref() == "paths" {
                let message = format!("{} is no table of options", section.get_ref());
                return Err(CovdataError::Config { path: path.to_owned(), line, message });
            }
            continue;
        };
        entries.extend(options.iter().map(|(key, value)| Entry {
            path,
            section: section.get_ref().to_string(),
            key: key.get_ref().to_string(),
            line: line_of(key.span().start),
            value: toml_value(value),
        }));
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn toml_value(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Array(items) => Value::List(items.iter().map(toml_value).collect()),
        DeValue::Integer(number) => Value::Other(number.to_string()),
        DeValue::Float(number) => Value::Other(number.to_string()),
        DeValue::Datetime(time) => Value::Other(time.to_string()),
        DeValue::Table(_) => Value::Other("a table".to_owned()),
    }
}

impl Entry<'_> {
    pub(super) fn fault(&self, message: impl std::fmt::Display) -> CovdataError {
        CovdataError::Config {
            path: self.path.to_owned(),
            line: self.line,
            message: format!("[{}] {}: {message}", self.section, self.key),
        }
    }

    fn substituted(&self, text: &str, environment: Environment<'_>) -> Result<String, CovdataError> {
        substitute(text, environment)
            .map_err(|name| self.fault(format_args!("environment variable {name} has to be set and is not")))
    }

    /// One text.
    pub(super) fn text(&self, environment: Environment<'_>) -> Result<String, CovdataError> {
        match &self.value {
            Value::Ini(text) | Value::Text(text) => self.substituted(text, environment),
            Value::Bool(value) => Ok(value.to_string()),
            Value::Other(text) => Ok(text.clone()),
            Value::List(_) => Err(self.fault("one value is expected here, not a list")),
        }
    }

    /// A path: `~` is the home directory.
    pub(super) fn file(&self, environment: Environment<'_>) -> Result<String, CovdataError> {
        if matches!(self.value, Value::Bool(_) | Value::Other(_)) {
            return Err(self.fault("a text is expected here"));
        }
        self.text(environment).map(|path| home(&path, environment))
    }

    /// Yes or no.
    pub(super) fn boolean(&self, environment: Environment<'_>) -> Result<bool, CovdataError> {
        if let Value::Bool(value) = self.value {
            return Ok(value);
        }
        let text = self.text(environment)?;
        let known = match &self.value {
            Value::Ini(_) => match text.to_lowercase().as_str() {
                "1" | "yes" | "true" | "on" => Some(true),
                "0" | "no" | "false" | "off" => Some(false),
                _ => None,
            },
            _ => text.parse().ok(),
        };
        known.ok_or_else(|| match self.value {
            Value::Ini(_) => {
                self.fault(format_args!("{text:?} is neither yes (or true, on, 1) nor no (or false, off, 0)"))
            }
            _ => self.fault(format_args!("{text:?} is neither true nor false")),
        })
    }

    /// A number, as Python reads it.
    pub(super) fn float(&self, environment: Environment<'_>) -> Result<f64, CovdataError> {
        if let Value::Bool(value) = self.value {
            return Ok(f64::from(value));
        }
        let text = self.text(environment)?;
        let number = without_underscores(&text).and_then(|digits| digits.parse().ok());
        let number = number.filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.fault(format_args!("{text:?} is not a number")))
    }

    /// A whole number, as Python reads it, not negative.
    pub(super) fn count(&self, environment: Environment<'_>) -> Result<usize, CovdataError> {
        if let Value::Bool(value) = self.value {
            return Ok(usize::from(value));
        }
        let text = self.text(environment)?;
        without_underscores(&text)
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.fault(format_args!("{text:?} is not a whole number, or it is negative")))
    }

    /// Several texts: in INI files between commas and newlines.
    pub(super) fn list(&self, environment: Environment<'_>) -> Result<Vec<String>, CovdataError> {
        match &self.value {
            Value::Ini(text) => {
                let text = self.substituted(text, environment)?;
                Ok(parts(&text, &['\n', ',']))
            }
            _ => self.toml_list(environment),
        }
    }

    /// Several regular expressions: in INI files one a line. Blank ones are left out.
    pub(super) fn lines(&self, environment: Environment<'_>) -> Result<Vec<String>, CovdataError> {
        if let Value::Ini(text) = &self.value {
            let text = self.substituted(text, environment)?;
            return Ok(parts(&text, &LINE_ENDS));
        }
        let list = self.toml_list(environment)?;
        Ok(list.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
    }

    fn toml_list(&self, environment: Environment<'_>) -> Result<Vec<String>, CovdataError> {
        let Value::List(items) = &self.value else { return Err(self.fault("a list is expected here")) };
        items
            .iter()
            .map(|item| match item {
                Value::Text(text) => self.substituted(text, environment),
                _ => Err(self.fault("a list of texts is expected here")),
            })
            .collect()
    }
}

/// A number's text without the underscores that Python takes between digits, and no others.
fn without_underscores(text: &str) -> Option<String> {
    let text = text.trim();
    let is_digit = |part: Option<char>| part.is_some_and(|c| c.is_ascii_digit());
    let mut parts = text.split('_').peekable();
    while let Some(part) = parts.next() {
        let follows = parts.peek();
        if follows.is_some_and(|next| !is_digit(part.chars().next_back()) || !is_digit(next.chars().next())) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// Where Python's `str.splitlines` splits.
const LINE_ENDS: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

fn parts(text: &str, separators: &[char]) -> Vec<String> {
    text.split(separators).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

pub(super) fn home(path: &str, environment: Environment<'_>) -> String {
    match (path.strip_prefix('~'), environment("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/'))
        }
        _ => path.to_owned(),
    }
}

//! coverage.py's file patterns.

use regex::{Regex, RegexBuilder};

use crate::CovdataError;

/// Matches file names against patterns, any of which may fit.
///
/// `?` is one character of a component, `*` any number of them, `**/` any number of directories, `[…]` a
/// set. A pattern without a slash means a file name anywhere, any other one a whole path. Slashes stand for
/// either kind of separator. (The rules of coverage.py 7.11.)
#[derive(Debug, Clone)]
pub struct GlobMatcher(Option<Regex>);

impl GlobMatcher {
    /// Compiles patterns; with none, nothing matches.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, CovdataError> {
        let parts = patterns
            .into_iter()
            .map(|pattern| translate(pattern).map(|regex| format!("(?:{regex})")))
            .collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Ok(Self(None));
        }
        compile(&format!(r"^(?:{})\z", parts.join("|")), false).map(|regex| Self(Some(regex)))
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether `path` fits one of the patterns.
    pub fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(path))
    }
}

/// A regular expression that matches what starts as `pattern` does, whatever the case.
pub(crate) fn prefix(pattern: &str) -> Result<Regex, CovdataError> {
    compile(&format!("^(?:{})", translate(pattern)?), true)
}

fn compile(text: &str, case_insensitive: bool) -> Result<Regex, CovdataError> {
    RegexBuilder::new(text)
        .case_insensitive(case_insensitive)
        .build()
        .map_err(|error| CovdataError::Pattern { pattern: text.to_owned(), part: error.to_string() })
}

/// A pattern as a regular expression.
fn translate(pattern: &str) -> Result<String, CovdataError> {
    let mut pattern = pattern.replace('\\', "/");
    if !pattern.contains('/') {
        pattern.insert_str(0, "**/");
    }
    let mut regex = String::new();
    let mut rest = pattern.as_str();
    while !rest.is_empty() {
        let refuse = |len: usize| CovdataError::Pattern {
            pattern: pattern.clone(),
            part: rest.chars().take(len).collect(),
        };
        let component = rest.find('/').unwrap_or(rest.len());
        let stars = rest.bytes().take_while(|byte| *byte == b'*').count();
        let at_start = rest.len() == pattern.len();
        // What a component may hold besides a `**` of its own: nothing.
        if stars >= 3 || (component > 2 && rest[..component].contains("**")) {
            return Err(refuse(component.max(3)));
        }
        if stars == 2 && rest[2..].starts_with("/**") {
            return Err(refuse(5));
        }
        let (token, len) = if stars > 0 && at_start && rest[stars..].starts_with('/') {
            (r"(?:.*[/\\])?".to_owned(), stars + 1)
        } else if let Some(tail) = rest.strip_prefix('/')
            && !tail.is_empty()
            && tail.bytes().all(|byte| byte == b'*')
        {
            (r"[/\\].*".to_owned(), rest.len())
        } else if stars == 2 && rest[2..].starts_with('/') {
            (r"(?:.*[/\\])?".to_owned(), 3)
        } else if rest.starts_with('/') {
            (r"[/\\]".to_owned(), 1)
        } else if stars > 0 {
            (r"[^/\\]*".to_owned(), 1)
        } else if rest.starts_with('?') {
            (r"[^/\\]".to_owned(), 1)
        } else if rest.starts_with('[') {
            let end = rest.find(']').ok_or_else(|| refuse(1))?;
            (class(&rest[1..end]).ok_or_else(|| refuse(end + 1))?, end + 1)
        } else if rest.starts_with(']') {
            return Err(refuse(1));
        } else {
            // The loop's condition says that there is a character.
            let len = rest.chars().next().map_or(1, char::len_utf8);
            (regex::escape(&rest[..len]), len)
        };
        regex.push_str(&token);
        rest = &rest[len..];
    }
    Ok(regex)
}

/// A set of characters, its content taken as Python's `re` takes it: `^` first negates, `-` makes ranges,
/// everything else is itself.
fn class(content: &str) -> Option<String> {
    let (negated, content) = match content.strip_prefix('^') {
        Some(rest) => ("^", rest),
        None => ("", content),
    };
    let letters: Vec<char> = content.chars().collect();
    let mut set = String::new();
    let mut at = 0;
    while at < letters.len() {
        let escaped = |letter: char| format!(r"\x{{{:x}}}", u32::from(letter));
        set.push_str(&escaped(letters[at]));
        if letters.get(at + 1) == Some(&'-') && at + 2 < letters.len() {
            if letters[at] > letters[at + 2] {
                return None;
            }
            set.push('-');
            set.push_str(&escaped(letters[at + 2]));
            at += 3;
        } else {
            at += 1;
        }
    }
    (!set.is_empty()).then(|| format!("[{negated}{set}]"))
}

//! Python's `re` notation on Rust's engines.
//!
//! The dialects share nearly everything; this module rewrites the few spellings that mean something else
//! in Rust, and takes the backtracking engine for what the linear one refuses (look-around, back-references).

use memchr::memmem::Finder;

use crate::SourceError;
use crate::required::required;

/// A compiled pattern, always in multi-line mode.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    written: String,
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    /// The pattern, and texts of which each match holds one; none if that can't be told. Most files hold none of them, and to look for
    /// them takes a tenth of a search.
    Linear(regex::Regex, Vec<Finder<'static>>),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// One pattern out of several, joined as coverage.py's `join_regex` does: matches of the whole don't overlap.
    pub(crate) fn any_of(patterns: &[String]) -> Result<Self, SourceError> {
        let named = |pattern: &String| Self::new(pattern).map(drop);
        // Each by itself first: the error names the one pattern that is wrong. To read one takes a fraction of what it
        // takes to compile it.
        patterns.iter().filter(|pattern| !is_readable(pattern)).try_for_each(named)?;
        let all = match patterns {
            [only] => only.clone(),
            _ => patterns.iter().map(|pattern| format!("(?:{pattern})")).collect::<Vec<_>>().join("|"),
        };
        Self::new(&all).or_else(|error| {
            // One may be too large.
            patterns.iter().try_for_each(named)?;
            Err(error)
        })
    }

    pub(crate) fn new(written: &str) -> Result<Self, SourceError> {
        let translated = multi_line(written);
        let engine = match regex::Regex::new(&translated) {
            Ok(linear) => {
                let texts = required(&translated).unwrap_or_default();
                Engine::Linear(linear, texts.iter().map(|text| Finder::new(text).into_owned()).collect())
            }
            Err(_) => {
                Engine::Backtracking(Box::new(fancy_regex::Regex::new(&translated).map_err(|error| {
                    SourceError::Pattern { pattern: written.to_owned(), problem: error.to_string() }
                })?))
            }
        };
        Ok(Self { written: written.to_owned(), engine })
    }

    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.written
    }

    /// The byte ranges of all matches in `text`; `name` is for errors.
    pub(crate) fn spans(&self, text: &str, name: &str) -> Result<Vec<(u32, u32)>, SourceError> {
        // Offsets fit: ruff refuses longer texts before we come here.
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        match &self.engine {
            Engine::Linear(_, texts)
                if !texts.is_empty() && texts.iter().all(|one| one.find(text.as_bytes()).is_none()) =>
            {
                Ok(Vec::new())
            }
            Engine::Linear(regex, _) => {
                Ok(regex.find_iter(text).map(|found| (offset(found.start()), offset(found.end()))).collect())
            }
            Engine::Backtracking(regex) => regex
                .find_iter(text)
                .map(|found| {
                    let found = found.map_err(|error| SourceError::PatternRun {
                        name: name.to_owned(),
                        pattern: self.written.clone(),
                        problem: error.to_string(),
                    })?;
                    Ok((offset(found.start()), offset(found.end())))
                })
                .collect(),
        }
    }
}

/// Whether the linear engine understands a pattern.
fn is_readable(written: &str) -> bool {
    regex_syntax::parse(&multi_line(written)).is_ok()
}

fn multi_line(written: &str) -> String {
    format!("(?m){}", translate(written))
}

/// Rewrites what Rust reads otherwise: `{` that starts no repetition, `[`, `&&`, `--`, `~~` inside a set,
/// escaped punctuation, `\Z`.
fn translate(written: &str) -> String {
    let chars: Vec<char> = written.chars().collect();
    let mut out = String::with_capacity(written.len() + 8);
    let mut at = 0;
    // `Some(position of the first member)` while inside [...].
    let mut set: Option<usize> = None;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => {
                if let Some(&next) = chars.get(at + 1) {
                    push_escaped(&mut out, next);
                } else {
                    out.push('\\');
                }
                at += 2;
                continue;
            }
            '[' if set.is_none() => {
                out.push('[');
                if chars.get(at + 1) == Some(&'^') {
                    out.push('^');
                    at += 1;
                }
                set = Some(at + 1);
            }
            ']' if set.is_some_and(|first| at > first) => {
                out.push(']');
                set = None;
            }
            // A `]` that comes first is a member; `[`, `&` and `~` are plain members in Python's sets.
            ']' | '[' | '&' | '~' if set.is_some() => {
                out.push('\\');
                out.push(c);
            }
            '{' if set.is_none() => match repetition(&chars[at..]) {
                Some((text, length)) => {
                    out.push_str(&text);
                    at += length;
                    continue;
                }
                None => out.push_str(r"\{"),
            },
            _ => out.push(c),
        }
        at += 1;
    }
    out
}

fn push_escaped(out: &mut String, next: char) {
    match next {
        'Z' => out.push_str(r"\z"),
        // Rust gives `\<` and `\>` a meaning of their own and refuses some escapes of harmless characters.
        _ if next.is_ascii_punctuation() => out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
        _ if next.is_ascii_alphanumeric() => {
            out.push('\\');
            out.push(next);
        }
        _ => out.push(next),
    }
}

/// `{m}`, `{m,}`, `{,n}`, `{m,n}` or `{,}` at the start of `rest`, in Rust's spelling, and its length.
fn repetition(rest: &[char]) -> Option<(String, usize)> {
    let end = rest.iter().position(|&c| c == '}')?;
    let inner: String = rest[1..end].iter().collect();
    let (low, high) = inner.split_once(',').map_or((inner.as_str(), None), |(low, high)| (low, Some(high)));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if inner.is_empty() || !all_digits(low) || !high.is_none_or(all_digits) {
        return None;
    }
    let low = if low.is_empty() { "0" } else { low };
    let text = high.map_or_else(|| format!("{{{low}}}"), |high| format!("{{{low},{high}}}"));
    Some((text, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        !Pattern::new(pattern).unwrap().spans(text, "t").unwrap().is_empty()
    }

    #[test]
    fn spellings_that_rust_reads_otherwise() {
        // (pattern, a text it finds, a text it doesn't), each checked with CPython 3.12's `re.search(…, re.M)`.
        for (pattern, yes, no) in [
            (r"[^[]x", "ax", "[x"),
            (r"[]]", "]", "["),
            (r"[a&&b]", "&", "c"),
            (r"[\w~~]", "~", "-"),
            (r"{x", "{x", "x"),
            (r"\{x\}", "{x}", "x"),
            (r"a{2}", "aa", "a"),
            (r"a{,2}b", "b", "c"),
            (r"xa{,}b", "xaab", "xa{,}b"),
            (r"\<b\>", "<b>", "b"),
            (r"\#\ x", "# x", "#x"),
            (r"end\Z", "end", "end\n"),
            (r"a\/b", "a/b", "ab"),
            (r"^x$", "y\nx\ny", "yx"),
        ] {
            assert!(finds(pattern, yes), "{pattern:?} did not find {yes:?}");
            assert!(!finds(pattern, no), "{pattern:?} found {no:?}");
        }
    }

    #[test]
    fn look_around_and_back_references() {
        assert!(finds(r"(?<!not )cover", "do cover") && !finds(r"(?<!not )cover", "not cover"));
        let quoted = r#"(?P<q>['"])x(?P=q)"#;
        assert!(finds(quoted, "'x'") && !finds(quoted, "'x\""));
    }
}

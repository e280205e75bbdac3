//! Python's `re` notation on Rust's engines.
//!
//! The dialects share nearly everything; [`translate`] rewrites what means something else in Rust, and tells what only the
//! backtracking engine has (look-around, back-references).

mod chars;
mod escape;
mod flags;
#[cfg(test)]
mod oracle_tests;
mod set;
mod translate;

use memchr::memmem::Finder;

use crate::SourceError;
use crate::required::required;

use translate::translate;

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
            _ => patterns
                .iter()
                .map(|pattern| format!("(?:{})", scoped(pattern)))
                .collect::<Vec<_>>()
                .join("|"),
        };
        Self::new(&all).or_else(|error| {
            // One may be too large.
            patterns.iter().try_for_each(named)?;
            Err(error)
        })
    }

    pub(crate) fn new(written: &str) -> Result<Self, SourceError> {
        let wrong = |problem| SourceError::Pattern { pattern: written.to_owned(), problem };
        let translated = translate(written).map_err(|problem| wrong(problem.to_string()))?;
        let linear = if translated.backtracks { None } else { regex::Regex::new(&translated.pattern).ok() };
        let engine = if let Some(linear) = linear {
            let texts = required(&translated.pattern).unwrap_or_default();
            Engine::Linear(linear, texts.iter().map(|text| Finder::new(text).into_owned()).collect())
        } else {
            let regex = fancy_regex::Regex::new(&translated.pattern);
            Engine::Backtracking(Box::new(
                regex.map_err(|error| wrong(format!("{error}, in {:?}", translated.pattern)))?,
            ))
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

/// What CPython's `re` has against a pattern, and where in it; `None` where it takes it.
pub fn regex_problem(written: &str) -> Option<String> {
    translate(written).err().map(|problem| problem.to_string())
}

/// Whether the linear engine understands a pattern.
fn is_readable(written: &str) -> bool {
    translate(written)
        .is_ok_and(|translated| !translated.backtracks && regex_syntax::parse(&translated.pattern).is_ok())
}

/// The pattern with flags for all of it as flags for a group: CPython takes the former at the start of a pattern alone.
fn scoped(pattern: &str) -> String {
    let flags = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    match flags {
        Some((flags, rest)) if !flags.is_empty() && flags.bytes().all(|flag| flag.is_ascii_alphabetic()) => {
            // A comment may be the last.
            let end = if flags.contains('x') { "\n" } else { "" };
            format!("(?{flags}:{rest}{end})")
        }
        _ => pattern.to_owned(),
    }
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

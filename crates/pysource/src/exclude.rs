//! Exclusion patterns: which lines do not count, by regular expression.

use playtrace_model::LineBits;

use crate::python_regex::Pattern;
use crate::{CoverageRelease, SourceError, SourceText};

/// The `[report] exclude_lines` and `exclude_also` of a coverage config, ready for use.
#[derive(Debug, Clone)]
pub struct Exclusions {
    /// None where nothing is to be excluded: an empty pattern would match every line.
    pattern: Option<Pattern>,
}

impl Exclusions {
    /// Takes patterns in Python's notation.
    ///
    /// The list is the whole list: `exclude_lines` replaces [the defaults](CoverageRelease::default_exclusions) and `exclude_also` adds to it,
    /// which is the config reader's business.
    pub fn new<I: IntoIterator<Item: AsRef<str>>>(patterns: I) -> Result<Self, SourceError> {
        let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
        let pattern = if patterns.is_empty() { None } else { Some(Pattern::any_of(&patterns)?) };
        Ok(Self { pattern })
    }

    /// What a release of coverage.py excludes by default.
    pub fn default_of(release: CoverageRelease) -> Self {
        // The defaults are constants; `defaults_compile` below proves that they compile.
        Self::new(release.default_exclusions()).unwrap_or(Self { pattern: None })
    }

    /// The pattern that all are joined to; empty where nothing is excluded.
    pub(crate) fn as_str(&self) -> &str {
        self.pattern.as_ref().map_or("", Pattern::as_str)
    }

    /// Every line that a match of a pattern touches. A match may span lines.
    pub(crate) fn matching_lines(&self, text: &SourceText, name: &str) -> Result<LineBits, SourceError> {
        let mut lines = LineBits::new();
        if let Some(pattern) = &self.pattern {
            for (start, end) in pattern.spans(text.as_str(), name)? {
                lines.extend(text.line_at(start)..=text.line_at(end));
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(patterns: &[&str], text: &str) -> Vec<u32> {
        let text = SourceText::decode(text.as_bytes(), "t.py").unwrap();
        Exclusions::new(patterns).unwrap().matching_lines(&text, "t.py").unwrap().iter().collect()
    }

    #[test]
    fn defaults_compile() {
        for release in CoverageRelease::ALL {
            assert!(Exclusions::default_of(release).pattern.is_some());
        }
    }

    #[test]
    fn a_match_may_span_lines() {
        let defaults = CoverageRelease::V7_11.default_exclusions();
        assert_eq!(lines(&["a\nb"], "a\nb\nc\n"), [1, 2]);
        assert_eq!(lines(&defaults, "def f(\n): ...\n"), [2, 3]);
        assert_eq!(lines(&defaults, "def f(x):\n  ...\nx = 1\n"), [1, 2]);
    }

    #[test]
    fn a_match_that_ends_with_a_newline_touches_the_next_line() {
        // As coverage.py 7.11.3: the end position of the match is already on the next line.
        assert_eq!(lines(&[r"a\n"], "a\nb\n"), [1, 2]);
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let error = Exclusions::new(["("]).unwrap_err();
        assert_eq!(error.code(), "PT-SOURCE-004");
        assert!(error.to_string().contains("\"(\""), "{error}");
    }
}

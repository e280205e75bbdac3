//! Python regular expressions for texts that are no source.

use crate::SourceError;
use crate::python_regex::Pattern;

/// Patterns of which any may be found anywhere in a text, as `re.search` looks for them.
#[derive(Debug, Clone)]
pub struct SearchPatterns(Vec<Pattern>);

impl SearchPatterns {
    /// Compiles patterns; with none, nothing is found.
    pub fn new(patterns: &[String]) -> Result<Self, SourceError> {
        patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one is found in `text`.
    pub fn found_in(&self, text: &str) -> Result<bool, SourceError> {
        for pattern in &self.0 {
            if !pattern.spans(text, text)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pattern_anywhere() {
        let patterns = SearchPatterns::new(&["^a".to_owned(), "x(?=y)".to_owned()]).unwrap();
        let found: Vec<bool> =
            ["abc", "cab", "wxy", "wx", ""].iter().map(|text| patterns.found_in(text).unwrap()).collect();
        assert_eq!(found, [true, false, true, false, false]);
        assert!(!SearchPatterns::new(&[]).unwrap().found_in("a").unwrap());
        assert_eq!(SearchPatterns::new(&["(".to_owned()]).unwrap_err().code(), "PT-SOURCE-004");
    }
}

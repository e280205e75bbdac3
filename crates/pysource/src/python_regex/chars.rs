//! A pattern's characters, one after the other.

use std::fmt;

/// What is wrong with a pattern, in the words of CPython's `re`, and where: how many characters stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    what: String,
    at: usize,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, at: usize) -> Self {
        Self { what: what.into(), at }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at position {}", self.what, self.at)
    }
}

/// The characters, and how far they are read.
pub(super) struct Chars {
    chars: Vec<char>,
    pub(super) at: usize,
}

impl Chars {
    pub(super) fn of(pattern: &str) -> Self {
        Self { chars: pattern.chars().collect(), at: 0 }
    }

    /// What was read from a place on.
    pub(super) fn since(&self, at: usize) -> String {
        self.chars[at..self.at].iter().collect()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Reads a text if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let length = text.chars().count();
        let is_next = self.chars[self.at..].iter().take(length).copied().eq(text.chars());
        self.at += if is_next { length } else { 0 };
        is_next
    }

    /// Reads characters of a kind, at most so many.
    pub(super) fn take(&mut self, most: usize, fits: impl Fn(char) -> bool) -> String {
        let text: String =
            self.chars[self.at..].iter().copied().take(most).take_while(|&c| fits(c)).collect();
        self.at += text.chars().count();
        text
    }

    /// Reads up to a character, and over it.
    pub(super) fn until(&mut self, end: char, what: &str) -> Result<String, Problem> {
        let start = self.at;
        let text = self.take(usize::MAX, |c| c != end);
        match (text.is_empty(), self.next()) {
            (true, _) => Err(Problem::new(format!("missing {what}"), start)),
            (false, Some(_)) => Ok(text),
            (false, None) => Err(Problem::new(format!("missing {end}, unterminated name"), start)),
        }
    }
}

//! Which files (or regions) a report lists, and which it leaves out as done or empty.

use playtrace_analysis::Numbers;

/// What of a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Leave out what is covered completely.
    pub skip_covered: bool,
    /// Leave out what has no statements.
    pub skip_empty: bool,
}

/// How much was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Skipped {
    pub(super) covered: usize,
    pub(super) empty: usize,
}

impl Shown {
    /// Whether something with these numbers is listed; what is not is counted.
    pub(super) fn lists(self, numbers: Numbers, skipped: &mut Skipped) -> bool {
        if self.skip_covered && numbers.missing == 0 {
            skipped.covered += 1;
            return false;
        }
        if self.skip_empty && numbers.statements == 0 {
            skipped.empty += 1;
            return false;
        }
        true
    }
}

impl Skipped {
    /// The sentences that say so; `noun` and `nouns` name the things.
    pub(super) fn sentences(self, noun: &str, nouns: &str) -> Vec<String> {
        let name = |count: usize| if count == 1 { noun } else { nouns };
        let mut sentences = Vec::new();
        if self.covered > 0 {
            sentences.push(format!(
                "{} {} skipped due to complete coverage.",
                self.covered,
                name(self.covered)
            ));
        }
        if self.empty > 0 {
            sentences.push(format!("{} empty {} skipped.", self.empty, name(self.empty)));
        }
        sentences
    }
}

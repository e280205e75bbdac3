//! The numbers of coverage.py's reports: per file and region what is executed, missing and excluded.
//!
//! Its rules for lines, whichever format shows them (`results.py` of coverage.py 7.11.3 and 7.17.5). Branches are not known
//! here: data that has some is reported by its lines.

mod contexts;
mod file;
mod human;
mod numbers;

pub use contexts::LineContexts;
pub use file::{FileCoverage, FileInput, LineState, Narrowed};
pub use human::human_cmp;
pub use numbers::{Numbers, Threshold, display_percent, reaches};

use playtrace_model::ContextLabel;

/// Which coverage.py's results are equalled, where releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// 7.11.
    V7_11,
    /// 7.17: executed lines are statements only; more fields in JSON, other names in LCOV, control characters replaced.
    V7_17,
}

/// A data file's results, for all files that are reported.
#[derive(Debug)]
pub struct CoverageReport<'a> {
    /// Whose results these are.
    pub edition: Edition,
    /// The files, in the order of their names in data.
    pub files: Vec<FileCoverage<'a>>,
    /// The contexts that lines may have, sorted: files refer to them by their place here.
    pub contexts: Vec<&'a ContextLabel>,
    /// Digits behind the point of percentages.
    pub precision: usize,
}

impl CoverageReport<'_> {
    /// All files together.
    pub fn total(&self) -> Numbers {
        self.files.iter().map(|file| file.numbers).sum()
    }
}

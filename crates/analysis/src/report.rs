//! The result of one profile, as it stands in its report JSON.

use std::collections::BTreeMap;

use playtrace_model::{MeasuredPath, SourceHash, Status, SymbolKind};
use serde::{Deserialize, Serialize};

use crate::AnalysisError;
use crate::error::check_document;
use crate::inventory::UnparsedFile;

/// One profile's result: which code it executed, and how much its data can be trusted.
///
/// Field by field this is the report JSON (`docs/schema/report.schema.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileReport {
    /// [`ProfileReport::FORMAT`].
    pub format: String,
    /// [`ProfileReport::VERSION`].
    pub version: u32,
    /// The profile.
    pub profile: String,
    /// When the report was made, ISO 8601 in UTC.
    pub timestamp: String,
    /// The verdict's status; `stale` where the data belongs to another source.
    pub status: Status,
    /// Why the status is not better.
    pub reasons: Vec<String>,
    /// What is worth knowing besides.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The run that the data is of.
    #[serde(default)]
    pub run: Option<String>,
    /// Whether lines were traced, or functions entered alone.
    #[serde(default)]
    pub measured: Measured,
    /// How many requests the player sent, if known.
    #[serde(default)]
    pub requests: Option<u64>,
    /// How many background jobs belong to the run, if known.
    #[serde(default)]
    pub jobs: Option<u64>,
    /// The numbers.
    pub summary: Summary,
    /// Names of covered modules, sorted.
    pub modules: Vec<String>,
    /// Names of covered classes, sorted.
    pub classes: Vec<String>,
    /// All symbols of the files that the profile touched, covered or not, by file and line.
    pub symbols: Vec<SymbolReport>,
    /// Every file of interest, touched or not, by path.
    pub files: Vec<FileReport>,
    /// Functions and methods that an import ran (a decorator, a registry): that covers them for no profile.
    #[serde(default)]
    pub run_by_import: Vec<SymbolRef>,
    /// Files in the data that are no file of interest in this tree, with the number of lines measured in each.
    #[serde(default)]
    pub not_in_source: BTreeMap<MeasuredPath, usize>,
    /// Files of interest that are not Python: none of their lines counts.
    #[serde(default)]
    pub unparsed: Vec<UnparsedFile>,
}

/// What was traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measured {
    /// Executed lines.
    #[default]
    Lines,
    /// Functions entered (symbol granularity): no line is known to be executed, and none to be missing.
    Functions,
}

/// The numbers of one profile. Counts of files, modules, classes and functions are of covered ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Files with an executed statement, or an entered function where lines were not traced.
    pub file_count: usize,
    /// Modules of these files.
    pub module_count: usize,
    /// Covered classes.
    pub class_count: usize,
    /// Covered functions and methods.
    pub function_count: usize,
    /// Executed statements.
    pub lines_covered: usize,
    /// Statements of all files of interest, touched or not, import lines apart.
    pub lines_total: usize,
    /// `lines_covered` of `lines_total`, one decimal; 0 where there is no statement.
    pub coverage_percent: f64,
    /// Statements that imports run, in neither number above.
    pub import_lines: usize,
    /// Statements that were not traced, in no number above.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lines_not_traced: usize,
    /// Files of interest.
    pub files_total: usize,
    /// Functions and methods that could run.
    pub functions_total: usize,
    /// Files whose source differs from the one that was measured: their lines are in no number.
    pub stale_files: usize,
    /// Files with measured lines of which nothing says whether the source is the one that was measured: their lines count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unverified_files: usize,
}

/// One symbol in one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolReport {
    /// Full name.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// The file.
    pub file: MeasuredPath,
    /// Line of `def` or `class`.
    pub line: u32,
    /// First (decorators included) and last line.
    pub line_span: (u32, u32),
    /// Its own statements that the profile executed, without those of nested functions and classes.
    pub executed_lines: Vec<u32>,
    /// How many own statements it has.
    pub lines_total: usize,
    /// Function or method: an own statement is executed (where lines were not traced: it was entered). Class: that, or a method
    /// of it is covered. Module: any statement, or function, of the file.
    pub covered: bool,
}

/// Names one definition: two definitions of one name differ in their line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SymbolRef {
    /// The file.
    pub file: MeasuredPath,
    /// Line of `def` or `class`.
    pub line: u32,
    /// Full name.
    pub name: String,
}

/// One file in one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileReport {
    /// The file.
    pub path: MeasuredPath,
    /// Its module.
    pub module: String,
    /// Hash of the source that this report was made with.
    pub sha256: SourceHash,
    /// The measured source was another one: no line of this file counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// Nothing says whether the measured source was this one: its lines count all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    /// Executed statements, as a number.
    pub lines_covered: usize,
    /// Executed and missing statements, as a number.
    pub lines_total: usize,
    /// The percentage; `null` for a file without statements outside imports.
    pub coverage_percent: Option<f64>,
    /// Executed statements.
    pub executed_lines: Vec<u32>,
    /// Statements that the profile did not execute.
    pub missing_lines: Vec<u32>,
    /// Statements that run at import, and were not executed by the profile.
    pub import_lines: Vec<u32>,
    /// Statements that were not traced: neither executed nor missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_traced_lines: Vec<u32>,
    /// Where lines were not traced: how many functions and methods were entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions_entered: Option<usize>,
    /// Excluded lines.
    pub excluded_lines: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like this")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl FileReport {
    /// Whether the profile executed, or entered, anything of the file.
    pub fn is_touched(&self) -> bool {
        self.lines_covered > 0 || self.functions_entered.is_some_and(|entered| entered > 0)
    }
}

impl ProfileReport {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-report";
    /// The version written.
    pub const VERSION: u32 = 1;

    /// Whether this is a report that this program understands; `name` is the file's, for the error.
    pub fn check(&self, name: &str) -> Result<(), AnalysisError> {
        check_document(name, (&self.format, self.version), (Self::FORMAT, Self::VERSION))
    }

    /// Covered functions and methods.
    pub fn covered_functions(&self) -> impl Iterator<Item = &SymbolReport> {
        self.symbols.iter().filter(|symbol| {
            symbol.covered && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method)
        })
    }
}

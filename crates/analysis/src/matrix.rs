//! Several profiles side by side: profile -> symbols, symbol -> profiles, and what no profile reaches.

mod build;
mod gaps;
mod known;

use std::collections::BTreeMap;

use playtrace_model::{MeasuredPath, Status, SymbolKind};
use serde::{Deserialize, Serialize};

use crate::error::check_document;
use crate::reached::{MatrixRoute, MatrixStep};
use crate::{AnalysisError, Measured, Traffic, TrafficRoute};

pub use build::build_matrix;

/// The comparison of several profiles. A "symbol" in it is a function or a method: classes and modules follow from them.
///
/// Field by field this is the matrix JSON (`docs/schema/matrix.schema.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// [`Matrix::FORMAT`].
    pub format: String,
    /// [`Matrix::VERSION`].
    pub version: u32,
    /// When the matrix was made, ISO 8601 in UTC.
    pub timestamp: String,
    /// Profiles, by name.
    pub profiles: Vec<MatrixProfile>,
    /// For each profile the keys of the symbols that it covers.
    pub profile_symbols: BTreeMap<String, Vec<String>>,
    /// For each covered symbol (by key) the profiles that cover it.
    pub symbol_profiles: BTreeMap<String, Vec<String>>,
    /// For each profile the symbols that it alone covers.
    pub only_here: BTreeMap<String, Vec<String>>,
    /// What each key stands for. A key is the symbol's name; where the name is defined more than once (a property and its setter), it is
    /// the name, `@` and the line; where two files define it at the same line (`a.py` and `a/__init__.py`), the name, `@`, the file, `:` and the line.
    pub symbols: BTreeMap<String, SymbolEntry>,
    /// Requests and jobs, by `<profile>:<scope>`.
    #[serde(default)]
    pub steps: BTreeMap<String, MatrixStep>,
    /// Requests by method and path, without what differs from run to run ([`crate::route_of`]).
    #[serde(default)]
    pub routes: BTreeMap<String, MatrixRoute>,
    /// Profiles of which it is not known what each step entered: nothing of them is under `steps` and `routes`.
    #[serde(default)]
    pub steps_not_traced: Vec<String>,
    /// Routes of real traffic, and functions of its jobs, with what they were seen to enter ([`crate::BY_ROUTE`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traffic_routes: BTreeMap<String, TrafficRoute>,
    /// What no profile reaches.
    pub gaps: Gaps,
    /// Sums.
    pub totals: MatrixTotals,
    /// What is worth knowing about the inputs.
    pub notes: Vec<String>,
}

/// One profile in the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixProfile {
    /// The profile.
    pub profile: String,
    /// The status of its report.
    pub status: Status,
    /// Why the status is not better.
    pub reasons: Vec<String>,
    /// When its report was made.
    pub timestamp: String,
    /// Whether lines were traced, or functions entered alone.
    #[serde(default)]
    pub measured: Measured,
    /// Requests sent, if known.
    pub requests: Option<u64>,
    /// Jobs, if known.
    pub jobs: Option<u64>,
    /// Files with an executed statement, or an entered function where lines were not traced.
    pub files: usize,
    /// Executed statements.
    pub lines_covered: usize,
    /// Statements that count.
    pub lines_total: usize,
    /// Covered functions and methods.
    pub symbols: usize,
    /// Those that it alone covers.
    pub only_here: usize,
}

/// A function or method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixSymbol {
    /// Full name.
    pub name: String,
    /// `function` or `method`.
    pub kind: SymbolKind,
    /// The file.
    pub file: MeasuredPath,
    /// Line of `def`.
    pub line: u32,
    /// First (decorators included) and last line.
    pub line_span: (u32, u32),
}

/// A function or method, and the steps that entered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolEntry {
    /// What it is.
    #[serde(flatten)]
    pub symbol: MatrixSymbol,
    /// The steps that entered it, as keys of [`Matrix::steps`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Steps entered it, each of them failed, and no profile reached it in another way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_failed_steps: bool,
}

/// What no profile reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// Whether every profile is complete. If not, each gap may have run all the same.
    pub certain: bool,
    /// Why not: the profiles in question, with their status and what it means.
    pub uncertain_because: Vec<String>,
    /// Whether an inventory was given. Without one, files that no profile touches are not in the list.
    pub from_inventory: bool,
    /// When real traffic was recorded, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// Functions and methods, those first that real traffic runs, by file and line.
    pub symbols: Vec<Gap>,
    /// Files with statements outside imports that no profile touches.
    pub files: Vec<GapFile>,
}

/// A function or method that no profile reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its key.
    pub key: String,
    /// What it is.
    #[serde(flatten)]
    pub symbol: MatrixSymbol,
    /// How many own statements it has.
    pub statements: usize,
    /// Whether it is known that no profile reaches it.
    pub certain: bool,
    /// An import runs it (a decorator, a registry); no profile does.
    pub run_by_import: bool,
    /// When real traffic ran it, if it did: then a profile is missing, or went another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// Routes of real traffic whose requests were seen to enter it: keys of [`Matrix::traffic_routes`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic_routes: Vec<String>,
}

/// A file that no profile touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapFile {
    /// The file.
    pub path: MeasuredPath,
    /// Its statements outside imports.
    pub statements: usize,
    /// Whether it is known that no profile touches it.
    pub certain: bool,
}

/// Sums over all profiles.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MatrixTotals {
    /// Profiles.
    pub profiles: usize,
    /// Requests of the profiles of which it is known, if it is of any.
    pub requests: Option<u64>,
    /// Jobs of the profiles of which it is known, if it is of any.
    pub jobs: Option<u64>,
    /// Files that any profile touches.
    pub files: usize,
    /// Statements that any profile executes.
    pub lines_covered: usize,
    /// Statements of all files of interest that are no import lines for every profile.
    pub lines_total: usize,
    /// `lines_covered` of `lines_total`.
    pub coverage_percent: Option<f64>,
    /// Functions and methods that any profile covers.
    pub symbols: usize,
    /// Those that exactly one profile covers.
    pub only_here: usize,
    /// Functions and methods that no profile reaches.
    pub unreached_symbols: usize,
    /// Files that no profile touches.
    pub unreached_files: usize,
}

impl Matrix {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-matrix";
    /// The version written.
    pub const VERSION: u32 = 1;

    /// Whether this is a matrix that this program understands; `name` is the file's, for the error.
    pub fn check(&self, name: &str) -> Result<(), AnalysisError> {
        check_document(name, (&self.format, self.version), (Self::FORMAT, Self::VERSION))
    }

    /// Keys of the symbols that only failed steps reach.
    pub fn only_failed(&self) -> impl Iterator<Item = &str> {
        self.symbols.iter().filter(|(_, entry)| entry.only_failed_steps).map(|(key, _)| key.as_str())
    }
}

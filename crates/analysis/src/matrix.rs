//! Several profiles side by side: profile -> symbols, symbol -> profiles, and what no profile reaches.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{MeasuredPath, Status, SymbolKind};
use serde::{Deserialize, Serialize};

use crate::error::check_document;
use crate::reached::{MatrixRoute, MatrixStep, Reached};
use crate::{
    AnalysisError, Inventory, InventorySymbol, Measured, ProfileReport, RunSteps, SymbolRef, SymbolReport,
    Traffic, TrafficRoute, percent,
};

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

/// Compares reports, each with the name of the file that it comes from; `steps` are of the same runs, likewise named.
pub fn build_matrix(
    reports: &[(String, ProfileReport)],
    steps: &[(String, RunSteps)],
    inventory: Option<&Inventory>,
    timestamp: String,
) -> Result<Matrix, AnalysisError> {
    let mut by_profile: BTreeMap<&str, (&str, &ProfileReport)> = BTreeMap::new();
    for (name, report) in reports {
        report.check(name)?;
        if let Some((first, _)) = by_profile.insert(&report.profile, (name, report)) {
            return Err(AnalysisError::DuplicateProfile {
                profile: report.profile.clone(),
                first: first.to_owned(),
                second: name.clone(),
            });
        }
    }
    if by_profile.is_empty() {
        return Err(AnalysisError::NoReports);
    }
    let reports: Vec<&ProfileReport> = by_profile.into_values().map(|(_, report)| report).collect();
    let known = Known::collect(&reports, inventory);

    let mut profile_symbols: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut symbol_profiles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for report in &reports {
        let keys: BTreeSet<String> =
            report.covered_functions().map(|symbol| known.key(&symbol_ref(symbol))).collect();
        for key in &keys {
            symbol_profiles.entry(key.clone()).or_default().push(report.profile.clone());
        }
        profile_symbols.insert(report.profile.clone(), keys.into_iter().collect());
    }
    let mut only_here: BTreeMap<String, Vec<String>> =
        reports.iter().map(|report| (report.profile.clone(), Vec::new())).collect();
    for (key, profiles) in &symbol_profiles {
        if let [only] = profiles.as_slice() {
            only_here.entry(only.clone()).or_default().push(key.clone());
        }
    }

    let gaps = gaps(&reports, inventory.is_some(), &known, &symbol_profiles);
    let profiles: Vec<MatrixProfile> = reports
        .iter()
        .map(|report| MatrixProfile {
            profile: report.profile.clone(),
            status: report.status,
            reasons: report.reasons.clone(),
            timestamp: report.timestamp.clone(),
            measured: report.measured,
            requests: report.requests,
            jobs: report.jobs,
            files: report.summary.file_count,
            lines_covered: report.summary.lines_covered,
            lines_total: report.summary.lines_total,
            symbols: profile_symbols[&report.profile].len(),
            only_here: only_here[&report.profile].len(),
        })
        .collect();
    let totals = totals(&reports, &gaps, &symbol_profiles, &only_here);
    let mut reached = Reached::collect(&reports, steps, &known.by_first_line())?;
    let symbols = known
        .symbols
        .iter()
        .map(|(reference, (symbol, _))| {
            let key = known.key(reference);
            let covered_by = symbol_profiles.get(&key).map_or(&[][..], Vec::as_slice);
            let only_failed_steps = reached.only_failed(&key, covered_by);
            let steps = reached.by_symbol.remove(&key).unwrap_or_default().into_iter().collect();
            (key, SymbolEntry { symbol: symbol.clone(), steps, only_failed_steps })
        })
        .collect();
    let mut notes = notes(&reports, inventory);
    notes.append(&mut reached.notes);
    Ok(Matrix {
        format: Matrix::FORMAT.to_owned(),
        version: Matrix::VERSION,
        timestamp,
        profiles,
        profile_symbols,
        symbol_profiles,
        only_here,
        symbols,
        steps: reached.steps,
        routes: reached.routes,
        steps_not_traced: reached.not_traced,
        traffic_routes: BTreeMap::new(),
        gaps,
        totals,
        notes,
    })
}

/// The functions and methods of the reports and of the inventory, with their own statements' number.
struct Known {
    symbols: BTreeMap<SymbolRef, (MatrixSymbol, usize)>,
    /// Names with several definitions.
    ambiguous: BTreeSet<String>,
    /// Names with definitions at the same line of several files.
    shared: BTreeSet<(String, u32)>,
}

impl Known {
    fn collect(reports: &[&ProfileReport], inventory: Option<&Inventory>) -> Self {
        let from_reports = reports.iter().flat_map(|report| &report.symbols).map(from_report);
        let from_inventory =
            inventory.into_iter().flat_map(|inventory| &inventory.symbols).map(from_inventory);
        let symbols: BTreeMap<SymbolRef, (MatrixSymbol, usize)> = from_reports
            .chain(from_inventory)
            .filter(|(_, (symbol, _))| matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method))
            .collect();
        let (mut names, mut lines) = (BTreeSet::new(), BTreeSet::new());
        let (mut ambiguous, mut shared) = (BTreeSet::new(), BTreeSet::new());
        for SymbolRef { name, line, .. } in symbols.keys() {
            if !names.insert(name) {
                ambiguous.insert(name.clone());
            }
            if !lines.insert((name, line)) {
                shared.insert((name.clone(), *line));
            }
        }
        Self { symbols, ambiguous, shared }
    }

    fn key(&self, reference: &SymbolRef) -> String {
        let SymbolRef { file, line, name } = reference;
        if !self.ambiguous.contains(name) {
            name.clone()
        } else if self.shared.contains(&(name.clone(), *line)) {
            format!("{name}@{file}:{line}")
        } else {
            format!("{name}@{line}")
        }
    }

    /// Keys by file and first line, the first decorator's where there are decorators: so the interpreter names code.
    fn by_first_line(&self) -> BTreeMap<(&MeasuredPath, u32), String> {
        self.symbols
            .iter()
            .map(|(reference, (symbol, _))| ((&symbol.file, symbol.line_span.0), self.key(reference)))
            .collect()
    }
}

fn symbol_ref(symbol: &SymbolReport) -> SymbolRef {
    SymbolRef { file: symbol.file.clone(), line: symbol.line, name: symbol.name.clone() }
}

fn from_report(symbol: &SymbolReport) -> (SymbolRef, (MatrixSymbol, usize)) {
    let matrix_symbol = MatrixSymbol {
        name: symbol.name.clone(),
        kind: symbol.kind,
        file: symbol.file.clone(),
        line: symbol.line,
        line_span: symbol.line_span,
    };
    (symbol_ref(symbol), (matrix_symbol, symbol.lines_total))
}

fn from_inventory(symbol: &InventorySymbol) -> (SymbolRef, (MatrixSymbol, usize)) {
    let reference = SymbolRef { file: symbol.file.clone(), line: symbol.line, name: symbol.name.clone() };
    let matrix_symbol = MatrixSymbol {
        name: symbol.name.clone(),
        kind: symbol.kind,
        file: symbol.file.clone(),
        line: symbol.line,
        line_span: symbol.line_span,
    };
    (reference, (matrix_symbol, symbol.statements))
}

fn gaps(
    reports: &[&ProfileReport],
    from_inventory: bool,
    known: &Known,
    reached: &BTreeMap<String, Vec<String>>,
) -> Gaps {
    let mut uncertain_because: Vec<String> = reports
        .iter()
        .filter(|report| report.status != Status::Complete)
        .map(|report| format!("{} is {} ({})", report.profile, report.status, meaning(report.status)))
        .collect();
    // A line of one version may be another function's in the other one.
    uncertain_because.extend(
        different_versions(reports, None)
            .into_iter()
            .map(|path| format!("reports were made from different versions of {path}")),
    );
    let certain = uncertain_because.is_empty();
    let imported: BTreeSet<&SymbolRef> = reports.iter().flat_map(|report| &report.run_by_import).collect();
    let symbols = known
        .symbols
        .iter()
        .map(|(reference, (symbol, statements))| (reference, known.key(reference), symbol, *statements))
        .filter(|(_, key, _, statements)| *statements > 0 && !reached.contains_key(key))
        .map(|(reference, key, symbol, statements)| Gap {
            key,
            symbol: symbol.clone(),
            statements,
            certain,
            run_by_import: imported.contains(reference),
            traffic: None,
            traffic_routes: Vec::new(),
        })
        .collect();
    let touched: BTreeSet<&MeasuredPath> =
        files(reports).filter(|file| file.is_touched()).map(|file| &file.path).collect();
    let untouched: BTreeMap<&MeasuredPath, usize> = files(reports)
        .map(|file| (&file.path, file.lines_total + file.not_traced_lines.len()))
        .filter(|(path, statements)| !touched.contains(path) && *statements > 0)
        .collect();
    let files = untouched
        .into_iter()
        .map(|(path, statements)| GapFile { path: path.clone(), statements, certain })
        .collect();
    Gaps { certain, uncertain_because, from_inventory, traffic: None, symbols, files }
}

/// What a status means for lines that are not in the data.
const fn meaning(status: Status) -> &'static str {
    match status {
        Status::Complete => "nothing is lost",
        Status::Consistent => "nothing tells what should have arrived",
        Status::Partial => "data, or what would prove it, is lost",
        Status::Failed => "its replay went wrong",
        Status::Stale => "it was measured with another source",
    }
}

fn files<'a>(reports: &[&'a ProfileReport]) -> impl Iterator<Item = &'a crate::FileReport> {
    reports.iter().flat_map(|report| &report.files)
}

fn totals(
    reports: &[&ProfileReport],
    gaps: &Gaps,
    symbol_profiles: &BTreeMap<String, Vec<String>>,
    only_here: &BTreeMap<String, Vec<String>>,
) -> MatrixTotals {
    let mut covered: BTreeMap<&MeasuredPath, BTreeSet<u32>> = BTreeMap::new();
    let mut counted: BTreeMap<&MeasuredPath, BTreeSet<u32>> = BTreeMap::new();
    let touched: BTreeSet<&MeasuredPath> =
        files(reports).filter(|file| file.is_touched()).map(|file| &file.path).collect();
    for file in files(reports) {
        counted.entry(&file.path).or_default().extend(file.executed_lines.iter().chain(&file.missing_lines));
        if file.lines_covered > 0 {
            covered.entry(&file.path).or_default().extend(&file.executed_lines);
        }
    }
    let lines_covered = covered.values().map(BTreeSet::len).sum();
    let lines_total = counted.values().map(BTreeSet::len).sum();
    MatrixTotals {
        profiles: reports.len(),
        requests: sum_of_known(reports.iter().map(|report| report.requests)),
        jobs: sum_of_known(reports.iter().map(|report| report.jobs)),
        files: touched.len(),
        lines_covered,
        lines_total,
        coverage_percent: percent(lines_covered, lines_total),
        symbols: symbol_profiles.len(),
        only_here: only_here.values().map(Vec::len).sum(),
        unreached_symbols: gaps.symbols.len(),
        unreached_files: gaps.files.len(),
    }
}

/// "Not known" plus "not known" is not 0.
fn sum_of_known(numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    numbers.flatten().reduce(|sum, number| sum + number)
}

/// Files of which reports, and the inventory, were made from different versions: they don't fit together, line by line.
fn different_versions<'a>(
    reports: &[&'a ProfileReport],
    inventory: Option<&'a Inventory>,
) -> Vec<&'a MeasuredPath> {
    let mut hashes: BTreeMap<&MeasuredPath, BTreeSet<&str>> = BTreeMap::new();
    for file in files(reports) {
        hashes.entry(&file.path).or_default().insert(file.sha256.as_str());
    }
    for file in inventory.into_iter().flat_map(|inventory| &inventory.files) {
        hashes.entry(&file.path).or_default().insert(file.sha256.as_str());
    }
    hashes.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(path, _)| path).collect()
}

fn notes(reports: &[&ProfileReport], inventory: Option<&Inventory>) -> Vec<String> {
    let mut notes: Vec<String> = different_versions(reports, inventory)
        .into_iter()
        .map(|path| {
            format!("{path}: reports and inventory were made from different versions of it; its lines and symbols may be mixed up")
        })
        .collect();
    if inventory.is_none() {
        notes.push(
            "no inventory was given: symbols of files that no profile touches are not in the list of gaps"
                .to_owned(),
        );
    }
    notes
}

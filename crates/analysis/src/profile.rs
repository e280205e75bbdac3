//! From a profile's lines and the source to its report.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{LineBits, MeasuredPath, SourceFile, SourceHash, Status, Symbol, SymbolKind, Verdict};

use crate::inventory::UnparsedFile;
use crate::{Fates, FileReport, Measured, ProfileReport, Summary, SymbolRef, SymbolReport, fold, percent};

/// Everything that is known about one profile's run.
#[derive(Debug, Clone)]
pub struct ProfileInput<'a> {
    /// The profile.
    pub profile: String,
    /// The moment that the report carries, ISO 8601 in UTC.
    pub timestamp: String,
    /// The verdict; `None` where nothing is known about the data's completeness.
    pub verdict: Option<Verdict>,
    /// The run that the data is of.
    pub run: Option<String>,
    /// How many requests were sent.
    pub requests: Option<u64>,
    /// How many jobs belong to the run.
    pub jobs: Option<u64>,
    /// What was traced: what the lines below mean.
    pub measured: Measured,
    /// Lines of the profile's contexts, as measured; first lines of functions where lines were not traced.
    pub executed: &'a BTreeMap<MeasuredPath, LineBits>,
    /// Lines of the import context, as measured.
    pub imported: &'a BTreeMap<MeasuredPath, LineBits>,
    /// What is known of the source that was measured.
    pub measured_source: MeasuredSource<'a>,
    /// The files of interest in the tree at hand.
    pub files: &'a [&'a SourceFile],
    /// Those of them that are not Python.
    pub unparsed: &'a [UnparsedFile],
}

/// The source as it was loaded when the lines were measured: a line number means nothing without it.
#[derive(Debug, Clone, Copy)]
pub struct MeasuredSource<'a> {
    /// Hash of each file.
    pub hashes: &'a BTreeMap<MeasuredPath, SourceHash>,
    /// Files that were loaded with different contents: their lines are of none of them.
    pub mixed: &'a BTreeSet<MeasuredPath>,
    /// Files with a hash that reports would show, but that are not in the tree at hand.
    pub vanished: &'a BTreeSet<MeasuredPath>,
}

/// Whether a file's lines are lines of the source at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// It is the one that was measured, or nothing of it was.
    Same,
    /// Another content was measured.
    Other,
    /// Several contents were.
    Mixed,
    /// Nothing says which one was.
    Unknown,
}

impl Identity {
    fn of(source: &SourceFile, input: &ProfileInput<'_>) -> Self {
        let executed = input.executed.get(&source.path).is_some_and(|lines| !lines.is_empty());
        if input.measured_source.mixed.contains(&source.path) {
            return Self::Mixed;
        }
        match input.measured_source.hashes.get(&source.path) {
            Some(hash) if *hash == source.hash => Self::Same,
            Some(_) => Self::Other,
            None if executed => Self::Unknown,
            None => Self::Same,
        }
    }
}

/// Compares a profile's lines with the source.
pub fn analyze_profile(input: &ProfileInput<'_>) -> ProfileReport {
    let none = LineBits::new();
    let mut summary = Summary { files_total: input.files.len(), ..Summary::default() };
    let (mut modules, mut classes) = (BTreeSet::new(), BTreeSet::new());
    let (mut symbols, mut files, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    let mut run_by_import = Vec::new();

    let mut sources: Vec<&SourceFile> = input.files.to_vec();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    for source in sources {
        let measured = input.executed.get(&source.path).unwrap_or(&none);
        let identity = Identity::of(source, input);
        if identity != Identity::Same {
            doubtful.push((source.path.clone(), identity));
        }
        if matches!(identity, Identity::Other | Identity::Mixed) {
            summary.stale_files += 1;
            files.push(stale_file(source));
            continue;
        }
        let hits = Hits::of(source, measured, input.measured);
        let fates = &hits.fates;
        summary.lines_covered += fates.executed.len();
        summary.lines_total += fates.total();
        summary.import_lines += fates.import.len();
        summary.lines_not_traced += fates.not_traced.len();
        summary.functions_total += source.symbols.iter().filter(|symbol| could_run(symbol)).count();
        if let Some(imported) = input.imported.get(&source.path) {
            run_by_import.extend(functions_run_by_import(source, imported, input.measured));
        }
        let mut report = file_report(source, &hits);
        report.unverified = identity == Identity::Unknown;
        summary.unverified_files += usize::from(report.unverified);
        if report.is_touched() {
            summary.file_count += 1;
            for symbol in symbol_reports(source, &hits) {
                if symbol.covered {
                    match symbol.kind {
                        SymbolKind::Module => {
                            modules.insert(symbol.name.clone());
                        }
                        SymbolKind::Class => {
                            summary.class_count += 1;
                            classes.insert(symbol.name.clone());
                        }
                        SymbolKind::Function | SymbolKind::Method => summary.function_count += 1,
                    }
                }
                symbols.push(symbol);
            }
        }
        files.push(report);
    }
    summary.module_count = modules.len();
    summary.coverage_percent = percent(summary.lines_covered, summary.lines_total).unwrap_or(0.0);
    let verdict = verdict(input, &doubtful);
    ProfileReport {
        format: ProfileReport::FORMAT.to_owned(),
        version: ProfileReport::VERSION,
        profile: input.profile.clone(),
        timestamp: input.timestamp.clone(),
        status: verdict.status,
        reasons: verdict.reasons,
        notes: verdict.notes,
        run: input.run.clone(),
        measured: input.measured,
        requests: input.requests,
        jobs: input.jobs,
        summary,
        modules: modules.into_iter().collect(),
        classes: classes.into_iter().collect(),
        symbols,
        files,
        run_by_import,
        not_in_source: not_in_source(input),
        unparsed: input.unparsed.to_vec(),
    }
}

/// The verdict as given, lowered by what only the comparison with the source shows.
fn verdict(input: &ProfileInput<'_>, doubtful: &[(MeasuredPath, Identity)]) -> Verdict {
    let known = input.verdict.is_some();
    let mut verdict = input.verdict.clone().unwrap_or_else(|| {
        let mut unknown = Verdict::new(Status::Partial);
        unknown.reasons.push(
            "no verdict vouches for the data file, so nothing is known about its completeness, nor whether the source at hand is \
             the one that was measured"
                .to_owned(),
        );
        unknown
    });
    let mut lower = |status, reason| {
        if verdict.status <= Status::Consistent {
            verdict.status = status;
        }
        verdict.reasons.push(reason);
    };
    for (path, identity) in doubtful {
        let reason = match identity {
            Identity::Other => {
                "the source at hand is not the one that was measured; its lines are not counted"
            }
            Identity::Mixed => {
                "the run's processes loaded different contents of it, and nothing says which line is of which; its lines are not counted"
            }
            Identity::Same | Identity::Unknown => continue,
        };
        lower(Status::Stale, format!("{path}: {reason}"));
    }
    if let Some(paths) = some_of(input.measured_source.vanished.iter()) {
        lower(
            Status::Stale,
            format!("{paths}: measured, and not in the source at hand; the lines are not counted"),
        );
    }
    let unknown = doubtful.iter().filter(|(_, identity)| *identity == Identity::Unknown);
    if let Some(paths) = some_of(unknown.map(|(path, _)| path))
        && known
    {
        lower(
            Status::Partial,
            format!(
                "{paths}: the ledger has no hash of the source, so nothing says whether the one at hand was measured; the lines are counted"
            ),
        );
    }
    verdict
}

/// The first path, and how many more there are.
fn some_of<'a>(mut paths: impl Iterator<Item = &'a MeasuredPath>) -> Option<String> {
    let first = paths.next()?;
    Some(match paths.count() {
        0 => first.to_string(),
        more => format!("{first} and {more} more"),
    })
}

fn not_in_source(input: &ProfileInput<'_>) -> BTreeMap<MeasuredPath, usize> {
    let known: BTreeSet<&MeasuredPath> = input
        .files
        .iter()
        .map(|file| &file.path)
        .chain(input.unparsed.iter().map(|file| &file.path))
        .collect();
    input
        .executed
        .iter()
        .filter(|(path, lines)| !known.contains(path) && !lines.is_empty())
        .map(|(path, lines)| (path.clone(), lines.len()))
        .collect()
}

/// Whether this is a function or method with a statement of its own.
fn could_run(symbol: &Symbol) -> bool {
    matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method) && !symbol.statements.is_empty()
}

/// What a profile did with one file.
struct Hits {
    fates: Fates,
    /// First lines of the functions and methods that were entered; `None` where lines were traced and say more.
    entered: Option<LineBits>,
}

impl Hits {
    fn of(source: &SourceFile, measured: &LineBits, what: Measured) -> Self {
        match what {
            Measured::Lines => Self { fates: Fates::of(source, measured), entered: None },
            Measured::Functions => {
                Self { fates: Fates::not_traced(source), entered: Some(entered(source, measured)) }
            }
        }
    }

    fn covers(&self, symbol: &Symbol) -> bool {
        match &self.entered {
            None => !symbol.statements.intersection(&self.fates.executed).is_empty(),
            Some(entered) => could_run(symbol) && entered.contains(symbol.span.0),
        }
    }

    fn touch_file(&self) -> bool {
        !self.fates.executed.is_empty() || self.entered.as_ref().is_some_and(|entered| !entered.is_empty())
    }
}

/// First lines of the functions and methods that `measured` says were entered: by their own first line, or by a line inside them
/// where no other definition begins (a lambda of theirs, or the lines of another agent that traced lines).
fn entered(source: &SourceFile, measured: &LineBits) -> LineBits {
    let begins: LineBits = source.symbols.iter().flat_map(|symbol| [symbol.span.0, symbol.line]).collect();
    let inside = fold(source, measured).difference(&begins);
    source
        .symbols
        .iter()
        .filter(|symbol| could_run(symbol))
        .filter(|symbol| {
            measured.contains(symbol.span.0) || !symbol.statements.intersection(&inside).is_empty()
        })
        .map(|symbol| symbol.span.0)
        .collect()
}

fn symbol_reports(source: &SourceFile, hits: &Hits) -> Vec<SymbolReport> {
    let method_of = |method: &Symbol, class: &Symbol| {
        method.kind == SymbolKind::Method
            && class.span.0 <= method.span.0
            && method.span.1 <= class.span.1
            && method.name.rsplit_once('.').is_some_and(|(parent, _)| parent == class.name)
    };
    source
        .symbols
        .iter()
        .map(|symbol| SymbolReport {
            name: symbol.name.clone(),
            kind: symbol.kind,
            file: source.path.clone(),
            line: symbol.line,
            line_span: symbol.span,
            executed_lines: symbol.statements.intersection(&hits.fates.executed).iter().collect(),
            lines_total: symbol.statements.len(),
            covered: match symbol.kind {
                SymbolKind::Module => hits.touch_file(),
                SymbolKind::Function | SymbolKind::Method => hits.covers(symbol),
                SymbolKind::Class => {
                    hits.covers(symbol)
                        || source
                            .symbols
                            .iter()
                            .any(|method| method_of(method, symbol) && hits.covers(method))
                }
            },
        })
        .collect()
}

fn functions_run_by_import<'a>(
    source: &'a SourceFile,
    imported: &LineBits,
    measured: Measured,
) -> impl Iterator<Item = SymbolRef> + 'a {
    let hits = match measured {
        // A one-line function shares its only line with its `def`, which every import runs.
        Measured::Lines => Hits {
            fates: Fates {
                executed: fold(source, imported).difference(&source.import_statements),
                ..Fates::default()
            },
            entered: None,
        },
        Measured::Functions => Hits::of(source, imported, measured),
    };
    source
        .symbols
        .iter()
        .filter(move |symbol| could_run(symbol) && hits.covers(symbol))
        .map(|symbol| SymbolRef { file: source.path.clone(), line: symbol.line, name: symbol.name.clone() })
}

fn file_report(source: &SourceFile, hits: &Hits) -> FileReport {
    let Hits { fates, entered } = hits;
    FileReport {
        path: source.path.clone(),
        module: source.module.clone(),
        sha256: source.hash.clone(),
        stale: false,
        unverified: false,
        lines_covered: fates.executed.len(),
        lines_total: fates.total(),
        coverage_percent: percent(fates.executed.len(), fates.total()),
        executed_lines: fates.executed.iter().collect(),
        missing_lines: fates.missing.iter().collect(),
        import_lines: fates.import.iter().collect(),
        not_traced_lines: fates.not_traced.iter().collect(),
        functions_entered: entered.as_ref().map(LineBits::len),
        excluded_lines: source.excluded.iter().collect(),
    }
}

/// Line numbers of another source mean nothing here, so that no line has a fate.
fn stale_file(source: &SourceFile) -> FileReport {
    FileReport {
        stale: true,
        coverage_percent: None,
        ..file_report(source, &Hits { fates: Fates::default(), entered: None })
    }
}

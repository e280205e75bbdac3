//! Two small profiles over two small files, followed by hand to reports and to a matrix.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::collections::BTreeMap;

use playtrace_analysis::{
    AnalysisError, Inventory, Matrix, ProfileInput, ProfileReport, UnparsedFile, analyze_profile,
    build_matrix,
};
use playtrace_model::{LineBits, MeasuredPath, SourceFile, SourceHash, Status, Symbol, SymbolKind, Verdict};

fn bits(lines: &[u32]) -> LineBits {
    lines.iter().copied().collect()
}

fn symbol(name: &str, kind: SymbolKind, span: (u32, u32), statements: &[u32]) -> Symbol {
    Symbol { name: name.to_owned(), kind, line: span.0, span, statements: bits(statements) }
}

/// ```python
///  1  import registry
///  2  class Dam:
///  3      height = 1
///  4      @property
///  5      def level(self):
///  6          return (
///  7              self.height)
///  8      @level.setter
///  9      def level(self, value):
/// 10          self.height = value
/// 11  def spill(dam):
/// 12      dam.level = 0
/// 13      return dam
/// 14  def documented():
/// 15      """Nothing to do."""
/// ```
fn dam() -> SourceFile {
    use SymbolKind::{Class, Function, Method, Module};
    SourceFile {
        path: MeasuredPath::new("app/dam.py"),
        module: "app.dam".to_owned(),
        hash: SourceHash::from_hex("aa"),
        statements: bits(&[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]),
        excluded: LineBits::new(),
        import_statements: bits(&[1, 2, 3, 4, 5, 8, 9, 11, 14]),
        symbols: vec![
            symbol("app.dam", Module, (1, 15), &[1, 2, 11, 14]),
            symbol("app.dam.Dam", Class, (2, 10), &[3, 4, 5, 8, 9]),
            Symbol { line: 5, ..symbol("app.dam.Dam.level", Method, (4, 7), &[6]) },
            Symbol { line: 9, ..symbol("app.dam.Dam.level", Method, (8, 10), &[10]) },
            symbol("app.dam.spill", Function, (11, 13), &[12, 13]),
            symbol("app.dam.documented", Function, (14, 15), &[]),
        ],
        multiline: vec![(6, 7)],
    }
}

/// A script of a function and a call: `1 def main():`, `2 return 1`, `3 main()`.
fn script() -> SourceFile {
    SourceFile {
        path: MeasuredPath::new("app/script.py"),
        module: "app.script".to_owned(),
        hash: SourceHash::from_hex("bb"),
        statements: bits(&[1, 2, 3]),
        excluded: LineBits::new(),
        import_statements: bits(&[1, 3]),
        symbols: vec![
            symbol("app.script", SymbolKind::Module, (1, 3), &[1, 3]),
            symbol("app.script.main", SymbolKind::Function, (1, 2), &[2]),
        ],
        multiline: Vec::new(),
    }
}

struct Run {
    profile: &'static str,
    verdict: Option<Verdict>,
    executed: Vec<(&'static str, Vec<u32>)>,
    imported: Vec<(&'static str, Vec<u32>)>,
    hashes: Vec<(&'static str, &'static str)>,
}

impl Run {
    fn complete(profile: &'static str, executed: &[(&'static str, &[u32])]) -> Self {
        Self {
            profile,
            verdict: Some(Verdict::new(Status::Complete)),
            executed: executed.iter().map(|(path, lines)| (*path, lines.to_vec())).collect(),
            imported: Vec::new(),
            hashes: Vec::new(),
        }
    }

    fn report(&self) -> ProfileReport {
        let by_file = |rows: &[(&str, Vec<u32>)]| -> BTreeMap<MeasuredPath, LineBits> {
            rows.iter().map(|(path, lines)| (MeasuredPath::new(*path), bits(lines))).collect()
        };
        let (dam, script) = (dam(), script());
        analyze_profile(&ProfileInput {
            profile: self.profile.to_owned(),
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            verdict: self.verdict.clone(),
            run: None,
            requests: Some(3),
            jobs: None,
            executed: &by_file(&self.executed),
            imported: &by_file(&self.imported),
            source_hashes: &self
                .hashes
                .iter()
                .map(|(path, hash)| (MeasuredPath::new(*path), SourceHash::from_hex(*hash)))
                .collect(),
            // Not in order: reports are sorted whatever comes in.
            files: &[&script, &dam],
            unparsed: &[],
        })
    }
}

fn covered(report: &ProfileReport) -> Vec<(&str, u32)> {
    report
        .symbols
        .iter()
        .filter(|symbol| symbol.covered)
        .map(|symbol| (symbol.name.as_str(), symbol.line))
        .collect()
}

#[test]
fn a_getter_covers_itself_its_class_and_its_module_and_nothing_else() {
    // Line 7 is inside the statement that begins on 6; 99 is no statement.
    let report = Run::complete("a", &[("app/dam.py", &[7, 99])]).report();
    assert_eq!(covered(&report), [("app.dam", 1), ("app.dam.Dam", 2), ("app.dam.Dam.level", 5)]);
    assert_eq!(report.modules, ["app.dam"]);
    assert_eq!(report.classes, ["app.dam.Dam"]);
    let summary = &report.summary;
    assert_eq!((summary.lines_covered, summary.lines_total), (1, 5), "6 of 6, 10, 12, 13 and the script's 2");
    assert_eq!(summary.import_lines, 9 + 2);
    assert_eq!((summary.file_count, summary.files_total), (1, 2));
    assert_eq!(
        (summary.function_count, summary.functions_total),
        (1, 4),
        "a docstring alone can't be executed"
    );
    assert!((summary.coverage_percent - 20.0).abs() < f64::EPSILON);
    assert!(
        report.symbols.iter().all(|symbol| symbol.file.as_str() == "app/dam.py"),
        "the script is untouched"
    );
}

#[test]
fn a_script_s_module_lines_count_where_the_profile_itself_ran_them() {
    let without = Run::complete("a", &[("app/dam.py", &[12])]).report();
    let with = Run::complete("b", &[("app/script.py", &[1, 2, 3])]).report();
    assert_eq!(with.summary.lines_total, without.summary.lines_total + 2);
    assert_eq!(with.summary.lines_covered, 3);
    assert_eq!(with.files[1].import_lines, [] as [u32; 0]);
    assert_eq!(without.files[1].import_lines, [1, 3]);
}

#[test]
fn what_an_import_runs_is_told_apart() {
    let mut run = Run::complete("a", &[("app/script.py", &[2])]);
    run.imported = vec![("app/dam.py", vec![1, 2, 3, 11, 12])];
    let report = run.report();
    let names: Vec<&str> = report.run_by_import.iter().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["app.dam.spill"]);
    assert!(report.files[0].missing_lines.contains(&12), "run by an import is not executed by the profile");
}

#[test]
fn lines_of_another_source_do_not_count() {
    let mut run = Run::complete("a", &[("app/dam.py", &[6, 10]), ("app/script.py", &[2])]);
    run.hashes = vec![("app/dam.py", "00"), ("app/script.py", "bb")];
    let report = run.report();
    assert_eq!(report.status, Status::Stale);
    assert!(report.reasons[0].contains("app/dam.py"), "{:?}", report.reasons);
    assert_eq!((report.summary.lines_covered, report.summary.lines_total), (1, 1));
    assert!(report.files[0].stale && report.files[0].missing_lines.is_empty(), "stale is not missing");

    // A worse verdict keeps its word: "failed" says more than "stale".
    run.verdict =
        Some(Verdict { status: Status::Failed, reasons: vec!["job 7 failed".to_owned()], notes: vec![] });
    let report = run.report();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.reasons.len(), 2);
}

#[test]
fn data_without_a_verdict_is_not_called_complete() {
    let mut run = Run::complete("a", &[("app/script.py", &[2])]);
    run.verdict = None;
    let report = run.report();
    assert_eq!(report.status, Status::Partial);
    assert_eq!(report.reasons.len(), 1);
}

#[test]
fn measured_files_outside_the_tree_are_listed() {
    let report = Run::complete("a", &[("gone.py", &[1, 2])]).report();
    assert_eq!(report.not_in_source.get(&MeasuredPath::new("gone.py")), Some(&2));
    assert_eq!(report.summary.file_count, 0);
}

fn inventory() -> Inventory {
    let unparsed = vec![UnparsedFile { path: MeasuredPath::new("z.py"), reason: "z.py:1: …".to_owned() }];
    Inventory::new("playtrace test".to_owned(), &[script(), dam()], unparsed)
}

fn matrix(runs: &[Run], inventory: Option<&Inventory>) -> Matrix {
    let reports: Vec<(String, ProfileReport)> =
        runs.iter().map(|run| (format!("{}.json", run.profile), run.report())).collect();
    build_matrix(&reports, inventory, "2026-01-02T03:04:05Z".to_owned()).unwrap()
}

#[test]
fn profiles_side_by_side() {
    let runs = [
        Run::complete("b", &[("app/dam.py", &[12, 13, 10])]),
        Run::complete("a", &[("app/dam.py", &[6, 12])]),
    ];
    let matrix = matrix(&runs, Some(&inventory()));
    // The getter and the setter have one name; their lines tell them apart.
    let (getter, setter, spill) = ("app.dam.Dam.level@5", "app.dam.Dam.level@9", "app.dam.spill");
    assert_eq!(matrix.profile_symbols["a"], [getter, spill]);
    assert_eq!(matrix.profile_symbols["b"], [setter, spill]);
    assert_eq!(matrix.symbol_profiles[spill], ["a", "b"]);
    assert_eq!(
        (&matrix.only_here["a"], &matrix.only_here["b"]),
        (&vec![getter.to_owned()], &vec![setter.to_owned()])
    );
    let gaps: Vec<&str> = matrix.gaps.symbols.iter().map(|gap| gap.key.as_str()).collect();
    assert_eq!(gaps, ["app.script.main"], "and not the function that holds a docstring only");
    assert!(matrix.gaps.certain && matrix.gaps.symbols[0].certain);
    assert_eq!(matrix.gaps.files[0].path.as_str(), "app/script.py");
    assert_eq!((matrix.totals.lines_covered, matrix.totals.lines_total), (4, 5));
    assert_eq!((matrix.totals.symbols, matrix.totals.only_here, matrix.totals.unreached_symbols), (3, 2, 1));
    assert_eq!((matrix.totals.requests, matrix.totals.jobs), (Some(6), None), "not known is not 0");
    assert_eq!(matrix.notes, [] as [String; 0]);
}

#[test]
fn the_order_of_the_reports_makes_no_difference() {
    let (a, b) =
        (|| Run::complete("a", &[("app/dam.py", &[6])]), || Run::complete("b", &[("app/dam.py", &[12])]));
    let inventory = inventory();
    assert_eq!(matrix(&[a(), b()], Some(&inventory)), matrix(&[b(), a()], Some(&inventory)));
}

#[test]
fn every_status_but_complete_makes_gaps_uncertain() {
    for status in [Status::Consistent, Status::Partial, Status::Failed, Status::Stale] {
        let mut doubtful = Run::complete("b", &[("app/script.py", &[2])]);
        doubtful.verdict = Some(Verdict::new(status));
        let matrix = matrix(&[Run::complete("a", &[]), doubtful], Some(&inventory()));
        assert!(!matrix.gaps.certain, "{status}");
        assert!(matrix.gaps.symbols.iter().all(|gap| !gap.certain), "{status}");
        let [why] = matrix.gaps.uncertain_because.as_slice() else {
            panic!("{:?}", matrix.gaps.uncertain_because)
        };
        assert!(why.starts_with(&format!("b is {status} (")), "{why}");
        // "Data lost" is said of lost data alone.
        assert_eq!(why.contains("lost"), status == Status::Partial, "{why}");
    }
}

#[test]
fn without_an_inventory_the_matrix_says_what_it_does_not_know() {
    let matrix = matrix(&[Run::complete("a", &[("app/dam.py", &[6])])], None);
    assert!(!matrix.gaps.from_inventory);
    assert!(matrix.notes[0].contains("no inventory"), "{:?}", matrix.notes);
    assert!(matrix.gaps.symbols.iter().all(|gap| gap.symbol.file.as_str() == "app/dam.py"));
}

#[test]
fn different_versions_of_a_file_are_noticed() {
    let mut other = dam();
    other.hash = SourceHash::from_hex("cc");
    let inventory = Inventory::new("playtrace test".to_owned(), &[other], Vec::new());
    let matrix = matrix(&[Run::complete("a", &[("app/dam.py", &[6])])], Some(&inventory));
    assert!(matrix.notes[0].starts_with("app/dam.py: "), "{:?}", matrix.notes);
}

#[test]
fn unusable_inputs_are_refused_by_name() {
    let report = Run::complete("a", &[]).report();
    let build = |reports: &[(String, ProfileReport)]| build_matrix(reports, None, String::new()).unwrap_err();
    assert_eq!(build(&[]), AnalysisError::NoReports);
    let twice = build(&[("1.json".to_owned(), report.clone()), ("2.json".to_owned(), report.clone())]);
    assert_eq!(
        twice.to_string(),
        "profile a is reported twice, in 1.json and in 2.json; give one report for each profile"
    );
    let newer = build(&[("1.json".to_owned(), ProfileReport { version: 2, ..report.clone() })]);
    assert_eq!(newer.code(), "PT-ANALYSIS-002");
    let other = build(&[("1.json".to_owned(), ProfileReport { format: "coverage".to_owned(), ..report })]);
    assert_eq!(other.code(), "PT-ANALYSIS-001");
}

#[test]
fn the_inventory_counts_and_sorts() {
    let inventory = inventory();
    let totals = &inventory.totals;
    assert_eq!((totals.files, totals.statements, totals.import_statements), (2, 16, 11));
    assert_eq!((totals.modules, totals.classes, totals.functions, totals.methods), (2, 1, 3, 2));
    assert_eq!(inventory.files[0].path.as_str(), "app/dam.py");
    let text = serde_json::to_string(&inventory).unwrap();
    assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), inventory);
}

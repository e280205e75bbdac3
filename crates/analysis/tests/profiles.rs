//! Two small profiles over two small files, followed by hand to reports and to a matrix.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::collections::{BTreeMap, BTreeSet};

use playtrace_analysis::{
    AnalysisError, Inventory, InventorySource, Matrix, Measured, MeasuredSource, ProfileInput, ProfileReport,
    RunSteps, StepEntries, StepInfo, StepKind, UnparsedFile, analyze_profile, build_matrix,
};
use playtrace_model::{
    LineBits, MeasuredPath, SourceFile, SourceHash, Status, Symbol, SymbolDetails, SymbolKind, Verdict,
};

fn bits(lines: &[u32]) -> LineBits {
    lines.iter().copied().collect()
}

fn symbol(name: &str, kind: SymbolKind, span: (u32, u32), statements: &[u32]) -> Symbol {
    let details = SymbolDetails::default();
    Symbol { name: name.to_owned(), kind, line: span.0, span, statements: bits(statements), details }
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
        lambdas: Vec::new(),
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
        lambdas: Vec::new(),
    }
}

struct Run {
    profile: &'static str,
    verdict: Option<Verdict>,
    executed: Vec<(&'static str, Vec<u32>)>,
    imported: Vec<(&'static str, Vec<u32>)>,
    hashes: Vec<(&'static str, &'static str)>,
    mixed: Vec<&'static str>,
    vanished: Vec<&'static str>,
    measured: Measured,
}

impl Run {
    fn complete(profile: &'static str, executed: &[(&'static str, &[u32])]) -> Self {
        Self {
            profile,
            verdict: Some(Verdict::new(Status::Complete)),
            executed: executed.iter().map(|(path, lines)| (*path, lines.to_vec())).collect(),
            imported: Vec::new(),
            hashes: vec![("app/dam.py", "aa"), ("app/script.py", "bb")],
            mixed: Vec::new(),
            vanished: Vec::new(),
            measured: Measured::Lines,
        }
    }

    fn report(&self) -> ProfileReport {
        let by_file = |rows: &[(&str, Vec<u32>)]| -> BTreeMap<MeasuredPath, LineBits> {
            rows.iter().map(|(path, lines)| (MeasuredPath::new(*path), bits(lines))).collect()
        };
        let set = |paths: &[&str]| -> BTreeSet<MeasuredPath> {
            paths.iter().map(|path| MeasuredPath::new(*path)).collect()
        };
        let (dam, script) = (dam(), script());
        analyze_profile(&ProfileInput {
            profile: self.profile.to_owned(),
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            verdict: self.verdict.clone(),
            run: Some("r1".to_owned()),
            requests: Some(3),
            jobs: None,
            measured: self.measured,
            executed: &by_file(&self.executed),
            imported: &by_file(&self.imported),
            measured_source: MeasuredSource {
                hashes: &self
                    .hashes
                    .iter()
                    .map(|(path, hash)| (MeasuredPath::new(*path), SourceHash::from_hex(*hash)))
                    .collect(),
                mixed: &set(&self.mixed),
                vanished: &set(&self.vanished),
            },
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
    listed(&[script(), dam()], unparsed)
}

fn listed(files: &[SourceFile], unparsed: Vec<UnparsedFile>) -> Inventory {
    let sources = files.iter().map(|source| InventorySource { source, digests: Vec::new() });
    Inventory::new("playtrace test".to_owned(), ("3.12", "7.11"), sources, unparsed)
}

fn matrix(runs: &[Run], inventory: Option<&Inventory>) -> Matrix {
    matrix_with(runs, &[], inventory)
}

fn matrix_with(runs: &[Run], steps: &[(String, RunSteps)], inventory: Option<&Inventory>) -> Matrix {
    let reports: Vec<(String, ProfileReport)> =
        runs.iter().map(|run| (format!("{}.json", run.profile), run.report())).collect();
    build_matrix(&reports, steps, inventory, "2026-01-02T03:04:05Z".to_owned()).unwrap()
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

fn step(scope: &str, what: &str, failed: bool, entered: &[(&str, &[u32])]) -> StepEntries {
    let number = scope.parse().ok();
    StepEntries {
        scope: scope.to_owned(),
        what: StepInfo {
            kind: if number.is_some() { StepKind::Request } else { StepKind::Job },
            step: number,
            job: None,
            what: what.to_owned(),
            outcome: None,
            failed,
        },
        functions: entered.iter().map(|(path, lines)| (MeasuredPath::new(*path), lines.to_vec())).collect(),
    }
}

fn steps(profile: &str, run: &str, steps: Vec<StepEntries>) -> (String, RunSteps) {
    let (format, version) = (RunSteps::FORMAT.to_owned(), RunSteps::VERSION);
    let of = RunSteps { format, version, profile: profile.to_owned(), run: run.to_owned(), steps };
    (format!("{profile}.steps.json"), of)
}

#[test]
fn routes_reach_symbols_and_failed_steps_alone_reach_some() {
    let lines: &[(&'static str, &'static [u32])] = &[("app/dam.py", &[6, 10, 12]), ("app/script.py", &[2])];
    let runs =
        [Run::complete("a", lines), Run::complete("b", &[("app/dam.py", &[12])]), Run::complete("c", &[])];
    let of = [
        // The getter by its decorator's line (4, not 5); 6 is a lambda's, say.
        steps(
            "a",
            "r1",
            vec![
                step("1", "GET /runs/7/dam?x=1", false, &[("app/dam.py", &[4, 6])]),
                step("2", "GET /runs/8/dam", true, &[("app/dam.py", &[8, 11])]),
                step(
                    "job:f:1",
                    "f",
                    true,
                    &[("app/dam.py", &[5, 8]), ("app/script.py", &[1]), ("gone.py", &[3])],
                ),
            ],
        ),
        steps("b", "r1", vec![step("1", "GET /runs/9/dam", false, &[])]),
    ];
    let matrix = matrix_with(&runs, &of, Some(&inventory()));
    let (getter, setter, spill) = ("app.dam.Dam.level@5", "app.dam.Dam.level@9", "app.dam.spill");
    let [(route, dam)] = matrix.routes.iter().collect::<Vec<_>>()[..] else { panic!("{:?}", matrix.routes) };
    assert_eq!(route, "GET /runs/*/dam");
    assert_eq!((dam.failed, dam.steps.as_slice()), (1, ["a:1", "a:2", "b:1"].map(str::to_owned).as_slice()));
    assert_eq!(dam.profiles.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(dam.symbols.iter().collect::<Vec<_>>(), [getter, setter, spill]);
    assert_eq!(matrix.symbols[getter].steps, ["a:1"], "5 is the line of its `def`, and not its first one");
    assert_eq!(matrix.symbols[setter].steps, ["a:2", "a:job:f:1"]);
    // b reaches spill in none of its steps, so it may have done so without any failure.
    assert_eq!(matrix.only_failed().collect::<Vec<_>>(), [setter, "app.script.main"]);
    assert!(!matrix.symbols[spill].only_failed_steps);
    assert!(matrix.steps["a:job:f:1"].info.failed);
    assert_eq!(matrix.steps_not_traced, ["c"]);
}

#[test]
fn steps_of_another_run_or_of_another_source_are_left_out() {
    let entered = || vec![step("1", "GET /", true, &[("app/dam.py", &[11])])];
    let runs = [Run::complete("a", &[("app/dam.py", &[12])])];
    let other = matrix_with(&runs, &[steps("a", "r2", entered())], Some(&inventory()));
    assert_eq!((other.routes.len(), &*other.steps_not_traced), (0, &["a".to_owned()][..]));
    assert_eq!(
        other.notes,
        ["a.steps.json is of run r2, and the report of a of run r1: its steps are left out"]
    );

    let mut stale = Run::complete("a", &[("app/dam.py", &[12])]);
    stale.hashes = vec![("app/dam.py", "00")];
    let stale = matrix_with(&[stale], &[steps("a", "r1", entered())], Some(&inventory()));
    assert!(stale.routes["GET /"].symbols.is_empty(), "line 11 is another function's there");
    assert_eq!(stale.only_failed().count(), 0);

    let mut newer = steps("a", "r1", Vec::new());
    newer.1.version = 2;
    let error = build_matrix(&[("a.json".to_owned(), runs[0].report())], &[newer], None, String::new());
    assert_eq!(error.unwrap_err().code(), "PT-ANALYSIS-002");
}

#[test]
fn where_lines_were_not_traced_none_is_missing() {
    let functions = |executed: &[(&'static str, &'static [u32])]| {
        let run = Run { measured: Measured::Functions, ..Run::complete("a", executed) };
        Run { imported: vec![("app/script.py", vec![1])], ..run }
    };
    // The getter by its decorator, spill by its `def`; documented (14) holds nothing that could be covered.
    let run = functions(&[("app/dam.py", &[4, 11, 14])]);
    let report = run.report();
    assert_eq!(
        covered(&report),
        [("app.dam", 1), ("app.dam.Dam", 2), ("app.dam.Dam.level", 5), ("app.dam.spill", 11)]
    );
    let summary = &report.summary;
    assert_eq!((summary.lines_covered, summary.lines_total, summary.lines_not_traced), (0, 0, 5));
    assert_eq!((summary.function_count, summary.file_count, summary.import_lines), (2, 1, 9 + 2));
    let files = &report.files;
    assert!(files.iter().all(|file| file.missing_lines.is_empty() && file.executed_lines.is_empty()));
    assert_eq!(files[0].not_traced_lines, [6, 10, 12, 13]);
    assert_eq!((files[0].functions_entered, files[1].functions_entered), (Some(2), Some(0)));
    let names: Vec<&str> = report.run_by_import.iter().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["app.script.main"]);

    let matrix = matrix(&[run], Some(&inventory()));
    assert_eq!(matrix.profile_symbols["a"], ["app.dam.Dam.level@5", "app.dam.spill"]);
    let gaps: Vec<&str> = matrix.gaps.symbols.iter().map(|gap| gap.key.as_str()).collect();
    assert_eq!(gaps, ["app.dam.Dam.level@9", "app.script.main"]);
    let files: Vec<(&str, usize)> =
        matrix.gaps.files.iter().map(|file| (file.path.as_str(), file.statements)).collect();
    assert_eq!(files, [("app/script.py", 1)]);
    assert_eq!((matrix.totals.files, matrix.totals.lines_total), (1, 0));
}

#[test]
fn two_files_that_define_a_name_at_one_line_have_a_key_each() {
    let main = |path: &str| SourceFile { path: MeasuredPath::new(path), ..script() };
    let files = [main("app/script.py"), main("app/script/__init__.py")];
    let run = Run::complete("a", &[("app/script.py", &[2])]);
    let matrix = matrix(&[run], Some(&listed(&files, Vec::new())));
    let [covered, gap] = ["app.script.main@app/script.py:1", "app.script.main@app/script/__init__.py:1"];
    assert_eq!(matrix.profile_symbols["a"], [covered]);
    assert_eq!(matrix.symbols[gap].symbol.file, MeasuredPath::new("app/script/__init__.py"));
    let gaps: Vec<&str> = matrix.gaps.symbols.iter().map(|gap| gap.key.as_str()).collect();
    assert!(gaps.contains(&gap) && !gaps.contains(&covered), "{gaps:?}");
}

#[test]
fn a_line_inside_a_function_says_that_it_was_entered_and_a_definition_inside_does_not() {
    let mut run = Run { measured: Measured::Functions, ..Run::complete("a", &[("app/dam.py", &[7])]) };
    assert!(covered(&run.report()).contains(&("app.dam.Dam.level", 5)), "7 is inside the getter");
    run.executed = vec![("app/dam.py", vec![5, 9])];
    assert_eq!(covered(&run.report()), [] as [(&str, u32); 0], "a `def` below a decorator is no first line");
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
    let inventory = listed(&[other], Vec::new());
    let matrix = matrix(&[Run::complete("a", &[("app/dam.py", &[6])])], Some(&inventory));
    assert!(matrix.notes[0].starts_with("app/dam.py: "), "{:?}", matrix.notes);
}

#[test]
fn unusable_inputs_are_refused_by_name() {
    let report = Run::complete("a", &[]).report();
    let build =
        |reports: &[(String, ProfileReport)]| build_matrix(reports, &[], None, String::new()).unwrap_err();
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

#[test]
fn a_file_that_was_loaded_with_different_contents_counts_no_line() {
    let mut run = Run::complete("a", &[("app/dam.py", &[7]), ("app/script.py", &[2])]);
    run.hashes = vec![("app/script.py", "bb")];
    run.mixed = vec!["app/dam.py"];
    let report = run.report();
    assert_eq!((report.status, report.summary.stale_files), (Status::Stale, 1));
    assert_eq!(covered(&report), [("app.script", 1), ("app.script.main", 1)]);
    assert!(report.reasons[0].starts_with("app/dam.py: the run's processes loaded different contents"));
}

#[test]
fn a_file_without_a_hash_counts_and_is_labelled() {
    let mut run = Run::complete("a", &[("app/dam.py", &[7]), ("app/script.py", &[2])]);
    run.hashes = vec![("app/script.py", "bb")];
    let report = run.report();
    assert_eq!((report.status, report.summary.unverified_files), (Status::Partial, 1));
    assert_eq!(report.files.iter().map(|file| file.unverified).collect::<Vec<_>>(), [true, false]);
    assert!(report.files[0].lines_covered > 0);
    assert!(report.reasons[0].starts_with("app/dam.py: the ledger has no hash"), "{:?}", report.reasons);
    // Nobody measured it, so nothing is to be known.
    run.executed = vec![("app/script.py", vec![2])];
    assert_eq!(run.report().status, Status::Complete);
}

#[test]
fn a_file_that_vanished_is_named() {
    let mut run = Run::complete("a", &[("app/gone.py", &[7, 8]), ("app/script.py", &[2])]);
    run.vanished = vec!["app/gone.py"];
    let report = run.report();
    assert_eq!(report.status, Status::Stale);
    assert!(
        report.reasons[0].starts_with("app/gone.py: measured, and not in the source"),
        "{:?}",
        report.reasons
    );
    assert_eq!(report.not_in_source.len(), 1);
}

#[test]
fn data_without_a_verdict_says_nothing_about_its_source() {
    let mut run = Run::complete("a", &[("app/script.py", &[2])]);
    (run.verdict, run.hashes) = (None, Vec::new());
    let report = run.report();
    assert_eq!((report.status, report.summary.unverified_files), (Status::Partial, 1));
    assert!(report.reasons[0].contains("nor whether the source at hand is the one"), "{:?}", report.reasons);
    assert_eq!(report.reasons.len(), 1);
}

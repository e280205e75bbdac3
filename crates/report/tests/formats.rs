//! Every format of one small result, as snapshots.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::collections::{BTreeMap, BTreeSet};

use playtrace_analysis::{
    Inventory, InventorySource, Matrix, Measured, MeasuredSource, ProfileInput, ProfileReport, RunSteps,
    StepEntries, StepInfo, StepKind, UnparsedFile, analyze_profile, build_matrix,
};
use playtrace_model::{
    LineBits, MeasuredPath, SourceFile, SourceHash, Status, Symbol, SymbolDetails, SymbolKind, Verdict,
};
use playtrace_report::html::HtmlReport;
use playtrace_report::{json, markdown, text};

/// The source, with everything in it that HTML has to escape.
const SOURCE: &str = "import x\ndef f(a):\n    return a < 1 & 2 > \"</td><script>alert('x')</script>\"\ndef g():\n    return {{ 7 * 7 }}  # {% raw %}\nif x:  # pragma: no cover\n    f(1)\n";

fn bits(lines: &[u32]) -> LineBits {
    lines.iter().copied().collect()
}

fn file(path: &str, module: &str) -> SourceFile {
    let symbol = |name: String, kind, span, statements: &[u32]| Symbol {
        name,
        kind,
        line: span,
        span: (span, span + 1),
        statements: bits(statements),
        details: SymbolDetails::default(),
    };
    SourceFile {
        path: MeasuredPath::new(path),
        module: module.to_owned(),
        hash: SourceHash::from_hex("aa"),
        statements: bits(&[1, 2, 3, 4, 5]),
        excluded: bits(&[6, 7]),
        import_statements: bits(&[1, 2, 4]),
        symbols: vec![
            symbol(module.to_owned(), SymbolKind::Module, 1, &[1, 2, 4]),
            symbol(format!("{module}.f"), SymbolKind::Function, 2, &[3]),
            symbol(format!("{module}.g.<locals>.h"), SymbolKind::Function, 4, &[5]),
        ],
        multiline: Vec::new(),
        lambdas: Vec::new(),
    }
}

fn report(profile: &str, lines: &[u32], verdict: Verdict) -> ProfileReport {
    measured(Measured::Lines, profile, lines, verdict)
}

fn measured(measured: Measured, profile: &str, lines: &[u32], verdict: Verdict) -> ProfileReport {
    let (first, second) = (file("app/a&b.py", "app.a"), file("app/other.py", "app.other"));
    let executed: BTreeMap<MeasuredPath, LineBits> =
        [(MeasuredPath::new("app/a&b.py"), bits(lines)), (MeasuredPath::new("gone/<x>.py"), bits(&[1]))]
            .into();
    analyze_profile(&ProfileInput {
        profile: profile.to_owned(),
        timestamp: "2026-01-02T03:04:05Z".to_owned(),
        verdict: Some(verdict),
        run: Some("run-1".to_owned()),
        requests: Some(12),
        jobs: None,
        measured,
        executed: &executed,
        imported: &BTreeMap::new(),
        measured_source: MeasuredSource {
            hashes: &[(first.path.clone(), first.hash.clone())].into(),
            mixed: &BTreeSet::new(),
            vanished: &BTreeSet::new(),
        },
        files: &[&first, &second],
        unparsed: &[UnparsedFile {
            path: MeasuredPath::new("app/bad.py"),
            reason: "app/bad.py:3: not Python: Expected an expression".to_owned(),
        }],
    })
}

fn failed() -> Verdict {
    let mut verdict = Verdict::new(Status::Complete);
    verdict.lower(Status::Failed, "job <7> of step 3 failed: ValueError | \"x\"");
    verdict
}

/// A request and a job of beta that failed, the only ones to enter `h`; a request that did not.
fn steps() -> RunSteps {
    let step = |scope: &str, kind, what: &str, outcome: &str, line| StepEntries {
        scope: scope.to_owned(),
        what: StepInfo {
            kind,
            step: scope.parse().ok(),
            job: None,
            what: what.to_owned(),
            outcome: Some(outcome.to_owned()),
            failed: !matches!(outcome, "200"),
        },
        functions: [(MeasuredPath::new("app/a&b.py"), vec![line])].into(),
    };
    RunSteps {
        format: RunSteps::FORMAT.to_owned(),
        version: RunSteps::VERSION,
        profile: "beta".to_owned(),
        run: "run-1".to_owned(),
        steps: vec![
            step("1", StepKind::Request, "GET /x|y/17?z", "200", 2),
            step("2", StepKind::Request, "GET /x|y/18", "500", 4),
            step("job:a.g:j1", StepKind::Job, "a.g", "failed", 4),
        ],
    }
}

fn matrix() -> Matrix {
    let reports = [
        ("a.json".to_owned(), report("alpha", &[3], Verdict::new(Status::Complete))),
        ("b.json".to_owned(), report("beta", &[5], failed())),
    ];
    let files = [file("app/a&b.py", "app.a"), file("app/other.py", "app.other")];
    let sources = files.iter().map(|source| InventorySource { source, digests: Vec::new() });
    let inventory = Inventory::new("playtrace test".to_owned(), ("3.12", "7.11"), sources, Vec::new());
    let steps = [("beta.steps.json".to_owned(), steps())];
    build_matrix(&reports, &steps, Some(&inventory), "2026-01-02T03:04:05Z".to_owned()).unwrap()
}

#[test]
fn profile_as_text() {
    insta::assert_snapshot!(text::profile(&report("beta", &[3], failed())));
}

#[test]
fn profile_as_json() {
    let report = report("alpha", &[3], Verdict::new(Status::Complete));
    let document = json::to_json(&report).unwrap();
    assert_eq!(serde_json::from_str::<ProfileReport>(&document).unwrap(), report);
    let head: String = document.split_inclusive('\n').take(50).collect();
    insta::assert_snapshot!(head);
}

#[test]
fn a_profile_whose_lines_were_not_traced_has_none_that_are_missing() {
    let report = measured(Measured::Functions, "gamma", &[2], failed());
    let said = text::profile(&report);
    let html = HtmlReport::new(&report).unwrap();
    let page = html.file(html.files().next().unwrap(), SOURCE).unwrap().html;
    let pages =
        [html.index().unwrap().html, page].map(|page| page.split_once("<body>").unwrap().1.to_owned());
    for text in pages.iter().chain([&said]) {
        assert!(text.contains("lines: not traced (symbol granularity)"), "{text}");
        assert!(!text.contains(">missing<") && !text.contains("0.0 %"), "{text}");
    }
    insta::assert_snapshot!(said);

    let matrix =
        build_matrix(&[("g.json".to_owned(), report)], &[], None, "2026-01-02T03:04:05Z".to_owned()).unwrap();
    for said in [text::matrix(&matrix), markdown::matrix(&matrix)] {
        assert!(said.contains("ines executed by any profile: not traced"), "{said}");
    }
}

#[test]
fn matrix_as_text() {
    insta::assert_snapshot!(text::matrix(&matrix()));
}

#[test]
fn matrix_as_markdown() {
    insta::assert_snapshot!(markdown::matrix(&matrix()));
}

#[test]
fn gaps_as_lines() {
    insta::assert_snapshot!(text::gaps(&matrix()));
}

#[test]
fn matrix_comes_back_from_json() {
    let matrix = matrix();
    assert_eq!(serde_json::from_str::<Matrix>(&json::to_json(&matrix).unwrap()).unwrap(), matrix);
}

#[test]
fn file_page() {
    let report = report("alpha", &[3], Verdict::new(Status::Complete));
    let html = HtmlReport::new(&report).unwrap();
    let file = html.files().next().unwrap();
    let page = html.file(file, SOURCE).unwrap();
    assert_eq!(page.path, "files/app/a&b.py.html");
    let body = page.html.split_once("<body>").unwrap().1;
    insta::assert_snapshot!(body);
}

#[test]
fn index_page() {
    let report = report("beta", &[3], failed());
    let page = HtmlReport::new(&report).unwrap().index().unwrap();
    let body = page.html.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    insta::assert_snapshot!(body);
}

#[test]
fn nothing_of_the_source_becomes_markup() {
    let report = report("alpha", &[3], Verdict::new(Status::Complete));
    let html = HtmlReport::new(&report).unwrap();
    let page = html.file(html.files().next().unwrap(), SOURCE).unwrap().html;
    assert!(!page.contains("<script>"), "a file's page has no script, whatever the source says");
    assert!(page.contains("{{ 7 * 7 }}") && !page.contains("49"), "source is text, not a template");
    for page in [page, html.index().unwrap().html] {
        assert!(!page.contains("http://") && !page.contains("https://"), "pages need no network");
    }
}

#[test]
fn pages_stay_below_their_directory() {
    let mut report = report("alpha", &[3], Verdict::new(Status::Complete));
    report.files[0].path = MeasuredPath::new("/../../etc/./x.py");
    let html = HtmlReport::new(&report).unwrap();
    assert_eq!(html.file(&report.files[0], "").unwrap().path, "files/__/__/etc/x.py.html");
}

#[test]
fn equal_results_are_equal_bytes() {
    let make = || report("alpha", &[3], Verdict::new(Status::Complete));
    assert_eq!(json::to_json(&make()).unwrap(), json::to_json(&make()).unwrap());
    let page = |report: &ProfileReport| HtmlReport::new(report).unwrap().index().unwrap();
    assert_eq!(page(&make()), page(&make()));
}

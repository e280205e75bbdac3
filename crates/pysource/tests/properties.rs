//! What holds for any text, Python or not.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use playtrace_model::{LineBits, MeasuredPath};
use playtrace_pysource::{AnalyzedFile, CoverageRelease, PythonVersion, Rules, SourceError, analyze};
use proptest::prelude::*;

/// Lines that make sense together often enough, and fail to often enough.
const LINES: [&str; 34] = [
    "x = 1",
    "    y = 2",
    "        z = 3",
    "",
    "    ",
    "# comment",
    "    pass  # pragma: no cover",
    "def f(a,",
    "      b):",
    "def g():",
    "    def h(self):",
    "class C:",
    "    \"\"\"doc",
    "    string\"\"\"",
    "    return (",
    "    )",
    "if x:  # pragma: no cover",
    "if 0:",
    "else:",
    "while True:",
    "    break",
    "    continue",
    "try:",
    "finally:",
    "except E:",
    "with a, \\",
    "    b:",
    "match x:",
    "    case _:",
    "    global x",
    "@d",
    "    ...",
    "f'{x:>{",
    "}}'",
];

fn joined(picked: &[usize], end: &str) -> String {
    picked.iter().flat_map(|&at| [LINES[at], end]).collect()
}

fn file(text: &[u8]) -> Result<AnalyzedFile, SourceError> {
    analyze(text, &MeasuredPath::new("p.py"), "p", &Rules::new(PythonVersion::V3_12, CoverageRelease::V7_11))
}

fn check(file: &AnalyzedFile) -> Result<(), TestCaseError> {
    let source = &file.source;
    prop_assert!(source.statements.intersection(&source.excluded).is_empty());
    prop_assert!(source.statements.intersection(&file.docstrings).is_empty());
    prop_assert!(source.import_statements.is_subset(&source.statements));
    prop_assert!(source.statements.iter().all(|line| (1..=file.text.line_count()).contains(&line)));
    prop_assert!(source.multiline.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", source.multiline);
    prop_assert!(source.multiline.iter().all(|(first, last)| first < last));
    let mut own = LineBits::new();
    for symbol in &source.symbols {
        own.union_with(&symbol.statements);
        prop_assert!(symbol.span.0 <= symbol.line && symbol.line <= symbol.span.1, "{symbol:?}");
    }
    prop_assert_eq!(&own, &source.statements, "every statement belongs to a symbol");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn lines_of_python(picked in proptest::collection::vec(0..LINES.len(), 0..25)) {
        let text = joined(&picked, "\n");
        if let Ok(file) = file(text.as_bytes()) {
            check(&file)?;
        }
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        match file(&bytes) {
            Ok(file) => check(&file)?,
            Err(SourceError::Syntax { line, .. } | SourceError::Encoding { line, .. }) => prop_assert!(line >= 1),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn line_ends_make_no_difference(picked in proptest::collection::vec(0..LINES.len(), 0..25)) {
        let (unix, windows) = (file(joined(&picked, "\n").as_bytes()), file(joined(&picked, "\r\n").as_bytes()));
        prop_assert_eq!(unix.is_ok(), windows.is_ok());
        if let (Ok(unix), Ok(windows)) = (unix, windows) {
            prop_assert_eq!(unix.source.statements, windows.source.statements);
            prop_assert_eq!(unix.source.symbols, windows.source.symbols);
            prop_assert_ne!(picked.is_empty(), unix.source.hash != windows.source.hash);
        }
    }
}

/// Sources of the corpus: what is near to them is near to Python.
#[expect(clippy::unwrap_used, reason = "without the corpus there is no test")]
fn corpus() -> Vec<Vec<u8>> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/source");
    let mut files: Vec<_> = walkdir::WalkDir::new(home)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    files.sort();
    assert!(files.len() > 20, "the corpus is part of the repository");
    files.iter().map(|file| fs_err::read(file).unwrap()).collect()
}

/// Whether a run that is bounded in time has come to its end.
fn time_is_up() -> bool {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let limit = std::env::var("PLAYTRACE_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    limit.is_some_and(|seconds| BEGUN.elapsed() > Duration::from_secs(seconds))
}

/// What mutations put in.
const PIECES: [&str; 24] = [
    "(",
    ")",
    "[",
    "{",
    "}",
    ":",
    "\n",
    "    ",
    "\t",
    "\"\"\"",
    "'",
    "f'{",
    "\\\n",
    "#",
    "lambda",
    "@",
    "match x:\n",
    "*",
    "\0",
    "\r",
    "\u{feff}",
    "else:",
    "async ",
    "1_",
];

proptest! {
    // `make fuzz` asks for more, with PROPTEST_CASES.
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn mutated_sources(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..40usize, any::<prop::sample::Index>()),
            1..6,
        ),
    ) {
        if time_is_up() {
            return Ok(());
        }
        let sources = corpus();
        let mut text = which.get(&sources).clone();
        for (place, dropped, piece) in changes {
            let at = place.index(text.len() + 1);
            let end = (at + dropped).min(text.len());
            text.splice(at..end, piece.get(&PIECES).bytes());
        }
        match file(&text) {
            Ok(file) => check(&file)?,
            Err(SourceError::Syntax { line, .. } | SourceError::Encoding { line, .. }) => prop_assert!(line >= 1),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }
}

/// None of these may end the process; CPython refuses all of them.
#[test]
fn deep_sources_are_answered() {
    for part in [
        "(",
        "[",
        "{",
        "-",
        "not ",
        "lambda: ",
        "lambda a, b: ",
        "a if b else ",
        "a ** ",
        "f'{",
        "(\n",
        "x[",
        "a.b",
        "f()",
        "await ",
        "1 + ",
        "x, ",
        "*",
        "a and ",
        "yield ",
        "x = ",
        "a < ",
        "f(x)(",
        "{1: ",
        "[i for i in ",
        "@",
        "a := ",
        "(x := ",
    ] {
        for count in [150, 60_000, 400_000] {
            let text = part.repeat(count);
            for end in ["", "x\n"] {
                // An answer, whichever.
                let _ = file(format!("{text}{end}").as_bytes());
            }
        }
    }
    let closed = format!("x = {}1{}\n", "(".repeat(60_000), ")".repeat(60_000));
    assert_eq!(file(closed.as_bytes()).unwrap_err().code(), "PT-SOURCE-002");
    let nested = |levels: usize| -> String {
        let lines = (0..levels).map(|level| format!("{}if x:\n", " ".repeat(level)));
        lines.collect::<String>() + &" ".repeat(levels) + "y = 1\n"
    };
    assert!(file(nested(99).as_bytes()).is_ok());
    assert!(file(nested(100).as_bytes()).is_err(), "CPython: too many levels of indentation");
    assert!(file(nested(3000).as_bytes()).is_err());
}

#[test]
fn deep_nesting_is_an_error_or_an_answer_and_no_crash() {
    for depth in [50, 99] {
        let mut text = String::new();
        for level in 0..depth {
            text.push_str(&" ".repeat(level));
            text.push_str("if x:\n");
        }
        text.push_str(&" ".repeat(depth));
        text.push_str("y = 1\n");
        assert_eq!(file(text.as_bytes()).unwrap().source.statements.len(), depth + 1);
    }
    let long = format!("x = {}1\n", "1 + ".repeat(3000));
    assert_eq!(file(long.as_bytes()).unwrap().source.statements.len(), 1);
}

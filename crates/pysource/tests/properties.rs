//! What holds for any text, Python or not.

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

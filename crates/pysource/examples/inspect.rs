//! Prints what this crate finds in Python files: one JSON object a line, in the order of the arguments.
//!
//! The comparison with coverage.py and CPython in `tests/oracle/` reads it. A file that is no Python is an object
//! with `path` and `error`.
//!
//! Usage: `inspect FILE...`, or `inspect -` with one file name a line on the standard input.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use playtrace_model::{LineBits, MeasuredPath, SymbolTrait};
use playtrace_pysource::{AnalyzedFile, CoverageRelease, PythonVersion, Rules, analyze};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut python, mut coverage) = (PythonVersion::V3_12, CoverageRelease::V7_11);
    let mut names = Vec::new();
    for argument in std::env::args().skip(1) {
        if let Some(version) = argument.strip_prefix("--python=") {
            python = version.parse()?;
        } else if let Some(release) = argument.strip_prefix("--coverage=") {
            coverage = release.parse()?;
        } else {
            names.push(argument);
        }
    }
    if names == ["-"] {
        names = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    }
    let rules = Rules::new(python, coverage);
    let mut out = std::io::stdout().lock();
    for name in names {
        let bytes = fs_err::read(Path::new(&name))?;
        let object = match analyze(&bytes, &MeasuredPath::new(&name), "m", &rules) {
            Ok(file) => json!({
                "path": name,
                "statements": lines(&file.source.statements),
                "excluded": lines(&file.source.excluded),
                "docstrings": lines(&file.docstrings),
                "multiline": file.source.multiline,
                "import_statements": lines(&file.source.import_statements),
                "symbols": file.source.symbols.iter().map(|symbol| json!({
                    "name": symbol.name,
                    "kind": symbol.kind,
                    "line": symbol.line,
                    "span": symbol.span,
                    "statements": lines(&symbol.statements),
                    "async": symbol.details.traits.contains(&SymbolTrait::Async),
                    "decorators": symbol.details.decorators,
                    "docstring": symbol.details.docstring,
                })).collect::<Vec<_>>(),
                "lambdas": file.source.lambdas.iter().map(|lambda| json!({
                    "qualname": lambda.qualname,
                    "line": lambda.line,
                    "column": lambda.column,
                })).collect::<Vec<_>>(),
                "regions": regions(&file),
            }),
            Err(error) => json!({"path": name, "error": error.to_string()}),
        };
        writeln!(out, "{object}")?;
    }
    Ok(())
}

fn regions(file: &AnalyzedFile) -> Vec<Value> {
    let mut regions: Vec<_> = file
        .regions()
        .into_iter()
        .map(|region| {
            let kind = if region.is_class { "class" } else { "function" };
            (kind, region.name, region.start, region.lines.iter().collect::<Vec<u32>>())
        })
        .collect();
    regions.sort();
    regions.into_iter().map(|region| json!(region)).collect()
}

fn lines(set: &LineBits) -> Value {
    set.iter().collect()
}

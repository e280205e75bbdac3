//! Prints what this crate finds in Python files: one JSON object a line, in the order of the arguments.
//!
//! The comparison with coverage.py and CPython in `tests/oracle/` reads it. A file that is no Python is an object
//! with `path` and `error`.
//!
//! Usage: `inspect FILE...`, or `inspect -` with one file name a line on the standard input.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use playtrace_model::{LineBits, MeasuredPath};
use playtrace_pysource::{Exclusions, analyze};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names == ["-"] {
        names = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    }
    let exclusions = Exclusions::default_patterns();
    let mut out = std::io::stdout().lock();
    for name in names {
        let bytes = fs_err::read(Path::new(&name))?;
        let object = match analyze(&bytes, &MeasuredPath::new(&name), "m", &exclusions) {
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
                })).collect::<Vec<_>>(),
            }),
            Err(error) => json!({"path": name, "error": error.to_string()}),
        };
        writeln!(out, "{object}")?;
    }
    Ok(())
}

fn lines(set: &LineBits) -> Value {
    set.iter().collect()
}

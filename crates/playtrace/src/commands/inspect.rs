//! `playtrace inspect`: what could run in source files.

use std::fmt::Write as _;
use std::path::PathBuf;

use playtrace_model::{Lambda, LineBits, Symbol, SymbolDetails};
use playtrace_pysource::{AnalyzedFile, Region, python_files};
use serde::Serialize;

use crate::documents::say;
use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::{PythonArg, SourceArgs, Sources};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Python files, or directories of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Write JSON (docs/schema/inspect.schema.json) instead of text
    #[arg(long)]
    pub json: bool,
    /// The Python.
    #[command(flatten)]
    pub python: PythonArg,
    /// The tree, whose config says which lines are excluded.
    #[command(flatten)]
    pub source: SourceArgs,
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u32,
    python: &'static str,
    coverage: &'static str,
    files: Vec<File<'a>>,
    unparsed: Vec<Unparsed<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    module: &'a str,
    statements: Vec<u32>,
    excluded: Vec<u32>,
    docstrings: Vec<u32>,
    import_statements: Vec<u32>,
    multiline: &'a [(u32, u32)],
    regions: Vec<Section>,
    symbols: Vec<Inspected<'a>>,
    lambdas: &'a [Lambda],
}

#[derive(Serialize)]
struct Section {
    kind: &'static str,
    name: String,
    start: u32,
    lines: Vec<u32>,
}

#[derive(Serialize)]
struct Inspected<'a> {
    #[serde(flatten)]
    symbol: &'a Symbol,
    #[serde(flatten)]
    details: &'a SymbolDetails,
    statements: Vec<u32>,
}

#[derive(Serialize)]
struct Unparsed<'a> {
    path: &'a str,
    reason: &'a str,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Args { paths: given, json, python, source } = args;
    let sources = Sources::open(&source, python.python_version)?;
    let mut paths = Vec::new();
    for path in &given {
        let path = fs_err::canonicalize(path)
            .map_err(|error| Failure::new(Exit::BadInput, "PT-MAPS-001", error.to_string()))?;
        if path.is_dir() {
            paths.extend(python_files(&path)?);
        } else {
            paths.push(path);
        }
    }
    let files: Vec<_> = paths.into_iter().map(|path| (sources.measured_path(&path), path)).collect();
    let tree = sources.analyze(&files)?;
    if json {
        let document = Document {
            format: "playtrace-inspect",
            version: 2,
            python: python.python_version.as_str(),
            coverage: source.coverage_version.as_str(),
            files: tree.files.values().map(file).collect(),
            unparsed: tree
                .unparsed
                .iter()
                .map(|file| Unparsed { path: file.path.as_str(), reason: &file.reason })
                .collect(),
        };
        say(&playtrace_report::json::to_json(&document)?)?;
    } else {
        let mut text: String = tree.files.values().map(describe).collect();
        for unparsed in &tree.unparsed {
            // Writing to a String can't fail.
            let _ = writeln!(text, "not analysed: {}", unparsed.reason);
        }
        say(&text)?;
    }
    Ok(if tree.unparsed.is_empty() { Exit::Success } else { Exit::Partial })
}

fn file(analyzed: &AnalyzedFile) -> File<'_> {
    let source = &analyzed.source;
    File {
        path: source.path.as_str(),
        module: &source.module,
        statements: list(&source.statements),
        excluded: list(&source.excluded),
        docstrings: list(&analyzed.docstrings),
        import_statements: list(&source.import_statements),
        multiline: &source.multiline,
        regions: analyzed.regions().into_iter().map(section).collect(),
        symbols: source
            .symbols
            .iter()
            .map(|symbol| Inspected {
                symbol,
                details: &symbol.details,
                statements: list(&symbol.statements),
            })
            .collect(),
        lambdas: &source.lambdas,
    }
}

fn section(region: Region) -> Section {
    let kind = if region.is_class { "class" } else { "function" };
    Section { kind, name: region.name, start: region.start, lines: list(&region.lines) }
}

fn describe(analyzed: &AnalyzedFile) -> String {
    let source = &analyzed.source;
    let mut text = format!(
        "{} ({}): {} statements, {} of them run at import; {} lines excluded\n",
        source.path,
        source.module,
        source.statements.len(),
        source.import_statements.len(),
        source.excluded.len()
    );
    for symbol in source.symbols.iter().skip(1) {
        let (first, last) = symbol.span;
        let _ = writeln!(
            text,
            "  {:<8} {}  lines {first}-{last}, {} own statements",
            symbol.kind.as_str(),
            symbol.name,
            symbol.statements.len()
        );
    }
    text
}

fn list(lines: &LineBits) -> Vec<u32> {
    lines.iter().collect()
}

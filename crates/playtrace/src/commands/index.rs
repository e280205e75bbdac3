//! `playtrace index`: the symbol inventory of a source tree.

pub mod build;
pub mod check;
pub mod diff;

use std::path::PathBuf;

use playtrace_analysis::{Inventory, InventoryPart, InventorySource, UnparsedFile};
use playtrace_model::{Symbol, SymbolKind, hex};
use playtrace_pysource::{AnalyzedFile, Mapped, PythonVersion, SourceTree, Unparsed};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::{SourceArgs, Sources};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with inventories.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Write the inventory of a source tree
    #[command(
        after_help = "Example:\n  playtrace index build src --python-version 3.12 --output coverage-symbols.json"
    )]
    Build(build::Args),
    /// Compare a stored inventory with the tree; exit code 1 if they differ
    #[command(after_help = "Example:\n  playtrace index check coverage-symbols.json src")]
    Check(check::Args),
    /// Compare two inventories: what came, went, moved and changed
    #[command(
        after_help = "Example:\n  playtrace index diff old/coverage-symbols.json coverage-symbols.json"
    )]
    Diff(diff::Args),
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Build(args) => build::run(args),
        Action::Check(args) => check::run(args),
        Action::Diff(args) => diff::run(&args),
    }
}

/// What `each` makes of each file below `roots` (where there are none: of what the configuration says), and the rules'
/// Python and coverage.py.
fn map_below<T: Send>(
    roots: &[PathBuf],
    mut source: SourceArgs,
    python: PythonVersion,
    each: impl Fn(InventoryPart) -> T + Sync,
) -> Result<(Mapped<T>, Rules), Failure> {
    // One root without more is the whole project: names are relative to it.
    if let ([root], None, None) = (roots, &source.root, &source.config) {
        source.root = Some(root.clone());
    }
    let roots = roots
        .iter()
        .map(|root| {
            fs_err::canonicalize(root).map_err(|error| {
                Failure::new(Exit::BadInput, "PT-MAPS-001", error.to_string())
                    .help("give the directory that holds the Python packages")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mapped = Sources::open(&source, python)?.map(&roots, |file| each(part_of(&file)))?;
    Ok((mapped, (python.as_str(), source.coverage_version.as_str())))
}

/// A Python's and a coverage.py's version.
type Rules = (&'static str, &'static str);

/// The inventory of the tree below `roots`.
fn inventory_below(
    roots: &[PathBuf],
    source: SourceArgs,
    python: PythonVersion,
) -> Result<Inventory, Failure> {
    let (mapped, rules) = map_below(roots, source, python, std::convert::identity)?;
    let parts = mapped.files.into_values().collect();
    Ok(Inventory::of_parts(generator(), rules, parts, unparsed_of(&mapped.unparsed)))
}

/// The inventory of a tree that was analysed by the rules of a Python and a coverage.py.
pub(crate) fn inventory_of(tree: &SourceTree, rules: (&str, &str)) -> Inventory {
    let files: Vec<&AnalyzedFile> = tree.files.values().collect();
    let parts = files.into_par_iter().map(part_of).collect();
    Inventory::of_parts(generator(), rules, parts, unparsed_of(&tree.unparsed))
}

fn generator() -> String {
    format!("playtrace {}", env!("CARGO_PKG_VERSION"))
}

fn part_of(file: &AnalyzedFile) -> InventoryPart {
    InventoryPart::of(InventorySource { source: &file.source, digests: digests(file) })
}

/// The files of a tree that are not Python, as documents list them.
pub fn unparsed_of(unparsed: &[Unparsed]) -> Vec<UnparsedFile> {
    unparsed
        .iter()
        .map(|file| UnparsedFile { path: file.path.clone(), reason: file.reason.clone() })
        .collect()
}

/// A digest of each symbol's lines without the indentation of its first one.
fn digests(file: &AnalyzedFile) -> Vec<String> {
    let mut own = String::new();
    let mut digest = |span| {
        let first = file.text.each_of_lines(span).next().unwrap_or_default().trim_end_matches('\n');
        let indent = first.len() - first.trim_start().len();
        let digest = if indent == 0 {
            Sha256::digest(file.text.of_lines(span))
        } else {
            own.clear();
            own.extend(file.text.each_of_lines(span).map(|line| match line.get(indent..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => trimmed(line),
            }));
            Sha256::digest(&own)
        };
        hex(&digest[..8])
    };
    let mut of = |symbol: &Symbol| match symbol.kind {
        // The whole file has a hash already.
        SymbolKind::Module => file.source.hash.as_str().chars().take(16).collect(),
        _ => digest(symbol.span),
    };
    file.source.symbols.iter().map(&mut of).collect()
}

/// Without white space at its beginning; the line's end stays.
fn trimmed(line: &str) -> &str {
    let content = line.trim_end_matches('\n');
    &line[content.len() - content.trim_start().len()..]
}

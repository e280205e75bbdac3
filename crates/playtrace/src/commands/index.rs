//! `playtrace index`: the symbol inventory of a source tree.

pub mod build;
pub mod check;
pub mod diff;

use std::collections::BTreeSet;
use std::path::PathBuf;

use playtrace_analysis::{Inventory, InventorySource, UnparsedFile};
use playtrace_model::{Symbol, SymbolKind, hex};
use playtrace_pysource::{AnalyzedFile, PythonVersion, SourceTree};
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

/// The inventory of the tree below `roots` (where there are none: of what the configuration says).
fn inventory_below(
    roots: &[PathBuf],
    mut source: SourceArgs,
    python: PythonVersion,
) -> Result<Inventory, Failure> {
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
    let sources = Sources::open(&source, python)?;
    let tree = sources.read(&roots, &BTreeSet::new())?;
    Ok(inventory_of(&tree, (python.as_str(), source.coverage_version.as_str())))
}

/// The inventory of a tree that was analysed by the rules of a Python and a coverage.py.
pub(crate) fn inventory_of(tree: &SourceTree, rules: (&str, &str)) -> Inventory {
    let files: Vec<&AnalyzedFile> = tree.files.values().collect();
    let sources: Vec<InventorySource> = files
        .into_par_iter()
        .map(|file| InventorySource { source: &file.source, digests: digests(file) })
        .collect();
    Inventory::new(format!("playtrace {}", env!("CARGO_PKG_VERSION")), rules, sources, unparsed_of(tree))
}

/// The files of a tree that are not Python, as documents list them.
pub fn unparsed_of(tree: &SourceTree) -> Vec<UnparsedFile> {
    tree.unparsed
        .iter()
        .map(|file| UnparsedFile { path: file.path.clone(), reason: file.reason.clone() })
        .collect()
}

/// A digest of each symbol's lines without the indentation of its first one.
fn digests(file: &AnalyzedFile) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut own = Vec::new();
    let mut digest = |span: (u32, u32)| {
        let [first, last] = [span.0 - 1, span.1].map(|line| usize::try_from(line).unwrap_or(usize::MAX));
        let range = lines.get(first..last.min(lines.len())).unwrap_or_default();
        let indent = range.first().map_or(0, |line| line.len() - line.trim_start().len());
        own.clear();
        for line in range {
            own.extend_from_slice(line.get(indent..).unwrap_or_else(|| line.trim_start()).as_bytes());
            own.push(b'\n');
        }
        hex(&Sha256::digest(&own)[..8])
    };
    let mut of = |symbol: &Symbol| match symbol.kind {
        // The whole file has a hash already.
        SymbolKind::Module => file.source.hash.as_str().chars().take(16).collect(),
        _ => digest(symbol.span),
    };
    file.source.symbols.iter().map(&mut of).collect()
}

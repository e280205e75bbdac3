//! `playtrace index`: the symbol inventory of a source tree.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use playtrace_analysis::{Inventory, UnparsedFile};
use playtrace_pysource::SourceTree;

use crate::documents::{say, write_document};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::{SourceArgs, Sources};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories with Python packages [default: the config's source, else its directory]
    #[arg(value_name = "ROOT")]
    pub roots: Vec<PathBuf>,
    /// Where to write the inventory [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The tree.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Runs it.
pub fn run(mut args: Args) -> Result<Exit, Failure> {
    // One root without more is the whole project: names are relative to it.
    if let ([root], None, None) = (args.roots.as_slice(), &args.source.root, &args.source.config) {
        args.source.root = Some(root.clone());
    }
    let roots = args
        .roots
        .iter()
        .map(|root| {
            fs_err::canonicalize(root).map_err(|error| {
                Failure::new(Exit::BadInput, "PT-MAPS-001", error.to_string())
                    .help("give the directory that holds the Python packages")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let sources = Sources::open(&args.source)?;
    let inventory = inventory_of(&sources.read(&roots, &BTreeSet::new())?);
    let json = playtrace_report::json::to_json(&inventory)?;
    match &args.output {
        None => say(&json)?,
        Some(path) => {
            write_document(path, &json)?;
            let totals = &inventory.totals;
            let mut text = format!(
                "{}: {} files, {} statements, {} classes, {} functions, {} methods\n",
                path.display(),
                totals.files,
                totals.statements,
                totals.classes,
                totals.functions,
                totals.methods
            );
            for file in &inventory.unparsed {
                // Writing to a String can't fail.
                let _ = writeln!(text, "not Python: {}", file.reason);
            }
            say(&text)?;
        }
    }
    Ok(Exit::Success)
}

/// The inventory of an analysed tree.
pub fn inventory_of(tree: &SourceTree) -> Inventory {
    Inventory::new(
        format!("playtrace {}", env!("CARGO_PKG_VERSION")),
        tree.files.values().map(|file| &file.source),
        unparsed_of(tree),
    )
}

/// The files of a tree that are not Python, as documents list them.
pub fn unparsed_of(tree: &SourceTree) -> Vec<UnparsedFile> {
    tree.unparsed
        .iter()
        .map(|file| UnparsedFile { path: file.path.clone(), reason: file.reason.clone() })
        .collect()
}

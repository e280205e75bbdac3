//! `playtrace index build`: writes the inventory of a source tree.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::inventory_below;
use crate::documents::{say, write_document};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::{PythonArg, SourceArgs};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories with Python packages [default: the config's source, else its directory]
    #[arg(value_name = "ROOT")]
    pub roots: Vec<PathBuf>,
    /// Where to write the inventory [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The Python.
    #[command(flatten)]
    pub python: PythonArg,
    /// The tree.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let inventory = inventory_below(&args.roots, args.source, args.python.python_version)?;
    let json = playtrace_report::json::to_json(&inventory)?;
    let Some(path) = &args.output else {
        say(&json)?;
        return Ok(Exit::Success);
    };
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
        let _ = writeln!(text, "not analysed: {}", file.reason);
    }
    say(&text)?;
    Ok(Exit::Success)
}

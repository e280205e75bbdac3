//! `playtrace index build`: writes the inventory of a source tree.

use std::fmt::Write as _;
use std::path::PathBuf;

use playtrace_analysis::{Inventory, InventoryPart, InventoryTotals};
use playtrace_report::ReportError;
use playtrace_report::json::elements;

use super::{generator, map_below, unparsed_of};
use crate::documents::{say, say_pieces, write_document_pieces};
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
    let (mapped, rules) = map_below(&args.roots, args.source, args.python.python_version, written)?;
    let parts = mapped.files.into_values().collect::<Result<Vec<_>, _>>()?;
    let unparsed = unparsed_of(&mapped.unparsed);
    let mut inventory = Inventory::of_parts(generator(), rules, Vec::new(), unparsed);
    for part in &parts {
        inventory.totals += &part.totals;
    }
    let list = |of: fn(&Written) -> &[u8]| -> Vec<&[u8]> { parts.iter().map(of).collect() };
    let lists = [
        ("files", list(|part| &part.file)),
        ("symbols", list(|part| &part.symbols)),
        ("lambdas", list(|part| &part.lambdas)),
    ];
    let json = playtrace_report::json::with_lists(&inventory, &lists)?;
    let Some(path) = &args.output else {
        say_pieces(&json)?;
        return Ok(Exit::Success);
    };
    write_document_pieces(path, &json)?;
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

/// What an inventory says of one file, as it stands in the document.
struct Written {
    totals: InventoryTotals,
    file: Vec<u8>,
    symbols: Vec<u8>,
    lambdas: Vec<u8>,
}

/// Done where the file was analysed, so that no thread waits while another writes for all of them.
fn written(part: InventoryPart) -> Result<Written, ReportError> {
    let InventoryPart { totals, file, symbols, lambdas } = part;
    Ok(Written {
        totals,
        file: elements(&[file])?,
        symbols: elements(&symbols)?,
        lambdas: elements(&lambdas)?,
    })
}

//! `playtrace index check`: does a stored inventory still describe the tree?

use std::path::PathBuf;

use playtrace_analysis::{Inventory, InventoryDiff};
use playtrace_pysource::{PythonVersion, SourceError};

use super::{diff, inventory_below};
use crate::documents::{read_json, say};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::SourceArgs;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stored inventory
    #[arg(value_name = "INVENTORY")]
    pub inventory: PathBuf,
    /// Directories with Python packages, as they were given to `index build`
    #[arg(value_name = "ROOT")]
    pub roots: Vec<PathBuf>,
    /// The Python that runs the code [default: the one that the inventory names]
    #[arg(long, value_name = "VERSION", env = "PLAYTRACE_PYTHON_VERSION")]
    pub python_version: Option<PythonVersion>,
    /// The tree.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let stored: Inventory = read_json(&args.inventory)?;
    stored.check(&args.inventory.display().to_string())?;
    let python = match args.python_version {
        Some(version) => version,
        None => stored.python.parse().map_err(|error: SourceError| {
            Failure::new(Exit::BadInput, error.code(), format!("{}: {error}", args.inventory.display()))
        })?,
    };
    let now = inventory_below(&args.roots, args.source, python)?;
    let mut difference = InventoryDiff::between(&stored, &now);
    // Comments between symbols change a file's bytes and no symbol's; the stored hashes are stale all the same.
    for file in stored.files.iter().filter(|file| !now.files.contains(file)) {
        difference.notes.push(format!("{}: not as it was indexed", file.path));
    }
    if difference.is_empty() && stored.lambdas != now.lambdas {
        difference.notes.push("lambdas came, went or stand elsewhere".to_owned());
    }
    if difference.is_empty() {
        say(&format!("{}: as the tree\n", args.inventory.display()))?;
        return Ok(Exit::Success);
    }
    say(&diff::describe(&difference))?;
    say(&format!(
        "{}: differs from the tree; write it again with `playtrace index build`\n",
        args.inventory.display()
    ))?;
    Ok(Exit::Failed)
}

//! `playtrace index diff`: what came, went, moved and changed between two inventories.

use std::fmt::Write as _;
use std::path::PathBuf;

use playtrace_analysis::{Inventory, InventoryDiff};

use crate::documents::{read_json, say};
use crate::exit::Exit;
use crate::messages::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The earlier inventory
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The later inventory
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Write JSON (docs/schema/inventory-diff.schema.json) instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let [old, new] = [&args.old, &args.new].map(|path| -> Result<Inventory, Failure> {
        let inventory: Inventory = read_json(path)?;
        inventory.check(&path.display().to_string())?;
        Ok(inventory)
    });
    let difference = InventoryDiff::between(&old?, &new?);
    if args.json {
        say(&playtrace_report::json::to_json(&difference)?)?;
    } else if difference.is_empty() {
        say("no difference\n")?;
    } else {
        say(&describe(&difference))?;
    }
    Ok(Exit::Success)
}

/// One line for each difference.
pub(super) fn describe(difference: &InventoryDiff) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for id in &difference.added {
        let _ = writeln!(text, "added    {id}");
    }
    for id in &difference.removed {
        let _ = writeln!(text, "removed  {id}");
    }
    for entry in &difference.moved {
        let _ = writeln!(text, "moved    {} -> {}", entry.from, entry.to);
    }
    for (word, entries) in [("changed", &difference.changed), ("shifted", &difference.shifted)] {
        for entry in entries {
            let ((was, end), (is, last)) = (entry.from, entry.to);
            let _ = writeln!(text, "{word}  {}  lines {was}-{end} -> {is}-{last}", entry.id);
        }
    }
    for note in &difference.notes {
        let _ = writeln!(text, "note     {note}");
    }
    text
}

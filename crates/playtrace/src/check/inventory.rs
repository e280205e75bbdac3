//! The stored inventory against the tree: what came, went, moved and changed.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_analysis::{Inventory, InventoryDiff, InventorySymbol};
use playtrace_model::{MeasuredPath, SymbolKind};
use playtrace_pysource::PythonVersion;

use super::finding::{Check, Examined, Finding, Kind};
use super::settings::Place;
use super::shown;
use crate::commands::index::inventory_of;
use crate::documents::{read_json, write_document};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::{Project, Sources};

/// Compares; where it may mend and must, writes the inventory and says its name.
pub(super) fn examine(place: &Place, project: &Project) -> Result<(Examined, Option<String>), Failure> {
    let name = shown(&place.root, &place.inventory);
    let stored = match stored(place, &name) {
        Ok(stored) => stored,
        // It can be written again only where somebody says for which Python.
        Err(finding) if place.python.is_none() || !place.fix => {
            return Ok((Examined::of(Check::Inventory, vec![*finding], String::new()), None));
        }
        Err(_) => None,
    };
    let python = match (place.python, &stored) {
        (Some(python), _) => python,
        (None, Some(stored)) => stored.python.parse::<PythonVersion>()?,
        (None, None) => {
            let why = "there is no inventory yet, and nobody says for which Python it is to be";
            return Err(Failure::new(Exit::Usage, "PT-CHECK-003", why)
                .help("give --python-version, or python-version in [tool.playtrace]"));
        }
    };
    let mut args = place.source.clone();
    if let (false, Some(stored)) = (place.names_rules, &stored) {
        args.coverage_version = stored.coverage.parse()?;
    }
    let sources = Sources::of(&args, project, python)?;
    let roots = place
        .roots
        .iter()
        .map(fs_err::canonicalize)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::new(Exit::BadInput, "PT-CHECK-002", error.to_string()))?;
    let now = inventory_of(
        &sources.read(&roots, &BTreeSet::new())?,
        (python.as_str(), args.coverage_version.as_str()),
    );
    let file_of = |measured: &MeasuredPath| shown(&place.root, &sources.file_of(measured));
    let findings = match &stored {
        Some(stored) => differences(stored, &now, &name, &file_of),
        None => vec![missing(&name)],
    };
    let detail = format!(
        "{name}: {} files, {} symbols, Python {}, rules of coverage.py {}",
        now.totals.files,
        now.symbols.len(),
        now.python,
        now.coverage
    );
    if place.fix && !findings.is_empty() {
        write_document(&place.inventory, &playtrace_report::json::to_json(&now)?)?;
        return Ok((Examined::of(Check::Inventory, Vec::new(), detail), Some(name)));
    }
    Ok((Examined::of(Check::Inventory, findings, detail), None))
}

/// What is said where the tree's roots are not there.
pub(super) fn without_roots() -> (Examined, Option<String>) {
    (Examined::not_checked(Check::Inventory, "a source root is not there"), None)
}

/// The stored inventory; none where there is none and one may be written.
fn stored(place: &Place, name: &str) -> Result<Option<Inventory>, Box<Finding>> {
    if !place.inventory.is_file() {
        return if place.fix { Ok(None) } else { Err(Box::new(missing(name))) };
    }
    let unreadable = |code, why: String| {
        Box::new(Finding::new(code, Kind::Unreadable, why).at(Some(name.to_owned()), None))
    };
    let inventory: Inventory =
        read_json(&place.inventory).map_err(|failure| unreadable(failure.code, failure.message))?;
    inventory.check(name).map_err(|error| unreadable(error.code(), error.to_string()))?;
    Ok(Some(inventory))
}

fn missing(name: &str) -> Finding {
    let why = format!("{name}: there is no symbol inventory; --fix --python-version VERSION writes it");
    Finding::new("PT-CHECK-004", Kind::Missing, why).at(Some(name.to_owned()), None)
}

fn differences(
    stored: &Inventory,
    now: &Inventory,
    name: &str,
    file_of: &dyn Fn(&MeasuredPath) -> String,
) -> Vec<Finding> {
    // Who wrote it does not matter.
    let same =
        (&stored.files, &stored.symbols, &stored.lambdas, &stored.unparsed, &stored.python, &stored.coverage)
            == (&now.files, &now.symbols, &now.lambdas, &now.unparsed, &now.python, &now.coverage);
    if same {
        return Vec::new();
    }
    let difference = InventoryDiff::between(stored, now);
    let (before, after) = (by_id(stored), by_id(now));
    let mut told: BTreeSet<&MeasuredPath> = difference
        .moved
        .iter()
        .filter_map(|entry| before.get(entry.from.as_str()))
        .map(|symbol| &symbol.file)
        .collect();
    let mut findings = Vec::new();
    for (kind, id, message) in sentences(&difference) {
        let Some(symbol) = after.get(id).or_else(|| before.get(id)) else { continue };
        // A module changes with everything in it.
        if symbol.kind == SymbolKind::Module && told.contains(&symbol.file) {
            continue;
        }
        told.insert(&symbol.file);
        // A line of a file as it was once says nothing.
        let line = usize::try_from(symbol.line).ok().filter(|_| kind != Kind::Removed);
        findings.push(Finding::new("PT-CHECK-005", kind, message).at(Some(file_of(&symbol.file)), line));
    }
    let differs = |message: String, file: String| {
        Finding::new("PT-CHECK-006", Kind::Differs, message).at(Some(file), None)
    };
    findings.extend(difference.notes.iter().map(|note| differs(format!("{name}: {note}"), name.to_owned())));
    // Comments between symbols change a file's bytes and no symbol's.
    let files: BTreeMap<_, _> = now.files.iter().map(|file| (&file.path, file)).collect();
    for file in &stored.files {
        if files.get(&file.path).copied() != Some(file) && !told.contains(&file.path) {
            findings.push(differs(format!("{}: not as it was indexed", file.path), file_of(&file.path)));
        }
    }
    if findings.is_empty() {
        let why = format!("{name}: lambdas or the order of entries differ");
        findings.push(differs(why, name.to_owned()));
    }
    findings
}

/// Each difference of a symbol, with the id that names it now; modules come last.
fn sentences(difference: &InventoryDiff) -> Vec<(Kind, &str, String)> {
    let added = difference.added.iter().map(|id| {
        let text = format!("added: {id} is not in the inventory");
        (Kind::Added, id.as_str(), text)
    });
    let removed = difference.removed.iter().map(|id| {
        let text = format!("removed: {id} is in the inventory alone");
        (Kind::Removed, id.as_str(), text)
    });
    let moved = difference.moved.iter().map(|entry| {
        let text = format!("moved: {} is {} in the inventory", entry.to, entry.from);
        (Kind::Moved, entry.to.as_str(), text)
    });
    let mut all: Vec<(Kind, &str, String)> = added.chain(removed).chain(moved).collect();
    for (kind, word, entries) in
        [(Kind::Changed, "changed", &difference.changed), (Kind::Shifted, "shifted", &difference.shifted)]
    {
        all.extend(entries.iter().map(|entry| {
            let ((was, end), (is, last)) = (entry.from, entry.to);
            let text = format!("{word}: {}, lines {was}-{end} in the inventory, {is}-{last} now", entry.id);
            (kind, entry.id.as_str(), text)
        }));
    }
    // An id without a name in the file is a module's.
    all.sort_by_key(|(_, id, _)| !id.contains("::"));
    all
}

fn by_id(inventory: &Inventory) -> BTreeMap<&str, &InventorySymbol> {
    inventory.symbols.iter().map(|symbol| (symbol.id.as_str(), symbol)).collect()
}

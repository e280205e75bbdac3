//! What no profile reaches, and how certain that is.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{MeasuredPath, Status};

use super::known::Known;
use super::{Gap, GapFile, Gaps};
use crate::{Inventory, ProfileReport, SymbolRef};

pub(super) fn gaps(
    reports: &[&ProfileReport],
    from_inventory: bool,
    known: &Known,
    reached: &BTreeMap<String, Vec<String>>,
) -> Gaps {
    let mut uncertain_because: Vec<String> = reports
        .iter()
        .filter(|report| report.status != Status::Complete)
        .map(|report| format!("{} is {} ({})", report.profile, report.status, meaning(report.status)))
        .collect();
    // A line of one version may be another function's in the other one.
    uncertain_because.extend(
        different_versions(reports, None)
            .into_iter()
            .map(|path| format!("reports were made from different versions of {path}")),
    );
    let certain = uncertain_because.is_empty();
    let imported: BTreeSet<&SymbolRef> = reports.iter().flat_map(|report| &report.run_by_import).collect();
    let symbols = known
        .symbols
        .iter()
        .map(|(reference, (symbol, statements))| (reference, known.key(reference), symbol, *statements))
        .filter(|(_, key, _, statements)| *statements > 0 && !reached.contains_key(key))
        .map(|(reference, key, symbol, statements)| Gap {
            key,
            symbol: symbol.clone(),
            statements,
            certain,
            run_by_import: imported.contains(reference),
            traffic: None,
            traffic_routes: Vec::new(),
        })
        .collect();
    let touched: BTreeSet<&MeasuredPath> =
        files(reports).filter(|file| file.is_touched()).map(|file| &file.path).collect();
    let untouched: BTreeMap<&MeasuredPath, usize> = files(reports)
        .map(|file| (&file.path, file.lines_total + file.not_traced_lines.len()))
        .filter(|(path, statements)| !touched.contains(path) && *statements > 0)
        .collect();
    let files = untouched
        .into_iter()
        .map(|(path, statements)| GapFile { path: path.clone(), statements, certain })
        .collect();
    Gaps { certain, uncertain_because, from_inventory, traffic: None, symbols, files }
}

/// What a status means for lines that are not in the data.
const fn meaning(status: Status) -> &'static str {
    match status {
        Status::Complete => "nothing is lost",
        Status::Consistent => "nothing tells what should have arrived",
        Status::Partial => "data, or what would prove it, is lost",
        Status::Failed => "its replay went wrong",
        Status::Stale => "it was measured with another source",
    }
}

pub(super) fn files<'a>(reports: &[&'a ProfileReport]) -> impl Iterator<Item = &'a crate::FileReport> {
    reports.iter().flat_map(|report| &report.files)
}

/// Files of which reports, and the inventory, were made from different versions: they don't fit together, line by line.
pub(super) fn different_versions<'a>(
    reports: &[&'a ProfileReport],
    inventory: Option<&'a Inventory>,
) -> Vec<&'a MeasuredPath> {
    let mut hashes: BTreeMap<&MeasuredPath, BTreeSet<&str>> = BTreeMap::new();
    for file in files(reports) {
        hashes.entry(&file.path).or_default().insert(file.sha256.as_str());
    }
    for file in inventory.into_iter().flat_map(|inventory| &inventory.files) {
        hashes.entry(&file.path).or_default().insert(file.sha256.as_str());
    }
    hashes.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(path, _)| path).collect()
}

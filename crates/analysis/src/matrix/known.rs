//! The symbols of a matrix, and their keys.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{MeasuredPath, SymbolKind};

use super::MatrixSymbol;
use crate::{Inventory, InventorySymbol, ProfileReport, SymbolRef, SymbolReport};

/// The functions and methods of the reports and of the inventory, with their own statements' number.
pub(super) struct Known {
    pub(super) symbols: BTreeMap<SymbolRef, (MatrixSymbol, usize)>,
    /// Names with several definitions.
    ambiguous: BTreeSet<String>,
    /// Names with definitions at the same line of several files.
    shared: BTreeSet<(String, u32)>,
}

impl Known {
    pub(super) fn collect(reports: &[&ProfileReport], inventory: Option<&Inventory>) -> Self {
        let from_reports = reports.iter().flat_map(|report| &report.symbols).map(from_report);
        let from_inventory =
            inventory.into_iter().flat_map(|inventory| &inventory.symbols).map(from_inventory);
        let symbols: BTreeMap<SymbolRef, (MatrixSymbol, usize)> = from_reports
            .chain(from_inventory)
            .filter(|(_, (symbol, _))| matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method))
            .collect();
        let (mut names, mut lines) = (BTreeSet::new(), BTreeSet::new());
        let (mut ambiguous, mut shared) = (BTreeSet::new(), BTreeSet::new());
        for SymbolRef { name, line, .. } in symbols.keys() {
            if !names.insert(name) {
                ambiguous.insert(name.clone());
            }
            if !lines.insert((name, line)) {
                shared.insert((name.clone(), *line));
            }
        }
        Self { symbols, ambiguous, shared }
    }

    pub(super) fn key(&self, reference: &SymbolRef) -> String {
        let SymbolRef { file, line, name } = reference;
        if !self.ambiguous.contains(name) {
            name.clone()
        } else if self.shared.contains(&(name.clone(), *line)) {
            format!("{name}@{file}:{line}")
        } else {
            format!("{name}@{line}")
        }
    }

    /// Keys by file and first line, the first decorator's where there are decorators: so the interpreter names code.
    pub(super) fn by_first_line(&self) -> BTreeMap<(&MeasuredPath, u32), String> {
        self.symbols
            .iter()
            .map(|(reference, (symbol, _))| ((&symbol.file, symbol.line_span.0), self.key(reference)))
            .collect()
    }
}

pub(super) fn symbol_ref(symbol: &SymbolReport) -> SymbolRef {
    SymbolRef { file: symbol.file.clone(), line: symbol.line, name: symbol.name.clone() }
}

fn from_report(symbol: &SymbolReport) -> (SymbolRef, (MatrixSymbol, usize)) {
    let SymbolReport { name, kind, file, line, line_span, lines_total, .. } = symbol;
    entry(name, *kind, file, *line, *line_span, *lines_total)
}

fn from_inventory(symbol: &InventorySymbol) -> (SymbolRef, (MatrixSymbol, usize)) {
    let InventorySymbol { name, kind, file, line, line_span, statements, .. } = symbol;
    entry(name, *kind, file, *line, *line_span, *statements)
}

fn entry(
    name: &str,
    kind: SymbolKind,
    file: &MeasuredPath,
    line: u32,
    line_span: (u32, u32),
    statements: usize,
) -> (SymbolRef, (MatrixSymbol, usize)) {
    let (name, file) = (name.to_owned(), file.clone());
    let reference = SymbolRef { file: file.clone(), line, name: name.clone() };
    (reference, (MatrixSymbol { name, kind, file, line, line_span }, statements))
}

//! Two inventories of one tree: what came, went, moved and changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{Inventory, InventorySymbol};

/// The differences between two inventories. Everything is sorted; ids are [`InventorySymbol::id`]s.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct InventoryDiff {
    /// Symbols that only the new one has.
    pub added: Vec<String>,
    /// Symbols that only the old one has.
    pub removed: Vec<String>,
    /// Symbols whose text is the same and whose id is another.
    pub moved: Vec<Move>,
    /// Symbols whose text changed.
    pub changed: Vec<SpanChange>,
    /// Symbols whose text is the same and stands on other lines.
    pub shifted: Vec<SpanChange>,
    /// What else the inventories disagree on, in sentences.
    pub notes: Vec<String>,
}

/// A symbol under two ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Move {
    /// The old id.
    pub from: String,
    /// The new id.
    pub to: String,
}

/// A symbol's lines before and after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SpanChange {
    /// The symbol.
    pub id: String,
    /// First and last line in the old inventory.
    pub from: (u32, u32),
    /// First and last line in the new one.
    pub to: (u32, u32),
}

impl InventoryDiff {
    /// Compares.
    pub fn between(old: &Inventory, new: &Inventory) -> Self {
        let (before, after) = (by_id(old), by_id(new));
        let mut diff = Self { notes: notes(old, new), ..Self::default() };
        for (id, symbol) in &after {
            let Some(was) = before.get(id) else { continue };
            let change = || SpanChange { id: (*id).to_owned(), from: was.line_span, to: symbol.line_span };
            if (&was.digest, was.statements, &was.details.decorators)
                != (&symbol.digest, symbol.statements, &symbol.details.decorators)
            {
                diff.changed.push(change());
            } else if was.line_span != symbol.line_span {
                diff.shifted.push(change());
            }
        }
        diff.come_and_go(&before, &after);
        diff
    }

    /// Whether the inventories say the same, whichever program wrote them.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn come_and_go(&mut self, before: &ById, after: &ById) {
        let mut gone: BTreeMap<_, Vec<&InventorySymbol>> = BTreeMap::new();
        for (_, symbol) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
            gone.entry((&symbol.digest, symbol.kind)).or_default().push(symbol);
        }
        for (id, symbol) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
            let candidates = gone.get_mut(&(&symbol.digest, symbol.kind)).filter(|left| !left.is_empty());
            match candidates {
                Some(left) => {
                    let last = |id: &str| id.rsplit(['.', ':']).next().map(str::to_owned);
                    // Equal texts are not rare (`pass`): the one of the same name first.
                    let at = left.iter().position(|was| last(&was.id) == last(id)).unwrap_or(0);
                    let was = left.remove(at);
                    self.moved.push(Move { from: was.id.clone(), to: (*id).to_owned() });
                }
                None => self.added.push((*id).to_owned()),
            }
        }
        self.removed.extend(gone.into_values().flatten().map(|symbol| symbol.id.clone()));
        self.removed.sort();
        self.moved.sort();
    }
}

type ById<'a> = BTreeMap<&'a str, &'a InventorySymbol>;

fn by_id(inventory: &Inventory) -> ById<'_> {
    inventory.symbols.iter().map(|symbol| (symbol.id.as_str(), symbol)).collect()
}

fn notes(old: &Inventory, new: &Inventory) -> Vec<String> {
    let mut notes = Vec::new();
    for (what, old, new) in
        [("Python", &old.python, &new.python), ("coverage.py", &old.coverage, &new.coverage)]
    {
        if old != new {
            notes.push(format!("the rules of {what} {old}, now those of {new}"));
        }
    }
    let reasons = |inventory: &Inventory| -> BTreeSet<String> {
        inventory.unparsed.iter().map(|file| file.reason.clone()).collect()
    };
    let (was, is) = (reasons(old), reasons(new));
    notes.extend(was.difference(&is).map(|reason| format!("no longer: {reason}")));
    notes.extend(is.difference(&was).map(|reason| format!("new: {reason}")));
    notes
}

#[cfg(test)]
mod tests {
    use playtrace_model::{MeasuredPath, SymbolDetails, SymbolKind};

    use super::*;
    use crate::InventoryTotals;

    fn inventory(symbols: &[(&str, (u32, u32), &str)]) -> Inventory {
        Inventory {
            format: Inventory::FORMAT.to_owned(),
            version: Inventory::VERSION,
            generator: "test".to_owned(),
            python: "3.12".to_owned(),
            coverage: "7.11".to_owned(),
            totals: InventoryTotals::default(),
            files: Vec::new(),
            symbols: symbols
                .iter()
                .map(|&(id, line_span, digest)| InventorySymbol {
                    id: id.to_owned(),
                    name: id.to_owned(),
                    kind: SymbolKind::Function,
                    file: MeasuredPath::new("a.py"),
                    line: line_span.0,
                    line_span,
                    statements: 1,
                    digest: digest.to_owned(),
                    details: SymbolDetails::default(),
                })
                .collect(),
            lambdas: Vec::new(),
            unparsed: Vec::new(),
        }
    }

    #[test]
    fn equal_inventories_have_no_difference() {
        let one = inventory(&[("a.py::f", (1, 2), "x")]);
        assert!(InventoryDiff::between(&one, &one.clone()).is_empty());
    }

    #[test]
    fn what_came_went_moved_and_changed() {
        let old = inventory(&[
            ("a.py::f", (1, 2), "f"),
            ("a.py::g", (4, 5), "g"),
            ("a.py::h", (7, 8), "h"),
            ("a.py::i", (10, 11), "i"),
        ]);
        let new = inventory(&[
            ("a.py::f", (1, 3), "f2"),
            ("a.py::h", (5, 6), "h"),
            ("b.py::g", (1, 2), "g"),
            ("b.py::new", (4, 5), "n"),
        ]);
        let diff = InventoryDiff::between(&old, &new);
        let span = |id: &str, from, to| SpanChange { id: id.to_owned(), from, to };
        assert_eq!(diff.added, ["b.py::new"]);
        assert_eq!(diff.removed, ["a.py::i"]);
        assert_eq!(diff.moved, [Move { from: "a.py::g".to_owned(), to: "b.py::g".to_owned() }]);
        assert_eq!(diff.changed, [span("a.py::f", (1, 2), (1, 3))]);
        assert_eq!(diff.shifted, [span("a.py::h", (7, 8), (5, 6))]);
    }

    #[test]
    fn other_rules_are_said() {
        let (old, mut new) = (inventory(&[]), inventory(&[]));
        new.python = "3.13".to_owned();
        assert_eq!(InventoryDiff::between(&old, &new).notes, ["the rules of Python 3.12, now those of 3.13"]);
    }
}

//! `from __future__ import` where it may not stand: the parser lets it through, the compiler does not.

use ruff_python_ast::{Stmt, StmtImportFrom, Suite};
use ruff_text_size::{Ranged, TextSize};

/// The features that `from __future__ import` knows (`__future__.all_feature_names`).
const FUTURE_FEATURES: [&str; 10] = [
    "nested_scopes",
    "generators",
    "division",
    "absolute_import",
    "with_statement",
    "print_function",
    "unicode_literals",
    "barry_as_FLUFL",
    "generator_stop",
    "annotations",
];

/// `from __future__ import` stands before everything but the docstring, and names what there is.
pub(crate) fn misplaced(body: &Suite) -> Option<(TextSize, &'static str)> {
    let mut top_is_over = false;
    for (at, stmt) in body.iter().enumerate() {
        match stmt {
            Stmt::ImportFrom(import) if is_future(import) => {
                if let Some(problem) = problem(import, top_is_over) {
                    return Some((stmt.start(), problem));
                }
            }
            Stmt::Expr(first) if at == 0 && first.value.is_string_literal_expr() => {}
            _ => top_is_over = true,
        }
    }
    None
}

/// Whether this is `from __future__ import`.
pub(crate) fn is_future(import: &StmtImportFrom) -> bool {
    import.level == 0 && import.module.as_ref().is_some_and(|module| module.as_str() == "__future__")
}

fn problem(import: &StmtImportFrom, too_late: bool) -> Option<&'static str> {
    let known = import.names.iter().all(|alias| FUTURE_FEATURES.contains(&alias.name.as_str()));
    match (too_late, known) {
        (true, _) => Some("from __future__ imports must occur at the beginning of the file"),
        (false, false) => Some("a future feature that is not defined"),
        (false, true) => None,
    }
}

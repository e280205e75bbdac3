//! The lines of one file, each with its fate.

use std::collections::BTreeMap;

use playtrace_analysis::{FileReport, SymbolReport};
use serde::Serialize;

/// A line on a file's page.
#[derive(Debug, Serialize)]
pub(super) struct SourceLine<'a> {
    number: u32,
    text: &'a str,
    /// `executed`, `missing`, `import`, `excluded`, or empty for a line that is no statement.
    fate: &'static str,
    /// Names of the symbols that begin here: anchors.
    symbols: Vec<&'a str>,
}

/// Pairs the text of a file with the fates of its statements; `symbols` are anchored at their first line.
pub(super) fn lines<'a>(
    file: &FileReport,
    symbols: &[&'a SymbolReport],
    text: &'a str,
) -> Vec<SourceLine<'a>> {
    let fates = [
        ("executed", &file.executed_lines),
        ("missing", &file.missing_lines),
        ("import", &file.import_lines),
        ("excluded", &file.excluded_lines),
    ];
    let by_line: BTreeMap<u32, &'static str> = fates
        .into_iter()
        .rev()
        .flat_map(|(fate, lines)| lines.iter().map(move |&line| (line, fate)))
        .collect();
    text.split_terminator('\n')
        .zip(1u32..)
        .map(|(text, number)| SourceLine {
            number,
            text,
            fate: by_line.get(&number).copied().unwrap_or(""),
            symbols: symbols
                .iter()
                .filter(|symbol| symbol.line_span.0 == number)
                .map(|symbol| symbol.name.as_str())
                .collect(),
        })
        .collect()
}

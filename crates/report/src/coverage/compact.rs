//! JSON of ours that stays small: contexts are numbered once, lines are ranges, regions name their numbers alone.

use std::collections::BTreeMap;

use playtrace_analysis::{CoverageReport, FileCoverage, Numbers};
use playtrace_model::LineBits;
use serde::Serialize;

use super::Origin;
use super::stream::in_order;
use crate::ReportError;
use crate::json::Python;

/// What `format` says.
pub const FORMAT: &str = "playtrace-coverage";
/// The version that is written. The schema is `docs/schema/coverage.schema.json`.
pub const VERSION: u32 = 1;

/// First and last line of each run of neighbours.
type Ranges = Vec<(u32, u32)>;

#[derive(Serialize)]
struct Counts {
    statements: usize,
    executed: usize,
    missing: usize,
    excluded: usize,
    percent: f64,
}

#[derive(Serialize)]
struct File<'a> {
    counts: Counts,
    executed: Ranges,
    missing: Ranges,
    excluded: Ranges,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<BTreeMap<usize, Ranges>>,
    functions: Vec<Region<'a>>,
    classes: Vec<Region<'a>>,
}

#[derive(Serialize)]
struct Region<'a> {
    name: &'a str,
    line: u32,
    #[serde(flatten)]
    counts: Counts,
}

/// Writes the document, piece by piece, to `sink`; with contexts if asked for.
pub fn write<E: From<ReportError>>(
    report: &CoverageReport<'_>,
    show_contexts: bool,
    origin: &Origin,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let style = Python { pretty: false };
    let mut piece = b"{".to_vec();
    let mut first = true;
    let mut field = |piece: &mut Vec<u8>, key: &str| style.key(piece, 0, key, std::mem::take(&mut first));
    field(&mut piece, "format")?;
    style.value(&mut piece, 0, &FORMAT)?;
    field(&mut piece, "version")?;
    style.value(&mut piece, 0, &VERSION)?;
    field(&mut piece, "generator")?;
    style.value(&mut piece, 0, &origin.generator)?;
    field(&mut piece, "timestamp")?;
    style.value(&mut piece, 0, &origin.timestamp)?;
    if show_contexts {
        field(&mut piece, "contexts")?;
        let labels: Vec<&str> = report.contexts.iter().map(|label| label.as_str()).collect();
        style.value(&mut piece, 0, &labels)?;
    }
    field(&mut piece, "totals")?;
    style.value(&mut piece, 0, &counts(report.total()))?;
    field(&mut piece, "files")?;
    piece.push(b'{');
    sink(&piece)?;
    let render = |at: usize, file: &FileCoverage<'_>| {
        let mut piece = if at == 0 { Vec::new() } else { b",".to_vec() };
        // A file a line: it is read by programs, and looked at with text tools.
        piece.push(b'\n');
        style.key(&mut piece, 0, &file.input.name, true)?;
        style.value(&mut piece, 0, &document(file, show_contexts))?;
        Ok(piece)
    };
    in_order(&report.files, render, |piece| sink(&piece))?;
    sink(b"\n}}\n")
}

fn document<'a>(file: &'a FileCoverage<'_>, show_contexts: bool) -> File<'a> {
    let regions = |classes: bool| {
        file.regions(classes)
            .map(|region| Region {
                name: &region.name,
                line: region.start,
                counts: counts(file.numbers_on(&region.lines)),
            })
            .collect()
    };
    let of_contexts =
        || file.input.measured.iter().map(|(context, lines)| (*context, ranges(lines))).collect();
    File {
        counts: counts(file.numbers),
        executed: ranges(&file.executed.intersection(file.statements())),
        missing: ranges(&file.missing),
        excluded: ranges(file.excluded()),
        contexts: show_contexts.then(of_contexts),
        functions: regions(false),
        classes: regions(true),
    }
}

fn counts(numbers: Numbers) -> Counts {
    Counts {
        statements: numbers.statements,
        executed: numbers.executed(),
        missing: numbers.missing,
        excluded: numbers.excluded,
        percent: numbers.percent(),
    }
}

/// The runs of neighbouring lines.
pub(super) fn ranges(lines: &LineBits) -> Ranges {
    let mut ranges: Ranges = Vec::new();
    for line in lines.iter() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => ranges.push((line, line)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range() {
        let lines: LineBits = [1, 2, 3, 7, 9, 10].into_iter().collect();
        assert_eq!(ranges(&lines), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(ranges(&LineBits::new()), []);
    }
}

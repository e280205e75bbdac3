//! LCOV's tracefile, as coverage.py writes it.

use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use md5::{Digest as _, Md5};
use playtrace_analysis::{CoverageReport, Edition, FileCoverage};
use playtrace_model::Region;

use super::python::{printable, splitlines};
use super::stream::in_order;
use crate::ReportError;

/// How the file looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LcovOptions {
    /// Leave out files without statements.
    pub skip_empty: bool,
    /// A checksum of each line's text.
    pub line_checksums: bool,
}

/// Writes the records of all files, piece by piece, to `sink`.
pub fn write<E: From<ReportError>>(
    report: &CoverageReport<'_>,
    options: LcovOptions,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut files: Vec<&FileCoverage<'_>> =
        report.files.iter().filter(|file| !(options.skip_empty && file.numbers.statements == 0)).collect();
    files.sort_by(|a, b| a.input.name.cmp(&b.input.name));
    in_order(&files, |_, file| Ok(record(report.edition, file, options)), |text| sink(text.as_bytes()))
}

fn record(edition: Edition, file: &FileCoverage<'_>, options: LcovOptions) -> String {
    let mut out = format!("SF:{}\n", printable(&file.input.name, edition));
    let text: Vec<&str> =
        if options.line_checksums { splitlines(file.input.text).collect() } else { Vec::new() };
    for line in file.statements().iter() {
        let hit = u8::from(!file.missing.contains(line));
        // Writing to a String can't fail, here and below.
        let _ = write!(out, "DA:{line},{hit}");
        if options.line_checksums {
            let text = text.get(line as usize - 1).copied().unwrap_or("");
            let _ = write!(out, ",{}", STANDARD_NO_PAD.encode(Md5::digest(text)));
        }
        out.push('\n');
    }
    if file.numbers.statements > 0 {
        let _ = writeln!(out, "LF:{}\nLH:{}", file.numbers.statements, file.numbers.executed());
    }
    functions(&mut out, edition, file);
    out.push_str("end_of_record\n");
    out
}

/// A function counts as hit if any of it was executed. 7.17 leaves out those without statements, and tells apart those of one
/// name.
fn functions(out: &mut String, edition: Edition, file: &FileCoverage<'_>) {
    let span = |region: &Region| {
        let mut lines = region.lines.iter();
        let first = lines.next()?;
        let last = lines.last().unwrap_or(first);
        Some((region.start.min(first), region.start.max(last)))
    };
    let mut functions: Vec<(u32, u32, &Region)> = file
        .regions(false)
        .filter_map(|region| span(region).map(|(first, last)| (first, last, region)))
        .collect();
    if functions.is_empty() {
        return;
    }
    functions.sort_by_key(|&(first, last, _)| (first, last));
    let mut names = HashSet::new();
    let (mut found, mut hits) = (0, 0);
    for (first, last, region) in functions {
        let numbers = file.numbers_on(&region.lines);
        let mut name = region.name.clone();
        if edition >= Edition::V7_17 {
            if numbers.statements == 0 {
                continue;
            }
            name = printable(&name, edition).into_owned();
            if !names.insert(name.clone()) {
                name = format!("{name}@{first}");
            }
        }
        let hit = u8::from(numbers.executed() > 0);
        found += 1;
        hits += usize::from(hit);
        let _ = writeln!(out, "FN:{first},{last},{name}\nFNDA:{hit},{name}");
    }
    let _ = writeln!(out, "FNF:{found}\nFNH:{hits}");
}

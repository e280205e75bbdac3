//! coverage.py's JSON, format 3.

use std::collections::HashMap;

use playtrace_analysis::{CoverageReport, Edition, FileCoverage, LineContexts, Narrowed, Numbers};
use playtrace_model::{ContextLabel, LineBits};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::Origin;
use super::python::splitlines;
use super::stream::in_order;
use crate::ReportError;
use crate::json::{Python, apart};

/// How the document looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonOptions {
    /// A field or element a line.
    pub pretty: bool,
    /// The contexts of each line: for each region again, as coverage.py has it. That is large; [`compact`](super::compact) is not.
    pub show_contexts: bool,
}

#[derive(Serialize)]
struct Meta<'a> {
    format: u32,
    version: &'a str,
    timestamp: &'a str,
    branch_coverage: bool,
    show_contexts: bool,
}

#[derive(Serialize)]
struct Summary {
    covered_lines: usize,
    num_statements: usize,
    percent_covered: f64,
    percent_covered_display: String,
    missing_lines: usize,
    excluded_lines: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_statements_covered: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_statements_covered_display: Option<String>,
}

#[derive(Serialize)]
struct File<'a> {
    executed_lines: Lines<'a>,
    summary: Summary,
    missing_lines: Lines<'a>,
    excluded_lines: Lines<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<Contexts<'a>>,
    functions: Pairs<Region<'a>>,
    classes: Pairs<Region<'a>>,
}

#[derive(Serialize)]
struct Region<'a> {
    #[serde(flatten)]
    lines: RegionLines,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<Contexts<'a>>,
}

/// The fields that files and regions share.
struct RegionLines {
    narrowed: Narrowed,
    summary: Summary,
}

impl Serialize for RegionLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("executed_lines", &Lines(&self.narrowed.executed))?;
        map.serialize_entry("summary", &self.summary)?;
        map.serialize_entry("missing_lines", &Lines(&self.narrowed.missing))?;
        map.serialize_entry("excluded_lines", &Lines(&self.narrowed.excluded))?;
        map.end()
    }
}

struct Lines<'a>(&'a LineBits);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

/// An object with its fields in their order.
struct Pairs<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The contexts of lines.
#[derive(Clone, Copy)]
enum Contexts<'a> {
    /// Of those that `within` has, where it says so.
    Some { by_line: &'a LineContexts, labels: &'a [&'a ContextLabel], within: Option<&'a LineBits> },
    /// A file's, for it and for each of its regions: kept apart, as they are larger than all the rest.
    Apart,
}

impl Serialize for Contexts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Apart => apart::leave_out(serializer),
            Self::Some { by_line, labels, within } => {
                let mut map = serializer.serialize_map(None)?;
                for (line, contexts) in by_line.iter() {
                    if within.is_none_or(|within| within.contains(line)) {
                        map.serialize_entry(&line, &Labels { contexts, labels })?;
                    }
                }
                map.end()
            }
        }
    }
}

struct Labels<'a> {
    /// Pairs of the line and the place in `labels`.
    contexts: &'a [(u32, usize)],
    labels: &'a [&'a ContextLabel],
}

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.contexts.len()))?;
        for (_, context) in self.contexts {
            list.serialize_element(self.labels[*context].as_str())?;
        }
        list.end()
    }
}

/// Writes the document, piece by piece, to `sink`.
pub fn write<E: From<ReportError>>(
    report: &CoverageReport<'_>,
    options: JsonOptions,
    origin: &Origin,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let style = Python { pretty: options.pretty };
    let meta = Meta {
        format: 3,
        version: &origin.generator,
        timestamp: &origin.timestamp,
        branch_coverage: false,
        show_contexts: options.show_contexts,
    };
    let mut piece = b"{".to_vec();
    style.key(&mut piece, 1, "meta", true)?;
    style.value(&mut piece, 1, &meta)?;
    style.key(&mut piece, 1, "files", false)?;
    piece.push(b'{');
    sink(&piece)?;
    let render = |at: usize, file: &FileCoverage<'_>| {
        let mut text = Vec::new();
        style.key(&mut text, 2, &file.input.name, at == 0)?;
        let contexts = write_file(&mut text, report, file, options)?;
        Ok((text, contexts))
    };
    in_order(&report.files, render, |(text, contexts)| apart::put_in(&text, &contexts, sink))?;
    let mut piece = Vec::new();
    if !report.files.is_empty() {
        style.new_line(&mut piece, 1);
    }
    piece.push(b'}');
    style.key(&mut piece, 1, "totals", false)?;
    style.value(&mut piece, 1, &summary(report, report.total()))?;
    style.new_line(&mut piece, 0);
    piece.push(b'}');
    sink(&piece)
}

/// Writes a file's results; what is left out in them is returned.
fn write_file(
    out: &mut Vec<u8>,
    report: &CoverageReport<'_>,
    file: &FileCoverage<'_>,
    options: JsonOptions,
) -> Result<Vec<u8>, ReportError> {
    let style = Python { pretty: options.pretty };
    let by_line = if options.show_contexts { file.contexts_by_line() } else { LineContexts::default() };
    let all = Contexts::Some { by_line: &by_line, labels: &report.contexts, within: None };
    // 7.11 repeats a file's contexts in each of its regions; spread over lines they are indented differently there.
    let is_apart = options.show_contexts && !options.pretty && report.edition == Edition::V7_11;
    let mut text = Vec::new();
    if is_apart {
        style.value(&mut text, 0, &all)?;
    }
    let contexts = options.show_contexts.then_some(if is_apart { Contexts::Apart } else { all });
    let count = u32::try_from(splitlines(file.input.text).count()).unwrap_or(u32::MAX);
    let outside = [file.outside(false, count), file.outside(true, count)];
    let of = |lines: &LineBits| {
        let narrowed = file.narrow(lines);
        let summary = summary(report, narrowed.numbers);
        RegionLines { narrowed, summary }
    };
    let regions = |classes: bool| {
        let outside = &outside[usize::from(classes)];
        let mut pairs = Vec::new();
        for (name, start, lines) in named_regions(report.edition, file, classes, outside) {
            let newer = report.edition >= Edition::V7_17;
            let contexts = contexts.map(|contexts| match contexts {
                Contexts::Some { by_line, labels, .. } if newer => {
                    Contexts::Some { by_line, labels, within: Some(lines) }
                }
                other => other,
            });
            pairs.push((name, Region { lines: of(lines), start_line: newer.then_some(start), contexts }));
        }
        Pairs(pairs)
    };
    let document = File {
        executed_lines: Lines(&file.executed),
        summary: summary(report, file.numbers),
        missing_lines: Lines(&file.missing),
        excluded_lines: Lines(file.excluded()),
        contexts,
        functions: regions(false),
        classes: regions(true),
    };
    style.value(out, 2, &document)?;
    Ok(text)
}

/// Name, first line and lines of each region, and under the empty name what lies outside them.
///
/// Names may be there twice. In 7.11 the last one takes the place of the first; in 7.17 the first one with statements
/// keeps the name, and the line is added to the others.
fn named_regions<'a>(
    edition: Edition,
    file: &'a FileCoverage<'_>,
    classes: bool,
    outside: &'a LineBits,
) -> Vec<(String, u32, &'a LineBits)> {
    let mut named: Vec<(String, u32, &LineBits)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut regions: Vec<_> = file.regions(classes).collect();
    let has_statements = |lines: &LineBits| file.statements().common(lines) > 0;
    let mut with_statements: HashMap<&str, bool> = HashMap::new();
    if edition >= Edition::V7_17 {
        regions.sort_by_key(|region| region.start);
        for region in &regions {
            *with_statements.entry(&region.name).or_default() |= has_statements(&region.lines);
        }
    }
    for region in regions {
        let mut name = region.name.clone();
        if edition >= Edition::V7_17 {
            let kept_for_another = with_statements.get(name.as_str()).copied().unwrap_or(false)
                && !has_statements(&region.lines);
            if places.contains_key(&name) || kept_for_another {
                name = format!("{name}@{}", region.start);
            }
        }
        let item = (name.clone(), region.start, &region.lines);
        if let Some(at) = places.get(&name) {
            named[*at] = item;
        } else {
            places.insert(name, named.len());
            named.push(item);
        }
    }
    named.push((String::new(), outside.iter().next().unwrap_or(1), outside));
    named
}

fn summary(report: &CoverageReport<'_>, numbers: Numbers) -> Summary {
    let newer = report.edition >= Edition::V7_17;
    Summary {
        covered_lines: numbers.executed(),
        num_statements: numbers.statements,
        percent_covered: numbers.percent(),
        percent_covered_display: numbers.display(report.precision),
        missing_lines: numbers.missing,
        excluded_lines: numbers.excluded,
        percent_statements_covered: newer.then(|| numbers.percent()),
        percent_statements_covered_display: newer.then(|| numbers.display(report.precision)),
    }
}

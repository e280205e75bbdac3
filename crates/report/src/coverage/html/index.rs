//! The three tables.

use std::fmt::Write as _;

use minijinja::{Value, context};
use playtrace_analysis::Numbers;

use super::super::python::splitlines;
use super::super::summary::Skipped;
use super::{Site, push_escaped};
use crate::ReportError;
use crate::html::{Page, href};

/// What a table lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Files,
    Functions,
    Classes,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Files, Self::Functions, Self::Classes];

    const fn page(self) -> &'static str {
        match self {
            Self::Files => "index.html",
            Self::Functions => "function_index.html",
            Self::Classes => "class_index.html",
        }
    }

    /// One, and several.
    const fn nouns(self) -> (&'static str, &'static str) {
        match self {
            Self::Files => ("file", "files"),
            Self::Functions => ("function", "functions"),
            Self::Classes => ("class", "classes"),
        }
    }
}

/// The rows as HTML, and what they come to.
struct Table {
    rows: String,
    total: Numbers,
    skipped: Skipped,
}

/// The page of one table.
pub(super) fn page(site: &Site<'_>, kind: Kind) -> Result<Page, ReportError> {
    let table = if kind == Kind::Files { files(site) } else { regions(site, kind == Kind::Classes) };
    let precision = site.report.precision;
    let (noun, nouns) = kind.nouns();
    let tabs: Vec<Value> = Kind::ALL
        .into_iter()
        .map(|tab| context! { name => tab.nouns().1, href => tab.page(), here => tab == kind })
        .collect();
    let values = context! {
        title => &site.options.title,
        generator => &site.origin.generator,
        timestamp => &site.origin.timestamp,
        up => "",
        tabs,
        region => if kind == Kind::Files { "" } else { noun },
        rows => Value::from_safe_string(table.rows),
        statements => table.total.statements,
        missing => table.total.missing,
        excluded => table.total.excluded,
        executed => table.total.executed(),
        percent => table.total.display(precision),
        notes => table.skipped.sentences(noun, nouns),
    };
    site.render("index.html", kind.page(), &values)
}

fn files(site: &Site<'_>) -> Table {
    let mut table = Table { rows: String::new(), total: site.report.total(), skipped: Skipped::default() };
    for file in &site.report.files {
        site.options.shown.lists(file.numbers, &mut table.skipped);
    }
    for (file, path) in &site.files {
        row(&mut table.rows, &href(path), &file.input.name, None, file.numbers, site.report.precision);
    }
    table
}

fn regions(site: &Site<'_>, classes: bool) -> Table {
    let mut table = Table { rows: String::new(), total: Numbers::default(), skipped: Skipped::default() };
    for (file, path) in &site.files {
        let link = href(path);
        let count = u32::try_from(splitlines(file.input.text).count()).unwrap_or(u32::MAX);
        let outside = file.outside(classes, count);
        let named = file.regions(classes).map(|region| (Some(region), &region.lines));
        for (region, lines) in named.chain([(None, &outside)]) {
            let numbers = file.numbers_on(lines);
            table.total = table.total + numbers;
            if !site.options.shown.lists(numbers, &mut table.skipped) {
                continue;
            }
            let (link, name) = match region {
                Some(region) => (format!("{link}#L{}", region.start), region.name.as_str()),
                None => (link.clone(), ""),
            };
            row(&mut table.rows, &link, &file.input.name, Some(name), numbers, site.report.precision);
        }
    }
    table
}

/// A row; `region` is the empty text for what lies outside all regions.
fn row(out: &mut String, link: &str, file: &str, region: Option<&str>, numbers: Numbers, precision: usize) {
    out.push_str("<tr>");
    cell(out, link, "", file);
    match region {
        Some("") => cell(out, link, " class=\"dim\"", "(outside)"),
        Some(name) => cell(out, link, "", name),
        None => {}
    }
    // Writing to a String can't fail, here and below.
    let _ = writeln!(
        out,
        "<td>{}</td><td>{}</td><td>{}</td><td data-value=\"{}\">{}%</td></tr>",
        numbers.statements,
        numbers.missing,
        numbers.excluded,
        numbers.percent(),
        numbers.display(precision)
    );
}

fn cell(out: &mut String, link: &str, class: &str, text: &str) {
    let _ = write!(out, "<td><a href=\"{link}\"{class}>");
    push_escaped(out, text);
    out.push_str("</a></td>");
}

//! Pages: one for each file, and an index of files, of functions and of classes.
//!
//! They show the numbers and the lines of coverage.py's pages; how they look is ours. Like the other pages they need no network and no
//! server, and work without JavaScript (only sorting needs it).

mod index;
mod lines;

use std::collections::HashSet;

use minijinja::{AutoEscape, Environment, Value, context};
use playtrace_analysis::{CoverageReport, FileCoverage};
use rayon::prelude::*;

use super::{Origin, Shown};
use crate::ReportError;
use crate::html::{Page, href, page_path};

/// How the pages look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HtmlOptions {
    /// The report's name.
    pub title: String,
    /// What is left out: files without a page, regions without a row.
    pub shown: Shown,
    /// Which contexts executed each line.
    pub show_contexts: bool,
    /// More rules for the style, as CSS.
    pub extra_css: Option<String>,
}

/// What all pages have in common.
struct Site<'a> {
    report: &'a CoverageReport<'a>,
    options: &'a HtmlOptions,
    origin: &'a Origin,
    templates: Environment<'static>,
    /// The files with a page, and where it lies.
    files: Vec<(&'a FileCoverage<'a>, String)>,
}

/// Renders all pages on all cores; `sink` takes each as soon as it is there, in no order.
pub fn pages<'a, E: From<ReportError> + Send>(
    report: &'a CoverageReport<'a>,
    options: &'a HtmlOptions,
    origin: &'a Origin,
    sink: &(impl Fn(&Page) -> Result<(), E> + Sync),
) -> Result<(), E> {
    let site = Site::new(report, options, origin)?;
    let mut style = include_str!("../html/style.css").to_owned();
    style.push_str(include_str!("html/lines.css"));
    style.push_str(options.extra_css.as_deref().unwrap_or(""));
    sink(&Page { path: "style.css".to_owned(), html: style })?;
    for kind in index::Kind::ALL {
        sink(&index::page(&site, kind)?)?;
    }
    site.files
        .par_iter()
        .enumerate()
        .try_for_each(|(at, (file, path))| sink(&site.file_page(at, file, path)?))
}

impl<'a> Site<'a> {
    fn new(
        report: &'a CoverageReport<'a>,
        options: &'a HtmlOptions,
        origin: &'a Origin,
    ) -> Result<Self, ReportError> {
        let mut templates = Environment::new();
        // Every value is escaped, whatever a template is called.
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, text) in [
            ("sort.js", include_str!("../html/sort.js")),
            ("frame.html", include_str!("html/frame.html")),
            ("index.html", include_str!("html/index.html")),
            ("file.html", include_str!("html/file.html")),
        ] {
            templates
                .add_template(name, text)
                .map_err(|source| ReportError::Template { page: name.to_owned(), source })?;
        }
        let mut taken = HashSet::new();
        let mut skipped = super::summary::Skipped::default();
        let files = report
            .files
            .iter()
            .filter(|file| options.shown.lists(file.numbers, &mut skipped))
            .map(|file| {
                let mut path = page_path(&file.input.name);
                // A file outside the root may be called like one below it.
                while !taken.insert(path.clone()) {
                    path.insert(path.len() - ".html".len(), '~');
                }
                (file, path)
            })
            .collect();
        Ok(Self { report, options, origin, templates, files })
    }

    fn file_page(&self, at: usize, file: &FileCoverage<'_>, path: &str) -> Result<Page, ReportError> {
        let up = "../".repeat(path.matches('/').count());
        let link = |at: Option<usize>| {
            at.and_then(|at| self.files.get(at)).map(|(_, path)| format!("{up}{}", href(path)))
        };
        let contexts = self.options.show_contexts.then(|| file.contexts_by_line());
        let body = lines::body(file, contexts.as_ref(), &self.report.contexts);
        let numbers = file.numbers;
        let values = context! {
            title => &self.options.title,
            generator => &self.origin.generator,
            timestamp => &self.origin.timestamp,
            up => &up,
            name => &file.input.name,
            statements => numbers.statements,
            executed => numbers.executed(),
            missing => numbers.missing,
            excluded => numbers.excluded,
            percent => numbers.display(self.report.precision),
            previous => link(at.checked_sub(1)),
            next => link(at.checked_add(1)),
            lines => Value::from_safe_string(body.lines),
            contexts => body.contexts,
        };
        self.render("file.html", path, &values)
    }

    fn render(&self, template: &str, path: &str, values: &Value) -> Result<Page, ReportError> {
        match self.templates.get_template(template).and_then(|template| template.render(values)) {
            Ok(html) => Ok(Page { path: path.to_owned(), html }),
            Err(source) => Err(ReportError::Template { page: path.to_owned(), source }),
        }
    }
}

/// Adds text to HTML.
fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            _ => "&quot;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

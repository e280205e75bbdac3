//! Rendering the pages.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use playtrace_analysis::{FileReport, Measured, ProfileReport, SymbolReport, percent};
use serde::Serialize;

use crate::ReportError;
use crate::text::{LINES_NOT_TRACED, share};

use super::source;

/// A page with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Path below the report's directory, `/` between its parts.
    pub path: String,
    /// The HTML.
    pub html: String,
}

/// Renders the pages of one profile's report.
#[derive(Debug)]
pub struct HtmlReport<'a> {
    report: &'a ProfileReport,
    templates: Environment<'static>,
}

#[derive(Serialize)]
struct FileRow<'a> {
    path: &'a str,
    href: Option<String>,
    covered: usize,
    missing: usize,
    total: usize,
    import: usize,
    /// Functions entered, where lines were not traced.
    entered: usize,
    /// For sorting: files without statements come first.
    share: f64,
    share_text: String,
    stale: bool,
    unverified: bool,
}

#[derive(Serialize)]
struct SymbolRow<'a> {
    name: &'a str,
    kind: &'static str,
    href: String,
    covered: bool,
    executed: usize,
    total: usize,
}

impl<'a> HtmlReport<'a> {
    /// Prepares the pages of `report`.
    pub fn new(report: &'a ProfileReport) -> Result<Self, ReportError> {
        let mut templates = Environment::new();
        // Every value is escaped, whatever a template is called.
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, text) in [
            ("style.css", include_str!("style.css")),
            ("sort.js", include_str!("sort.js")),
            ("layout.html", include_str!("layout.html")),
            ("index.html", include_str!("index.html")),
            ("file.html", include_str!("file.html")),
        ] {
            templates
                .add_template(name, text)
                .map_err(|source| ReportError::Template { page: name.to_owned(), source })?;
        }
        Ok(Self { report, templates })
    }

    /// The page with the summary, the verdict and the table of files.
    pub fn index(&self) -> Result<Page, ReportError> {
        let rows: Vec<FileRow<'_>> = self.report.files.iter().map(file_row).collect();
        let summary = &self.report.summary;
        let share = share(percent(summary.lines_covered, summary.lines_total));
        let (rows, report) = (Value::from(Serde(&rows)), Value::from(Serde(self.report)));
        let lines_not_traced = self.lines_not_traced();
        let values = context! { report, rows, share, lines_not_traced };
        self.render("index.html", "index.html".to_owned(), &values)
    }

    /// What to say instead of numbers of lines, where there are none.
    fn lines_not_traced(&self) -> Option<&'static str> {
        match self.report.measured {
            Measured::Lines => None,
            Measured::Functions => Some(LINES_NOT_TRACED),
        }
    }

    /// The files that get a page: those with an executed statement, or an entered function where lines were not traced.
    pub fn files(&self) -> impl Iterator<Item = &'a FileReport> + use<'a> {
        self.report.files.iter().filter(|file| file.is_touched())
    }

    /// The page of one file, whose text is `text`.
    pub fn file(&self, file: &FileReport, text: &str) -> Result<Page, ReportError> {
        let path = page_path(file.path.as_str());
        let symbols: Vec<&SymbolReport> =
            self.report.symbols.iter().filter(|symbol| symbol.file == file.path).collect();
        let rows: Vec<SymbolRow<'_>> =
            symbols.iter().filter(|symbol| symbol.lines_total > 0).map(|symbol| symbol_row(symbol)).collect();
        let lines = source::lines(file, &symbols, text);
        let up = "../".repeat(path.matches('/').count());
        let share = share(file.coverage_percent);
        let (profile, timestamp) = (&self.report.profile, &self.report.timestamp);
        // Only what the page shows: a whole report for each of its pages would be serialized too often.
        let report = context! { profile, timestamp, status => self.report.status.as_str() };
        let (rows, lines) = (Value::from(Serde(&rows)), Value::from(Serde(&lines)));
        let file = context! {
            path => file.path.as_str(),
            lines_covered => file.lines_covered,
            lines_total => file.lines_total,
            import_lines => file.import_lines.len(),
            functions_entered => file.functions_entered,
        };
        let lines_not_traced = self.lines_not_traced();
        let values = context! { report, file, rows, lines, up, share, lines_not_traced };
        self.render("file.html", path, &values)
    }

    fn render(&self, template: &str, path: String, values: &Value) -> Result<Page, ReportError> {
        match self.templates.get_template(template).and_then(|template| template.render(values)) {
            Ok(html) => Ok(Page { path, html }),
            Err(source) => Err(ReportError::Template { page: path, source }),
        }
    }
}

/// Where a file's page lies. The tree is kept; a part that would lead out of it becomes underscores.
pub(crate) fn page_path(file: &str) -> String {
    let parts: Vec<String> = file
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .map(|part| if part == ".." { "__".to_owned() } else { part.to_owned() })
        .collect();
    format!("files/{}.html", parts.join("/"))
}

/// A path as a relative link: everything but unreserved characters and `/` is percent-encoded.
pub(crate) fn href(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn file_row(file: &FileReport) -> FileRow<'_> {
    FileRow {
        path: file.path.as_str(),
        href: file.is_touched().then(|| href(&page_path(file.path.as_str()))),
        covered: file.lines_covered,
        missing: file.missing_lines.len(),
        total: file.lines_total,
        import: file.import_lines.len(),
        entered: file.functions_entered.unwrap_or(0),
        share: file.coverage_percent.unwrap_or(-1.0),
        share_text: share(file.coverage_percent),
        stale: file.stale,
        unverified: file.unverified,
    }
}

fn symbol_row(symbol: &SymbolReport) -> SymbolRow<'_> {
    SymbolRow {
        name: &symbol.name,
        kind: symbol.kind.as_str(),
        href: format!("#L{}", symbol.line_span.0),
        covered: symbol.covered,
        executed: symbol.executed_lines.len(),
        total: symbol.lines_total,
    }
}

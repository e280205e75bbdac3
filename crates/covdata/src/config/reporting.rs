//! How coverage.py's reports are to look.

use super::source::Entry;
use crate::CovdataError;
use crate::config::Environment;

/// The options of reports, with coverage.py's defaults. What a report shows of *lines* and *files* is not here.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are coverage.py's switches")]
pub struct Reporting {
    /// `[report] fail_under`: the total, in percent, below which a report fails; 0 never does.
    pub fail_under: f64,
    /// `[report] format`: of the text report.
    pub format: Option<String>,
    /// `[report] ignore_errors`: sources that can't be read or parsed are left out.
    pub ignore_errors: bool,
    /// `[report] precision`: digits behind the point.
    pub precision: usize,
    /// `[report] contexts`: Python regular expressions, searched in the labels of contexts.
    pub contexts: Vec<String>,
    /// `[report] show_missing`.
    pub show_missing: bool,
    /// `[report] skip_covered`.
    pub skip_covered: bool,
    /// `[report] skip_empty`.
    pub skip_empty: bool,
    /// `[report] sort`.
    pub sort: Option<String>,
    /// `[html] directory`.
    pub html_directory: String,
    /// `[html] extra_css`.
    pub html_extra_css: Option<String>,
    /// `[html] title`.
    pub html_title: String,
    /// `[html] show_contexts`.
    pub html_show_contexts: bool,
    /// `[html] skip_covered`; `None` means as `[report]` says.
    pub html_skip_covered: Option<bool>,
    /// `[html] skip_empty`; `None` means as `[report]` says.
    pub html_skip_empty: Option<bool>,
    /// `[xml] output`.
    pub xml_output: String,
    /// `[xml] package_depth`: how many directories make a package's name.
    pub xml_package_depth: usize,
    /// `[json] output`.
    pub json_output: String,
    /// `[json] pretty_print`.
    pub json_pretty_print: bool,
    /// `[json] show_contexts`.
    pub json_show_contexts: bool,
    /// `[lcov] output`.
    pub lcov_output: String,
    /// `[lcov] line_checksums`.
    pub lcov_line_checksums: bool,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            fail_under: 0.0,
            format: None,
            ignore_errors: false,
            precision: 0,
            contexts: Vec::new(),
            show_missing: false,
            skip_covered: false,
            skip_empty: false,
            sort: None,
            html_directory: "htmlcov".to_owned(),
            html_extra_css: None,
            html_title: "Coverage report".to_owned(),
            html_show_contexts: false,
            html_skip_covered: None,
            html_skip_empty: None,
            xml_output: "coverage.xml".to_owned(),
            xml_package_depth: 99,
            json_output: "coverage.json".to_owned(),
            json_pretty_print: false,
            json_show_contexts: false,
            lcov_output: "coverage.lcov".to_owned(),
            lcov_line_checksums: false,
        }
    }
}

impl Reporting {
    /// Takes one option in; says whether it is one of these.
    pub(super) fn set(
        &mut self,
        entry: &Entry<'_>,
        environment: Environment<'_>,
    ) -> Result<bool, CovdataError> {
        match (entry.section.as_str(), entry.key.as_str()) {
            ("report", "fail_under") => self.fail_under = entry.float(environment)?,
            ("report", "format") => self.format = Some(entry.text(environment)?),
            ("report", "ignore_errors") => self.ignore_errors = entry.boolean(environment)?,
            ("report", "precision") => self.precision = entry.count(environment)?,
            ("report", "contexts") => self.contexts = entry.list(environment)?,
            ("report", "show_missing") => self.show_missing = entry.boolean(environment)?,
            ("report", "skip_covered") => self.skip_covered = entry.boolean(environment)?,
            ("report", "skip_empty") => self.skip_empty = entry.boolean(environment)?,
            ("report", "sort") => self.sort = Some(entry.text(environment)?),
            ("html", "directory") => self.html_directory = entry.file(environment)?,
            ("html", "extra_css") => self.html_extra_css = Some(entry.text(environment)?),
            ("html", "title") => self.html_title = entry.text(environment)?,
            ("html", "show_contexts") => self.html_show_contexts = entry.boolean(environment)?,
            ("html", "skip_covered") => self.html_skip_covered = Some(entry.boolean(environment)?),
            ("html", "skip_empty") => self.html_skip_empty = Some(entry.boolean(environment)?),
            ("xml", "output") => self.xml_output = entry.file(environment)?,
            ("xml", "package_depth") => self.xml_package_depth = entry.count(environment)?,
            ("json", "output") => self.json_output = entry.file(environment)?,
            ("json", "pretty_print") => self.json_pretty_print = entry.boolean(environment)?,
            ("json", "show_contexts") => self.json_show_contexts = entry.boolean(environment)?,
            ("lcov", "output") => self.lcov_output = entry.file(environment)?,
            ("lcov", "line_checksums") => self.lcov_line_checksums = entry.boolean(environment)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

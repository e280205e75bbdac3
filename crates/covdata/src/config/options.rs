//! Which options there are, and what they do here.

use super::source::{Entry, home};
use super::{ConfiguredRegex, CoverageConfig, Notice, values};
use crate::CovdataError;
use crate::config::Environment;

/// Options of coverage.py that can't have their effect here, and why.
const WITHOUT_EFFECT: [(&str, &str, &str); 10] = [
    ("run", "command_line", "it is for `coverage run`"),
    ("run", "concurrency", "threads, greenlets and processes are followed without being named"),
    ("run", "core", "the tracer is playtrace's own"),
    ("run", "dynamic_context", "contexts name profiles: profile:<slug>"),
    ("run", "patch", "child processes are followed without patches"),
    ("run", "plugins", "coverage.py's plug-ins run only inside coverage.py"),
    ("run", "sigterm", "data is written when a unit of work ends, whatever ends the process"),
    ("run", "timid", "there is one tracer"),
    ("run", "debug", "it is for coverage.py itself; see the logger playtrace_agent"),
    ("run", "debug_file", "it is for coverage.py itself; see the logger playtrace_agent"),
];

/// Options of `[run]` that are for coverage.py's own warnings: nobody expects them to count here.
const ELSEWHERE: [&str; 2] = ["disable_warnings", "_crash"];

/// The sections that are coverage.py's own. Another one is a plug-in's, or another program's.
pub(super) const SECTIONS: [&str; 6] = ["run", "report", "html", "xml", "json", "lcov"];

impl CoverageConfig {
    /// Takes one option in; says whether coverage.py knows it.
    pub(super) fn set(
        &mut self,
        entry: &Entry<'_>,
        environment: Environment<'_>,
    ) -> Result<bool, CovdataError> {
        let (section, key) = (entry.section.as_str(), entry.key.as_str());
        match (section, key) {
            ("run", "branch") => {
                self.branch = entry.boolean(environment)?;
                if self.branch {
                    self.notice(entry, "playtrace measures lines; branches are left out");
                }
            }
            ("run", "parallel") => {
                self.parallel = entry.boolean(environment)?;
                if !self.parallel {
                    self.notice(entry, "each process always writes a file of its own");
                }
            }
            ("run", "context") => self.context = Some(entry.text(environment)?),
            ("run", "data_file") => self.data_file = entry.file(environment)?,
            ("run", "relative_files") => self.relative_files = entry.boolean(environment)?,
            ("run", "cover_pylib") => self.cover_pylib = entry.boolean(environment)?,
            ("run", "source") => self.source = entry.list(environment)?,
            ("run", "source_pkgs") => self.source_pkgs = entry.list(environment)?,
            ("run", "source_dirs") => self.source_dirs = entry.list(environment)?,
            ("run", "include") => self.run_include = entry.list(environment)?,
            ("run", "omit") => self.run_omit = entry.list(environment)?,
            ("report", "exclude_lines") => {
                // exclude_also may have come first: it adds to whatever stands here.
                let also = self.exclude.split_off(super::DEFAULT_EXCLUDE.len());
                self.exclude = self.regexes_of(entry, environment)?;
                self.exclude.extend(also);
            }
            ("report", "exclude_also") => {
                let also = self.regexes_of(entry, environment)?;
                self.exclude.extend(also);
            }
            ("report", "partial_branches") => {
                let also = self.partial.split_off(super::DEFAULT_PARTIAL.len());
                self.partial = self.regexes_of(entry, environment)?;
                self.partial.extend(also);
            }
            ("report", "partial_also") => {
                let also = self.regexes_of(entry, environment)?;
                self.partial.extend(also);
            }
            ("report", "partial_branches_always") => {
                self.partial_always = self.regexes_of(entry, environment)?;
            }
            ("report", "include") => self.report_include = entry.list(environment)?,
            ("report", "omit") => self.report_omit = entry.list(environment)?,
            ("report", "include_namespace_packages") => {
                self.include_namespace_packages = entry.boolean(environment)?;
            }
            ("paths", name) => {
                let list = entry.list(environment)?.iter().map(|path| home(path, environment)).collect();
                self.paths.push((name.to_owned(), list));
            }
            _ if self.reporting.set(entry, environment)? => {}
            _ => {
                // What has no effect here may still be wrong.
                if let Some(why) = values::check(entry, environment)? {
                    self.notice(entry, &why);
                    if let Some(notice) = self.notices.last_mut() {
                        notice.is_unknown = true;
                    }
                    return Ok(true);
                }
                return Ok(self.without_effect(entry));
            }
        }
        Ok(true)
    }

    /// An option's regular expressions; where they stand is kept for who knows what is wrong with one.
    fn regexes_of(
        &mut self,
        entry: &Entry<'_>,
        environment: Environment<'_>,
    ) -> Result<Vec<String>, CovdataError> {
        let regexes = entry.lines(environment)?;
        self.regexes.extend(regexes.iter().map(|regex| ConfiguredRegex {
            key: format!("[{}] {}", entry.section, entry.key),
            path: entry.path.to_owned(),
            line: entry.line,
            regex: regex.clone(),
        }));
        Ok(regexes)
    }

    fn without_effect(&mut self, entry: &Entry<'_>) -> bool {
        let (section, key) = (entry.section.as_str(), entry.key.as_str());
        if let Some((.., why)) = WITHOUT_EFFECT.iter().find(|(s, k, _)| (*s, *k) == (section, key)) {
            self.notice(entry, why);
            return true;
        }
        if section == "run" && ELSEWHERE.contains(&key) {
            return true;
        }
        if SECTIONS.contains(&section) {
            self.notice(entry, "coverage.py has no such option");
            if let Some(notice) = self.notices.last_mut() {
                notice.is_unknown = true;
            }
        }
        false
    }

    fn notice(&mut self, entry: &Entry<'_>, why: &str) {
        self.notices.push(Notice {
            key: format!("[{}] {}", entry.section, entry.key),
            why: why.to_owned(),
            is_unknown: false,
            path: entry.path.to_owned(),
            line: entry.line,
        });
    }

    /// What only the whole configuration tells.
    pub(super) fn finish(&mut self, entries: &[Entry<'_>]) {
        let sources = [&self.source, &self.source_pkgs, &self.source_dirs];
        if sources.iter().any(|list| !list.is_empty())
            && let Some(entry) = entries.iter().find(|entry| entry.section == "run" && entry.key == "include")
        {
            self.notice(entry, "it has no effect where there is a source");
        }
    }
}

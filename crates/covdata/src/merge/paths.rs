//! `[paths]`: one name for one source file, wherever it was measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use playtrace_model::MeasuredPath;
use regex::Regex;

use crate::config::Release;
use crate::location::{absolute, is_absolute, separator};
use crate::{CovdataError, glob};

/// Rules that rename measured files, in the order in which they are tried.
///
/// A rule's pattern stands for a source tree's root elsewhere, its result for the root here; a rule counts
/// only where the renamed file exists. With `relative`, what is measured under relative names brings a rule
/// of its own for each first directory (`app/x.py`: anything that ends in `app/x.py`).
#[derive(Debug, Clone, Default)]
pub struct PathMap {
    rules: Vec<Rule>,
    relative: bool,
    root: PathBuf,
    release: Release,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    regex: Regex,
    result: String,
}

impl PathMap {
    /// From the lists of `[paths]`: in each, the first path is the result, the others are patterns.
    /// `root` is what relative paths are relative to, `release` the coverage.py whose rules hold.
    pub fn new<'a>(
        lists: impl IntoIterator<Item = &'a [String]>,
        relative: bool,
        root: &Path,
        release: Release,
    ) -> Result<Self, CovdataError> {
        let mut map = Self { rules: Vec::new(), relative, root: root.to_owned(), release };
        for list in lists {
            if let [result, patterns @ ..] = list {
                for pattern in patterns {
                    map.add(pattern, result)?;
                }
            }
        }
        Ok(map)
    }

    fn add(&mut self, original: &str, result: &str) -> Result<(), CovdataError> {
        let sep = separator(original);
        let mut pattern = original;
        if pattern.len() > 1 {
            pattern = pattern.trim_end_matches(['/', '\\']);
        }
        if pattern.ends_with('*') {
            // It would stand for everything in a tree instead of its root.
            return Err(CovdataError::Pattern {
                pattern: original.to_owned(),
                part: "* at its end".to_owned(),
            });
        }
        let mut pattern = pattern.to_owned();
        if !self.relative && !pattern.starts_with('*') && !is_absolute(&format!("{pattern}{sep}")) {
            pattern = absolute(&self.root, &pattern);
        }
        if !pattern.ends_with(sep) {
            pattern.push(sep);
        }
        let regex = glob::prefix(&pattern)?;
        if self.release.refuses_wildcard_results() && result.contains(['*', '?']) {
            return Err(CovdataError::Pattern {
                pattern: result.to_owned(),
                part: "a wildcard in the path that others are renamed to".to_owned(),
            });
        }
        let result = format!("{}{}", result.trim_end_matches(['/', '\\']), separator(result));
        self.rules.push(Rule { pattern: original.to_owned(), regex, result });
        Ok(())
    }

    /// The name of `path` by one rule, if the rule fits.
    fn apply(&self, rule: &Rule, path: &str) -> Option<String> {
        let found = rule.regex.find(path)?;
        let times = if self.release.renames_once() { 1 } else { usize::MAX };
        let mut new = path.replacen(found.as_str(), &rule.result, times);
        new = new.replace(separator(path), &separator(&rule.result).to_string());
        if !self.relative {
            new = absolute(&self.root, &new);
        }
        let dotted =
            rule.result.len() > 2 && (rule.result.starts_with("./") || rule.result.starts_with(".\\"));
        if !dotted && (new.starts_with("./") || new.starts_with(".\\")) {
            new.drain(..2);
        }
        Some(new)
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Adds the rules that relative names bring.
    fn extend(&mut self, paths: &BTreeSet<&str>) {
        if !self.relative {
            return;
        }
        let first_dirs: BTreeSet<&str> = paths
            .iter()
            .filter(|path| !is_absolute(path))
            .filter_map(|path| path.split_once(['/', '\\']).map(|(first, _)| first))
            .collect();
        for dir in first_dirs {
            let pattern = format!("*/{dir}");
            if self.rules.iter().any(|rule| rule.pattern == pattern) {
                continue;
            }
            // The text is escaped, so that it is a regular expression.
            if let Ok(regex) = Regex::new(&format!(r"^(?:.*[\\/])?{}[\\/]", regex::escape(dir))) {
                self.rules.push(Rule { pattern, regex, result: format!("{dir}/") });
            }
        }
    }
}

/// The new names of all measured files of a merge.
///
/// Rules of relative names are made from all of them before the first is renamed, so that the result
/// does not depend on the order of the inputs.
#[derive(Debug)]
pub(super) struct Mapping {
    names: BTreeMap<MeasuredPath, MeasuredPath>,
    pub(super) unmapped: Vec<(MeasuredPath, String)>,
}

impl Mapping {
    pub(super) fn new<'a>(map: &PathMap, files: impl Iterator<Item = &'a MeasuredPath>) -> Self {
        let mut mapping = Self { names: BTreeMap::new(), unmapped: Vec::new() };
        if map.rules.is_empty() && !map.relative && !map.release.uses_local_separators() {
            return mapping;
        }
        let mut map = map.clone();
        let files: BTreeSet<&MeasuredPath> = files.collect();
        let root = format!("{}/", map.root.display());
        let shortened = |path: &'a MeasuredPath| {
            let text = path.as_str();
            if map.relative { text.strip_prefix(&root).unwrap_or(text) } else { text }
        };
        let relative: BTreeSet<&str> = files.iter().map(|path| shortened(path)).collect();
        let names: Vec<(&MeasuredPath, &str)> =
            files.into_iter().map(|path| (path, shortened(path))).collect();
        let written = map.rules.len();
        map.extend(&relative);
        for (path, short) in names {
            let mut missing = None;
            let mut new = None;
            for (index, rule) in map.rules.iter().enumerate() {
                // Written rules see the name as it stands, those of relative names the shortened one.
                let text = if index < written { path.as_str() } else { short };
                let Some(candidate) = map.apply(rule, text) else { continue };
                if map.exists(&candidate) {
                    new = Some(candidate);
                    break;
                }
                if index < written {
                    missing.get_or_insert(candidate);
                }
            }
            if let (None, Some(candidate)) = (&new, missing) {
                mapping.unmapped.push((path.clone(), candidate));
            }
            let mut new = new.unwrap_or_else(|| short.to_owned());
            if map.release.uses_local_separators() {
                new = new.replace(['/', '\\'], std::path::MAIN_SEPARATOR_STR);
            }
            if new != path.as_str() {
                mapping.names.insert(path.clone(), MeasuredPath::new(new));
            }
        }
        mapping
    }

    pub(super) fn get<'a>(&'a self, path: &'a MeasuredPath) -> &'a MeasuredPath {
        self.names.get(path).unwrap_or(path)
    }
}

/// The new names of measured files.
#[doc(hidden)]
pub fn remapped(map: &PathMap, paths: &[&str]) -> Vec<String> {
    let paths: Vec<MeasuredPath> = paths.iter().map(|path| MeasuredPath::new(*path)).collect();
    let mapping = Mapping::new(map, paths.iter());
    paths.iter().map(|path| mapping.get(path).to_string()).collect()
}

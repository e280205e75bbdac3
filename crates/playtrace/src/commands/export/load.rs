//! The data, and the sources that it is of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use playtrace_analysis::{Edition, FileCoverage, FileInput};
use playtrace_covdata::CoverageData;
use playtrace_covdata::data::{Measured, Ownership};
use playtrace_covdata::merge::{MergeOptions, PathMap, merge};
use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, Status};
use playtrace_pysource::{SearchPatterns, SourceTree};
use rayon::prelude::*;

use super::settings::Settings;
use crate::exit::Exit;
use crate::finish::VerdictFile;
use crate::messages::{Failure, note};
use crate::sources::{Project, Sources};

/// How many files an error names.
const NAMED: usize = 5;

/// What is reported of a data file.
pub(super) struct Data {
    files: BTreeSet<MeasuredPath>,
    lines: LineData,
    tracers: BTreeMap<MeasuredPath, String>,
    /// The contexts that count, sorted.
    contexts: Vec<ContextLabel>,
}

impl Data {
    /// Reads it; where the configuration has `[paths]`, names are remapped by them.
    pub(super) fn read(path: &Path, project: &Project, settings: &Settings) -> Result<Self, Failure> {
        let data = if project.config.paths.is_empty() {
            CoverageData::read(path)?
        } else {
            remapped(path, project)?
        };
        if matches!(data.measured, Measured::Arcs(_)) {
            note(&format!("{} holds branches; its lines are reported", path.display()));
        }
        let CoverageData { files, measured, tracers, .. } = data;
        let lines = match measured {
            Measured::Nothing => LineData::new(),
            Measured::Lines(lines) => lines,
            Measured::Arcs(arcs) => arcs.to_lines(),
        };
        if settings.show_contexts() && lines.contexts().all(|label| label.as_str().is_empty()) {
            note("the data has no contexts");
        }
        let patterns = SearchPatterns::new(&settings.contexts)?;
        let counts = |label: &ContextLabel| {
            if settings.contexts.is_empty() { Ok(true) } else { patterns.found_in(label.as_str()) }
        };
        let mut contexts = Vec::new();
        for label in lines.contexts() {
            if counts(label)? {
                contexts.push(label.clone());
            }
        }
        Ok(Self { files, lines, tracers, contexts })
    }

    /// The contexts that count.
    pub(super) fn contexts(&self) -> Vec<&ContextLabel> {
        self.contexts.iter().collect()
    }

    /// The lines of each file by the places of their contexts.
    fn by_file(&self) -> BTreeMap<&MeasuredPath, Vec<(usize, &LineBits)>> {
        let mut by_file: BTreeMap<&MeasuredPath, Vec<(usize, &LineBits)>> = BTreeMap::new();
        for (at, label) in self.contexts.iter().enumerate() {
            for (path, lines) in self.lines.context(label).into_iter().flatten() {
                if !lines.is_empty() {
                    by_file.entry(path).or_default().push((at, lines));
                }
            }
        }
        by_file
    }
}

fn remapped(path: &Path, project: &Project) -> Result<CoverageData, Failure> {
    let lists = project.config.paths.iter().map(|(_, list)| list.as_slice());
    let root = fs_err::canonicalize(&project.root)
        .map_err(|error| Failure::new(Exit::Io, "PT-MAPS-001", error.to_string()))?;
    let paths = PathMap::new(lists, project.config.relative_files, &root, project.release)?;
    let mut outcome = merge(&[path.to_owned()], &MergeOptions { paths, ..MergeOptions::default() })?;
    match outcome.problems.pop() {
        Some((_, error)) => Err(error.into()),
        None => Ok(outcome.data),
    }
}

/// The sources of the files that are reported.
pub(super) struct Files(SourceTree);

impl Files {
    /// Reads and analyses them. What can't be reported is an error, or, where errors are ignored, said.
    pub(super) fn read(
        data: &Data,
        sources: &Sources,
        verdict: Option<&VerdictFile>,
        path: &Path,
        ignore_errors: bool,
    ) -> Result<Self, Failure> {
        let reported: Vec<_> = data.files.iter().filter(|file| sources.is_reported(file)).collect();
        if reported.is_empty() {
            let message = format!("{}: there is no data to report", path.display());
            return Err(Failure::new(Exit::BadInput, "PT-EXPORT-001", message)
                .help("look at include and omit, of the command line and of the configuration"));
        }
        let (here, gone): (Vec<_>, Vec<_>) = reported
            .into_iter()
            .map(|name| (name.clone(), sources.file_of(name)))
            .partition(|(_, file)| file.is_file());
        let gone: Vec<String> = gone.iter().map(|(_, file)| file.display().to_string()).collect();
        GONE.of(&gone, ignore_errors)?;
        let mut tree = sources.analyze(&here)?;
        let (python, other): (Vec<_>, Vec<_>) =
            tree.unparsed.drain(..).partition(|file| should_be_python(file.path.as_str()));
        for file in other {
            let by =
                data.tracers.get(&file.path).map_or(String::new(), |name| format!(" (measured by {name})"));
            note(&format!("{} is left out: it is no Python{by}", file.path));
        }
        let python: Vec<String> = python.into_iter().map(|file| file.reason).collect();
        NOT_PYTHON.of(&python, ignore_errors)?;
        let stale = stale(&tree, verdict, path)?;
        let differing: Vec<String> = stale.iter().map(ToString::to_string).collect();
        DIFFERS.of(&differing, ignore_errors)?;
        tree.files.retain(|name, _| !stale.contains(name));
        Ok(Self(tree))
    }

    /// The results of all files, in the order of their names.
    pub(super) fn coverage<'a>(
        &'a self,
        data: &'a Data,
        project: &Project,
        sources: &Sources,
        settings: &Settings,
        edition: Edition,
    ) -> Vec<FileCoverage<'a>> {
        let by_file = data.by_file();
        let root = format!("{}/", sources.root().display());
        self.0
            .files
            .par_iter()
            .map(|(measured, file)| {
                let filename = if project.config.relative_files {
                    measured.to_string()
                } else {
                    sources.file_of(measured).to_string_lossy().into_owned()
                };
                let name = filename.strip_prefix(&root).unwrap_or(&filename).to_owned();
                let input = FileInput {
                    name,
                    filename,
                    text: file.text.as_str(),
                    source: &file.source,
                    regions: if settings.shows_regions() { file.regions() } else { Vec::new() },
                    measured: by_file.get(measured).cloned().unwrap_or_default(),
                };
                FileCoverage::new(input, edition)
            })
            .collect()
    }
}

/// Sources that can't be reported: an error, unless they are to be left out.
struct Problem {
    code: &'static str,
    what: &'static str,
    advice: &'static str,
}

const GONE: Problem = Problem {
    code: "PT-EXPORT-002",
    what: "no source for",
    advice: "say with --source where the measured source lies, or leave such files out with --ignore-errors",
};
const NOT_PYTHON: Problem = Problem {
    code: "PT-EXPORT-003",
    what: "not Python:",
    advice: "give the --python-version that ran it, or leave such files out with --ignore-errors",
};
const DIFFERS: Problem = Problem {
    code: "PT-EXPORT-004",
    what: "the source differs from what was measured:",
    advice: "check out what ran, or leave such files out with --ignore-errors",
};

impl Problem {
    /// Says of which files this is so, if there are any.
    fn of(&self, files: &[String], ignored: bool) -> Result<(), Failure> {
        if ignored {
            for file in files {
                note(&format!("left out: {} {file}", self.what));
            }
            return Ok(());
        }
        if files.is_empty() {
            return Ok(());
        }
        let named = files[..files.len().min(NAMED)].join("; ");
        let more = files.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        Err(Failure::new(Exit::BadInput, self.code, format!("{} {named}{more}", self.what)).help(self.advice))
    }
}

/// The files whose content is not what ran, as far as the verdict beside the data tells. Data of other programs has none.
fn stale(
    tree: &SourceTree,
    verdict: Option<&VerdictFile>,
    path: &Path,
) -> Result<BTreeSet<MeasuredPath>, Failure> {
    let Some(verdict) = verdict else { return Ok(BTreeSet::new()) };
    let of = Ownership::read(path)?.run;
    let doubt = verdict.doubt(path, of.as_ref()).map_err(|error| {
        Failure::new(Exit::Io, "PT-MAPS-001", error.to_string()).help("check the path and its permissions")
    })?;
    if let Some(why) = doubt {
        note(&format!("{}: {why}; nothing says whether the sources are those that ran", path.display()));
        return Ok(BTreeSet::new());
    }
    let status = verdict.verdict.status;
    if status != Status::Complete {
        note(&format!(
            "{}: the verdict is {status}: a line that is missing here is no proof that it did not run",
            path.display()
        ));
    }
    let differs = |name: &MeasuredPath, hash| {
        verdict.mixed_sources.contains(name) || verdict.sources.get(name).is_some_and(|known| known != hash)
    };
    let stale = tree.files.iter().filter(|(name, file)| differs(name, &file.source.hash));
    Ok(stale.map(|(name, _)| name.clone()).collect())
}

/// Whether a file's name promises Python, as coverage.py sees it.
fn should_be_python(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    match Path::new(file).extension() {
        Some(ending) => ending.to_string_lossy().starts_with("py"),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_promise_python() {
        for (name, expected) in
            [("a/b.py", true), ("a.d/b", true), ("b.pyw", true), ("a/t.html", false), ("x.py/t.txt", false)]
        {
            assert_eq!(should_be_python(name), expected, "{name}");
        }
    }
}

//! A night's maps: reports, inventory, matrix, gaps, and all data in one file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_analysis::{RunSteps, TrafficRecord, build_matrix};
use playtrace_covdata::CoverageData;
use playtrace_covdata::merge::{Fate, MergeOptions, merge_files, write_merged};
use playtrace_model::{MeasuredPath, Slug, Status};
use playtrace_pysource::PythonVersion;

use crate::commands::index::inventory_of;
use crate::commands::report::{Input, report_of, write_html};
use crate::documents::{read_json, unwritable};
use crate::finish::{VerdictFile, steps_path_of};
use crate::messages::Failure;
use crate::nightly::bundle::Totals;
use crate::sources::{SourceArgs, Sources};

/// Data of an entry.
#[derive(Debug)]
pub(super) struct MapInput {
    /// What its files are called.
    pub(super) name: Slug,
    /// The slug under which it was traced.
    pub(super) profile: Slug,
    /// The data, with verdict and steps beside it.
    pub(super) data: PathBuf,
    /// Why it does not show this night, if so.
    pub(super) stale: Option<String>,
}

/// What came out besides files.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) totals: Option<Totals>,
    pub(super) notes: Vec<String>,
}

/// Writes the maps of the inputs into `dir`; without inputs there are none.
pub(super) fn make(
    inputs: &[MapInput],
    source: &SourceArgs,
    python: Option<PythonVersion>,
    prefix: &str,
    (as_of, full): (Timestamp, bool),
    traffic: &TrafficRecord,
    dir: &Path,
) -> Result<Made, Failure> {
    let mut made = Made::default();
    if inputs.is_empty() {
        return Ok(made);
    }
    let python = match python {
        Some(python) => python,
        None => python_of(inputs, &mut made.notes)?,
    };
    let sources = Sources::open(source, python)?;
    let read = inputs
        .iter()
        .map(|input| {
            let (slug, profile, path) = (input.name.clone(), input.profile.clone(), input.data.clone());
            let lines = CoverageData::read(&path)?.lines().into_owned();
            Ok(Input { slug, profile, path, lines })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let measured: BTreeSet<MeasuredPath> =
        read.iter().flat_map(|input| input.lines.iter().map(|(_, path, _)| path.clone())).collect();
    let tree = sources.read(&[], &measured)?;
    let (mut reports, mut steps) = (Vec::new(), Vec::new());
    for (input, of) in read.iter().zip(inputs) {
        let mut report = report_of(input, &sources, &tree, prefix, &as_of)?;
        if let Some(why) = &of.stale {
            report.status = report.status.max(Status::Stale);
            report.reasons.push(why.clone());
        }
        let name = format!("{}.json", of.name);
        put(&dir.join("reports").join(&name), &playtrace_report::json::to_json(&report)?)?;
        if full {
            write_html(&report, &tree, &dir.join("reports"), &of.name)?;
        }
        let path = steps_path_of(&of.data);
        if path.is_file() {
            let entered: RunSteps = read_json(&path)?;
            steps.push((
                format!("{}.steps.json", of.name),
                RunSteps { profile: of.name.to_string(), ..entered },
            ));
        }
        reports.push((name, report));
    }
    let inventory = inventory_of(&tree, (python.as_str(), source.coverage_version.as_str()));
    put(&dir.join("coverage-symbols.json"), &playtrace_report::json::to_json(&inventory)?)?;
    let timestamp = as_of.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut matrix = build_matrix(&reports, &steps, Some(&inventory), timestamp)?;
    if !traffic.days.is_empty() {
        matrix.add_traffic(&traffic.days, &reports, Some(&inventory));
    }
    for (name, text) in [
        ("matrix.json", playtrace_report::json::to_json(&matrix)?),
        ("matrix.md", playtrace_report::markdown::matrix(&matrix)),
        ("gaps.txt", playtrace_report::text::gaps(&matrix)),
    ] {
        put(&dir.join(name), &text)?;
    }
    made.totals = Some(Totals {
        lines_covered: matrix.totals.lines_covered,
        lines_total: matrix.totals.lines_total,
        unreached_symbols: matrix.totals.unreached_symbols,
    });
    union(inputs, dir, &mut made.notes)?;
    Ok(made)
}

/// Writes a file of the work directory: nothing there must outlive a fall of the machine.
pub(super) fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), fs_err::create_dir_all);
    made.and_then(|()| fs_err::write(path, text)).map_err(|error| unwritable(&error))
}

/// Copies data into the work directory, with what lies beside it.
pub(super) fn put_data(from: &Path, to: &Path) -> Result<(), Failure> {
    let copy = |from: &Path, to: &Path| fs_err::copy(from, to).map(drop).map_err(|error| unwritable(&error));
    to.parent().map_or(Ok(()), fs_err::create_dir_all).map_err(|error| unwritable(&error))?;
    copy(from, to)?;
    for path_of in [steps_path_of, VerdictFile::path_of] {
        if path_of(from).is_file() {
            copy(&path_of(from), &path_of(to))?;
        }
    }
    Ok(())
}

/// All data in one file, for coverage.py's own reports: lines alone, contexts kept.
fn union(inputs: &[MapInput], dir: &Path, notes: &mut Vec<String>) -> Result<(), Failure> {
    let files: Vec<PathBuf> = inputs.iter().map(|input| input.data.clone()).collect();
    let options = MergeOptions { prune_branches: true, ..MergeOptions::default() };
    let outcome = merge_files(&files, &options, &|| ())?;
    notes.extend(outcome.problems.iter().map(|(path, error)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("night.coverage is without {name}: {error}")
    }));
    write_merged(&outcome, &dir.join("night.coverage"), &outcome.ownership(), Fate::Keep)?;
    Ok(())
}

/// The Python of this night's data; a carried one may have run on another. Of several the latest is taken.
fn python_of(inputs: &[MapInput], notes: &mut Vec<String>) -> Result<PythonVersion, Failure> {
    let pythons = |of: &dyn Fn(&&MapInput) -> bool| {
        let mut known = BTreeSet::new();
        for input in inputs.iter().filter(of) {
            known.extend(
                VerdictFile::read_beside(&input.data)?.into_iter().flat_map(|verdict| verdict.pythons),
            );
        }
        Ok::<_, Failure>(known)
    };
    let mut known = pythons(&|input| input.stale.is_none())?;
    if known.is_empty() {
        known = pythons(&|_| true)?;
    }
    let number =
        |version: &String| -> Vec<u32> { version.split('.').filter_map(|part| part.parse().ok()).collect() };
    let Some(latest) = known.iter().max_by_key(|version| number(version)) else {
        return Err(crate::commands::report::python_unclear(
            "the data doesn't say which Python ran the app".to_owned(),
        ));
    };
    if known.len() > 1 {
        let list = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        notes.push(format!("different Pythons ran the app ({list}); the maps follow the rules of {latest}"));
    }
    Ok(latest.parse()?)
}

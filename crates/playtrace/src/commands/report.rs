//! `playtrace report`: which code did a profile execute?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_analysis::{Measured, MeasuredSource, ProfileInput, ProfileReport, analyze_profile};
use playtrace_covdata::CoverageData;
use playtrace_covdata::data::Ownership;
use playtrace_ledger::Granularity;
use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, Slug, SourceFile};
use playtrace_pysource::{PythonVersion, SourceTree};
use playtrace_report::html::HtmlReport;

use crate::commands::index::unparsed_of;
use crate::documents::{say, unwritable, write_document};
use crate::exit::Exit;
use crate::finish::VerdictFile;
use crate::messages::Failure;
use crate::sources::{SourceArgs, Sources};

/// Where the app's agents write, unless told otherwise.
pub(super) const DEFAULT_DATA_DIR: &str = "/workdir/wepppy-test-engine-data/coverage";

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Profiles, or merged data files (`….coverage`) [default: every data file in the data directory]
    #[arg(value_name = "SLUG|DATA.coverage")]
    pub profiles: Vec<String>,
    /// Where the merged data files lie
    #[arg(long, value_name = "DIR", env = "PROFILE_COVERAGE_DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// The tree.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The Python that ran the app [default: what the runs' ledgers say]
    #[arg(long, value_name = "VERSION", env = "PLAYTRACE_PYTHON_VERSION")]
    pub python_version: Option<PythonVersion>,
    /// Where reports go: reports/<slug>.json and reports/<slug>/index.html in it
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub output_dir: PathBuf,
    /// What to make; text goes to standard output
    #[arg(long, value_delimiter = ',', default_value = "json,html,text")]
    pub format: Vec<Format>,
    /// What contexts of profiles begin with
    #[arg(long, value_name = "PREFIX", env = "PROFILE_COVERAGE_CONTEXT_PREFIX", default_value = "profile")]
    pub context_prefix: String,
    /// The moment that the reports carry [default: now]
    #[arg(long, value_name = "ISO8601")]
    pub timestamp: Option<Timestamp>,
}

/// A format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// reports/<slug>.json
    Json,
    /// reports/<slug>/index.html
    Html,
    /// A table on standard output
    Text,
}

/// A data file and what its report is called.
pub(crate) struct Input {
    /// The report's name.
    pub(crate) slug: Slug,
    /// The profile whose contexts count; mostly the same.
    pub(crate) profile: Slug,
    pub(crate) path: PathBuf,
    pub(crate) lines: LineData,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Args {
        profiles,
        data_dir,
        source,
        python_version,
        output_dir,
        format: formats,
        context_prefix,
        timestamp,
    } = args;
    let sources = python_version.map(|version| Sources::open(&source, version)).transpose()?;
    let inputs = data_files(&profiles, &data_dir)?
        .into_iter()
        .map(|(slug, path)| {
            let lines = CoverageData::read(&path)?.lines().into_owned();
            Ok(Input { profile: slug.clone(), slug, path, lines })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let sources = match sources {
        Some(sources) => sources,
        None => Sources::open(&source, python_of(&inputs)?)?,
    };
    // One tree for all: a file that one profile touched is a file of interest for every profile.
    let measured: BTreeSet<MeasuredPath> =
        inputs.iter().flat_map(|input| input.lines.iter().map(|(_, path, _)| path.clone())).collect();
    let tree = sources.read(&[], &measured)?;
    let timestamp = timestamp.unwrap_or_else(crate::clock::now);
    let directory = output_dir.join("reports");
    for input in &inputs {
        let report = report_of(input, &sources, &tree, &context_prefix, &timestamp)?;
        for format in &formats {
            match format {
                Format::Json => {
                    let path = directory.join(format!("{}.json", input.slug));
                    write_document(&path, &playtrace_report::json::to_json(&report)?)?;
                    say(&format!("{}\n", path.display()))?;
                }
                Format::Html => {
                    let path = write_html(&report, &tree, &directory, &input.slug)?;
                    say(&format!("{}\n", path.display()))?;
                }
                Format::Text => say(&format!("{}\n", playtrace_report::text::profile(&report)))?,
            }
        }
    }
    Ok(Exit::Success)
}

/// The data files that the arguments mean, in their order; by name where there are no arguments.
fn data_files(profiles: &[String], data_dir: &Path) -> Result<Vec<(Slug, PathBuf)>, Failure> {
    if profiles.is_empty() {
        return all_data_files(data_dir);
    }
    profiles
        .iter()
        .map(|text| {
            let path = Path::new(text);
            let (slug, path) =
                match path.file_name().and_then(|name| name.to_str()?.strip_suffix(".coverage")) {
                    Some(stem) => (stem, path.to_owned()),
                    None => (text.as_str(), data_dir.join(format!("{text}.coverage"))),
                };
            let slug = Slug::parse(slug).map_err(|error| {
                Failure::new(Exit::BadInput, "PT-MAPS-004", format!("{text}: {error}"))
                    .help("name a profile, or a data file called <slug>.coverage")
            })?;
            if !path.is_file() {
                return Err(no_data(&format!("there is no data of {slug}: {} is not there", path.display())));
            }
            Ok((slug, path))
        })
        .collect()
}

/// The Python that ran the app, from the verdicts beside the data.
fn python_of(inputs: &[Input]) -> Result<PythonVersion, Failure> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for input in inputs {
        known.extend(VerdictFile::read_beside(&input.path)?.into_iter().flat_map(|verdict| verdict.pythons));
    }
    only_python(&known)
}

/// The one Python of `known`.
pub(super) fn only_python(known: &BTreeSet<String>) -> Result<PythonVersion, Failure> {
    let mut versions = known.iter();
    match (versions.next(), versions.next()) {
        (Some(only), None) => Ok(only.parse()?),
        (None, _) => Err(python_unclear("the data doesn't say which Python ran the app".to_owned())),
        (Some(_), Some(_)) => {
            let list = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(python_unclear(format!("different Pythons ran the app: {list}")))
        }
    }
}

/// What to say where it is not known which Python ran the app.
pub(crate) fn python_unclear(message: String) -> Failure {
    Failure::new(Exit::BadInput, "PT-MAPS-006", message)
        .help("say which Python ran the app: --python-version 3.12")
}

fn all_data_files(directory: &Path) -> Result<Vec<(Slug, PathBuf)>, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(Exit::Io, "PT-MAPS-001", error.to_string());
    let mut found = Vec::new();
    for entry in fs_err::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".coverage"));
        if let Some(slug) = stem.and_then(|stem| Slug::parse(stem).ok())
            && path.is_file()
        {
            found.push((slug, path));
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(no_data(&format!("{} holds no merged data (<slug>.coverage)", directory.display())));
    }
    Ok(found)
}

fn no_data(message: &str) -> Failure {
    Failure::new(Exit::BadInput, "PT-MAPS-005", message)
        .help("replay the profile with --trace-code, or merge its shards with `playtrace combine`")
}

pub(crate) fn report_of(
    input: &Input,
    sources: &Sources,
    tree: &SourceTree,
    prefix: &str,
    timestamp: &Timestamp,
) -> Result<ProfileReport, Failure> {
    let verdict = VerdictFile::read_beside(&input.path)?;
    let of = Ownership::read(&input.path)?.run;
    let mismatch = match &verdict {
        Some(verdict) => verdict.doubt(&input.path, of.as_ref()).map_err(|error| {
            Failure::new(Exit::Io, "PT-MAPS-001", error.to_string())
                .help("check the path and its permissions")
        })?,
        None => None,
    };
    let verdict = verdict.filter(|_| mismatch.is_none());
    let vanished = vanished(input, sources, tree, verdict.as_ref());
    let (executed, note) = executed_lines(&input.lines, &input.profile, prefix);
    let imported = input.lines.lines_by_file(ContextLabel::is_import);
    let files: Vec<&SourceFile> = tree.files.values().map(|file| &file.source).collect();
    let mut report = analyze_profile(&ProfileInput {
        profile: input.slug.to_string(),
        timestamp: timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        verdict: verdict.as_ref().map(|file| file.verdict.clone()),
        run: verdict.as_ref().map(|file| file.run.to_string()),
        requests: verdict.as_ref().and_then(|file| u64::try_from(file.requests).ok()),
        jobs: verdict.as_ref().and_then(|file| u64::try_from(file.jobs).ok()),
        measured: match verdict.as_ref().and_then(|file| file.granularity) {
            Some(Granularity::Symbol) => Measured::Functions,
            Some(_) | None => Measured::Lines,
        },
        executed: &executed,
        imported: &imported,
        measured_source: MeasuredSource {
            hashes: verdict.as_ref().map_or(&BTreeMap::new(), |file| &file.sources),
            mixed: verdict.as_ref().map_or(&BTreeSet::new(), |file| &file.mixed_sources),
            vanished: &vanished,
        },
        files: &files,
        unparsed: &unparsed_of(&tree.unparsed),
    });
    report.reasons.extend(mismatch.map(|why| format!("the data file: {why}; merge the run again")));
    report.notes.extend(note);
    Ok(report)
}

/// Files that the app loaded and that are not here any more. What the configuration leaves out of reports is nobody's loss, and
/// what never had a hash was no file.
fn vanished(
    input: &Input,
    sources: &Sources,
    tree: &SourceTree,
    verdict: Option<&VerdictFile>,
) -> BTreeSet<MeasuredPath> {
    let Some(verdict) = verdict else { return BTreeSet::new() };
    let here: BTreeSet<&MeasuredPath> =
        tree.files.keys().chain(tree.unparsed.iter().map(|file| &file.path)).collect();
    let measured: BTreeSet<&MeasuredPath> = input.lines.iter().map(|(_, path, _)| path).collect();
    let had_a_hash =
        |path: &MeasuredPath| verdict.sources.contains_key(path) || verdict.mixed_sources.contains(path);
    measured
        .into_iter()
        .filter(|path| !here.contains(path) && had_a_hash(path) && sources.is_reported(path))
        .cloned()
        .collect()
}

/// The lines of the profile's contexts: `<prefix>:<slug>` and what requests and jobs add to it.
///
/// Data of another tracer may know no such context. Then every context but the import one counts, and a note says so.
fn executed_lines(
    lines: &LineData,
    slug: &Slug,
    prefix: &str,
) -> (BTreeMap<MeasuredPath, LineBits>, Option<String>) {
    let label = slug.context_label(prefix);
    let longer = format!("{label}:");
    let ours = |context: &ContextLabel| *context == label || context.as_str().starts_with(&longer);
    if lines.contexts().any(ours) || lines.is_empty() {
        return (lines.lines_by_file(ours), None);
    }
    let note = format!("the data knows no context {label}; all its contexts but `import` are counted");
    (lines.lines_by_file(|context| !context.is_import()), Some(note))
}

/// Writes the pages beside their place and moves them there: a reader sees the old report or the new one.
pub(crate) fn write_html(
    report: &ProfileReport,
    tree: &SourceTree,
    directory: &Path,
    slug: &Slug,
) -> Result<PathBuf, Failure> {
    fs_err::create_dir_all(directory).map_err(|error| unwritable(&error))?;
    let fresh = tempfile::Builder::new()
        .prefix(".playtrace-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o775))
        .tempdir_in(directory)
        .map_err(|error| unwritable(&error))?;
    let html = HtmlReport::new(report)?;
    let index = html.index()?;
    fs_err::write(fresh.path().join(&index.path), &index.html).map_err(|error| unwritable(&error))?;
    for file in html.files() {
        // Every file of the report comes from this tree.
        let Some(analyzed) = tree.files.get(&file.path) else { continue };
        let page = html.file(file, analyzed.text.as_str())?;
        let path = fresh.path().join(&page.path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(|error| unwritable(&error))?;
        }
        fs_err::write(path, &page.html).map_err(|error| unwritable(&error))?;
    }
    let place = directory.join(slug.as_str());
    if place.exists() {
        fs_err::remove_dir_all(&place).map_err(|error| unwritable(&error))?;
    }
    fs_err::rename(fresh.keep(), &place).map_err(|error| unwritable(&error))?;
    Ok(place.join("index.html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_s_lines_are_those_of_all_its_contexts_and_of_no_other_profile_s() {
        let mut lines = LineData::new();
        for (label, line) in [
            ("profile:p", 1),
            ("profile:p:3", 2),
            ("profile:p:job:a.f:j1", 3),
            ("profile:pq", 4),
            ("import", 5),
        ] {
            let (label, bits) = (ContextLabel::new(label), [line].into_iter().collect());
            lines.add(&label, &MeasuredPath::new("a.py"), &bits);
        }
        let (executed, note) = executed_lines(&lines, &Slug::parse("p").unwrap(), "profile");
        assert_eq!(executed[&MeasuredPath::new("a.py")].iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(note, None);
    }
}

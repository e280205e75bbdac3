//! `playtrace matrix`: profiles side by side, and what none of them reaches.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_analysis::{Inventory, Matrix, ProfileReport, RunSteps, build_matrix};
use playtrace_model::Slug;

use crate::commands::report::DEFAULT_DATA_DIR;
use crate::documents::{read_json, say, write_document};
use crate::exit::Exit;
use crate::finish::steps_path_of;
use crate::messages::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Reports that `playtrace report` wrote
    #[arg(value_name = "REPORT.json")]
    pub reports: Vec<PathBuf>,
    /// A directory of reports, if none are named [default: reports in the output directory]
    #[arg(long, value_name = "DIR", conflicts_with = "reports")]
    pub reports_dir: Option<PathBuf>,
    /// Where the merged data files lie: <slug>.steps.json beside them says what each request and job entered
    #[arg(long, value_name = "DIR", env = "PROFILE_COVERAGE_DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// The symbol inventory that `playtrace index` wrote [default: coverage-symbols.json in the output directory, if it is there]
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Where matrix.json, matrix.md and gaps.txt go
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub output_dir: PathBuf,
    /// The moment that the matrix carries [default: now]
    #[arg(long, value_name = "ISO8601")]
    pub timestamp: Option<Timestamp>,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Args { reports: named, reports_dir, data_dir, inventory, output_dir, timestamp } = args;
    let paths = if named.is_empty() {
        reports_in(&reports_dir.unwrap_or_else(|| output_dir.join("reports")))?
    } else {
        named
    };
    let reports = paths
        .iter()
        .map(|path| Ok((path.display().to_string(), read_json::<ProfileReport>(path)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let steps = read_steps(&reports, &data_dir)?;
    let inventory = read_inventory(inventory, &output_dir)?;
    let timestamp = timestamp.unwrap_or_else(crate::clock::now);
    let timestamp = timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (days, unread) = crate::traffic::read(&data_dir)?;
    let mut matrix = build_matrix(&reports, &steps, inventory.as_ref(), timestamp)?;
    if !days.is_empty() {
        matrix.add_traffic(&days, &reports, inventory.as_ref());
    }
    matrix.notes.extend(unread);
    say(&playtrace_report::text::matrix(&matrix))?;
    write(&matrix, &output_dir)?;
    Ok(Exit::Success)
}

fn reports_in(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Io, "PT-MAPS-001", error.to_string())
            .help("name reports, or their directory with --reports-dir")
    };
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The steps of each profile whose data has some beside it; named by file, without the directory: equal data gives equal notes.
fn read_steps(
    reports: &[(String, ProfileReport)],
    data_dir: &Path,
) -> Result<Vec<(String, RunSteps)>, Failure> {
    let mut found = Vec::new();
    for (_, report) in reports {
        // A report of something else may say anything under `profile`; only a slug becomes a path.
        let Ok(slug) = Slug::parse(&report.profile) else { continue };
        let path = steps_path_of(&data_dir.join(format!("{slug}.coverage")));
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, read_json(&path)?));
        }
    }
    Ok(found)
}

fn read_inventory(named: Option<PathBuf>, output_dir: &Path) -> Result<Option<Inventory>, Failure> {
    let beside = output_dir.join("coverage-symbols.json");
    let Some(path) = named.or_else(|| beside.is_file().then_some(beside)) else { return Ok(None) };
    let inventory: Inventory = read_json(&path)?;
    inventory.check(&path.display().to_string())?;
    Ok(Some(inventory))
}

fn write(matrix: &Matrix, directory: &Path) -> Result<(), Failure> {
    say("\n")?;
    for (name, text) in [
        ("matrix.json", playtrace_report::json::to_json(matrix)?),
        ("matrix.md", playtrace_report::markdown::matrix(matrix)),
        ("gaps.txt", playtrace_report::text::gaps(matrix)),
    ] {
        let path = directory.join(name);
        write_document(&path, &text)?;
        say(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

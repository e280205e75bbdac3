//! `playtrace export`: coverage.py's reports from a data file.

mod load;
mod output;
mod settings;

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use playtrace_analysis::{CoverageReport, Edition, Threshold, display_percent, reaches};
use playtrace_pysource::{CoverageRelease, PythonVersion};
use playtrace_report::coverage::{Origin, compact, json, lcov, text, xml};

use crate::commands::report::only_python;
use crate::exit::Exit;
use crate::finish::VerdictFile;
use crate::messages::Failure;
use crate::sources::{Project, SourceArgs, Sources};

use load::{Data, Files};
use output::Output;
use settings::Settings;

/// The numbers and formats of coverage.py's reports, and their options. What is not given here is as the configuration says.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Args {
    /// The data file, of coverage.py or of playtrace
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// The tree.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The Python that ran the code [default: what the verdict beside the data says]
    #[arg(long, value_name = "VERSION", env = "PLAYTRACE_PYTHON_VERSION")]
    pub python_version: Option<PythonVersion>,
    /// What to write [default: the configuration's `[report] format`, else text]
    #[arg(long)]
    pub format: Option<Format>,
    /// The file to write, for html the directory; - is standard output
    /// [default: as coverage.py: standard output, coverage.json, coverage.xml, coverage.lcov, htmlcov]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only files that fit one of these patterns
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub include: Vec<String>,
    /// No files that fit one of these patterns
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub omit: Vec<String>,
    /// Only lines of contexts in which one of these regular expressions is found
    #[arg(long, value_name = "REGEX", value_delimiter = ',')]
    pub contexts: Vec<String>,
    /// Digits behind the point of percentages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub precision: Option<u8>,
    /// Leave out files with 100 % (text and html)
    #[arg(long)]
    pub skip_covered: bool,
    /// List files with 100 %, whatever the configuration says
    #[arg(long, conflicts_with = "skip_covered")]
    pub no_skip_covered: bool,
    /// Leave out files without statements (not in json)
    #[arg(long)]
    pub skip_empty: bool,
    /// End with exit code 1 if the total is less than this many percent
    #[arg(long, value_name = "MIN", value_parser = settings::threshold)]
    pub fail_under: Option<Threshold>,
    /// Sort by Name, Stmts, Miss or Cover, with a - before it the largest first (text)
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, value_parser = settings::sort)]
    pub sort: Option<text::Sort>,
    /// List the lines that are missing (text)
    #[arg(short = 'm', long)]
    pub show_missing: bool,
    /// Say which contexts executed each line (json and html)
    #[arg(long)]
    pub show_contexts: bool,
    /// Leave out sources that are gone, differ or can't be parsed, instead of giving up
    #[arg(short, long)]
    pub ignore_errors: bool,
    /// A field or element a line (json)
    #[arg(long, conflicts_with = "compact")]
    pub pretty_print: bool,
    /// playtrace's own JSON, which stays small with contexts (docs/schema/coverage.schema.json)
    #[arg(long)]
    pub compact: bool,
    /// The report's name (html)
    #[arg(long, value_name = "TITLE")]
    pub title: Option<String>,
    /// Say nothing but what went wrong
    #[arg(short, long)]
    pub quiet: bool,
    /// The moment that the report carries [default: now]
    #[arg(long, value_name = "ISO8601")]
    pub timestamp: Option<Timestamp>,
}

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The table of `coverage report`
    Text,
    /// The same as a table in Markdown
    Markdown,
    /// The total percentage alone
    Total,
    /// coverage.py's JSON, format 3
    Json,
    /// Cobertura's XML
    Xml,
    /// LCOV's tracefile
    Lcov,
    /// Pages with source
    Html,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut project = Project::open(&args.source)?;
    project.say_unknown();
    let settings = Settings::of(args, &mut project.config)?;
    let verdict = VerdictFile::read_beside(&args.data)?;
    let python = match args.python_version {
        Some(version) => version,
        None => only_python(&verdict.as_ref().map_or_else(BTreeSet::new, |verdict| verdict.pythons.clone()))?,
    };
    let sources = Sources::of(&args.source, &project, python)?;
    let data = Data::read(&args.data, &project, &settings)?;
    let tree = Files::read(&data, &sources, verdict.as_ref(), &args.data, settings.ignore_errors)?;
    let report = CoverageReport {
        edition: edition(args.source.coverage_version),
        files: tree.coverage(&data, &project, &sources, &settings, edition(args.source.coverage_version)),
        contexts: data.contexts(),
        precision: settings.precision,
    };
    write(&report, &settings, &project, &sources)?;
    judge(&report, &settings)
}

fn edition(release: CoverageRelease) -> Edition {
    if release >= CoverageRelease::V7_17 { Edition::V7_17 } else { Edition::V7_11 }
}

fn write(
    report: &CoverageReport<'_>,
    settings: &Settings,
    project: &Project,
    sources: &Sources,
) -> Result<(), Failure> {
    let mut origin = Origin {
        generator: concat!("playtrace ", env!("CARGO_PKG_VERSION")).to_owned(),
        timestamp: settings.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    if settings.format == Format::Html {
        return output::pages(report, &settings.html, &origin, settings);
    }
    let mut out = Output::open(settings.output.as_deref())?;
    let sink = &mut |piece: &[u8]| out.write(piece);
    match settings.format {
        Format::Text => sink(text::table(report, settings.text).as_bytes())?,
        Format::Markdown => sink(text::markdown(report, settings.text).as_bytes())?,
        Format::Total => sink(text::total(report).as_bytes())?,
        Format::Json if settings.compact => {
            compact::write::<Failure>(report, settings.json.show_contexts, &origin, sink)?;
        }
        Format::Json => json::write::<Failure>(report, settings.json, &origin, sink)?,
        Format::Xml => {
            origin.timestamp = settings.timestamp.as_millisecond().to_string();
            let options = settings::xml(settings, project, sources);
            xml::write::<Failure>(report, &options, &origin, sink)?;
        }
        Format::Lcov => lcov::write::<Failure>(report, settings.lcov, sink)?,
        // Written above.
        Format::Html => {}
    }
    out.finish(settings.quiet)
}

/// Whether the total reaches what is asked for.
fn judge(report: &CoverageReport<'_>, settings: &Settings) -> Result<Exit, Failure> {
    let total = report.total();
    let is_table = matches!(settings.format, Format::Text | Format::Markdown | Format::Total);
    // As in coverage.py: nothing is everything in a table, and nothing elsewhere.
    let percent = if total.statements == 0 && !is_table { 0.0 } else { total.percent() };
    let (threshold, precision) = (settings.fail_under, settings.precision);
    if reaches(percent, threshold, precision, report.edition) {
        return Ok(Exit::Success);
    }
    let digits = threshold.precision(precision, report.edition);
    let message = format!(
        "the total of {} % is less than fail-under, {:.digits$} %",
        display_percent(percent, digits),
        threshold.percent
    );
    Err(Failure::new(Exit::Failed, "PT-EXPORT-005", message).help("the report is written all the same"))
}

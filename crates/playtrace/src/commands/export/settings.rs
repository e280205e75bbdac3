//! The command line over the configuration.

use std::path::PathBuf;

use clap::ValueEnum as _;
use jiff::Timestamp;
use playtrace_analysis::Threshold;
use playtrace_covdata::CoverageConfig;
use playtrace_report::coverage::html::HtmlOptions;
use playtrace_report::coverage::json::JsonOptions;
use playtrace_report::coverage::lcov::LcovOptions;
use playtrace_report::coverage::text::{Sort, TextOptions};
use playtrace_report::coverage::xml::XmlOptions;
use playtrace_report::coverage::{Shown, text};

use super::{Args, Format};
use crate::exit::Exit;
use crate::messages::Failure;
use crate::sources::{Project, Sources};

/// What is asked for.
pub(super) struct Settings {
    pub(super) format: Format,
    /// None is standard output.
    pub(super) output: Option<PathBuf>,
    pub(super) contexts: Vec<String>,
    pub(super) ignore_errors: bool,
    pub(super) precision: usize,
    pub(super) fail_under: Threshold,
    pub(super) timestamp: Timestamp,
    pub(super) quiet: bool,
    pub(super) compact: bool,
    pub(super) text: TextOptions,
    pub(super) json: JsonOptions,
    pub(super) lcov: LcovOptions,
    pub(super) html: HtmlOptions,
    /// But for what the project says of places.
    xml: XmlOptions,
}

impl Settings {
    /// Puts both together. Patterns of files go into `config`, which decides about files.
    pub(super) fn of(args: &Args, config: &mut CoverageConfig) -> Result<Self, Failure> {
        if !args.include.is_empty() {
            config.report_include.clone_from(&args.include);
        }
        if !args.omit.is_empty() {
            config.report_omit.clone_from(&args.omit);
        }
        let reporting = &config.reporting;
        let format = match (args.format, &reporting.format) {
            (Some(format), _) => format,
            (None, None) => Format::Text,
            (None, Some(text)) => table_format(text)?,
        };
        if args.compact && format != Format::Json {
            return Err(Failure::new(Exit::Usage, "PT-EXPORT-006", "--compact is for --format json"));
        }
        let skip_covered = |configured| (args.skip_covered || configured) && !args.no_skip_covered;
        let skip_empty = args.skip_empty || reporting.skip_empty;
        let sort = match (args.sort, &reporting.sort) {
            (Some(sort), _) => sort,
            (None, None) => Sort::default(),
            (None, Some(text)) => sort(text).map_err(|why| unknown("sort", &why))?,
        };
        // coverage.py's XML and LCOV take no notice of the configuration's contexts.
        let configured = match format {
            Format::Xml | Format::Lcov => Vec::new(),
            _ => reporting.contexts.clone(),
        };
        Ok(Self {
            format,
            output: output(args, config, format),
            contexts: if args.contexts.is_empty() { configured } else { args.contexts.clone() },
            ignore_errors: args.ignore_errors || reporting.ignore_errors,
            precision: args.precision.map_or(reporting.precision, usize::from),
            fail_under: match args.fail_under {
                Some(threshold) => threshold,
                None => Threshold::new(reporting.fail_under).ok_or_else(|| {
                    unknown("fail_under", &format!("{} is not from 0 to 100", reporting.fail_under))
                })?,
            },
            timestamp: args.timestamp.unwrap_or_else(crate::clock::now),
            quiet: args.quiet,
            compact: args.compact,
            text: TextOptions {
                shown: Shown { skip_covered: skip_covered(reporting.skip_covered), skip_empty },
                show_missing: args.show_missing || reporting.show_missing,
                sort,
            },
            json: JsonOptions {
                pretty: args.pretty_print || reporting.json_pretty_print,
                show_contexts: args.show_contexts || reporting.json_show_contexts,
            },
            lcov: LcovOptions { skip_empty, line_checksums: reporting.lcov_line_checksums },
            html: HtmlOptions {
                title: args.title.clone().unwrap_or_else(|| reporting.html_title.clone()),
                shown: Shown {
                    skip_covered: skip_covered(reporting.html_skip_covered.unwrap_or(reporting.skip_covered)),
                    skip_empty: args.skip_empty || reporting.html_skip_empty.unwrap_or(reporting.skip_empty),
                },
                show_contexts: args.show_contexts || reporting.html_show_contexts,
                extra_css: extra_css(reporting.html_extra_css.as_deref(), format)?,
            },
            xml: XmlOptions {
                skip_empty,
                package_depth: reporting.xml_package_depth,
                ..XmlOptions::default()
            },
        })
    }

    /// Whether the report names functions or classes.
    pub(super) fn shows_regions(&self) -> bool {
        !matches!(self.format, Format::Text | Format::Markdown | Format::Total | Format::Xml)
    }

    /// Whether the report shows contexts.
    pub(super) fn show_contexts(&self) -> bool {
        match self.format {
            Format::Json => self.json.show_contexts,
            Format::Html => self.html.show_contexts,
            _ => false,
        }
    }
}

/// Where the report goes.
fn output(args: &Args, config: &CoverageConfig, format: Format) -> Option<PathBuf> {
    let reporting = &config.reporting;
    let default = match format {
        Format::Text | Format::Markdown | Format::Total => "-",
        // The usual name is for coverage.py's format.
        Format::Json if args.compact && reporting.json_output == "coverage.json" => "coverage-compact.json",
        Format::Json => &reporting.json_output,
        Format::Xml => &reporting.xml_output,
        Format::Lcov => &reporting.lcov_output,
        Format::Html => &reporting.html_directory,
    };
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(default));
    (path.as_os_str() != "-").then_some(path)
}

fn extra_css(file: Option<&str>, format: Format) -> Result<Option<String>, Failure> {
    let Some(file) = file.filter(|file| format == Format::Html && !file.is_empty()) else { return Ok(None) };
    fs_err::read_to_string(file).map(Some).map_err(|error| {
        Failure::new(Exit::Io, "PT-MAPS-001", error.to_string())
            .help("it is the configuration's [html] extra_css")
    })
}

fn table_format(text: &str) -> Result<Format, Failure> {
    [Format::Text, Format::Markdown, Format::Total]
        .into_iter()
        .find(|format| format.to_possible_value().is_some_and(|value| value.get_name() == text))
        .ok_or_else(|| unknown("format", &format!("{text:?} is none of text, markdown, total")))
}

/// A setting of the configuration that says nothing.
fn unknown(key: &str, why: &str) -> Failure {
    Failure::new(Exit::BadInput, "PT-EXPORT-006", format!("the configuration's [report] {key}: {why}"))
}

/// Reads `--fail-under`.
pub(super) fn threshold(text: &str) -> Result<Threshold, String> {
    text.parse().ok().and_then(Threshold::new).ok_or_else(|| "not a number from 0 to 100".to_owned())
}

/// Reads `--sort`.
pub(super) fn sort(text: &str) -> Result<Sort, String> {
    text::Sort::parse(text).ok_or_else(|| format!("{text:?} is none of Name, Stmts, Miss, Cover"))
}

/// What the XML report has to know of the project.
pub(super) fn xml(settings: &Settings, project: &Project, sources: &Sources) -> XmlOptions {
    let relative_files = project.config.relative_files;
    let mut source_paths: Vec<String> = project
        .config
        .source
        .iter()
        .filter(|source| project.root.join(source).exists())
        .map(|source| {
            if relative_files {
                source.trim_end_matches(['/', '\\']).to_owned()
            } else {
                let path = sources.root().join(source);
                fs_err::canonicalize(&path).unwrap_or(path).to_string_lossy().into_owned()
            }
        })
        .collect();
    source_paths.sort();
    source_paths.dedup();
    let root = sources.root().to_string_lossy().into_owned();
    XmlOptions { source_paths, root, relative_files, ..settings.xml.clone() }
}

//! coverage.py's configuration, as far as it says what to measure and what to report.
//!
//! The files, their syntax and their defaults are those of coverage.py 7.11.3, but where another [`Release`] is asked for.

mod ini;
mod options;
mod release;
mod reporting;
mod source;
mod substitute;
mod values;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::CovdataError;

pub use release::Release;
pub use reporting::Reporting;
pub use substitute::Environment;

/// What coverage.py excludes if the configuration says nothing.
pub const DEFAULT_EXCLUDE: [&str; 3] = [
    r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)",
    r"^\s*(((async )?def .*?)?\)(\s*->.*?)?:\s*)?\.\.\.\s*(#|$)",
    r"if (typing\.)?TYPE_CHECKING:",
];

/// Branches that coverage.py takes as partial on purpose, if the configuration says nothing.
pub const DEFAULT_PARTIAL: [&str; 1] = [r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(branch|BRANCH)"];

/// Branches that can't go both ways, by Python's meaning.
pub const DEFAULT_PARTIAL_ALWAYS: [&str; 2] = ["while (True|1|False|0):", "if (True|1|False|0):"];

/// The (section, key, value) of an INI text as Python's `configparser` reads it.
///
/// Public for the sake of the comparison with CPython's own.
#[doc(hidden)]
pub fn ini_options(text: &str) -> Result<Vec<[String; 3]>, String> {
    let sections = ini::parse(text).map_err(|(line, message)| format!("line {line}: {message}"))?;
    let options = sections.into_iter().flat_map(|section| {
        let name = section.name;
        section.options.into_iter().map(move |option| [name.clone(), option.key, option.value])
    });
    Ok(options.collect())
}

/// A key that has no effect here, for a person to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The key, as `[run] branch`.
    pub key: String,
    /// Why it has no effect, or what happens instead.
    pub why: String,
    /// Whether coverage.py doesn't know the key, or the value, either: a slip of the pen, most likely.
    pub is_unknown: bool,
    /// The configuration file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// A regular expression with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredRegex {
    /// The key, as `[report] exclude_also`.
    pub key: String,
    /// The configuration file.
    pub path: PathBuf,
    /// The line of the key, from 1.
    pub line: usize,
    /// In Python's notation.
    pub regex: String,
}

/// A configuration: the settings that count here.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are coverage.py's switches")]
pub struct CoverageConfig {
    /// The file that it comes from; `None` for the defaults.
    pub file: Option<PathBuf>,
    /// `[run] branch`.
    pub branch: bool,
    /// `[run] parallel`.
    pub parallel: bool,
    /// `[run] context`: a static label.
    pub context: Option<String>,
    /// `[run] data_file`, or `COVERAGE_FILE`.
    pub data_file: String,
    /// `[run] relative_files`: measured files are named relative to the root.
    pub relative_files: bool,
    /// `[run] cover_pylib`: the standard library counts.
    pub cover_pylib: bool,
    /// `[run] source`: directories or packages.
    pub source: Vec<String>,
    /// `[run] source_pkgs`: packages.
    pub source_pkgs: Vec<String>,
    /// `[run] source_dirs`: directories.
    pub source_dirs: Vec<String>,
    /// `[run] include`: patterns of files; without effect where there is a source.
    pub run_include: Vec<String>,
    /// `[run] omit`: patterns of files.
    pub run_omit: Vec<String>,
    /// `[report] exclude_lines` and `exclude_also`: Python regular expressions, searched in each line.
    pub exclude: Vec<String>,
    /// `[report] partial_branches` and `partial_also`.
    pub partial: Vec<String>,
    /// `[report] partial_branches_always`.
    pub partial_always: Vec<String>,
    /// `[report] include`.
    pub report_include: Vec<String>,
    /// `[report] omit`.
    pub report_omit: Vec<String>,
    /// `[report] include_namespace_packages`: directories without `__init__.py` hold modules too.
    pub include_namespace_packages: bool,
    /// `[paths]`, in order: a name, then the result and its patterns.
    pub paths: Vec<(String, Vec<String>)>,
    /// What `[report]`, `[html]`, `[xml]`, `[json]` and `[lcov]` say about reports.
    pub reporting: Reporting,
    /// Keys without effect.
    pub notices: Vec<Notice>,
    /// Every regular expression of the file: whether they are any is for who can read them.
    pub regexes: Vec<ConfiguredRegex>,
}

impl Default for CoverageConfig {
    fn default() -> Self {
        Self::default_of(Release::PINNED)
    }
}

impl CoverageConfig {
    /// What holds where there is no configuration.
    pub fn default_of(release: Release) -> Self {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Self {
            file: None,
            branch: false,
            parallel: false,
            context: None,
            data_file: ".coverage".to_owned(),
            relative_files: false,
            cover_pylib: false,
            source: Vec::new(),
            source_pkgs: Vec::new(),
            source_dirs: Vec::new(),
            run_include: Vec::new(),
            run_omit: Vec::new(),
            exclude: owned(&release.default_exclude()),
            partial: owned(&DEFAULT_PARTIAL),
            partial_always: owned(&release.default_partial_always()),
            report_include: Vec::new(),
            report_omit: Vec::new(),
            include_namespace_packages: false,
            paths: Vec::new(),
            reporting: Reporting::default(),
            notices: Vec::new(),
            regexes: Vec::new(),
        }
    }
}

impl CoverageConfig {
    /// Reads one file, as `--rcfile` does: INI, or TOML by its extension.
    pub fn read(path: &Path, environment: Environment<'_>) -> Result<Self, CovdataError> {
        Self::read_for(path, Release::PINNED, environment)
    }

    /// As [`CoverageConfig::read`], as this release of coverage.py does it.
    pub fn read_for(
        path: &Path,
        release: Release,
        environment: Environment<'_>,
    ) -> Result<Self, CovdataError> {
        Self::read_as(path, true, release, environment).map(|(config, _)| config)
    }

    /// Finds the configuration as coverage.py does: `rcfile`, else `COVERAGE_RCFILE`, else the first in `dir` of
    /// `.coveragerc`, `.coveragerc.toml` (for releases that know it), `setup.cfg`, `tox.ini` and `pyproject.toml` that has
    /// settings, else the defaults.
    pub fn discover(
        dir: &Path,
        rcfile: Option<&Path>,
        release: Release,
        environment: Environment<'_>,
    ) -> Result<Self, CovdataError> {
        let named = rcfile
            .map(Path::to_owned)
            .or_else(|| environment("COVERAGE_RCFILE").filter(|name| !name.is_empty()).map(PathBuf::from));
        let mut config = match named {
            Some(path) => Self::read_as(&dir.join(path), true, release, environment)?.0,
            None => Self::first_of(dir, release, environment)?,
        };
        if let Some(file) = environment("COVERAGE_FILE").filter(|name| !name.is_empty()) {
            config.data_file = file;
        }
        Ok(config)
    }

    fn first_of(dir: &Path, release: Release, environment: Environment<'_>) -> Result<Self, CovdataError> {
        let mut passed_over = None;
        for (name, ours) in [
            (".coveragerc", true),
            (".coveragerc.toml", true),
            ("setup.cfg", false),
            ("tox.ini", false),
            ("pyproject.toml", false),
        ] {
            let path = dir.join(name);
            if name == ".coveragerc.toml" && !release.knows_toml_rc() {
                passed_over = path.is_file().then_some(path);
                continue;
            }
            match Self::read_as(&path, ours, release, environment) {
                Ok((config, any)) if ours || any => return Ok(config.with_passed_over(passed_over, release)),
                Ok(_) | Err(CovdataError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::default_of(release).with_passed_over(passed_over, release))
    }

    /// Says so where a file is there that this release doesn't look at.
    fn with_passed_over(mut self, path: Option<PathBuf>, release: Release) -> Self {
        self.notices.extend(path.map(|path| Notice {
            key: ".coveragerc.toml".to_owned(),
            why: format!("coverage.py {release} does not look at this file; 7.13.0 and later do"),
            is_unknown: true,
            path,
            line: 1,
        }));
        self
    }

    /// The configuration, and whether the file said anything.
    fn read_as(
        path: &Path,
        ours: bool,
        release: Release,
        environment: Environment<'_>,
    ) -> Result<(Self, bool), CovdataError> {
        let bytes = fs_err::read(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => CovdataError::Missing { path: path.to_owned() },
            _ => CovdataError::Io { action: "read", path: path.to_owned(), source },
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            CovdataError::Config {
                path: path.to_owned(),
                line: good.split(|byte| *byte == b'\n').count(),
                message: "this line is not UTF-8".to_owned(),
            }
        })?;
        // Some editors begin a file with a mark of its encoding.
        let (text, is_marked) = text.strip_prefix('\u{feff}').map_or((&*text, false), |rest| (rest, true));
        let entries = source::entries(path, text, ours, release)?;
        let mut config = Self { file: Some(path.to_owned()), ..Self::default_of(release) };
        if is_marked && !release.takes_byte_order_mark() {
            config.notices.push(Notice {
                key: "the byte order mark".to_owned(),
                why: format!(
                    "coverage.py {release} refuses a file that begins with one; 7.17.4 and later don't"
                ),
                is_unknown: true,
                path: path.to_owned(),
                line: 1,
            });
        }
        let mut any = false;
        for entry in &entries {
            any |= config.set(entry, environment)?;
        }
        config.finish(&entries);
        Ok((config, any))
    }
}

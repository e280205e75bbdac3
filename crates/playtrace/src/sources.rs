//! The source tree that a command looks at: configuration, files of interest, their statements and symbols.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_covdata::config::Release;
use playtrace_covdata::{CoverageConfig, FileFilter, Installation};
use playtrace_model::MeasuredPath;
use playtrace_pysource::{Exclusions, SourceError, SourceTree, read_files};

use crate::exit::Exit;
use crate::messages::Failure;

/// The configuration's usual name, beside the app.
const CONFIG_NAME: &str = "coverage.profile-playback.ini";

/// Which tree, by which configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// What measured paths are relative to [default: the config's directory, else the current one]
    #[arg(long = "source", value_name = "ROOT", env = "PROFILE_COVERAGE_ROOT")]
    pub root: Option<PathBuf>,
    /// The coverage config [default: coverage.profile-playback.ini in ROOT, else what coverage.py finds there]
    #[arg(long, value_name = "FILE", env = "PROFILE_COVERAGE_CONFIG")]
    pub config: Option<PathBuf>,
}

/// A configuration applied to a tree.
#[derive(Debug)]
pub struct Sources {
    filter: FileFilter,
    exclusions: Exclusions,
}

impl Sources {
    /// Reads the configuration; the files themselves are read by [`Sources::read`].
    pub fn open(args: &SourceArgs) -> Result<Self, Failure> {
        let beside_config = args.config.as_deref().and_then(Path::parent);
        let root = match (&args.root, beside_config) {
            (Some(root), _) => root.as_path(),
            (None, Some(parent)) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !root.is_dir() {
            return Err(SourceError::NotADirectory { path: root.to_owned() }.into());
        }
        let environment = |name: &str| std::env::var(name).ok();
        let usual = root.join(CONFIG_NAME);
        let config = match &args.config {
            Some(config) => CoverageConfig::read(config, &environment)?,
            None if usual.is_file() => CoverageConfig::read(&usual, &environment)?,
            None => CoverageConfig::discover(root, None, Release::PINNED, &environment)?,
        };
        let filter = FileFilter::new(&config, root, &Installation::default())?;
        Ok(Self { filter, exclusions: Exclusions::new(&config.exclude)? })
    }

    /// The root, canonical.
    pub fn root(&self) -> &Path {
        self.filter.root()
    }

    /// The patterns of lines that don't count.
    pub fn exclusions(&self) -> &Exclusions {
        &self.exclusions
    }

    /// The name of a file in data.
    pub fn measured_path(&self, file: &Path) -> MeasuredPath {
        self.filter.measured_path(file)
    }

    /// Whether `[report] include` and `omit` let a measured file into reports.
    pub fn is_reported(&self, measured: &MeasuredPath) -> bool {
        self.filter.is_reported(measured)
    }

    /// Analyses the files of interest below `dirs` (where there are none: below the configuration's `source`, else
    /// below the root), and besides them those of `measured` that are there and that reports show.
    pub fn read(&self, dirs: &[PathBuf], measured: &BTreeSet<MeasuredPath>) -> Result<SourceTree, Failure> {
        let trees = match (dirs, self.filter.source_trees()) {
            ([], trees) if trees.is_empty() => vec![self.root().to_owned()],
            ([], trees) => trees,
            (dirs, _) => dirs.to_vec(),
        };
        let mut files = self.filter.files_below(&trees)?;
        let known: BTreeSet<MeasuredPath> = files.iter().map(|(name, _)| name.clone()).collect();
        files.extend(
            measured
                .iter()
                .filter(|name| !known.contains(name) && self.filter.is_reported(name))
                .map(|name| (name.clone(), self.filter.file_of(name)))
                .filter(|(_, file)| file.is_file()),
        );
        Ok(read_files(&files, self.root(), &self.exclusions)?)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let exit = if matches!(error, SourceError::Read { .. }) { Exit::Io } else { Exit::BadInput };
        Self::new(exit, error.code(), error.to_string())
    }
}

impl From<playtrace_analysis::AnalysisError> for Failure {
    fn from(error: playtrace_analysis::AnalysisError) -> Self {
        Self::new(Exit::BadInput, error.code(), error.to_string())
    }
}

impl From<playtrace_report::ReportError> for Failure {
    fn from(error: playtrace_report::ReportError) -> Self {
        Self::new(Exit::Io, error.code(), error.to_string())
    }
}

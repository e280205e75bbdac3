//! The source tree that a command looks at: configuration, files of interest, their statements and symbols.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_covdata::config::Release;
use playtrace_covdata::{CovdataError, CoverageConfig, FileFilter, Installation};
use playtrace_model::MeasuredPath;
use playtrace_pysource::{
    AnalyzedFile, CoverageRelease, Exclusions, Mapped, PythonVersion, Rules, SourceCache, SourceError,
    SourceTree, map_files, read_files, regex_problem,
};

use crate::exit::Exit;
use crate::messages::{Failure, note};

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
    /// The coverage.py whose default exclusions and other rules apply: 7.11 or 7.17
    #[arg(long, value_name = "VERSION", default_value = "7.11")]
    pub coverage_version: CoverageRelease,
    /// Where results are kept, so that unchanged files are not analysed twice [default: playtrace in the user's cache directory]
    #[arg(long, value_name = "DIR", env = "PLAYTRACE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Analyse everything, and keep nothing
    #[arg(long)]
    pub no_cache: bool,
}

impl SourceArgs {
    /// The cache that was asked for; without a home there is none.
    fn cache(&self) -> Option<SourceCache> {
        let below = |variable: &str, rest: &str| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(|home| Path::new(&home).join(rest))
        };
        let directory = match &self.cache_dir {
            _ if self.no_cache => None,
            Some(directory) => Some(directory.clone()),
            None => below("XDG_CACHE_HOME", "playtrace").or_else(|| below("HOME", ".cache/playtrace")),
        }?;
        Some(SourceCache::new(directory, this_build()))
    }
}

/// What tells this program from every other build of it: results of another are not to be trusted.
fn this_build() -> String {
    let program = std::env::current_exe().and_then(fs_err::metadata);
    let built = program.ok().map(|file| (file.len(), file.modified().ok()));
    format!("{} {built:?}", env!("CARGO_PKG_VERSION"))
}

/// The Python of a tree, for commands that have no data which says it.
#[derive(Debug, Clone, clap::Args)]
pub struct PythonArg {
    /// The Python that runs the code (3.12, 3.13): which lines have code differs between versions
    #[arg(long, value_name = "VERSION", env = "PLAYTRACE_PYTHON_VERSION")]
    pub python_version: PythonVersion,
}

/// A tree's root and its configuration.
#[derive(Debug)]
pub struct Project {
    /// What relative names are relative to.
    pub root: PathBuf,
    /// The configuration; a command may change it before it is applied.
    pub config: CoverageConfig,
    /// The coverage.py by whose rules it was read.
    pub release: Release,
}

impl Project {
    /// Reads the configuration.
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
        let release = release_of(args.coverage_version);
        let config = match &args.config {
            Some(config) => CoverageConfig::read_for(config, release, &environment)?,
            None if usual.is_file() => CoverageConfig::read_for(&usual, release, &environment)?,
            None => CoverageConfig::discover(root, None, release, &environment)?,
        };
        check_regexes(&config)?;
        Ok(Self { root: root.to_owned(), config, release })
    }

    /// Names what the configuration holds and coverage.py does not know: a slip of the pen there changes numbers without a word.
    pub fn say_unknown(&self) {
        for notice in self.config.notices.iter().filter(|notice| notice.is_unknown) {
            let place = format!("{}:{}", notice.path.display(), notice.line);
            note(&format!("{place}: {} is ignored: {}", notice.key, notice.why));
        }
    }
}

/// As coverage.py, which refuses a regular expression that is none when it reads it, whatever it is for.
fn check_regexes(config: &CoverageConfig) -> Result<(), Failure> {
    for configured in &config.regexes {
        if let Some(problem) = regex_problem(&configured.regex) {
            let (path, line) = (configured.path.clone(), configured.line);
            let message =
                format!("{}: {:?} is no regular expression: {problem}", configured.key, configured.regex);
            return Err(CovdataError::Config { path, line, message }.into());
        }
    }
    Ok(())
}

/// A configuration applied to a tree.
#[derive(Debug)]
pub struct Sources {
    filter: FileFilter,
    rules: Rules,
    cache: Option<SourceCache>,
}

impl Sources {
    /// Reads the configuration; the files themselves are read by [`Sources::read`].
    pub fn open(args: &SourceArgs, python: PythonVersion) -> Result<Self, Failure> {
        let project = Project::open(args)?;
        project.say_unknown();
        Self::of(args, &project, python)
    }

    /// Applies the configuration that `project` holds.
    pub fn of(args: &SourceArgs, project: &Project, python: PythonVersion) -> Result<Self, Failure> {
        if !python.is_verified() {
            note(&format!(
                "Python {python}: its compiler's rules are unverified; results may differ from coverage.py's"
            ));
        }
        let Project { root, config, .. } = project;
        let filter = FileFilter::new(config, root, &Installation::default())?;
        let exclusions = Exclusions::new(&config.exclude)?;
        let rules = Rules { python, coverage: args.coverage_version, exclusions };
        Ok(Self { filter, rules, cache: args.cache() })
    }

    /// The root, canonical.
    pub fn root(&self) -> &Path {
        self.filter.root()
    }

    /// Analyses files, each with its name in data.
    pub fn analyze(&self, files: &[(MeasuredPath, PathBuf)]) -> Result<SourceTree, Failure> {
        Ok(read_files(files, self.root(), &self.rules, self.cache.as_ref())?)
    }

    /// The name of a file in data.
    pub fn measured_path(&self, file: &Path) -> MeasuredPath {
        self.filter.measured_path(file)
    }

    /// The file that a name in data stands for.
    pub fn file_of(&self, measured: &MeasuredPath) -> PathBuf {
        self.filter.file_of(measured)
    }

    /// Whether `[report] include` and `omit` let a measured file into reports.
    pub fn is_reported(&self, measured: &MeasuredPath) -> bool {
        self.filter.is_reported(measured)
    }

    /// `dirs`; where there are none, the configuration's `source`, else the root.
    fn trees(&self, dirs: &[PathBuf]) -> Vec<PathBuf> {
        match (dirs, self.filter.source_trees()) {
            ([], trees) if trees.is_empty() => vec![self.root().to_owned()],
            ([], trees) => trees,
            (dirs, _) => dirs.to_vec(),
        }
    }

    /// As [`Sources::read`], for who needs less than everything: `each` is called for a file as soon as it is analysed, on
    /// the thread that did it.
    pub fn map<T: Send>(
        &self,
        dirs: &[PathBuf],
        each: impl Fn(AnalyzedFile) -> T + Sync,
    ) -> Result<Mapped<T>, Failure> {
        let trees = self.trees(dirs);
        let files: Box<dyn Iterator<Item = Result<_, Failure>> + Send> = match trees.as_slice() {
            // The walk goes on while the first files are analysed.
            [tree] => Box::new(self.filter.walk(tree).map(|file| file.map_err(Failure::from))),
            // One may lie within another.
            trees => Box::new(self.filter.files_below(trees)?.into_iter().map(Ok)),
        };
        map_files(files, self.root(), &self.rules, self.cache.as_ref(), each)
    }

    /// Analyses the files of interest below `dirs` (where there are none: below the configuration's `source`, else
    /// below the root), and besides them those of `measured` that are there and that reports show.
    pub fn read(&self, dirs: &[PathBuf], measured: &BTreeSet<MeasuredPath>) -> Result<SourceTree, Failure> {
        let trees = self.trees(dirs);
        let mut files = self.filter.files_below(&trees)?;
        let known: BTreeSet<MeasuredPath> = files.iter().map(|(name, _)| name.clone()).collect();
        files.extend(
            measured
                .iter()
                .filter(|name| !known.contains(name) && self.filter.is_reported(name))
                .map(|name| (name.clone(), self.filter.file_of(name)))
                .filter(|(_, file)| file.is_file()),
        );
        self.analyze(&files)
    }
}

/// The release as the configuration's reader knows it: of a series, the one that sources are compared with.
fn release_of(coverage: CoverageRelease) -> Release {
    match coverage {
        CoverageRelease::V7_17 => "7.17.5".parse().unwrap_or_default(),
        _ => Release::PINNED,
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

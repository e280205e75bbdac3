//! What to look at: the command line, then `[tool.playtrace]` of `pyproject.toml`, then the environment, then the usual places.

use std::path::{Path, PathBuf};

use playtrace_covdata::config::Release;
use playtrace_pysource::{CoverageRelease, PythonVersion};
use serde::Deserialize;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::nightly::list::USUAL_PLACE;
use crate::sources::SourceArgs;

/// The inventory's usual name, and where it usually lies: below the root, or beside the artifacts.
const INVENTORY: &str = "coverage-symbols.json";
const ARTIFACTS: [&str; 2] = ["docs/work-packages/20251109_profile_playback_coverage/artifacts", "artifacts"];
/// The configuration's usual name.
const CONFIG: &str = "coverage.profile-playback.ini";

/// What the command line says.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Asked {
    /// Directories with Python packages, as they were given to `index build` [default: the config's source, else the source root]
    #[arg(value_name = "DIR")]
    pub roots: Vec<PathBuf>,
    /// The repository's root: other paths are below it
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: PathBuf,
    /// The stored inventory [default: coverage-symbols.json below the root, or beside the artifacts]
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// The coverage config [default: coverage.profile-playback.ini below the source root]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What measured paths are relative to [default: the config's directory, else the repository's root]
    #[arg(long = "source", value_name = "DIR")]
    pub source_root: Option<PathBuf>,
    /// The Python that runs the code [default: the one that the inventory names]
    #[arg(long, value_name = "VERSION")]
    pub python_version: Option<PythonVersion>,
    /// The coverage.py by whose rules the inventory is made: 7.11 or 7.17 [default: the one that the inventory names]
    #[arg(long, value_name = "VERSION")]
    pub coverage_version: Option<CoverageRelease>,
    /// The coverage.py that must be pinned and installed [default: 7.11.3]
    #[arg(long, value_name = "RELEASE")]
    pub coverage_py: Option<Release>,
    /// Requirement files that pin coverage.py [default: requirements*.txt below the root]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub requirements: Vec<PathBuf>,
    /// The virtual environment that has it installed [default: `VIRTUAL_ENV`, else .venv below the root]
    #[arg(long, value_name = "DIR")]
    pub venv: Option<PathBuf>,
    /// The folder that contains the profiles [default: `PROFILE_PLAYBACK_ROOT`, else profiles below the root, where there is one]
    #[arg(long, value_name = "DIR")]
    pub profiles_root: Option<PathBuf>,
    /// How the app wants to be replayed: a preset's file, or the name of a built-in one [default: weppcloud]
    #[arg(long, value_name = "FILE")]
    pub preset: Option<String>,
    /// The list of profiles [default: .github/forest_workflows/playback-profiles.yml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Write inventory and workflows again where they differ
    #[arg(long)]
    pub fix: bool,
    /// Where results are kept, so that unchanged files are not analysed twice [default: playtrace in the user's cache directory]
    #[arg(long, value_name = "DIR", env = "PLAYTRACE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Analyse everything, and keep nothing
    #[arg(long)]
    pub no_cache: bool,
}

/// `[tool.playtrace]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    roots: Vec<PathBuf>,
    inventory: Option<PathBuf>,
    config: Option<PathBuf>,
    source: Option<PathBuf>,
    python_version: Option<String>,
    coverage_version: Option<String>,
    coverage_py: Option<String>,
    requirements: Vec<PathBuf>,
    venv: Option<PathBuf>,
    profiles_root: Option<PathBuf>,
    preset: Option<String>,
    list: Option<PathBuf>,
    /// Patterns that may match nothing.
    allow_unmatched: Vec<String>,
}

/// The part of `pyproject.toml` that is ours.
#[derive(Debug, Default, Deserialize)]
struct Project {
    #[serde(default)]
    tool: Tools,
}

#[derive(Debug, Default, Deserialize)]
struct Tools {
    playtrace: Option<Table>,
}

/// Everything that is looked at; all paths can be opened from here.
#[derive(Debug, Clone)]
pub struct Place {
    /// The repository's root, canonical.
    pub root: PathBuf,
    /// Directories with Python packages; empty: the config's source, else the source root.
    pub roots: Vec<PathBuf>,
    /// The stored inventory.
    pub inventory: PathBuf,
    /// Source root, configuration, cache.
    pub source: SourceArgs,
    /// The Python, if one was named.
    pub python: Option<PythonVersion>,
    /// Whether the rules of a coverage.py were named; else they are the inventory's.
    pub names_rules: bool,
    /// The coverage.py that must be pinned and installed.
    pub coverage_py: Release,
    /// Files that pin it.
    pub requirements: Vec<PathBuf>,
    /// Whether somebody named these files.
    pub names_requirements: bool,
    /// The environment that has it.
    pub venv: Option<PathBuf>,
    /// The profiles, if there are some.
    pub profiles_root: Option<PathBuf>,
    /// A preset's name or file.
    pub preset: String,
    /// The list of profiles, below the root, if there is one.
    pub list: Option<PathBuf>,
    /// Patterns that may match nothing.
    pub allow_unmatched: Vec<String>,
    /// Whether to write again what differs.
    pub fix: bool,
}

impl Place {
    /// Puts together what is said.
    pub fn new(asked: Asked) -> Result<Self, Failure> {
        let root = fs_err::canonicalize(&asked.root).map_err(|error| wrong(&error.to_string()))?;
        let table = table(&root)?;
        let here = |path: PathBuf| root.join(path);
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let named = |given: Option<PathBuf>, stored: Option<PathBuf>| given.or_else(|| stored.map(here));
        let parsed = |text: &Option<String>| text.as_deref().map(str::parse::<PythonVersion>).transpose();
        let config = named(asked.config, table.config)
            .or_else(|| variable("PROFILE_COVERAGE_CONFIG").map(PathBuf::from))
            .or_else(|| Some(here(CONFIG.into())).filter(|path| path.is_file()));
        let source_root = named(asked.source_root, table.source)
            .or_else(|| variable("PROFILE_COVERAGE_ROOT").map(PathBuf::from))
            .or_else(|| Some(root.clone()).filter(|_| config.is_none()));
        let python = asked
            .python_version
            .map_or_else(|| parsed(&table.python_version), |python| Ok(Some(python)))?
            .map_or_else(|| parsed(&variable("PLAYTRACE_PYTHON_VERSION")), |python| Ok(Some(python)))?;
        let rules = match (asked.coverage_version, &table.coverage_version) {
            (Some(rules), _) => Some(rules),
            (None, Some(text)) => Some(text.parse()?),
            (None, None) => None,
        };
        let coverage_py = match (asked.coverage_py, &table.coverage_py) {
            (Some(release), _) => release,
            (None, Some(text)) => text.parse().map_err(|why: String| wrong(&why))?,
            (None, None) => Release::PINNED,
        };
        let inventory = named(asked.inventory, table.inventory).unwrap_or_else(|| {
            let usual = ARTIFACTS.iter().map(|dir| here(Path::new(dir).join(INVENTORY)));
            usual
                .chain([here(INVENTORY.into())])
                .find(|path| path.is_file())
                .unwrap_or_else(|| here(INVENTORY.into()))
        });
        let requirements: Vec<PathBuf> = if asked.requirements.is_empty() {
            table.requirements.into_iter().map(here).collect()
        } else {
            asked.requirements
        };
        let names_requirements = !requirements.is_empty();
        let requirements = if names_requirements { requirements } else { usual_requirements(&root) };
        let profiles_root = named(asked.profiles_root, table.profiles_root)
            .or_else(|| variable("PROFILE_PLAYBACK_ROOT").map(PathBuf::from))
            .or_else(|| Some(here("profiles".into())).filter(|path| path.is_dir()));
        let preset = asked.preset.or_else(|| table.preset.map(|name| preset_below(&root, name)));
        let list = asked
            .list
            .or(table.list)
            .or_else(|| Some(PathBuf::from(USUAL_PLACE)).filter(|list| root.join(list).is_file()));
        let roots =
            if asked.roots.is_empty() { table.roots.into_iter().map(here).collect() } else { asked.roots };
        Ok(Self {
            roots,
            inventory,
            source: SourceArgs {
                root: source_root,
                config,
                coverage_version: rules.unwrap_or_default(),
                cache_dir: asked.cache_dir,
                no_cache: asked.no_cache,
            },
            python,
            names_rules: rules.is_some(),
            coverage_py,
            requirements,
            names_requirements,
            venv: named(asked.venv, table.venv)
                .or_else(|| variable("VIRTUAL_ENV").map(PathBuf::from))
                .or_else(|| Some(here(".venv".into())).filter(|path| path.is_dir())),
            profiles_root,
            preset: preset.unwrap_or_else(|| playtrace_replay::DEFAULT_PRESET.to_owned()),
            list,
            allow_unmatched: table.allow_unmatched,
            fix: asked.fix,
            root,
        })
    }
}

/// A preset's file is named from the root; a built-in one's name is a name.
fn preset_below(root: &Path, name: String) -> String {
    let path = root.join(&name);
    if path.is_file() { path.to_string_lossy().into_owned() } else { name }
}

fn usual_requirements(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(root) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_text = Path::new(&name).extension().is_some_and(|extension| extension == "txt");
            is_text && name.starts_with("requirements")
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

fn table(root: &Path) -> Result<Table, Failure> {
    let path = root.join("pyproject.toml");
    let Ok(text) = fs_err::read_to_string(&path) else { return Ok(Table::default()) };
    let project: Project = toml::from_str(&text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Failure::new(
            Exit::BadInput,
            "PT-CHECK-001",
            format!("pyproject.toml:{line}: {}", error.message().trim()),
        )
        .help("docs/dev-notes/check.md lists the keys of [tool.playtrace]")
    })?;
    Ok(project.tool.playtrace.unwrap_or_default())
}

fn wrong(why: &str) -> Failure {
    Failure::new(Exit::BadInput, "PT-CHECK-002", why).help("check --root and the paths of [tool.playtrace]")
}

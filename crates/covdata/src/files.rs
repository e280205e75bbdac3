//! Which files are measured, and under which names.

use std::path::{Path, PathBuf};

use playtrace_model::MeasuredPath;
use walkdir::WalkDir;

use crate::config::CoverageConfig;
use crate::glob::GlobMatcher;
use crate::location::absolute;
use crate::{CovdataError, location};

/// Where the interpreter keeps code that is not the app's. The caller asks it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installation {
    /// Directories of the standard library.
    pub stdlib: Vec<PathBuf>,
    /// Where packages are installed: `purelib`, `platlib` and `scripts` of each of `sysconfig`'s schemes.
    pub third_party: Vec<PathBuf>,
    /// The tracers' own code: `playtrace_agent`, and coverage.py where it is installed. Never traced.
    pub tracers: Vec<PathBuf>,
}

/// Traced or not, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Traced, under this name.
    Traced(MeasuredPath),
    /// Not traced.
    NotTraced {
        /// Why, as the end of a sentence that begins with the file's name.
        reason: &'static str,
    },
}

/// Decides by the configuration which files count: coverage.py's rules.
///
/// Compiled once; a decision takes microseconds and one look at the file system (links count by where they lead).
#[derive(Debug, Clone)]
pub struct FileFilter {
    root: PathBuf,
    relative: bool,
    source_dirs: Vec<String>,
    source_pkgs: Vec<String>,
    /// Source that lies where third-party code lies.
    source_in_third_party: Vec<String>,
    include: Option<GlobMatcher>,
    omit: GlobMatcher,
    report_include: Option<GlobMatcher>,
    report_omit: GlobMatcher,
    namespace_packages: bool,
    stdlib: Vec<String>,
    third_party: Vec<String>,
    tracers: Vec<String>,
}

impl FileFilter {
    /// Compiles a configuration; `root` is what relative paths and patterns are relative to.
    pub fn new(config: &CoverageConfig, root: &Path, installed: &Installation) -> Result<Self, CovdataError> {
        let root = std::fs::canonicalize(root).map_err(|source| CovdataError::Io {
            action: "find",
            path: root.to_owned(),
            source,
        })?;
        let mut dirs = config.source_dirs.clone();
        let mut source_pkgs = config.source_pkgs.clone();
        for source in &config.source {
            let list = if root.join(source).is_dir() { &mut dirs } else { &mut source_pkgs };
            list.push(source.clone());
        }
        if let Some(name) = dirs.iter().find(|name| !root.join(name).is_dir()) {
            return Err(CovdataError::Source { name: name.clone(), root });
        }
        if let Some(name) = source_pkgs.iter().find(|name| !could_be_module(name)) {
            return Err(CovdataError::Source { name: name.clone(), root });
        }
        let source_dirs: Vec<String> = dirs.iter().map(|dir| absolute(&root, dir)).collect();
        let third_party = both_names(&installed.third_party);
        let mut source_in_third_party: Vec<String> =
            source_dirs.iter().filter(|dir| in_trees(&third_party, dir)).cloned().collect();
        source_in_third_party.extend(packages_in(&third_party, &source_pkgs));
        let patterns =
            |patterns: &[String]| GlobMatcher::new(prepared(patterns, &root).iter().map(String::as_str));
        let outer = |list: &[String]| {
            if list.is_empty() { Ok(None) } else { patterns(list).map(Some) }
        };
        Ok(Self {
            include: outer(&config.run_include)?,
            omit: patterns(&config.run_omit)?,
            report_include: outer(&config.report_include)?,
            report_omit: patterns(&config.report_omit)?,
            relative: config.relative_files,
            namespace_packages: config.include_namespace_packages,
            stdlib: if config.cover_pylib { Vec::new() } else { both_names(&installed.stdlib) },
            tracers: both_names(&installed.tracers),
            source_dirs,
            source_pkgs,
            source_in_third_party,
            third_party,
            root,
        })
    }

    /// Decides on the code of `file` (a code object's `co_filename`, or `__file__` where it differs). `module` is its `__name__`, or
    /// `None` where that is unknown or `__main__`.
    pub fn disposition(&self, file: &str, module: Option<&str>) -> Disposition {
        let reason = if file.is_empty() {
            "has no name"
        } else if file.starts_with('<') || file.starts_with("memory:") {
            "is not a real file"
        } else {
            let path = absolute(&self.root, file);
            match self.refusal(&path, module) {
                None => return Disposition::Traced(self.named(&path)),
                Some(reason) => reason,
            }
        };
        Disposition::NotTraced { reason }
    }

    /// Whether a file lies, by its name, where Python keeps code that is not the app's. The configuration may count it all the same.
    pub fn is_installed(&self, file: &str) -> bool {
        [&self.stdlib, &self.third_party, &self.tracers].into_iter().any(|trees| in_trees(trees, file))
    }

    /// The name of a file in data.
    pub fn measured_path(&self, file: &Path) -> MeasuredPath {
        self.named(&absolute(&self.root, &file.to_string_lossy()))
    }

    /// The file that a name in data stands for.
    pub fn file_of(&self, measured: &MeasuredPath) -> PathBuf {
        self.root.join(measured.as_str())
    }

    /// Whether `[report] include` and `omit` let a measured file into reports.
    pub fn is_reported(&self, measured: &MeasuredPath) -> bool {
        // Without patterns it doesn't matter where a link leads; to find out takes a call for each part of the path.
        let has_patterns = self.report_include.is_some() || !self.report_omit.is_empty();
        !has_patterns || self.is_reported_at(&absolute(&self.root, measured.as_str()))
    }

    /// The same for an absolute path without links.
    fn is_reported_at(&self, path: &str) -> bool {
        self.report_include.as_ref().is_none_or(|include| include.matches(path))
            && !self.report_omit.matches(path)
    }

    /// The root, canonical.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directories and modules that the configuration names as source; empty when it names none.
    pub fn source_trees(&self) -> Vec<PathBuf> {
        self.source_dirs.iter().map(PathBuf::from).collect()
    }

    /// The Python files below `dirs` that are traced when they run and that reports show, sorted by name: the files of interest,
    /// touched or not. As with coverage.py, a directory without `__init__.py` (other than `dirs` themselves) holds no
    /// modules, unless `include_namespace_packages` is on.
    pub fn files_below(&self, dirs: &[PathBuf]) -> Result<Vec<(MeasuredPath, PathBuf)>, CovdataError> {
        let mut files = Vec::new();
        for dir in dirs {
            for file in self.walk(dir) {
                files.push(file?);
            }
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// As [`FileFilter::files_below`] for one directory, as a walk that goes on while the files are asked for: in no order.
    pub fn walk(
        &self,
        dir: &Path,
    ) -> impl Iterator<Item = Result<(MeasuredPath, PathBuf), CovdataError>> + Send {
        let dir = PathBuf::from(absolute(&self.root, &dir.to_string_lossy()));
        // Only packages that are named as source are told by modules' names.
        let top = if self.source_pkgs.is_empty() { None } else { import_top(&dir) };
        let enters = move |entry: &walkdir::DirEntry| {
            entry.depth() == 0
                || !entry.file_type().is_dir()
                || self.namespace_packages
                || entry.path().join("__init__.py").exists()
        };
        WalkDir::new(&dir).into_iter().filter_entry(enters).filter_map(move |entry| match entry {
            Ok(entry) => self.file_of_interest(entry, top.as_deref()).map(Ok),
            Err(error) => Some(Err(CovdataError::Io {
                action: "list",
                path: error.path().unwrap_or(&dir).to_owned(),
                source: error.into(),
            })),
        })
    }

    /// What a walk came to, if it counts; modules below it are imported from `top`.
    fn file_of_interest(
        &self,
        entry: walkdir::DirEntry,
        top: Option<&Path>,
    ) -> Option<(MeasuredPath, PathBuf)> {
        if entry.file_type().is_dir() || !looks_like_python(&entry.file_name().to_string_lossy()) {
            return None;
        }
        let module = top.and_then(|top| module_name(top, entry.path()));
        let text = entry.path().to_string_lossy();
        // The directory's name is without links, and no link was followed: only the entry itself can lead elsewhere.
        let path = if entry.path_is_symlink() { absolute(&self.root, &text) } else { text.into_owned() };
        if self.refusal(&path, module.as_deref()).is_some() || !self.is_reported_at(&path) {
            return None;
        }
        Some((self.named(&path), entry.into_path()))
    }

    fn named(&self, path: &str) -> MeasuredPath {
        let short = self.relative.then(|| Path::new(path).strip_prefix(&self.root).ok()).flatten();
        match short {
            Some(short) => MeasuredPath::new(short.to_string_lossy()),
            None => MeasuredPath::new(path),
        }
    }

    fn refusal(&self, path: &str, module: Option<&str>) -> Option<&'static str> {
        if in_trees(&self.tracers, path) {
            return Some("is part of the tracer");
        }
        if !self.source_dirs.is_empty() || !self.source_pkgs.is_empty() {
            let module = module.or_else(|| stem(path));
            let inside = module.is_some_and(|module| self.is_source_package(module))
                || in_trees(&self.source_dirs, path);
            if !inside {
                return Some("is outside the configured source");
            }
            if in_trees(&self.third_party, path) && !in_trees(&self.source_in_third_party, path) {
                return Some("is inside the configured source, but third-party code");
            }
        } else if let Some(include) = &self.include {
            if !include.matches(path) {
                return Some("fits no include pattern");
            }
        } else if in_trees(&self.stdlib, path) {
            return Some("is in the standard library");
        } else if in_trees(&self.third_party, path) {
            return Some("is third-party code");
        }
        self.omit.matches(path).then_some("fits an omit pattern")
    }

    fn is_source_package(&self, module: &str) -> bool {
        self.source_pkgs.iter().any(|package| {
            module.strip_prefix(package.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// Patterns of `[run] omit` and the like, for whoever asks what one of them matches.
#[derive(Debug, Clone)]
pub struct FilePatterns(GlobMatcher);

impl FilePatterns {
    /// Compiles patterns; those that don't begin with a wildcard count from `root` as well.
    pub fn new(patterns: &[String], root: &Path) -> Result<Self, CovdataError> {
        GlobMatcher::new(prepared(patterns, root).iter().map(String::as_str)).map(Self)
    }

    /// Whether an absolute path, without links, fits one of them.
    pub fn matches(&self, path: &str) -> bool {
        self.0.matches(path)
    }
}

/// Whether `path` is one of `trees` or lies below one.
fn in_trees(trees: &[String], path: &str) -> bool {
    trees.iter().any(|tree| {
        path.strip_prefix(tree.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Directories under the name they were given and under the one without links.
fn both_names(dirs: &[PathBuf]) -> Vec<String> {
    let mut names = Vec::with_capacity(dirs.len());
    for dir in dirs {
        let given = dir.to_string_lossy().trim_end_matches('/').to_owned();
        let real = absolute(Path::new("/"), &given);
        names.extend([given, real]);
    }
    names.sort();
    names.dedup();
    names
}

/// Patterns that don't start with a wildcard count from the root as well.
fn prepared(patterns: &[String], root: &Path) -> Vec<String> {
    let mut prepared = Vec::with_capacity(patterns.len() * 2);
    for pattern in patterns {
        prepared.push(pattern.clone());
        if !pattern.starts_with(['*', '?']) {
            prepared.push(location::absolute(root, pattern));
        }
    }
    prepared
}

/// Where packages lie among third-party code.
fn packages_in(third_party: &[String], packages: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for dir in third_party {
        for package in packages {
            let place = Path::new(dir).join(package.replace('.', "/"));
            if place.is_dir() {
                found.push(place);
            } else if place.with_extension("py").is_file() {
                found.push(place.with_extension("py"));
            }
        }
    }
    both_names(&found)
}

fn could_be_module(name: &str) -> bool {
    name.split('.').all(|part| {
        part.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// What a module is called when nothing but its file is known.
fn stem(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    [".py", ".pyw", ".pyc", ".so"].iter().find_map(|suffix| name.strip_suffix(suffix))
}

/// What the files below `dir` are imported from: `dir`, or where it is inside packages, the parent of the outermost.
fn import_top(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|top| !top.join("__init__.py").exists()).map(Path::to_owned)
}

/// The dotted name of a file below an import root.
fn module_name(top: &Path, file: &Path) -> Option<String> {
    let relative = file.strip_prefix(top).ok()?.with_extension("");
    let mut parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    if parts.last().is_some_and(|last| last == "__init__") {
        parts.pop();
    }
    Some(parts.join("."))
}

/// An importable module's name; others are editors' leftovers.
fn looks_like_python(name: &str) -> bool {
    let stem = name.strip_suffix(".py").or_else(|| name.strip_suffix(".pyw"));
    stem.is_some_and(|stem| !stem.is_empty() && !stem.contains(|c| ".#~!$@%^&*()+=,".contains(c)))
}

#[cfg(test)]
mod tests;

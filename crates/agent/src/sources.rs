//! Which files are measured, under which name, and what they looked like when they were loaded.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use playtrace_covdata::{CoverageConfig, Disposition, FileFilter, Installation};
use playtrace_model::{MeasuredPath, SourceHash};
use playtrace_tracer::FileId;
use sha2::{Digest as _, Sha256};

use crate::error::AgentError;

#[derive(Debug)]
struct Source {
    path: MeasuredPath,
    hash: Option<SourceHash>,
}

/// What is known of a file name.
pub(crate) enum Known {
    /// Nothing yet.
    Unseen,
    /// It is not of interest.
    NotTraced,
    /// It is.
    Traced(FileId),
}

/// The files of interest that this process has run.
#[derive(Debug)]
pub(crate) struct Sources {
    filter: FileFilter,
    /// What relative `co_filename`s are relative to: where the process began, whatever it does later.
    started_in: PathBuf,
    files: Vec<Source>,
    /// By `co_filename`; `None` is not of interest.
    known: HashMap<String, Option<FileId>>,
    by_path: BTreeMap<MeasuredPath, FileId>,
}

/// Reads the configuration: `file`, which must exist, or coverage.py's defaults.
pub(crate) fn read_config(file: Option<&Path>) -> Result<CoverageConfig, AgentError> {
    let Some(file) = file else { return Ok(CoverageConfig::default()) };
    Ok(CoverageConfig::read(file, &|name: &str| std::env::var(name).ok())?)
}

impl Sources {
    pub(crate) fn new(
        config: &CoverageConfig,
        root: &Path,
        installed: &Installation,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            filter: FileFilter::new(config, root, installed)?,
            started_in: std::env::current_dir().unwrap_or_else(|_| root.to_owned()),
            files: Vec::new(),
            known: HashMap::new(),
            by_path: BTreeMap::new(),
        })
    }

    /// What is known of a `co_filename`.
    pub(crate) fn known(&self, filename: &str) -> Known {
        match self.known.get(filename) {
            None => Known::Unseen,
            Some(None) => Known::NotTraced,
            Some(Some(file)) => Known::Traced(*file),
        }
    }

    /// Decides on the file of a module that is about to be imported, so that the first request that runs its code need not read it.
    /// Installed code is left for then: most of it is of no interest, and a process imports thousands of its files.
    pub(crate) fn foresee(&mut self, filename: &str, module: &str) {
        if !self.known.contains_key(filename) && !self.filter.is_installed(filename) {
            self.decide(filename, Some(filename), Some(module));
        }
    }

    /// Decides on a `co_filename`, with what the module that it runs in says of itself. Reads the file.
    pub(crate) fn decide(
        &mut self,
        filename: &str,
        dunder_file: Option<&str>,
        module: Option<&str>,
    ) -> Option<FileId> {
        let found = self.look_at(filename, dunder_file, module);
        self.known.insert(filename.to_owned(), found);
        found
    }

    /// Decides on a file by its name and its module's, once.
    pub(crate) fn decide_known(&mut self, filename: &str, module: Option<&str>) -> Option<FileId> {
        match self.known(filename) {
            Known::Traced(file) => Some(file),
            Known::NotTraced => None,
            Known::Unseen => self.decide(filename, Some(filename), module),
        }
    }

    fn look_at(&mut self, filename: &str, dunder_file: Option<&str>, module: Option<&str>) -> Option<FileId> {
        // A compiled file may have been moved: then the module knows where its source is. Templates and `exec` run code of
        // another file within a module.
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().trim_end_matches('c').to_owned();
        let moved = dunder_file.filter(|file| !filename.starts_with('<') && base(file) == base(filename));
        let name = moved.map_or(filename, |file| file.strip_suffix('c').unwrap_or(file));
        let path = if name.starts_with('<') || name.is_empty() {
            name.to_owned()
        } else {
            self.started_in.join(name).to_string_lossy().into_owned()
        };
        let Disposition::Traced(measured) = self.filter.disposition(&path, module) else { return None };
        if let Some(id) = self.by_path.get(&measured) {
            return Some(*id);
        }
        let id = FileId(u32::try_from(self.files.len()).ok()?);
        let hash = std::fs::read(&path).ok().map(|bytes| SourceHash::from_digest(&Sha256::digest(bytes)));
        self.files.push(Source { path: measured.clone(), hash });
        self.by_path.insert(measured, id);
        Some(id)
    }

    /// The name under which a file stands in data.
    pub(crate) fn path(&self, file: FileId) -> &MeasuredPath {
        &self.files[file.0 as usize].path
    }

    /// The content's hash, if it could be read.
    pub(crate) fn hash(&self, file: FileId) -> Option<&SourceHash> {
        self.files[file.0 as usize].hash.as_ref()
    }
}

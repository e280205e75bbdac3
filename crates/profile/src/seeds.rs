//! The files that were uploaded in a recorded session, by kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::ProfileError;

/// The seed files of a profile: `capture/seed/uploads/<kind>/…` and `capture/seed/config/…`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seeds {
    root: PathBuf,
    uploads: BTreeMap<String, Vec<PathBuf>>,
    config: Vec<PathBuf>,
}

impl Seeds {
    /// Lists the files under `capture/seed`; a profile without that folder has none.
    pub fn read(seed_dir: &Path) -> Result<Self, ProfileError> {
        let mut uploads: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let uploads_dir = seed_dir.join("uploads");
        for file in files(&uploads_dir)? {
            let kind = file.strip_prefix(&uploads_dir).ok().filter(|path| path.components().count() > 1);
            if let Some(kind) = kind.and_then(|path| path.iter().next()) {
                uploads.entry(kind.to_string_lossy().into_owned()).or_default().push(file.clone());
            }
        }
        Ok(Self { root: seed_dir.to_owned(), uploads, config: files(&seed_dir.join("config"))? })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The uploaded files of a kind, sorted by name.
    pub fn uploads(&self, kind: &str) -> &[PathBuf] {
        self.uploads.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The kinds of which there are files, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.uploads.keys().map(String::as_str)
    }

    /// The configuration files, sorted.
    pub fn config(&self) -> &[PathBuf] {
        &self.config
    }
}

/// All files under `dir`, sorted; none if there is no such folder.
fn files(dir: &Path) -> Result<Vec<PathBuf>, ProfileError> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in WalkDir::new(dir).sort_by_file_name() {
        let entry = entry.map_err(|error| ProfileError::Read {
            path: error.path().unwrap_or(dir).to_owned(),
            source: error.into(),
        })?;
        // Editors and file managers leave dot files behind; none was ever uploaded.
        if entry.file_type().is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

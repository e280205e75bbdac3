//! "Nothing changed since": a file that holds a digest of what a step was made from.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use crate::Failure;

/// A step's memory of its inputs.
pub(crate) struct Stamp {
    path: PathBuf,
    digest: String,
}

impl Stamp {
    /// The stamp at `path` for these inputs: texts and the contents of files (directories with all below them).
    pub(crate) fn new(path: PathBuf, texts: &[&str], inputs: &[PathBuf]) -> Result<Self, Failure> {
        let mut hasher = DefaultHasher::new();
        texts.hash(&mut hasher);
        for input in inputs {
            hash_tree(input, &mut hasher)?;
        }
        Ok(Self { path, digest: format!("{:016x}", hasher.finish()) })
    }

    /// Whether the step was done with these inputs.
    pub(crate) fn is_fresh(&self) -> bool {
        fs_err::read_to_string(&self.path).is_ok_and(|text| text == self.digest)
    }

    /// Remembers that it was.
    pub(crate) fn set(&self) -> Result<(), Failure> {
        fs_err::write(&self.path, &self.digest).map_err(|error| error.to_string())
    }
}

fn hash_tree(path: &Path, hasher: &mut DefaultHasher) -> Result<(), Failure> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs_err::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(|error: std::io::Error| error.to_string())?;
        entries.sort();
        for entry in entries {
            let made = entry.file_name().is_some_and(|name| name == "__pycache__" || name == "target")
                || entry.extension().is_some_and(|ending| ending == "so" || ending == "pyc");
            if !made {
                hash_tree(&entry, hasher)?;
            }
        }
        return Ok(());
    }
    path.hash(hasher);
    fs_err::read(path).map_err(|error| error.to_string())?.hash(hasher);
    Ok(())
}

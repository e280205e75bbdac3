//! Which shards lie in a directory, and whose they are.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use playtrace_model::{RunToken, Slug};
use rayon::prelude::*;

use super::ShardName;
use super::name::{is_foreign, owner};
use crate::CovdataError;
use crate::data::Ownership;

/// A shard as it lies on disk.
#[derive(Debug)]
pub struct ShardInfo {
    /// Where it is.
    pub path: PathBuf,
    /// Its name, taken apart.
    pub name: ShardName,
    /// Whose it says it is (nobody's, if coverage.py wrote it), or why it can't be read.
    pub owner: Result<Ownership, CovdataError>,
    /// Bytes, its leftover journal included.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

impl ShardInfo {
    /// The run that it says it belongs to; `None` if it can't be read or doesn't say.
    pub fn run(&self) -> Option<&RunToken> {
        self.owner.as_ref().ok()?.run.as_ref()
    }
}

/// The shards in `dir`, sorted by name. One that vanishes while we look is left out.
pub fn list(dir: &Path) -> Result<Vec<ShardInfo>, CovdataError> {
    list_where(dir, |_| true)
}

/// The shards of one profile in `dir`, sorted by name.
pub fn list_of(dir: &Path, slug: &Slug) -> Result<Vec<ShardInfo>, CovdataError> {
    list_where(dir, |name| name.slug == *slug)
}

fn list_where(dir: &Path, wanted: impl Fn(&ShardName) -> bool) -> Result<Vec<ShardInfo>, CovdataError> {
    let fault = |source| CovdataError::Io { action: "list", path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(fault)? {
        let file_name = entry.map_err(fault)?.file_name();
        // A name that is not UTF-8 holds no slug.
        if let Some(name) = file_name.to_str().and_then(ShardName::parse).filter(&wanted) {
            names.push((dir.join(&file_name), name));
        }
    }
    names.sort();
    let shards = names.into_par_iter().filter_map(|(path, name)| {
        let owner = Ownership::read(&path);
        if let Err(CovdataError::Missing { .. }) = owner {
            return None;
        }
        let meta = std::fs::metadata(&path).ok();
        let journal = std::fs::metadata(crate::data::sidecar(&path, "-journal")).map_or(0, |meta| meta.len());
        let size = meta.as_ref().map_or(0, std::fs::Metadata::len) + journal;
        let modified = meta.and_then(|meta| meta.modified().ok());
        Some(ShardInfo { path, name, owner, size, modified })
    });
    Ok(shards.collect())
}

/// A file that is called as data files are, and belongs to no profile.
#[derive(Debug)]
pub struct ForeignFile {
    /// Where it is.
    pub path: PathBuf,
    /// Host and process that wrote it, where its name says so.
    pub owner: Option<(String, u32)>,
    /// Bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

/// The files in `dir` whose names are like those of data files and are no shards' of a profile, sorted by name: nothing here
/// merges them unasked.
pub fn foreign_files(dir: &Path) -> Result<Vec<ForeignFile>, CovdataError> {
    let fault = |source| CovdataError::Io { action: "list", path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let (true, Ok(meta)) = (is_foreign(&name), path.symlink_metadata()) {
            files.push(ForeignFile {
                path,
                owner: owner(&name),
                size: meta.len(),
                modified: meta.modified().ok(),
            });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

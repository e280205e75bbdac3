//! Which shards lie in a directory, and whose they are.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use playtrace_model::{RunToken, Slug};
use rayon::prelude::*;

use super::ShardName;
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

/// The shards in `dir`, sorted by name. One that vanishes while we look is left out.
pub fn list(dir: &Path) -> Result<Vec<ShardInfo>, CovdataError> {
    list_where(dir, |_| true)
}

/// The shards of a profile in `dir`, sorted; of one run of it, if `run` is given.
///
/// Whose a shard is stands inside it, so one that can't be read can't tell its run: it is in the list, and
/// merging will name it.
pub fn shards_of(dir: &Path, slug: &Slug, run: Option<&RunToken>) -> Result<Vec<PathBuf>, CovdataError> {
    let wanted = |shard: &ShardInfo| match (&shard.owner, run) {
        (Ok(owner), Some(run)) => owner.run.as_ref() == Some(run),
        (Err(_), _) | (_, None) => true,
    };
    let shards = list_where(dir, |name| name.slug == *slug)?;
    Ok(shards.into_iter().filter(wanted).map(|shard| shard.path).collect())
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

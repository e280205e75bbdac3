//! Writing to a shard that nobody holds open: it may have several writers.

use std::collections::HashMap;
use std::path::Path;

use playtrace_model::{LineData, RunToken, Slug};
use rusqlite::OptionalExtension as _;

use super::{Rows, ShardDraft, Transaction, fault, open, place};
use crate::{CovdataError, schema};

/// What became of data that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Added {
    /// It is there.
    Everything,
    /// The file says something else under one of the keys: nothing was added.
    NothingAsMetaDiffers,
}

/// Adds to the shard at `path`, which is there, in one transaction. `meta` is added to what stands there, and must not differ.
pub(in crate::shard) fn add_to(
    path: &Path,
    data: &LineData,
    meta: &[(String, String)],
) -> Result<Added, CovdataError> {
    if !path.exists() {
        return Err(CovdataError::Missing { path: path.to_owned() });
    }
    let fault = |source| fault(path, source);
    let db = open(path).map_err(fault)?;
    let transaction = Transaction::begin(&db).map_err(fault)?;
    for (key, value) in meta {
        let known: Option<String> = db
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
            .map_err(fault)?;
        match known {
            Some(known) if known != *value => return Ok(Added::NothingAsMetaDiffers),
            Some(_) => {}
            None => schema::add_meta(&db, &[(key, value)]).map_err(fault)?,
        }
    }
    let (files, contexts) = (&mut HashMap::new(), &mut HashMap::new());
    Rows::new(transaction.db, files, contexts).add_all(data).map_err(fault)?;
    transaction.commit().map_err(fault)?;
    Ok(Added::Everything)
}

/// Makes a shard; it appears whole. `None` where that name is taken.
pub(in crate::shard) fn create_as(
    draft: &mut ShardDraft,
    dir: &Path,
    name: &str,
    of: (&Slug, &RunToken),
    data: &LineData,
    meta: &[(String, String)],
) -> Result<Option<String>, CovdataError> {
    let image = draft
        .filled(of, data, meta, (&mut HashMap::new(), &mut HashMap::new()))
        .map_err(|source| CovdataError::Sqlite { action: "prepare", path: dir.to_owned(), source })?;
    let mut names = std::iter::once(name.to_owned());
    place(dir, &image, || names.next()).map(|placed| placed.map(|(_, file_name, _)| file_name))
}

//! Which files to merge.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::data::identity_at;
use crate::{CovdataError, GlobMatcher};

/// What `SQLite` leaves beside its files.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The files that `coverage combine` would merge into `data_file`, sorted, `data_file` itself left out.
///
/// A path that names a file is that file; one that names a directory (without paths: the directory of
/// `data_file`) stands for what is called `<name of data_file>.*` there. Such a name may turn out to be a
/// directory or a dangling link: reading it will say so. A path that names nothing and has `*`, `?` or `[…]` in it is a
/// pattern that no shell has expanded.
pub fn combinable_files(data_file: &Path, paths: &[PathBuf]) -> Result<Vec<PathBuf>, CovdataError> {
    let name = data_file.file_name().unwrap_or_default();
    let mut prefix = name.to_owned();
    prefix.push(".");
    let here = [match data_file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }];
    let mut files = BTreeSet::new();
    let expanded: Vec<PathBuf> =
        paths.iter().map(|path| expand(path)).collect::<Result<Vec<_>, _>>()?.concat();
    for path in if paths.is_empty() { &here[..] } else { &expanded } {
        let meta = fs_err::symlink_metadata(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => CovdataError::Missing { path: path.clone() },
            _ => CovdataError::Io { action: "look at", path: path.clone(), source },
        })?;
        if !(meta.is_dir() || meta.is_symlink() && path.is_dir()) {
            files.insert(path.clone());
            continue;
        }
        let fault = |source| CovdataError::Io { action: "list", path: path.clone(), source };
        for entry in fs_err::read_dir(path).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
                files.insert(path.join(entry.file_name()));
            }
        }
    }
    let own = identity_at(data_file);
    files.retain(|path| !is_companion(path) && !is_file(path, (data_file, own)));
    if files.is_empty() {
        let pattern = match paths {
            [] => format!("{}.*", data_file.display()),
            _ => format!("{}.* in the given directories", Path::new(name).display()),
        };
        return Err(CovdataError::NothingToCombine { pattern });
    }
    Ok(files.into_iter().collect())
}

/// What a pattern stands for, or the path itself.
fn expand(path: &Path) -> Result<Vec<PathBuf>, CovdataError> {
    let is_pattern = |name: &str| name.contains(['*', '?', '[']);
    if path.symlink_metadata().is_ok() || !path.to_str().is_some_and(is_pattern) {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let name = component.as_os_str();
        let Some(pattern) = name.to_str().filter(|name| is_pattern(name)) else {
            for path in &mut found {
                path.push(name);
            }
            continue;
        };
        let matcher = GlobMatcher::new([pattern])?;
        let mut next = Vec::new();
        for dir in found {
            let listed = if dir.as_os_str().is_empty() { Path::new(".") } else { &dir };
            // What is not a directory, or can't be listed, has nothing that fits.
            let names =
                std::fs::read_dir(listed).into_iter().flatten().flatten().map(|entry| entry.file_name());
            // As in a shell, names that begin with a dot have to be meant.
            let fits =
                |name: &&str| matcher.matches(name) && (pattern.starts_with('.') || !name.starts_with('.'));
            next.extend(
                names.filter(|name| name.to_str().as_ref().is_some_and(fits)).map(|name| dir.join(name)),
            );
        }
        found = next;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    if found.is_empty() {
        return Err(CovdataError::Missing { path: path.to_owned() });
    }
    Ok(found)
}

fn is_companion(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    COMPANIONS.iter().any(|suffix| name.ends_with(suffix.as_bytes()))
}

/// Whether a path leads to the file at another path, where `own` lies.
fn is_file(path: &Path, (at, own): (&Path, Option<(u64, u64)>)) -> bool {
    if own.is_some() { identity_at(path) == own } else { path == at }
}

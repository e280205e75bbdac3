//! Which files to merge.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::CovdataError;

/// What `SQLite` leaves beside its files.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The files that `coverage combine` would merge into `data_file`, sorted, `data_file` itself left out.
///
/// A path that names a file is that file; one that names a directory (without paths: the directory of
/// `data_file`) stands for what is called `<name of data_file>.*` there. Such a name may turn out to be a
/// directory or a dangling link: reading it will say so.
pub fn combinable_files(data_file: &Path, paths: &[PathBuf]) -> Result<Vec<PathBuf>, CovdataError> {
    let name = data_file.file_name().unwrap_or_default();
    let mut prefix = name.to_owned();
    prefix.push(".");
    let here = [match data_file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }];
    let mut files = BTreeSet::new();
    for path in if paths.is_empty() { &here[..] } else { paths } {
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
    files.retain(|path| !is_companion(path) && !same_file(path, data_file));
    if files.is_empty() {
        let pattern = match paths {
            [] => format!("{}.*", data_file.display()),
            _ => format!("{}.* in the given directories", Path::new(name).display()),
        };
        return Err(CovdataError::NothingToCombine { pattern });
    }
    Ok(files.into_iter().collect())
}

fn is_companion(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    COMPANIONS.iter().any(|suffix| name.ends_with(suffix.as_bytes()))
}

fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => a == b,
    }
}

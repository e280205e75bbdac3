//! Paths as text.

use std::path::{Component, Path, PathBuf};

/// The separator that a path uses.
pub(crate) fn separator(path: &str) -> char {
    path.chars().find(|c| matches!(c, '/' | '\\')).unwrap_or('/')
}

/// Absolute on any system.
pub(crate) fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with(['/', '\\'])
        || (bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'/' | b'\\'))
}

/// `path` from `root`, without `.`, `..` and links, as far as it exists.
pub(crate) fn absolute(root: &Path, path: &str) -> String {
    let joined = root.join(path);
    if let Ok(real) = std::fs::canonicalize(&joined) {
        return real.to_string_lossy().into_owned();
    }
    let mut clean = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
        // Links count where they are: what follows `..` depends on them.
        if let Ok(real) = std::fs::canonicalize(&clean) {
            clean = real;
        }
    }
    clean.to_string_lossy().into_owned()
}

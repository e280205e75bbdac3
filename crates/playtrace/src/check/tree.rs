//! All files of a repository, for patterns to match.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

/// Calls `visit` with each file below `root` until that says that it has seen enough.
///
/// Left out are hidden directories, virtual environments, `node_modules`, `__pycache__`, and directories that say that they are a
/// cache (a `CACHEDIR.TAG`, as of <https://bford.info/cachedir/>): what lies there is nobody's source.
pub(super) fn files(root: &Path, mut visit: impl FnMut(&Path) -> bool) {
    let entries =
        WalkDir::new(root).into_iter().filter_entry(|entry| entry.depth() == 0 || !is_left_out(entry));
    for entry in entries.flatten() {
        if !entry.file_type().is_dir() && !visit(entry.path()) {
            return;
        }
    }
}

fn is_left_out(entry: &DirEntry) -> bool {
    entry.file_type().is_dir() && {
        let name = entry.file_name().to_string_lossy();
        name.starts_with('.')
            || matches!(&*name, "node_modules" | "__pycache__")
            || ["pyvenv.cfg", "CACHEDIR.TAG"].iter().any(|mark| entry.path().join(mark).is_file())
    }
}

//! From a file's place to the dotted name of its module.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The dotted name of the module in `path`, which is relative to a directory that is on Python's import path.
///
/// `a/b.py` is `a.b`, `a/__init__.py` is `a`, `__init__.py` alone and `__main__.py` keep their names.
pub fn module_name(path: &Path) -> String {
    let mut parts: Vec<String> = path
        .with_extension("")
        .components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    if parts.len() > 1 && parts.last().is_some_and(|last| last == "__init__") {
        parts.pop();
    }
    parts.join(".")
}

/// The directory that Python would import `file` from, which lies below `root`.
///
/// It is the parent of the outermost package (directory with an `__init__.py`) on the way from `root` to the file;
/// directories without one inside it are namespace packages. Without any package, it is `root`. Where `root` is
/// itself inside a package, it is the parent of that package's top.
fn import_root<'a>(root: &'a Path, file: &'a Path, has_init: impl Fn(&'a Path) -> bool) -> &'a Path {
    if has_init(root) {
        let top = root.ancestors().take_while(|directory| has_init(directory)).last();
        return top.and_then(Path::parent).unwrap_or(root);
    }
    let below_root = file.ancestors().skip(1).take_while(|directory| *directory != root);
    below_root.filter(|directory| has_init(directory)).last().and_then(Path::parent).unwrap_or(root)
}

/// Where Python would import each of many files from, which several threads may ask.
#[derive(Debug)]
pub(crate) struct ImportRoots<'a> {
    root: &'a Path,
    /// Whether a directory is a package: each is looked at once, however many files are in it.
    packages: Mutex<HashMap<PathBuf, bool>>,
    /// By the directory that a file is in.
    roots: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl<'a> ImportRoots<'a> {
    /// For files below `root`.
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, packages: Mutex::default(), roots: Mutex::default() }
    }

    /// The name that a file's module has.
    pub(crate) fn module_of(&self, file: &Path) -> String {
        let Some(parent) = file.parent() else { return module_name(file) };
        let name_below = |root: &Path| module_name(file.strip_prefix(root).unwrap_or(file));
        if let Some(root) = locked(&self.roots).get(parent) {
            return name_below(root);
        }
        // No lock is held while the file system is asked.
        let root = import_root(self.root, file, |directory| self.is_package(directory));
        let name = name_below(root);
        locked(&self.roots).insert(parent.to_owned(), root.to_owned());
        name
    }

    fn is_package(&self, directory: &Path) -> bool {
        if let Some(&known) = locked(&self.packages).get(directory) {
            return known;
        }
        let found = directory.join("__init__.py").is_file();
        locked(&self.packages).insert(directory.to_owned(), found);
        found
    }
}

/// What is behind a lock: an entry is there or it is not, whatever became of a thread that held it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (path, name) in [
            ("a.py", "a"),
            ("a/b.py", "a.b"),
            ("a/__init__.py", "a"),
            ("a/__main__.py", "a.__main__"),
            ("__init__.py", "__init__"),
        ] {
            assert_eq!(module_name(Path::new(path)), name);
        }
    }

    #[test]
    fn roots() {
        let inits = ["/w/app", "/w/app/sub", "/w/src/lib"];
        let has_init = |directory: &Path| inits.iter().any(|init| Path::new(init) == directory);
        let root_of = |root: &'static str, file: &'static str| {
            import_root(Path::new(root), Path::new(file), has_init).to_str().unwrap().to_owned()
        };
        assert_eq!(root_of("/w", "/w/app/sub/x.py"), "/w");
        assert_eq!(root_of("/w", "/w/app/data/x.py"), "/w", "a namespace package inside a package");
        assert_eq!(root_of("/w", "/w/src/lib/x.py"), "/w/src", "the src layout");
        assert_eq!(root_of("/w/app", "/w/app/sub/x.py"), "/w", "the root is a package itself");
        assert_eq!(root_of("/w/app/sub", "/w/app/sub/x.py"), "/w");
        assert_eq!(root_of("/w", "/w/tools/x.py"), "/w", "a namespace package");
    }
}

//! From a file's place to the dotted name of its module.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path};

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

/// Where Python would import each of many files from.
#[derive(Debug)]
pub(crate) struct ImportRoots<'a> {
    root: &'a Path,
    /// By directory.
    known: HashMap<&'a OsStr, &'a Path>,
}

impl<'a> ImportRoots<'a> {
    /// Looks at each directory once, however many files are in it.
    pub(crate) fn of(root: &'a Path, files: impl Iterator<Item = &'a Path>) -> Self {
        let seen: RefCell<HashMap<&OsStr, bool>> = RefCell::default();
        let has_init = |directory: &'a Path| {
            let is_package = || directory.join("__init__.py").is_file();
            *seen.borrow_mut().entry(directory.as_os_str()).or_insert_with(is_package)
        };
        let mut known = HashMap::new();
        for file in files {
            if let Some(parent) = file.parent() {
                known.entry(parent.as_os_str()).or_insert_with(|| import_root(root, file, has_init));
            }
        }
        Self { root, known }
    }

    /// The directory that one of the files would be imported from.
    pub(crate) fn of_file(&self, file: &Path) -> &'a Path {
        file.parent().and_then(|parent| self.known.get(parent.as_os_str())).copied().unwrap_or(self.root)
    }
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

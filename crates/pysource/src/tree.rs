//! Many source files at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use playtrace_model::{MeasuredPath, SourceHash};
use rayon::prelude::*;
use walkdir::{DirEntry, WalkDir};

use crate::cache::{Key, Known, Stored, key};
use crate::file::{analyze_here, hash_of};
use crate::module_name::ImportRoots;
use crate::stack::roomy_pool;
use crate::{AnalyzedFile, Rules, SourceCache, SourceError};

/// The source files of a tree: those that could be analysed and those that could not.
#[derive(Debug, Clone, Default)]
pub struct SourceTree {
    /// By measured path.
    pub files: BTreeMap<MeasuredPath, AnalyzedFile>,
    /// Files of interest that are not Python or can't be read, with the reason: none of their lines counts.
    pub unparsed: Vec<Unparsed>,
}

/// A file of interest that could not be analysed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unparsed {
    /// Its name, as in data.
    pub path: MeasuredPath,
    /// What is wrong with it; names the file, and the line where there is one.
    pub reason: String,
}

/// What became of the files of a tree, where not all of what was found in them is kept.
#[derive(Debug, Clone)]
pub struct Mapped<T> {
    /// By measured path.
    pub files: BTreeMap<MeasuredPath, T>,
    /// As [`SourceTree::unparsed`].
    pub unparsed: Vec<Unparsed>,
}

/// Analyses files, each with its name in data; `root` is the directory that modules are named from.
///
/// Which files are of interest is the caller's decision. Files are analysed on all cores; the outcome is sorted. With
/// a cache, files are read and those that it knows by their content are not analysed.
pub fn read_files(
    files: &[(MeasuredPath, PathBuf)],
    root: &Path,
    rules: &Rules,
    cache: Option<&SourceCache>,
) -> Result<SourceTree, SourceError> {
    let files = files.iter().cloned().map(Ok::<_, SourceError>);
    let Mapped { files, unparsed } = map_files(files, root, rules, cache, std::convert::identity)?;
    Ok(SourceTree { files, unparsed })
}

/// As [`read_files`], for who needs less than everything: `each` is called for a file as soon as it is analysed, on the
/// thread that did it, and only what it returns is kept.
///
/// `files` may come in any order, and is asked for the next file while others are analysed: it may be a walk that goes
/// on, and that fails. Where several have one name, the last by path counts.
pub fn map_files<T: Send, E: From<SourceError> + Send>(
    files: impl Iterator<Item = Result<(MeasuredPath, PathBuf), E>> + Send,
    root: &Path,
    rules: &Rules,
    cache: Option<&SourceCache>,
    each: impl Fn(AnalyzedFile) -> T + Sync,
) -> Result<Mapped<T>, E> {
    let known = cache.map(|cache| cache.open(root, rules));
    let reader = Reader { roots: ImportRoots::new(root), rules, known: known.as_ref(), each };
    let pool = roomy_pool().map_err(|source| unread(root, source))?;
    // One file after the other, to whichever thread has nothing to do: none waits for another's last ones.
    let mut outcomes: Vec<((MeasuredPath, PathBuf), Outcome<T>)> = pool.install(|| {
        let read = |file: Result<(MeasuredPath, PathBuf), E>| -> Result<_, E> {
            let (name, path) = file?;
            let outcome = reader.read(&name, &path)?;
            Ok(((name, path), outcome))
        };
        files.par_bridge().map(read).collect::<Result<_, E>>()
    })?;
    outcomes.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));

    let mut mapped = Mapped { files: BTreeMap::new(), unparsed: Vec::new() };
    let mut entries = BTreeMap::new();
    for ((path, _), outcome) in outcomes {
        match outcome {
            Outcome::File { made, entry } => {
                entries.extend(entry.map(|entry| *entry));
                mapped.files.insert(path, made);
            }
            Outcome::Unparsed(reason) => mapped.unparsed.push(Unparsed { path, reason }),
        }
    }
    if let Some(known) = known {
        known.replace(&entries);
    }
    Ok(mapped)
}

/// What became of a file, and with a cache, what that is to keep.
enum Outcome<T> {
    File { made: T, entry: Option<Entry> },
    Unparsed(String),
}

/// What a cache keeps of a file, under its key.
type Entry = Box<(Key, Stored)>;

struct Reader<'a, F> {
    roots: ImportRoots<'a>,
    rules: &'a Rules,
    known: Option<&'a Known>,
    each: F,
}

impl<T, F: Fn(AnalyzedFile) -> T> Reader<'_, F> {
    fn read(&self, name: &MeasuredPath, path: &Path) -> Result<Outcome<T>, SourceError> {
        let bytes = match fs_err::read(path) {
            Ok(bytes) => bytes,
            // A link to nothing, somebody else's file, one that vanished: no reason to know nothing of all others.
            Err(source) => return Ok(Outcome::Unparsed(unread(path, source).to_string())),
        };
        let module = self.roots.module_of(path);
        match self.analyzed(bytes, name, &module) {
            Ok((file, entry)) => Ok(Outcome::File { made: (self.each)(file), entry }),
            Err(error @ (SourceError::Syntax { .. } | SourceError::Encoding { .. })) => {
                Ok(Outcome::Unparsed(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn analyzed(
        &self,
        bytes: Vec<u8>,
        name: &MeasuredPath,
        module: &str,
    ) -> Result<(AnalyzedFile, Option<Entry>), SourceError> {
        let Some(known) = self.known else {
            let hash = hash_of(&bytes);
            return Ok((analyze_here(Cow::Owned(bytes), hash, name, module, self.rules)?, None));
        };
        let key = key(&bytes, module);
        let hash = SourceHash::from_digest(&key.0);
        if let Some(stored) = known.get(&key) {
            let file = AnalyzedFile::from_stored(
                stored,
                Cow::Owned(bytes),
                hash,
                name,
                module,
                self.rules.coverage,
            )?;
            return Ok((file, Some(Box::new((key, stored.clone())))));
        }
        let file = analyze_here(Cow::Owned(bytes), hash, name, module, self.rules)?;
        let stored = file.to_stored();
        Ok((file, Some(Box::new((key, stored)))))
    }
}

/// Every `*.py` below the directory `root`, sorted.
///
/// Skipped are hidden directories, `__pycache__`, virtual environments, and names that no import statement can
/// name.
pub fn python_files(root: &Path) -> Result<Vec<PathBuf>, SourceError> {
    walk_python_files(root)?.collect()
}

/// As [`python_files`], as a walk that goes on while the files are asked for.
pub fn walk_python_files(
    root: &Path,
) -> Result<impl Iterator<Item = Result<PathBuf, SourceError>> + Send, SourceError> {
    if !root.is_dir() {
        return Err(SourceError::NotADirectory { path: root.to_owned() });
    }
    let walk = WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_skipped_directory(entry));
    Ok(walk.filter_map(move |entry| match entry {
        Ok(entry) if is_python_file(&entry) => Some(Ok(entry.into_path())),
        Ok(_) => None,
        Err(error) => {
            let path = error.path().unwrap_or(root).to_owned();
            let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
            Some(Err(unread(&path, source)))
        }
    }))
}

fn unread(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Read { path: path.to_owned(), source }
}

fn is_skipped_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_dir() && {
        let name = entry.file_name().to_string_lossy();
        name.starts_with('.') || name == "__pycache__" || entry.path().join("pyvenv.cfg").is_file()
    }
}

/// As coverage.py's `find_python_files`: editors' leftovers such as `.#x.py` and `x~.py` are no modules.
fn is_python_file(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    // The walk knows what an entry is, but for what a link leads to.
    (entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file())
        && name.strip_suffix(".py").is_some_and(|stem| {
            !stem.is_empty()
                && !stem.contains(['.', '#', '~', '!', '$', '@', '%', '^', '&', '*', '(', ')', '+', '=', ','])
        })
}

//! What must hold for any bytes: called by the fuzz targets (`make fuzz`), and by a test for all that is in `fuzz/corpus`.
//!
//! Each function panics where it does not hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_model::LineBits;
use tempfile::TempDir;

use crate::config::Release;
use crate::data::{CoverageData, Ownership, readers_agree};
use crate::merge::{MergeOptions, PathMap, merge, remapped};
use crate::{CoverageConfig, GlobMatcher, config};

/// Line bits behave as sets do.
pub fn numbits(bytes: &[u8]) {
    let (a, b) = bytes.split_at(bytes.len() / 2);
    let [x, y] = [a, b].map(|bytes| LineBits::from_numbits(bytes.to_vec()));
    let [a, b] = [&x, &y].map(|bits| bits.iter().collect::<BTreeSet<u32>>());
    let set = |bits: LineBits| bits.iter().collect::<BTreeSet<u32>>();
    let mut union = x.clone();
    union.union_with(&y);
    assert_eq!(set(union.clone()), &a | &b);
    assert_eq!(set(x.intersection(&y)), &a & &b);
    assert_eq!(set(x.difference(&y)), &a - &b);
    assert_eq!(x.is_subset(&y), a.is_subset(&b));
    assert_eq!(x.len(), a.len());
    assert_eq!(a.iter().copied().collect::<LineBits>(), x);
    assert_eq!(LineBits::from_hex(&union.to_hex()), Some(union));
}

/// A data file is read, or refused with its name; what is read can be written, read back and merged; both ways of reading
/// come to the same.
pub fn data_file(bytes: &[u8]) {
    let Ok(dir) = TempDir::new() else { return };
    let (path, again) = (dir.path().join("a.coverage"), dir.path().join("b.coverage"));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    assert_ne!(readers_agree(&path), Some(false), "the two ways of reading differ");
    let data = match CoverageData::read(&path) {
        Ok(data) => data,
        Err(error) => {
            assert!(error.to_string().contains("a.coverage"), "{error} does not name its file");
            return;
        }
    };
    let written = data.write(&again, &Ownership::default());
    assert!(written.is_ok(), "{written:?}");
    let inputs = [path, again.clone()];
    let outcome = merge(&inputs, &MergeOptions::default());
    assert!(outcome.as_ref().is_ok_and(|outcome| outcome.problems.is_empty()), "{outcome:?}");
    // What is empty has no row; otherwise it comes back as it was.
    let (read, merged) = (CoverageData::read(&again), outcome.map(|outcome| outcome.data));
    assert_eq!(read.ok(), merged.ok());
}

/// A configuration is read, or refused with file and line.
pub fn config(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first() else { return };
    if let Ok(text) = std::str::from_utf8(text) {
        let _ = config::ini_options(text);
    }
    let Ok(dir) = TempDir::new() else { return };
    let name = [".coveragerc", "setup.cfg", "pyproject.toml", ".coveragerc.toml"][usize::from(kind % 4)];
    if std::fs::write(dir.path().join(name), text).is_err() {
        return;
    }
    let release = if kind & 4 == 0 { "7.11.3" } else { "7.17.0" }.parse().unwrap_or_default();
    let environment = |name: &str| name.len().is_multiple_of(2).then(|| format!("<{name}>"));
    if let Err(error) = CoverageConfig::discover(dir.path(), None, release, &environment) {
        assert!(error.to_string().contains(name), "{error} does not name its file");
    }
}

/// Rules for paths and patterns are taken, or refused; renaming is the same whatever comes with it.
pub fn remapping(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let (Some(result), Some(pattern)) = (lines.next(), lines.next()) else { return };
    let paths: Vec<&str> = lines.collect();
    if let Ok(matcher) = GlobMatcher::new([pattern]) {
        for path in &paths {
            let _ = matcher.matches(path);
        }
    }
    let list = [result.to_owned(), pattern.to_owned()];
    let releases = [Release::PINNED, "7.17.5".parse().unwrap_or_default()];
    for (relative, release) in
        [false, true].into_iter().flat_map(|relative| releases.map(|of| (relative, of)))
    {
        let Ok(map) = PathMap::new([&list[..]], relative, Path::new("/nowhere"), release) else { continue };
        let all = remapped(&map, &paths);
        let mut backwards: Vec<&str> = paths.clone();
        backwards.reverse();
        let mut again = remapped(&map, &backwards);
        again.reverse();
        assert_eq!(all, again);
    }
}

/// All that is kept for one target.
pub fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

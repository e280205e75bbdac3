//! How much is in a coverage directory.

use std::fs;
use std::path::Path;

use crate::Layout;

/// What lies there: counted, not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occupied {
    /// Runs that have a ledger.
    pub runs: u64,
    /// Files: shards, merged data and what belongs to it, and those of the runs.
    pub files: u64,
}

impl Occupied {
    /// Counts. Stops once there is more than `most` of both: whoever asks wants to know no more. What can't be read counts as nothing.
    pub fn count(coverage_dir: &Path, most: Self) -> Self {
        let mut found = Self { runs: 0, files: entries(coverage_dir).count() as u64 };
        let root = Layout::new(coverage_dir);
        for profile in entries(root.root()) {
            // Boot records, notes of jobs and signatures: not of a run.
            if profile.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            for run in entries(&profile.path()) {
                if run.file_type().is_ok_and(|kind| kind.is_dir()) {
                    found.runs += 1;
                    found.files += entries(&run.path()).count() as u64;
                }
                if found.runs > most.runs && found.files > most.files {
                    return found;
                }
            }
        }
        found
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(dir).into_iter().flatten().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Occupied = Occupied { runs: u64::MAX, files: u64::MAX };

    #[test]
    fn runs_and_files_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Occupied::count(&dir.path().join("none"), ALL), Occupied::default());
        let make = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for path in
            ["p.coverage.h.1.Xabcdefx", "p.coverage", ".playtrace/.boot/h.1.1.ledger", ".playtrace/.seen/7/a"]
        {
            make(path);
        }
        for run in 0..5 {
            make(&format!(".playtrace/p/{run}/h.1.1.ledger"));
            make(&format!(".playtrace/p/{run}/h.1.1.lines"));
        }
        make(".playtrace/p/merge.lock");
        // With the ledgers' own directory.
        assert_eq!(Occupied::count(dir.path(), ALL), Occupied { runs: 5, files: 13 });
        let few = Occupied::count(dir.path(), Occupied { runs: 1, files: 4 });
        assert_eq!(few, Occupied { runs: 2, files: 7 });
    }
}

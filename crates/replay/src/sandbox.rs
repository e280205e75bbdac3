//! The directory that stands in for the recorded run's.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use playtrace_ledger::shared::make_directory;
use playtrace_profile::Profile;
use uuid::Uuid;
use walkdir::WalkDir;

use crate::ReplayError;
use crate::preset::Preset;

/// A sandbox directory, and what it will be filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    dir: PathBuf,
    /// (folder, where it goes); later ones win.
    sources: Vec<(PathBuf, PathBuf)>,
}

impl Sandbox {
    /// Decides where the sandbox is and what goes into it; none where there is no place for one and no need.
    pub(crate) fn plan(
        profile: &Profile,
        preset: &Preset,
        run_root: Option<&Path>,
        uuid: Uuid,
    ) -> Result<Option<Self>, ReplayError> {
        let Some(rule) = &preset.sandbox else { return Ok(None) };
        let Some(root) = run_root else {
            return match &profile.snapshot {
                Some(snapshot) => {
                    Err(ReplayError::NoRunRoot { slug: profile.slug.to_string(), snapshot: snapshot.clone() })
                }
                None => Ok(None),
            };
        };
        let dir = root.join(rule.directory.replace("{uuid}", &uuid.to_string()));
        let mut sources: Vec<(PathBuf, PathBuf)> =
            profile.snapshot.iter().map(|snapshot| (snapshot.clone(), dir.clone())).collect();
        for copy in &rule.seeds {
            sources.push((profile.seeds.root().join(&copy.from), dir.join(&copy.to)));
        }
        Ok(Some(Self { dir, sources }))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the directory and fills it; says how many files were copied.
    pub(crate) fn fill(&self) -> Result<usize, ReplayError> {
        make_dir(&self.dir)?;
        let mut copied = 0;
        for (from, to) in &self.sources {
            if from.is_dir() {
                copied += copy_tree(from, to)?;
            }
        }
        Ok(copied)
    }
}

fn make_dir(dir: &Path) -> Result<(), ReplayError> {
    make_directory(dir).map_err(|source| ReplayError::Write { path: dir.to_owned(), source })
}

/// Lets the app, which may be another user of the same group, write to a copy; whether it may run stays as it was.
fn share(copy: &Path) {
    if let Ok(meta) = fs_err::metadata(copy) {
        let mode = meta.permissions().mode() | 0o664;
        // Where there are no modes, there is nothing to see to.
        let _ = fs_err::set_permissions(copy, Permissions::from_mode(mode));
    }
}

pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<usize, ReplayError> {
    let mut copied = 0;
    // Links are followed: a sandbox whose links led back would change the profile.
    for entry in WalkDir::new(from).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| ReplayError::Read {
            path: error.path().unwrap_or(from).to_owned(),
            source: error.into(),
        })?;
        // Every entry lies under `from`: WalkDir started there.
        let Ok(inside) = entry.path().strip_prefix(from) else { continue };
        let target = to.join(inside);
        if entry.file_type().is_dir() {
            make_dir(&target)?;
        } else {
            fs_err::copy(entry.path(), &target)
                .map_err(|source| ReplayError::Write { path: target.clone(), source })?;
            share(&target);
            copied += 1;
        }
    }
    Ok(copied)
}

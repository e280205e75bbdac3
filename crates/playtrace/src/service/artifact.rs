//! The merged file's copies.

use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::finish::{Newcomer, Place, VerdictFile, steps_path_of};
use crate::messages::Failure;
use crate::whole_file::stage_whole;

/// Makes sure that files can be made in `dir`, before a long run finds out.
pub fn check_writable(dir: &Path, what: &str) -> Result<(), Failure> {
    let made = fs_err::create_dir_all(dir)
        .and_then(|()| tempfile::Builder::new().prefix(".playtrace-").tempfile_in(dir).map(drop));
    made.map_err(|error| {
        Failure::new(Exit::Io, "PT-PLAY-002", format!("can't write in {what} {}: {error}", dir.display()))
            .help("the player writes as its own user: choose a directory that it may write to, such as one under /tmp")
    })
}

/// Copies a merged file, with the verdict and the steps beside it, to `to`. The verdict appears last, because it vouches for the
/// rest, and nothing appears before all of it is on disk.
pub fn copy_data(from: &Path, to: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Io,
            "PT-PLAY-003",
            format!("can't copy {} to {}: {error}", from.display(), to.display()),
        )
    };
    if let Some(dir) = to.parent() {
        fs_err::create_dir_all(dir).map_err(failed)?;
    }
    let stage = |from: &Path, to: &Path| stage_whole(to, &fs_err::read(from)?);
    let data = stage(from, to).map_err(failed)?;
    let mut beside = Vec::new();
    for path_of in [steps_path_of, VerdictFile::path_of] {
        let (from, to) = (path_of(from), path_of(to));
        let staged = if from.is_file() { Some(stage(&from, &to).map_err(failed)?) } else { None };
        beside.push((to, staged));
    }
    data.place().map_err(failed)?;
    for (path, staged) in beside {
        let done = match staged {
            Some(file) => file.place(),
            // What lies there is of a run whose data was replaced.
            None => match fs_err::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        done.map_err(failed)?;
    }
    Ok(to.to_owned())
}

/// Copies a merged file to `usual`, or beside it, by the rule of merges: a worse run does not replace a better one. Returns where
/// it went, and sentences for people.
pub fn copy_to_its_place(from: &Path, usual: &Path) -> Result<(PathBuf, Vec<String>), Failure> {
    let Some(verdict) = VerdictFile::read_beside(from)? else {
        return Ok((copy_data(from, usual)?, Vec::new()));
    };
    let age = verdict.ended.unwrap_or(verdict.merged_at);
    let new = Newcomer { run: &verdict.run, status: verdict.verdict.status, age, includes: Vec::new() };
    let place = Place::choose(usual, &new)?;
    place.make_directory()?;
    place.displace()?;
    Ok((copy_data(from, &place.data_file)?, place.sentences))
}

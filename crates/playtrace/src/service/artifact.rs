//! The merged file's copies.

use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::finish::{VerdictFile, steps_path_of};
use crate::messages::Failure;
use crate::whole_file::write_whole;

/// Makes sure that files can be made in `dir`, before a long run finds out.
pub fn check_writable(dir: &Path, what: &str) -> Result<(), Failure> {
    let made = fs_err::create_dir_all(dir)
        .and_then(|()| tempfile::Builder::new().prefix(".playtrace-").tempfile_in(dir).map(drop));
    made.map_err(|error| {
        Failure::new(Exit::Io, "PT-PLAY-002", format!("can't write in {what} {}: {error}", dir.display()))
            .help("the player writes as its own user: choose a directory that it may write to, such as one under /tmp")
    })
}

/// Copies a merged file, with the verdict and the steps beside it, to `to`; each appears whole or not at all.
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
    let steps = steps_path_of(from);
    if steps.is_file() {
        let bytes = fs_err::read(&steps).map_err(failed)?;
        write_whole(&steps_path_of(to), &bytes).map_err(failed)?;
    } else {
        // What lies there is of a run whose data is about to be replaced.
        match fs_err::remove_file(steps_path_of(to)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let verdict = VerdictFile::path_of(from);
    if verdict.is_file() {
        let bytes = fs_err::read(&verdict).map_err(failed)?;
        write_whole(&VerdictFile::path_of(to), &bytes).map_err(failed)?;
    }
    let bytes = fs_err::read(from).map_err(failed)?;
    write_whole(to, &bytes).map_err(failed)?;
    Ok(to.to_owned())
}

//! Which run enqueued a job, and what it runs, kept apart from the job itself.
//!
//! An app may replace a job's meta, and the slug with it. The worker then sees a job that belongs to nobody, and nothing
//! would tell it from one that does. So the enqueueing process leaves a note, `<dir>/.playtrace/.jobs/<hash of the id>`,
//! which the worker takes away.
//!
//! The note is a symbolic link to nothing, whose text is what it says: one system call to make it and one to read it, where a file takes
//! four each. They are most of what a job costs. Where links can't be had, it is a file.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use playtrace_ledger::Layout;
use playtrace_ledger::shared::make_directory;
use playtrace_model::{RunToken, Slug};
use sha2::{Digest as _, Sha256};

/// A slug can't begin with a dot, so no profile is hidden by it.
const DIRECTORY: &str = ".jobs";

fn note(directory: &Path, job: &str) -> PathBuf {
    // A job's id may be any text.
    let name = playtrace_model::SourceHash::from_digest(&Sha256::digest(job.as_bytes()));
    Layout::new(directory).root().join(DIRECTORY).join(name.as_str())
}

/// Leaves the note. It is a second line of defence: where it can't be written, the slug in the job's meta still counts.
pub(crate) fn remember(directory: &Path, job: &str, slug: &Slug, run: &RunToken, function: &str) {
    let path = note(directory, job);
    let text = format!("{slug} {run} {function}");
    let Err(error) = symlink(&text, &path) else { return };
    match (error.kind(), path.parent()) {
        (ErrorKind::NotFound, Some(parent)) => {
            let _ = make_directory(parent);
        }
        // A job that is put into a queue again.
        (ErrorKind::AlreadyExists, _) => {
            let _ = fs::remove_file(&path);
        }
        _ => {}
    }
    match symlink(&text, &path) {
        // One that can't be replaced: a file that is written there would be where it points to.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let _ = fs::write(path, text);
        }
        _ => {}
    }
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) slug: Slug,
    pub(crate) run: RunToken,
    /// The function's full name.
    pub(crate) function: String,
}

/// Takes the note, if there is one.
pub(crate) fn take(directory: &Path, job: &str) -> Option<Note> {
    let path = note(directory, job);
    let text = match fs::read_link(&path) {
        Ok(text) => text.into_os_string().into_string().ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => fs::read_to_string(&path).ok(),
    }?;
    let _ = fs::remove_file(path);
    // Older agents left files with a line for each.
    let mut parts = text.splitn(3, [' ', '\n']);
    let (slug, run) = (Slug::parse(parts.next()?).ok()?, RunToken::try_from(parts.next()?.to_owned()).ok()?);
    Some(Note { slug, run, function: parts.next().unwrap_or_default().trim_end().to_owned() })
}

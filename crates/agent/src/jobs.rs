//! Which run enqueued a job, and what it runs, kept apart from the job itself.
//!
//! An app may replace a job's meta, and the slug with it. The worker then sees a job that belongs to nobody, and nothing
//! would tell it from one that does. So the enqueueing process leaves a note, `<dir>/.playtrace/.jobs/<hash of the id>`,
//! which the worker takes away.
//!
//! What it says is a line of a file of the run's, one for each process that enqueues, and the note is another name of that file: a file system
//! that makes a file for each job looks for a free place among those that were given back lately, which took longer than all else that is
//! done for a job. Where names can't be had, the note is a symbolic link to nothing, whose text is what it says; where these can't, a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use playtrace_ledger::shared::{make_directory, share};
use playtrace_ledger::{Layout, ProcessId};
use playtrace_model::{RunToken, Slug, SourceHash};
use sha2::{Digest as _, Sha256};

use crate::run::now;

/// A slug can't begin with a dot, so no profile is hidden by it.
const DIRECTORY: &str = ".jobs";

/// The ending of a run's files with what its notes say: a line each, of a dot and the job's key, slug, run and function. No slug begins with a
/// dot, so that no line is taken for an older agent's note.
const SAID: &str = "job";

/// A file has so many bytes at most (a forked child may add some): whoever takes a job reads all of it.
const FULL: usize = 32 * 1024;
/// No note is longer.
const LONGEST: u64 = 1024 * 1024;
/// A file is added to for so many milliseconds, so that a note is hardly younger than its file: `playtrace prune` goes by that.
const LASTS: u64 = 60 * 60 * 1000;

/// Which job a note is about: an id may be any text.
fn key(job: &str) -> SourceHash {
    SourceHash::from_digest(&Sha256::digest(job.as_bytes()))
}

fn note(directory: &Path, key: &SourceHash) -> PathBuf {
    Layout::new(directory).root().join(DIRECTORY).join(key.as_str())
}

/// What the notes of one run say that this process leaves.
#[derive(Debug, Default)]
pub(crate) struct Notes(Option<Said>);

#[derive(Debug)]
struct Said {
    path: PathBuf,
    file: File,
    length: usize,
    since: u64,
}

impl Notes {
    /// Leaves a note. It is a second line of defence: where it can't be written, the slug in the job's meta still counts.
    pub(crate) fn remember(
        &mut self,
        directory: &Path,
        job: &str,
        slug: &Slug,
        run: &RunToken,
        function: &str,
    ) {
        let key = key(job);
        let path = note(directory, &key);
        let text = format!("{slug} {run} {function}");
        let line = format!(".{} {text}\n", key.as_str());
        let run_dir = Layout::new(directory).run_dir(slug, run);
        let mut said = self.say(&run_dir, &line);
        // Each hindrance comes once.
        for _ in 0..4 {
            let Some(place) = &said else { break };
            let Err(error) = fs::hard_link(place, &path) else { return };
            match error.kind() {
                // A job that is put into a queue again.
                ErrorKind::AlreadyExists => _ = fs::remove_file(&path),
                // The first one of all.
                ErrorKind::NotFound if place.exists() => _ = path.parent().map(make_directory),
                // The run's directory was taken away meanwhile; or the file has all the names that it can have.
                ErrorKind::NotFound | ErrorKind::TooManyLinks => {
                    self.0 = None;
                    said = self.say(&run_dir, &line);
                }
                _ => break,
            }
        }
        leave(&path, &text);
    }

    /// Writes a line to the run's file; its path. `None` where it can't be written: the run may have no directory any more, and none is
    /// made for a note.
    fn say(&mut self, run_dir: &Path, line: &str) -> Option<PathBuf> {
        let at = now();
        let lasts = |said: &Said| said.length + line.len() <= FULL && at.saturating_sub(said.since) < LASTS;
        if !self.0.as_ref().is_some_and(lasts) {
            if let Some(said) = self.0.take() {
                // Its notes keep it.
                let _ = fs::remove_file(said.path);
            }
            self.0 = Said::begin(run_dir, at).ok();
        }
        let said = self.0.as_mut()?;
        if said.file.write_all(line.as_bytes()).is_err() {
            // Nothing is to follow half of a line.
            self.0 = None;
            return None;
        }
        said.length += line.len();
        Some(said.path.clone())
    }
}

impl Said {
    fn begin(run_dir: &Path, at: u64) -> io::Result<Self> {
        let process = run_dir.join(Layout::file_name(&ProcessId::current()));
        // A process that became another program (`exec`) may have left one, which notes may be names of.
        let mut number = 0;
        loop {
            let path = process.with_extension(format!("{number}.{SAID}"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    share(&file);
                    return Ok(Self { path, file, length: 0, since: at });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Leaves a note that is no name of a run's file.
fn leave(path: &Path, text: &str) {
    for _ in 0..2 {
        let Err(error) = symlink(text, path) else { return };
        match (error.kind(), path.parent()) {
            (ErrorKind::NotFound, Some(parent)) => _ = make_directory(parent),
            (ErrorKind::AlreadyExists, _) => _ = fs::remove_file(path),
            _ => break,
        }
    }
    // Never into one that is there: it may be a name of a run's file.
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
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
    let key = key(job);
    let path = note(directory, &key);
    let text = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path) {
        Ok(file) => {
            let mut text = String::with_capacity(1024);
            file.take(LONGEST).read_to_string(&mut text).ok().map(|_| text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => fs::read_link(&path).ok().and_then(|text| text.into_os_string().into_string().ok()),
    }?;
    let _ = fs::remove_file(path);
    // The last one: a job may be put into a queue again.
    let begin = format!(".{} ", key.as_str());
    let line = text.lines().rev().find_map(|line| line.strip_prefix(&begin));
    // Older agents left files with a line for each part.
    let mut parts = line.unwrap_or(&text).splitn(3, [' ', '\n']);
    let (slug, run) = (Slug::parse(parts.next()?).ok()?, RunToken::try_from(parts.next()?.to_owned()).ok()?);
    Some(Note { slug, run, function: parts.next().unwrap_or_default().trim_end().to_owned() })
}

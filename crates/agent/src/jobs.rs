//! Which run enqueued a job, and what it runs, kept apart from the job itself.
//!
//! An app may replace a job's meta, and the slug with it. The worker then sees a job that belongs to nobody, and nothing
//! would tell it from one that does. So the enqueueing process leaves a note, `<dir>/.playtrace/.jobs/<hash of the id>`,
//! which the worker takes away.
//!
//! What it says stands in a file of the run's, one for each function that is enqueued, and the note is another name of it: a file system that
//! makes a file for each job looks for a free place among those that were given back lately, which took longer than all else that is done for
//! a job. Where names can't be had, the note is a symbolic link to nothing, whose text is what it says; where these can't, it is a file.

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

/// The ending of a run's files with what its notes say.
const SAID: &str = "job";

/// Milliseconds.
const HOUR: u64 = 60 * 60 * 1000;

/// No note says more.
const LONGEST: u64 = 4096;

fn hash(text: &str) -> SourceHash {
    SourceHash::from_digest(&Sha256::digest(text.as_bytes()))
}

fn note(directory: &Path, job: &str) -> PathBuf {
    // A job's id may be any text.
    Layout::new(directory).root().join(DIRECTORY).join(hash(job).as_str())
}

/// Where a run's process says what its notes say: nobody else writes there. Another file each hour, so that a note is hardly younger than its
/// file: `playtrace prune` goes by that.
fn said_at(directory: &Path, (slug, run): (&Slug, &RunToken), text: &str) -> PathBuf {
    let process = Layout::new(directory).run_dir(slug, run).join(Layout::file_name(&ProcessId::current()));
    let hash = hash(&format!("{text} {}", now() / HOUR));
    process.with_extension(format!("{}.{SAID}", &hash.as_str()[..16]))
}

/// Leaves the note. It is a second line of defence: where it can't be written, the slug in the job's meta still counts.
pub(crate) fn remember(directory: &Path, job: &str, slug: &Slug, run: &RunToken, function: &str) {
    let path = note(directory, job);
    let text = format!("{slug} {run} {function}");
    let said = said_at(directory, (slug, run), &text);
    // Each hindrance comes once.
    for _ in 0..3 {
        let Err(error) = fs::hard_link(&said, &path) else { return };
        match error.kind() {
            // A job that is put into a queue again.
            ErrorKind::AlreadyExists => _ = fs::remove_file(&path),
            // The first one of its kind; or the one that as many names as can be lead to.
            ErrorKind::NotFound | ErrorKind::TooManyLinks => {
                let _ = path.parent().map(make_directory);
                let _ = say(&said, &text);
            }
            _ => break,
        }
    }
    match symlink(&text, &path) {
        // One that can't be replaced: a file that is written there would be where it points to.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => _ = fs::write(path, text),
        _ => {}
    }
}

/// Writes what notes say; half of it is never there.
fn say(said: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = said.parent() {
        make_directory(dir)?;
    }
    let unnamed = said.with_extension(format!("{SAID}.new"));
    let mut file = File::create(&unnamed)?;
    share(&file);
    file.write_all(text.as_bytes())?;
    fs::rename(unnamed, said)
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
    let text = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path) {
        Ok(file) => {
            let mut text = String::with_capacity(256);
            file.take(LONGEST).read_to_string(&mut text).ok().map(|_| text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => fs::read_link(&path).ok().and_then(|text| text.into_os_string().into_string().ok()),
    }?;
    let _ = fs::remove_file(path);
    // Older agents left files with a line for each.
    let mut parts = text.splitn(3, [' ', '\n']);
    let (slug, run) = (Slug::parse(parts.next()?).ok()?, RunToken::try_from(parts.next()?.to_owned()).ok()?);
    Some(Note { slug, run, function: parts.next().unwrap_or_default().trim_end().to_owned() })
}

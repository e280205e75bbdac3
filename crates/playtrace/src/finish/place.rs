//! Where a run's data goes, so that nothing better, later or unknown is replaced by it.
//!
//! `<slug>.coverage` holds the best run, and of equally good ones the latest, whatever the order in which they are merged:
//!
//! | what stands there | the new data goes | and what stood there |
//! |---|---|---|
//! | nothing, or the same run | there | is part of it |
//! | a better run | to `incomplete/` | stays |
//! | an equally good, later run | to `earlier/<run>/` | stays |
//! | a worse, later run | there | goes to `incomplete/` |
//! | a run that is no better and no later | there | is replaced |
//! | a file about which nothing is known | there, if it is complete or consistent, else to `incomplete/` | goes to `replaced/`, or stays |

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use playtrace_model::{RunToken, Status};

use super::merge::unwritable;
use super::standing::Standing;
use super::steps_file::steps_path_of;
use super::verdict_file::VerdictFile;
use crate::messages::Failure;
use crate::service::artifact::copy_data;

/// Data that looks for its place.
#[derive(Debug)]
pub(crate) struct Newcomer<'a> {
    pub(crate) run: &'a RunToken,
    pub(crate) status: Status,
    /// When its run ended.
    pub(crate) age: Timestamp,
    /// Merged files that it holds all of.
    pub(crate) includes: Vec<&'a Path>,
}

/// Its place.
#[derive(Debug)]
pub(crate) struct Place {
    /// The data file to write.
    pub(crate) data_file: PathBuf,
    /// Whether it is the usual one.
    pub(crate) usual: bool,
    /// Sentences for people, where it is not as simple as that.
    pub(crate) sentences: Vec<String>,
    displaced: Option<Displaced>,
}

/// What has to leave the place first, and where it goes.
#[derive(Debug)]
enum Displaced {
    /// A merged file with what lies beside it.
    Data(PathBuf),
    /// A file of which nothing is known.
    Unknown(PathBuf),
}

impl Place {
    /// Chooses the place of data whose usual one is `usual`.
    pub(crate) fn choose(usual: &Path, new: &Newcomer<'_>) -> Result<Self, Failure> {
        let there =
            |displaced, sentences| Self { data_file: usual.to_owned(), usual: true, sentences, displaced };
        // It was looked at when its data was taken in.
        if new.includes.contains(&usual) {
            return Ok(there(None, Vec::new()));
        }
        let standing = Standing::at(usual)?;
        let (stays, what_is_known) = match standing {
            Standing::Known(known) => {
                let (better, later) = (known.verdict.status < new.status, known.age() > new.age);
                let as_good = known.verdict.status == new.status;
                let known_as = format!("{} data of run {}", known.verdict.status, known.run);
                if better {
                    (Beside::Incomplete, known_as)
                } else if as_good && later {
                    (Beside::Earlier, format!("{known_as}, which ended later"))
                } else if later {
                    let to = beside(usual, &known.run, known.age())?;
                    let sentence = format!(
                        "{} was {known_as}: that run is worse, though later, and its data is in {} now",
                        usual.display(),
                        to.display()
                    );
                    return Ok(there(Some(Displaced::Data(to)), vec![sentence]));
                } else {
                    return Ok(there(None, Vec::new()));
                }
            }
            Standing::Nothing => return Ok(there(None, Vec::new())),
            Standing::Unvouched(_, why) | Standing::Unreadable(why) => {
                if new.status <= Status::Consistent {
                    let to = unused(usual);
                    let sentence = format!(
                        "what lay at {} is in {} now: {why}; delete it if nobody needs it",
                        usual.display(),
                        to.display()
                    );
                    return Ok(there(Some(Displaced::Unknown(to)), vec![sentence]));
                }
                (Beside::Incomplete, format!("it may be whole: {why}"))
            }
        };
        let data_file = match stays {
            Beside::Incomplete => beside(usual, new.run, new.age)?,
            Beside::Earlier => earlier(usual, new.run),
        };
        let sentence = format!(
            "{} stays as it is ({what_is_known}); this {} run's data is in {}",
            usual.display(),
            new.status,
            data_file.display()
        );
        Ok(Self { data_file, usual: false, sentences: vec![sentence], displaced: None })
    }

    /// A place that a person named: whatever data is there is to be replaced.
    pub(crate) fn named(path: &Path) -> Self {
        Self { data_file: path.to_owned(), usual: false, sentences: Vec::new(), displaced: None }
    }

    /// Makes its directory.
    pub(crate) fn make_directory(&self) -> Result<(), Failure> {
        make_directory_of(&self.data_file)
    }

    /// Brings what must not be replaced to safety: when all is ready that takes its place.
    pub(crate) fn displace(&self) -> Result<(), Failure> {
        match &self.displaced {
            None => Ok(()),
            Some(Displaced::Data(to)) => copy_data(&self.data_file, to).map(drop),
            Some(Displaced::Unknown(to)) => {
                make_directory_of(to)?;
                // With a second name there is a file at its place all the time. Directories have but one.
                fs_err::hard_link(&self.data_file, to)
                    .or_else(|_| fs_err::rename(&self.data_file, to))
                    .map_err(|error| unwritable(&error))
            }
        }
    }
}

fn make_directory_of(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(dir) => fs_err::create_dir_all(dir).map_err(|error| unwritable(&error)),
        None => Ok(()),
    }
}

enum Beside {
    Incomplete,
    Earlier,
}

/// Every place but the usual one where data of `run` may stand.
pub(super) fn other_places(usual: &Path, run: &RunToken) -> [PathBuf; 2] {
    [incomplete(usual), earlier(usual, run)]
}

/// `incomplete/`, unless a later run's data stands there.
fn beside(usual: &Path, run: &RunToken, age: Timestamp) -> Result<PathBuf, Failure> {
    let incomplete = incomplete(usual);
    Ok(match Standing::at(&incomplete)? {
        Standing::Nothing => incomplete,
        Standing::Known(known) if known.run == *run || known.age() <= age => incomplete,
        _ => earlier(usual, run),
    })
}

fn incomplete(usual: &Path) -> PathBuf {
    usual.with_file_name("incomplete").join(usual.file_name().unwrap_or_default())
}

fn earlier(usual: &Path, run: &RunToken) -> PathBuf {
    usual.with_file_name("earlier").join(run.as_str()).join(usual.file_name().unwrap_or_default())
}

/// The first name in `replaced/` that nothing has.
fn unused(usual: &Path) -> PathBuf {
    let dir = usual.with_file_name("replaced");
    let stem = usual.file_stem().unwrap_or_default().to_string_lossy();
    let mut number = 1_u32;
    loop {
        let path = dir.join(format!("{stem}.{number}.coverage"));
        if fs_err::symlink_metadata(&path).is_err() {
            return path;
        }
        number += 1;
    }
}

/// Removes a merged file with what lies beside it, whose data is elsewhere by now. Best effort: it says which run it is of.
pub(super) fn clear(data_file: &Path) {
    for path in [VerdictFile::path_of(data_file), steps_path_of(data_file), data_file.to_owned()] {
        let _ = fs_err::remove_file(path);
    }
}

//! What stands at the place of a merged file, before anything is put there.

use std::path::Path;

use playtrace_covdata::CovdataError;
use playtrace_covdata::data::Ownership;
use playtrace_model::RunToken;

use super::verdict_file::{Beside, VerdictFile, later};
use crate::messages::Failure;

/// A file at the place of a merged file, and what is known about it.
#[derive(Debug)]
pub(crate) enum Standing {
    /// There is none.
    Nothing,
    /// One of ours, with the verdict that vouches for it.
    Known(Box<VerdictFile>),
    /// Data that no verdict vouches for; the run that it says it is of, and the end of a sentence that says what is wrong.
    Unvouched(Option<RunToken>, String),
    /// Something that can't be read as data: the same.
    Unreadable(String),
}

impl Standing {
    /// Looks at `path`. An error means that a later version of this program vouches for what is there.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        if fs_err::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(Self::Nothing);
        }
        let owner = match Ownership::check(path) {
            Ok(owner) => owner,
            Err(error @ CovdataError::Missing { .. }) => {
                return Ok(Self::Unreadable(format!("it can't be looked at: {error}")));
            }
            Err(error) => return Ok(Self::Unreadable(error.to_string())),
        };
        let why = match (VerdictFile::look_beside(path), &owner.run) {
            (Beside::Later(why), _) => return Err(later(why)),
            (Beside::Verdict(verdict), of) => match verdict.doubt(path, of.as_ref()) {
                Ok(None) => return Ok(Self::Known(verdict)),
                Ok(Some(doubt)) => doubt,
                Err(error) => return Ok(Self::Unreadable(error.to_string())),
            },
            (_, None) => "it does not say which run it is of, so another program wrote it".to_owned(),
            (Beside::Nothing, Some(run)) => format!("it holds run {run}, and no verdict lies beside it"),
            (Beside::Garbled(why), Some(run)) => {
                format!("it holds run {run}, and the verdict beside it can't be read: {why}")
            }
        };
        Ok(Self::Unvouched(owner.run, why))
    }
}

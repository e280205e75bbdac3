//! Errors of the player's rooms, with the exit codes that they mean.

use playtrace_profile::ProfileError;
use playtrace_replay::ReplayError;

use crate::exit::Exit;
use crate::messages::Failure;

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let exit = match error {
            ProfileError::Read { .. } => Exit::Io,
            _ => Exit::BadInput,
        };
        Self::new(exit, error.code(), error.to_string())
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        let exit = match error {
            ReplayError::BaseUrl { .. } => Exit::Usage,
            ReplayError::Read { .. } | ReplayError::Write { .. } | ReplayError::Ledger(_) => Exit::Io,
            ReplayError::Unreachable { .. } | ReplayError::LogIn { .. } => Exit::Unreachable,
            ReplayError::NoAgent { .. } | ReplayError::AgentOff { .. } => Exit::Failed,
            _ => Exit::BadInput,
        };
        Self::new(exit, error.code(), error.to_string())
    }
}

//! Being written.

use crate::exit::Exit;
use crate::messages::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "PT-CLI-000", "not there"))
}

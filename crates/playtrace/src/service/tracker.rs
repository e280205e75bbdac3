//! The line about a run in a Markdown tracker.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::api::RunResult;

/// Appends what makes a run repeatable: the command, its time, its token, the verdict and the data file.
pub fn append(tracker: &Path, result: &RunResult) -> Result<(), Failure> {
    let line = line(result);
    let mut file =
        OpenOptions::new().create(true).append(true).open(tracker).map_err(|e| failed(tracker, &e))?;
    // One write: two runs that end at once don't mix their lines.
    file.write_all(line.as_bytes()).map_err(|e| failed(tracker, &e))
}

fn line(result: &RunResult) -> String {
    let artifact = result.coverage_artifact.as_ref().map(|path| format!(" · `{}`", path.display()));
    format!(
        "- {} · `{}` · run `{}` · {}{}\n",
        result.timestamp,
        result.command.replace('`', "'"),
        result.token,
        result.word(),
        artifact.unwrap_or_default()
    )
}

fn failed(tracker: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        "PT-PLAY-004",
        format!("can't append to the tracker {}: {error}", tracker.display()),
    )
}

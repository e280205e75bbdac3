//! Steps that a person can follow, and commands that say what they were when they fail.
#![expect(clippy::print_stderr, reason = "this is the one place where xtask talks")]

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use crate::Failure;

/// Says what is being done.
pub(crate) fn say(what: &str) {
    eprintln!("==> {what}");
}

/// Says what went wrong.
pub(crate) fn fail(what: &str) {
    eprintln!("error: {what}");
}

/// Runs a command to its end. On a terminal its output is shown; elsewhere only if it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = format!("{command:?}").replace('"', "");
    let failed = |why: String| format!("`{shown}` {why}");
    if std::io::stderr().is_terminal() {
        let status = command.status().map_err(|error| failed(format!("can't be run: {error}")))?;
        return if status.success() { Ok(()) } else { Err(failed(format!("ended with {status}"))) };
    }
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| failed(format!("can't be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(format!("ended with {}:\n{}", output.status, String::from_utf8_lossy(&said))))
}

/// Runs a command and gives what it prints on stdout, trimmed; `None` if it fails.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

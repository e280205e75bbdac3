//! What went wrong, for people: what, where, what to do.

use std::io::Write as _;

use crate::exit::Exit;

/// An error on its way to the terminal, with the exit code that it means.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Stable code, explained in `docs/messages.md`.
    pub code: &'static str,
    /// What and where, in one sentence.
    pub message: String,
    /// What to do, if that is not in the message.
    pub help: Option<String>,
}

impl Failure {
    /// A failure with its exit code, message code and sentence.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Shows a failure on stderr (colours obey `NO_COLOR` and the terminal) and gives its exit code.
pub fn show(failure: &Failure) -> Exit {
    let red = anstyle::AnsiColor::BrightRed.on_default().bold();
    let mut stderr = anstream::stderr().lock();
    // Nobody is left to tell if stderr is gone.
    let _ = writeln!(stderr, "{red}error{red:#}[{}]: {}", failure.code, failure.message);
    if let Some(help) = &failure.help {
        let _ = writeln!(stderr, "  help: {help}");
    }
    failure.exit
}

/// Says something on stderr that is no error.
pub fn note(text: &str) {
    // Nobody is left to tell if stderr is gone.
    let _ = writeln!(anstream::stderr().lock(), "note: {text}");
}

impl From<playtrace_ledger::LedgerError> for Failure {
    fn from(error: playtrace_ledger::LedgerError) -> Self {
        Self::new(Exit::Io, error.code(), error.to_string())
    }
}

impl From<playtrace_grant::GrantError> for Failure {
    fn from(error: playtrace_grant::GrantError) -> Self {
        Self::new(Exit::Usage, error.code(), error.to_string())
    }
}

impl From<playtrace_covdata::CovdataError> for Failure {
    fn from(error: playtrace_covdata::CovdataError) -> Self {
        Self::new(Exit::BadInput, error.code(), error.to_string())
    }
}

//! The log of a replay on a terminal.

use std::io::Write as _;

use anstream::{AutoStream, ColorChoice};
use playtrace_replay::{Channel, Line, Listener};

use super::settings;

/// Writes the log to stdout and context to stderr.
#[derive(Debug, Clone)]
pub struct Console {
    choice: ColorChoice,
    verbose: bool,
    prefix: String,
}

impl Console {
    /// A console; `verbose` shows the context of each request.
    pub fn new(verbose: bool) -> Self {
        // NO_COLOR and terminals are anstream's business; the variable decides over both.
        let choice = match settings::colour() {
            Some(true) => ColorChoice::AlwaysAnsi,
            Some(false) => ColorChoice::Never,
            None => AutoStream::choice(&std::io::stdout()),
        };
        Self { choice, verbose, prefix: String::new() }
    }

    /// The same with a prefix before each line of the log: several runs share the terminal.
    #[must_use]
    pub fn with_prefix(&self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self.clone() }
    }

    /// Whether colours are shown.
    pub fn is_coloured(&self) -> bool {
        self.choice != ColorChoice::Never
    }

    /// Writes a line of the log, which may hold colours.
    pub fn log(&self, line: &str) {
        let mut out = AutoStream::new(std::io::stdout(), self.choice).lock();
        // A reader that went away (`| head`) ends the output, not the run.
        let _ = writeln!(out, "{}{line}", self.prefix);
    }

    /// Writes a line of context, which may hold colours.
    pub fn context(&self, line: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{}{line}", self.prefix);
    }
}

impl Listener for Console {
    fn line(&self, line: &Line) {
        match line.channel {
            Channel::Log => self.log(&line.to_ansi()),
            Channel::Context if self.verbose => self.context(&line.to_ansi()),
            Channel::Context => {}
        }
    }
}

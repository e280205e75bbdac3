//! What a replay tells while it goes on.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// Hears the log of a replay, line by line.
pub trait Listener: Send + Sync {
    /// Takes one line. Called from the replay's own task: it must not wait.
    fn line(&self, line: &Line);
}

/// Where a line belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The log: stdout.
    Log,
    /// The context of requests, for those who look closer: stderr.
    Context,
}

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    Plain,
    /// An answer of 2xx, a good end.
    Good,
    /// Any other answer, a bad end.
    Bad,
    /// A job's id.
    Job,
    /// A URL.
    Url,
}

/// One line of the log: pieces that know what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it belongs.
    pub channel: Channel,
    spans: Vec<(Tone, String)>,
}

impl Line {
    /// An empty line of the log.
    pub const fn log() -> Self {
        Self { channel: Channel::Log, spans: Vec::new() }
    }

    /// An empty line of context.
    pub const fn context() -> Self {
        Self { channel: Channel::Context, spans: Vec::new() }
    }

    /// With more text.
    #[must_use]
    pub fn plain(self, text: &str) -> Self {
        self.span(Tone::Plain, text)
    }

    /// With another piece. What the app wrote may hold line ends and terminal codes: they become spaces.
    #[must_use]
    pub fn span(mut self, tone: Tone, text: &str) -> Self {
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.spans.push((tone, text));
        self
    }

    /// With an HTTP status, in the colour of its class.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        let tone = if (200..300).contains(&status) { Tone::Good } else { Tone::Bad };
        self.span(tone, &status.to_string())
    }

    /// The line without colours.
    pub fn to_plain(&self) -> String {
        self.spans.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The line with terminal colours.
    pub fn to_ansi(&self) -> String {
        let mut line = String::new();
        for (tone, text) in &self.spans {
            let style = tone.style();
            // Writing to a String can't fail.
            let _ = write!(line, "{style}{text}{style:#}");
        }
        line
    }
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Good => colour(AnsiColor::BrightGreen),
            Self::Bad => colour(AnsiColor::BrightRed),
            Self::Job => colour(AnsiColor::Magenta),
            Self::Url => colour(AnsiColor::Blue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_as_promised_and_can_be_left_out() {
        let line = Line::log().plain("GET ").span(Tone::Url, "http://h/").plain(" ").status(200).status(404);
        let line = line.span(Tone::Job, "j1");
        assert_eq!(line.to_plain(), "GET http://h/ 200404j1");
        assert_eq!(
            line.to_ansi(),
            "GET \u{1b}[34mhttp://h/\u{1b}[0m \u{1b}[92m200\u{1b}[0m\u{1b}[91m404\u{1b}[0m\u{1b}[35mj1\u{1b}[0m"
        );
    }

    #[test]
    fn an_answer_cannot_write_lines_or_codes_of_its_own() {
        assert_eq!(Line::log().plain("a\nVerdict: complete\u{1b}[2J").to_plain(), "a Verdict: complete [2J");
    }
}

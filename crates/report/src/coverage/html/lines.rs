//! The lines of a file, each with its state.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use playtrace_analysis::{FileCoverage, LineContexts, LineState, human_cmp};
use playtrace_model::ContextLabel;

use super::super::compact::ranges;
use super::push_escaped;

/// What coverage.py calls the context without a name.
const EMPTY: &str = "(empty)";

/// The main part of a file's page.
pub(super) struct Body {
    /// The lines as HTML.
    pub(super) lines: String,
    /// The contexts that they refer to, numbered from 1 in this order.
    pub(super) contexts: Vec<String>,
}

/// Writes the lines; `by_line` has the contexts of each, by their places in `labels`.
pub(super) fn body(
    file: &FileCoverage<'_>,
    by_line: Option<&LineContexts>,
    labels: &[&ContextLabel],
) -> Body {
    let text = file.input.text;
    let mut out = String::with_capacity(text.len() + text.len() / 2 + 256);
    let contexts = Contexts::of(file, by_line, labels);
    for (text, line) in text.split_terminator('\n').zip(1u32..) {
        // Writing to a String can't fail, here and below.
        let _ = write!(out, "<p id=\"L{line}\"");
        let state = file.line_state(line);
        if let Some((state, continued)) = state {
            let class = match state {
                LineState::Excluded => "excluded",
                LineState::Missing => "missing",
                LineState::Run => "executed",
            };
            let _ = write!(out, " class=\"{class}{}\"", if continued { " more" } else { "" });
        }
        out.push('>');
        push_escaped(&mut out, text);
        if matches!(state, Some((_, false))) {
            contexts.push(&mut out, line);
        }
        out.push_str("</p>\n");
    }
    Body { lines: out, contexts: contexts.names }
}

/// The contexts of one page.
struct Contexts<'a> {
    by_line: Option<&'a LineContexts>,
    /// Sorted as people expect.
    names: Vec<String>,
    /// The number here of each context of the report.
    numbers: BTreeMap<usize, u32>,
    /// The place of the context without a name.
    empty: Option<usize>,
}

impl<'a> Contexts<'a> {
    fn of(file: &FileCoverage<'_>, by_line: Option<&'a LineContexts>, labels: &[&ContextLabel]) -> Self {
        let mut used: Vec<(String, usize)> = match by_line {
            Some(_) => file
                .input
                .measured
                .iter()
                .map(|&(at, _)| (labels[at].as_str(), at))
                .map(|(label, at)| (if label.is_empty() { EMPTY } else { label }.to_owned(), at))
                .collect(),
            None => Vec::new(),
        };
        used.sort_by(|(a, _), (b, _)| human_cmp(a, b));
        let numbers = used.iter().zip(1..).map(|((_, at), number)| (*at, number)).collect();
        let empty = labels.iter().position(|label| label.as_str().is_empty());
        Self { by_line, names: used.into_iter().map(|(name, _)| name).collect(), numbers, empty }
    }

    /// Says how many contexts executed a line, and which.
    fn push(&self, out: &mut String, line: u32) {
        let contexts = self.by_line.map_or(&[][..], |by_line| by_line.on(line));
        if contexts.is_empty() {
            return;
        }
        if let [(_, only)] = contexts[..]
            && Some(only) == self.empty
        {
            let _ = write!(out, "<i>{EMPTY}</i>");
            return;
        }
        let numbers = contexts.iter().filter_map(|(_, context)| self.numbers.get(context).copied()).collect();
        let _ = write!(out, "<i data-contexts=\"");
        for (at, (first, last)) in ranges(&numbers).into_iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            let _ = if first == last {
                write!(out, "{space}{first}")
            } else {
                write!(out, "{space}{first}-{last}")
            };
        }
        let _ = write!(out, "\">{} ctx</i>", contexts.len());
    }
}

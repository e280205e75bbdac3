//! Logical lines and excluded suites, from the tokens.
//!
//! coverage.py finds both in one pass over the tokens (`PythonParser._raw_parse` in its 7.11.3 `parser.py`);
//! the rules here are that pass's, the quirks included.

use std::ops::RangeInclusive;

use playtrace_model::LineBits;
use ruff_python_ast::token::{Token, TokenKind};
use ruff_text_size::{Ranged as _, TextSize};

use crate::SourceText;

/// What the tokens of a file say about its lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// `(first, last)` of each logical line that spans several lines, ascending.
    pub(crate) multiline: Vec<(u32, u32)>,
    /// Excluded lines: those that match a pattern and the suites which they open, folded to first lines.
    pub(crate) excluded: LineBits,
    /// Whether the file holds a token at all besides comments.
    pub(crate) has_code: bool,
    /// Where `lambda` stands, ascending.
    pub(crate) lambdas: Vec<TextSize>,
    /// Whether something is declared `global`.
    pub(crate) has_global: bool,
    /// The line of the first thing that CPython's tokenizer refuses, and what it is.
    pub(crate) too_deep: Option<(u32, &'static str)>,
}

/// CPython's limits (`MAXINDENT` and `MAXLEVEL` in its `tokenizer.h`).
const MAX_INDENT: u32 = 100;
const MAX_NESTING: u32 = 200;

impl Layout {
    /// The first line of the logical line that `line` belongs to.
    pub(crate) fn first_line(&self, line: u32) -> u32 {
        let at = self.multiline.partition_point(|&(_, last)| last < line);
        match self.multiline.get(at) {
            Some(&(first, _)) if first <= line => first,
            _ => line,
        }
    }

    /// Reads the tokens; `matching` are the lines that the exclusion patterns match.
    pub(crate) fn of(tokens: &[Token], text: &SourceText, matching: LineBits) -> Self {
        let mut pass = Pass { layout: Self { excluded: matching, ..Self::default() }, ..Pass::default() };
        let mut cursor = text.cursor();
        for token in tokens {
            let lines = cursor.line(token.start())..=cursor.line(token.end());
            match token.kind() {
                TokenKind::Lambda => pass.layout.lambdas.push(token.start()),
                TokenKind::Global => pass.layout.has_global = true,
                _ => {}
            }
            pass.token(token.kind(), &lines);
        }
        let mut layout = pass.layout;
        layout.excluded = layout.excluded.iter().map(|line| layout.first_line(line)).collect();
        layout
    }
}

#[derive(Default)]
struct Pass {
    layout: Layout,
    indent: u32,
    /// The indentation at which the excluded suite was opened, while in one.
    excluding: Option<u32>,
    /// The first line of the logical line that we are in.
    first_line: Option<u32>,
    nesting: u32,
}

impl Pass {
    fn token(&mut self, kind: TokenKind, lines: &RangeInclusive<u32>) {
        match kind {
            TokenKind::Indent => {
                self.indent += 1;
                self.limit(self.indent >= MAX_INDENT, *lines.start(), "too many levels of indentation");
            }
            TokenKind::Dedent => self.indent = self.indent.saturating_sub(1),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                self.nesting += 1;
                self.limit(self.nesting > MAX_NESTING, *lines.start(), "too many nested parentheses");
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                self.nesting = self.nesting.saturating_sub(1);
            }
            TokenKind::Colon if self.nesting == 0 => self.colon(*lines.end()),
            TokenKind::Newline => self.end_logical_line(*lines.start()),
            _ => {}
        }
        let blank = matches!(
            kind,
            TokenKind::Indent
                | TokenKind::Dedent
                | TokenKind::Newline
                | TokenKind::NonLogicalNewline
                | TokenKind::Comment
                | TokenKind::EndOfFile
        );
        if !blank {
            self.visible(lines);
        }
    }

    fn limit(&mut self, over: bool, line: u32, problem: &'static str) {
        if over && self.layout.too_deep.is_none() {
            self.layout.too_deep = Some((line, problem));
        }
    }

    /// A colon opens a suite (or is an annotation's, or a lambda's: coverage.py makes no difference).
    fn colon(&mut self, line: u32) {
        let first = self.first_line.unwrap_or(line);
        let hit = (first..=line).any(|line| self.layout.excluded.contains(line));
        if self.excluding.is_none() && hit {
            self.layout.excluded.insert(line);
            self.excluding = Some(self.indent);
        }
    }

    fn end_logical_line(&mut self, last: u32) {
        if let Some(first) = self.first_line.take()
            && first != last
        {
            self.layout.multiline.push((first, last));
        }
    }

    fn visible(&mut self, lines: &RangeInclusive<u32>) {
        self.layout.has_code = true;
        if self.first_line.is_none() {
            self.first_line = Some(*lines.start());
            if self.excluding.is_some_and(|opened_at| self.indent <= opened_at) {
                self.excluding = None;
            }
            if self.excluding.is_some() {
                self.layout.excluded.insert(*lines.end());
            }
        }
    }
}

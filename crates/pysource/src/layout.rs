//! Logical lines and excluded suites, from the tokens.
//!
//! coverage.py finds both in one pass over the tokens (`PythonParser._raw_parse` in its 7.11.3 `parser.py`);
//! the rules here are that pass's, the quirks included.

use std::cell::Cell;

use playtrace_model::LineBits;
use ruff_python_ast::token::{Token, TokenKind};
use ruff_text_size::{Ranged as _, TextSize};

use crate::SourceText;
use crate::text::{LineCursor, near};

/// What the tokens of a file say about its lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// `(first, last)` of each logical line that spans several lines, ascending.
    pub(crate) multiline: Vec<(u32, u32)>,
    /// Where each logical line begins, and its first line, ascending.
    begins: Vec<(TextSize, u32)>,
    /// Excluded lines: those that match a pattern and the suites which they open, folded to first lines.
    pub(crate) excluded: LineBits,
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
    /// Whether the file holds a token at all besides comments.
    pub(crate) fn has_code(&self) -> bool {
        !self.begins.is_empty()
    }

    /// The first line of the logical line that `line` belongs to.
    pub(crate) fn first_line(&self, line: u32) -> u32 {
        let at = self.multiline.partition_point(|&(_, last)| last < line);
        match self.multiline.get(at) {
            Some(&(first, _)) if first <= line => first,
            _ => line,
        }
    }

    /// The first lines of the logical lines that statements stand in, for offsets that mostly lie near each other.
    pub(crate) fn first_lines(&self) -> FirstLines<'_> {
        FirstLines { begins: &self.begins, begun: Cell::new(0) }
    }

    /// Reads the tokens; `matching` are the lines that the exclusion patterns match.
    pub(crate) fn of(tokens: &[Token], text: &SourceText, matching: LineBits) -> Self {
        let lines = usize::try_from(text.line_count()).unwrap_or_default();
        let mut pass = Pass {
            may_exclude: !matching.is_empty(),
            layout: Self {
                excluded: matching,
                begins: Vec::with_capacity(lines / LINES_A_STATEMENT),
                ..Self::default()
            },
            cursor: text.cursor(),
            indent: 0,
            excluding: None,
            first_line: None,
            nesting: 0,
        };
        for token in tokens {
            pass.token(token);
        }
        let mut layout = pass.layout;
        if !layout.excluded.is_empty() && !layout.multiline.is_empty() {
            layout.excluded = layout.excluded.iter().map(|line| layout.first_line(line)).collect();
        }
        layout
    }
}

/// Comments and blank lines among them; fewer, and a list grows once.
const LINES_A_STATEMENT: usize = 2;

/// See [`Layout::first_lines`].
#[derive(Debug)]
pub(crate) struct FirstLines<'a> {
    begins: &'a [(TextSize, u32)],
    /// How many of them are not behind the last offset.
    begun: Cell<usize>,
}

impl FirstLines<'_> {
    /// The first line of the logical line that the token at `offset` stands in.
    pub(crate) fn of(&self, offset: TextSize) -> u32 {
        let begun = near(self.begins, self.begun.get(), |(begin, _)| begin <= offset);
        self.begun.set(begun);
        // A token stands in a logical line.
        begun.checked_sub(1).map_or(1, |last| self.begins[last].1)
    }
}

struct Pass<'a> {
    layout: Layout,
    /// Asked only where a line matters: most tokens stand within a logical line.
    cursor: LineCursor<'a>,
    /// Whether a pattern matches anywhere: else no colon opens an excluded suite.
    may_exclude: bool,
    indent: u32,
    /// The indentation at which the excluded suite was opened, while in one.
    excluding: Option<u32>,
    /// The first line of the logical line that we are in.
    first_line: Option<u32>,
    nesting: u32,
}

impl Pass<'_> {
    fn token(&mut self, token: &Token) {
        match token.kind() {
            TokenKind::Indent => {
                self.indent += 1;
                self.limit(self.indent >= MAX_INDENT, token, "too many levels of indentation");
            }
            TokenKind::Dedent => self.indent = self.indent.saturating_sub(1),
            TokenKind::Newline => self.end_logical_line(token),
            TokenKind::NonLogicalNewline | TokenKind::Comment | TokenKind::EndOfFile => {}
            kind => {
                match kind {
                    TokenKind::Lambda => self.layout.lambdas.push(token.start()),
                    TokenKind::Global => self.layout.has_global = true,
                    TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                        self.nesting += 1;
                        self.limit(self.nesting > MAX_NESTING, token, "too many nested parentheses");
                    }
                    TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                        self.nesting = self.nesting.saturating_sub(1);
                    }
                    TokenKind::Colon if self.may_exclude && self.nesting == 0 => self.colon(token),
                    _ => {}
                }
                if self.first_line.is_none() {
                    self.begin_logical_line(token);
                }
            }
        }
    }

    fn limit(&mut self, over: bool, token: &Token, problem: &'static str) {
        if over && self.layout.too_deep.is_none() {
            self.layout.too_deep = Some((self.cursor.line(token.start()), problem));
        }
    }

    /// A colon opens a suite (or is an annotation's, or a lambda's: coverage.py makes no difference).
    fn colon(&mut self, token: &Token) {
        let line = self.cursor.line(token.end());
        let first = self.first_line.unwrap_or(line);
        let hit = (first..=line).any(|line| self.layout.excluded.contains(line));
        if self.excluding.is_none() && hit {
            self.layout.excluded.insert(line);
            self.excluding = Some(self.indent);
        }
    }

    fn end_logical_line(&mut self, token: &Token) {
        let Some(first) = self.first_line.take() else { return };
        let last = self.cursor.line(token.start());
        if first != last {
            self.layout.multiline.push((first, last));
        }
    }

    fn begin_logical_line(&mut self, token: &Token) {
        let line = self.cursor.line(token.start());
        self.first_line = Some(line);
        self.layout.begins.push((token.start(), line));
        if self.excluding.is_some_and(|opened_at| self.indent <= opened_at) {
            self.excluding = None;
        }
        if self.excluding.is_some() {
            self.layout.excluded.insert(self.cursor.line(token.end()));
        }
    }
}

//! Room for sources that nest deeply: the parser and everything after it recurse.

use std::io;

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::Mode;
use ruff_python_parser::lexer::lex;

/// The stack of a thread that analyses sources.
///
/// Only what is used becomes memory.
pub(crate) const STACK_BYTES: usize = 256 << 20;

/// How deep expressions may nest, for that stack: no level of ruff's parser, of our walks or of dropping the syntax
/// tree takes more than 4 KiB (`deep_sources_are_answered` tests it; measured: less than 1.5).
const MAX_DEPTH: usize = STACK_BYTES / (4 << 10);

/// Runs `work` on a thread with that stack.
pub(crate) fn roomy_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        thread.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}

/// A thread for each core, with that stack.
pub(crate) fn roomy_pool() -> io::Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build().map_err(io::Error::other)
}

/// The logical line, counted from 1, in which a source may nest deeper than the stack bears; most sources are too short for that.
///
/// Each level of nesting takes a token at least, and none goes on beyond the end of a logical line, indentation apart
/// (whose levels take more and more characters).
pub(crate) fn too_nested(text: &str) -> Option<u32> {
    if text.len() <= MAX_DEPTH {
        return None;
    }
    let mut lexer = lex(text, Mode::Module);
    let mut levels = Levels::default();
    let mut lines = 0;
    loop {
        let kind = lexer.next_token();
        levels.take(kind);
        lines += u32::from(kind == TokenKind::Newline);
        if kind == TokenKind::EndOfFile {
            return None;
        }
        if levels.depth() > MAX_DEPTH {
            return Some(lines + 1);
        }
    }
}

/// An upper bound of the nesting: the tokens between separators, at each open bracket.
#[derive(Debug, Default)]
struct Levels {
    /// What was counted at each open bracket, before it.
    outside: Vec<Level>,
    total_outside: usize,
    here: Level,
}

#[derive(Debug, Default, Clone, Copy)]
struct Level {
    tokens: usize,
    /// A comma among a lambda's parameters separates nothing.
    has_lambda: bool,
}

impl Levels {
    fn depth(&self) -> usize {
        self.total_outside + self.here.tokens
    }

    fn take(&mut self, kind: TokenKind) {
        match kind {
            TokenKind::Newline => *self = Self::default(),
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                self.here.tokens += 1;
                self.total_outside += self.here.tokens;
                self.outside.push(std::mem::take(&mut self.here));
            }
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd => {
                // A call or subscript is a level of what goes on behind it.
                if let Some(before) = self.outside.pop() {
                    self.total_outside -= before.tokens;
                    self.here = before;
                }
            }
            TokenKind::Comma if !self.here.has_lambda => self.here = Level::default(),
            TokenKind::FStringMiddle | TokenKind::TStringMiddle => self.here = Level::default(),
            kind => {
                self.here.tokens += 1;
                self.here.has_lambda |= kind == TokenKind::Lambda;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_is_not_deep() {
        let table = format!("x = [\n{}]\n", "    ('a', 1),\n".repeat(MAX_DEPTH));
        assert_eq!(too_nested(&table), None);
        let lines = "x = f(a) + g(b)\n".repeat(MAX_DEPTH);
        assert_eq!(too_nested(&lines), None);
    }

    #[test]
    fn deep_is_found() {
        for part in [
            "-",
            "(",
            "not ",
            "lambda a, b: ",
            "a if b else ",
            "a ** ",
            "f'{",
            "(\n",
            "x[",
            "a.b",
            "f()",
            "await ",
        ] {
            let text = part.repeat(2 * MAX_DEPTH);
            assert!(too_nested(&text).is_some(), "{part}");
        }
    }
}

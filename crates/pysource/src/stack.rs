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
    // Reading the tokens costs a good part of what parsing does; to see that there are too few of them, next to nothing.
    if text.len() <= MAX_DEPTH || tokens_at_most(text) <= MAX_DEPTH {
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

/// An upper bound of how many tokens a text has that [`Levels`] counts, from its bytes alone.
fn tokens_at_most(text: &str) -> usize {
    // So few that a byte holds their count.
    const PART: usize = 192;
    let bytes = text.as_bytes();
    // The first byte has nothing before it, the first line may be indented, and at the end stands an error if a bracket is open.
    let ends = 2 + usize::from(!bytes.is_empty());
    let parts = bytes.get(1..).unwrap_or_default().chunks(PART).zip(bytes.chunks(PART));
    parts.fold(ends, |count, (part, before)| {
        let begun = part.iter().zip(before).map(|(&byte, &before)| u8::from(may_begin_token(byte, before)));
        count + usize::from(begun.sum::<u8>())
    })
}

/// Whether `byte` may begin a token that counts, where it stands behind `before`.
///
/// Blanks begin none, closing brackets one that does not count, and a letter after a letter is within a name, a number or
/// a string's prefix. Each ended line counts for the dedents, which have no character of their own. (No branches: this
/// is done to several bytes at a time.)
#[allow(clippy::needless_bitwise_bool)]
fn may_begin_token(byte: u8, before: u8) -> bool {
    let is_letter = |byte: u8| ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte == b'_');
    let is_quiet = (byte == b' ') | (byte == b'\t') | (byte == b')') | (byte == b']') | (byte == b'}');
    !(is_quiet | (is_letter(byte) & is_letter(before)))
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
    use proptest::prelude::*;

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

    /// The most that [`Levels`] counts in a text.
    fn deepest(text: &str) -> usize {
        let mut lexer = lex(text, Mode::Module);
        let mut levels = Levels::default();
        let mut deepest = 0;
        loop {
            let kind = lexer.next_token();
            if kind == TokenKind::EndOfFile {
                return deepest;
            }
            levels.take(kind);
            deepest = deepest.max(levels.depth());
        }
    }

    #[test]
    fn bytes_are_enough_for_most_sources() {
        let source =
            "def f(self, name):\n    \"\"\"Says hello to somebody.\"\"\"\n    return self.hello(name)\n";
        assert!(tokens_at_most(source) * 2 < source.len(), "{}", tokens_at_most(source));
        assert_eq!(tokens_at_most(""), 2);
        assert_eq!(tokens_at_most(&"-".repeat(1000)), 1002);
        assert_eq!(tokens_at_most(&"a ".repeat(1000)), 1002);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// No token is without a byte that counts.
        #[test]
        fn no_more_tokens_than_bytes_say(
            parts in proptest::collection::vec(prop_oneof!["[-a1_ (\\[{},.:'\"\\\\=)x0]{1,6}", ".", "\n *", Just("f'{".to_owned())], 0..60),
        ) {
            let text = parts.concat();
            prop_assert!(deepest(&text) <= tokens_at_most(&text), "{} > {}", deepest(&text), tokens_at_most(&text));
        }
    }
}

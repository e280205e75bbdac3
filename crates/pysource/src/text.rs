//! Bytes of a source file -> the text whose lines are counted.

use std::borrow::Cow;
use std::cell::Cell;

use encoding_rs::{Encoding, UTF_8};
use ruff_text_size::TextSize;

use crate::SourceError;

/// A source text with Python's line numbers.
///
/// Line ends are `\n` alone and the last line has one, because that is the text on which coverage.py
/// counts lines and runs its exclusion patterns.
#[derive(Debug, Clone)]
pub struct SourceText {
    text: String,
    newlines: Vec<u32>,
}

impl SourceText {
    /// Decodes a file's bytes: UTF-8, or what its byte order mark or `coding:` comment (PEP 263) says. Bytes that are
    /// handed over are not copied where nothing in them changes.
    ///
    /// Bytes that are wrong in the encoding become U+FFFD, as coverage.py reads them; `name` is for errors.
    pub fn decode<'a>(bytes: impl Into<Cow<'a, [u8]>>, name: &str) -> Result<Self, SourceError> {
        let bytes = normalized(bytes.into());
        let (encoding, rest) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => {
                // CPython takes no other spelling beside a byte order mark, `utf8` included.
                let fits = |label: &str| label == "utf-8" || label.starts_with("utf-8-");
                if declared(rest, name)?.is_some_and(|label| !fits(&normal_name(label.name))) {
                    return Err(not_utf_8(
                        name,
                        "a byte order mark, and a comment that names another encoding",
                    ));
                }
                (UTF_8, Cow::Owned(rest.to_vec()))
            }
            None => (declared_encoding(&bytes, name)?, bytes),
        };
        Ok(Self::new(decoded(rest, encoding)))
    }

    fn new(mut text: String) -> Self {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        // Longer texts than 32 bits can count are refused before anybody asks for a line.
        let mut newlines = Vec::with_capacity(text.len() / BYTES_A_LINE);
        newlines.extend(
            memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| u32::try_from(at).unwrap_or(u32::MAX)),
        );
        Self { text, newlines }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many lines there are.
    pub fn line_count(&self) -> u32 {
        // A file of 2^32 lines would not have fitted into ruff's 32-bit offsets.
        u32::try_from(self.newlines.len()).unwrap_or(u32::MAX)
    }

    /// The line, counted from 1, that the byte at `offset` stands on.
    pub(crate) fn line(&self, offset: TextSize) -> u32 {
        self.line_at(offset.to_u32())
    }

    /// The same for a plain byte offset.
    pub(crate) fn line_at(&self, offset: u32) -> u32 {
        numbered(self.newlines.partition_point(|&newline| newline < offset))
    }

    /// How many characters stand before `offset` on its line.
    pub(crate) fn column(&self, offset: TextSize) -> u32 {
        let end = offset.to_usize();
        let start = memchr::memrchr(b'\n', &self.text.as_bytes()[..end]).map_or(0, |newline| newline + 1);
        u32::try_from(self.text[start..end].chars().count()).unwrap_or(u32::MAX)
    }

    /// Line numbers for offsets that mostly lie near each other.
    pub(crate) fn cursor(&self) -> LineCursor<'_> {
        LineCursor { newlines: &self.newlines, before: Cell::new(0) }
    }

    /// The text from a line to another, both counted from 1 and included, with the end of each.
    pub fn of_lines(&self, span: (u32, u32)) -> &str {
        let (start, newlines) = self.part(span);
        let end = newlines.last().map_or(start, |&last| behind(last));
        self.text.get(start..end).unwrap_or_default()
    }

    /// The same, line by line.
    pub fn each_of_lines(&self, span: (u32, u32)) -> impl Iterator<Item = &str> {
        let (mut start, newlines) = self.part(span);
        newlines.iter().map(move |&newline| {
            let end = behind(newline);
            let line = self.text.get(start..end).unwrap_or_default();
            start = end;
            line
        })
    }

    /// Where a part of the lines begins, and their ends.
    fn part(&self, (first, last): (u32, u32)) -> (usize, &[u32]) {
        let index = |line: u32| usize::try_from(line).unwrap_or(usize::MAX).min(self.newlines.len());
        let before = index(first.saturating_sub(1));
        let start = before.checked_sub(1).map_or(0, |last| behind(self.newlines[last]));
        (start, self.newlines.get(before..index(last)).unwrap_or_default())
    }

    /// The lines as text, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n')
    }
}

/// The place behind a newline.
fn behind(newline: u32) -> usize {
    usize::try_from(newline).map_or(usize::MAX, |at| at + 1)
}

/// Most sources have shorter lines than that on average.
const BYTES_A_LINE: usize = 28;

/// Finds lines from where the last one was, which takes less than a search among all.
#[derive(Debug)]
pub(crate) struct LineCursor<'a> {
    newlines: &'a [u32],
    /// How many of them lie before the last offset.
    before: Cell<usize>,
}

impl LineCursor<'_> {
    /// As [`SourceText::line`].
    pub(crate) fn line(&self, offset: TextSize) -> u32 {
        let offset = offset.to_u32();
        let before = near(self.newlines, self.before.get(), |newline| newline < offset);
        self.before.set(before);
        numbered(before)
    }
}

/// As `sorted.partition_point(goes_before)`, looked for from `hint` on in steps that double.
pub(crate) fn near<T: Copy>(sorted: &[T], hint: usize, goes_before: impl Fn(T) -> bool) -> usize {
    let in_part = |low: usize, high: usize| low + sorted[low..high].partition_point(|&one| goes_before(one));
    let mut step = 1;
    if sorted.get(hint).is_some_and(|&one| goes_before(one)) {
        let mut low = hint + 1;
        while let Some(&one) = sorted.get(low + step) {
            if !goes_before(one) {
                return in_part(low, low + step);
            }
            low += step + 1;
            step *= 2;
        }
        return in_part(low, sorted.len());
    }
    let mut high = hint.min(sorted.len());
    while high >= step {
        if goes_before(sorted[high - step]) {
            return in_part(high - step + 1, high);
        }
        high -= step;
        step *= 2;
    }
    in_part(0, high)
}

fn numbered(newlines_before: usize) -> u32 {
    u32::try_from(newlines_before).map_or(u32::MAX, |count| count.saturating_add(1))
}

fn decoded(bytes: Cow<'_, [u8]>, encoding: &'static Encoding) -> String {
    let decode = |bytes: &[u8]| encoding.decode_without_bom_handling(bytes).0.into_owned();
    match bytes {
        Cow::Owned(bytes) if encoding == UTF_8 => {
            String::from_utf8(bytes).unwrap_or_else(|error| decode(error.as_bytes()))
        }
        bytes => decode(&bytes),
    }
}

/// Line ends as `\n`, and form feeds as spaces, which is how coverage.py reads a source before it parses it.
fn normalized(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\r', b'\x0c', &bytes).is_none() {
        return bytes;
    }
    let mut normal = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if_eq(&b'\n');
                normal.push(b'\n');
            }
            b'\x0c' => normal.push(b' '),
            _ => normal.push(byte),
        }
    }
    Cow::Owned(normal)
}

/// The name of an encoding in a `coding:` comment.
struct Label<'a> {
    name: &'a [u8],
    line: u32,
}

/// PEP 263: a comment on the first line, or on the second where the first holds no code.
fn declared<'a>(bytes: &'a [u8], name: &str) -> Result<Option<Label<'a>>, SourceError> {
    for (line, number) in bytes.split(|&byte| byte == b'\n').take(2).zip(1u32..) {
        // Whatever the comment says, these lines are UTF-8: `tokenize.detect_encoding` decodes them so.
        if std::str::from_utf8(line).is_err() {
            return Err(not_utf_8(name, "neither UTF-8 nor a comment that names another encoding"));
        }
        let code = line.trim_ascii_start();
        if !code.is_empty() && code[0] != b'#' {
            break;
        }
        if let Some(label) = cookie(code) {
            return Ok(Some(Label { name: label, line: number }));
        }
    }
    Ok(None)
}

fn declared_encoding(bytes: &[u8], name: &str) -> Result<&'static Encoding, SourceError> {
    let Some(label) = declared(bytes, name)? else { return Ok(UTF_8) };
    for_python_name(label.name).ok_or_else(|| SourceError::Encoding {
        name: name.to_owned(),
        line: label.line,
        encoding: String::from_utf8_lossy(label.name).into_owned(),
    })
}

fn not_utf_8(name: &str, problem: &str) -> SourceError {
    SourceError::Syntax { name: name.to_owned(), line: 1, problem: problem.to_owned() }
}

/// What stands after `coding:` or `coding=` in a comment: the first of them that has a name after it.
fn cookie(comment: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find_iter(comment, b"coding").find_map(|at| {
        let rest = comment[at + b"coding".len()..]
            .strip_prefix(b":")
            .or_else(|| comment[at + b"coding".len()..].strip_prefix(b"="))?;
        let blank = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
        let label = &rest[blank..];
        let end = label
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || b"-_.".contains(byte)))
            .unwrap_or(label.len());
        (end > 0).then_some(&label[..end])
    })
}

fn normal_name(label: &[u8]) -> String {
    String::from_utf8_lossy(label).to_ascii_lowercase().replace('_', "-")
}

/// Python's names for encodings differ from the WHATWG's in underscores, suffixes and a few aliases.
fn for_python_name(label: &[u8]) -> Option<&'static Encoding> {
    let label = normal_name(label);
    let label = ["-unix", "-dos", "-mac"].iter().find_map(|end| label.strip_suffix(end)).unwrap_or(&label);
    let label = match label {
        "utf-8-sig" | "u8" | "utf" | "cp65001" => "utf-8",
        "latin" | "latin-1" | "l1" | "iso-latin-1" | "8859" | "cp819" => "latin1",
        "euc-jp" | "eucjp" | "ujis" | "u-jis" => "euc-jp",
        "cp932" | "mskanji" | "ms-kanji" => "shift_jis",
        "cp949" | "uhc" => "euc-kr",
        other => other,
    };
    let windows = label.strip_prefix("cp125").map(|page| format!("windows-125{page}"));
    Encoding::for_label(windows.as_deref().unwrap_or(label).as_bytes()).or_else(|| {
        label.strip_prefix("iso").and_then(|rest| Encoding::for_label(format!("iso-{rest}").as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        SourceText::decode(bytes, "t.py").unwrap().as_str().to_owned()
    }

    #[test]
    fn line_ends_and_the_last_line() {
        assert_eq!(text(b"a\r\nb\rc"), "a\nb\nc\n");
        assert_eq!(text(b""), "");
        assert_eq!(text(b"a\x0c\r\nb"), "a \nb\n");
    }

    #[test]
    fn encodings() {
        assert_eq!(text(b"\xef\xbb\xbfx = '\xc3\xa9'\n"), "x = 'é'\n");
        assert_eq!(text(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n"), "# -*- coding: latin-1 -*-\nx = 'é'\n");
        assert_eq!(text(b"#!/bin/x\n# vim: set fileencoding=cp1252 :\n'\x80'\n").lines().nth(2), Some("'€'"));
        assert_eq!(
            text(b"x = 1\n# coding: latin-1\n'\xc3\xa9'\n").lines().nth(2),
            Some("'é'"),
            "code comes first"
        );
        assert_eq!(text(b"\n\n'\xff'\n"), "\n\n'\u{fffd}'\n");
    }

    #[test]
    fn an_unknown_encoding_is_named_with_its_line() {
        let error = SourceText::decode(b"\n# coding: klingon\n", "t.py").unwrap_err();
        assert_eq!(error.code(), "PT-SOURCE-003");
        assert!(error.to_string().starts_with("t.py:2: unknown encoding \"klingon\""), "{error}");
    }

    #[test]
    fn offsets_become_lines() {
        let text = SourceText::decode(b"a\nbc\n", "t.py").unwrap();
        let lines: Vec<u32> = (0..5).map(|at| text.line_at(at)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 2]);
        assert_eq!(text.line_count(), 2);
    }

    proptest! {
        #[test]
        fn near_is_a_partition_point(mut sorted in proptest::collection::vec(0u32..50, 0..40), hint in 0usize..60, bound in 0u32..52) {
            sorted.sort_unstable();
            let expected = sorted.partition_point(|&one| one < bound);
            prop_assert_eq!(near(&sorted, hint, |one| one < bound), expected);
        }
    }

    #[test]
    fn some_lines_of_a_text() {
        let text = SourceText::decode(b"a\nb\xc3\xa9\n\nd", "t.py").unwrap();
        for (span, expected) in [
            ((1, 1), "a\n"),
            ((2, 3), "b\u{e9}\n\n"),
            ((1, 4), "a\nb\u{e9}\n\nd\n"),
            ((4, 9), "d\n"),
            ((5, 9), ""),
            ((3, 2), ""),
            ((4, 2), ""),
        ] {
            assert_eq!(text.of_lines(span), expected, "{span:?}");
            assert_eq!(text.each_of_lines(span).collect::<String>(), expected, "{span:?}");
        }
        assert_eq!(SourceText::decode(b"", "t.py").unwrap().of_lines((1, 1)), "");
    }

    #[test]
    fn a_cursor_finds_what_a_search_does() {
        let text = SourceText::decode(b"a\n\n\nbc\nd\n", "t.py").unwrap();
        let cursor = text.cursor();
        for at in [8, 0, 3, 4, 9, 2, 2, 7] {
            assert_eq!(cursor.line(TextSize::new(at)), text.line_at(at), "{at}");
        }
    }
}

//! Spellings of Python that coverage.py's formats have.

use std::borrow::Cow;
use std::fmt::Write as _;

use playtrace_analysis::Edition;

/// A number as `repr` spells a float.
pub(crate) fn float(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-4 {
        // Rust: 9.5e-5, Python: 9.5e-05.
        let text = format!("{number:e}");
        return match text.split_once("e-") {
            Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
            None => text,
        };
    }
    format!("{number:?}")
}

/// A number from 0 to 1 with four digits that count, as the format `.4g` spells it.
pub(super) fn four_digits(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{number:.3e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 {
        return format!("{}e-{:02}", trimmed(digits), -exponent);
    }
    let places = usize::try_from(3 - exponent).unwrap_or(0);
    trimmed(&format!("{number:.places$}"))
}

/// Line numbers as one text: runs of statements that are all in `lines` become ranges, comments between them or not.
pub(super) fn line_ranges(
    statements: &playtrace_model::LineBits,
    lines: &playtrace_model::LineBits,
) -> String {
    let mut text = String::new();
    let mut open: Option<(u32, u32)> = None;
    let mut close = |open: &mut Option<(u32, u32)>| {
        if let Some((first, last)) = open.take() {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a String can't fail.
            let _ = if first == last {
                write!(text, "{comma}{first}")
            } else {
                write!(text, "{comma}{first}-{last}")
            };
        }
    };
    for line in statements.iter() {
        if lines.contains(line) {
            open = Some((open.map_or(line, |(first, _)| first), line));
        } else {
            close(&mut open);
        }
    }
    close(&mut open);
    text
}

/// How many lines `str.splitlines` finds: it splits at more than newlines.
pub(super) fn splitlines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = rest.find(ends_line) else { return Some(std::mem::take(&mut rest)) };
        let (line, tail) = rest.split_at(end);
        let length = if tail.starts_with("\r\n") { 2 } else { tail.chars().next().map_or(1, char::len_utf8) };
        rest = &tail[length..];
        Some(line)
    })
}

fn ends_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}' | '\u{1d}' | '\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// A name with a question mark for each character that can't be printed, as 7.17 writes it; 7.11 writes it as it is.
pub(super) fn printable(name: &str, edition: Edition) -> Cow<'_, str> {
    if edition < Edition::V7_17 || name.chars().all(is_printable) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(|c| if is_printable(c) { c } else { '?' }).collect())
}

/// Python's `str.isprintable`, of one character: Rust escapes for `Debug` what it does not call printable.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // A mark at the beginning would be escaped whatever it is.
    let text: String = ['a', c].iter().collect();
    text.escape_debug().eq(text.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelt_as_python_spells_them() {
        for (number, text) in [
            (100.0, "100.0"),
            (0.0, "0.0"),
            (200.0 / 3.0, "66.66666666666667"),
            (0.0001, "0.0001"),
            (0.000_095, "9.5e-05"),
            (1.0 / 3e6, "3.3333333333333335e-07"),
        ] {
            assert_eq!(float(number), text);
        }
        for (number, text) in [
            (0.5, "0.5"),
            (1.0, "1"),
            (2.0 / 3.0, "0.6667"),
            (0.99999, "1"),
            (0.012_345_6, "0.01235"),
            (0.000_123_45, "0.0001234"),
            (0.000_012_345, "1.234e-05"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(four_digits(number), text, "{number}");
        }
    }

    #[test]
    fn lines() {
        let bits = |lines: &[u32]| lines.iter().copied().collect();
        // The example of coverage.py's format_lines.
        let statements = bits(&[1, 2, 3, 4, 5, 10, 11, 12, 13, 14]);
        assert_eq!(line_ranges(&statements, &bits(&[1, 2, 5, 10, 11, 13, 14])), "1-2, 5-11, 13-14");
        assert_eq!(line_ranges(&statements, &bits(&[])), "");
        assert_eq!(line_ranges(&statements, &bits(&[3])), "3");
        let split: Vec<&str> = splitlines("a\r\nb\x0c\u{2028}c\n\n").collect();
        assert_eq!(split, ["a", "b", "", "c", ""]);
        assert_eq!(splitlines("").count(), 0);
    }

    #[test]
    fn control_characters_are_replaced_in_7_17() {
        let name = "a\u{1b}[1m\u{301}é\u{202e}\u{a0}\"\\.py";
        assert_eq!(printable(name, Edition::V7_11), name);
        assert_eq!(printable(name, Edition::V7_17), "a?[1m\u{301}é??\"\\.py");
    }
}

//! What a backslash means.

use super::chars::{Chars, Problem};

/// An escape sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// One character.
    Char(char),
    /// `\d`, `\D`, `\s`, `\S`, `\w` or `\W`.
    Class(char),
    /// `\A`, `\Z`, `\z`, `\b` or `\B`: a place.
    Place(char),
    /// `\1`: what a group matched.
    Group(usize),
}

/// Reads what stands behind the backslash that was read last.
pub(super) fn read(chars: &mut Chars, in_set: bool) -> Result<Escape, Problem> {
    let start = chars.at - 1;
    let Some(c) = chars.next() else { return Err(Problem::new("bad escape (end of pattern)", start)) };
    let char = match c {
        'a' => '\u{7}',
        'b' if in_set => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => return Ok(Escape::Class(c)),
        // CPython knows `\z` from 3.14.
        'A' | 'Z' | 'z' | 'b' | 'B' if !in_set => return Ok(Escape::Place(c)),
        'x' => hexadecimal(chars, c, 2, start)?,
        'u' => hexadecimal(chars, c, 4, start)?,
        'U' => hexadecimal(chars, c, 8, start)?,
        'N' => named(chars, start)?,
        '0'..='9' => return number(chars, c, in_set, start),
        _ if c.is_ascii_alphabetic() => return Err(Problem::new(format!("bad escape \\{c}"), start)),
        _ => c,
    };
    Ok(Escape::Char(char))
}

fn hexadecimal(chars: &mut Chars, c: char, digits: usize, start: usize) -> Result<char, Problem> {
    let text = chars.take(digits, |c| c.is_ascii_hexdigit());
    if text.len() < digits {
        return Err(Problem::new(format!("incomplete escape \\{c}{text}"), start));
    }
    let number = u32::from_str_radix(&text, 16).unwrap_or(u32::MAX);
    char::from_u32(number).ok_or_else(|| {
        let why = if (0xd800..0xe000).contains(&number) { " (no text holds a surrogate)" } else { "" };
        Problem::new(format!("bad escape \\{c}{text}{why}"), start)
    })
}

/// `\N{NAME}`: the character that Unicode calls so.
fn named(chars: &mut Chars, start: usize) -> Result<char, Problem> {
    if !chars.eat("{") {
        return Err(Problem::new("missing {", chars.at));
    }
    let name = chars.until('}', "character name")?;
    character(&name).ok_or_else(|| Problem::new(format!("undefined character name '{name}'"), start))
}

/// The character with a name or an alias, written in any case, as `unicodedata.lookup` finds it.
fn character(name: &str) -> Option<char> {
    let upper = name.to_ascii_uppercase();
    let found = unicode_names2::character(&upper)?;
    // It compares as much as the known name has.
    let is_longer = unicode_names2::name(found)
        .map(|known| known.to_string())
        .is_some_and(|known| upper.len() > known.len() && upper.starts_with(&known));
    (!is_longer).then_some(found)
}

/// A group's number, or up to three octal digits.
fn number(chars: &mut Chars, first: char, in_set: bool, start: usize) -> Result<Escape, Problem> {
    let is_octal = |c: char| ('0'..='7').contains(&c);
    let octal = |digits: &str| match u8::from_str_radix(digits, 8) {
        Ok(code) => Ok(Escape::Char(char::from(code))),
        Err(_) => Err(Problem::new(format!("octal escape value \\{digits} outside of range 0-0o377"), start)),
    };
    if first == '0' || in_set && is_octal(first) {
        let digits = format!("{first}{}", chars.take(2, is_octal));
        return octal(&digits);
    }
    if in_set {
        return Err(Problem::new(format!("bad escape \\{first}"), start));
    }
    let mut digits = format!("{first}{}", chars.take(1, |c| c.is_ascii_digit()));
    if digits.len() == 2 && digits.chars().all(is_octal) && chars.peek().is_some_and(is_octal) {
        digits.extend(chars.next());
        return octal(&digits);
    }
    Ok(Escape::Group(digits.parse().unwrap_or(usize::MAX)))
}

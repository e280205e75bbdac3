//! `[...]`: a set of characters.

use std::fmt::Write as _;

use super::chars::{Chars, Problem};
use super::escape::{self, Escape};
use super::flags::Flags;

/// A member of a set.
enum Member {
    Range(char, char),
    Class(char),
}

/// Reads a set behind its `[`, and spells it for Rust. All members are spelt by their numbers where Rust could take them for
/// something else.
pub(super) fn read(chars: &mut Chars, flags: Flags) -> Result<String, Problem> {
    let start = chars.at - 1;
    let mut out = String::from(if chars.eat("^") { "[^" } else { "[" });
    let mut is_first = true;
    loop {
        let at = chars.at;
        let unterminated = || Problem::new("unterminated character set", start);
        let c = chars.next().ok_or_else(unterminated)?;
        if c == ']' && !is_first {
            out.push(']');
            return Ok(out);
        }
        is_first = false;
        let low = member(chars, c)?;
        let mut push = |member| push(&mut out, &member, flags);
        if !chars.eat("-") {
            push(low);
            continue;
        }
        match (low, chars.next().ok_or_else(unterminated)?) {
            (low, ']') => {
                push(low);
                push(Member::Range('-', '-'));
                out.push(']');
                return Ok(out);
            }
            (low, c) => match (low, member(chars, c)?) {
                (Member::Range(low, _), Member::Range(high, _)) if low <= high => {
                    push(Member::Range(low, high));
                }
                _ => return Err(Problem::new(format!("bad character range {}", chars.since(at)), at)),
            },
        }
    }
}

fn member(chars: &mut Chars, c: char) -> Result<Member, Problem> {
    if c != '\\' {
        return Ok(Member::Range(c, c));
    }
    match escape::read(chars, true)? {
        Escape::Class(class) => Ok(Member::Class(class)),
        // Places are not read in a set.
        Escape::Char(c) | Escape::Place(c) => Ok(Member::Range(c, c)),
        Escape::Group(_) => Err(Problem::new("bad escape", chars.at)),
    }
}

fn push(out: &mut String, member: &Member, flags: Flags) {
    match *member {
        Member::Class(class) => out.push_str(&spelt_class(class, flags)),
        Member::Range(low, high) => {
            push_range(out, low, high);
            if flags.ascii && flags.ignore_case {
                for (first, last) in [('a', 'z'), ('A', 'Z')] {
                    let (low, high) = (low.max(first), high.min(last));
                    if low <= high {
                        push_range(out, other_case(low), other_case(high));
                    }
                }
            }
        }
    }
}

fn push_range(out: &mut String, low: char, high: char) {
    push_member(out, low);
    if low < high {
        out.push('-');
        push_member(out, high);
    }
}

fn push_member(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        // Writing to a String can't fail.
        let _ = write!(out, "\\x{{{:x}}}", u32::from(c));
    }
}

/// An ASCII letter in the other case.
pub(super) fn other_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}

/// `\d`, `\s`, `\w` or one of their negations, in a set or out of it.
pub(super) fn spelt_class(class: char, flags: Flags) -> String {
    let members = match (class.to_ascii_lowercase(), flags.ascii) {
        ('d', true) => "0-9",
        ('d', false) => r"\d",
        ('s', true) => r"\x09-\x0d\x20",
        // To Python, the separators of information are blanks too.
        ('s', false) => r"\s\x1c-\x1f",
        (_, true) => "0-9A-Z_a-z",
        // To Rust, marks are of words, and numbers that are no digits aren't.
        (_, false) => r"\p{L}\p{N}_",
    };
    let negated = if class.is_ascii_uppercase() { "^" } else { "" };
    format!("[{negated}{members}]")
}

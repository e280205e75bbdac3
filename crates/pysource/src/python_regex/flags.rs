//! Flags inside a pattern: `(?i)`, `(?a:…)`, `(?i-s:…)`.

use super::chars::{Chars, Problem};

/// The flags that hold at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches")]
pub(super) struct Flags {
    /// `a`: classes, word boundaries and letters without case are ASCII's.
    pub(super) ascii: bool,
    /// `i`.
    pub(super) ignore_case: bool,
    /// `m`.
    pub(super) multi_line: bool,
    /// `s`.
    pub(super) dot_all: bool,
    /// `x`.
    pub(super) verbose: bool,
}

impl Flags {
    /// What coverage.py compiles all patterns with.
    pub(super) const FIRST: Self =
        Self { ascii: false, ignore_case: false, multi_line: true, dot_all: false, verbose: false };

    /// What Rust's engines are told. ASCII's cases and what `x` skips are spelt out instead: they mean other things there.
    pub(super) fn spelt(self) -> String {
        let all = [('i', self.ignore_case && !self.ascii), ('m', self.multi_line), ('s', self.dot_all)];
        let those = |wanted| all.iter().filter(move |(_, on)| *on == wanted).map(|(flag, _)| flag);
        let (on, off): (String, String) = (those(true).collect(), those(false).collect());
        if off.is_empty() { on } else { format!("{on}-{off}") }
    }

    fn set(&mut self, flag: char, on: bool) {
        match flag {
            'a' => self.ascii = on,
            'u' => self.ascii = !on,
            'i' => self.ignore_case = on,
            'm' => self.multi_line = on,
            's' => self.dot_all = on,
            _ => self.verbose = on,
        }
    }
}

/// A group's flags, read behind its `(?`.
pub(super) enum Group {
    /// `(?i)`: for the whole pattern.
    Global(Flags),
    /// `(?i:`: up to the group's end.
    Scoped(Flags),
}

/// Reads flags as CPython's `_parse_flags` does; `before` hold outside.
pub(super) fn read(chars: &mut Chars, before: Flags) -> Result<Group, Problem> {
    let mut flags = before;
    let mut on = String::new();
    while let Some(flag) = flag(chars)? {
        if flag == 'L' {
            return Err(Problem::new("bad inline flags: cannot use 'L' flag with a str pattern", chars.at));
        }
        let is_type = |flag: char| "au".contains(flag);
        if is_type(flag) && on.chars().any(|other| is_type(other) && other != flag) {
            return Err(Problem::new("bad inline flags: flags 'a', 'u' and 'L' are incompatible", chars.at));
        }
        on.push(flag);
        flags.set(flag, true);
    }
    match chars.next() {
        Some(')') => return Ok(Group::Global(flags)),
        Some(':') => return Ok(Group::Scoped(flags)),
        Some('-') => {}
        _ => return Err(Problem::new("missing -, : or )", chars.at)),
    }
    let mut off = 0;
    while let Some(flag) = flag(chars)? {
        if "auL".contains(flag) {
            let what = "bad inline flags: cannot turn off flags 'a', 'u' and 'L'";
            return Err(Problem::new(what, chars.at));
        }
        if on.contains(flag) {
            return Err(Problem::new("bad inline flags: flag turned on and off", chars.at));
        }
        flags.set(flag, false);
        off += 1;
    }
    if off == 0 {
        return Err(Problem::new("missing flag", chars.at));
    }
    if chars.eat(":") { Ok(Group::Scoped(flags)) } else { Err(Problem::new("missing :", chars.at)) }
}

/// The next flag, if one comes.
fn flag(chars: &mut Chars) -> Result<Option<char>, Problem> {
    match chars.peek() {
        Some(flag @ ('a' | 'i' | 'L' | 'm' | 's' | 'u' | 'x')) => {
            chars.at += 1;
            Ok(Some(flag))
        }
        Some(c) if c.is_alphabetic() => Err(Problem::new("unknown flag", chars.at)),
        _ => Ok(None),
    }
}

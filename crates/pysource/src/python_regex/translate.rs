//! A pattern of Python's `re` in the spelling of Rust's engines.
//!
//! It is read as CPython's `re/_parser.py` reads it, and what that refuses is refused here, in its words. What means the same in
//! Rust is handed on as it is.

use super::chars::{Chars, Problem};
use super::escape::{self, Escape};
use super::flags::{self, Flags, Group};
use super::set;

/// A pattern as Rust's engines read it.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// Whether it holds what only the backtracking engine has: look-around, references to groups.
    pub(super) backtracks: bool,
}

/// Rewrites a pattern.
pub(super) fn translate(written: &str) -> Result<Translated, Problem> {
    let first = Translator::new(written, false).run()?;
    // Word boundaries are spelt in another way for the other engine.
    if first.backtracks { Translator::new(written, true).run() } else { Ok(first) }
}

/// What a quantifier would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Item,
    Repeated,
}

/// A group that is not closed yet.
struct Open {
    at: usize,
    /// What holds outside.
    flags: Flags,
    /// Its number, if it has one.
    number: Option<usize>,
}

struct Translator {
    chars: Chars,
    out: String,
    /// What holds here.
    flags: Flags,
    /// What holds at the beginning.
    globals: Flags,
    /// The names of groups; none where a group has a number alone.
    names: Vec<Option<String>>,
    open: Vec<Open>,
    /// The groups that alternatives depend on, and where: they may come later.
    conditions: Vec<(usize, usize)>,
    last: Last,
    /// Whether nothing stands before but global flags.
    is_start: bool,
    backtracks: bool,
}

impl Translator {
    fn new(written: &str, backtracks: bool) -> Self {
        Self {
            chars: Chars::of(written),
            out: String::with_capacity(written.len() + 16),
            flags: Flags::FIRST,
            globals: Flags::FIRST,
            names: Vec::new(),
            open: Vec::new(),
            conditions: Vec::new(),
            last: Last::Nothing,
            is_start: true,
            backtracks,
        }
    }

    fn run(mut self) -> Result<Translated, Problem> {
        let mut start = self.chars.at;
        while let Some(c) = self.chars.next() {
            self.one(c, start)?;
            start = self.chars.at;
        }
        if let Some(group) = self.open.last() {
            return Err(Problem::new("missing ), unterminated subpattern", group.at));
        }
        if let Some((number, at)) = self.conditions.iter().find(|(number, _)| *number > self.names.len()) {
            return Err(Problem::new(format!("invalid group reference {number}"), *at));
        }
        // Global flags are spelt around all of it.
        let pattern = format!("(?{}){}", self.globals.spelt(), self.out);
        Ok(Translated { pattern, backtracks: self.backtracks })
    }

    /// Reads what begins with the character `c` at `at`.
    fn one(&mut self, c: char, at: usize) -> Result<(), Problem> {
        match c {
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' if self.flags.verbose => return Ok(()),
            '#' if self.flags.verbose => {
                self.chars.take(usize::MAX, |c| c != '\n');
                return Ok(());
            }
            '(' => return self.group(at),
            ')' => {
                let Some(group) = self.open.pop() else {
                    return Err(Problem::new("unbalanced parenthesis", at));
                };
                self.flags = group.flags;
                self.item(")");
            }
            '|' => {
                self.out.push('|');
                self.last = Last::Nothing;
            }
            '*' | '+' | '?' => self.quantifier(&c.to_string(), at)?,
            '{' => match repetition(&mut self.chars)? {
                Some(text) => self.quantifier(&text, at)?,
                None => self.literal('{'),
            },
            '[' => {
                let set = set::read(&mut self.chars, self.flags)?;
                self.item(&set);
            }
            '.' => self.item("."),
            '^' => self.place("^"),
            // Before the newline at the end as well.
            '$' if !self.flags.multi_line => {
                self.backtracks = true;
                self.place(r"(?=\n?\z)");
            }
            '$' => self.place("$"),
            '\\' => match escape::read(&mut self.chars, false)? {
                Escape::Char(c) => self.literal(c),
                Escape::Class(class) => self.item(&set::spelt_class(class, self.flags)),
                Escape::Place(place) => self.place(self.spelt_place(place)),
                Escape::Group(number) => {
                    self.check_reference(Some(number), "", at + 1)?;
                    self.backtracks = true;
                    // A digit may come next.
                    self.item(&format!("(?:\\{number})"));
                }
            },
            c => self.literal(c),
        }
        self.is_start = false;
        Ok(())
    }

    /// Adds what a quantifier may repeat.
    fn item(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Last::Item;
    }

    /// Adds a place, which nothing repeats.
    fn place(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Last::Nothing;
    }

    fn literal(&mut self, c: char) {
        if self.flags.ascii && self.flags.ignore_case && c.is_ascii_alphabetic() {
            self.item(&format!("[{c}{}]", set::other_case(c)));
        } else {
            self.item(&regex::escape(c.encode_utf8(&mut [0; 4])));
        }
    }

    fn spelt_place(&self, place: char) -> &'static str {
        match (place, self.flags.ascii, self.backtracks) {
            ('A', ..) => r"\A",
            ('b', false, _) => r"\b",
            ('B', false, _) => r"\B",
            ('b', true, false) => r"(?-u:\b)",
            ('B', true, false) => r"(?-u:\B)",
            ('b', true, true) => r"(?:(?<=[0-9A-Z_a-z])(?![0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?=[0-9A-Z_a-z]))",
            ('B', true, true) => r"(?:(?<=[0-9A-Z_a-z])(?=[0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?![0-9A-Z_a-z]))",
            _ => r"\z",
        }
    }

    fn quantifier(&mut self, text: &str, at: usize) -> Result<(), Problem> {
        match self.last {
            Last::Nothing => return Err(Problem::new("nothing to repeat", at)),
            Last::Repeated => return Err(Problem::new("multiple repeat", at)),
            Last::Item => {}
        }
        self.out.push_str(text);
        if self.chars.eat("?") {
            self.out.push('?');
        } else if self.chars.eat("+") {
            self.backtracks = true;
            self.out.push('+');
        }
        self.last = Last::Repeated;
        Ok(())
    }

    /// Reads what comes behind a parenthesis that opens.
    fn group(&mut self, at: usize) -> Result<(), Problem> {
        if !self.chars.eat("?") {
            self.open(at, "(");
            self.numbered(None);
            return Ok(());
        }
        for plain in ["P<", ":"] {
            if self.chars.eat(plain) {
                self.open(at, &format!("(?{plain}"));
                if plain == "P<" {
                    let name = self.name('>', false)?;
                    self.out.push_str(&name);
                    self.out.push('>');
                    if let Some(first) = self.number_of(&name) {
                        let number = self.names.len() + 1;
                        let what = format!(
                            "redefinition of group name '{name}' as group {number}; was group {first}"
                        );
                        return Err(Problem::new(what, at + 4));
                    }
                    self.numbered(Some(name));
                }
                return Ok(());
            }
        }
        for looking in ["=", "!", "<=", "<!", ">"] {
            if self.chars.eat(looking) {
                self.backtracks = true;
                self.open(at, &format!("(?{looking}"));
                return Ok(());
            }
        }
        if self.chars.eat("#") {
            self.chars.take(usize::MAX, |c| c != ')');
            let is_closed = self.chars.eat(")");
            return if is_closed { Ok(()) } else { Err(Problem::new("missing ), unterminated comment", at)) };
        }
        if self.chars.eat("P=") {
            let name = self.name(')', false)?;
            let number = self.number_of(&name);
            self.check_reference(number, &name, at + 4)?;
            self.backtracks = true;
            self.is_start = false;
            self.item(&format!("(?P={name})"));
            return Ok(());
        }
        if self.chars.eat("(") {
            let name = self.name(')', true)?;
            self.backtracks = true;
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                self.conditions.push((name.parse().unwrap_or(usize::MAX), at + 3));
            } else if self.number_of(&name).is_none() {
                return Err(Problem::new(format!("unknown group name '{name}'"), at + 3));
            }
            self.open(at, &if is_number { format!("(?({name})") } else { format!("(?(<{name}>)") });
            return Ok(());
        }
        match self.chars.peek() {
            None => return Err(Problem::new("unexpected end of pattern", self.chars.at)),
            Some('a' | 'i' | 'L' | 'm' | 's' | 'u' | 'x' | '-') => {}
            Some(c) => {
                self.chars.at += 1;
                // These begin something with other letters.
                let next = self.chars.peek().filter(|_| matches!(c, 'P' | '<'));
                let what = format!("unknown extension ?{c}{}", next.map(String::from).unwrap_or_default());
                return Err(Problem::new(what, at + 1));
            }
        }
        match flags::read(&mut self.chars, self.flags)? {
            Group::Global(_) if !self.is_start => {
                Err(Problem::new("global flags not at the start of the expression", at))
            }
            Group::Global(flags) => {
                self.flags = flags;
                self.globals = flags;
                Ok(())
            }
            Group::Scoped(flags) => {
                self.open(at, &format!("(?{}:", flags.spelt()));
                self.flags = flags;
                Ok(())
            }
        }
    }

    fn open(&mut self, at: usize, text: &str) {
        self.open.push(Open { at, flags: self.flags, number: None });
        self.out.push_str(text);
        self.last = Last::Nothing;
        self.is_start = false;
    }

    /// Gives the group that was opened last its number.
    fn numbered(&mut self, name: Option<String>) {
        self.names.push(name);
        if let Some(group) = self.open.last_mut() {
            group.number = Some(self.names.len());
        }
    }

    fn number_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_deref() == Some(name)).map(|at| at + 1)
    }

    /// Whether what a group matched can be asked for: it has to be there, and closed.
    fn check_reference(&self, number: Option<usize>, name: &str, at: usize) -> Result<(), Problem> {
        let Some(number) = number else {
            return Err(Problem::new(format!("unknown group name '{name}'"), at));
        };
        if !(1..=self.names.len()).contains(&number) {
            return Err(Problem::new(format!("invalid group reference {number}"), at));
        }
        if self.open.iter().any(|group| group.number == Some(number)) {
            return Err(Problem::new("cannot refer to an open group", at.saturating_sub(1)));
        }
        Ok(())
    }

    /// A group's name, or its number where that may be.
    fn name(&mut self, end: char, may_be_number: bool) -> Result<String, Problem> {
        let start = self.chars.at;
        let name = self.chars.until(end, "group name")?;
        let mut letters = name.chars();
        let is_name = letters.next().is_some_and(|c| c == '_' || c.is_alphabetic())
            && letters.all(|c| c == '_' || c.is_alphanumeric());
        if is_name || may_be_number && name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(name);
        }
        Err(Problem::new(format!("bad character in group name '{name}'"), start))
    }
}

/// Behind a brace that opens: `m}`, `m,}`, `,n}`, `m,n}` or `,}` in Rust's spelling. Anything else is no repetition.
fn repetition(chars: &mut Chars) -> Result<Option<String>, Problem> {
    let start = chars.at;
    let digits = |c: char| c.is_ascii_digit();
    let low = chars.take(usize::MAX, digits);
    let high = chars.eat(",").then(|| chars.take(usize::MAX, digits));
    if !chars.eat("}") || low.is_empty() && high.is_none() {
        chars.at = start;
        return Ok(None);
    }
    let low = if low.is_empty() { "0".to_owned() } else { low };
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    if let Some(high) = high.as_deref().filter(|high| !high.is_empty())
        && number(high) < number(&low)
    {
        return Err(Problem::new("min repeat greater than max repeat", start));
    }
    Ok(Some(high.map_or_else(|| format!("{{{low}}}"), |high| format!("{{{low},{high}}}"))))
}

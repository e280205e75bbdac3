//! INI files as Python's `configparser` reads them.

/// One `key = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniOption {
    pub(super) key: String,
    pub(super) value: String,
    /// Line of the key, from 1.
    pub(super) line: usize,
}

/// One `[section]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniSection {
    pub(super) name: String,
    pub(super) options: Vec<IniOption>,
}

/// Line and reason.
pub(super) type IniFault = (usize, String);

/// Its options belong to all sections.
const DEFAULT: &str = "DEFAULT";

/// Reads sections in order, the rules being those of a `ConfigParser(interpolation=None)`: `=` or `:`, keys
/// without case, whole-line comments with `#` or `;`, no comments behind values, indented lines continue a
/// value, nothing may stand twice.
pub(super) fn parse(text: &str) -> Result<Vec<IniSection>, IniFault> {
    let mut sections: Vec<IniSection> = Vec::new();
    // The lines of each value, joined at the end.
    let mut values: Vec<Vec<Vec<&str>>> = Vec::new();
    let mut current: Option<usize> = None;
    let mut in_option = false;
    let mut indent = 0;
    for (index, line) in lines(text).into_iter().enumerate() {
        let number = index + 1;
        let value = line.trim();
        let last = current.and_then(|at| values[at].last_mut());
        if value.starts_with(['#', ';']) {
            continue;
        }
        if value.is_empty() {
            if let (true, Some(last)) = (in_option, last) {
                last.push("");
            }
            continue;
        }
        let this_indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if let (true, Some(last)) = (in_option && this_indent > indent, last) {
            last.push(value);
            continue;
        }
        indent = this_indent;
        if let Some(name) = header(value) {
            in_option = false;
            current = sections.iter().position(|section| section.name == name);
            if current.is_none() {
                sections.push(IniSection { name: name.to_owned(), options: Vec::new() });
                values.push(Vec::new());
                current = Some(sections.len() - 1);
            } else if name != DEFAULT {
                return Err((number, format!("section [{name}] stands twice")));
            }
            continue;
        }
        let Some(at) = current else {
            return Err((number, format!("{value:?} stands before the first [section]")));
        };
        let Some(delimiter) = value.find(['=', ':']) else {
            return Err((number, format!("{value:?} is neither a [section] nor `key = value`")));
        };
        let key = value[..delimiter].trim().to_lowercase();
        if key.is_empty() {
            return Err((number, "a value without a key".to_owned()));
        }
        let section = &mut sections[at];
        if section.options.iter().any(|option| option.key == key) {
            return Err((number, format!("`{key}` stands twice in [{}]", section.name)));
        }
        section.options.push(IniOption { key, value: String::new(), line: number });
        values[at].push(vec![value[delimiter + 1..].trim()]);
        in_option = true;
    }
    for (section, values) in sections.iter_mut().zip(values) {
        for (option, lines) in section.options.iter_mut().zip(values) {
            lines.join("\n").trim_end().clone_into(&mut option.value);
        }
    }
    Ok(with_defaults(sections))
}

/// `[name]`, whatever stands behind it.
fn header(value: &str) -> Option<&str> {
    let rest = value.strip_prefix('[')?;
    let name = &rest[..rest.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

/// Python's universal newlines.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        lines.push(&rest[..end]);
        rest = &rest[end..];
        rest = rest.strip_prefix("\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
    }
    lines
}

fn with_defaults(mut sections: Vec<IniSection>) -> Vec<IniSection> {
    let Some(at) = sections.iter().position(|section| section.name == DEFAULT) else { return sections };
    let defaults = sections.remove(at).options;
    for section in &mut sections {
        for default in &defaults {
            if !section.options.iter().any(|option| option.key == default.key) {
                section.options.push(default.clone());
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<(String, String, usize)> {
        parse(text)
            .unwrap()
            .into_iter()
            .flat_map(|section| section.options)
            .map(|option| (option.key, option.value, option.line))
            .collect()
    }

    #[test]
    fn values_go_on_over_indented_lines() {
        let text = "[run]\nOmit =\n    a/*\n  # a comment\n\n    b/*  ; not a comment\nbranch: yes\n";
        assert_eq!(
            options(text),
            [
                ("omit".to_owned(), "\na/*\n\nb/*  ; not a comment".to_owned(), 2),
                ("branch".to_owned(), "yes".to_owned(), 7)
            ]
        );
    }

    #[test]
    fn faults_name_their_line() {
        for (text, line) in [
            ("a = 1\n", 1),
            ("[run]\na = 1\n[run]\n", 3),
            ("[run]\na = 1\nA = 2\n", 3),
            ("[run]\nnonsense\n", 2),
            ("[run]\n= 1\n", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn any_newline_ends_a_line() {
        assert_eq!(lines("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
    }
}

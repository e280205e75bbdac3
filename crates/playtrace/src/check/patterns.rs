//! The coverage configuration against the tree: patterns that match nothing, roots that are not there, options that nobody knows.

use std::path::Path;

use playtrace_covdata::{CoverageConfig, FilePatterns};

use super::finding::{Check, Examined, Finding, Kind};
use super::settings::Place;
use super::{shown, tree};
use crate::exit::Exit;
use crate::messages::Failure;

/// Directories into which Python installs: patterns that name one are about code outside the tree.
const INSTALLED: [&str; 2] = ["site-packages", "dist-packages"];

/// Options that coverage.py does not know.
pub(super) fn options(place: &Place, config: &CoverageConfig) -> Examined {
    let findings = config
        .notices
        .iter()
        .filter(|notice| notice.is_unknown)
        .map(|notice| {
            Finding::new("PT-CHECK-007", Kind::Unknown, format!("{}: {}", notice.key, notice.why))
                .at(Some(shown(&place.root, &notice.path)), Some(notice.line))
        })
        .collect();
    let detail = match &config.file {
        Some(file) => shown(&place.root, file),
        None => "there is none: coverage.py's defaults".to_owned(),
    };
    Examined::of(Check::Config, findings, detail)
}

/// Include and omit patterns.
pub(super) fn patterns(place: &Place, config: &CoverageConfig) -> Result<Examined, Failure> {
    let all: Vec<(&str, &str, &String)> = [
        ("run", "include", &config.run_include),
        ("run", "omit", &config.run_omit),
        ("report", "include", &config.report_include),
        ("report", "omit", &config.report_omit),
    ]
    .into_iter()
    .flat_map(|(section, key, patterns)| patterns.iter().map(move |pattern| (section, key, pattern)))
    .collect();
    let root = source_root(place);
    let root = fs_err::canonicalize(root)
        .map_err(|error| Failure::new(Exit::BadInput, "PT-CHECK-002", error.to_string()))?;
    let mut open = Vec::new();
    for (at, (_, _, pattern)) in all.iter().enumerate() {
        let is_installed = INSTALLED.iter().any(|dir| pattern.contains(dir));
        if !is_installed && !place.allow_unmatched.contains(*pattern) {
            open.push((at, FilePatterns::new(std::slice::from_ref(*pattern), &root)?));
        }
    }
    // What the patterns are relative to, and the repository around it where that is larger.
    for dir in [&root, &place.root] {
        if !open.is_empty() && (dir == &root || !dir.starts_with(&root)) {
            tree::files(dir, |file| {
                let text = file.to_string_lossy();
                open.retain(|(_, pattern)| !pattern.matches(&text));
                !open.is_empty()
            });
        }
    }
    let text = config.file.as_deref().and_then(|file| fs_err::read_to_string(file).ok()).unwrap_or_default();
    let findings = open
        .iter()
        .map(|(at, _)| {
            let (section, key, pattern) = all[*at];
            let message =
                format!("[{section}] {key}: {pattern} matches no file below {}", place_of(place, &root));
            let file = config.file.as_deref().map(|file| shown(&place.root, file));
            Finding::new("PT-CHECK-008", Kind::MatchesNothing, message)
                .at(file, line_of(&text, section, key, pattern))
        })
        .collect();
    Ok(Examined::of(Check::Patterns, findings, format!("{} patterns", all.len())))
}

/// The configuration's source, and the roots of the inventory.
pub(super) fn sources(place: &Place, config: &CoverageConfig) -> Examined {
    let root = source_root(place);
    let text = config.file.as_deref().and_then(|file| fs_err::read_to_string(file).ok()).unwrap_or_default();
    let mut findings = Vec::new();
    let mut missing = |key: &str, name: &str, what: &str| {
        let message = format!("[run] {key}: {name} is {what}");
        let file = config.file.as_deref().map(|file| shown(&place.root, file));
        findings.push(
            Finding::new("PT-CHECK-009", Kind::Missing, message).at(file, line_of(&text, "run", key, name)),
        );
    };
    let is_dir = |name: &str| root.join(name).is_dir();
    let is_module = |name: &str| {
        let path = name.replace('.', "/");
        let below = |dir: &Path| dir.join(&path).is_dir() || dir.join(format!("{path}.py")).is_file();
        below(root) || place.roots.iter().any(|root| below(root))
    };
    for name in config.source.iter().filter(|name| !is_dir(name) && !is_module(name)) {
        missing("source", name, "neither a directory nor a package there");
    }
    for name in config.source_dirs.iter().filter(|name| !is_dir(name)) {
        missing("source_dirs", name, "no directory");
    }
    for name in config.source_pkgs.iter().filter(|name| !is_module(name)) {
        missing("source_pkgs", name, "no package there");
    }
    for dir in place.roots.iter().filter(|dir| !dir.is_dir()) {
        let message = format!("the source root {} is no directory", shown(&place.root, dir));
        findings.push(Finding::new("PT-CHECK-009", Kind::Missing, message));
    }
    let named = config.source.len() + config.source_dirs.len() + config.source_pkgs.len() + place.roots.len();
    Examined::of(Check::Sources, findings, format!("{named} named"))
}

fn source_root(place: &Place) -> &Path {
    let beside_config = place.source.config.as_deref().and_then(Path::parent);
    place.source.root.as_deref().or(beside_config).filter(|dir| dir.is_dir()).unwrap_or(&place.root)
}

fn place_of(place: &Place, root: &Path) -> String {
    let text = shown(&place.root, root);
    if text.is_empty() { "the root".to_owned() } else { text }
}

/// The line of a value of an option, in INI or TOML; the option's own where the value stands in no line of its own.
fn line_of(text: &str, section: &str, key: &str, value: &str) -> Option<usize> {
    let (mut inside, mut at_key, mut found) = (false, false, None);
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if let Some(header) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = header.rsplit([':', '.']).next() == Some(section);
            at_key = false;
        } else if inside && !line.starts_with([' ', '\t', ']', '#', ';']) && !trimmed.is_empty() {
            let name = trimmed.split(['=', ':']).next().unwrap_or_default().trim();
            at_key = name == key;
        }
        if inside && at_key {
            let rest =
                trimmed.strip_prefix(key).map_or(trimmed, |rest| rest.trim_start_matches([' ', '=', ':']));
            let items = rest.split([',', '[', ']']).map(|item| item.trim().trim_matches(['"', '\'']));
            if !trimmed.starts_with(['#', ';']) && items.into_iter().any(|item| item == value) {
                return Some(number);
            }
            found.get_or_insert(number);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_its_own_option() {
        let ini = "[run]\ninclude = a\nomit =\n    # a\n    b\n    a\n\n[report]\nomit = c, a\n";
        let toml =
            "[tool.coverage.run]\nomit = [\n  \"b\",\n  \"a\",\n]\n[tool.coverage.report]\nomit = [\"a\"]\n";
        for (text, section, key, line) in [
            (ini, "run", "include", 2),
            (ini, "run", "omit", 6),
            (ini, "report", "omit", 9),
            (toml, "run", "omit", 4),
            (toml, "report", "omit", 7),
        ] {
            assert_eq!(line_of(text, section, key, "a"), Some(line), "{section} {key}");
        }
        assert_eq!(line_of(ini, "run", "omit", "${X}/d"), Some(3));
        assert_eq!(line_of(ini, "report", "include", "a"), None);
    }
}

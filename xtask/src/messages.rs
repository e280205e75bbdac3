//! `docs/messages.md`: every error code, from the rooms' tables and checked against the source.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{Failure, step};

const HEAD: &str = "# Messages

Every error of playtrace has a stable code. Put together from `docs/messages/` by `cargo xtask messages`.

";

/// Writes (or checks) the page, and fails if a code stands in the source and not in the page, or the other way.
pub(crate) fn stitch(root: &Path, check: bool) -> Result<(), Failure> {
    let io = |error: std::io::Error| error.to_string();
    let mut parts: Vec<_> = fs_err::read_dir(root.join("docs/messages"))
        .map_err(io)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    parts.sort();
    let mut page = HEAD.to_owned();
    for part in &parts {
        page.push_str(fs_err::read_to_string(part).map_err(io)?.trim());
        page.push_str("\n\n");
    }
    let page = format!("{}\n", page.trim_end());

    let mut in_source = BTreeSet::new();
    for room in fs_err::read_dir(root.join("crates")).map_err(io)?.flatten() {
        codes_below(&room.path().join("src"), &mut in_source)?;
    }
    codes_below(&root.join("python/playtrace_agent"), &mut in_source)?;
    let mut in_page = BTreeSet::new();
    codes_in(&page, &mut in_page);
    let unexplained: Vec<_> = in_source.difference(&in_page).map(String::as_str).collect();
    let unused: Vec<_> = in_page.difference(&in_source).map(String::as_str).collect();
    if !unexplained.is_empty() || !unused.is_empty() {
        return Err(format!(
            "docs/messages: not explained: {}; explained, but in no source file: {}",
            list(&unexplained),
            list(&unused)
        ));
    }

    let target = root.join("docs/messages.md");
    if fs_err::read_to_string(&target).is_ok_and(|old| old == page) {
        step::say(&format!("messages: {} codes, each explained", in_page.len()));
        return Ok(());
    }
    if check {
        return Err("docs/messages.md is out of date: run `cargo xtask messages`".to_owned());
    }
    fs_err::write(&target, page).map_err(io)
}

fn list(codes: &[&str]) -> String {
    if codes.is_empty() { "none".to_owned() } else { codes.join(", ") }
}

fn codes_below(dir: &Path, codes: &mut BTreeSet<String>) -> Result<(), Failure> {
    for entry in fs_err::read_dir(dir).map_err(|error| error.to_string())?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            codes_below(&path, codes)?;
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
            codes_in(&fs_err::read_to_string(&path).map_err(|error| error.to_string())?, codes);
        }
    }
    Ok(())
}

/// Codes look like `PT-LEDGER-001`.
fn codes_in(text: &str, codes: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices("PT-") {
        let code: String = text[at..]
            .chars()
            .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '-')
            .collect();
        if code.len() > 6 && code.ends_with(|c: char| c.is_ascii_digit()) && code.matches('-').count() == 2 {
            codes.insert(code);
        }
    }
}

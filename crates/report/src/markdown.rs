//! The matrix as Markdown.

use std::fmt::Write as _;

use std::collections::BTreeMap;

use playtrace_analysis::{BY_ROUTE, Gap, Matrix, StepKind, Traffic};
use playtrace_model::Status;

use crate::text::{executed_by_any, known, lines_of, lines_of_all, steps_not_traced};

/// A document with the profiles, what each one alone reaches, what failed steps alone reach, the gaps, the routes, and which
/// profiles reach a symbol.
pub fn matrix(matrix: &Matrix) -> String {
    let mut out = format!("# Coverage matrix\n\nMade {}. ", escape(&matrix.timestamp));
    out.push_str("A symbol is a function or a method.\n");
    for note in &matrix.notes {
        let _ = write!(out, "\n> Note: {}\n", escape(note));
    }
    profiles(&mut out, matrix);
    only_here(&mut out, matrix);
    only_failed(&mut out, matrix);
    gaps(&mut out, matrix);
    routes(&mut out, matrix);
    traffic_routes(&mut out, matrix);
    symbol_profiles(&mut out, matrix);
    out
}

fn profiles(out: &mut String, matrix: &Matrix) {
    out.push_str("\n## Profiles\n\n");
    out.push_str("| profile | verdict | requests | jobs | files | lines | symbols | only-here symbols |\n");
    out.push_str("|---|---|---:|---:|---:|---:|---:|---:|\n");
    for profile in &matrix.profiles {
        // Writing to a String can't fail, here and below.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            escape(&profile.profile),
            profile.status,
            known(profile.requests),
            known(profile.jobs),
            profile.files,
            lines_of(profile),
            profile.symbols,
            profile.only_here
        );
    }
    let totals = &matrix.totals;
    let _ = writeln!(
        out,
        "| **all** | | {} | {} | {} | {} | {} | {} |",
        known(totals.requests),
        known(totals.jobs),
        totals.files,
        lines_of_all(matrix),
        totals.symbols,
        totals.only_here
    );
    let _ = writeln!(
        out,
        "\nLines executed by any profile: {}. Symbols that no profile reaches: {}.",
        executed_by_any(matrix),
        totals.unreached_symbols
    );
    for profile in matrix.profiles.iter().filter(|profile| !profile.reasons.is_empty()) {
        let _ = writeln!(out, "\n{} is **{}**:\n", escape(&profile.profile), profile.status);
        for reason in &profile.reasons {
            let _ = writeln!(out, "- {}", escape(reason));
        }
    }
}

fn only_here(out: &mut String, matrix: &Matrix) {
    out.push_str("\n## Reached by one profile only\n");
    for (profile, keys) in &matrix.only_here {
        let _ = writeln!(out, "\n### {} ({})\n", escape(profile), keys.len());
        if keys.is_empty() {
            out.push_str("Nothing: other profiles reach all of it.\n");
        }
        for key in keys {
            let _ = writeln!(out, "- {}", code(key));
        }
    }
}

/// Says of which profiles nothing is known by step; whether there is a profile of which something is.
fn by_step(out: &mut String, matrix: &Matrix) -> bool {
    if let Some(profiles) = steps_not_traced(matrix) {
        let _ = writeln!(out, "Not traced by step: {}.\n", escape(&profiles));
    }
    matrix.steps_not_traced.len() < matrix.profiles.len()
}

fn only_failed(out: &mut String, matrix: &Matrix) {
    let keys: Vec<&str> = matrix.only_failed().collect();
    let _ = writeln!(out, "\n## Reached only by failed steps ({})\n", keys.len());
    if !by_step(out, matrix) {
        return;
    }
    let doubtful: Vec<&str> = matrix
        .profiles
        .iter()
        .filter(|profile| {
            let lost = |reason: &String| reason.starts_with("data lost") || reason.starts_with("not traced");
            matches!(profile.status, Status::Partial | Status::Stale) || profile.reasons.iter().any(lost)
        })
        .map(|profile| profile.profile.as_str())
        .collect();
    if !doubtful.is_empty() {
        let _ = writeln!(
            out,
            "> **Not certain**, because data of {} is lost, stale or not traced.\n",
            escape(&doubtful.join(", "))
        );
    }
    if keys.is_empty() {
        out.push_str("Nothing: a step that did not fail reaches all that failed ones reach.\n");
    }
    let mut by_steps: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for key in keys {
        by_steps.entry(&matrix.symbols[key].steps).or_default().push(key);
    }
    for (number, (steps, symbols)) in by_steps.iter().enumerate() {
        out.push_str(if number == 0 { "" } else { "\n" });
        for key in *steps {
            let Some(step) = matrix.steps.get(key) else { continue };
            let unknown = if step.info.kind == StepKind::Request { "no answer" } else { "state not known" };
            let outcome = step.info.outcome.as_deref().unwrap_or(unknown);
            let _ = writeln!(out, "- {}, {} ({})", escape(key), code(&step.info.what), escape(outcome));
        }
        for symbol in symbols {
            let _ = writeln!(out, "  - {}", code(symbol));
        }
    }
}

/// Counts alone: the lists are in the JSON.
fn routes(out: &mut String, matrix: &Matrix) {
    let _ = writeln!(out, "\n## Routes ({})\n", matrix.routes.len());
    if !by_step(out, matrix) {
        return;
    }
    out.push_str("Symbols that the requests of a route entered; matrix.json lists them.\n\n");
    out.push_str("| route | requests | failed | symbols | profiles |\n|---|---:|---:|---:|---|\n");
    for (route, of) in &matrix.routes {
        let profiles: Vec<&str> = of.profiles.iter().map(String::as_str).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            code(route).replace('|', "\\|"),
            of.steps.len(),
            of.failed,
            of.symbols.len(),
            escape(&profiles.join(", "))
        );
    }
}

/// Those with gaps first; where real traffic was not recorded by route, nothing.
fn traffic_routes(out: &mut String, matrix: &Matrix) {
    if matrix.traffic_routes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## Routes of real traffic ({})\n", matrix.traffic_routes.len());
    let _ = writeln!(out, "> {}{}.\n", BY_ROUTE[..1].to_uppercase(), &BY_ROUTE[1..]);
    out.push_str("Symbols that its requests were seen to enter; matrix.json lists them.\n\n");
    out.push_str("| route | recorded | symbols | of these reached by no profile |\n|---|---|---:|---:|\n");
    let mut routes: Vec<_> = matrix.traffic_routes.iter().collect();
    routes.sort_by_key(|(_, route)| std::cmp::Reverse(route.gaps.len()));
    for (name, route) in routes {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            code(name).replace('|', "\\|"),
            route.traffic.in_words(),
            route.symbols.len(),
            route.gaps.len()
        );
    }
}

fn gaps(out: &mut String, matrix: &Matrix) {
    let gaps = &matrix.gaps;
    let _ = writeln!(out, "\n## Reached by no profile ({})\n", gaps.symbols.len());
    if !gaps.certain {
        let _ = writeln!(
            out,
            "> **Not certain**, because {}. What is listed here may have run all the same.\n",
            escape(&gaps.uncertain_because.join(", "))
        );
    }
    let missing: Vec<&Gap> = gaps.symbols.iter().filter(|gap| gap.traffic.is_some()).collect();
    if let Some(traffic) = &gaps.traffic {
        let _ = writeln!(out, "Real traffic was recorded {}.\n", traffic.in_words());
        let _ = writeln!(out, "### Real traffic runs it, no profile does ({})\n", missing.len());
        for gap in &missing {
            let when = gap.traffic.as_ref().map(Traffic::in_words).unwrap_or_default();
            let by = gap.by_routes();
            let by = if by.is_empty() { by } else { format!(", {}", escape(&by)) };
            let _ = writeln!(out, "- {}: {}, {when}{by}", code(gap.symbol.file.as_str()), gap_line(gap));
        }
        out.push_str(if missing.is_empty() { "Nothing.\n\n" } else { "\n" });
    }
    let mut file = None;
    for gap in gaps.symbols.iter().filter(|gap| gap.traffic.is_none()) {
        if file != Some(&gap.symbol.file) {
            let _ = writeln!(
                out,
                "{}### {}\n",
                if file.is_some() { "\n" } else { "" },
                code(gap.symbol.file.as_str())
            );
            file = Some(&gap.symbol.file);
        }
        let _ = writeln!(out, "- {}", gap_line(gap));
    }
    if !gaps.files.is_empty() {
        let _ = writeln!(out, "\n### Files that no profile touches ({})\n", gaps.files.len());
        for file in &gaps.files {
            let _ = writeln!(out, "- {} ({} statements)", code(file.path.as_str()), file.statements);
        }
    }
}

fn gap_line(gap: &Gap) -> String {
    let (first, last) = gap.symbol.line_span;
    let import = if gap.run_by_import { "; run by an import" } else { "" };
    format!("{}, lines {first}-{last}{import}", code(&gap.key))
}

fn symbol_profiles(out: &mut String, matrix: &Matrix) {
    out.push_str("\n## Which profiles reach a symbol\n\n| symbol | profiles |\n|---|---|\n");
    for (key, profiles) in &matrix.symbol_profiles {
        let _ = writeln!(out, "| {} | {} |", code(key).replace('|', "\\|"), escape(&profiles.join(", ")));
    }
}

/// Text that Markdown leaves alone, in a table too.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
        out
    })
}

/// Code between backticks. A name that holds backticks is fenced by more of them.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", text.replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escape("a|b*c_d\n<x>"), "a\\|b\\*c\\_d \\<x\\>");
        assert_eq!(code("f.<locals>.g"), "`f.<locals>.g`");
        assert_eq!(code("a`b"), "`` a`b ``");
    }
}

//! The matrix as Markdown.

use std::fmt::Write as _;

use playtrace_analysis::{Gap, Matrix};

use crate::text::{known, share};

/// A document with the profiles, what each one alone reaches, which profiles reach a symbol, and the gaps.
pub fn matrix(matrix: &Matrix) -> String {
    let mut out = format!("# Coverage matrix\n\nMade {}. ", escape(&matrix.timestamp));
    out.push_str("A symbol is a function or a method.\n");
    for note in &matrix.notes {
        let _ = write!(out, "\n> Note: {}\n", escape(note));
    }
    profiles(&mut out, matrix);
    only_here(&mut out, matrix);
    gaps(&mut out, matrix);
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
            profile.lines_covered,
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
        totals.lines_covered,
        totals.symbols,
        totals.only_here
    );
    let _ = writeln!(
        out,
        "\nLines executed by any profile: {} of {} ({}). Symbols that no profile reaches: {}.",
        totals.lines_covered,
        totals.lines_total,
        share(totals.coverage_percent),
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
    let mut file = None;
    for gap in &gaps.symbols {
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

//! A night in Markdown, for the job's summary page.

use std::fmt::Write as _;

use super::bundle::{Manifest, NightEntry, Totals};
use super::carry::{Origin, Tonight, is_good};

/// The summary; `before` are an earlier night's numbers, to say what changed.
pub fn markdown(manifest: &Manifest, before: Option<Totals>) -> String {
    let mut text = format!("# Profiles: night of {}\n\n", manifest.night);
    let count = |wanted: Origin| {
        let is = |entry: &&NightEntry| entry.data.as_ref().is_some_and(|data| data.origin == wanted);
        manifest.entries.iter().filter(is).count()
    };
    let without = manifest.entries.iter().filter(|entry| entry.data.is_none()).count();
    // Writing to a String can't fail, here and below.
    let _ = writeln!(
        text,
        "{} workflows: {} with data of this night, {} carried forward, {} incomplete, {without} without data.",
        manifest.entries.len(),
        count(Origin::Fresh),
        count(Origin::Carried),
        count(Origin::Incomplete),
    );
    if let Some(totals) = manifest.totals {
        let change = |now: usize, then: Option<usize>| match then {
            Some(then) if then != now => {
                format!(
                    " ({}{} since the night before)",
                    if now > then { "+" } else { "−" },
                    now.abs_diff(then)
                )
            }
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "Lines executed by any profile: {} of {}{}. Symbols that no profile reaches: {}{}.",
            totals.lines_covered,
            totals.lines_total,
            change(totals.lines_covered, before.map(|before| before.lines_covered)),
            totals.unreached_symbols,
            change(totals.unreached_symbols, before.map(|before| before.unreached_symbols)),
        );
    }
    text.push_str(
        "\n| workflow | profile | this night | tries | data | verdict |\n|---|---|---|---:|---|---|\n",
    );
    for entry in &manifest.entries {
        let (data, status) = match &entry.data {
            None => ("none".to_owned(), String::new()),
            Some(data) => (data_words(data), data.status.to_string()),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {data} | {status} |",
            entry.workflow,
            entry.profile,
            entry.tonight.as_str(),
            entry.attempts
        );
    }
    let troubled: Vec<&NightEntry> =
        manifest.entries.iter().filter(|entry| !entry.reasons.is_empty()).collect();
    if !troubled.is_empty() {
        text.push_str("\n## What is not as it should be\n\n");
    }
    for entry in troubled {
        let _ = writeln!(text, "- **{}**: {}", entry.workflow, entry.reasons.join("; ").replace('|', "\\|"));
    }
    for note in &manifest.notes {
        let _ = writeln!(text, "\n> Note: {note}");
    }
    text
}

fn data_words(data: &super::carry::NightData) -> String {
    match data.origin {
        Origin::Fresh => "this night".to_owned(),
        Origin::Incomplete => "this night, incomplete".to_owned(),
        Origin::Carried => format!("carried from {} ({})", data.night, nights(data.age_nights)),
    }
}

/// "1 night", "3 nights".
pub fn nights(number: u32) -> String {
    format!("{number} night{}", if number == 1 { "" } else { "s" })
}

/// Whether an entry is as it should be: good data of this night, or of its own last night where this is not one of its nights.
pub fn is_well(entry: &NightEntry) -> bool {
    let Some(data) = &entry.data else { return false };
    let is_fresh = data.origin == Origin::Fresh;
    is_good(data.status)
        && match entry.tonight {
            Tonight::Passed | Tonight::Flaky => is_fresh,
            Tonight::NotScheduled => true,
            Tonight::Failed | Tonight::Killed | Tonight::Missing => false,
        }
}

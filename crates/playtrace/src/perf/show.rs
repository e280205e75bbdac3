//! A measurement for people: text for the terminal, Markdown for a job's summary, and what changed since an earlier one.

use std::fmt::Write as _;

use super::Arm;
use super::document::{Document, Kind, Outlier, ProfileCost, Row};
use super::estimate::Estimate;
use super::judge::State;

/// So many endpoints of a profile are shown; the document has all.
const SHOWN: usize = 8;

/// As text.
pub fn text(document: &Document, earlier: Option<&Document>) -> String {
    let mut text = String::new();
    for cost in &document.profiles {
        line(&mut text, &format!("{}: {} ({} rounds)", cost.profile, cost.state.as_str(), cost.rounds));
        let cells: Vec<Vec<String>> = std::iter::once(head()).chain(shown(cost).map(cells_of)).collect();
        if cells.len() > 1 {
            text.push_str(&aligned(&cells));
        }
        for note in notes(cost, earlier) {
            line(&mut text, &format!("  {note}"));
        }
        text.push('\n');
    }
    line(&mut text, &conclusion(document));
    text
}

/// As Markdown.
pub fn markdown(document: &Document, earlier: Option<&Document>) -> String {
    let mut text = String::new();
    line(&mut text, "## What tracing costs\n");
    line(&mut text, &format!("{}\n", conclusion(document)));
    for cost in &document.profiles {
        line(&mut text, &format!("### {}: {}\n", escaped(&cost.profile), cost.state.as_str()));
        if !cost.rows.is_empty() {
            let head = head();
            line(&mut text, &format!("| {} |", head.join(" | ")));
            line(&mut text, &format!("|---{}|", "|---:".repeat(head.len() - 1)));
            for row in shown(cost) {
                let mut cells = cells_of(row);
                cells[0] = if row.kind == Kind::Endpoint {
                    format!("`{}`", cells[0].replace('`', "'").replace('|', "\\|"))
                } else {
                    cells[0].clone()
                };
                line(&mut text, &format!("| {} |", cells.join(" | ")));
            }
            text.push('\n');
        }
        for note in notes(cost, earlier) {
            line(&mut text, &format!("- {}", escaped(&note)));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// What has changed since an earlier measurement, in sentences: of profiles that both have and both could tell.
pub fn changes(cost: &ProfileCost, earlier: &Document) -> Vec<String> {
    let date = earlier.measured.strftime("%Y-%m-%d").to_string();
    let Some(before) = earlier.profile(&cost.profile) else {
        return vec![format!("not in the measurement of {date}")];
    };
    let mut sentences = Vec::new();
    for row in cost.rows.iter().filter(|row| row.kind != Kind::Endpoint) {
        let Some(old) = before.row(row.kind) else { continue };
        // A ratio of an app without the agent and one of an idle agent are two different things.
        if old.idle.is_some() != row.idle.is_some() {
            sentences.push(format!(
                "{}: not comparable with {date}: compared with an app without the agent only once",
                row.name
            ));
            continue;
        }
        let idle = row.idle.zip(old.idle).map(|(new, old)| ("the idle agent", new, old));
        for (what, new, old) in [("traced", row.traced, old.traced)].into_iter().chain(idle) {
            let word = if new.low > old.high {
                "more than"
            } else if new.high < old.low {
                "less than"
            } else {
                "as far as can be told, the same as"
            };
            sentences.push(format!(
                "{}, {what}: {word} {date} ({}, was {})",
                row.name,
                percent(new),
                percent(old)
            ));
        }
    }
    sentences
}

fn conclusion(document: &Document) -> String {
    let settings = &document.settings;
    let budget = |ratio: f64| {
        format!("{:.4}", (ratio - 1.0) * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let traced = format!("{} % traced", budget(settings.max_overhead));
    let budgets = if settings.arms.contains(&Arm::Plain) {
        format!("{traced}, {} % where nothing is traced", budget(settings.max_idle_overhead))
    } else {
        format!(
            "{traced}; what an idle agent costs was not measured, it needs the app without one (--plain-url)"
        )
    };
    let word = match document.state {
        State::Held => "The budget held",
        State::Inconclusive => "Inconclusive: whether the budget held can't be told",
        State::Broken => "The budget is broken",
        State::Failed => "Not every profile could be measured",
    };
    format!("{word} ({budgets}; intervals of {:.0} %).", settings.confidence * 100.0)
}

fn head() -> Vec<String> {
    ["what", "requests", "seconds", "traced", "idle agent", "twins"].map(str::to_owned).to_vec()
}

fn shown(cost: &ProfileCost) -> impl Iterator<Item = &Row> {
    let endpoints = cost.rows.iter().filter(|row| row.kind == Kind::Endpoint).take(SHOWN);
    cost.rows.iter().filter(|row| row.kind != Kind::Endpoint).chain(endpoints)
}

fn cells_of(row: &Row) -> Vec<String> {
    let with_plain = row.seconds.contains_key(&Arm::Plain);
    let seconds = row.seconds.get(&Arm::reference(with_plain)).copied().unwrap_or_default();
    vec![
        row.name.clone(),
        row.requests.to_string(),
        format!("{seconds:.3}"),
        percent(row.traced),
        row.idle.map_or_else(|| "not measured".to_owned(), percent),
        percent(row.control),
    ]
}

fn notes(cost: &ProfileCost, earlier: Option<&Document>) -> Vec<String> {
    let mut notes = cost.reasons.clone();
    notes.extend(earlier.into_iter().flat_map(|earlier| changes(cost, earlier)));
    let endpoints = cost.rows.iter().filter(|row| row.kind == Kind::Endpoint).count();
    if endpoints > SHOWN {
        notes.push(format!("{} more endpoints are in the document", endpoints - SHOWN));
    }
    notes.extend(cost.outliers.iter().map(outlier_note));
    notes
}

fn outlier_note(outlier: &Outlier) -> String {
    let Outlier { arm, round, name, seconds, usual, .. } = outlier;
    let step = outlier.step.map(|step| format!(" (step {step})")).unwrap_or_default();
    format!("outlier: {name}{step}, {}, round {round}: {seconds:.3} s, usually {usual:.3} s", arm.as_str())
}

/// A ratio as what it adds.
fn percent(ratio: Estimate) -> String {
    let more = |ratio: f64| {
        let percent = (ratio - 1.0) * 100.0;
        // No sign where it rounds to nothing.
        if percent.abs() < 0.05 { "0.0".to_owned() } else { format!("{percent:+.1}") }
    };
    format!("{} % ({} to {})", more(ratio.value), more(ratio.low), more(ratio.high))
}

fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let first = format!("  {:<1$}", row[0], widths[0]);
        let rest = row.iter().zip(&widths).skip(1).map(|(cell, width)| format!("  {cell:>width$}"));
        line(&mut text, &(first + &rest.collect::<String>()));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('|', "\\|").replace('*', "\\*").replace('_', "\\_")
}

fn line(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;

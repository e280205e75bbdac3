//! The table for the terminal, the same in Markdown, and the total alone.

use playtrace_analysis::{CoverageReport, Edition, FileCoverage, human_cmp};

use super::python::{line_ranges, printable};
use super::summary::{Shown, Skipped};

/// How a table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextOptions {
    /// What is left out.
    pub shown: Shown,
    /// A column with the missing lines.
    pub show_missing: bool,
    /// The order of the files.
    pub sort: Sort,
}

/// The order of a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// By what.
    pub column: Column,
    /// The largest first.
    pub descending: bool,
}

/// What a table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Column {
    /// Names, their numbers as numbers.
    #[default]
    Name,
    /// Statements.
    Statements,
    /// Missing statements.
    Missing,
    /// Percentages.
    Cover,
}

impl Sort {
    /// Reads coverage.py's notation: a column, after `-` the largest first. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let (descending, column) = match text.strip_prefix('-') {
            Some(column) => (true, column),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        let column = match column {
            "name" => Column::Name,
            "stmts" => Column::Statements,
            "miss" => Column::Missing,
            "cover" => Column::Cover,
            _ => return None,
        };
        Some(Self { column, descending })
    }
}

/// A table's content.
struct Rows {
    files: Vec<[String; 5]>,
    total: [String; 5],
    /// How many of the columns there are.
    columns: usize,
    ends: Vec<String>,
}

const HEADER: [&str; 5] = ["Name", "Stmts", "Miss", "Cover", "Missing"];
const COVER: usize = 3;

/// The table as `coverage report` prints it.
pub fn table(report: &CoverageReport<'_>, options: TextOptions) -> String {
    let rows = rows(report, options);
    let longest = rows.files.iter().map(|row| chars(&row[0])).max().unwrap_or(0);
    let name = longest.max(5) + 1;
    let covers = rows.files.iter().map(|row| chars(&row[COVER]) + 2).max().unwrap_or(0);
    let cover = (chars(&rows.total[COVER]) + 2).max(" Cover".len()).saturating_add(1).max(covers);
    let line = |cells: &[String; 5], header: bool| {
        let [file, statements, missing, percent, lines] = cells;
        let percent = if header {
            format!("{percent:>cover$}")
        } else {
            format!("{percent:>width$}%", width = cover - 1)
        };
        let lines = match (rows.columns, header) {
            (4, _) => String::new(),
            (_, true) => format!("{lines:>10}"),
            (_, false) => format!("   {lines:9}"),
        };
        format!("{file:name$}{statements:>7}{missing:>7}{percent}{lines}")
    };
    let header = line(&HEADER.map(str::to_owned), true);
    let rule = "-".repeat(chars(&header));
    let mut lines = vec![header, rule.clone()];
    lines.extend(rows.files.iter().map(|row| line(row, false)));
    if !rows.files.is_empty() {
        lines.push(rule);
    }
    lines.push(line(&rows.total, false));
    lines.extend(rows.ends.iter().map(|end| format!("\n{end}")));
    written(&lines)
}

/// The table as `coverage report --format=markdown` prints it.
pub fn markdown(report: &CoverageReport<'_>, options: TextOptions) -> String {
    let rows = rows(report, options);
    let edition = report.edition;
    let longest = rows.files.iter().map(|row| chars(&escaped(&row[0], edition))).max().unwrap_or(0);
    let name = longest.max("**TOTAL**".len()) + 1;
    let cover = (chars(&rows.total[COVER]) + 6).max(" Cover ".len());
    let mut items =
        vec![format!("| {:name$}|", HEADER[0]), format!("{:>9} |", HEADER[1]), format!("{:>9} |", HEADER[2])];
    items.push(format!("{:>cover$} |", HEADER[COVER]));
    items.push(format!("{:>10} |", HEADER[4]));
    items.truncate(rows.columns);
    let mut rule: Vec<String> = vec![format!("{:->width$}", "- |", width = chars(&items[0]) - 1)];
    rule.extend(items[1..].iter().map(|item| format!("{:->width$}", "-: |", width = chars(item) - 1)));
    let mut lines = vec![items.concat(), format!("|{}", rule.join(" "))];
    for row in &rows.files {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell, edition)).collect();
        let lines_cell = if rows.columns == 5 { format!("{:>10} |", cells[4]) } else { String::new() };
        let [file, statements, missing, percent] = [0, 1, 2, COVER].map(|at| &cells[at]);
        let width = cover - 1;
        let line = format!("| {file:name$}|{statements:>9} |{missing:>9} |{percent:>width$}% |{lines_cell}");
        lines.push(line);
    }
    let bold = |text: &str| format!(" **{text}**");
    let total = bold(&rows.total[0]);
    let total = match edition {
        Edition::V7_11 => format!("|{total:>name$} |"),
        Edition::V7_17 => format!("|{total:name$} |"),
    };
    let [statements, missing] = [1, 2].map(|at| bold(&rows.total[at]));
    let percent = bold(&format!("{}%", rows.total[COVER]));
    let lines_cell = if rows.columns == 5 { format!("{:>10} |", "") } else { String::new() };
    let line = format!("{total}{statements:>9} |{missing:>9} |{percent:>cover$} |{lines_cell}");
    lines.push(line);
    lines.extend(rows.ends.iter().map(|end| format!("\n{end}")));
    written(&lines)
}

/// The total percentage alone, as `coverage report --format=total` prints it.
pub fn total(report: &CoverageReport<'_>) -> String {
    format!("{}\n", report.total().display(report.precision))
}

fn rows(report: &CoverageReport<'_>, options: TextOptions) -> Rows {
    let mut skipped = Skipped::default();
    let mut files: Vec<&FileCoverage<'_>> =
        report.files.iter().filter(|file| options.shown.lists(file.numbers, &mut skipped)).collect();
    // Columns with equal values are in the order of plain names; with the largest first, everything is turned round.
    files.sort_by(|a, b| {
        let by_name = || a.input.name.cmp(&b.input.name);
        match options.sort.column {
            Column::Name => human_cmp(&a.input.name, &b.input.name),
            Column::Statements => a.numbers.statements.cmp(&b.numbers.statements).then_with(by_name),
            Column::Missing => a.numbers.missing.cmp(&b.numbers.missing).then_with(by_name),
            Column::Cover => a.numbers.percent().total_cmp(&b.numbers.percent()).then_with(by_name),
        }
    });
    if options.sort.descending {
        files.reverse();
    }
    let rows = files.iter().map(|file| {
        let missing =
            if options.show_missing { line_ranges(file.statements(), &file.missing) } else { String::new() };
        [
            printable(&file.input.name, report.edition).into_owned(),
            file.numbers.statements.to_string(),
            file.numbers.missing.to_string(),
            file.numbers.display(report.precision),
            missing,
        ]
    });
    let all = report.total();
    Rows {
        files: rows.collect(),
        total: [
            "TOTAL".to_owned(),
            all.statements.to_string(),
            all.missing.to_string(),
            all.display(report.precision),
            String::new(),
        ],
        columns: if options.show_missing { 5 } else { 4 },
        ends: skipped.sentences("file", "files"),
    }
}

/// Text that Markdown leaves alone, as far as the edition cares.
fn escaped(text: &str, edition: Edition) -> String {
    let marks = |c: char| match edition {
        Edition::V7_11 => c == '_',
        Edition::V7_17 => c.is_ascii_punctuation() && !".,/-".contains(c),
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if marks(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Lines without the white space at their ends.
fn written(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        let sort = |column, descending| Some(Sort { column, descending });
        assert_eq!(Sort::parse("-Cover"), sort(Column::Cover, true));
        assert_eq!(Sort::parse("+miss"), sort(Column::Missing, false));
        assert_eq!(Sort::parse("name"), sort(Column::Name, false));
        for wrong in ["", "-", "branch", "--name", "cover "] {
            assert_eq!(Sort::parse(wrong), None, "{wrong:?}");
        }
    }
}

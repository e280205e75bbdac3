//! Tables for the terminal.

use std::fmt::Write as _;

use playtrace_analysis::{BY_ROUTE, Matrix, MatrixProfile, Measured, ProfileReport, percent};

/// A table of plain text: the first column to the left, numbers to the right.
#[derive(Debug, Clone, Default)]
struct Table {
    rows: Vec<Vec<String>>,
    /// Columns that are text.
    left: Vec<usize>,
}

impl Table {
    fn new(left: &[usize], header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(ToString::to_string).collect()], left: left.to_vec() }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Draws a rule: a row without cells.
    fn rule(&mut self) {
        self.rows.push(Vec::new());
    }

    fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            if row.is_empty() {
                rule(&mut out, &widths);
                continue;
            }
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(at, cell)| {
                    let width = widths[at];
                    if self.left.contains(&at) {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                })
                .collect();
            let _ = writeln!(out, "{}", cells.join("  ").trim_end());
            if number == 0 {
                rule(&mut out, &widths);
            }
        }
        out
    }
}

fn rule(out: &mut String, widths: &[usize]) {
    let line: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    // Writing to a String can't fail.
    let _ = writeln!(out, "{}", line.join("  "));
}

/// One profile: its files with an executed statement, the sum over all files, and its verdict.
pub fn profile(report: &ProfileReport) -> String {
    let mut out = format!("profile {}: {}\n", report.profile, report.status);
    for reason in &report.reasons {
        let _ = writeln!(out, "  - {reason}");
    }
    for note in &report.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    out.push('\n');
    match report.measured {
        Measured::Lines => lines_by_file(&mut out, report),
        Measured::Functions => functions_by_file(&mut out, report),
    }
    let summary = &report.summary;
    let _ = writeln!(
        out,
        "\n{} of {} files, {} modules, {} classes, {} of {} functions and methods",
        summary.file_count,
        summary.files_total,
        summary.module_count,
        summary.class_count,
        summary.function_count,
        summary.functions_total
    );
    if summary.stale_files > 0 {
        let _ = writeln!(out, "{} files are stale: their lines are in no number", summary.stale_files);
    }
    if summary.unverified_files > 0 {
        let files = summary.unverified_files;
        let _ = writeln!(
            out,
            "{files} files are unverified: nothing says whether this source of theirs was measured"
        );
    }
    for (path, lines) in &report.not_in_source {
        let what = match report.measured {
            Measured::Lines => "lines measured",
            Measured::Functions => "functions entered",
        };
        let _ = writeln!(out, "not in this source tree: {path} ({lines} {what})");
    }
    for file in &report.unparsed {
        let _ = writeln!(out, "not Python: {}", file.reason);
    }
    out
}

/// What a report says where functions alone were traced.
pub(crate) const LINES_NOT_TRACED: &str = "lines: not traced (symbol granularity)";

fn functions_by_file(out: &mut String, report: &ProfileReport) {
    let _ = writeln!(out, "{LINES_NOT_TRACED}\n");
    let mut table = Table::new(&[0], &["file", "functions entered"]);
    for file in report.files.iter().filter(|file| file.is_touched()) {
        table.row(vec![file.path.to_string(), file.functions_entered.unwrap_or(0).to_string()]);
    }
    table.rule();
    table.row(vec!["total".to_owned(), report.summary.function_count.to_string()]);
    out.push_str(&table.render());
}

fn lines_by_file(out: &mut String, report: &ProfileReport) {
    let mut table = Table::new(&[0], &["file", "lines", "executed", "missing", "import", "covered"]);
    for file in report.files.iter().filter(|file| file.lines_covered > 0) {
        table.row(vec![
            file.path.to_string(),
            file.lines_total.to_string(),
            file.lines_covered.to_string(),
            file.missing_lines.len().to_string(),
            file.import_lines.len().to_string(),
            share(file.coverage_percent),
        ]);
    }
    let untouched: Vec<_> =
        report.files.iter().filter(|file| file.lines_covered == 0 && !file.stale).collect();
    if !untouched.is_empty() {
        let lines: usize = untouched.iter().map(|file| file.lines_total).sum();
        let import: usize = untouched.iter().map(|file| file.import_lines.len()).sum();
        let plural = if untouched.len() == 1 { "" } else { "s" };
        table.row(vec![
            format!("({} file{plural} not touched)", untouched.len()),
            lines.to_string(),
            "0".to_owned(),
            lines.to_string(),
            import.to_string(),
            share(percent(0, lines)),
        ]);
    }
    let summary = &report.summary;
    table.rule();
    table.row(vec![
        "total".to_owned(),
        summary.lines_total.to_string(),
        summary.lines_covered.to_string(),
        (summary.lines_total - summary.lines_covered).to_string(),
        summary.import_lines.to_string(),
        share(percent(summary.lines_covered, summary.lines_total)),
    ]);
    out.push_str(&table.render());
}

/// All profiles side by side, with totals and gaps in numbers.
pub fn matrix(matrix: &Matrix) -> String {
    let mut table = Table::new(
        &[0, 1],
        &["profile", "verdict", "requests", "jobs", "files", "lines", "symbols", "only-here symbols"],
    );
    for profile in &matrix.profiles {
        table.row(vec![
            profile.profile.clone(),
            profile.status.to_string(),
            known(profile.requests),
            known(profile.jobs),
            profile.files.to_string(),
            lines_of(profile),
            profile.symbols.to_string(),
            profile.only_here.to_string(),
        ]);
    }
    let totals = &matrix.totals;
    table.rule();
    table.row(vec![
        "all".to_owned(),
        String::new(),
        known(totals.requests),
        known(totals.jobs),
        totals.files.to_string(),
        lines_of_all(matrix),
        totals.symbols.to_string(),
        totals.only_here.to_string(),
    ]);
    let mut out = table.render();
    let _ = writeln!(out, "\nlines executed by any profile: {}", executed_by_any(matrix));
    let _ = writeln!(out, "symbols that no profile reaches: {}", totals.unreached_symbols);
    if let Some(traffic) = &matrix.gaps.traffic {
        let count = matrix.gaps.symbols.iter().filter(|gap| gap.traffic.is_some()).count();
        let _ = writeln!(out, "symbols that real traffic runs and no profile does: {count}");
        let _ = writeln!(out, "real traffic: recorded {}", traffic.in_words());
        let _ = writeln!(
            out,
            "routes of real traffic, of which samples were seen: {}",
            matrix.traffic_routes.len()
        );
    }
    let _ = writeln!(out, "files that no profile touches: {}", totals.unreached_files);
    if !matrix.steps.is_empty() {
        let _ = writeln!(out, "routes: {}", matrix.routes.len());
        let _ = writeln!(out, "symbols that failed steps alone reach: {}", matrix.only_failed().count());
    }
    if let Some(profiles) = steps_not_traced(matrix) {
        let _ = writeln!(out, "steps not traced: {profiles}");
    }
    for profile in matrix.profiles.iter().filter(|profile| !profile.reasons.is_empty()) {
        let _ = writeln!(out, "\n{} is {}:", profile.profile, profile.status);
        for reason in &profile.reasons {
            let _ = writeln!(out, "  - {reason}");
        }
    }
    if !matrix.gaps.certain {
        let _ = writeln!(
            out,
            "\nWhat no profile reaches is not certain, because {}.",
            matrix.gaps.uncertain_because.join(", ")
        );
    }
    for note in &matrix.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// The gaps, one a line: `file:line name`, for `grep` and editors. What real traffic runs comes first.
pub fn gaps(matrix: &Matrix) -> String {
    let mut out = String::new();
    if !matrix.gaps.certain {
        // Writing to a String can't fail.
        let _ = writeln!(out, "# not certain, because {}", matrix.gaps.uncertain_because.join(", "));
    }
    if let Some(traffic) = &matrix.gaps.traffic {
        let _ = writeln!(out, "# real traffic: recorded {}", traffic.in_words());
    }
    if !matrix.traffic_routes.is_empty() {
        let _ = writeln!(out, "# {BY_ROUTE}");
    }
    for gap in &matrix.gaps.symbols {
        let import = if gap.run_by_import { " (run by an import)" } else { "" };
        let traffic = gap.traffic.as_ref().map_or_else(String::new, |traffic| {
            let by = gap.by_routes();
            let space = if by.is_empty() { "" } else { " " };
            format!(" (real traffic runs it{space}{by}, no profile does: {})", traffic.in_words())
        });
        let _ = writeln!(out, "{}:{} {}{import}{traffic}", gap.symbol.file, gap.symbol.line, gap.symbol.name);
    }
    out
}

/// The number of lines that a profile executed, where they were traced.
pub(crate) fn lines_of(profile: &MatrixProfile) -> String {
    match profile.measured {
        Measured::Lines => profile.lines_covered.to_string(),
        Measured::Functions => "not traced".to_owned(),
    }
}

/// The number of lines that any profile executed, where any was traced.
pub(crate) fn lines_of_all(matrix: &Matrix) -> String {
    if matrix.profiles.iter().any(|profile| profile.measured == Measured::Lines) {
        matrix.totals.lines_covered.to_string()
    } else {
        "not traced".to_owned()
    }
}

/// Executed lines of all lines; names the profiles whose lines were not traced.
pub(crate) fn executed_by_any(matrix: &Matrix) -> String {
    let untraced: Vec<&str> = matrix
        .profiles
        .iter()
        .filter(|profile| profile.measured == Measured::Functions)
        .map(|profile| profile.profile.as_str())
        .collect();
    let totals = &matrix.totals;
    let counted =
        format!("{} of {} ({})", totals.lines_covered, totals.lines_total, share(totals.coverage_percent));
    match untraced.len() {
        0 => counted,
        all if all == matrix.profiles.len() => "not traced".to_owned(),
        _ => format!("{counted}; not traced: {}", untraced.join(", ")),
    }
}

/// The profiles of which it is not known what each step entered, if there are some.
pub(crate) fn steps_not_traced(matrix: &Matrix) -> Option<String> {
    (!matrix.steps_not_traced.is_empty()).then(|| matrix.steps_not_traced.join(", "))
}

/// `-` is "not known", which is not 0.
pub(crate) fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

pub(crate) fn share(percent: Option<f64>) -> String {
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1} %"))
}

//! One file's results.

use playtrace_model::{LineBits, Region, SourceFile};

use super::{Edition, LineContexts, Numbers};
use crate::fates::fold;

/// What a file's results are made of.
#[derive(Debug, Clone)]
pub struct FileInput<'a> {
    /// The name that reports show: relative to the project's root where the file lies below it.
    pub name: String,
    /// The full name, as measured.
    pub filename: String,
    /// The text, as its lines are counted: `\n` ends each.
    pub text: &'a str,
    /// Statements, exclusions, multi-line statements.
    pub source: &'a SourceFile,
    /// Functions and classes.
    pub regions: Vec<Region>,
    /// The lines as measured, by the context's place in [`CoverageReport::contexts`](super::CoverageReport::contexts), ascending.
    pub measured: Vec<(usize, &'a LineBits)>,
}

/// One file's results.
#[derive(Debug)]
pub struct FileCoverage<'a> {
    /// Where they come from.
    pub input: FileInput<'a>,
    /// Executed lines, each as the first line of its statement. In 7.11 there may be lines among them that are no statements.
    pub executed: LineBits,
    /// Statements that were not executed.
    pub missing: LineBits,
    /// The counts.
    pub numbers: Numbers,
}

/// The part of a file's results that lies on some of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowed {
    /// Executed lines.
    pub executed: LineBits,
    /// Missing statements.
    pub missing: LineBits,
    /// Excluded lines.
    pub excluded: LineBits,
    /// The counts.
    pub numbers: Numbers,
}

/// How a page shows a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineState {
    /// Excluded.
    Excluded,
    /// A statement that was not executed.
    Missing,
    /// An executed statement.
    Run,
}

impl<'a> FileCoverage<'a> {
    /// Compares measured lines with the source.
    pub fn new(input: FileInput<'a>, edition: Edition) -> Self {
        let mut measured = LineBits::new();
        for (_, lines) in &input.measured {
            measured.union_with(lines);
        }
        let mut executed = fold(input.source, &measured);
        if edition >= Edition::V7_17 {
            executed = executed.intersection(&input.source.statements);
        }
        let missing = input.source.statements.difference(&executed);
        let numbers = Numbers {
            statements: input.source.statements.len(),
            excluded: input.source.excluded.len(),
            missing: missing.len(),
        };
        Self { input, executed, missing, numbers }
    }

    /// The statements.
    pub fn statements(&self) -> &LineBits {
        &self.input.source.statements
    }

    /// The excluded lines.
    pub fn excluded(&self) -> &LineBits {
        &self.input.source.excluded
    }

    /// The results on `lines` alone.
    pub fn narrow(&self, lines: &LineBits) -> Narrowed {
        let missing = self.missing.intersection(lines);
        let excluded = self.excluded().intersection(lines);
        let executed = self.executed.intersection(lines);
        Narrowed { executed, missing, excluded, numbers: self.numbers_on(lines) }
    }

    /// The counts on `lines` alone.
    pub fn numbers_on(&self, lines: &LineBits) -> Numbers {
        Numbers {
            statements: self.statements().common(lines),
            excluded: self.excluded().common(lines),
            missing: self.missing.common(lines),
        }
    }

    /// The functions, or the classes, in the order of coverage.py's tables.
    pub fn regions(&self, classes: bool) -> impl Iterator<Item = &Region> {
        self.input.regions.iter().filter(move |region| region.is_class == classes)
    }

    /// The lines, of `count`, that belong to no function (or class).
    pub fn outside(&self, classes: bool, count: u32) -> LineBits {
        let mut inside = LineBits::new();
        for region in self.regions(classes) {
            inside.union_with(&region.lines);
        }
        (1..=count).filter(|line| !inside.contains(*line)).collect()
    }

    /// How a line is shown, and whether only because it goes on with the statement of an earlier line.
    pub fn line_state(&self, line: u32) -> Option<(LineState, bool)> {
        if let Some(state) = self.own_state(line) {
            return Some((state, false));
        }
        let multiline = &self.input.source.multiline;
        let at = multiline.partition_point(|&(_, last)| last < line);
        let (first, _) = *multiline.get(at).filter(|(first, _)| *first <= line)?;
        self.own_state(first).map(|state| (state, true))
    }

    fn own_state(&self, line: u32) -> Option<LineState> {
        if self.excluded().contains(line) {
            Some(LineState::Excluded)
        } else if self.missing.contains(line) {
            Some(LineState::Missing)
        } else if self.statements().contains(line) {
            Some(LineState::Run)
        } else {
            None
        }
    }

    /// The contexts that executed each line as measured, by their places, ascending.
    pub fn contexts_by_line(&self) -> LineContexts {
        LineContexts::of(&self.input.measured)
    }
}

#[cfg(test)]
mod tests {
    use playtrace_model::{MeasuredPath, SourceHash};

    use super::*;

    fn bits(lines: &[u32]) -> LineBits {
        lines.iter().copied().collect()
    }

    fn source() -> SourceFile {
        SourceFile {
            path: MeasuredPath::new("a.py"),
            module: "a".to_owned(),
            hash: SourceHash::from_hex("00"),
            import_statements: LineBits::new(),
            statements: bits(&[1, 3, 7, 9]),
            excluded: bits(&[5, 6]),
            symbols: Vec::new(),
            multiline: vec![(3, 4), (7, 8)],
            lambdas: Vec::new(),
        }
    }

    fn coverage<'a>(source: &'a SourceFile, lines: &'a LineBits, edition: Edition) -> FileCoverage<'a> {
        let region = |name: &str, lines| Region { is_class: false, name: name.to_owned(), start: 2, lines };
        FileCoverage::new(
            FileInput {
                name: "a.py".to_owned(),
                filename: "/a.py".to_owned(),
                text: "",
                source,
                regions: vec![region("f", bits(&[3, 4, 5]))],
                measured: vec![(0, lines)],
            },
            edition,
        )
    }

    #[test]
    fn lines_that_are_no_statements_are_executed_in_7_11_alone() {
        let (source, lines) = (source(), bits(&[1, 2, 4, 5]));
        let file = coverage(&source, &lines, Edition::V7_11);
        assert_eq!(file.executed, bits(&[1, 2, 3, 5]));
        assert_eq!(file.missing, bits(&[7, 9]));
        assert_eq!(file.numbers, Numbers { statements: 4, excluded: 2, missing: 2 });
        assert_eq!(coverage(&source, &lines, Edition::V7_17).executed, bits(&[1, 3]));
    }

    #[test]
    fn regions_and_states() {
        let (source, lines) = (source(), bits(&[1, 4]));
        let file = coverage(&source, &lines, Edition::V7_11);
        let narrowed = file.narrow(&file.input.regions[0].lines);
        assert_eq!(narrowed.numbers, Numbers { statements: 1, excluded: 1, missing: 0 });
        assert_eq!(file.outside(false, 7), bits(&[1, 2, 6, 7]));
        let states: Vec<_> = [1, 2, 4, 5, 8, 9, 10].into_iter().map(|line| file.line_state(line)).collect();
        assert_eq!(
            states,
            [
                Some((LineState::Run, false)),
                None,
                Some((LineState::Run, true)),
                Some((LineState::Excluded, false)),
                Some((LineState::Missing, true)),
                Some((LineState::Missing, false)),
                None
            ]
        );
    }
}

//! The fate of each statement of one file.

use playtrace_model::{LineBits, SourceFile};

/// What became of a file's statements in one profile. The sets don't overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fates {
    /// Executed by the profile.
    pub executed: LineBits,
    /// Not executed by the profile.
    pub missing: LineBits,
    /// Run when the module is imported, and not by the profile: neither executed nor missing.
    pub import: LineBits,
    /// Nobody looked whether the profile executes them: neither executed nor missing.
    pub not_traced: LineBits,
}

impl Fates {
    /// Compares lines as measured with the statements of `file`.
    ///
    /// A line inside a multi-line statement counts as its first line, and a line that is no statement (a
    /// docstring's, an excluded one) is dropped, both as coverage.py does.
    pub fn of(file: &SourceFile, measured: &LineBits) -> Self {
        let executed = fold(file, measured).intersection(&file.statements);
        let import = file.import_statements.difference(&executed);
        let missing = file.statements.difference(&executed).difference(&import);
        Self { executed, missing, import, not_traced: LineBits::new() }
    }

    /// The fates where lines were not traced: an import still runs what it runs.
    pub fn not_traced(file: &SourceFile) -> Self {
        Self {
            import: file.import_statements.clone(),
            not_traced: file.statements.difference(&file.import_statements),
            ..Self::default()
        }
    }

    /// How many statements count: executed and missing ones.
    pub fn total(&self) -> usize {
        self.executed.len() + self.missing.len()
    }
}

/// Maps each line to the first line of the multi-line statement that it is part of.
pub fn fold(file: &SourceFile, measured: &LineBits) -> LineBits {
    let mut rest = file.multiline.as_slice();
    measured
        .iter()
        .map(|line| {
            // Both ascend, and mostly the next line has the same statement before it.
            if rest.first().is_some_and(|&(_, last)| last < line) {
                rest = &rest[rest.partition_point(|&(_, last)| last < line)..];
            }
            match rest.first() {
                Some(&(first, _)) if first <= line => first,
                _ => line,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use playtrace_model::{MeasuredPath, SourceHash};
    use proptest::prelude::*;

    use super::*;

    fn bits(lines: &[u32]) -> LineBits {
        lines.iter().copied().collect()
    }

    fn file(statements: LineBits, import: &LineBits, multiline: Vec<(u32, u32)>) -> SourceFile {
        SourceFile {
            path: MeasuredPath::new("a.py"),
            module: "a".to_owned(),
            hash: SourceHash::from_hex("00"),
            import_statements: statements.intersection(import),
            statements,
            excluded: LineBits::new(),
            symbols: Vec::new(),
            multiline,
            lambdas: Vec::new(),
        }
    }

    #[test]
    fn folds_then_drops_what_is_no_statement() {
        let file = file(bits(&[1, 3, 7, 9]), &bits(&[1, 7]), vec![(3, 5), (9, 12)]);
        let fates = Fates::of(&file, &bits(&[2, 4, 5, 6, 7, 13]));
        assert_eq!(fates.executed, bits(&[3, 7]), "4 and 5 are 3; 2, 6 and 13 are no statements");
        assert_eq!(fates.import, bits(&[1]), "7 was executed by the profile itself");
        assert_eq!(fates.missing, bits(&[9]));
        assert_eq!(fates.total(), 3);
    }

    proptest! {
        #[test]
        fn every_statement_has_exactly_one_fate(
            statements in proptest::collection::vec(1u32..60, 0..40),
            import in proptest::collection::vec(1u32..60, 0..40),
            measured in proptest::collection::vec(0u32..70, 0..40),
        ) {
            let file = file(bits(&statements), &bits(&import), Vec::new());
            let fates = Fates::of(&file, &bits(&measured));
            let mut all = fates.executed.clone();
            all.union_with(&fates.missing);
            all.union_with(&fates.import);
            prop_assert_eq!(&all, &file.statements);
            prop_assert_eq!(all.len(), fates.total() + fates.import.len());
        }

        #[test]
        fn more_data_never_executes_less(
            statements in proptest::collection::vec(1u32..60, 0..40),
            a in proptest::collection::vec(1u32..60, 0..40),
            b in proptest::collection::vec(1u32..60, 0..40),
        ) {
            let file = file(bits(&statements), &LineBits::new(), vec![(10, 20), (30, 33)]);
            let less = Fates::of(&file, &bits(&a));
            let more = Fates::of(&file, &bits(&[a, b].concat()));
            prop_assert!(less.executed.is_subset(&more.executed));
            prop_assert!(more.missing.is_subset(&less.missing));
        }
    }
}

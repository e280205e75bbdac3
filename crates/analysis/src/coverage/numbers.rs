//! Counts and percentages, rounded as coverage.py rounds them.

use std::iter::Sum;
use std::ops::Add;

use super::Edition;

/// What is counted of a file, a region, or several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// Statements.
    pub statements: usize,
    /// Excluded lines: in no other number.
    pub excluded: usize,
    /// Statements that were not executed.
    pub missing: usize,
}

impl Numbers {
    /// Statements that were executed.
    pub const fn executed(self) -> usize {
        self.statements - self.missing
    }

    /// The executed statements in percent; 100 where there is no statement.
    pub fn percent(self) -> f64 {
        if self.statements == 0 {
            return 100.0;
        }
        100.0 * self.executed() as f64 / self.statements as f64
    }

    /// The percentage as it is shown, without its sign.
    pub fn display(self, precision: usize) -> String {
        display_percent(self.percent(), precision)
    }
}

impl Add for Numbers {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            statements: self.statements + other.statements,
            excluded: self.excluded + other.excluded,
            missing: self.missing + other.missing,
        }
    }
}

impl Sum for Numbers {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), Add::add)
    }
}

/// A percentage with so many digits behind the point. Only nothing is shown as 0, and only everything as 100.
pub fn display_percent(percent: f64, precision: usize) -> String {
    let step = step(precision);
    let shown = if percent > 0.0 && percent < step {
        step
    } else if percent > 100.0 - step && percent < 100.0 {
        100.0 - step
    } else {
        percent
    };
    format!("{shown:.precision$}")
}

/// The smallest percentage that so many digits show.
fn step(precision: usize) -> f64 {
    1.0 / 10f64.powi(i32::try_from(precision).unwrap_or(i32::MAX))
}

/// What `--fail-under` asks for, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The percentage.
    pub percent: f64,
    /// How many digits behind the point it was written with, zeros at the end left out.
    pub digits: usize,
}

impl Threshold {
    /// Takes a number from 0 to 100.
    pub fn new(percent: f64) -> Option<Self> {
        let digits = percent.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
        (0.0..=100.0).contains(&percent).then_some(Self { percent, digits })
    }

    /// The digits with which a total is compared with it. 7.17 uses at least as many as the threshold has.
    pub fn precision(self, precision: usize, edition: Edition) -> usize {
        if edition >= Edition::V7_17 { precision.max(self.digits) } else { precision }
    }
}

/// Whether a total percentage, rounded, reaches a threshold. 100 is reached by nothing less.
pub fn reaches(total: f64, threshold: Threshold, precision: usize, edition: Edition) -> bool {
    if threshold.percent >= 100.0 && total < 100.0 {
        return false;
    }
    let precision = threshold.precision(precision, edition);
    // What is printed is a number again.
    format!("{total:.precision$}").parse::<f64>().is_ok_and(|rounded| rounded >= threshold.percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_coverage_pys() {
        // (percentage, digits, coverage.results.display_covered of 7.11.3)
        for (percent, precision, shown) in [
            (0.0, 0, "0"),
            (0.001, 0, "1"),
            (0.5, 0, "1"),
            (1.5, 0, "2"),
            (2.5, 0, "2"),
            (99.4, 0, "99"),
            (99.999, 0, "99"),
            (100.0, 0, "100"),
            (99.96, 1, "99.9"),
            (12.125, 2, "12.12"),
            (12.375, 2, "12.38"),
            (66.666_666_666_666_67, 3, "66.667"),
            (100.0, 2, "100.00"),
            (0.004, 2, "0.01"),
        ] {
            assert_eq!(display_percent(percent, precision), shown, "{percent} {precision}");
        }
        assert_eq!(Numbers::default().display(1), "100.0");
        assert!((Numbers { statements: 3, excluded: 1, missing: 1 }.percent() - 200.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn thresholds() {
        let at = |percent| Threshold::new(percent).unwrap();
        // (total, threshold, digits, in 7.11, in 7.17)
        for (total, threshold, precision, old, new) in [
            (79.6, 80.0, 0, true, true),
            (79.4, 80.0, 0, false, false),
            (99.999, 100.0, 0, false, false),
            (100.0, 100.0, 0, true, true),
            (80.4, 80.5, 0, false, false),
            (80.6, 80.5, 0, true, true),
            (80.46, 80.5, 0, false, true),
            (0.0, 0.0, 0, true, true),
        ] {
            for (edition, expected) in [(Edition::V7_11, old), (Edition::V7_17, new)] {
                assert_eq!(
                    reaches(total, at(threshold), precision, edition),
                    expected,
                    "{total} {threshold} {edition:?}"
                );
            }
        }
        assert_eq!(Threshold::new(100.1), None);
        assert_eq!(Threshold::new(f64::NAN), None);
        assert_eq!(at(80.25).digits, 2);
    }
}

//! What paired measurements say, and how sure that is. Numbers only.
//!
//! The estimator of a ratio is the Hodges-Lehmann median of paired log ratios: the median of the means of all pairs. Its interval inverts
//! Wilcoxon's signed-rank test, whose distribution is counted, not approximated. Both suppose that the log ratios lie symmetrically about
//! the true one, which pairs taken turn by turn do, and nothing else about how they are distributed; a few wild pairs move them little
//! (Hodges and Lehmann, 1963; Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, sections 3.1 to 3.3).

use serde::{Deserialize, Serialize};

/// The confidence of every interval. A night looks at dozens of them, and people are to believe each: 95 % would be wrong somewhere
/// in most nights.
pub const CONFIDENCE: f64 = 0.99;
/// The fewest pairs that can have an interval of [`CONFIDENCE`]: with fewer, even pairs that all agree are likelier by chance.
pub const FEWEST: usize = 8;
/// An outlier lies so many standard deviations, as the median absolute deviation estimates them, above the median,
const FAR: f64 = 6.0;
/// and is at least so many times the median: on a machine that repeats itself to the microsecond, a hair's breadth is no outlier.
const MUCH: f64 = 1.2;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// A ratio, and the interval in which it lies with [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The ratio.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval holds a ratio.
    pub fn covers(&self, ratio: f64) -> bool {
        (self.low..=self.high).contains(&ratio)
    }

    /// How far from 1 the interval reaches.
    pub fn stray(&self) -> f64 {
        (self.low - 1.0).abs().max((self.high - 1.0).abs())
    }
}

/// The ratio whose logarithms, one a pair, are given; `None` for fewer than [`FEWEST`] pairs.
pub fn ratio(logs: &[f64]) -> Option<Estimate> {
    if logs.len() < FEWEST {
        return None;
    }
    let mut means: Vec<f64> = Vec::with_capacity(logs.len() * (logs.len() + 1) / 2);
    for (index, one) in logs.iter().enumerate() {
        means.extend(logs[index..].iter().map(|other| f64::midpoint(*one, *other)));
    }
    means.sort_by(f64::total_cmp);
    // The k-th mean from either end: the rank sum is below k with at most half of what the confidence leaves.
    let rank = signed_rank_quantile(logs.len(), (1.0 - CONFIDENCE) / 2.0).max(1);
    let (low, high) = (means[rank - 1], means[means.len() - rank]);
    Some(Estimate { value: median_of_sorted(&means).exp(), low: low.exp(), high: high.exp() })
}

/// The smallest rank sum that Wilcoxon's statistic of `pairs` pairs does not exceed with at least this probability.
fn signed_rank_quantile(pairs: usize, probability: f64) -> usize {
    // How many of the 2^n signs come to each sum: each rank is in it or not.
    let mut ways = vec![0.0_f64; pairs * (pairs + 1) / 2 + 1];
    ways[0] = 1.0;
    let mut top = 0;
    for rank in 1..=pairs {
        top += rank;
        for sum in (rank..=top).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let all: f64 = ways.iter().sum();
    let mut below = 0.0;
    ways.iter()
        .position(|count| {
            below += count / all;
            below >= probability
        })
        .unwrap_or(0)
}

/// The median; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        count => f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
    }
}

/// The largest value that is no outlier among these.
pub fn fence(values: &[f64]) -> f64 {
    let usual = median(values);
    let deviations: Vec<f64> = values.iter().map(|value| (value - usual).abs()).collect();
    (usual + FAR * MAD_TO_SIGMA * median(&deviations)).max(MUCH * usual)
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;

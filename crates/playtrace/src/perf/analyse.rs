//! From what replays took to what tracing costs.

use std::collections::BTreeMap;

use super::Arm;
use super::document::{Kind, Outlier, ProfileCost, Row};
use super::estimate::{FEWEST, fence, median, ratio};
use super::judge::{State, judge};
use super::measure::{Measured, Sample};

/// The budgets, as ratios.
#[derive(Debug, Clone, Copy)]
pub struct Budgets {
    /// Of a traced replay.
    pub traced: f64,
    /// Of an agent that is on and traces nothing.
    pub idle: f64,
}

/// So many outliers are named, the farthest first.
const NAMED: usize = 10;

/// Times of one thing: by way, one a round.
type Series = BTreeMap<Arm, Vec<f64>>;

/// What tracing costs a profile.
pub fn analyse(profile: &str, measured: &Measured, budgets: Budgets) -> ProfileCost {
    let mut cost = ProfileCost {
        profile: profile.to_owned(),
        state: State::Held,
        reasons: measured.failures.clone(),
        rounds: measured.rounds.len(),
        rows: Vec::new(),
        outliers: Vec::new(),
    };
    let same_steps =
        |sample: &Sample| sample.steps.len() == measured.endpoints.len() && !measured.endpoints.is_empty();
    let comparable = measured.rounds.iter().flat_map(BTreeMap::values).all(same_steps);
    if measured.given_up || measured.rounds.len() < FEWEST || !comparable {
        cost.state = State::Failed;
        cost.reasons.push(format!("{} rounds passed, {FEWEST} are needed", measured.rounds.len()));
        return cost;
    }
    let mut steps: Vec<Series> = Vec::new();
    for (index, endpoint) in measured.endpoints.iter().enumerate() {
        let step = series(measured, |sample| sample.steps[index]);
        steps.push(fenced(step, Some(index + 1), endpoint, &mut cost.outliers));
    }
    let whole = fenced(series(measured, |sample| sample.whole), None, "replay", &mut cost.outliers);
    let mut rows = vec![
        row(Kind::Requests, "requests", &steps.iter().collect::<Vec<_>>()),
        row(Kind::Replay, "replay", &[&whole]).map(|row| Row { requests: steps.len(), ..row }),
    ];
    let mut by_endpoint: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
    for (endpoint, step) in measured.endpoints.iter().zip(&steps) {
        by_endpoint.entry(endpoint).or_default().push(step);
    }
    let mut endpoints: Vec<_> =
        by_endpoint.iter().filter_map(|(name, steps)| row(Kind::Endpoint, name, steps)).collect();
    endpoints.sort_by(|a, b| b.traced_seconds().total_cmp(&a.traced_seconds()));
    rows.extend(endpoints.into_iter().map(Some));
    cost.rows = rows.into_iter().flatten().collect();
    for row in cost.rows.iter_mut().filter(|row| row.kind != Kind::Endpoint) {
        let idle = row.idle.map(|idle| (Arm::Idle, idle, budgets.idle));
        for (arm, measured, budget) in [(Arm::Traced, row.traced, budgets.traced)].into_iter().chain(idle) {
            let (state, why) = judge(measured, row.control, budget);
            row.judged.insert(arm, state);
            let what = if arm == Arm::Traced { "traced" } else { "the idle agent" };
            let low = (measured.low - 1.0) * 100.0;
            let broken =
                || format!("it costs at least {low:.1} %, the budget is {:.1} %", (budget - 1.0) * 100.0);
            if state != State::Held {
                cost.reasons.push(format!("{}, {what}: {}", row.name, why.unwrap_or_else(broken)));
            }
            cost.state = cost.state.max(state);
        }
    }
    cost.outliers.sort_by(|a, b| (b.seconds / b.usual).total_cmp(&(a.seconds / a.usual)));
    cost.outliers.truncate(NAMED);
    cost
}

/// How far from 1 the ratio of two twins reaches, by what was measured so far; `None` where nothing can be told yet.
pub fn noise(measured: &Measured) -> Option<f64> {
    let cost = analyse("", measured, Budgets { traced: f64::MAX, idle: f64::MAX });
    let rows = cost.rows.iter().filter(|row| row.kind != Kind::Endpoint);
    rows.map(|row| row.control.stray()).max_by(f64::total_cmp)
}

fn series(measured: &Measured, of: impl Fn(&Sample) -> f64) -> Series {
    let mut series = Series::new();
    for round in &measured.rounds {
        for (arm, sample) in round {
            series.entry(*arm).or_default().push(of(sample));
        }
    }
    series
}

/// Outliers cut to the longest that is none, and noted. Each way by itself: where tracing makes every request slower, none is an outlier.
fn fenced(mut series: Series, step: Option<usize>, name: &str, outliers: &mut Vec<Outlier>) -> Series {
    for (arm, times) in &mut series {
        let (bound, usual) = (fence(times), median(times));
        for (round, seconds) in times.iter_mut().enumerate() {
            if *seconds > bound {
                let name = name.to_owned();
                outliers.push(Outlier { arm: *arm, round: round + 1, step, name, seconds: *seconds, usual });
                *seconds = bound;
            }
        }
    }
    series
}

/// Compares the sums of some series, round by round.
fn row(kind: Kind, name: &str, parts: &[&Series]) -> Option<Row> {
    let mut sums = Series::new();
    for part in parts {
        for (arm, times) in *part {
            let sum = sums.entry(*arm).or_insert_with(|| vec![0.0; times.len()]);
            sum.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        }
    }
    let reference = Arm::reference(sums.contains_key(&Arm::Plain));
    let (one, twin) = (logs(&sums, reference)?, logs(&sums, Arm::Twin)?);
    // Both twins are what the others are compared with: half of the noise of one.
    let both: Vec<f64> = one.iter().zip(&twin).map(|(one, twin)| f64::midpoint(*one, *twin)).collect();
    let against = |logs: &[f64], base: &[f64]| -> Vec<f64> {
        logs.iter().zip(base).map(|(log, base)| log - base).collect()
    };
    let idle = if reference == Arm::Plain { logs(&sums, Arm::Idle) } else { None };
    Some(Row {
        kind,
        name: name.to_owned(),
        requests: parts.len(),
        seconds: sums.iter().map(|(arm, times)| (*arm, median(times))).collect(),
        control: ratio(&against(&twin, &one))?,
        traced: ratio(&against(&logs(&sums, Arm::Traced)?, &both))?,
        idle: idle.and_then(|idle| ratio(&against(&idle, &both))),
        judged: BTreeMap::new(),
    })
}

fn logs(sums: &Series, arm: Arm) -> Option<Vec<f64>> {
    // No clock is so coarse that an answer takes no time; a microsecond keeps the logarithm finite all the same.
    Some(sums.get(&arm)?.iter().map(|seconds| seconds.max(1e-6).ln()).collect())
}

impl Row {
    fn traced_seconds(&self) -> f64 {
        self.seconds.get(&Arm::Traced).copied().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "analyse_tests.rs"]
mod tests;

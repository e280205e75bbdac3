//! Whether a budget held.

use serde::{Deserialize, Serialize};

use super::estimate::Estimate;

/// What a comparison with a budget comes to; the worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The whole interval lies within the budget.
    Held,
    /// It can't be told.
    Inconclusive,
    /// The whole interval lies beyond the budget.
    Broken,
    /// The profile could not be replayed.
    Failed,
}

impl State {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Inconclusive => "inconclusive",
            Self::Broken => "broken",
            Self::Failed => "failed",
        }
    }
}

/// Compares a ratio with its budget, a ratio too. `control` is the ratio of two twins, which should be 1: what it strays is what this
/// machine adds to anything of its own accord. The second value says why it can't be told, where that is so.
pub fn judge(measured: Estimate, control: Estimate, budget: f64) -> (State, Option<String>) {
    let (stray, room) = (control.stray(), budget - 1.0);
    if measured.high + stray <= budget {
        (State::Held, None)
    } else if measured.low - stray > budget {
        (State::Broken, None)
    } else if stray > room {
        let (stray, room) = (stray * 100.0, room * 100.0);
        let why = format!("two twins differ by up to {stray:.1} %, and the budget is {room:.1} %");
        (State::Inconclusive, Some(why))
    } else if measured.high <= budget {
        (State::Held, None)
    } else if measured.low > budget {
        (State::Broken, None)
    } else {
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        let (low, high) = (percent(measured.low), percent(measured.high));
        let why = format!(
            "it costs between {low:+.1} % and {high:+.1} %, and the budget of {:.1} % lies between",
            percent(budget)
        );
        (State::Inconclusive, Some(why))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn estimate(low: f64, high: f64) -> Estimate {
        Estimate { value: f64::midpoint(low, high), low, high }
    }

    #[test]
    fn the_twins_decide_what_can_be_told() {
        let quiet = estimate(0.99, 1.01);
        for (measured, control, budget, state) in [
            (estimate(1.05, 1.10), quiet, 1.25, State::Held),
            (estimate(1.30, 1.40), quiet, 1.25, State::Broken),
            (estimate(1.20, 1.30), quiet, 1.25, State::Inconclusive),
            // Within the budget by less than the twins stray: the interval decides.
            (estimate(1.20, 1.245), quiet, 1.25, State::Held),
            // Twins that differ by 8 % can't tell what 5 % are,
            (estimate(1.00, 1.04), estimate(0.95, 1.08), 1.05, State::Inconclusive),
            // unless it is clear all the same.
            (estimate(1.50, 1.60), estimate(0.95, 1.08), 1.05, State::Broken),
            (estimate(0.80, 0.90), estimate(0.95, 1.08), 1.05, State::Held),
        ] {
            let (found, why) = judge(measured, control, budget);
            assert_eq!(found, state, "{measured:?} {control:?} {budget}");
            assert_eq!(why.is_some(), state == State::Inconclusive);
        }
    }

    proptest! {
        #[test]
        fn what_holds_holds_with_more_budget(low in 0.8_f64..1.5, width in 0.0_f64..0.3, room in 0.0_f64..0.5, more in 0.0_f64..0.5) {
            let (measured, control) = (estimate(low, low + width), estimate(0.98, 1.03));
            let (less, more) = (judge(measured, control, 1.0 + room).0, judge(measured, control, 1.0 + room + more).0);
            prop_assert!(less != State::Held || more == State::Held);
        }

        #[test]
        fn noise_never_makes_anything_clear(low in 0.8_f64..1.5, width in 0.0_f64..0.3, noise in 0.0_f64..0.2, more in 0.0_f64..0.2) {
            let measured = estimate(low, low + width);
            let at = |noise: f64| judge(measured, estimate(1.0 - noise, 1.0 + noise), 1.1).0;
            if at(noise) == State::Inconclusive {
                prop_assert_eq!(at(noise + more), State::Inconclusive);
            }
        }
    }
}

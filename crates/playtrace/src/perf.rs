//! What tracing costs on a user's own profiles: the same replay in several ways, in turn, and compared in pairs.
//!
//! [`measure`] replays, [`analyse`] compares, [`document`] is what is kept, [`show`] tells it. [`estimate`], [`judge`] and [`route`] are
//! pure: no clock, no network, no files.

pub mod analyse;
pub mod document;
pub mod estimate;
pub mod judge;
pub mod measure;
pub mod route;
pub mod show;

use serde::{Deserialize, Serialize};

use crate::own_runs::Kind;

/// Traced replays are of this profile, not of the measured one: its data is nobody's night.
const SLUG: &str = "playtrace-perf";
/// The runs of measurements.
pub const RUNS: Kind = Kind { name: "perf", slugs: &[SLUG], code: "PT-PERF-003" };

/// The ways in which a profile is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// Against an app without the agent.
    Plain,
    /// Against the app with the agent, without the header.
    Idle,
    /// Traced.
    Traced,
    /// A second one of what the others are compared with (plain, or idle where there is no plain): what it differs by is noise.
    Twin,
}

impl Arm {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Idle => "idle",
            Self::Traced => "traced",
            Self::Twin => "twin",
        }
    }

    /// The ways that are measured.
    pub fn all(with_plain: bool) -> Vec<Self> {
        if with_plain {
            vec![Self::Plain, Self::Idle, Self::Traced, Self::Twin]
        } else {
            vec![Self::Idle, Self::Traced, Self::Twin]
        }
    }

    /// What the others are compared with.
    pub const fn reference(with_plain: bool) -> Self {
        if with_plain { Self::Plain } else { Self::Idle }
    }

    /// The order of a round: each way comes at each place in turn, in both directions, so that what drifts hits all alike.
    pub fn order(arms: &[Self], round: usize) -> Vec<Self> {
        let count = arms.len().max(1);
        let mut order: Vec<Self> =
            arms.iter().cycle().skip(round / 2 % count).take(arms.len()).copied().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_way_comes_at_every_place() {
        for with_plain in [false, true] {
            let arms = Arm::all(with_plain);
            let mut places: BTreeMap<(Arm, usize), usize> = BTreeMap::new();
            for round in 0..2 * arms.len() {
                for (place, arm) in Arm::order(&arms, round).into_iter().enumerate() {
                    *places.entry((arm, place)).or_default() += 1;
                }
            }
            assert_eq!(places.len(), arms.len() * arms.len());
            assert!(places.values().all(|count| *count == 2), "{places:?}");
        }
    }
}

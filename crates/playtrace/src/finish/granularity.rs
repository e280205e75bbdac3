//! How finely the agents of a run recorded, and in which Pythons.

use std::collections::BTreeSet;

use playtrace_ledger::{Granularity, Record, Role, RunLedger};

/// The granularities of a run's agents, the coarsest first; empty where there was no agent.
pub(super) fn of(ledger: &RunLedger) -> Vec<Granularity> {
    let known: BTreeSet<Granularity> = ledger
        .entries()
        .filter_map(|entry| match &entry.record {
            Record::Boot { role: Role::Player | Role::Merger, .. } => None,
            Record::Boot { granularity, .. } => Some(*granularity),
            _ => None,
        })
        .collect();
    let mut sorted: Vec<Granularity> = known.into_iter().collect();
    sorted.sort_by_key(|granularity| match granularity {
        Granularity::Symbol => 0,
        Granularity::Profile => 1,
        Granularity::Steps => 2,
        Granularity::Request => 3,
    });
    sorted
}

/// The Pythons that a run's agents were in, without their patch releases: which lines have code depends on them.
pub(super) fn pythons(ledger: &RunLedger) -> BTreeSet<String> {
    ledger
        .entries()
        .filter_map(|entry| match &entry.record {
            Record::Boot { program, .. } => {
                let version = program.split(", ").find_map(|part| part.strip_prefix("CPython "))?;
                let minor: Vec<&str> = version.split('.').take(2).collect();
                Some(minor.join("."))
            }
            _ => None,
        })
        .collect()
}

/// What is to be said where they differ.
pub(super) fn note(granularities: &[Granularity]) -> Option<String> {
    let [coarsest, _, ..] = granularities else { return None };
    let words: Vec<&str> = granularities.iter().map(|granularity| granularity.as_str()).collect();
    Some(format!(
        "the run's agents recorded with different granularities ({}): {} is what all of them have",
        words.join(", "),
        coarsest.as_str()
    ))
}

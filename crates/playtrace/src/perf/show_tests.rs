use std::collections::BTreeMap;

use super::*;
use crate::perf::document::{Machine, Settings};

fn estimate(value: f64, half: f64) -> Estimate {
    Estimate { value, low: value - half, high: value + half }
}

fn row(kind: Kind, name: &str, traced: f64, idle: Option<f64>) -> Row {
    let mut seconds = BTreeMap::from([(Arm::Idle, 1.25), (Arm::Traced, 1.25 * traced), (Arm::Twin, 1.25)]);
    if idle.is_some() {
        seconds.insert(Arm::Plain, 1.2);
    }
    let idle = idle.map(|idle| estimate(idle, 0.01));
    Row {
        kind,
        name: name.to_owned(),
        requests: 7,
        seconds,
        control: estimate(1.0, 0.01),
        traced: estimate(traced, 0.02),
        idle,
        judged: BTreeMap::new(),
    }
}

fn document(traced: f64, idle: Option<f64>) -> Document {
    let arms = Arm::all(idle.is_some());
    Document {
        format: Document::FORMAT.to_owned(),
        version: Document::VERSION,
        playtrace: "0.1.0".to_owned(),
        measured: "2026-11-29T05:00:00Z".parse().unwrap(),
        machine: Machine { system: "linux x86_64".to_owned(), processors: 2, load: Some([0.5, 1.0]) },
        settings: Settings {
            rounds: 16,
            max_rounds: Some(64),
            precision: Some(0.05),
            confidence: 0.99,
            max_overhead: 1.25,
            max_idle_overhead: 1.05,
            arms,
        },
        state: State::Held,
        profiles: vec![ProfileCost {
            profile: "single_storm".to_owned(),
            state: State::Held,
            reasons: Vec::new(),
            rounds: 16,
            rows: vec![
                row(Kind::Requests, "requests", traced, idle),
                row(Kind::Replay, "replay", traced, idle),
                row(Kind::Endpoint, "GET /runs/{run}/a|b", traced, idle),
            ],
            outliers: vec![Outlier {
                arm: Arm::Traced,
                round: 3,
                step: Some(2),
                name: "GET /runs/{run}/a|b".to_owned(),
                seconds: 3.0,
                usual: 0.5,
            }],
        }],
    }
}

#[test]
fn text_is_for_people() {
    insta::assert_snapshot!(text(&document(1.1, Some(1.0)), Some(&document(1.05, Some(1.0)))));
}

#[test]
fn markdown_is_for_a_jobs_summary() {
    insta::assert_snapshot!(markdown(&document(1.1, None), None));
}

#[test]
fn a_change_is_only_what_lies_clear_of_the_earlier_interval() {
    let (cheap, dear) = (document(1.05, None), document(1.15, None));
    let word = |new: &Document, old: &Document| changes(&new.profiles[0], old)[0].clone();
    assert!(
        word(&dear, &cheap).starts_with("requests, traced: more than 2026-11-29"),
        "{}",
        word(&dear, &cheap)
    );
    assert!(word(&cheap, &dear).contains("less than"));
    assert!(word(&cheap, &cheap).contains("the same as"));
    assert!(word(&cheap, &document(1.05, Some(1.0))).contains("not comparable"));
}

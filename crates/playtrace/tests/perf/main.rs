//! `playtrace perf` against an app whose slowness is known: it sleeps.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod app;

use app::{App, Ended, World};
use serde_json::Value;

fn state(ended: &Ended) -> &str {
    ended.document["profiles"][0]["state"].as_str().unwrap()
}

fn row<'a>(ended: &'a Ended, name: &str) -> &'a Value {
    let rows = ended.document["profiles"][0]["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {rows:#?}"))
}

fn within(estimate: &Value, low: f64, high: f64) {
    let value = estimate["value"].as_f64().unwrap();
    assert!((low..high).contains(&value), "{estimate} is not within {low} and {high}");
}

#[test]
fn what_tracing_costs_is_found_per_endpoint_and_breaks_the_budget() {
    let world = World::new(App { traced_more_ms: 100, ..App::with_agent() });
    let ended = world.perf(&["--max-overhead", "25%", "--markdown", "perf.md"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    playtrace_testkit::schema::check(&ended.document, "perf");
    assert_eq!(state(&ended), "broken");
    // `/costly/7` and `/costly/8` are one endpoint; what is slow when traced is that one alone.
    assert_eq!(row(&ended, "GET /costly/{n}")["requests"], 2);
    within(&row(&ended, "GET /costly/{n}")["traced"], 3.0, 14.0);
    within(&row(&ended, "GET /cheap")["traced"], 0.3, 3.0);
    assert_eq!(row(&ended, "requests")["judged"]["traced"], "broken");
    assert_eq!(row(&ended, "requests")["idle"], Value::Null, "no app without an agent was named");
    let markdown = world.read("perf.md");
    assert!(
        markdown.contains("### session: broken") && markdown.contains("| `GET /costly/{n}` | 2 |"),
        "{markdown}"
    );
    assert_eq!(world.read("artifacts/perf-baseline.json"), ended.out, "what --json prints is what is kept");
}

#[test]
fn an_app_without_the_agent_is_what_the_others_are_compared_with() {
    let world = World::new(App { untraced_more_ms: 100, ..App::with_agent() });
    let plain = world.start(App::default());
    let ended = world.perf(&["--plain-url", &plain, "--max-overhead", "5000%", "--max-idle-overhead", "10%"]);
    assert_eq!((ended.code, state(&ended)), (1, "broken"), "{ended:?}");
    playtrace_testkit::schema::check(&ended.document, "perf");
    within(&row(&ended, "GET /costly/{n}")["idle"], 3.0, 14.0);
    assert_eq!(row(&ended, "requests")["judged"]["traced"], "held");
    assert_eq!(row(&ended, "requests")["judged"]["idle"], "broken");
    let reasons = ended.document["profiles"][0]["reasons"].to_string();
    assert!(reasons.contains("the idle agent: it costs at least"), "{reasons}");
}

#[test]
fn a_budget_that_holds_ends_with_0_and_what_changed_is_told() {
    let world = World::new(App::with_agent());
    let first = world.perf(&["--max-overhead", "1000%"]);
    assert_eq!((first.code, state(&first)), (0, "held"), "{first:?}");
    // The file that is compared with is the one that is written anew.
    let second = world.text(&["--max-overhead", "1000%", "--compare", "artifacts/perf-baseline.json"]);
    assert_eq!(second.code, 0, "{second:?}");
    assert!(second.out.contains("requests, traced: ") && second.out.contains(", was "), "{}", second.out);
    assert!(second.out.contains("what an idle agent costs was not measured"), "{}", second.out);
    assert!(
        second.err.contains("session: warm-up") && second.err.contains("session: round 8 of 8"),
        "{}",
        second.err
    );
}

#[test]
fn what_noise_hides_is_inconclusive() {
    let world = World::new(App { jitter_ms: 12, ..App::with_agent() });
    let ended = world.perf(&["--max-overhead", "0.5%"]);
    assert_eq!((ended.code, state(&ended)), (7, "inconclusive"), "{ended:?}");
    let reasons = ended.document["profiles"][0]["reasons"].to_string();
    assert!(reasons.contains("twins differ by up to"), "{reasons}");
}

#[test]
fn as_long_as_the_twins_differ_it_goes_on() {
    let world = World::new(App { jitter_ms: 12, ..App::with_agent() });
    for (precision, rounds) in [("0.01%", 11), ("10000%", 8)] {
        let ended = world.perf(&["--max-overhead", "1000%", "--precision", precision, "--max-rounds", "11"]);
        assert_eq!(ended.document["profiles"][0]["rounds"], rounds, "{precision}: {ended:?}");
        playtrace_testkit::schema::check(&ended.document, "perf");
        assert_eq!(ended.err.contains("noisy, so round 11 of at most 11"), rounds == 11, "{}", ended.err);
    }
}

#[test]
fn an_app_that_is_said_to_have_no_agent_and_has_one_is_refused() {
    let world = World::new(App::with_agent());
    let other = world.start(App::with_agent());
    let ended = world.text(&["--plain-url", &other]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("PT-PERF-002"), "{}", ended.err);
    assert!(!world.path("artifacts").exists());
}

#[test]
fn a_profile_that_fails_has_no_numbers_and_says_why() {
    let world = World::new(App { broken: true, ..App::with_agent() });
    let ended = world.perf(&[]);
    assert_eq!((ended.code, state(&ended)), (1, "failed"), "{ended:?}");
    playtrace_testkit::schema::check(&ended.document, "perf");
    let profile = &ended.document["profiles"][0];
    assert_eq!(profile["rows"], Value::Array(Vec::new()));
    assert!(profile["reasons"][0].as_str().unwrap().contains("answered 500 instead of 200"), "{profile}");
}

#[test]
fn without_an_agent_nothing_is_measured() {
    let world = World::new(App::default());
    let ended = world.text(&[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("PT-REPLAY-012"), "{}", ended.err);
}

#[test]
fn an_earlier_measurement_that_is_none_is_refused_before_anything_is_sent() {
    let world = World::new(App::with_agent());
    for (name, text, code) in [
        ("cut.json", "{", "PT-MAPS-002"),
        ("other.json", "{\"format\": \"playtrace-night\", \"version\": 1}", "PT-PERF-004"),
        ("later.json", "{\"format\": \"playtrace-perf\", \"version\": 2}", "PT-PERF-004"),
        ("half.json", "{\"format\": \"playtrace-perf\", \"version\": 1}", "PT-PERF-004"),
    ] {
        fs_err::write(world.path(name), text).unwrap();
        let ended = world.text(&["--compare", name]);
        assert_eq!(ended.code, 4, "{name}: {ended:?}");
        assert!(ended.err.contains(code), "{name}: {}", ended.err);
    }
    assert!(!world.path("artifacts").exists());
}

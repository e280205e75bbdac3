//! Data whose source is another one, or not known: labelled wherever it is shown.

use playtrace_covdata::CoverageData;
use playtrace_covdata::data::Ownership;
use playtrace_model::RunToken;
use serde_json::Value;

use super::Place;

fn report(place: &Place) -> Value {
    place.ok(&["report", "alpha", "--data-dir", "coverage", "--source", "app", "--format", "json,html"]);
    let report = place.json("out/reports/alpha.json");
    playtrace_testkit::schema::check(&report, "report");
    report
}

fn reason(report: &Value) -> &str {
    report["reasons"][0].as_str().unwrap()
}

/// Changes the verdict's text.
fn edit(place: &Place, from: &str, to: &str) {
    let path = place.path("coverage/alpha.verdict.json");
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs_err::write(&path, text.replace(from, to)).unwrap();
}

/// What the matrix says of alpha and of the gaps: status, and whether they are certain.
fn matrix(place: &Place) -> (Value, bool) {
    place.ok(&["matrix", "--data-dir", "coverage"]);
    let matrix = place.json("out/matrix.json");
    playtrace_testkit::schema::check(&matrix, "matrix");
    (matrix["profiles"][0]["status"].clone(), matrix["gaps"]["certain"].as_bool().unwrap())
}

#[test]
fn a_changed_source_makes_a_report_stale() {
    let place = Place::measured();
    place.write_verdict("alpha", "complete", &"0".repeat(64));
    place.ok(&["report", "alpha", "--data-dir", "coverage", "--source", "app", "--format", "json"]);
    let report = place.json("out/reports/alpha.json");
    assert_eq!(report["status"], "stale");
    assert_eq!(report["summary"]["lines_covered"], 0);
    assert!(report["reasons"][0].as_str().unwrap().starts_with("pkg/core.py: "));
}

#[test]
fn the_right_source_needs_no_label() {
    let place = Place::measured();
    place.write_verdict("alpha", "complete", &place.core_hash());
    let report = report(&place);
    assert_eq!((&report["status"], report["reasons"].as_array().unwrap().len()), (&"complete".into(), 0));
    assert_eq!(matrix(&place), ("complete".into(), true));
}

#[test]
fn a_file_that_changed_between_two_processes_of_a_run_counts_no_line() {
    let place = Place::measured();
    // What a merge of two contents writes: the source at hand is one of them.
    let hash = place.core_hash();
    place.write_verdict("alpha", "stale", &hash);
    edit(&place, &format!("\"pkg/core.py\": \"{hash}\""), "");
    edit(&place, "\"sources\"", "\"mixed_sources\": [\"pkg/core.py\"], \"sources\"");
    let report = report(&place);
    assert_eq!((&report["status"], &report["summary"]["lines_covered"]), (&"stale".into(), &0.into()));
    assert_eq!(report["summary"]["stale_files"], 1);
    assert!(
        reason(&report).starts_with("pkg/core.py: the run's processes loaded different contents"),
        "{report}"
    );
    assert_eq!(matrix(&place), ("stale".into(), false));
}

#[test]
fn a_file_that_vanished_makes_a_report_stale() {
    let place = Place::measured();
    place.write_verdict("alpha", "complete", &place.core_hash());
    fs_err::remove_file(place.app().join("pkg/core.py")).unwrap();
    let stale = report(&place);
    assert_eq!(stale["status"], "stale");
    assert!(reason(&stale).starts_with("pkg/core.py: measured, and not in the source at hand"), "{stale}");
    assert_eq!(matrix(&place), ("stale".into(), false));
    // A file that nobody wants in reports is no loss.
    let config = "[run]\nrelative_files = True\nomit = measure.py\n[report]\nomit = pkg/core.py\n";
    fs_err::write(place.app().join("coverage.profile-playback.ini"), config).unwrap();
    assert_eq!(report(&place)["status"], "complete");
}

#[test]
fn a_file_whose_hash_is_missing_is_labelled() {
    let place = Place::measured();
    let hash = place.core_hash();
    place.write_verdict("alpha", "complete", &hash);
    edit(&place, &format!("\"pkg/core.py\": \"{hash}\""), "");
    let report = report(&place);
    assert_eq!((&report["status"], &report["summary"]["unverified_files"]), (&"partial".into(), &1.into()));
    assert!(reason(&report).starts_with("pkg/core.py: the ledger has no hash of the source"), "{report}");
    assert_ne!(report["summary"]["lines_covered"], 0, "they count");
    let html = fs_err::read_to_string(place.path("out/reports/alpha/index.html")).unwrap();
    assert!(html.contains(">unverified</span>"));
    assert_eq!(matrix(&place), ("partial".into(), false));
}

#[test]
fn data_without_any_ledger_is_labelled() {
    let place = Place::measured();
    let report = report(&place);
    assert_eq!((&report["status"], &report["summary"]["unverified_files"]), (&"partial".into(), &1.into()));
    assert!(
        reason(&report).contains("nor whether the source at hand is the one that was measured"),
        "{report}"
    );
    assert_eq!(matrix(&place), ("partial".into(), false));
}

#[test]
fn a_verdict_of_another_run_vouches_for_nothing() {
    for (owner, says) in [
        (Some("r2"), "it holds run r2, the verdict beside it is of run r1"),
        (None, "it does not say which run it is of"),
        (Some("r1"), "it was written after the verdict of run r1"),
    ] {
        let place = Place::measured();
        place.write_verdict("alpha", "complete", &place.core_hash());
        edit(&place, "\"requests\"", &format!("\"data_sha256\": \"{}\", \"requests\"", "0".repeat(64)));
        let path = place.path("coverage/alpha.coverage");
        let owner = Ownership { slug: None, run: owner.map(|run| RunToken::parse(run).unwrap()) };
        CoverageData::read(&path).unwrap().write(&path, &owner).unwrap();
        let report = report(&place);
        assert_eq!((&report["status"], &report["run"]), (&"partial".into(), &Value::Null), "{report}");
        assert!(report["reasons"][1].as_str().unwrap().contains(says), "{report}");
    }
}

#[test]
fn reports_of_different_versions_leave_no_gap_certain() {
    let place = Place::measured();
    let hash = place.core_hash();
    place.write_verdict("alpha", "complete", &hash);
    place.write_verdict("beta", "complete", &hash);
    place.ok(&["report", "alpha", "--data-dir", "coverage", "--source", "app", "--format", "json"]);
    // The source changes, and the data with it, before the other report is made.
    let path = place.app().join("pkg/core.py");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, format!("# moved\n{text}")).unwrap();
    place.write_verdict("beta", "complete", &place.core_hash());
    place.ok(&["report", "beta", "--data-dir", "coverage", "--source", "app", "--format", "json"]);
    place.ok(&["matrix", "--data-dir", "coverage"]);
    let matrix = place.json("out/matrix.json");
    assert_eq!(matrix["gaps"]["certain"], false);
    let why = matrix["gaps"]["uncertain_because"].to_string();
    assert!(why.contains("different versions of pkg/core.py"), "{why}");
}

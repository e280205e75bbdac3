//! Inventories: stored, checked, compared; the cache behind them; the Python that they are for.

use serde_json::Value;

use super::Place;

const STORED: &str = "out/coverage-symbols.json";

fn stored() -> Place {
    let place = Place::measured();
    place.ok(&["index", "build", "app", "--output", STORED]);
    place
}

#[test]
fn a_stored_inventory_is_checked_against_the_tree() {
    let place = stored();
    assert!(place.ok(&["index", "check", STORED, "app"]).contains("as the tree"));
    let core = place.app().join("pkg/core.py");
    let text = fs_err::read_to_string(&core).unwrap();
    fs_err::write(&core, format!("{text}\n\ndef fresh():\n    return 1\n")).unwrap();
    let output = place.playtrace(&["index", "check", STORED, "app"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("added    pkg/core.py::fresh\n"), "{said}");

    // A comment is no symbol, but the file isn't what was indexed.
    fs_err::write(&core, format!("{text}# a comment\n")).unwrap();
    let output = place.playtrace(&["index", "check", STORED, "app"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("pkg/core.py: not as it was indexed"));

    fs_err::write(&core, text).unwrap();
    place.ok(&["index", "check", STORED, "app"]);
}

#[test]
fn two_inventories_are_compared() {
    let place = stored();
    fs_err::rename(place.app().join("pkg/lonely.py"), place.app().join("pkg/moved.py")).unwrap();
    place.ok(&["index", "build", "app", "--output", "out/later.json"]);
    let text = place.ok(&["index", "diff", STORED, "out/later.json"]);
    assert!(text.contains("moved    pkg/lonely.py::lonely -> pkg/moved.py::lonely\n"), "{text}");
    let json = place.ok(&["index", "diff", STORED, "out/later.json", "--json"]);
    let difference: Value = serde_json::from_str(&json).unwrap();
    playtrace_testkit::schema::check(&difference, "inventory-diff");
    assert_eq!(difference["added"].as_array().unwrap().len(), 0, "{difference}");
    assert_eq!(difference["moved"].as_array().unwrap().len(), 2, "the module and its function: {difference}");
    assert_eq!(place.ok(&["index", "diff", STORED, STORED]), "no difference\n");
}

#[test]
fn what_the_cache_knows_is_what_an_analysis_finds() {
    let place = stored();
    let cold = place.ok(&["index", "build", "app", "--no-cache"]);
    assert_eq!(fs_err::read_to_string(place.path(STORED)).unwrap(), cold);
    let cached: Vec<_> =
        fs_err::read_dir(place.path("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(cached.len(), 1, "{cached:?}");
    let before = fs_err::read(&cached[0]).unwrap();
    assert_eq!(place.ok(&["index", "build", "app"]), cold, "warm");
    assert_eq!(fs_err::read(&cached[0]).unwrap(), before);
    let inspected =
        |more: &[&str]| place.ok(&[&["inspect", "app", "--source", "app", "--json"], more].concat());
    assert_eq!(inspected(&[]), inspected(&["--no-cache"]));

    // Damaged, it counts as none; the results are the same, and it is made again.
    fs_err::write(&cached[0], &before[..before.len() - 1]).unwrap();
    assert_eq!(place.ok(&["index", "build", "app"]), cold);
    assert_eq!(fs_err::read(&cached[0]).unwrap(), before);
    // The lines of `import` below differ between sets of rules, whose results are kept apart.
    place.ok(&["index", "build", "app", "--python-version", "3.13"]);
    assert_eq!(fs_err::read_dir(place.path("cache")).unwrap().count(), 2);
}

#[test]
fn a_report_says_when_nobody_knows_the_python() {
    let place = Place::measured();
    let report = ["report", "--data-dir", "coverage", "--source", "app"];
    let output = place.command(&report).env_remove("PLAYTRACE_PYTHON_VERSION").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("PT-MAPS-006") && said.contains("--python-version"), "{said}");

    // A run's ledger says it, by way of the verdict.
    for slug in ["alpha", "beta"] {
        place.write_verdict(slug, "complete", &"0".repeat(64));
        let path = place.path(&format!("coverage/{slug}.verdict.json"));
        let text = fs_err::read_to_string(&path).unwrap().replacen('{', "{\"pythons\": [\"3.12\"], ", 1);
        fs_err::write(&path, text).unwrap();
    }
    let output = place.command(&report).env_remove("PLAYTRACE_PYTHON_VERSION").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(place.path("out/reports/alpha.json").is_file(), "{said}");
}

#[test]
fn a_file_that_can_t_be_read_is_listed_and_stops_nothing() {
    let place = Place::measured();
    std::os::unix::fs::symlink("nowhere", place.app().join("pkg/dangling.py")).unwrap();
    let said = place.ok(&["index", "build", "app", "--output", STORED]);
    let unparsed = &place.json(STORED)["unparsed"];
    assert_eq!(unparsed.as_array().unwrap().len(), 1, "{unparsed} {said}");
    assert!(unparsed[0]["reason"].as_str().unwrap().starts_with("can't read "), "{unparsed}");
    place.ok(&["index", "check", STORED, "app"]);
}

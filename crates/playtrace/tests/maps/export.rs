//! `export`, where data has a verdict, and what it writes of our own making. That the reports are coverage.py's is shown by
//! `tests/test_export.py`.

use super::Place;

fn export<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["export", "coverage/alpha.coverage", "--source", "app"], more].concat()
}

#[test]
fn compact_json_keeps_to_its_schema() {
    let place = Place::measured();
    for more in [&["--show-contexts"][..], &[]] {
        place.ok(&export(&[&["--format", "json", "--compact", "-o", "new/compact.json"], more].concat()));
        let document = place.json("new/compact.json");
        playtrace_testkit::schema::check(&document, "coverage");
        assert_eq!(document["contexts"].is_array(), !more.is_empty());
    }
    // An earlier report is replaced, and nothing else is left.
    assert_eq!(fs_err::read_dir(place.path("new")).unwrap().count(), 1);
}

#[test]
fn contexts_choose_lines() {
    let place = Place::measured();
    let missing = |more: &[&str]| place.ok(&export(&[&["-m"], more].concat()));
    let (all, import) = (missing(&[]), missing(&["--contexts", "^import$"]));
    assert!(all != import && all.contains("pkg/core.py") && import.contains("pkg/core.py"), "{all}{import}");
    assert_eq!(all, missing(&["--contexts", "^import$,^profile:alpha"]));
}

#[test]
fn a_source_that_is_not_the_measured_one_is_refused_or_left_out() {
    let place = Place::measured();
    place.write_verdict("alpha", "complete", &place.core_hash());
    place.ok(&export(&[]));
    place.write_verdict("alpha", "complete", &"0".repeat(64));
    let refused = place.playtrace(&export(&["--format", "xml"]));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("PT-EXPORT-004") && said.contains("pkg/core.py"), "{said}");
    assert!(!place.path("coverage.xml").exists());
    let without = place.ok(&export(&["--ignore-errors"]));
    assert!(!without.contains("core.py") && without.contains("pkg/__init__.py"), "{without}");
}

#[test]
fn a_verdict_that_is_not_complete_is_said() {
    let place = Place::measured();
    place.write_verdict("alpha", "partial", &place.core_hash());
    let output = place.playtrace(&export(&[]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("the verdict is partial"), "{said}");
}

#[test]
fn options_that_say_nothing_are_refused() {
    let place = Place::measured();
    fs_err::write(place.path("sort.ini"), "[report]\nsort = size\n").unwrap();
    fs_err::write(place.path("format.ini"), "[report]\nformat = pdf\n").unwrap();
    fs_err::write(place.path("under.ini"), "[report]\nfail_under = 120\n").unwrap();
    for (more, code, says) in [
        (&["--config", "sort.ini"][..], 4, "PT-EXPORT-006"),
        (&["--config", "format.ini"], 4, "PT-EXPORT-006"),
        (&["--config", "under.ini"], 4, "PT-EXPORT-006"),
        (&["--compact"], 2, "PT-EXPORT-006"),
        (&["--format", "html", "-o", "-"], 2, "PT-EXPORT-007"),
        (&["--sort", "size"], 2, "--sort"),
        (&["--contexts", "("], 4, "PT-SOURCE-004"),
        (&["--omit", "*"], 4, "PT-EXPORT-001"),
    ] {
        let output = place.playtrace(&export(more));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
        assert!(said.contains(says), "{more:?}: {said}");
    }
    let gone = place.playtrace(&["export", "coverage/nobody.coverage", "--source", "app"]);
    assert_eq!(gone.status.code(), Some(4), "{}", String::from_utf8_lossy(&gone.stderr));
}

#[test]
fn options_that_nobody_knows_are_said() {
    let place = Place::measured();
    fs_err::write(place.path("slip.ini"), "[report]\nexclude_als = raise\n").unwrap();
    let commands = [
        export(&["--config", "slip.ini"]),
        vec!["inspect", "app/pkg/core.py", "--source", "app", "--config", "slip.ini"],
    ];
    for command in commands {
        let output = place.playtrace(&command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("slip.ini:2: [report] exclude_als is ignored"), "{said}");
    }
}

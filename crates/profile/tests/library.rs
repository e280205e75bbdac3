//! The folder of profiles, and everything that can be wrong with it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;

use playtrace_model::Slug;
use playtrace_profile::{Library, ProfileError, Recording};

const EVENTS: &str = "{\"stage\":\"request\",\"id\":\"1\",\"method\":\"GET\",\"endpoint\":\"/x\"}\n";

fn write(path: &Path, text: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

fn library() -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    for slug in ["legacy-palouse", "eu-heuristic-multiple", ".hidden", "a b"] {
        write(&dir.path().join(slug).join("capture/events.jsonl"), EVENTS);
    }
    write(&dir.path().join("_runs/token.json"), "{}");
    write(&dir.path().join("no-capture/readme"), "");
    write(&dir.path().join("afile"), "");
    let library = Library::new(dir.path());
    (dir, library)
}

/// A message with the folder's temporary name taken out.
fn message(error: &ProfileError, dir: &tempfile::TempDir) -> String {
    format!("{}: {error}", error.code()).replace(&dir.path().display().to_string(), "ROOT")
}

#[test]
fn only_folders_with_a_recording_are_profiles() {
    let (_dir, library) = library();
    let slugs: Vec<String> = library.slugs().unwrap().into_iter().map(String::from).collect();
    assert_eq!(slugs, ["eu-heuristic-multiple", "legacy-palouse"]);
    assert!(!library.has(&Slug::parse("no-capture").unwrap()));
}

#[test]
fn an_unknown_profile_is_named_with_its_neighbour() {
    let (dir, library) = library();
    insta::assert_snapshot!(
        message(&library.open_named("legacy-paluse").unwrap_err(), &dir),
        @"PT-PROFILE-002: there is no profile legacy-paluse in ROOT (looked for legacy-paluse/capture/events.jsonl); did you mean legacy-palouse?"
    );
    insta::assert_snapshot!(
        message(&library.open_named("afile").unwrap_err(), &dir),
        @"PT-PROFILE-002: there is no profile afile in ROOT (looked for afile/capture/events.jsonl)"
    );
    insta::assert_snapshot!(
        message(&library.open_named("../../etc").unwrap_err(), &dir),
        @r#"PT-PROFILE-001: "../../etc" can't name a profile: '.' can't stand at position 1 of a profile's slug; use letters, digits, '-', '_' and '.', the first one a letter, a digit or '_'"#
    );
}

#[test]
fn a_broken_line_is_named() {
    let (dir, library) = library();
    let events = dir.path().join("legacy-palouse/capture/events.jsonl");
    fs_err::write(&events, format!("{EVENTS}\n{{\"stage\":\"request\",\"id\":")).unwrap();
    insta::assert_snapshot!(
        message(&library.open_named("legacy-palouse").unwrap_err(), &dir),
        @"PT-PROFILE-004: ROOT/legacy-palouse/capture/events.jsonl:3: not a recorded event: EOF while parsing a value at line 1 column 24; repair or delete the line, or record the session again"
    );
}

#[test]
fn contradictions_are_named() {
    let twice = format!("{EVENTS}{EVENTS}");
    let error = Recording::parse(&twice, "events.jsonl".as_ref()).unwrap_err();
    assert_eq!(error.code(), "PT-PROFILE-005");
    assert!(error.to_string().starts_with("events.jsonl:2: request 1 is in line 1 already"), "{error}");
    let answer = "{\"stage\":\"response\",\"id\":\"1\",\"status\":200}\n";
    let error = Recording::parse(&format!("{EVENTS}{answer}{answer}"), "events.jsonl".as_ref()).unwrap_err();
    assert!(
        error.to_string().starts_with("events.jsonl:3: request 1 was answered in line 2 already"),
        "{error}"
    );
    let error = Recording::parse(answer, "events.jsonl".as_ref()).unwrap_err();
    assert_eq!(error.code(), "PT-PROFILE-006");
}

#[test]
fn seeds_are_found_by_kind() {
    let (dir, library) = library();
    let seed = dir.path().join("legacy-palouse/capture/seed");
    for file in [
        "uploads/sbs/b.tif",
        "uploads/sbs/a.tif",
        "uploads/sbs/.DS_Store",
        "uploads/stray",
        "config/cfg.toml",
    ] {
        write(&seed.join(file), "x");
    }
    write(&dir.path().join("legacy-palouse/run/wepp/x"), "");
    let profile = library.open_named("legacy-palouse").unwrap();
    assert_eq!(
        profile.seeds.uploads("sbs"),
        [seed.join("uploads/sbs/a.tif"), seed.join("uploads/sbs/b.tif")]
    );
    assert_eq!(profile.seeds.uploads("cli"), [] as [&Path; 0]);
    assert_eq!(profile.seeds.kinds().collect::<Vec<_>>(), ["sbs"]);
    assert_eq!(profile.seeds.config(), [seed.join("config/cfg.toml")]);
    assert_eq!(profile.snapshot, Some(dir.path().join("legacy-palouse/run")));
    assert_eq!(library.open_named("eu-heuristic-multiple").unwrap().snapshot, None);
}

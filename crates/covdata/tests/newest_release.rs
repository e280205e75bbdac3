//! What the newest coverage.py answers (`oracle/newest.py` asks it) where releases differ: configuration and `[paths]`.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use playtrace_covdata::CoverageConfig;
use playtrace_covdata::config::Release;
use playtrace_covdata::merge::{PathMap, remapped};
use serde_json::{Value, json};
use tempfile::TempDir;

fn parts() -> (Value, Value, Release) {
    let cases = serde_json::from_str(include_str!("golden/newest_cases.json")).unwrap();
    let answers: Value = serde_json::from_str(include_str!("golden/newest_answers.json")).unwrap();
    let release = answers["version"].as_str().unwrap().parse().unwrap();
    (cases, answers, release)
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn settings_are_those_of_the_newest_release() {
    let (cases, answers, release) = parts();
    let dir = TempDir::new().unwrap();
    let mut compared = 0;
    for (case, theirs) in
        cases["config"].as_array().unwrap().iter().zip(answers["config"].as_array().unwrap())
    {
        let name = case["name"].as_str().unwrap();
        let path = dir.path().join(name);
        fs_err::write(&path, case["text"].as_str().unwrap()).unwrap();
        let Ok(config) = CoverageConfig::read_for(&path, release, &|_| None) else {
            assert!(theirs.is_null(), "{name}: coverage.py takes it");
            continue;
        };
        let ours = json!({
            "branch": config.branch,
            "context": config.context,
            "run_omit": config.run_omit,
            "report_omit": config.report_omit,
            "exclude": config.exclude,
            "partial": config.partial,
            "partial_always": config.partial_always,
            "paths": config.paths,
            "unknown": config.notices.iter().filter(|notice| notice.is_unknown).count(),
        });
        for (key, ours) in ours.as_object().unwrap() {
            assert_eq!(ours, &theirs[key], "{name}: {key}");
        }
        compared += 1;
    }
    assert!(compared > 7);
}

#[test]
fn the_defaults_without_a_file_are_the_releases() {
    let (_, answers, release) = parts();
    let dir = TempDir::new().unwrap();
    let config = CoverageConfig::discover(dir.path(), None, release, &|_| None).unwrap();
    // The first case leaves all of them as they are.
    assert_eq!(json!(config.exclude), answers["config"][0]["exclude"]);
    assert_eq!(json!(config.partial_always), answers["config"][0]["partial_always"]);
    let pinned = CoverageConfig::discover(dir.path(), None, Release::PINNED, &|_| None).unwrap();
    assert_eq!(pinned, CoverageConfig::default());
    assert_ne!(pinned.exclude, config.exclude);
}

#[test]
fn a_byte_order_mark_is_said_where_the_release_refuses_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("marked.ini");
    fs_err::write(&path, "\u{feff}[run]\nomit = a\n").unwrap();
    for (release, said) in [("7.17.3", 1), ("7.17.4", 0)] {
        let config = CoverageConfig::read_for(&path, release.parse().unwrap(), &|_| None).unwrap();
        assert_eq!(
            (config.run_omit.as_slice(), config.notices.len()),
            (&["a".to_owned()][..], said),
            "{release}"
        );
    }
}

#[test]
fn paths_are_renamed_as_the_newest_release_does() {
    let (cases, answers, release) = parts();
    let mut refused = 0;
    for (case, theirs) in cases["paths"].as_array().unwrap().iter().zip(answers["paths"].as_array().unwrap())
    {
        let dir = TempDir::new().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for file in list(&case["files"]) {
            fs_err::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs_err::write(root.join(file), "").unwrap();
        }
        let lists: Vec<Vec<String>> = serde_json::from_value(case["lists"].clone()).unwrap();
        let relative = case["relative"].as_bool().unwrap();
        let Ok(map) = PathMap::new(lists.iter().map(Vec::as_slice), relative, &root, release) else {
            assert!(theirs.is_null(), "{case}: coverage.py takes it");
            refused += 1;
            continue;
        };
        let here = format!("{}/", root.display());
        let ours = remapped(&map, &list(&case["paths"]));
        let ours: Vec<&str> = ours.iter().map(|path| path.strip_prefix(&here).unwrap_or(path)).collect();
        assert_eq!(&json!(ours), theirs, "{case}");
    }
    assert_eq!(refused, 3);
}

#[test]
fn older_releases_rename_all_that_reads_the_same() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for file in ["src/w/a.py", "src/src/a.py"] {
        fs_err::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs_err::write(root.join(file), "").unwrap();
    }
    for (release, expected) in [("7.15.4", "src/src/a.py"), ("7.16.0", "src/w/a.py")] {
        let map =
            PathMap::new([&["src".to_owned(), "w".to_owned()][..]], true, &root, release.parse().unwrap())
                .unwrap();
        assert_eq!(remapped(&map, &["w/w/a.py"]), [expected], "{release}");
    }
}

#[test]
fn newer_releases_give_names_the_separators_of_this_system() {
    for (release, expected) in [("7.15.4", "c:\\w\\a.py"), ("7.16.0", "c:/w/a.py")] {
        let map = PathMap::new([], false, "/".as_ref(), release.parse().unwrap()).unwrap();
        assert_eq!(remapped(&map, &["c:\\w\\a.py"]), [expected], "{release}");
    }
}

#[test]
fn a_section_that_is_no_table_is_refused() {
    let dir = TempDir::new().unwrap();
    let read = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        CoverageConfig::read_for(&path, "7.17.5".parse().unwrap(), &|_| None)
    };
    for text in ["\nreport = 1\n", "\n[[report]]\nprecision = 2\n", "\n[tool.coverage]\npaths = ['x']\n"] {
        let error = read("x.toml", text).unwrap_err().to_string();
        assert!(error.contains("is no table of options") && !error.contains("x.toml:1:"), "{error}");
    }
    assert!(read("x.toml", "other = 1\n").is_ok());
    assert_eq!(read("x.ini", "[report]\nprecision = 1_0\n").unwrap().reporting.precision, 10);
}

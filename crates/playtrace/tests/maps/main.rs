//! `index`, `report`, `matrix` and `inspect`, run as a person runs them, on data that coverage.py wrote.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod export;
mod identity;
mod inventory;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The app that is measured: an import that runs a decorator, a caller, code that nobody reaches, a stub, exclusions.
const CORE: &str = r#""""Docstring."""
import math

REGISTRY = {}


def register(function):
    REGISTRY[function.__name__] = function
    return function


@register
def area(r):
    return (
        math.pi
        * r ** 2
    )


def unused(x):
    if x:
        return 1
    return 2


class Shape:
    sides = 0

    @property
    def name(self):
        return "<shape> & co"

    def stub(self): ...

    def debug(self):  # pragma: no cover
        return 1
"#;

/// Measures two profiles, import code apart, as the agent does.
const MEASURE: &str = r#"
import sqlite3
import sys
import coverage
data_dir = sys.argv[1]
sys.path.insert(0, ".")
for slug in ("alpha", "beta"):
    measured = coverage.Coverage(data_file=f"{data_dir}/{slug}.coverage", config_file="coverage.profile-playback.ini")
    measured.start()
    measured.switch_context("import")
    from pkg import core
    measured.switch_context(f"profile:{slug}:request-1")
    core.area(1)
    if slug == "beta":
        core.Shape().name
        core.unused(1)
    measured.stop()
    measured.save()
    measured.get_data().close()
    with sqlite3.connect(f"{data_dir}/{slug}.coverage") as db:
        # As a merge says whose data it is.
        db.execute("insert into meta values ('playtrace_run', 'r1')")
    db.close()
"#;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        fs_err::create_dir_all(place.app().join("pkg")).unwrap();
        fs_err::create_dir(place.path("coverage")).unwrap();
        for (name, text) in [
            ("pkg/__init__.py", ""),
            ("pkg/core.py", CORE),
            ("pkg/lonely.py", "def lonely():\n    return 1\n"),
            ("coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit = measure.py\n"),
            ("measure.py", MEASURE),
        ] {
            fs_err::write(place.app().join(name), text).unwrap();
        }
        place
    }

    /// A place with the data of both profiles.
    fn measured() -> Self {
        let place = Self::new();
        let output = Command::new(python())
            .args(["measure.py", "../coverage"])
            .current_dir(place.app())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn app(&self) -> PathBuf {
        self.path("app")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playtrace"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("PROFILE_COVERAGE_CONFIG")
            .env_remove("PROFILE_COVERAGE_ROOT")
            .env_remove("PROFILE_COVERAGE_DIR")
            .env_remove("PROFILE_COVERAGE_CONTEXT_PREFIX")
            .env("PLAYTRACE_PYTHON_VERSION", "3.12")
            .env("PLAYTRACE_CACHE_DIR", self.path("cache"));
        command
    }

    fn playtrace(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that has to succeed; gives its stdout.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.playtrace(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn report(&self) -> String {
        self.ok(&["report", "--data-dir", "coverage", "--source", "app"])
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs_err::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    fn write_verdict(&self, slug: &str, status: &str, hash: &str) {
        let text = format!(
            r#"{{"format": "playtrace-verdict", "version": 1, "profile": "{slug}", "run": "r1", "status": "{status}",
                "reasons": [], "requests": 4, "jobs": 1, "merged_at": "2026-01-02T03:04:05Z",
                "sources": {{"pkg/core.py": "{hash}"}}}}"#
        );
        fs_err::write(self.path(&format!("coverage/{slug}.verdict.json")), text).unwrap();
    }

    fn core_hash(&self) -> String {
        let inventory: Value = serde_json::from_str(&self.ok(&["index", "build", "app"])).unwrap();
        let core = inventory["files"].as_array().unwrap().iter().find(|file| file["path"] == "pkg/core.py");
        core.unwrap()["sha256"].as_str().unwrap().to_owned()
    }
}

fn python() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var_os("PLAYTRACE_TEST_PYTHON").map_or(beside, PathBuf::from);
    assert!(
        python.is_file(),
        "{} is not there: `make setup` makes it, or PLAYTRACE_TEST_PYTHON names a Python with coverage.py",
        python.display()
    );
    python
}

fn lines(value: &Value) -> BTreeSet<u64> {
    value.as_array().unwrap().iter().map(|line| line.as_u64().unwrap()).collect()
}

#[test]
fn a_report_has_coverage_py_s_lines_but_for_imports() {
    let place = Place::measured();
    place.report();
    for slug in ["alpha", "beta"] {
        let output = Command::new(python())
            .args([
                "-m",
                "coverage",
                "json",
                "--rcfile",
                "coverage.profile-playback.ini",
                "-o",
                "../theirs.json",
            ])
            .arg(format!("--contexts=profile:{slug}"))
            .arg(format!("--data-file=../coverage/{slug}.coverage"))
            .current_dir(place.app())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = &place.json("theirs.json")["files"]["pkg/core.py"];
        let report = place.json(&format!("out/reports/{slug}.json"));
        let ours = &report["files"][1];
        assert_eq!(ours["path"], "pkg/core.py");
        assert_eq!(lines(&ours["executed_lines"]), lines(&theirs["executed_lines"]), "{slug}");
        assert_eq!(lines(&ours["excluded_lines"]), lines(&theirs["excluded_lines"]), "{slug}");
        let not_executed = &lines(&ours["missing_lines"]) | &lines(&ours["import_lines"]);
        assert_eq!(
            not_executed,
            lines(&theirs["missing_lines"]),
            "{slug}: for coverage.py, import code is missing"
        );
        assert!(!lines(&ours["executed_lines"]).is_empty() && !lines(&ours["missing_lines"]).is_empty());
    }
}

#[test]
fn the_whole_way_from_data_to_gaps() {
    let place = Place::measured();
    let hash = place.core_hash();
    place.write_verdict("alpha", "complete", &hash);
    place.write_verdict("beta", "complete", &hash);
    place.ok(&["index", "build", "app", "--output", "out/coverage-symbols.json"]);
    let said = place.report();
    assert!(said.contains("profile beta: complete"), "{said}");
    let said = place.ok(&["matrix", "--output-dir", "out", "--timestamp", "2026-01-02T03:04:05Z"]);
    let row: Vec<&str> =
        said.lines().find(|line| line.starts_with("beta")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["beta", "complete", "4", "1", "1", "4", "3", "2"]);
    assert!(said.contains("symbols that no profile reaches: 2\n"), "{said}");
    let gaps = fs_err::read_to_string(place.path("out/gaps.txt")).unwrap();
    assert_eq!(
        gaps,
        "pkg/core.py:7 pkg.core.register (run by an import)\npkg/lonely.py:1 pkg.lonely.lonely\n"
    );
    assert!(fs_err::read_to_string(place.path("out/matrix.md")).unwrap().contains("- `pkg.core.unused`\n"));

    let page = fs_err::read_to_string(place.path("out/reports/beta/files/pkg/core.py.html")).unwrap();
    assert!(page.contains("&lt;shape&gt; &amp; co"), "source is escaped");
    assert!(place.path("out/reports/beta/index.html").is_file());
    let left: Vec<_> = fs_err::read_dir(place.path("out/reports"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 4, "two reports, two page sets, and no leftovers: {left:?}");
}

#[test]
fn every_document_keeps_to_its_schema() {
    let place = Place::measured();
    fs_err::write(place.app().join("pkg/broken.py"), "x = (\n").unwrap();
    place.ok(&["index", "build", "app", "--output", "out/coverage-symbols.json"]);
    place.report();
    place.ok(&["matrix"]);
    let inspected = place.playtrace(&["inspect", "app", "--source", "app", "--json"]);
    assert_eq!(inspected.status.code(), Some(3), "broken.py could not be read");
    fs_err::write(place.path("out/inspect.json"), inspected.stdout).unwrap();
    for (document, schema) in [
        ("out/coverage-symbols.json", "inventory"),
        ("out/reports/alpha.json", "report"),
        ("out/matrix.json", "matrix"),
        ("out/inspect.json", "inspect"),
    ] {
        let document = place.json(document);
        playtrace_testkit::schema::check(&document, schema);
        if schema != "matrix" {
            assert!(!document["unparsed"].as_array().unwrap().is_empty(), "{schema} lists broken.py");
        }
    }
}

#[test]
fn steps_beside_the_data_give_routes() {
    let place = Place::measured();
    let hash = place.core_hash();
    place.write_verdict("alpha", "complete", &hash);
    place.write_verdict("beta", "failed", &hash);
    // `unused` begins on line 20; `area` on its decorator's, 12.
    let steps = r#"{"format": "playtrace-steps", "version": 1, "profile": "beta", "run": "r1", "steps": [
        {"scope": "1", "kind": "request", "step": 1, "what": "GET /area/3", "outcome": "200", "failed": false,
         "functions": {"pkg/core.py": [12]}},
        {"scope": "job:f:j", "kind": "job", "job": "j", "what": "f", "outcome": "failed", "failed": true,
         "functions": {"pkg/core.py": [12, 20]}}]}"#;
    fs_err::write(place.path("coverage/beta.steps.json"), steps).unwrap();
    place.report();
    let said = place.ok(&["matrix", "--data-dir", "coverage"]);
    assert!(
        said.contains("routes: 1\nsymbols that failed steps alone reach: 1\nsteps not traced: alpha\n"),
        "{said}"
    );
    let matrix = place.json("out/matrix.json");
    playtrace_testkit::schema::check(&matrix, "matrix");
    assert_eq!(matrix["routes"]["GET /area/*"]["symbols"], serde_json::json!(["pkg.core.area"]));
    assert_eq!(matrix["symbols"]["pkg.core.unused"]["only_failed_steps"], true);
    assert_eq!(matrix["symbols"]["pkg.core.area"]["only_failed_steps"], Value::Null);

    fs_err::write(place.path("coverage/beta.steps.json"), steps.replace("\"version\": 1", "\"version\": 2"))
        .unwrap();
    let refused = place.playtrace(&["matrix", "--data-dir", "coverage"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("beta.steps.json: version 2"), "{said}");
}

#[test]
fn lines_that_were_not_traced_are_not_called_missing() {
    let place = Place::measured();
    place.write_verdict("alpha", "complete", &place.core_hash());
    let path = place.path("coverage/alpha.verdict.json");
    let verdict = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, verdict.replace("\"requests\"", "\"granularity\": \"symbol\", \"requests\""))
        .unwrap();
    let said = place.ok(&["report", "alpha", "--data-dir", "coverage", "--source", "app"]);
    assert!(said.contains("lines: not traced (symbol granularity)"), "{said}");
    assert!(!said.contains("missing"), "{said}");
    let report = place.json("out/reports/alpha.json");
    playtrace_testkit::schema::check(&report, "report");
    assert_eq!((&report["measured"], &report["summary"]["lines_total"]), (&"functions".into(), &0.into()));
    let files = report["files"].as_array().unwrap();
    assert!(files.iter().all(|file| lines(&file["missing_lines"]).is_empty()), "{files:?}");
    assert!(files.iter().any(|file| file["not_traced_lines"].is_array()), "{files:?}");
    place.ok(&["matrix"]);
    assert!(fs_err::read_to_string(place.path("out/matrix.md")).unwrap().contains("| not traced |"));
}

#[test]
fn two_runs_write_the_same_bytes() {
    let place = Place::measured();
    let run = |out: &str| {
        let when = ["--timestamp", "2026-01-02T03:04:05Z", "--output-dir", out];
        place.ok(&[&["report", "--data-dir", "coverage", "--source", "app"], &when[..]].concat());
        place.ok(&[&["matrix"], &when[..]].concat());
    };
    run("one");
    run("two");
    for name in ["reports/alpha.json", "reports/alpha/index.html", "matrix.json", "matrix.md"] {
        let read = |out: &str| fs_err::read(place.path(out).join(name)).unwrap();
        assert!(read("one") == read("two"), "{name} differs");
    }
}

#[test]
fn bad_input_is_named_and_nothing_is_written() {
    let place = Place::new();
    fs_err::write(
        place.path("coverage/bad.coverage"),
        "this is no database, and long enough to be looked at",
    )
    .unwrap();
    fs_err::write(place.path("bad.json"), "{\n  \"format\": 1,\n").unwrap();
    fs_err::write(place.path("other.json"), r#"{"format": "x"}"#).unwrap();
    fs_err::write(place.path("bad.ini"), "[report]\nexclude_also = (\n").unwrap();
    let at = ["--data-dir", "coverage", "--source", "app"];
    for (arguments, code, says) in [
        ([&["report", "nobody"], &at[..]].concat(), 4, "there is no data of nobody"),
        ([&["report", "../x"], &at[..]].concat(), 4, "PT-MAPS-004"),
        ([&["report", "bad"], &at[..]].concat(), 4, "bad.coverage"),
        ([&["report", "bad", "--config", "bad.ini"], &at[..]].concat(), 4, "\"(\""),
        (vec!["report", "--data-dir", "app", "--source", "app"], 4, "holds no merged data"),
        (vec!["report", "bad", "--data-dir", "coverage", "--source", "nowhere"], 4, "nowhere"),
        (vec!["index", "build", "nowhere"], 4, "nowhere"),
        (vec!["matrix", "bad.json"], 4, "bad.json: "),
        (vec!["matrix", "other.json"], 4, "other.json: "),
        (vec!["matrix", "nowhere.json"], 6, "nowhere.json"),
        (vec!["matrix", "--reports-dir", "app/pkg"], 4, "no reports"),
    ] {
        let output = place.playtrace(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(!place.path("out").exists(), "{arguments:?} wrote something");
    }
}

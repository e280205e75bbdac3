//! Compares our reading of Python sources with coverage.py's and CPython's, over code that we did not write.
//!
//! `tests/oracle/compare.py` does the comparing, under the Python of `PLAYTRACE_TEST_PYTHON` (`make test` sets it) or
//! of the repository's `.venv`; coverage.py has to be installed there.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python() -> PathBuf {
    let python = std::env::var_os("PLAYTRACE_TEST_PYTHON")
        .map_or_else(|| repository().join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.is_file(),
        "{} is not there: `make setup` makes it, or PLAYTRACE_TEST_PYTHON names a Python with coverage.py",
        python.display()
    );
    python
}

/// The example is built with the tests, into the directory beside theirs.
fn inspect() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/inspect");
    assert!(program.is_file(), "{}: build it with `cargo build --example inspect`", program.display());
    program
}

fn compare(names: &[&str]) -> (bool, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let output = Command::new(python())
        .arg(here.join("compare.py"))
        .arg("--inspect")
        .arg(inspect())
        .args(names)
        .current_dir(here)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

fn assert_equal(names: &[&str]) {
    let (equal, said) = compare(names);
    assert!(equal, "{said}");
    for name in names {
        let line = said.lines().find(|line| line.starts_with(&format!("{name}: files "))).unwrap();
        assert!(!line.contains(" statements 0 "), "nothing was compared: {line}");
    }
}

#[test]
fn our_own_hard_cases() {
    assert_equal(&["./cases"]);
}

#[test]
fn the_standard_library() {
    assert_equal(&["json", "email", "http", "asyncio", "collections", "logging", "unittest"]);
}

#[test]
fn what_a_web_app_is_made_of() {
    assert_equal(&["flask", "werkzeug", "jinja2", "rq"]);
}

#[test]
fn the_demo_app() {
    let app = repository().join("demo/app");
    assert!(app.is_dir(), "the demo app is part of the repository");
    assert_equal(&[app.to_str().unwrap()]);
}

#[test]
fn the_comparison_notices_a_difference() {
    let directory = tempfile::tempdir().unwrap();
    let (python, fake) = (python(), directory.path().join("inspect"));
    let script = format!(
        "#!{}\nimport json, sys\nfor path in sys.stdin:\n    print(json.dumps(dict(path=path.strip(), statements=[1], \
         excluded=[], docstrings=[], multiline=[], symbols=[])))\n",
        python.display()
    );
    fs_err::write(&fake, script).unwrap();
    make_executable(&fake);
    fs_err::write(directory.path().join("two.py"), "x = 1\ny = 2\n").unwrap();
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/compare.py"))
        .arg("--inspect")
        .arg(&fake)
        .arg(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("two.py:2: statements: coverage.py only: y = 2"), "{said}");
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

//! Asking the oracle.

use std::path::Path;

use playtrace_testkit::Python;
use serde_json::Value;

/// Asks coverage.py 7.11.3 or CPython, in directory `dir`.
pub(crate) fn ask(question: &str, dir: &Path, input: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/coverage_oracle.py");
    let answer = Python::required().run(&script, dir, &[question], &input.to_string());
    serde_json::from_str(&answer).expect("the oracle prints JSON")
}

//! Values that options can't have: what coverage.py refuses or warns of is refused or said here, with its place and what is allowed.
//!
//! `golden/values.json` is the table: `says` is in our error, `notice` in our notice, `taken` tells why coverage.py takes what
//! we refuse.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use playtrace_covdata::CoverageConfig;
use playtrace_covdata::config::Release;
use serde_json::{Value, json};
use tempfile::TempDir;

fn table() -> Vec<Value> {
    serde_json::from_str(include_str!("golden/values.json")).unwrap()
}

fn texts(of: &Value) -> Vec<&str> {
    of.as_array().map(|texts| texts.iter().map(|text| text.as_str().unwrap()).collect()).unwrap_or_default()
}

/// Compares what we make of each text with an answer of coverage.py, which is null where it refuses.
fn compare(release: Release, answers: &[Value]) {
    let dir = TempDir::new().unwrap();
    let rows = table();
    assert_eq!(rows.len(), answers.len(), "the answers are of another table");
    for (row, theirs) in rows.iter().zip(answers) {
        let name = row["name"].as_str().unwrap();
        let path = dir.path().join(name);
        fs_err::write(&path, row["text"].as_str().unwrap()).unwrap();
        let ours = CoverageConfig::read_for(&path, release, &|_| None);
        let says = texts(&row["says"]);
        assert_eq!(ours.is_err(), !says.is_empty(), "{name}: {ours:?}");
        let is_taken = row.get("taken").is_some();
        assert_eq!(theirs.is_null(), ours.is_err() && !is_taken, "{name}: coverage.py {release}");
        match ours {
            Err(error) => {
                let said = error.to_string();
                assert!(said.starts_with(&format!("{}:2: ", path.display())), "{said}");
                assert!(says.iter().all(|text| said.contains(text)), "{said} lacks some of {says:?}");
            }
            Ok(config) => {
                let notice = texts(&row["notice"]);
                let unknown: Vec<String> = config
                    .notices
                    .iter()
                    .filter(|notice| notice.is_unknown)
                    .map(|notice| {
                        format!("{}:{}: {} {}", notice.path.display(), notice.line, notice.key, notice.why)
                    })
                    .collect();
                assert_eq!(unknown.is_empty(), notice.is_empty(), "{name}: {unknown:?}");
                for said in unknown {
                    assert!(said.starts_with(&format!("{}:2: ", path.display())), "{said}");
                    assert!(notice.iter().all(|text| said.contains(text)), "{said} lacks some of {notice:?}");
                }
            }
        }
    }
}

#[test]
fn values_are_refused_as_7_11_refuses_them() {
    let dir = TempDir::new().unwrap();
    let questions: Vec<Value> = table()
        .iter()
        .map(|row| {
            fs_err::write(dir.path().join(row["name"].as_str().unwrap()), row["text"].as_str().unwrap())
                .unwrap();
            json!({"name": row["name"], "ours": true, "environment": {}})
        })
        .collect();
    let answers = ask("config", dir.path(), &json!(questions));
    compare(Release::PINNED, answers.as_array().unwrap());
}

#[test]
fn values_are_refused_as_the_newest_release_refuses_them() {
    let answers: Value = serde_json::from_str(include_str!("golden/newest_answers.json")).unwrap();
    let release = answers["version"].as_str().unwrap().parse().unwrap();
    compare(release, answers["values"].as_array().unwrap());
}

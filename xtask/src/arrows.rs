//! The rooms' arrows: who may depend on whom. ARCHITECTURE.md draws them; this table is what CI compares.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::{Failure, step};

/// Crate → what it may use of the workspace. Everything may use model; nothing points up.
const ARROWS: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("covdata", &["model"]),
    ("pysource", &["model"]),
    ("profile", &["model"]),
    ("ledger", &["model"]),
    ("tracer", &["model"]),
    ("grant", &["model"]),
    ("analysis", &["model"]),
    ("report", &["model", "analysis"]),
    ("replay", &["model", "profile", "ledger", "grant"]),
    ("agent", &["model", "tracer", "covdata", "ledger", "grant"]),
    (
        "playtrace",
        &["model", "replay", "profile", "report", "covdata", "pysource", "analysis", "ledger", "grant"],
    ),
    // No code: see its manifest.
    ("features", &[]),
    // For tests only: see below.
    ("testkit", &["model"]),
];

/// Crates that a room must not use, because of what it refuses to know.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    ("analysis", &["rusqlite", "ruff_python_parser", "fs-err", "walkdir"]),
    ("tracer", &["pyo3", "rusqlite"]),
    ("ledger", &["rusqlite", "pyo3", "reqwest"]),
    ("grant", &["fs-err", "pyo3", "reqwest"]),
    ("model", &["fs-err", "rusqlite", "pyo3"]),
];

/// Compares the table with `cargo metadata`.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for package in metadata.workspace_packages() {
        let name = room(&package.name);
        if name == "xtask" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!(
                "{name}: a room that the table doesn't know (xtask/src/arrows.rs, ARCHITECTURE.md)"
            ));
            continue;
        };
        seen.insert(name.to_owned());
        let forbidden =
            FORBIDDEN.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, names)| names);
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            let used = dependency.name.as_str();
            let carries_code = used.starts_with("playtrace") && room(used) != "features";
            if carries_code && !allowed.contains(&room(used)) {
                wrong.push(format!("{name} -> {}: this arrow is not in the plan", room(used)));
            }
            if forbidden.contains(&used) {
                wrong.push(format!("{name} uses {used}, which it refuses to know"));
            }
        }
    }
    for (name, _) in ARROWS.iter().filter(|(name, _)| !seen.contains(*name)) {
        wrong.push(format!("{name}: in the table, but not in the workspace"));
    }
    if wrong.is_empty() {
        step::say(&format!("arrows: {} rooms as planned", seen.len()));
        return Ok(());
    }
    Err(format!("the arrows between the rooms are not as planned:\n  {}", wrong.join("\n  ")))
}

fn room(package: &str) -> &str {
    package.strip_prefix("playtrace-").unwrap_or(package)
}

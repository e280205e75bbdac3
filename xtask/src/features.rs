//! The check that the program, the wheel and the tests are built from dependencies with the same features: what
//! differs is compiled more than once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::{Failure, step};

/// Name and version → sets of features: one for the target, and one for procedural macros where they differ.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares what the three builds ask for.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let tests = features(root, &["--workspace", "--edges", "normal,build,dev"])?;
    let builds = [
        ("the program", features(root, &["-p", "playtrace", "-p", "xtask", "--edges", "normal,build"])?),
        ("the wheel", features(root, &["-p", "playtrace-agent", "--edges", "normal,build"])?),
    ];
    let mut wrong = Vec::new();
    for (build, asked) in &builds {
        for (package, sets) in asked {
            let known = tests.get(package);
            for set in sets.iter().filter(|set| known.is_none_or(|known| !known.contains(*set))) {
                let known = known.into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
                wrong.push(format!(
                    "{package}: {build} asks for [{set}], the tests for [{}]",
                    known.join("] [")
                ));
            }
        }
    }
    if wrong.is_empty() {
        step::say("features: one set for the program, the wheel and the tests");
        return Ok(());
    }
    Err(format!(
        "some dependencies are compiled more than once; add to crates/features/Cargo.toml what is missing:\n  {}",
        wrong.join("\n  ")
    ))
}

fn features(root: &Path, selection: &[&str]) -> Result<Features, Failure> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{f}"]);
    let listed = step::ask(command.args(selection)).ok_or_else(|| format!("{command:?} failed"))?;
    let mut features = Features::new();
    for line in listed.lines() {
        if let Some((package, set)) = line.split_once('|') {
            let name = package.split(" (").next().unwrap_or(package);
            features.entry(name.to_owned()).or_default().insert(set.trim_end_matches(" (*)").to_owned());
        }
    }
    Ok(features)
}

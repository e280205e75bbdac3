//! Data files: what coverage.py writes we read, what we write it reads, and merging comes to the same.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

#[path = "support/ask.rs"]
mod ask;
mod support;

use std::path::PathBuf;

use ask::ask;
use playtrace_covdata::CoverageData;
use playtrace_covdata::config::Release;
use playtrace_covdata::data::{Ownership, readers_agree};
use playtrace_covdata::merge::{Fate, MergeOptions, PathMap, combinable_files, merge, write_merged};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Shard, described, shard};
use tempfile::TempDir;

/// Has coverage.py write each group of shards into a directory of its own.
fn write(dir: &TempDir, groups: &[Vec<Shard>]) -> Vec<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut paths = Vec::new();
    for (group, shards) in groups.iter().enumerate() {
        fs_err::create_dir(dir.path().join(group.to_string())).unwrap();
        let names: Vec<String> =
            (0..shards.len()).map(|index| format!("{group}/a.coverage.host.{index}.Xabcdefx")).collect();
        files.extend(shards.iter().zip(&names).map(|(shard, name)| shard.json(name)));
        paths.push(names.iter().map(|name| dir.path().join(name)).collect());
    }
    ask("write", dir.path(), &json!(files));
    paths
}

/// Starting Python is what takes the time, so that each case is many.
fn groups() -> impl Strategy<Value = Vec<Vec<Shard>>> {
    let group = prop_oneof![
        proptest::collection::vec(shard(false), 1..7),
        proptest::collection::vec(shard(true), 1..7)
    ];
    proptest::collection::vec(group, 12..13)
}

fn few_cases() -> ProptestConfig {
    ProptestConfig { cases: 2, max_shrink_iters: 20, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn reads_as_coverage_py_does_and_is_read_back(groups in groups()) {
        let dir = TempDir::new().unwrap();
        let paths = write(&dir, &groups).concat();
        let theirs = ask("read", dir.path(), &json!(paths));
        let read: Vec<CoverageData> = paths.iter().map(|path| CoverageData::read(path).unwrap()).collect();
        prop_assert_eq!(&Value::Array(read.iter().map(described).collect()), &theirs);
        for path in &paths {
            prop_assert_eq!(readers_agree(path), cfg!(target_os = "linux").then_some(true));
        }

        for (data, path) in read.iter().zip(&paths) {
            data.write(path, &Ownership::default()).unwrap();
            let again = CoverageData::read(path).unwrap();
            prop_assert_eq!(described(&again), described(data));
        }
        prop_assert_eq!(&ask("read", dir.path(), &json!(paths)), &theirs);
    }

    #[test]
    fn merges_as_coverage_combine_does(groups in groups()) {
        let dir = TempDir::new().unwrap();
        let mut questions = Vec::new();
        for (group, paths) in write(&dir, &groups).iter().enumerate() {
            let outcome = merge(paths, &MergeOptions::default()).unwrap();
            prop_assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
            let ours = dir.path().join(format!("{group}.ours"));
            write_merged(&outcome, &ours, &outcome.ownership(), Fate::Keep).unwrap();
            questions.push(json!({"dir": group.to_string(), "arguments": ["--keep", "--data-file", "a.coverage"]}));
        }
        for ended in ask("combine", dir.path(), &json!(questions)).as_array().unwrap() {
            prop_assert_eq!(&ended["code"], &json!(0), "{}", ended);
        }
        let names = |kind: &str| (0..groups.len()).map(|group| format!("{group}{kind}")).collect::<Vec<_>>();
        let theirs = ask("read", dir.path(), &json!(names("/a.coverage")));
        let ours = ask("read", dir.path(), &json!(names(".ours")));
        for (ours, theirs) in ours.as_array().unwrap().iter().zip(theirs.as_array().unwrap()) {
            let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
            if theirs["rows"] == json!([]) {
                // Of files without rows coverage.py forgets what they were going to hold; we don't.
                ours["arcs"].take();
                theirs["arcs"].take();
            }
            prop_assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn renames_as_coverage_combine_does() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for file in ["src/app/core.py", "src/app/sub/deep.py", "lib/util.py", "app/own.py"] {
        fs_err::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs_err::write(root.join(file), "x = 1\n").unwrap();
    }
    let paths = [
        "/home/ci-1/work/src/app/core.py",
        "/home/ci-22/work/src/app/sub/deep.py",
        "/home/CI-3/Work/src/app/core.py",
        "/opt/build/7/lib/util.py",
        "/opt/build/7/lib/gone.py",
        "C:\\agent\\src\\app\\core.py",
        "/elsewhere/x.py",
        "app/own.py",
        "/deploy/releases/9/app/own.py",
    ];
    let rows: Vec<Value> = (1..).zip(paths).map(|(line, path)| json!(["", path, [line]])).collect();
    // The relative name first: that is the order in which coverage.py learns its rule in time.
    let file = |name: &str, rows: &[Value]| json!({"name": name, "arcs": false, "rows": rows, "touched": [], "tracers": {}});
    let names = ["a.coverage.h.1.Xaaaaaax", "a.coverage.h.2.Xbbbbbbx"];
    ask("write", &root, &json!([file(names[0], &rows[7..8]), file(names[1], &rows)]));
    let inputs: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();

    for relative in [false, true] {
        let result = if relative { "src" } else { "./src" };
        let lists = [
            vec![result.to_owned(), "/home/*/work/src".to_owned(), "*\\agent\\src".to_owned()],
            vec!["lib".to_owned(), "/opt/build/[0-9]/lib/".to_owned()],
        ];
        let rc = format!(
            "[run]\nrelative_files = {relative}\n[paths]\none =\n    {}\ntwo =\n    {}\n",
            lists[0].join("\n    "),
            lists[1].join("\n    "),
        );
        fs_err::write(root.join("rc"), rc).unwrap();
        let arguments = json!(["--keep", "--rcfile", "rc", "--data-file", "a.coverage"]);
        let ended = ask("combine", &root, &json!([{"dir": ".", "arguments": arguments}]));
        assert_eq!(ended[0]["code"], 0, "{ended}");
        let theirs = ask("read", &root, &json!(["a.coverage"]));
        let map = PathMap::new(lists.iter().map(Vec::as_slice), relative, &root, Release::PINNED).unwrap();
        let outcome = merge(&inputs, &MergeOptions { paths: map, ..Default::default() }).unwrap();
        assert_eq!(described(&outcome.data), theirs[0], "relative: {relative}");
        let unmapped: Vec<&str> = outcome.unmapped.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(unmapped, ["/opt/build/7/lib/gone.py"]);
    }
}

#[test]
fn finds_the_files_that_coverage_combine_finds() {
    let dir = TempDir::new().unwrap();
    let here = Shard { arcs: false, rows: vec![(0, 0, vec![(1, 1)])], touched: vec![] };
    let names = ["x.coverage.h.1.Xaaaaaax", "x.coverage.2", "y.coverage.h.1.Xaaaaaax", "x.coveragerc"];
    let files: Vec<Value> = names.iter().map(|name| here.json(name)).collect();
    ask("write", dir.path(), &json!(files));
    for leftover in ["x.coverage.2-journal", "x.coverage.2-wal", "x.coverage.2-shm"] {
        fs_err::write(dir.path().join(leftover), "").unwrap();
    }
    let data_file = dir.path().join("x.coverage");
    let found = combinable_files(&data_file, &[]).unwrap();
    let found: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(found, ["x.coverage.2", "x.coverage.h.1.Xaaaaaax"]);

    let other = dir.path().join("y.coverage.h.1.Xaaaaaax");
    assert_eq!(combinable_files(&data_file, std::slice::from_ref(&other)).unwrap(), [other]);
    assert!(combinable_files(&dir.path().join("z.coverage"), &[]).is_err());
    assert!(combinable_files(&data_file, &[dir.path().join("gone")]).is_err());
}

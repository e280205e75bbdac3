//! `playtrace combine` and `playtrace shards`, run as a person runs them.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use playtrace_covdata::CoverageData;
use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_model::{ContextLabel, LineData, MeasuredPath, RunToken, Slug};
use playtrace_testkit::damage::Damage;
use playtrace_testkit::{Python, datafile};
use tempfile::TempDir;

fn playtrace(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playtrace"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("COVERAGE_FILE")
        .env_remove("COVERAGE_RCFILE")
        .env_remove("PROFILE_COVERAGE_DIR")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A shard with one line of `app.py`.
fn shard(dir: &Path, slug: &str, pid: u32, line: u32) -> PathBuf {
    let slug = Slug::parse(slug).unwrap();
    let mut data = LineData::new();
    data.add(&slug.context_label("profile"), &MeasuredPath::new("app.py"), &[line].into_iter().collect());
    let host = gethost();
    let mut shard = ShardWriter::create(
        &mut ShardDraft::new().unwrap(),
        dir,
        (&slug, &RunToken::parse("r1").unwrap()),
        (&host, pid),
        &LineData::new(),
    )
    .unwrap();
    shard.add(&data).unwrap();
    shard.path().to_owned()
}

fn gethost() -> String {
    playtrace_ledger::ProcessId::current().host
}

fn lines(path: &Path, context: &str) -> Vec<u32> {
    let data = CoverageData::read(path).unwrap();
    let found = data.lines().lines_by_file(|label| *label == ContextLabel::new(context));
    found.values().flat_map(|bits| bits.iter().collect::<Vec<_>>()).collect()
}

#[test]
fn shards_are_merged_and_deleted() {
    let dir = TempDir::new().unwrap();
    for line in 1..4 {
        shard(dir.path(), "alice", line, line);
    }
    shard(dir.path(), "bob", 9, 9);
    let ended = playtrace(dir.path(), &["combine", "--data-file", "alice.coverage"]);
    assert!(ended.status.success(), "{}", text(&ended));
    assert_eq!(text(&ended).matches("Combined data file alice.coverage.").count(), 3, "{}", text(&ended));
    assert_eq!(lines(&dir.path().join("alice.coverage"), "profile:alice"), [1, 2, 3]);
    let left = names(dir.path());
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[1].starts_with("bob.coverage."), "{left:?}");
}

#[test]
fn keep_append_quiet_and_contexts() {
    let dir = TempDir::new().unwrap();
    shard(dir.path(), "alice", 1, 1);
    let first = playtrace(dir.path(), &["combine", "--keep", "-q", "--data-file", "alice.coverage"]);
    assert_eq!((first.status.code(), text(&first).as_str()), (Some(0), ""));
    for name in names(dir.path()).iter().filter(|name| name.contains(".X")) {
        fs_err::remove_file(dir.path().join(name)).unwrap();
    }
    shard(dir.path(), "alice", 2, 2);
    let added =
        playtrace(dir.path(), &["combine", "-a", "--data-file", "alice.coverage", "--contexts", "drop"]);
    assert!(added.status.success(), "{}", text(&added));
    assert_eq!(lines(&dir.path().join("alice.coverage"), ""), [1, 2]);

    shard(dir.path(), "alice", 3, 3);
    let replaced = playtrace(dir.path(), &["combine", "--data-file", "alice.coverage"]);
    assert!(replaced.status.success(), "{}", text(&replaced));
    assert_eq!(lines(&dir.path().join("alice.coverage"), "profile:alice"), [3]);
}

#[test]
fn a_truncated_shard_is_named_and_kept() {
    let dir = TempDir::new().unwrap();
    shard(dir.path(), "alice", 1, 1);
    let broken = "alice.coverage.host.2.Xabcdefx";
    Damage::Truncated.make(&dir.path().join(broken));
    let ended = playtrace(dir.path(), &["combine", "--data-file", "alice.coverage"]);
    assert_eq!(ended.status.code(), Some(3), "{}", text(&ended));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains(broken) && said.contains("truncated") && said.contains("PT-COVDATA-010"), "{said}");
    assert_eq!(names(dir.path()), ["alice.coverage", broken]);
}

#[test]
fn nothing_usable_leaves_everything_alone() {
    let dir = TempDir::new().unwrap();
    let none = playtrace(dir.path(), &["combine"]);
    assert_eq!(none.status.code(), Some(4), "{}", text(&none));
    assert!(text(&none).contains("PT-COVDATA-018"), "{}", text(&none));

    Damage::Empty.make(&dir.path().join(".coverage.1"));
    Damage::Garbage.make(&dir.path().join(".coverage.2"));
    fs_err::write(dir.path().join(".coverage"), "precious").unwrap();
    let unusable = playtrace(dir.path(), &["combine"]);
    assert_eq!(unusable.status.code(), Some(4), "{}", text(&unusable));
    assert!(text(&unusable).contains("PT-COVDATA-023"), "{}", text(&unusable));
    assert_eq!(fs_err::read_to_string(dir.path().join(".coverage")).unwrap(), "precious");
    assert_eq!(names(dir.path()), [".coverage", ".coverage.1", ".coverage.2"]);

    // To add to what can't be read would be to replace it.
    datafile::lines(&dir.path().join(".coverage.3"), "");
    let add = playtrace(dir.path(), &["combine", "--append"]);
    assert_eq!(add.status.code(), Some(4), "{}", text(&add));
    assert_eq!(fs_err::read_to_string(dir.path().join(".coverage")).unwrap(), "precious");
    assert!(dir.path().join(".coverage.3").exists());
}

#[test]
fn lines_and_branches_are_refused_whole() {
    let dir = TempDir::new().unwrap();
    datafile::lines(&dir.path().join(".coverage.1"), "");
    datafile::arcs(&dir.path().join(".coverage.2"), "");
    let refused = playtrace(dir.path(), &["combine"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert_eq!(names(dir.path()), [".coverage.1", ".coverage.2"]);
    let pruned = playtrace(dir.path(), &["combine", "--prune-branches"]);
    assert!(pruned.status.success(), "{}", text(&pruned));
    assert_eq!(lines(&dir.path().join(".coverage"), ""), [1, 2]);
}

#[test]
fn coverage_py_reads_what_we_combine() {
    let dir = TempDir::new().unwrap();
    fs_err::write(dir.path().join("app.py"), "a = 1\nb = 2\nc = 3\n").unwrap();
    fs_err::write(dir.path().join("rc"), "[run]\nrelative_files = yes\ndata_file = alice.coverage\n")
        .unwrap();
    shard(dir.path(), "alice", 1, 1);
    shard(dir.path(), "alice", 2, 3);
    let ended = playtrace(dir.path(), &["combine", "--rcfile", "rc"]);
    assert!(ended.status.success(), "{}", text(&ended));
    let reported = Command::new(Python::required().interpreter())
        .args(["-m", "coverage", "report", "--rcfile", "rc", "-m"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(reported.status.success(), "{}", text(&reported));
    let report = text(&reported);
    assert!(report.contains("67%") && report.lines().any(|line| line.ends_with(" 2")), "{report}");
}

#[test]
fn shards_are_listed_with_their_owners() {
    let dir = TempDir::new().unwrap();
    let empty = playtrace(dir.path(), &["shards", "."]);
    assert!(empty.status.success() && text(&empty).contains("No shards"), "{}", text(&empty));

    let mine = shard(dir.path(), "alice", std::process::id(), 1);
    // Process ids end at 2^22.
    let orphan = shard(dir.path(), "bob", 4_194_305, 1);
    let listed = playtrace(dir.path(), &["shards", "."]);
    assert!(listed.status.success(), "{}", text(&listed));
    let said = text(&listed);
    let line = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        said.lines()
            .find(|line| line.ends_with(name))
            .unwrap_or_else(|| panic!("{name} is not in\n{said}"))
            .to_owned()
    };
    assert!(line(&mine).contains("alice") && line(&mine).contains("r1"), "{said}");
    assert!(line(&mine).contains("(running)") && line(&mine).contains("in use"), "{said}");
    assert!(line(&orphan).contains("(ended)") && line(&orphan).contains("orphan"), "{said}");

    // What coverage.py leaves of work without a profile.
    let foreign = dir.path().join(".coverage.elsewhere.12.Xabcdefx");
    datafile::lines(&foreign, "");
    let listed = playtrace(dir.path(), &["shards", "."]);
    assert!(listed.status.success(), "{}", text(&listed));
    let found = text(&listed);
    assert!(found.contains("12 on elsewhere (unknown)") && found.contains("1 foreign"), "{found}");

    Damage::Zeroed.make(&dir.path().join("alice.coverage.host.2.Xabcdefx"));
    let listed = playtrace(dir.path(), &["shards", "."]);
    assert_eq!(listed.status.code(), Some(3), "{}", text(&listed));
    assert!(
        text(&listed).contains("1 unreadable") && text(&listed).contains("PT-COVDATA-008"),
        "{}",
        text(&listed)
    );
    let gone = playtrace(dir.path(), &["shards", "gone"]);
    assert_eq!(gone.status.code(), Some(6), "{}", text(&gone));
}

#[test]
fn patterns_are_expanded_and_slips_in_the_configuration_named() {
    let dir = TempDir::new().unwrap();
    fs_err::create_dir(dir.path().join("one")).unwrap();
    fs_err::create_dir(dir.path().join("two")).unwrap();
    datafile::lines(&dir.path().join("one/x.coverage.1"), "");
    datafile::lines(&dir.path().join("two/x.coverage.2"), "");
    fs_err::write(dir.path().join(".coveragerc"), "[run]\nbranhc = yes\nbranch = yes\n").unwrap();
    let ended = playtrace(dir.path(), &["combine", "--keep", "[ot]*/x.coverage.?"]);
    assert!(ended.status.success(), "{}", text(&ended));
    let said = text(&ended);
    assert!(said.contains("Combined data file one/x.coverage.1"), "{said}");
    assert!(said.contains("Skipped duplicate data two/x.coverage.2"), "{said}");
    assert!(
        said.contains(".coveragerc:2: [run] branhc is ignored") && !said.contains("[run] branch "),
        "{said}"
    );
    let none = playtrace(dir.path(), &["combine", "three/*"]);
    assert_eq!(none.status.code(), Some(4), "{}", text(&none));
}

#[test]
fn newer_releases_look_for_another_file() {
    let dir = TempDir::new().unwrap();
    datafile::lines(&dir.path().join("new.coverage.1"), "");
    fs_err::write(dir.path().join(".coveragerc.toml"), "[run]\ndata_file = 'new.coverage'\n").unwrap();
    let old = playtrace(dir.path(), &["combine"]);
    assert_eq!(old.status.code(), Some(4), "{}", text(&old));
    assert!(text(&old).contains("7.11.3 does not look at this file"), "{}", text(&old));
    let new = playtrace(dir.path(), &["combine", "--coverage-py", "7.13.0"]);
    assert!(new.status.success(), "{}", text(&new));
    assert_eq!(names(dir.path()), [".coveragerc.toml", "new.coverage"]);
}

#[test]
fn without_space_for_the_output_everything_stays() {
    let dir = TempDir::new().unwrap();
    for line in 1..4 {
        shard(dir.path(), "alice", line, line);
    }
    let before = names(dir.path());
    // A limit on the size of files stands for a full disk; the signal that comes with it is ignored, as a service would.
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$0\" combine --data-file alice.coverage";
    let ended = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_playtrace")])
        .current_dir(dir.path())
        .env_remove("COVERAGE_FILE")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(6), "{}", text(&ended));
    assert!(
        text(&ended).contains("alice.coverage") && text(&ended).contains("nothing was deleted"),
        "{}",
        text(&ended)
    );
    assert_eq!(names(dir.path()), before);
}

#[test]
fn an_invalid_regular_expression_is_said_and_costs_no_data() {
    let dir = TempDir::new().unwrap();
    datafile::lines(&dir.path().join(".coverage.1"), "");
    fs_err::write(dir.path().join(".coveragerc"), "[report]\nexclude_also = a(\n").unwrap();
    let ended = playtrace(dir.path(), &["combine"]);
    assert!(ended.status.success(), "{}", text(&ended));
    assert!(text(&ended).contains("PT-SOURCE-004") && text(&ended).contains("a("), "{}", text(&ended));
    assert_eq!(names(dir.path()), [".coverage", ".coveragerc"]);
}

#[test]
fn a_wildcard_in_the_result_of_a_rule_is_refused_by_releases_that_do() {
    let dir = TempDir::new().unwrap();
    datafile::lines(&dir.path().join(".coverage.1"), "");
    fs_err::write(dir.path().join(".coveragerc"), "[paths]\nsource =\n    src/*\n    /ci\n").unwrap();
    let new = playtrace(dir.path(), &["combine", "--coverage-py", "7.17.4"]);
    assert!(text(&new).contains("PT-COVDATA-021") && !new.status.success(), "{}", text(&new));
    assert_eq!(names(dir.path()), [".coverage.1", ".coveragerc"]);
    let old = playtrace(dir.path(), &["combine"]);
    assert!(old.status.success(), "{}", text(&old));
}

#[test]
fn the_directory_of_the_output_is_made() {
    let dir = TempDir::new().unwrap();
    datafile::lines(&dir.path().join(".coverage.1"), "");
    fs_err::write(dir.path().join("file"), "").unwrap();
    let blocked = playtrace(dir.path(), &["combine", "--data-file", "file/x", ".coverage.1"]);
    assert_eq!(blocked.status.code(), Some(6), "{}", text(&blocked));
    assert!(text(&blocked).contains("nothing was deleted"), "{}", text(&blocked));
    let made = playtrace(dir.path(), &["combine", "--data-file", "a/b/x", ".coverage.1"]);
    assert!(made.status.success(), "{}", text(&made));
    assert_eq!(names(dir.path()), ["a", "file"]);
    assert_eq!(names(&dir.path().join("a/b")), ["x"]);
}

//! Files as kills, full disks and strangers leave them: each is named for what it is, and left as it is.

#![allow(clippy::unwrap_used, reason = "in tests, helpers included")]

use std::path::{Path, PathBuf};

use playtrace_covdata::data::{Measured, Ownership};
use playtrace_covdata::merge::{Fate, MergeOptions, merge, write_merged};
use playtrace_covdata::{CovdataError, CoverageData};
use playtrace_model::{ContextLabel, LineData, MeasuredPath};
use playtrace_testkit::damage::{Damage, killed_in_commit};
use playtrace_testkit::datafile;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

fn lines_of(data: &CoverageData) -> Vec<u32> {
    data.lines().lines_by_file(|_| true).values().flat_map(|bits| bits.iter().collect::<Vec<_>>()).collect()
}

/// Everything in a directory: names, and the bytes of what is a file.
fn picture(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut entries: Vec<_> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = entry.file_type().unwrap().is_file().then(|| fs_err::read(entry.path()).unwrap());
            (entry.path(), bytes)
        })
        .collect();
    entries.sort();
    entries
}

#[test]
fn each_damage_has_its_name() {
    for damage in Damage::ALL {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.coverage.host.1.Xabcdefx");
        damage.make(&path);
        let before = picture(dir.path());
        let error = CoverageData::read(&path).unwrap_err();
        let expected = match damage {
            Damage::Empty => "PT-COVDATA-007",
            Damage::Zeroed => "PT-COVDATA-008",
            Damage::Garbage | Damage::Version4 => "PT-COVDATA-009",
            Damage::Truncated | Damage::LastByteMissing | Damage::HalfHeader => "PT-COVDATA-010",
            Damage::Foreign => "PT-COVDATA-011",
            Damage::OlderSchema => "PT-COVDATA-012",
            Damage::Scribbled | Damage::DanglingRow | Damage::WrongType | Damage::LinesAndArcs => {
                "PT-COVDATA-013"
            }
            Damage::Directory | Damage::Pipe => "PT-COVDATA-006",
            Damage::DanglingLink => "PT-COVDATA-005",
        };
        assert_eq!(error.code(), expected, "{damage:?}: {error}");
        assert!(error.to_string().contains("a.coverage.host.1.Xabcdefx"), "{error} does not name its file");
        assert_eq!(picture(dir.path()), before, "{damage:?}: reading changed it");
    }
    let gone = CoverageData::read(Path::new("/nowhere/at/all")).unwrap_err();
    assert!(matches!(gone, CovdataError::Missing { .. }), "{gone}");
}

#[test]
fn the_good_are_merged_and_the_damaged_are_kept() {
    let dir = TempDir::new().unwrap();
    let place = |number: usize| dir.path().join(format!("a.coverage.host.{number}.Xabcdefx"));
    let mut inputs = Vec::new();
    for (number, damage) in Damage::ALL.into_iter().enumerate() {
        damage.make(&place(number));
        inputs.push(place(number));
    }
    let good = place(100);
    datafile::lines(&good, "");
    let copy = place(101);
    fs_err::copy(&good, &copy).unwrap();
    inputs.extend([good.clone(), copy.clone()]);

    let outcome = merge(&inputs, &MergeOptions::default()).unwrap();
    assert_eq!(outcome.problems.len(), Damage::ALL.len());
    assert_eq!((&outcome.merged, &outcome.duplicates), (&vec![good.clone()], &vec![copy.clone()]));
    let output = dir.path().join("a.coverage");
    let kept = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap();
    assert!(kept.is_empty(), "{kept:?}");
    assert_eq!(lines_of(&CoverageData::read(&output).unwrap()), [1, 2]);
    assert!(!good.exists() && !copy.exists());
    for (path, _) in &outcome.problems {
        assert!(fs_err::symlink_metadata(path).is_ok(), "{} is gone", path.display());
    }
}

#[test]
fn a_file_cut_off_at_any_page_is_named_and_the_rest_is_merged() {
    let dir = TempDir::new().unwrap();
    let good = dir.path().join("a.coverage.host.1.Xabcdefx");
    datafile::lines(&good, "");
    let cut = dir.path().join("a.coverage.host.2.Xabcdefx");
    datafile::lines(&cut, "UPDATE line_bits SET numbits = zeroblob(9000) || x'01';");
    let bytes = fs_err::read(&cut).unwrap();
    assert!(bytes.len() > 4096 * 8);
    for len in (0..bytes.len()).step_by(4096) {
        fs_err::write(&cut, &bytes[..len]).unwrap();
        let outcome = merge(&[good.clone(), cut.clone()], &MergeOptions::default()).unwrap();
        let code = if len == 0 { "PT-COVDATA-007" } else { "PT-COVDATA-010" };
        let problems: Vec<_> = outcome.problems.iter().map(|(path, why)| (path, why.code())).collect();
        assert_eq!(problems, [(&cut, code)], "{len} bytes");
        assert_eq!(lines_of(&outcome.data), [1, 2]);
        assert_eq!(fs_err::metadata(&cut).unwrap().len(), len as u64);
    }
}

#[test]
fn what_vanishes_or_stays_locked_is_named_and_the_rest_is_merged() {
    let dir = TempDir::new().unwrap();
    let [good, locked, gone] =
        ["1", "2", "3"].map(|pid| dir.path().join(format!("a.coverage.host.{pid}.Xabcdefx")));
    datafile::lines(&good, "");
    datafile::lines(&locked, "UPDATE line_bits SET numbits = x'f0'");
    let writer = Connection::open(&locked).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let outcome = merge(&[good, locked.clone(), gone.clone()], &MergeOptions::default()).unwrap();
    let problems: Vec<_> = outcome.problems.iter().map(|(path, why)| (path, why.code())).collect();
    assert_eq!(problems, [(&locked, "PT-COVDATA-014"), (&gone, "PT-COVDATA-004")]);
    assert_eq!(lines_of(&outcome.data), [1, 2]);
}

#[test]
fn a_hot_journal_is_rolled_back_on_a_copy() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.coverage.host.1.Xabcdefx");
    killed_in_commit(&path);
    let before = picture(dir.path());
    assert_eq!(before.len(), 2, "a journal lies beside it");
    let outcome = merge(std::slice::from_ref(&path), &MergeOptions::default()).unwrap();
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    assert_eq!(lines_of(&outcome.data), [1, 2], "what was not committed is not there");
    assert_eq!(outcome.data.files.len(), 1);
    assert_eq!(picture(dir.path()), before, "reading changed it");

    let output = dir.path().join("a.coverage");
    let kept = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap();
    assert!(kept.is_empty(), "{kept:?}");
    let left: Vec<_> = picture(dir.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, [output]);
}

#[test]
fn a_journal_that_names_another_file_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.coverage.host.1.Xabcdefx");
    killed_in_commit(&path);
    let precious = dir.path().join("precious");
    fs_err::write(&precious, "mine").unwrap();
    let journal = dir.path().join("a.coverage.host.1.Xabcdefx-journal");
    // The trailer of a journal with a super-journal: page number, name, length, checksum, magic.
    let mut bytes = fs_err::read(&journal).unwrap();
    let name = precious.to_str().unwrap().as_bytes();
    bytes.extend(0u32.to_be_bytes());
    bytes.extend(name);
    bytes.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    bytes.extend(name.iter().map(|byte| u32::from(*byte)).sum::<u32>().to_be_bytes());
    bytes.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    fs_err::write(&journal, bytes).unwrap();
    let error = CoverageData::read(&path).unwrap_err();
    assert!(matches!(error, CovdataError::ForeignJournal { .. }), "{error}");
    assert!(precious.exists() && journal.exists());
}

#[test]
fn a_file_in_wal_mode_is_read_with_its_wal() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.coverage.host.1.Xabcdefx");
    datafile::lines(&path, "");
    let writer = Connection::open(&path).unwrap();
    writer.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    writer.execute_batch("UPDATE line_bits SET numbits = x'0e'").unwrap();
    let outcome = merge(std::slice::from_ref(&path), &MergeOptions::default()).unwrap();
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    assert_eq!(lines_of(&outcome.data), [1, 2, 3]);

    // It goes on: what comes now is not in the merge, so the file stays.
    writer.execute_batch("UPDATE line_bits SET numbits = x'1e'").unwrap();
    let output = dir.path().join("a.coverage");
    let kept = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap();
    assert!(matches!(kept[..], [(_, CovdataError::Changed { .. })]), "{kept:?}");
    assert!(path.exists());
}

#[test]
fn an_input_that_was_written_to_is_kept() {
    let dir = TempDir::new().unwrap();
    let [written, replaced, quiet] =
        ["1", "2", "3"].map(|pid| dir.path().join(format!("a.coverage.host.{pid}.Xabcdefx")));
    for path in [&written, &replaced, &quiet] {
        datafile::lines(path, "");
    }
    let inputs = [written.clone(), replaced.clone(), quiet.clone()];
    let outcome = merge(&inputs, &MergeOptions::default()).unwrap();
    Connection::open(&written).unwrap().execute_batch("UPDATE line_bits SET numbits = x'fe'").unwrap();
    fs_err::remove_file(&replaced).unwrap();
    datafile::lines(&replaced, "");
    // The same inode may come back at once; then the counter is what tells.
    let output = dir.path().join("a.coverage");
    let kept = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap();
    assert!(kept.iter().any(|(path, _)| *path == written), "{kept:?}");
    assert!(written.exists() && !quiet.exists());
    let again = merge(&[written], &MergeOptions::default()).unwrap();
    assert_eq!(lines_of(&again.data), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn an_input_that_was_written_anew_is_kept() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.coverage.host.1.Xabcdefx");
    datafile::lines(&path, "");
    let mut bytes = fs_err::read(&path).unwrap();
    let before = fs_err::metadata(&path).unwrap().modified().unwrap();
    let outcome = merge(std::slice::from_ref(&path), &MergeOptions::default()).unwrap();
    // The same inode, the same length and the same counter: a file system gives an inode away again.
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&path, &bytes).unwrap();
    fs_err::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before + std::time::Duration::from_millis(1))
        .unwrap();
    let output = dir.path().join("a.coverage");
    let kept = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap();
    assert!(matches!(kept[..], [(_, CovdataError::Changed { .. })]), "{kept:?}");
    assert_eq!(fs_err::read(&path).unwrap(), bytes);
}

#[test]
fn a_link_has_the_journal_of_what_it_leads_to() {
    let dir = TempDir::new().unwrap();
    let (real, link) = (dir.path().join("else.where"), dir.path().join("a.coverage.host.1.Xabcdefx"));
    killed_in_commit(&real);
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let lines = |path: &PathBuf| {
        let outcome = merge(std::slice::from_ref(path), &MergeOptions::default()).unwrap();
        assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
        lines_of(&outcome.data)
    };
    assert_eq!(lines(&link), lines(&real));
}

#[test]
fn all_names_of_a_file_go() {
    let dir = TempDir::new().unwrap();
    let name = |pid: u32| dir.path().join(format!("a.coverage.host.{pid}.Xabcdefx"));
    let (real, hard) = (name(50), name(1));
    datafile::lines(&real, "");
    fs_err::hard_link(&real, &hard).unwrap();
    let links: Vec<PathBuf> = (90..99).chain(10..19).map(name).collect();
    for (which, link) in links.iter().enumerate() {
        std::os::unix::fs::symlink(if which % 2 == 0 { &real } else { &hard }, link).unwrap();
    }
    let mut inputs = [vec![real, hard], links].concat();
    inputs.sort();
    let outcome = merge(&inputs, &MergeOptions::default()).unwrap();
    assert_eq!((outcome.merged.len(), outcome.duplicates.len()), (1, inputs.len() - 1));
    let output = dir.path().join("a.coverage");
    let kept = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap();
    assert!(kept.is_empty(), "{kept:?}");
    let left: Vec<PathBuf> = picture(dir.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, [output]);
}

#[test]
fn a_locked_input_is_kept() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.coverage.host.1.Xabcdefx");
    datafile::lines(&path, "");
    let outcome = merge(std::slice::from_ref(&path), &MergeOptions::default()).unwrap();
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let kept =
        write_merged(&outcome, &dir.path().join("a.coverage"), &Ownership::default(), Fate::Remove).unwrap();
    assert!(matches!(kept[..], [(_, CovdataError::Locked { .. })]), "{kept:?}");
    assert!(path.exists());
}

#[test]
fn lines_and_branches_are_refused_before_anything_is_touched() {
    let dir = TempDir::new().unwrap();
    let inputs = ["1", "2"].map(|pid| dir.path().join(format!("a.coverage.host.{pid}.Xabcdefx")));
    datafile::lines(&inputs[0], "");
    datafile::arcs(&inputs[1], "INSERT INTO arc VALUES (1, 1, 2, 9);");
    let before = picture(dir.path());
    let error = merge(&inputs, &MergeOptions::default()).unwrap_err();
    assert!(matches!(error, CovdataError::Mixed { .. }), "{error}");
    assert_eq!(picture(dir.path()), before);

    let pruned = merge(&inputs, &MergeOptions { prune_branches: true, ..Default::default() }).unwrap();
    assert!(matches!(pruned.data.measured, Measured::Lines(_)));
    assert_eq!(lines_of(&pruned.data), [1, 2, 9]);
}

#[test]
fn plug_ins_that_contradict_each_other_are_refused() {
    let dir = TempDir::new().unwrap();
    let inputs = ["1", "2"].map(|pid| dir.path().join(format!("a.coverage.host.{pid}.Xabcdefx")));
    datafile::lines(&inputs[0], "INSERT INTO tracer VALUES (1, 'one');");
    datafile::lines(&inputs[1], "");
    let error = merge(&inputs, &MergeOptions::default()).unwrap_err();
    assert!(matches!(error, CovdataError::TracerConflict { .. }), "{error}");
}

#[test]
fn an_output_that_can_t_be_written_leaves_everything_as_it_was() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.coverage.host.1.Xabcdefx");
    datafile::lines(&path, "");
    let outcome = merge(std::slice::from_ref(&path), &MergeOptions::default()).unwrap();
    let output = dir.path().join("no/such/dir/a.coverage");
    let error = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap_err();
    assert!(error.to_string().contains("a.coverage"), "{error}");
    assert!(path.exists());
}

/// Says to the process that it is the one with little room, and where.
const LITTLE_ROOM: &str = "PLAYTRACE_TEST_LITTLE_ROOM";

#[test]
fn no_space_left_is_said_and_nothing_is_lost() {
    let shard = |dir: &Path| dir.join("a.coverage.host.1.Xabcdefx");
    if let Some(dir) = std::env::var_os(LITTLE_ROOM).map(PathBuf::from) {
        let outcome = merge(&[shard(&dir)], &MergeOptions::default()).unwrap();
        let output = dir.join("a.coverage");
        let error = write_merged(&outcome, &output, &Ownership::default(), Fate::Remove).unwrap_err();
        assert!(matches!(error, CovdataError::Io { .. }), "{error:?}");
        assert!(error.to_string().contains("a.coverage"), "{error} does not name the file");
        return;
    }
    let dir = TempDir::new().unwrap();
    datafile::lines(&shard(dir.path()), "");
    datafile::lines(&dir.path().join("a.coverage"), "UPDATE line_bits SET numbits = x'f0'");
    let before = picture(dir.path());
    // A limit for files is a full disk that needs no disk: a write fails in the middle of the output.
    let name = "no_space_left_is_said_and_nothing_is_lost";
    let limited = format!("trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact {name}");
    let child = std::process::Command::new("bash")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .env(LITTLE_ROOM, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(
        picture(dir.path()),
        before,
        "the earlier file and the shard are as they were, and nothing else is there"
    );
}

fn data() -> impl Strategy<Value = CoverageData> {
    proptest::collection::vec((0u8..3, 0u8..4, proptest::collection::vec(1u32..60, 1..6)), 0..6).prop_map(
        |rows| {
            let mut lines = LineData::new();
            for (context, path, numbers) in rows {
                lines.add(
                    &ContextLabel::new(format!("c{context}")),
                    &MeasuredPath::new(format!("f{path}.py")),
                    &numbers.into_iter().collect(),
                );
            }
            CoverageData::from_lines(lines)
        },
    )
}

/// Merges files that hold `parts`, in a directory of their own.
fn merged(parts: &[&CoverageData]) -> CoverageData {
    let dir = TempDir::new().unwrap();
    let paths: Vec<PathBuf> = (0..parts.len()).map(|index| dir.path().join(index.to_string())).collect();
    for (part, path) in parts.iter().zip(&paths) {
        part.write(path, &Ownership::default()).unwrap();
    }
    let outcome = merge(&paths, &MergeOptions::default()).unwrap();
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    outcome.data
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in data(), b in data(), c in data()) {
        let all = merged(&[&a, &b, &c]);
        prop_assert_eq!(&merged(&[&c, &b, &a]), &all);
        prop_assert_eq!(&merged(&[&merged(&[&a, &b]), &c]), &all);
        prop_assert_eq!(&merged(&[&a, &merged(&[&b, &c])]), &all);
        prop_assert_eq!(&merged(&[&all, &a, &all]), &all);
    }

    #[test]
    fn equal_data_is_equal_bytes(a in data(), b in data()) {
        let dir = TempDir::new().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        merged(&[&a, &b]).write(&one, &Ownership::default()).unwrap();
        merged(&[&b, &a]).write(&two, &Ownership::default()).unwrap();
        prop_assert_eq!(fs_err::read(one).unwrap(), fs_err::read(two).unwrap());
    }

    #[test]
    fn no_bytes_make_it_panic(cut in 0usize..53_248, at in 0usize..53_248, byte: u8) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("x");
        datafile::lines(&path, "");
        let mut bytes = fs_err::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 5000));
        fs_err::write(&path, bytes).unwrap();
        let before = picture(dir.path());
        // Any answer but a panic will do; what is read is not written.
        let _ = CoverageData::read(&path);
        prop_assert_eq!(picture(dir.path()), before);
    }
}

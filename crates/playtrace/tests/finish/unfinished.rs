//! Merges that were killed, that found no room, and that met each other.

use std::path::Path;

use playtrace::finish::{MergeRun, VerdictFile, merge_run, steps_path_of};
use playtrace_ledger::{Granularity, Layout};
use playtrace_model::Status;
use tempfile::TempDir;

use crate::entering;
use crate::made::{content, files, lines, merged, merged_for_good, slug, token, traced, wanted, web_ledger};

/// The state in which a merge leaves the directory that is killed after `placed` of its three files got their names; nothing is
/// removed before all of them have.
fn killed_after(placed: usize, second_ended: bool) -> TempDir {
    let make = || {
        let dir = TempDir::new().unwrap();
        traced(dir.path(), "r1", 10, &[1, 5], true);
        entering(dir.path(), "r1", Granularity::Steps);
        merged(dir.path(), "r1");
        traced(dir.path(), "r2", 20, &[7], second_ended);
        dir
    };
    let (done, killed) = (make(), make());
    merged(done.path(), "r2");
    let data = Path::new("p.coverage");
    for path in [data.to_owned(), steps_path_of(data), VerdictFile::path_of(data)].iter().take(placed) {
        let (from, to) = (done.path().join(path), killed.path().join(path));
        if from.exists() {
            fs_err::copy(from, to).unwrap();
        } else {
            fs_err::remove_file(to).unwrap();
        }
    }
    killed
}

#[test]
fn a_merge_that_was_killed_is_finished_by_the_next_one() {
    for placed in 0..=3 {
        let dir = killed_after(placed, true);
        let done = merged_for_good(dir.path(), "r2");
        assert_eq!(done.data_file, dir.path().join("p.coverage"), "{placed}");
        assert_eq!(
            (done.verdict.verdict.status, content(&done)),
            (Status::Complete, lines(&[7])),
            "{placed}"
        );
        assert!(done.elsewhere.is_empty(), "{placed}: {:?}", done.elsewhere);
        assert!(!steps_path_of(&done.data_file).exists(), "{placed}: they are of the run before");
    }
}

#[test]
fn data_of_a_killed_merge_is_not_replaced_by_a_worse_run() {
    for placed in 1..=2 {
        let dir = killed_after(placed, true);
        traced(dir.path(), "r3", 30, &[3], false);
        let bad = merged_for_good(dir.path(), "r3");
        assert_eq!(bad.data_file, dir.path().join("incomplete/p.coverage"), "{placed}");
        assert!(
            bad.elsewhere[0].contains("it holds run r2, the verdict beside it is of run r1"),
            "{:?}",
            bad.elsewhere
        );
        assert_eq!(content(&merged(dir.path(), "r2")), lines(&[7]), "{placed}");
    }
}

#[test]
fn a_killed_merge_leaves_nothing_that_is_taken_for_data() {
    let dir = killed_after(0, true);
    fs_err::write(dir.path().join(".playtrace-AbCdEf"), "half a data file").unwrap();
    assert_eq!(merged(dir.path(), "r2").shards, 1);
}

#[test]
fn a_place_that_cannot_be_written_leaves_everything_as_it_was() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged(dir.path(), "r1");
    traced(dir.path(), "r2", 20, &[7], false);
    for name in ["incomplete", "earlier"] {
        fs_err::write(dir.path().join(name), "a file, where the directory should be").unwrap();
    }
    let before = files(dir.path());
    let failure = merge_run(&MergeRun { keep_shards: false, ..wanted(dir.path(), Some("r2")) }).unwrap_err();
    assert_eq!((failure.exit, failure.code), (playtrace::Exit::Io, "PT-MERGE-003"), "{failure:?}");
    assert!(failure.help.is_some_and(|help| help.contains("shards and ledger are as they were")));
    assert_eq!(files(dir.path()), before);

    // A place beside the data is taken.
    fs_err::remove_file(dir.path().join("incomplete")).unwrap();
    fs_err::create_dir_all(dir.path().join("incomplete/p.steps.json/x")).unwrap();
    entering(dir.path(), "r2", Granularity::Steps);
    let shards = |dir: &Path| files(dir).into_iter().filter(|(name, _)| name.contains(".X")).count();
    let before = shards(dir.path());
    merge_run(&MergeRun { keep_shards: false, ..wanted(dir.path(), Some("r2")) }).unwrap_err();
    assert_eq!(shards(dir.path()), before, "no shard is removed before all is safe");
}

#[test]
fn a_ledger_that_cannot_be_read_is_an_error_and_no_verdict() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged(dir.path(), "r1");
    // Permissions don't count for root; a directory can't be read as a file by anyone.
    fs_err::remove_file(web_ledger(dir.path(), "r1")).unwrap();
    fs_err::create_dir(web_ledger(dir.path(), "r1")).unwrap();
    let before = files(dir.path());
    let failure = merge_run(&wanted(dir.path(), Some("r1"))).unwrap_err();
    assert_eq!((failure.exit, failure.code), (playtrace::Exit::Io, "PT-LEDGER-003"), "{failure:?}");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn merges_that_meet_come_to_what_one_comes_to() {
    for _ in 0..5 {
        let dir = TempDir::new().unwrap();
        traced(dir.path(), "r1", 10, &[1, 5], true);
        traced(dir.path(), "r2", 20, &[7], true);
        std::thread::scope(|scope| {
            let merges: Vec<_> = (0..6)
                .map(|number| {
                    let run = if number % 3 == 0 { None } else { Some("r2") };
                    let wanted = MergeRun { keep_shards: false, ..wanted(dir.path(), run) };
                    scope.spawn(move || merge_run(&wanted).unwrap())
                })
                .collect();
            for merge in merges {
                let done = merge.join().unwrap();
                assert_eq!(done.problems, [""; 0], "nobody misses what another one removed");
                assert_eq!(done.verdict.verdict.status, Status::Complete, "{:?}", done.verdict);
            }
        });
        let done = merged(dir.path(), "r2");
        assert_eq!((content(&done), done.verdict.run), (lines(&[7]), token("r2")));
        assert!(Layout::new(dir.path()).runs(&slug()).unwrap().contains(&token("r2")));
    }
}

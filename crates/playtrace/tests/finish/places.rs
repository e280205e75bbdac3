//! Several runs of one profile, merged in every order; and files at the place of the data that are none.

use std::path::{Path, PathBuf};

use playtrace::finish::{MergeRun, Merged, VerdictFile, merge_run};
use playtrace_covdata::CoverageData;
use playtrace_ledger::Layout;
use playtrace_model::{LineData, Status};
use playtrace_testkit::damage::Damage;
use tempfile::TempDir;

use crate::made::{content, files, lines, merged, merged_for_good, slug, token, traced, wanted, web_ledger};

fn data(path: &Path) -> LineData {
    CoverageData::read(path).unwrap().lines().into_owned()
}

fn run_at(path: &Path) -> String {
    VerdictFile::read_beside(path).unwrap().unwrap().run.to_string()
}

/// Two runs that are merged in both orders.
fn in_both_orders(first_ended: bool, second_ended: bool) -> Vec<TempDir> {
    [["r1", "r2"], ["r2", "r1"]]
        .map(|order| {
            let dir = TempDir::new().unwrap();
            traced(dir.path(), "r1", 10, &[1, 5], first_ended);
            traced(dir.path(), "r2", 20, &[1], second_ended);
            for run in order {
                let done = merge_run(&wanted(dir.path(), Some(run)));
                // The newer one, merged first, has retired the older one if it is no worse.
                assert!(done.is_ok() || order == ["r2", "r1"], "{done:?}");
            }
            dir
        })
        .into()
}

#[test]
fn the_place_of_a_run_does_not_depend_on_when_it_is_merged() {
    for dir in in_both_orders(true, false) {
        let usual = dir.path().join("p.coverage");
        assert_eq!((run_at(&usual), data(&usual)), ("r1".to_owned(), lines(&[1, 5])));
        let worse = dir.path().join("incomplete/p.coverage");
        assert_eq!((run_at(&worse), data(&worse)), ("r2".to_owned(), lines(&[1])));
    }
    for dir in in_both_orders(true, true).into_iter().chain(in_both_orders(false, true)) {
        let usual = dir.path().join("p.coverage");
        assert_eq!((run_at(&usual), data(&usual)), ("r2".to_owned(), lines(&[1])));
        assert!(!dir.path().join("incomplete").exists());
    }
}

#[test]
fn an_older_run_merged_after_a_newer_one_stands_apart() {
    let dir = TempDir::new().unwrap();
    // A run whose ledger came late (from a share, say): nothing of it was there to be retired.
    traced(dir.path(), "r2", 20, &[7], true);
    merged(dir.path(), "r2");
    traced(dir.path(), "r1", 10, &[1, 5], true);
    let old = merged_for_good(dir.path(), "r1");
    assert!(old.elsewhere[0].contains("run r2, which ended later"), "{:?}", old.elsewhere);
    assert_eq!(old.data_file, dir.path().join("earlier/r1/p.coverage"));
    assert_eq!(content(&old), lines(&[1, 5]));
    assert_eq!(data(&dir.path().join("p.coverage")), lines(&[7]));
    // It is found there when it is merged again, whatever became of its ledger.
    fs_err::remove_file(web_ledger(dir.path(), "r1")).unwrap();
    let again = merged(dir.path(), "r1");
    assert_eq!((again.data_file.clone(), content(&again)), (old.data_file, lines(&[1, 5])));
    assert_eq!(again.verdict.verdict.status, Status::Complete);
}

#[test]
fn a_partial_run_that_becomes_complete_moves_to_the_front() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged(dir.path(), "r1");
    traced(dir.path(), "r2", 20, &[1], false);
    let partial = merged_for_good(dir.path(), "r2");
    assert_eq!(partial.data_file, dir.path().join("incomplete/p.coverage"));
    crate::made::another_request(dir.path(), "r2", 21, "1", Some(1), &[9]);
    let whole = merged(dir.path(), "r2");
    assert_eq!(whole.data_file, dir.path().join("p.coverage"));
    assert_eq!(content(&whole), lines(&[1, 9]), "with what only the first merge's shard had");
    assert!(!partial.data_file.exists(), "it is part of the other one now");
}

#[test]
fn of_two_incomplete_runs_the_later_one_is_kept_in_sight_and_the_other_one_too() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged(dir.path(), "r1");
    traced(dir.path(), "r3", 30, &[3], false);
    traced(dir.path(), "r2", 20, &[2], false);
    merged_for_good(dir.path(), "r3");
    let second = merged_for_good(dir.path(), "r2");
    assert_eq!(data(&dir.path().join("incomplete/p.coverage")), lines(&[3]));
    assert_eq!(
        (second.data_file.clone(), content(&second)),
        (dir.path().join("earlier/r2/p.coverage"), lines(&[2]))
    );
}

#[test]
fn a_partial_run_does_not_retire_a_complete_one_that_nobody_has_merged() {
    let dir = TempDir::new().unwrap();
    let complete = traced(dir.path(), "r1", 10, &[1, 5], true);
    traced(dir.path(), "r2", 20, &[1], false);
    merged(dir.path(), "r2");
    assert!(complete.path().is_file());
    assert_eq!(content(&merged(dir.path(), "r1")), lines(&[1, 5]));
    assert_eq!(run_at(&dir.path().join("p.coverage")), "r1");
}

#[test]
fn a_run_whose_ledger_tells_nothing_is_not_retired() {
    let dir = TempDir::new().unwrap();
    let silent = traced(dir.path(), "r1", 10, &[1, 5], true);
    for entry in fs_err::read_dir(Layout::new(dir.path()).run_dir(&slug(), &token("r1"))).unwrap() {
        fs_err::write(entry.unwrap().path(), "").unwrap();
    }
    traced(dir.path(), "r2", 20, &[7], true);
    merged(dir.path(), "r2");
    assert!(silent.path().is_file());
}

#[test]
fn the_latest_run_is_found_without_its_ledger() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    traced(dir.path(), "r2", 20, &[7], true);
    fs_err::remove_dir_all(Layout::new(dir.path()).run_dir(&slug(), &token("r2"))).unwrap();
    let done = merge_run(&wanted(dir.path(), None)).unwrap();
    assert_eq!((done.verdict.run, done.verdict.verdict.status), (token("r2"), Status::Partial));
}

fn usual(dir: &TempDir) -> PathBuf {
    dir.path().join("p.coverage")
}

fn next_run(dir: &TempDir, ended: bool) -> Merged {
    traced(dir.path(), "r2", 20, &[7], ended);
    merged_for_good(dir.path(), "r2")
}

#[test]
fn what_is_no_data_file_of_ours_is_moved_aside_for_a_good_run_and_stays_for_another() {
    let kinds = [
        Damage::Empty,
        Damage::Garbage,
        Damage::Truncated,
        Damage::Foreign,
        Damage::OlderSchema,
        Damage::Directory,
    ];
    for damage in kinds {
        let dir = TempDir::new().unwrap();
        damage.make(&usual(&dir));
        let before = files(dir.path());
        let bad = next_run(&dir, false);
        assert_eq!(bad.data_file, dir.path().join("incomplete/p.coverage"), "{damage:?}");
        assert!(
            bad.elsewhere[0].contains("p.coverage stays as it is (it may be whole: "),
            "{:?}",
            bad.elsewhere
        );
        assert!(files(dir.path()).contains(before.first().unwrap_or(&files(dir.path())[0])), "{damage:?}");

        let dir = TempDir::new().unwrap();
        damage.make(&usual(&dir));
        let was = files(dir.path()).first().map(|(_, bytes)| bytes.clone());
        let good = next_run(&dir, true);
        assert_eq!((good.data_file.clone(), content(&good)), (usual(&dir), lines(&[7])), "{damage:?}");
        let aside = dir.path().join("replaced/p.1.coverage");
        assert!(good.elsewhere[0].contains("replaced/p.1.coverage now"), "{:?}", good.elsewhere);
        assert!(aside.is_dir() || was == fs_err::read(&aside).ok(), "{damage:?}");
    }
}

#[test]
fn a_file_that_was_combined_by_hand_is_not_lost() {
    let dir = TempDir::new().unwrap();
    // As coverage.py leaves it: nothing says which run it is of. The verdict beside it is of the run that it replaced.
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged(dir.path(), "r1");
    CoverageData::from_lines(lines(&[1, 5, 99]))
        .write(&usual(&dir), &playtrace_covdata::data::Ownership::default())
        .unwrap();
    let bad = next_run(&dir, false);
    assert!(bad.elsewhere[0].contains("another program wrote it"), "{:?}", bad.elsewhere);
    assert_eq!(data(&usual(&dir)), lines(&[1, 5, 99]));
    traced(dir.path(), "r3", 30, &[3], true);
    assert_eq!(content(&merged(dir.path(), "r3")), lines(&[3]));
    assert_eq!(data(&dir.path().join("replaced/p.1.coverage")), lines(&[1, 5, 99]));
}

#[test]
fn less_data_of_the_same_run_is_not_taken_for_what_the_verdict_is_on() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged_for_good(dir.path(), "r1");
    // `playtrace combine --data-file p.coverage` of what shards were left, say; then the ledger goes.
    let run = playtrace_covdata::data::Ownership { slug: Some(slug()), run: Some(token("r1")) };
    CoverageData::from_lines(lines(&[1])).write(&usual(&dir), &run).unwrap();
    fs_err::remove_file(web_ledger(dir.path(), "r1")).unwrap();
    let done = merged(dir.path(), "r1");
    assert_eq!((content(&done), done.verdict.verdict.status), (lines(&[1]), Status::Partial));
}

#[test]
fn data_whose_verdict_and_ledger_are_gone_stays_and_is_partial() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    let first = merged_for_good(dir.path(), "r1");
    fs_err::remove_file(VerdictFile::path_of(&first.data_file)).unwrap();
    fs_err::remove_file(web_ledger(dir.path(), "r1")).unwrap();
    let done = merged(dir.path(), "r1");
    assert_eq!((content(&done), done.verdict.verdict.status), (lines(&[1, 5]), Status::Partial));
}

#[test]
fn a_damaged_verdict_does_not_stop_merges_and_a_later_one_does() {
    for (text, code) in [
        ("{", None),
        (r#"{"format": "other", "version": 1}"#, None),
        (r#"{"format": "playtrace-verdict", "version": 2, "new": 1}"#, Some("PT-MERGE-007")),
    ] {
        let dir = TempDir::new().unwrap();
        traced(dir.path(), "r1", 10, &[1, 5], true);
        merged(dir.path(), "r1");
        fs_err::write(VerdictFile::path_of(&usual(&dir)), text).unwrap();
        // The same run: its data is added to, and it gets a verdict again.
        let before = files(dir.path());
        let done = merge_run(&wanted(dir.path(), Some("r1")));
        if let Some(code) = code {
            assert_eq!(done.unwrap_err().code, code, "{text}");
            assert_eq!(files(dir.path()), before, "{text}");
            continue;
        }
        assert_eq!(done.unwrap().verdict.verdict.status, Status::Complete, "{text}");
        // Another run, which is worse: the data may be whole.
        fs_err::write(VerdictFile::path_of(&usual(&dir)), text).unwrap();
        let bad = next_run(&dir, false);
        assert_eq!(data(&usual(&dir)), lines(&[1, 5]), "{text}");
        assert_eq!(content(&bad), lines(&[7]), "{text}");
    }
}

#[test]
fn a_copy_keeps_to_the_same_rule_and_its_verdict_never_vouches_for_another_file() {
    use playtrace::service::artifact::{copy_data, copy_to_its_place};
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    let good = merged(dir.path(), "r1");
    let copy = dir.path().join("copies/p.coverage");
    assert_eq!(copy_to_its_place(&good.data_file, &copy).unwrap(), (copy.clone(), vec![]));
    assert_eq!(copy_to_its_place(&good.data_file, &copy).unwrap(), (copy.clone(), vec![]), "once more");
    let bad = next_run(&dir, false);
    let (path, sentences) = copy_to_its_place(&bad.data_file, &copy).unwrap();
    assert_eq!(path, dir.path().join("copies/incomplete/p.coverage"));
    assert!(sentences[0].contains("stays as it is (complete data of run r1)"), "{sentences:?}");
    assert_eq!(data(&copy), lines(&[1, 5]));
    // A file without a verdict takes the old one's away.
    fs_err::remove_file(VerdictFile::path_of(&bad.data_file)).unwrap();
    copy_data(&bad.data_file, &copy).unwrap();
    assert!(!VerdictFile::path_of(&copy).exists());
}

#[test]
fn a_manifest_of_another_run_is_refused() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    traced(dir.path(), "r2", 20, &[7], true);
    let theirs = Layout::new(dir.path())
        .run_dir(&slug(), &token("r2"))
        .join(Layout::file_name(&playtrace_ledger::ProcessId::current()));
    let manifest = dir.path().join("r2.manifest");
    fs_err::copy(theirs, &manifest).unwrap();
    let before = files(dir.path());
    let wrong = MergeRun { manifest: Some(manifest), ..wanted(dir.path(), Some("r1")) };
    let failure = merge_run(&wrong).unwrap_err();
    assert_eq!(failure.code, "PT-MERGE-008", "{failure:?}");
    assert!(failure.message.contains("run r2 of profile p"), "{failure:?}");
    assert_eq!(files(dir.path()), before);
}

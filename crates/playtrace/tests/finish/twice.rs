//! One run merged more than once: with its ledger and shards whole, harmed, and gone.

use std::path::Path;

use playtrace::finish::{MergeRun, Merged, VerdictFile, merge_run, steps_path_of};
use playtrace_covdata::CoverageData;
use playtrace_ledger::Layout;
use playtrace_model::{RunToken, Status};
use tempfile::TempDir;

use crate::entering;
use crate::made::{
    another_request, content, files, lines, merged, merged_for_good, slug, token, traced, wanted, web_ledger,
};

fn cut(path: &Path, length: u64) {
    fs_err::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// A way in which the ledger of a run can be harmed while nobody is at work.
type Harm = (&'static str, fn(&Path));
const HARMS: [Harm; 7] = [
    ("one file deleted", |dir| fs_err::remove_file(web_ledger(dir, "r1")).unwrap()),
    ("one file emptied", |dir| cut(&web_ledger(dir, "r1"), 0)),
    ("one file cut off", |dir| {
        let path = web_ledger(dir, "r1");
        let length = fs_err::metadata(&path).unwrap().len();
        cut(&path, length - 9);
    }),
    ("one file cut off between two records", |dir| {
        let path = web_ledger(dir, "r1");
        let bytes = fs_err::read(&path).unwrap();
        let length = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        cut(&path, length as u64);
    }),
    ("one file overwritten", |dir| fs_err::write(web_ledger(dir, "r1"), "garbage\n".repeat(99)).unwrap()),
    ("one file made anew", |dir| {
        fs_err::remove_file(web_ledger(dir, "r1")).unwrap();
        another_request(dir, "r1", 11, "1", Some(1), &[5]);
    }),
    ("all but the player's gone", |dir| {
        for entry in fs_err::read_dir(Layout::new(dir).run_dir(&slug(), &token("r1"))).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("h.") {
                fs_err::remove_file(path).unwrap();
            }
        }
    }),
];

#[test]
fn a_ledger_that_was_harmed_after_the_merge_takes_no_line_and_no_proof_away() {
    for (harm, make) in HARMS {
        for shards in ["gone", "there"] {
            let dir = TempDir::new().unwrap();
            traced(dir.path(), "r1", 10, &[1, 5], true);
            entering(dir.path(), "r1", playtrace_ledger::Granularity::Steps);
            let first =
                if shards == "gone" { merged_for_good(dir.path(), "r1") } else { merged(dir.path(), "r1") };
            let steps = fs_err::read(steps_path_of(&first.data_file)).unwrap();
            make(dir.path());
            let again = merged(dir.path(), "r1");
            let case = format!("{harm}, shards {shards}: {:?}", again.verdict);
            assert_eq!(again.data_file, first.data_file, "{case}");
            assert_eq!(content(&again), lines(&[1, 5]), "{case}");
            assert_eq!(fs_err::read(steps_path_of(&first.data_file)).unwrap(), steps, "{case}");
            let said = again.verdict.verdict.notes.iter().chain(&again.verdict.verdict.reasons);
            assert!(said.clone().any(|text| text.contains("h.9.1.ledger")), "{case}");
            if harm == "one file made anew" {
                assert_eq!(again.verdict.verdict.status, Status::Partial, "more may have been lost: {case}");
            } else {
                assert_eq!(again.verdict.verdict.status, Status::Complete, "{case}");
                assert_eq!(again.verdict.verdict.reasons, [""; 0], "{case}");
                assert_eq!(again.verdict.requests, first.verdict.requests, "{case}");
            }
            playtrace_testkit::schema::check(
                &serde_json::from_str(
                    &fs_err::read_to_string(VerdictFile::path_of(&again.data_file)).unwrap(),
                )
                .unwrap(),
                "verdict",
            );

            let third = merged(dir.path(), "r1");
            assert_eq!(third.verdict.verdict, again.verdict.verdict, "a third merge says the same: {harm}");
            assert_eq!(content(&third), lines(&[1, 5]), "{harm}");
        }
    }
}

#[test]
fn nothing_left_of_a_merged_run_leaves_its_data_alone() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged_for_good(dir.path(), "r1");
    fs_err::remove_dir_all(dir.path().join(".playtrace")).unwrap();
    let before = files(dir.path());
    for run in [None, Some("r1")] {
        let failure = merge_run(&wanted(dir.path(), run)).unwrap_err();
        assert_eq!(failure.code, "PT-MERGE-001");
        assert_eq!(files(dir.path()), before);
    }
    fs_err::create_dir_all(Layout::new(dir.path()).run_dir(&slug(), &token("r1"))).unwrap();
    let failure = merge_run(&wanted(dir.path(), Some("r1"))).unwrap_err();
    assert!(failure.message.contains("what was merged of it before is in"), "{failure:?}");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn a_run_merged_twice_is_the_same_twice() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    let first = merged(dir.path(), "r1");
    let data = fs_err::read(&first.data_file).unwrap();
    let second = merged_for_good(dir.path(), "r1");
    let third = merged(dir.path(), "r1");
    assert_eq!(fs_err::read(&third.data_file).unwrap(), data);
    for again in [second, third] {
        assert_eq!(
            (again.verdict.verdict.status, &again.verdict.verdict.reasons[..]),
            (Status::Complete, &[][..])
        );
        assert_eq!(again.verdict.ledger, first.verdict.ledger, "a merge is no part of the run");
    }
}

#[test]
fn what_came_after_a_merge_is_added() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], false);
    let first = merged_for_good(dir.path(), "r1");
    assert_eq!(first.verdict.verdict.status, Status::Partial, "the request had not ended");
    another_request(dir.path(), "r1", 12, "1", Some(1), &[7]);
    let second = merged(dir.path(), "r1");
    assert_eq!(content(&second), lines(&[1, 5, 7]), "what was in the shard alone is in the data still");
    assert_eq!(second.verdict.verdict.status, Status::Complete, "{:?}", second.verdict);
}

#[test]
fn what_came_after_a_harm_is_added_and_the_harm_is_named() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merged_for_good(dir.path(), "r1");
    fs_err::remove_file(web_ledger(dir.path(), "r1")).unwrap();
    another_request(dir.path(), "r1", 12, "1", Some(1), &[7]);
    let second = merged(dir.path(), "r1");
    assert_eq!(content(&second), lines(&[1, 5, 7]));
    let verdict = &second.verdict.verdict;
    assert_eq!(verdict.status, Status::Partial);
    assert!(
        verdict.reasons.iter().any(|reason| reason.starts_with("data lost: the ledger h.9.1.ledger")),
        "{verdict:?}"
    );
}

#[test]
fn a_merge_without_the_players_record_does_not_forget_what_it_proved() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    // The player could not see this directory: its record lies elsewhere.
    let layout = Layout::new(dir.path());
    let mine = Layout::file_name(&playtrace_ledger::ProcessId::current());
    let manifest = dir.path().join("r1.manifest");
    fs_err::rename(layout.run_dir(&slug(), &token("r1")).join(mine), &manifest).unwrap();
    let with = MergeRun { manifest: Some(manifest), ..wanted(dir.path(), Some("r1")) };
    assert_eq!(merge_run(&with).unwrap().verdict.verdict.status, Status::Complete);
    let without = merged(dir.path(), "r1");
    assert_eq!(without.verdict.verdict.status, Status::Complete, "{:?}", without.verdict);
    assert!(
        without.verdict.verdict.notes.iter().any(|note| note.contains("r1.manifest")),
        "{:?}",
        without.verdict
    );
}

#[test]
fn a_players_record_alone_names_what_is_missing() {
    let dir = TempDir::new().unwrap();
    crate::made::player(dir.path(), "r1", 10);
    let manifest = dir.path().join("r1.manifest");
    let mine = Layout::file_name(&playtrace_ledger::ProcessId::current());
    fs_err::rename(Layout::new(dir.path()).run_dir(&slug(), &token("r1")).join(mine), &manifest).unwrap();
    fs_err::remove_dir_all(dir.path().join(".playtrace")).unwrap();
    let done = merge_run(&MergeRun { manifest: Some(manifest), ..wanted(dir.path(), Some("r1")) }).unwrap();
    assert!(done.verdict.verdict.reasons[0].contains("its process's ledger is not in this directory"));
}

#[test]
fn a_shard_whose_ledger_never_was_or_is_gone_proves_nothing() {
    let dir = TempDir::new().unwrap();
    traced(dir.path(), "r1", 10, &[1, 5], true);
    fs_err::remove_dir_all(dir.path().join(".playtrace")).unwrap();
    let done = merge_run(&wanted(dir.path(), None)).unwrap();
    assert_eq!(content(&done), lines(&[1, 5]));
    assert_eq!(done.verdict.verdict.status, Status::Partial);
    assert!(done.verdict.verdict.reasons[0].contains("no ledger of the run is here"), "{:?}", done.verdict);
}

#[test]
fn a_ledger_that_was_cut_off_between_two_records_is_seen_by_the_shards() {
    let dir = TempDir::new().unwrap();
    let shard = traced(dir.path(), "r1", 10, &[1, 5], true);
    let mut shard = shard;
    shard.add(&lines(&[8])).unwrap();
    let done = merged(dir.path(), "r1");
    assert_eq!(content(&done), lines(&[1, 5, 8]));
    assert_eq!(done.verdict.verdict.status, Status::Partial);
    let reason = &done.verdict.verdict.reasons[0];
    assert!(
        reason.starts_with("data lost: a part of the ledger is gone") && reason.contains("a.py"),
        "{reason}"
    );
}

fn untokened(dir: &Path, keep_shards: bool) -> Merged {
    merge_run(&MergeRun { run: Some(RunToken::untokened()), keep_shards, ..wanted(dir, None) }).unwrap()
}

/// Moves the run `r` to the place of requests without a token; without a player nobody says what there should be.
fn without_token(dir: &Path, at: u64, numbers: &[u32]) {
    let slug = slug();
    let layout = Layout::new(dir);
    drop(traced(dir, "r", at, numbers, true));
    let from = layout.run_dir(&slug, &token("r"));
    fs_err::remove_file(from.join(Layout::file_name(&playtrace_ledger::ProcessId::current()))).unwrap();
    fs_err::rename(from, layout.run_dir(&slug, &RunToken::untokened())).unwrap();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // The lines are in the ledger; a shard would say that it is of the run `r`.
        if path.file_name().unwrap().to_string_lossy().contains(".coverage.") {
            fs_err::remove_file(path).unwrap();
        }
    }
}

#[test]
fn runs_without_a_token_are_told_apart_by_their_ledgers() {
    let dir = TempDir::new().unwrap();
    without_token(dir.path(), 10, &[1, 5]);
    let first = untokened(dir.path(), true);
    assert_eq!(first.verdict.verdict.status, Status::Consistent, "{:?}", first.verdict);
    another_request(dir.path(), "_", 11, "2", None, &[6]);
    assert_eq!(content(&untokened(dir.path(), false)), lines(&[1, 5, 6]), "the same run, still");
    // The merge has ended it. The same process begins another one, in a file of the same name.
    without_token(dir.path(), 20, &[9]);
    assert_eq!(content(&untokened(dir.path(), false)), lines(&[9]), "two runs never mix");
}

#[test]
fn an_explicit_output_is_added_to_and_nothing_but_data_is_replaced() {
    let dir = TempDir::new().unwrap();
    let elsewhere = dir.path().join("there/x.coverage");
    let to = |run| MergeRun {
        output: Some(elsewhere.clone()),
        keep_shards: false,
        ..wanted(dir.path(), Some(run))
    };
    traced(dir.path(), "r1", 10, &[1, 5], true);
    merge_run(&to("r1")).unwrap();
    fs_err::remove_file(web_ledger(dir.path(), "r1")).unwrap();
    let again = merge_run(&to("r1")).unwrap();
    assert_eq!(content(&again), lines(&[1, 5]));
    assert_eq!(again.verdict.verdict.status, Status::Complete);

    fs_err::write(&elsewhere, "import this").unwrap();
    let before = files(dir.path());
    let failure = merge_run(&to("r1")).unwrap_err();
    assert_eq!(failure.code, "PT-MERGE-005", "{failure:?}");
    assert_eq!(files(dir.path()), before);
    fs_err::remove_file(&elsewhere).unwrap();
    assert!(CoverageData::read(&elsewhere).is_err());
}

//! Runs whose rows are not held in memory: the result is that of one whose rows are.

use std::path::{Path, PathBuf};

use playtrace::Exit;
use playtrace::finish::{MergeRun, Merged, VerdictFile, merge_run_with};
use playtrace_covdata::data::ContextPolicy;
use playtrace_covdata::merge::Gathering;
use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_ledger::{Engine, Granularity, Journal, Layout, NewLines, ProcessId, Record, Role, UnitKind};
use playtrace_model::{ContextLabel, LineData, MeasuredPath, Status};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::made::{content, files, player, slug, token, wanted};

/// What one process does: its requests' lines, which of its lines the ledger lacks, and what becomes of its shard.
#[derive(Debug, Clone)]
struct Process {
    requests: Vec<Vec<(u8, u32)>>,
    unproven: Option<u32>,
    fate: Fate,
    /// Whether its last request's lines wait in the ledger.
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    Gone,
    CutOff,
}

fn process() -> impl Strategy<Value = Process> {
    let fate = prop_oneof![6 => Just(Fate::Whole), 1 => Just(Fate::Gone), 1 => Just(Fate::CutOff)];
    let requests = proptest::collection::vec(proptest::collection::vec((0u8..4, 1u32..300), 1..6), 1..5);
    (requests, proptest::option::weighted(0.1, 1u32..300), fate, proptest::bool::weighted(0.2))
        .prop_map(|(requests, unproven, fate, waits)| Process { requests, unproven, fate, waits })
}

fn lines(label: &str, rows: &[(u8, u32)]) -> LineData {
    let mut data = LineData::new();
    for (file, line) in rows {
        let path = MeasuredPath::new(format!("f{file}.py"));
        data.add(&ContextLabel::new(label), &path, &std::iter::once(*line).collect());
    }
    data
}

/// Leaves what the process leaves behind; returns the lines that anyone has, and its shard.
fn leave(dir: &Path, pid: u32, does: &Process) -> (LineData, PathBuf) {
    let ledger = Layout::new(dir).run_dir(&slug(), &token("r1")).join(format!("h.{pid}.1.ledger"));
    let mut journal = Journal::append_to(ledger).unwrap();
    let boot = Record::Boot {
        version: 1,
        process: ProcessId { pid, start: 1, ..ProcessId::current() },
        ppid: 1,
        role: Role::Web,
        program: "test".to_owned(),
        granularity: Granularity::Request,
        engine: Engine::Native,
    };
    journal.append(10, boot).unwrap();
    let of = (&slug(), &token("r1"));
    let mut draft = ShardDraft::new().unwrap();
    let mut shard = ShardWriter::create(&mut draft, dir, of, ("h", pid), &LineData::new()).unwrap();
    let (mut known, last) = (LineData::new(), does.requests.len() - 1);
    for (number, rows) in does.requests.iter().enumerate() {
        let (unit, label) = (number.to_string(), format!("profile:p:{pid}-{number}"));
        let new = lines(&label, rows);
        let open = Record::Open {
            unit: unit.clone(),
            kind: UnitKind::Request,
            step: Some(1),
            job: None,
            child: None,
            what: String::new(),
            scope: Some(format!("{pid}-{number}")),
        };
        journal.append(10, open).unwrap();
        known.union_with(&new);
        let waits = does.waits && number == last;
        if !waits {
            shard.add(&new).unwrap();
        }
        let shard = (!waits).then(|| shard.file_name().to_owned());
        let (new, entered) = (NewLines(new), NewLines::default());
        journal.append(10, Record::Closed { unit, shard, new, entered }).unwrap();
    }
    if let Some(line) = does.unproven {
        let more = lines(&format!("profile:p:{pid}-0"), &[(9, line)]);
        shard.add(&more).unwrap();
        if does.fate == Fate::Whole {
            known.union_with(&more);
        }
    }
    let path = shard.path().to_owned();
    drop(shard);
    match does.fate {
        Fate::Whole => {}
        Fate::Gone => fs_err::remove_file(&path).unwrap(),
        Fate::CutOff => fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap(),
    }
    (known, path)
}

fn copied(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for (name, bytes) in files(from) {
        let path = to.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    to
}

fn relabelled(data: &LineData, contexts: ContextPolicy) -> LineData {
    let mut relabelled = LineData::new();
    for (context, path, lines) in data.iter() {
        relabelled.add(&contexts.apply(context), path, lines);
    }
    relabelled
}

/// What is said of a merge in `dir`, whatever the time and the directory.
fn said(dir: &Path, merged: &Merged) -> (VerdictFile, Exit, Vec<String>, usize) {
    let mut verdict = merged.verdict.clone();
    verdict.merged_at = verdict.ended.unwrap_or_default();
    let name = dir.display().to_string();
    let problems = merged.problems.iter().map(|problem| problem.replace(&name, "DIR")).collect();
    for text in verdict.verdict.reasons.iter_mut().chain(&mut verdict.verdict.notes) {
        *text = text.replace(&name, "DIR");
    }
    (verdict, merged.exit(), problems, merged.shards)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn rows_on_disk_come_to_the_same_as_rows_in_memory(
        first in proptest::collection::vec(process(), 1..5),
        later in proptest::collection::vec(process(), 0..4),
        keep_shards: bool,
        contexts in prop_oneof![Just(ContextPolicy::Keep), Just(ContextPolicy::Profile), Just(ContextPolicy::Drop)],
    ) {
        let origin = TempDir::new().unwrap();
        player(origin.path(), "r1", 10);
        let mut known = LineData::new();
        let mut shards = Vec::new();
        for (pid, does) in (100..).zip(&first) {
            let (lines, shard) = leave(origin.path(), pid, does);
            known.union_with(&lines);
            shards.push((shard, does.fate));
        }
        let (large, small) = (copied(origin.path()), copied(origin.path()));
        let merge = |dir: &Path, limit: Option<usize>| {
            let gathering = limit.map_or_else(Gathering::default, Gathering::within);
            let wanted = MergeRun { keep_shards, contexts, ..wanted(dir, Some("r1")) };
            merge_run_with(&wanted, gathering).unwrap()
        };
        for turn in [&first, &later] {
            // Both directories get the same files: a later turn is added to what the first one came to.
            if std::ptr::eq(turn, &raw const later) {
                let more = TempDir::new().unwrap();
                for (pid, does) in (200..).zip(turn) {
                    known.union_with(&leave(more.path(), pid, does).0);
                }
                for (name, bytes) in files(more.path()) {
                    fs_err::write(large.path().join(&name), &bytes).unwrap();
                    fs_err::write(small.path().join(&name), &bytes).unwrap();
                }
            }
            let (whole, spilled) = (merge(large.path(), None), merge(small.path(), Some(64)));
            prop_assert_eq!(said(large.path(), &whole), said(small.path(), &spilled));
            let bytes = |merged: &Merged| fs_err::read(&merged.data_file).unwrap();
            prop_assert_eq!(bytes(&whole), bytes(&spilled));
            prop_assert_eq!(content(&spilled), relabelled(&known, contexts));
        }
        for (shard, fate) in shards {
            let stays = fate == Fate::CutOff || (fate == Fate::Whole && keep_shards);
            prop_assert_eq!(small.path().join(shard.file_name().unwrap()).exists(), stays, "{:?}", fate);
        }
        let proven = |does: &Process| does.unproven.is_none() && does.fate != Fate::CutOff;
        if first.iter().chain(&later).all(proven) {
            prop_assert_eq!(merge(small.path(), Some(64)).verdict.verdict.status, Status::Complete);
        }
    }
}

//! Units that began, as only the memory map of their process says so far.

use std::collections::BTreeSet;
use std::path::Path;

use playtrace_model::{RunToken, Slug, Status};

use super::{assert_reason, closed, judge, open, passed, player, writer};
use crate::unflushed::{MAGIC, opened_record};
use crate::{Entry, Layout, Record, Role, RunLedger, Writer, encode};

/// A run's directory with these files, and with maps in which units began.
fn run(dir: &Path, writers: &[&Writer], maps: &[(&str, &[Record])]) -> [RunLedger; 2] {
    let (layout, slug, run) = (Layout::new(dir), Slug::parse("p").unwrap(), RunToken::parse("r").unwrap());
    let place = layout.run_dir(&slug, &run);
    std::fs::create_dir_all(&place).unwrap();
    let line = |record: &Record| encode(&Entry { at: 6, record: record.clone() }).unwrap();
    for writer in writers {
        let bytes: Vec<u8> = writer.entries().iter().flat_map(|entry| encode(entry).unwrap()).collect();
        std::fs::write(place.join(&writer.file), bytes).unwrap();
    }
    for (file, opened) in maps {
        let records: Vec<u8> = opened.iter().flat_map(|record| opened_record(&line(record))).collect();
        let bytes = [&MAGIC[..], &(records.len() as u64).to_le_bytes(), &records].concat();
        std::fs::write(place.join(file).with_extension(Layout::UNFLUSHED), bytes).unwrap();
    }
    [RunLedger::read(&layout, &slug, &run).unwrap(), RunLedger::scan(&layout, &slug, &run).unwrap()]
}

#[test]
fn a_unit_that_only_the_map_has_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let web = writer(9, Role::Web, vec![open("1", 1), closed("1", &[1])]);
    let ledgers = run(dir.path(), &[&player(2, vec![], passed()), &web], &[(&web.file, &[open("2", 2)])]);
    for ledger in &ledgers {
        let judgement = judge(ledger, &BTreeSet::new());
        assert_reason(&judgement, Status::Partial, "ended in the middle of step 2 (GET /2)");
        assert_eq!(judgement.verdict.reasons.len(), 1, "{:?}", judgement.verdict);
    }
    assert_eq!(
        ledgers.each_ref().map(RunLedger::latest),
        [Some(6), Some(6)],
        "it is the run's latest sign of life"
    );
    // It is no record of the file, which may end without it.
    assert_eq!(ledgers.map(|ledger| ledger.extents()[&web.file].records), [3, 3]);
}

#[test]
fn a_unit_that_the_ledger_has_in_the_meantime_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let records = vec![open("1", 1), closed("1", &[1]), open("2", 2), closed("2", &[2])];
    let web = writer(9, Role::Web, records);
    let maps: [&[Record]; 2] = [&[open("2", 2)], &[open("1", 1), open("2", 2)]];
    for map in maps {
        for ledger in run(dir.path(), &[&player(2, vec![], passed()), &web], &[(&web.file, map)]) {
            let judgement = judge(&ledger, &BTreeSet::new());
            assert_eq!(judgement.verdict.status, Status::Complete, "{:?}", judgement.verdict);
            assert_eq!(judgement.requests, 2);
        }
    }
}

#[test]
fn a_map_whose_ledger_is_gone_is_named_for_a_unit_alone() {
    let dir = tempfile::tempdir().unwrap();
    for ledger in run(dir.path(), &[&player(0, vec![], passed())], &[("h.10.1.ledger", &[open("2", 2)])]) {
        let judgement = judge(&ledger, &BTreeSet::new());
        assert_reason(&judgement, Status::Partial, "the ledger h.10.1.ledger is gone: a memory map");
    }
}

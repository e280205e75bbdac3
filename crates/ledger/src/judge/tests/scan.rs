//! A ledger that is read in little memory is judged as one that is held as a whole.

use proptest::prelude::*;

use super::*;
use crate::Layout;

/// A request that ended: its lines, and whether they are in the shard.
type Ended = (Vec<u32>, bool);

fn records(ended: &[Ended], open_at_the_end: bool) -> Vec<Record> {
    let source = |path: &str, content: &[u8]| Record::Source {
        path: MeasuredPath::new(path),
        hash: SourceHash::from_digest(&[content[0]; 32]),
    };
    let mut records = vec![source("a.py", &[1])];
    for (number, (numbers, is_in_shard)) in (1..).zip(ended) {
        let unit = number.to_string();
        records.push(open(&unit, number));
        let mut record = closed(&unit, numbers);
        if let Record::Closed { shard, .. } = &mut record
            && !is_in_shard
        {
            *shard = None;
        }
        records.push(record);
        records.push(source("b.py", &[u8::try_from(numbers.len()).unwrap()]));
    }
    if open_at_the_end {
        records.push(open("last", 99));
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_scanned_ledger_is_judged_as_one_that_was_read(
        processes in proptest::collection::vec(
            (proptest::collection::vec((proptest::collection::vec(1u32..40, 0..4), any::<bool>()), 0..6), any::<bool>()), 1..4),
        merged: bool,
        harm in proptest::option::of((any::<u16>(), any::<bool>())),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (layout, slug, run) = (Layout::new(dir.path()), Slug::parse("p").unwrap(), RunToken::parse("r").unwrap());
        let place = layout.run_dir(&slug, &run);
        std::fs::create_dir_all(&place).unwrap();
        let write = |writer: &Writer, harm: Option<(u16, bool)>| {
            let mut bytes: Vec<u8> = writer.entries().iter().flat_map(|entry| encode(entry).unwrap()).collect();
            if let Some((at, is_cut)) = harm {
                let at = usize::from(at) % bytes.len();
                if is_cut { bytes.truncate(at) } else { bytes[at] ^= 1 }
            }
            std::fs::write(place.join(&writer.file), bytes).unwrap();
        };
        for (pid, (ended, open_at_the_end)) in (20..).zip(&processes) {
            write(&writer(pid, Role::Web, records(ended, *open_at_the_end)), harm.filter(|_| pid == 20));
        }
        write(&player(3, vec![], passed()), None);
        if merged {
            let record = Record::Merged { shards: vec![], into: "p.coverage".to_owned() };
            write(&writer(12, Role::Merger, vec![record]), None);
        }

        let whole = RunLedger::read(&layout, &slug, &run).unwrap();
        let mut taken = LineData::new();
        let scanned = RunLedger::scan_lines(&layout, &slug, &run, &mut |lines| taken.union_with(lines)).unwrap();
        let (mut expected, mut found) = (judge(&whole, &BTreeSet::new()), judge(&scanned, &BTreeSet::new()));
        prop_assert_eq!(&taken, &expected.lines);
        prop_assert!(found.lines.difference(&taken).is_empty());
        (expected.lines, found.lines) = (LineData::new(), LineData::new());
        prop_assert_eq!(found, expected);
        prop_assert_eq!(behind(&scanned), behind(&whole));
        prop_assert_eq!(scanned.extents(), whole.extents());
        prop_assert_eq!(scanned.latest(), whole.latest());
        let told = |ledger: &RunLedger| {
            let entries = ledger.entries();
            entries.filter(|entry| matches!(entry.record, Record::Source { .. })).count()
        };
        prop_assert!(told(&scanned) <= told(&whole));
        prop_assert_eq!(scanned.has_traced_work(), whole.has_traced_work());
        let kept = scanned.entries().map(|entry| &entry.record);
        for record in kept {
            prop_assert!(!matches!(record, Record::Open { .. } | Record::Closed { .. } | Record::Sent { .. }), "{:?}", record);
        }
        // What is in a shard is not kept.
        for (scanned, whole) in scanned.writers.iter().zip(&whole.writers) {
            let closed = whole.entries().iter().filter_map(|entry| match &entry.record {
                Record::Closed { shard, new, .. } => Some((shard.is_some(), new)),
                _ => None,
            });
            let mut waiting = LineData::new();
            for (is_in_shard, new) in closed {
                if is_in_shard { waiting = LineData::new() } else { waiting.union_with(&new.0) }
            }
            let mut kept = LineData::new();
            scanned.work.behind.iter().for_each(|(_, lines)| kept.union_with(lines));
            prop_assert_eq!(kept, waiting);
        }
    }
}

use playtrace_model::ContextLabel;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::data::{ContextPolicy, CoverageData, Ownership};

/// Context, file, lines.
type Rows = Vec<(u8, u8, Vec<u32>)>;

fn rows() -> impl Strategy<Value = Rows> {
    proptest::collection::vec((0u8..6, 0u8..6, proptest::collection::vec(1u32..900, 0..9)), 0..25)
}

fn data(rows: &Rows) -> LineData {
    let mut data = LineData::new();
    for (context, file, lines) in rows {
        let (context, file) = (format!("profile:p:{context}"), format!("f{file}.py"));
        data.add(&ContextLabel::new(context), &MeasuredPath::new(file), &lines.iter().copied().collect());
    }
    data
}

/// The lines of each file that has any.
fn by_file(data: &LineData) -> FileLines {
    data.lines_by_file(|_| true).into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    /// The union in memory is the model: lines that are told, inputs, and files of earlier merges.
    #[test]
    fn what_was_gathered_is_the_union_of_values(
        told in proptest::collection::vec(rows(), 0..4),
        inputs in proptest::collection::vec(rows(), 0..6),
        earlier in proptest::option::of(rows()),
        wanted in rows(),
        policy in prop_oneof![Just(ContextPolicy::Keep), Just(ContextPolicy::Profile), Just(ContextPolicy::Drop)],
        is_small: bool,
    ) {
        let dir = TempDir::new().unwrap();
        let write = |name: String, rows: &Rows| {
            let path = dir.path().join(name);
            CoverageData::from_lines(data(rows)).write(&path, &Ownership::default()).unwrap();
            path
        };
        let paths: Vec<PathBuf> = (0..).zip(&inputs).map(|(at, rows)| write(format!("input-{at}"), rows)).collect();
        let before = earlier.as_ref().map(|rows| write("earlier".to_owned(), rows));
        let options = MergeOptions { contexts: policy, ..MergeOptions::default() };

        let mut gathering = if is_small { Gathering::within(64) } else { Gathering::default() };
        let (mut all, mut shards) = (CoverageData::default(), LineData::new());
        for rows in &told {
            gathering.add_lines(&data(rows)).unwrap();
            assert!(all.add_lines(&data(rows)));
        }
        prop_assert_eq!(gathering.lines_since(), by_file(&all.lines()));
        gathering.watch(data(&wanted));
        let read = gathering.read(&paths, &options, &|| ()).unwrap();
        for path in &paths {
            let input = CoverageData::read(path).unwrap();
            shards.union_with(&input.lines());
            assert!(all.include(input));
        }
        prop_assert_eq!(gathering.lines_since(), by_file(&shards));
        prop_assert_eq!(gathering.not_found(), data(&wanted).difference(&shards));
        if let Some(before) = &before {
            let input = CoverageData::read(before).unwrap();
            let found = gathering.add_file(before).unwrap();
            prop_assert_eq!(found, Found { lines: by_file(&input.lines()), has_arcs: Some(false) });
            assert!(all.include(input));
        }
        let has_arcs = (!told.is_empty() || !inputs.is_empty() || before.is_some()).then_some(false);
        let union = gathering.finish(read, has_arcs, &options).unwrap().data;
        let rows: usize = all.lines().iter().filter(|(.., lines)| !lines.is_empty()).count();
        if is_small && rows > 8 {
            prop_assert!(union.spilled() > 0);
        }
        all.relabel(policy);
        let files = ["streamed", "whole"].map(|name| dir.path().join(name));
        union.stage(&files[0], &Ownership::default()).unwrap().place().unwrap();
        all.write(&files[1], &Ownership::default()).unwrap();
        prop_assert_eq!(fs_err::read(&files[0]).unwrap(), fs_err::read(&files[1]).unwrap());
    }
}

#[test]
fn rows_beyond_the_limit_are_on_disk_and_those_below_in_memory() {
    let many: Rows = (0..200).map(|at| (at, 1, vec![1, 80])).collect();
    // What a row takes by `LineTable::size`: 16 bytes of lines, and 32.
    for (limit, pieces) in [(200 * 48 * threads_for(usize::MAX), 0), (50 * 48 * threads_for(usize::MAX), 4)] {
        let mut gathering = Gathering::within(limit);
        for row in &many {
            gathering.add_lines(&data(&vec![row.clone()])).unwrap();
        }
        let union =
            gathering.finish(MergeOutcome::default(), Some(false), &MergeOptions::default()).unwrap().data;
        assert_eq!(union.spilled(), pieces, "{limit}");
        assert_eq!(union.in_memory() > 0, pieces == 0);
        assert_eq!(union.into_data().unwrap().lines().iter().count(), 200);
    }
}

#[test]
fn plug_ins_of_a_file_that_is_no_input_count() {
    let dir = TempDir::new().unwrap();
    let write = |name: &str, plugin: &str| {
        let path = dir.path().join(name);
        let mut data = CoverageData::from_lines(data(&vec![(1, 1, vec![1])]));
        data.tracers.insert(MeasuredPath::new("f1.py"), plugin.to_owned());
        data.write(&path, &Ownership::default()).unwrap();
        path
    };
    let (input, before) = (write("input", "of.inputs"), write("earlier", "of.before"));
    let mut gathering = Gathering::default();
    let read = gathering.read(&[input], &MergeOptions::default(), &|| ()).unwrap();
    gathering.add_file(&before).unwrap();
    let union = gathering.finish(read, Some(false), &MergeOptions::default()).unwrap().data;
    let tracers = union.into_data().unwrap().tracers;
    assert_eq!(tracers[&MeasuredPath::new("f1.py")], "of.before");
}

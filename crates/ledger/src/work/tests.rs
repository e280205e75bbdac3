//! Folded records say what a plain list of all of them says.

use proptest::prelude::*;

use super::*;
use crate::{Engine, Granularity, NewLines, ProcessId, Role};

/// What happens to one of a few units, or to their process.
#[derive(Debug, Clone)]
enum Event {
    Boot,
    Open(u8, UnitKind),
    Left(u8),
    Closed(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![Just(UnitKind::Request), Just(UnitKind::Job), Just(UnitKind::Thread)];
    prop_oneof![
        1 => Just(Event::Boot),
        4 => (0..4u8, kind).prop_map(|(unit, kind)| Event::Open(unit, kind)),
        2 => (0..4u8).prop_map(Event::Left),
        4 => (0..4u8).prop_map(Event::Closed),
    ]
}

fn record(event: &Event) -> Record {
    let named = |unit: &u8| unit.to_string();
    match event {
        Event::Boot => Record::Boot {
            version: 1,
            process: ProcessId::current(),
            ppid: 1,
            role: Role::Web,
            program: "test".to_owned(),
            granularity: Granularity::Profile,
            engine: Engine::Native,
        },
        Event::Open(unit, kind) => Record::Open {
            unit: named(unit),
            kind: *kind,
            step: Some(u32::from(*unit)),
            job: Some(format!("j{unit}")),
            child: None,
            what: String::new(),
            scope: None,
        },
        Event::Left(unit) => Record::Left { unit: named(unit) },
        Event::Closed(unit) => Record::Closed {
            unit: named(unit),
            shard: None,
            new: NewLines::default(),
            entered: NewLines::default(),
        },
    }
}

/// A unit in the plain list.
#[derive(Debug, Clone)]
struct Known {
    program: usize,
    unit: u8,
    kind: UnitKind,
    left: bool,
    closed: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn units_are_those_of_a_plain_list(events in proptest::collection::vec(event(), 0..40)) {
        let (mut work, mut known, mut program) = (Work::default(), Vec::<Known>::new(), 0);
        for event in &events {
            let latest = |known: &[Known], unit: u8| known.iter().rposition(|of| of.unit == unit);
            match event {
                Event::Boot => program += 1,
                Event::Open(unit, kind) => {
                    // Within a program names are unique.
                    if latest(&known, *unit).is_some_and(|at| known[at].program == program) {
                        continue;
                    }
                    known.push(Known { program, unit: *unit, kind: *kind, left: false, closed: false });
                }
                Event::Left(unit) => if let Some(at) = latest(&known, *unit) { known[at].left = true },
                Event::Closed(unit) => if let Some(at) = latest(&known, *unit) { known[at].closed = true },
            }
            work.take(&Entry { at: 1, record: record(event) });
        }
        let mut open: Vec<&Known> = known.iter().filter(|unit| !unit.closed).collect();
        open.sort_by_key(|unit| (unit.program, unit.unit));
        let expected: Vec<_> =
            open.iter().map(|of| (of.kind, Some(u32::from(of.unit)), of.left)).collect();
        let found: Vec<_> = work.still_open().map(|unit| (unit.kind, unit.step, unit.left)).collect();
        prop_assert_eq!(found, expected);
        for kind in [UnitKind::Request, UnitKind::Job, UnitKind::Thread] {
            let expected = known.iter().filter(|unit| unit.kind == kind).count();
            prop_assert_eq!(work.begun.kinds.get(&kind).copied().unwrap_or_default(), expected);
        }
        for unit in 0..4u8 {
            let expected = known.iter().filter(|known| known.unit == unit).count();
            prop_assert_eq!(work.begun.jobs.get(&format!("j{unit}")).copied().unwrap_or_default(), expected);
            prop_assert_eq!(work.begun.steps.contains(&u32::from(unit)), expected > 0);
        }
    }
}

#[test]
fn of_what_has_ended_nothing_is_kept_but_numbers() {
    let mut work = Work::default();
    let mut take = |event: Event| work.take(&Entry { at: 1, record: record(&event) });
    take(Event::Boot);
    for unit in 0..200 {
        take(Event::Open(unit, UnitKind::Request));
        take(Event::Closed(unit));
    }
    let [program] = work.programs.as_slice() else { panic!("{:?}", work.programs) };
    assert!(program.open.is_empty() && program.ended.is_empty());
    assert_eq!(work.begun.kinds, BTreeMap::from([(UnitKind::Request, 200)]));
}

#[test]
fn a_beginning_that_was_written_twice_counts_once() {
    let mut work = Work::default();
    for event in [Event::Boot, Event::Open(1, UnitKind::Job), Event::Open(1, UnitKind::Job), Event::Closed(1)]
    {
        work.take(&Entry { at: 1, record: record(&event) });
    }
    assert_eq!(work.begun.jobs, BTreeMap::from([("j1".to_owned(), 1)]));
    assert_eq!(work.still_open().count(), 0);
}

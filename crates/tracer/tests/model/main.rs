#![allow(clippy::unwrap_used)] // helpers of tests, not only tests

//! The tracer against naive sets, on a simulated interpreter that silences places as CPython does.

mod by_hand;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;

use world::*;

fn ops(contexts: usize) -> impl Strategy<Value = Vec<Op>> {
    let context = 0..contexts;
    let times = prop_oneof![Just(1u32), Just(2), Just(150), Just(2300)];
    let op = prop_oneof![
        3 => context.clone().prop_map(Op::Activate),
        1 => context.clone().prop_map(Op::Deactivate),
        5 => context.clone().prop_map(Op::Sleep),
        4 => (0..THREADS, proptest::option::weighted(0.9, context.clone()))
            .prop_map(|(thread, context)| Op::Switch { thread, context }),
        6 => (0..THREADS, 0..SHAPES.len(), times.clone())
            .prop_map(|(thread, code, times)| Op::Call { thread, code, times }),
        3 => (0..THREADS, 0..SHAPES.len(), 0..9u32, times.clone())
            .prop_map(|(thread, code, place, times)| Op::Resume { thread, code, place, times }),
        12 => (0..THREADS, 0..9u32, times.clone()).prop_map(|(thread, line, times)| Op::Line { thread, line, times }),
        4 => (0..THREADS).prop_map(|thread| Op::Return { thread }),
        4 => (0..THREADS, proptest::option::weighted(0.9, context.clone()), 0..SHAPES.len(), 0..9u32, times.clone())
            .prop_map(|(thread, context, code, line, times)| Op::Within { thread, context, code, line, times }),
        1 => context.clone().prop_map(Op::Drain),
        2 => Just(Op::Disarm),
        1 => (0..SHAPES.len()).prop_map(Op::Recompile),
        1 => Just(Op::Renew),
        3 => (0..THREADS).prop_map(|thread| Op::Sample { thread }),
        1 => Just(Op::EndSample),
    ];
    let fork = (0..contexts).prop_map(|keep| Op::Fork { keep });
    proptest::collection::vec(prop_oneof![60 => op, 1 => Just(Op::NoticeFork), 1 => fork], 0..140)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn few_contexts_lose_nothing_and_steal_nothing(ops in ops(3)) {
        prop_assert_eq!(run(&ops, Mutation::None).lost_or_wrong(), BTreeMap::new());
    }

    #[test]
    fn more_contexts_than_slots_lose_nothing(ops in ops(CONTEXTS)) {
        let mut all: Vec<Op> = (0..68).map(Op::Activate).collect();
        all.extend(ops);
        prop_assert_eq!(run(&all, Mutation::None).lost_or_wrong(), BTreeMap::new());
    }

    #[test]
    fn units_know_what_they_entered_and_their_context_every_line(ops in ops(4)) {
        prop_assert_eq!(run_as(Kind::Steps, ops).lost_or_wrong(), BTreeMap::new());
    }

    #[test]
    fn more_units_than_slots_lose_no_entry(ops in ops(CONTEXTS)) {
        let mut all: Vec<Op> = (0..68).map(Op::Activate).collect();
        all.extend(ops);
        prop_assert_eq!(run_as(Kind::Steps, all).lost_or_wrong(), BTreeMap::new());
    }

    #[test]
    fn where_entries_are_all_that_is_wanted_none_is_lost(ops in ops(4)) {
        prop_assert_eq!(run_as(Kind::Symbols, ops).lost_or_wrong(), BTreeMap::new());
    }

    #[test]
    fn nobodys_work_loses_no_entry_and_takes_none(ops in ops(4)) {
        for kind in [Kind::Lines, Kind::Steps, Kind::Symbols] {
            prop_assert_eq!(run_with_anyone(kind, ops.clone()).lost_or_wrong(), BTreeMap::new());
        }
    }

    #[test]
    fn drained_lines_are_all_lines(ops in ops(3)) {
        let mut world = run(&ops, Mutation::None);
        for context in 0..3 {
            world.drain(context);
            prop_assert_eq!(&world.contexts[context].drained, &world.contexts[context].lines);
        }
    }
}

//! Courses of events that were thought out, and glue that forgets something.

use std::collections::BTreeMap;

use super::world::*;

/// Two contexts that run the same code one after the other, the second one also within a running frame.
fn shared_code() -> Vec<Op> {
    let mut ops = vec![Op::Activate(0), Op::Switch { thread: 0, context: Some(0) }];
    for (code, lines) in SHAPES.into_iter().enumerate() {
        ops.push(Op::Call { thread: 0, code, times: 200 });
        for line in 0..lines {
            ops.push(Op::Line { thread: 0, line, times: 200 });
        }
    }
    let mut second = vec![Op::Activate(1), Op::Switch { thread: 0, context: Some(1) }];
    second.extend((0..9).map(|line| Op::Line { thread: 0, line, times: 1 }));
    second.push(Op::Switch { thread: 1, context: Some(1) });
    for (code, lines) in SHAPES.into_iter().enumerate() {
        second.push(Op::Call { thread: 1, code, times: 1 });
        second.extend((0..lines).map(|line| Op::Line { thread: 1, line, times: 1 }));
    }
    ops.extend(second);
    ops
}

#[test]
fn the_second_context_gets_shared_code_too() {
    let world = run(&shared_code(), Mutation::None);
    assert_eq!(world.lost_or_wrong(), BTreeMap::new());
    assert_eq!(world.contexts[0].lines.len(), SHAPES.iter().sum::<u32>() as usize);
    assert!(!world.contexts[1].lines.is_empty());
}

/// The check can fail: a glue that forgets to arm code again loses lines of the second context.
#[test]
fn each_forgotten_arming_is_noticed() {
    for mutation in [Mutation::NoRearmAtActivation, Mutation::NoRearmAtEntry, Mutation::NoRearmOfTheStack] {
        let mut ops = shared_code();
        if mutation == Mutation::NoRearmAtEntry {
            // Entries stay reported here; only the lines were silenced.
            ops.retain(|op| !matches!(op, Op::Switch { thread: 1, .. } | Op::Call { times: 1, .. }));
            ops = vec![Op::Activate(0), Op::Switch { thread: 0, context: Some(0) }];
            ops.push(Op::Call { thread: 0, code: 3, times: 1 });
            ops.extend((0..9).map(|line| Op::Line { thread: 0, line, times: 200 }));
            ops.extend([Op::Activate(1), Op::Switch { thread: 1, context: Some(1) }]);
            ops.push(Op::Call { thread: 1, code: 3, times: 1 });
            ops.extend((0..9).map(|line| Op::Line { thread: 1, line, times: 1 }));
        }
        if mutation == Mutation::NoRearmOfTheStack {
            ops.truncate(ops.len() - SHAPES.iter().sum::<u32>() as usize - SHAPES.len() - 1);
            let activation = ops.iter().position(|op| matches!(op, Op::Activate(1))).unwrap();
            // Entries of the running frame are not silenced, so that only the switch can arm it.
            ops = [
                Op::Activate(0),
                Op::Switch { thread: 0, context: Some(0) },
                Op::Call { thread: 0, code: 3, times: 1 },
            ]
            .into_iter()
            .chain((0..9).map(|line| Op::Line { thread: 0, line, times: 200 }))
            .chain(ops.split_off(activation))
            .collect();
        }
        assert_eq!(run(&ops, Mutation::None).lost_or_wrong(), BTreeMap::new());
        let lost = run(&ops, mutation).lost_or_wrong();
        assert!(lost.contains_key(&1), "{mutation:?} lost nothing");
    }
}

/// So is a line that the interpreter may report and the tracer was not told of: it was silenced with the others.
#[test]
fn a_line_that_was_not_described_is_noticed() {
    let mut ops = vec![
        Op::Activate(0),
        Op::Switch { thread: 0, context: Some(0) },
        Op::Call { thread: 0, code: 3, times: 1 },
    ];
    ops.extend((0..8).map(|line| Op::Line { thread: 0, line, times: 200 }));
    ops.push(Op::Line { thread: 0, line: 8, times: 1 });
    assert_eq!(run(&ops, Mutation::None).lost_or_wrong(), BTreeMap::new());
    assert!(run(&ops, Mutation::ForgetsALine).lost_or_wrong().contains_key(&0));
}

/// Two contexts at work at once, one of which runs a loop in code that the other one has begun, or will run.
fn beside_each_other() -> Vec<Op> {
    let switch = |thread, context| Op::Switch { thread, context: Some(context) };
    let call = |thread| Op::Call { thread, code: 3, times: 1 };
    let line = |thread, line, times| Op::Line { thread, line, times };
    vec![
        Op::Activate(0),
        Op::Activate(1),
        switch(0, 0),
        switch(1, 1),
        call(0),
        call(1),
        line(0, 3, 3000),
        line(1, 3, 1),
    ]
}

/// What another one lacks is silenced for as long as that one is elsewhere, and reported to it when it comes.
#[test]
fn the_loops_of_one_context_fall_silent_beside_another_one() {
    let mut ops = beside_each_other();
    let begun_elsewhere = ops.remove(5);
    ops.insert(6, begun_elsewhere);
    let silenced = run(&ops[..6], Mutation::None);
    assert!(silenced.silenced[3].lines.contains(&4), "{:?}", silenced.silenced[3]);
    let world = run(&ops, Mutation::None);
    assert_eq!(world.lost_or_wrong(), BTreeMap::new());
    assert_eq!(world.contexts[1].lines.len(), 1);
}

/// The same for work that is nobody's.
#[test]
fn the_loops_of_nobody_fall_silent_beside_a_context() {
    let mut ops = vec![Op::Activate(0), Op::Switch { thread: 0, context: Some(0) }];
    ops.push(Op::Call { thread: 1, code: 3, times: 1 });
    ops.extend([3, 4].map(|line| Op::Line { thread: 1, line, times: 3000 }));
    assert_eq!(run(&ops, Mutation::None).silenced[3].lines.len(), 2);
    ops.extend([Op::Call { thread: 0, code: 3, times: 1 }, Op::Line { thread: 0, line: 4, times: 1 }]);
    let world = run(&ops, Mutation::None);
    assert_eq!(world.lost_or_wrong(), BTreeMap::new());
    assert_eq!(world.contexts[0].lines.len(), 1);
}

/// What was silenced while a context slept is reported to it when it wakes; what it has run whole needs not be.
#[test]
fn a_context_that_wakes_hears_of_what_was_silenced_meanwhile() {
    let at = |context| Op::Switch { thread: 0, context };
    let mut ops = vec![Op::Activate(0), at(Some(0)), Op::Call { thread: 0, code: 3, times: 1 }];
    ops.extend([Op::Line { thread: 0, line: 2, times: 1 }, Op::Return { thread: 0 }, at(None), Op::Sleep(0)]);
    ops.extend([Op::Activate(1), at(Some(1)), Op::Call { thread: 0, code: 3, times: 200 }]);
    ops.extend((0..9).map(|line| Op::Line { thread: 0, line, times: 200 }));
    ops.push(Op::Return { thread: 0 });
    let world = run(&ops, Mutation::None);
    assert!(world.silenced[3].start && world.silenced[3].lines_off, "{:?}", world.silenced[3]);
    ops.extend([
        at(Some(0)),
        Op::Call { thread: 0, code: 3, times: 1 },
        Op::Line { thread: 0, line: 5, times: 1 },
    ]);
    let world = run(&ops, Mutation::None);
    assert_eq!(world.lost_or_wrong(), BTreeMap::new());
    assert_eq!(world.contexts[0].lines.len(), 2);
    assert!(run(&ops, Mutation::NoRearmAtActivation).lost_or_wrong().contains_key(&0));
    // The same once more: what was listed before is listed again.
    ops.extend([Op::Return { thread: 0 }, at(None), Op::Sleep(0), at(Some(1))]);
    ops.push(Op::Call { thread: 0, code: 3, times: 200 });
    ops.extend((0..9).map(|line| Op::Line { thread: 0, line, times: 200 }));
    ops.extend([Op::Return { thread: 0 }, at(Some(0)), Op::Call { thread: 0, code: 3, times: 1 }]);
    ops.push(Op::Line { thread: 0, line: 6, times: 1 });
    let world = run(&ops, Mutation::None);
    assert_eq!(world.lost_or_wrong(), BTreeMap::new());
    assert_eq!(world.contexts[0].lines.len(), 3);
}

/// Who silences without a look takes lines from whoever runs there already.
#[test]
fn a_look_that_is_left_out_is_noticed() {
    let ops = beside_each_other();
    assert_eq!(run(&ops, Mutation::None).lost_or_wrong(), BTreeMap::new());
    assert!(run(&ops, Mutation::DoesNotLook).lost_or_wrong().contains_key(&1));
}

/// Code that every context has run whole costs nothing from then on, and the next context hears of it all the same.
#[test]
fn lines_that_nobody_lacks_are_taken_away_together() {
    let mut ops = vec![Op::Activate(0), Op::Switch { thread: 0, context: Some(0) }];
    ops.push(Op::Call { thread: 0, code: 2, times: 1 });
    ops.extend((0..5).map(|line| Op::Line { thread: 0, line, times: 1 }));
    ops.push(Op::Line { thread: 0, line: 0, times: 200 });
    let world = run(&ops, Mutation::None);
    assert!(world.silenced[2].lines_off);
    ops.extend([Op::Activate(1), Op::Switch { thread: 1, context: Some(1) }]);
    ops.push(Op::Call { thread: 1, code: 2, times: 1 });
    ops.extend((0..5).map(|line| Op::Line { thread: 1, line, times: 1 }));
    let world = run(&ops, Mutation::None);
    assert_eq!(world.lost_or_wrong(), BTreeMap::new());
    assert_eq!(world.contexts[1].lines.len(), 5);
}

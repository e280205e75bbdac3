#![allow(clippy::unwrap_used)] // helpers of tests, not only tests

//! The tracer against naive sets, on a simulated interpreter that silences places as CPython does.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_tracer::{
    Arm, CodeId, ContextId, Entry, FileId, Followed, Lacked, Redundant, Token, Tracer, Trail, Wants, Way,
};
use proptest::prelude::*;

/// Lines of each code object; the first one is a lambda: its line is reported only together with its entry.
const SHAPES: [u32; 4] = [1, 2, 5, 9];
const THREADS: usize = 3;
const CONTEXTS: usize = 70;

#[derive(Debug, Clone)]
enum Op {
    Activate(usize),
    Deactivate(usize),
    /// Only where no thread is at its work.
    Sleep(usize),
    Switch {
        thread: usize,
        context: Option<usize>,
    },
    Call {
        thread: usize,
        code: usize,
        times: u32,
    },
    Resume {
        thread: usize,
        code: usize,
        place: u32,
        times: u32,
    },
    Line {
        thread: usize,
        line: u32,
        times: u32,
    },
    Return {
        thread: usize,
    },
    /// A call under another context, and back: no frame that runs is told of either.
    Within {
        thread: usize,
        context: Option<usize>,
        code: usize,
        line: u32,
        times: u32,
    },
    Drain(usize),
    Disarm,
    Recompile(usize),
    Fork {
        keep: usize,
    },
}

/// What the glue may forget to do: each must be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    None,
    NoRearmAtEntry,
    NoRearmAtActivation,
    NoRearmOfTheStack,
    ForgetsALine,
    DoesNotLook,
}

/// What the interpreter reports no more.
#[derive(Debug, Default, Clone)]
struct Silenced {
    lines: BTreeSet<u32>,
    lines_off: bool,
    start: bool,
    resumes: BTreeSet<u32>,
}

#[derive(Debug, Clone)]
struct Frame {
    code: usize,
}

#[derive(Default, Clone)]
struct Thread {
    token: Option<Token>,
    context: Option<usize>,
    stack: Vec<Frame>,
}

#[derive(Default)]
struct Naive {
    id: Option<ContextId>,
    token: Option<Token>,
    lines: BTreeSet<(u32, u32)>,
    drained: BTreeSet<(u32, u32)>,
}

/// Lines with the number of their file.
type FileLines = BTreeSet<(u32, u32)>;

struct World {
    tracer: Tracer,
    codes: Vec<CodeId>,
    silenced: Vec<Silenced>,
    threads: Vec<Thread>,
    contexts: Vec<Naive>,
    /// What the glue keeps in mind of each code object: under which token its trail was found.
    trails: Vec<Option<(Token, Trail)>>,
    mutation: Mutation,
    asleep: BTreeSet<usize>,
    /// Whether all contexts but the first want entries, their lines going to the first, which is always active.
    steps: bool,
}

impl World {
    fn new(mutation: Mutation) -> Self {
        let mut tracer = Tracer::new();
        let codes = (0u32..).zip(SHAPES).map(|(file, _)| tracer.add_code(FileId(file), 1)).collect();
        Self {
            tracer,
            codes,
            silenced: vec![Silenced::default(); SHAPES.len()],
            threads: vec![Thread::default(); THREADS],
            contexts: (0..CONTEXTS).map(|_| Naive::default()).collect(),
            trails: vec![None; SHAPES.len()],
            mutation,
            asleep: BTreeSet::new(),
            steps: false,
        }
    }

    /// Whose lines the context's lines are.
    fn lined(&self, context: usize) -> usize {
        if self.steps { 0 } else { context }
    }

    fn index(&self, id: CodeId) -> usize {
        self.codes.iter().position(|code| *code == id).unwrap()
    }

    fn rearm(&mut self, arms: &[(CodeId, Arm)]) {
        for (id, arm) in arms {
            let index = self.index(*id);
            let silenced = &mut self.silenced[index];
            match arm {
                Arm::Everything => *silenced = Silenced::default(),
                Arm::Entries { lines } => {
                    assert_ne!(
                        *lines, silenced.lines_off,
                        "the interpreter would be told otherwise about lines"
                    );
                    silenced.start = false;
                    silenced.resumes.clear();
                }
            }
        }
    }

    fn rearm_everything(&mut self, id: CodeId) {
        self.rearm(&[(id, Arm::Everything)]);
    }

    /// The context's number if the thread's token still names its activation.
    fn running(&self, thread: usize) -> Option<usize> {
        let Thread { token, context, .. } = &self.threads[thread];
        let context = (*context)?;
        (token.is_some() && self.contexts[context].token == *token).then_some(context)
    }

    #[allow(clippy::too_many_lines)] // an arm for each operation
    fn step(&mut self, op: &Op) {
        match *op {
            Op::Activate(context) => {
                if self.steps && context > 0 {
                    self.step(&Op::Activate(0));
                }
                self.asleep.remove(&context);
                let parent = self.contexts[0].id.filter(|_| self.steps && context > 0);
                let wants = if parent.is_some() { Wants::Entries } else { Wants::Lines };
                let id =
                    *self.contexts[context].id.get_or_insert_with(|| self.tracer.add_context(wants, parent));
                let activation = self.tracer.activate(id);
                self.contexts[context].token = Some(activation.token);
                if self.mutation != Mutation::NoRearmAtActivation {
                    self.rearm(&activation.rearm);
                }
            }
            Op::Deactivate(0) if self.steps => {}
            Op::Sleep(context) => {
                let at_work = |thread: &Thread| {
                    thread.context.is_some_and(|at| at == context || (self.steps && context == 0))
                };
                let idle = !self.threads.iter().any(at_work);
                if let Some(id) = self.contexts[context].id.filter(|_| idle && (!self.steps || context == 0))
                {
                    self.tracer.sleep(id);
                    self.asleep.insert(context);
                }
            }
            Op::Deactivate(context) => {
                self.asleep.remove(&context);
                if let Some(id) = self.contexts[context].id {
                    self.tracer.deactivate(id);
                    self.contexts[context].token = None;
                }
            }
            Op::Switch { thread, context } => {
                self.wake(context);
                let token = context.and_then(|context| self.contexts[context].token);
                self.threads[thread].token = token;
                self.threads[thread].context = context;
                if let Some(token) = token {
                    for frame in self.threads[thread].stack.clone() {
                        let id = self.codes[frame.code];
                        if self.tracer.goes_on(id, token) && self.mutation != Mutation::NoRearmOfTheStack {
                            self.rearm_everything(id);
                        }
                    }
                }
            }
            Op::Call { thread, code, times } => {
                for turn in 1..=times {
                    let reported = !self.silenced[code].start;
                    self.entry(thread, code, Way::Start);
                    self.threads[thread].stack.push(Frame { code });
                    if SHAPES[code] == 1 {
                        self.line(thread, code, 1, reported);
                    }
                    if SHAPES[code] == 1 || turn < times {
                        self.threads[thread].stack.pop();
                    }
                }
            }
            Op::Resume { thread, code, place, times } => {
                if SHAPES[code] > 1 {
                    self.threads[thread].stack.push(Frame { code });
                    let line = place % SHAPES[code] + 1;
                    for _ in 0..times {
                        // The line that it stood on goes on; it is reported only together with its resumption.
                        let reported = !self.silenced[code].resumes.contains(&line);
                        self.entry(thread, code, Way::Resume { at: line });
                        self.line(thread, code, line, reported);
                    }
                }
            }
            Op::Within { thread, context, code, line, times } => {
                self.wake(context);
                let outer = (self.threads[thread].token, self.threads[thread].context);
                self.threads[thread].token = context.and_then(|context| self.contexts[context].token);
                self.threads[thread].context = context;
                self.step(&Op::Call { thread, code, times: 1 });
                if SHAPES[code] > 1 {
                    self.step(&Op::Line { thread, line, times });
                    self.step(&Op::Return { thread });
                }
                (self.threads[thread].token, self.threads[thread].context) = outer;
            }
            Op::Line { thread, line, times } => {
                if let Some(Frame { code }) = self.threads[thread].stack.last().cloned() {
                    for _ in 0..times {
                        self.line(thread, code, line % SHAPES[code] + 1, true);
                    }
                }
            }
            Op::Return { thread } => {
                self.threads[thread].stack.pop();
            }
            Op::Drain(context) => self.drain(context),
            Op::Disarm => {
                for id in self.tracer.disarm() {
                    let index = self.index(id);
                    let lines = (1..=SHAPES[index]).collect();
                    self.silenced[index] =
                        Silenced { resumes: lines, lines: BTreeSet::new(), lines_off: true, start: true };
                }
            }
            Op::Recompile(code) => {
                let runs = |thread: &Thread| thread.stack.iter().any(|frame| frame.code == code);
                if !self.threads.iter().any(runs) {
                    self.tracer.remove_codes(&[self.codes[code]]);
                    self.codes[code] = self.tracer.add_code(FileId(u32::try_from(code).unwrap()), 1);
                    self.silenced[code] = Silenced::default();
                }
            }
            Op::Fork { keep } => self.fork(keep),
        }
    }

    /// A unit of a context that sleeps is opened.
    fn wake(&mut self, context: Option<usize>) {
        if let Some(context) = context
            && self.contexts[context].token.is_some()
            && self.asleep.contains(&self.lined(context))
        {
            self.step(&Op::Activate(context));
        }
    }

    fn entry(&mut self, thread: usize, code: usize, way: Way) {
        if let Some(context) = self.running(thread).filter(|context| self.steps && *context > 0) {
            self.contexts[context].lines.insert((u32::try_from(code).unwrap(), 1));
        }
        let silenced = match way {
            Way::Start => self.silenced[code].start,
            Way::Resume { at } => self.silenced[code].resumes.contains(&at),
        };
        if silenced {
            return;
        }
        let (id, token) = (self.codes[code], self.threads[thread].token);
        let (entry, _) = self.tracer.enter(id, way, token);
        match entry {
            Entry::Keep => {}
            Entry::Silence => {
                let silenced = &mut self.silenced[code];
                match way {
                    Way::Start => silenced.start = true,
                    Way::Resume { at } => _ = silenced.resumes.insert(at),
                }
                if self.tracer.is_undescribed(id) {
                    self.tracer.describe(id, Some((1..=SHAPES[code]).collect()));
                }
                silenced.lines_off |= self.tracer.silence_lines(id);
            }
            Entry::Rearm => {
                if self.mutation != Mutation::NoRearmAtEntry {
                    self.rearm_everything(id);
                }
            }
        }
    }

    fn line(&mut self, thread: usize, code: usize, line: u32, reported: bool) {
        if let Some(context) = self.running(thread) {
            let lined = self.lined(context);
            self.contexts[lined].lines.insert((u32::try_from(code).unwrap(), line));
        }
        let silenced = &self.silenced[code];
        if !reported || silenced.lines_off || silenced.lines.contains(&line) {
            return;
        }
        if self.on_trail(thread, code, line) {
            return;
        }
        let mut answer = self.tracer.redundant_line(self.codes[code], line);
        if answer == Some(Redundant::Describe) {
            let lines = SHAPES[code] - u32::from(self.mutation == Mutation::ForgetsALine);
            self.tracer.describe(self.codes[code], Some((1..=lines).collect()));
            answer = Some(self.tracer.silence(self.codes[code]));
        }
        match answer {
            Some(Redundant::Keep) => {}
            Some(Redundant::Silence) => {
                self.silenced[code].lines.insert(line);
            }
            Some(Redundant::SilenceLines) => {
                self.silenced[code].lines.insert(line);
                self.silenced[code].lines_off = true;
            }
            Some(Redundant::Describe) => panic!("asked twice"),
            None => {
                let token = self.threads[thread].token;
                if let Some(token) = token
                    && self.tracer.line(self.codes[code], line, token).is_some()
                {
                    let trail = self.tracer.trail(self.codes[code], token);
                    self.trails[code] = trail.map(|trail| (token, trail));
                    return;
                }
                self.leave_to_others(code, line, token);
            }
        }
    }

    /// A line that others lack.
    fn leave_to_others(&mut self, code: usize, line: u32, token: Option<Token>) {
        let id = self.codes[code];
        match self.tracer.lacked_by_others(id, line, token) {
            Lacked::Keep => {}
            Lacked::Silence => _ = self.silenced[code].lines.insert(line),
            Lacked::Look => {
                let stacks = self.threads.iter().flat_map(|thread| &thread.stack);
                let frames = stacks.filter(|frame| frame.code == code).count();
                assert!(frames > 0, "a line was reported, and no frame runs");
                if frames > 1 && self.mutation != Mutation::DoesNotLook {
                    self.tracer.is_crowded(id);
                    return;
                }
                let arm = self.tracer.hold(id, token);
                self.rearm(arm.as_slice());
                self.silenced[code].lines.insert(line);
            }
        }
    }

    /// The short cut, as the glue takes it. A trail may be old: of a context that is gone, or a code object.
    fn on_trail(&mut self, thread: usize, code: usize, line: u32) -> bool {
        if self.tracer.is_plainly_redundant(self.codes[code], line) {
            return true;
        }
        let token = self.threads[thread].token;
        match &self.trails[code] {
            Some((found, trail)) if Some(*found) == token => {
                self.tracer.follow(trail, line) != Followed::Lost
            }
            _ => false,
        }
    }

    fn drain(&mut self, context: usize) {
        let Some(id) = self.contexts[context].id else { return };
        for (file, lines) in self.tracer.drain(id) {
            for line in lines.iter() {
                assert!(self.contexts[context].drained.insert((file.0, line)), "line {line} came twice");
            }
        }
    }

    fn fork(&mut self, keep: usize) {
        let parent = if self.steps { self.contexts[0].id } else { None };
        let kept: Vec<ContextId> = parent.into_iter().chain(self.contexts[keep].id).collect();
        self.asleep.clear();
        let rearm = self.tracer.after_fork(&kept);
        self.rearm(&rearm);
        for (index, context) in self.contexts.iter_mut().enumerate() {
            context.lines.clear();
            context.drained.clear();
            if index != keep && !(self.steps && index == 0) {
                context.id = None;
                context.token = None;
            }
        }
        // Only the thread that forked lives on.
        for thread in &mut self.threads[1..] {
            *thread = Thread::default();
        }
        if let Some(token) = self.threads[0].token {
            for frame in self.threads[0].stack.clone() {
                if self.tracer.goes_on(self.codes[frame.code], token) {
                    self.rearm_everything(self.codes[frame.code]);
                }
            }
        }
    }

    fn lost_or_wrong(&self) -> BTreeMap<usize, (FileLines, FileLines)> {
        let mut faults = BTreeMap::new();
        for (index, context) in self.contexts.iter().enumerate() {
            let Some(id) = context.id else { continue };
            let whole: BTreeSet<(u32, u32)> = self
                .tracer
                .whole(id)
                .iter()
                .flat_map(|(file, lines)| lines.iter().map(|line| (file.0, line)).collect::<Vec<_>>())
                .collect();
            if whole != context.lines {
                faults.insert(index, (&context.lines - &whole, &whole - &context.lines));
            }
        }
        faults
    }
}

fn run(ops: &[Op], mutation: Mutation) -> World {
    run_in(World::new(mutation), ops)
}

fn run_in(mut world: World, ops: &[Op]) -> World {
    for op in ops {
        world.step(op);
    }
    world
}

/// A world of units that want entries, within one context that wants lines.
fn steps(ops: Vec<Op>) -> World {
    let mut world = World::new(Mutation::None);
    world.steps = true;
    let all: Vec<Op> = std::iter::once(Op::Activate(0)).chain(ops).collect();
    run_in(world, &all)
}

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
    ];
    let fork = (0..contexts).prop_map(|keep| Op::Fork { keep });
    proptest::collection::vec(prop_oneof![60 => op, 1 => fork], 0..140)
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
        prop_assert_eq!(steps(ops).lost_or_wrong(), BTreeMap::new());
    }

    #[test]
    fn more_units_than_slots_lose_no_entry(ops in ops(CONTEXTS)) {
        let mut all: Vec<Op> = (0..68).map(Op::Activate).collect();
        all.extend(ops);
        prop_assert_eq!(steps(all).lost_or_wrong(), BTreeMap::new());
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

/// A token that outlived its activation credits nobody, also when its slot is in use again.
#[test]
fn a_stale_token_hits_nobody() {
    let mut tracer = Tracer::new();
    let code = tracer.add_code(FileId(0), 1);
    let (old, new) = (tracer.add_context(Wants::Lines, None), tracer.add_context(Wants::Lines, None));
    let stale = tracer.activate(old).token;
    tracer.deactivate(old);
    let token = tracer.activate(new).token;
    assert_eq!(token.raw() & 63, stale.raw() & 63, "the slot is used again");
    tracer.line(code, 1, stale);
    assert!(tracer.whole(new).is_empty() && tracer.whole(old).is_empty());
    tracer.line(code, 1, token);
    assert!(!tracer.whole(new).is_empty());
}

/// An app that compiles for each request doesn't grow, and what it executed stays.
#[test]
fn code_that_is_gone_leaves_nothing_behind() {
    let mut tracer = Tracer::new();
    let context = tracer.add_context(Wants::Lines, None);
    let token = tracer.activate(context).token;
    for line in 1..=1_000 {
        let code = tracer.add_code(FileId(0), 1);
        tracer.enter(code, Way::Start, Some(token));
        assert_eq!(tracer.redundant_line(code, line), None);
        tracer.line(code, line, token);
        assert_eq!((tracer.codes(), code.index()), (1, 0));
        tracer.remove_codes(&[code]);
    }
    assert_eq!(tracer.whole(context)[&FileId(0)].len(), 1_000);
    tracer.deactivate(context);
}

/// The short cut leads to the same lines, and nowhere once something changed.
#[test]
fn a_trail_ends_with_its_context() {
    let mut tracer = Tracer::new();
    let code = tracer.add_code(FileId(0), 1);
    let (context, lacking) = (tracer.add_context(Wants::Lines, None), tracer.add_context(Wants::Lines, None));
    let token = tracer.activate(context).token;
    assert!(tracer.trail(code, token).is_none(), "nothing was recorded yet");
    tracer.line(code, 1, token);
    let trail = tracer.trail(code, token).unwrap();
    assert_eq!(tracer.follow(&trail, 2), Followed::Fresh);
    assert_eq!(tracer.follow(&trail, 2), Followed::Lost, "nobody lacks it: it may have to be silenced");
    tracer.activate(lacking);
    assert_eq!(tracer.follow(&trail, 2), Followed::Known);
    assert_eq!(tracer.follow(&trail, 1_000), Followed::Lost, "its masks do not reach that far");
    assert_eq!(tracer.drain(context)[&FileId(0)].iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(tracer.follow(&trail, 2), Followed::Known);
    assert_eq!(tracer.follow(&trail, 3), Followed::Lost, "a file's first line since the flush");
    tracer.deactivate(context);
    let other = tracer.add_context(Wants::Lines, None);
    let new = tracer.activate(other).token;
    assert_eq!(new.raw() & 63, token.raw() & 63, "the slot is used again");
    assert_eq!(tracer.follow(&trail, 3), Followed::Lost);
    assert_eq!(tracer.whole(context)[&FileId(0)].len(), 2);
    assert!(tracer.whole(other).is_empty());
}

/// Processes live for months: contexts that ended leave nothing behind.
#[test]
fn ten_thousand_contexts_do_not_grow() {
    let mut tracer = Tracer::new();
    let code = tracer.add_code(FileId(0), 1);
    let mut highest = 0;
    for _ in 0..10_000 {
        let context = tracer.add_context(Wants::Lines, None);
        let token = tracer.activate(context).token;
        assert_eq!(tracer.enter(code, Way::Start, Some(token)), (Entry::Keep, None));
        assert_eq!(tracer.redundant_line(code, 3), None);
        tracer.line(code, 3, token);
        assert_eq!(tracer.drain(context).len(), 1);
        tracer.remove_context(context);
        highest = highest.max(token.raw() & 63);
    }
    assert_eq!(highest, 0);
    assert_eq!(tracer.free_slots(), 63);
}

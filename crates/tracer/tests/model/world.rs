//! A simulated interpreter, which silences places as CPython does, and naive sets beside the tracer.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_tracer::{
    Arm, CodeId, ContextId, Disarm, Entered, Entry, FileId, Followed, Lacked, Redundant, Stretch, Token,
    Tracer, Track, Trail, Wants, Way,
};

/// Lines of each code object; the first one is a lambda: its line is reported only together with its entry.
pub(crate) const SHAPES: [u32; 4] = [1, 2, 5, 9];
pub(crate) const THREADS: usize = 3;
pub(crate) const CONTEXTS: usize = 70;

#[derive(Debug, Clone)]
pub(crate) enum Op {
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
    /// A day is over.
    Renew,
    /// What the thread does as nobody's work is a sample from now on, if there can be one.
    Sample {
        thread: usize,
    },
    EndSample,
    /// A forked child records its first line, and nobody has told of the fork yet.
    NoticeFork,
    Fork {
        keep: usize,
    },
}

/// What contexts want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lines,
    /// All but the first want entries, their lines going to the first, which is always active.
    Steps,
    /// All want entries, and no lines are reported.
    Symbols,
}

/// What the glue may forget to do: each must be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    None,
    NoRearmAtEntry,
    NoRearmAtActivation,
    NoRearmOfTheStack,
    ForgetsALine,
    DoesNotLook,
}

/// What the interpreter reports no more.
#[derive(Debug, Default, Clone)]
pub(crate) struct Silenced {
    pub(crate) lines: BTreeSet<u32>,
    pub(crate) lines_off: bool,
    pub(crate) start: bool,
    resumes: BTreeSet<u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Frame {
    code: usize,
}

#[derive(Default, Clone)]
pub(crate) struct Thread {
    token: Option<Token>,
    context: Option<usize>,
    stack: Vec<Frame>,
}

#[derive(Default)]
pub(crate) struct Naive {
    id: Option<ContextId>,
    token: Option<Token>,
    pub(crate) lines: BTreeSet<(u32, u32)>,
    pub(crate) drained: BTreeSet<(u32, u32)>,
}

/// Lines with the number of their file.
pub(crate) type FileLines = BTreeSet<(u32, u32)>;

pub(crate) struct World {
    tracer: Tracer,
    codes: Vec<CodeId>,
    pub(crate) silenced: Vec<Silenced>,
    threads: Vec<Thread>,
    pub(crate) contexts: Vec<Naive>,
    /// What the glue keeps in mind of each token: its trail when it was found.
    trails: Vec<(Token, Trail)>,
    /// And of each file: where the context had it that recorded a line of it last.
    tracks: Vec<Option<Track>>,
    mutation: Mutation,
    asleep: BTreeSet<usize>,
    kind: Kind,
    /// What nobody's work entered, if that is recorded.
    pub(crate) anyone: Option<FileLines>,
    /// The thread of a sample, what it entered, and what was heard of.
    sample: Option<(usize, FileLines, FileLines)>,
    /// What samples lacked, and what they had and should not.
    samples: (FileLines, FileLines),
}

impl World {
    pub(crate) fn new(mutation: Mutation) -> Self {
        let mut tracer = Tracer::new();
        let codes = (0u32..).zip(SHAPES).map(|(file, _)| tracer.add_code(FileId(file), 1)).collect();
        Self {
            tracer,
            codes,
            silenced: vec![Silenced::default(); SHAPES.len()],
            threads: vec![Thread::default(); THREADS],
            contexts: (0..CONTEXTS).map(|_| Naive::default()).collect(),
            trails: Vec::new(),
            tracks: vec![None; SHAPES.len()],
            mutation,
            asleep: BTreeSet::new(),
            kind: Kind::Lines,
            anyone: None,
            sample: None,
            samples: Default::default(),
        }
    }

    fn begin_sample(&mut self, thread: usize) {
        if let Some(rearm) = self.tracer.begin_sample() {
            self.rearm(&rearm);
            self.sample = Some((thread, FileLines::new(), FileLines::new()));
        }
    }

    fn end_sample(&mut self) {
        self.tracer.end_sample();
        if let Some((_, entered, heard)) = self.sample.take() {
            self.samples.0.extend(&entered - &heard);
            self.samples.1.extend(&heard - &entered);
        }
    }

    /// From now on, what nobody's work enters is recorded.
    pub(crate) fn begin_anyone(&mut self) {
        let rearm = self.tracer.begin_anyone().unwrap();
        self.rearm(&rearm);
        self.anyone = Some(FileLines::new());
    }

    fn wants_entries(&self, context: usize) -> bool {
        match self.kind {
            Kind::Lines => false,
            Kind::Steps => context > 0,
            Kind::Symbols => true,
        }
    }

    /// Whose lines the context's lines are.
    fn lined(&self, context: usize) -> usize {
        if self.kind == Kind::Steps { 0 } else { context }
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
                if self.kind == Kind::Steps && context > 0 {
                    self.step(&Op::Activate(0));
                }
                self.asleep.remove(&context);
                let parent = self.contexts[0].id.filter(|_| self.kind == Kind::Steps && context > 0);
                let entries = parent.is_some() || self.kind == Kind::Symbols;
                let wants = if entries { Wants::Entries } else { Wants::Lines };
                let id =
                    *self.contexts[context].id.get_or_insert_with(|| self.tracer.add_context(wants, parent));
                let activation = self.tracer.activate(id);
                self.contexts[context].token = Some(activation.token);
                if self.mutation != Mutation::NoRearmAtActivation {
                    self.rearm(&activation.rearm);
                }
            }
            Op::Deactivate(0) if self.kind == Kind::Steps => {}
            Op::Sleep(context) => {
                let at_work = |thread: &Thread| {
                    thread
                        .context
                        .is_some_and(|at| at == context || (self.kind == Kind::Steps && context == 0))
                };
                let idle = !self.threads.iter().any(at_work);
                if let Some(id) =
                    self.contexts[context].id.filter(|_| idle && (self.kind != Kind::Steps || context == 0))
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
                for (id, disarm) in self.tracer.disarm() {
                    let index = self.index(id);
                    let lines = (1..=SHAPES[index]).collect();
                    if disarm == Disarm::Lines {
                        self.silenced[index].lines_off = true;
                        continue;
                    }
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
                    self.silenced[code].lines_off = !self.tracer.wants_lines_of(self.codes[code]);
                }
            }
            Op::Renew => {
                let rearm = self.tracer.renew_anyone();
                self.rearm(&rearm);
                if let Some(anyone) = &mut self.anyone {
                    anyone.clear();
                }
            }
            Op::Sample { thread } => self.begin_sample(thread),
            Op::EndSample => self.end_sample(),
            Op::NoticeFork => {
                self.tracer.forget_fresh();
                for context in self.contexts.iter_mut().filter(|context| context.id.is_some()) {
                    context.drained = context.lines.clone();
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
        if let Some(context) = self.running(thread).filter(|context| self.wants_entries(*context)) {
            self.contexts[context].lines.insert((u32::try_from(code).unwrap(), 1));
        }
        // A token that names nothing any more is somebody's all the same.
        let outside = self.threads[thread].token.is_none();
        if let Some(anyone) = self.anyone.as_mut().filter(|_| outside) {
            anyone.insert((u32::try_from(code).unwrap(), 1));
        }
        let sampled = self.sample.as_mut().filter(|(of, ..)| outside && *of == thread);
        let is_sample =
            sampled.map(|(_, entered, _)| entered.insert((u32::try_from(code).unwrap(), 1))).is_some();
        let silenced = match way {
            Way::Start => self.silenced[code].start,
            Way::Resume { at } => self.silenced[code].resumes.contains(&at),
        };
        if silenced {
            return;
        }
        let (id, token) = (self.codes[code], self.threads[thread].token);
        if way == Way::Start && !is_sample && !outside && self.entered_on_trail(token, id) {
            return;
        }
        let (entry, fresh) = match (is_sample, outside) {
            (true, _) => self.tracer.enter_for_sample(id, way),
            (_, true) => self.tracer.enter_for_anyone(id, way),
            _ => self.tracer.enter(id, way, token),
        };
        if let (true, Some(fresh), Some((_, _, heard))) = (is_sample, fresh, &mut self.sample) {
            heard.insert((fresh.file.0, fresh.line));
        }
        match entry {
            Entry::Keep | Entry::First => {}
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
        if self.kind == Kind::Symbols {
            return;
        }
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
                    self.learn(code, token);
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

    /// A line was recorded.
    fn learn(&mut self, code: usize, token: Token) {
        let Some(trail) = self.tracer.trail(token) else { return };
        self.trails.retain(|(known, _)| *known != token);
        self.trails.push((token, trail));
        self.tracks[code] = self.tracer.track(self.codes[code], &trail);
    }

    /// The short cut of entries.
    fn entered_on_trail(&mut self, token: Option<Token>, id: CodeId) -> bool {
        let trail = self.trails.iter().find(|(known, _)| Some(*known) == token);
        trail.is_some_and(|(token, trail)| self.tracer.enter_on(trail, *token, id) != Entered::Lost)
    }

    /// The short cut, as the glue takes it. A trail may be old: of a context that is gone, or from before a code object was; a track
    /// may be another context's.
    fn on_trail(&mut self, thread: usize, code: usize, line: u32) -> bool {
        if self.on_stretch(thread, code, line) {
            return true;
        }
        let token = self.threads[thread].token;
        let trail = || self.trails.iter().find(|(known, _)| Some(*known) == token).map(|(_, trail)| trail);
        let tracks = &self.tracks;
        let track = |file: FileId| tracks[file.0 as usize].as_ref().map(|track| (track, ()));
        self.tracer.follow(self.codes[code], line, trail, track, |()| true) != Followed::Lost
    }

    /// The shortest way. The glue keeps what it found as long as nobody is at the tracer; here it is found anew for each line.
    fn on_stretch(&mut self, thread: usize, code: usize, line: u32) -> bool {
        let token = self.threads[thread].token;
        let trail = self.trails.iter().find(|(known, _)| Some(*known) == token).map(|(_, trail)| trail);
        let Some((trail, track)) = trail.zip(self.tracks[code].as_ref()) else { return false };
        let Some(Stretch { first_line, seen, bit, drained, fresh }) =
            self.tracer.stretch(self.codes[code], trail, track)
        else {
            return false;
        };
        let Some(seen) = seen.get_mut(line.wrapping_sub(first_line) as usize) else { return false };
        let Some(word) = fresh.get_mut(line as usize / 64) else { return false };
        let has = drained.get(line as usize / 8).is_some_and(|byte| byte >> (line % 8) & 1 != 0);
        if *seen & bit != 0 || has || *word >> (line % 64) & 1 != 0 {
            return false;
        }
        *seen |= bit;
        *word |= 1 << (line % 64);
        true
    }

    pub(crate) fn drain(&mut self, context: usize) {
        let Some(id) = self.contexts[context].id else { return };
        for (file, lines) in self.tracer.drain(id) {
            for line in lines.iter() {
                assert!(self.contexts[context].drained.insert((file.0, line)), "line {line} came twice");
            }
        }
    }

    fn fork(&mut self, keep: usize) {
        let parent = if self.kind == Kind::Steps { self.contexts[0].id } else { None };
        let kept: Vec<ContextId> = parent.into_iter().chain(self.contexts[keep].id).collect();
        self.asleep.clear();
        self.end_sample();
        let rearm = self.tracer.after_fork(&kept);
        self.rearm(&rearm);
        for (index, context) in self.contexts.iter_mut().enumerate() {
            // What was not drained stays: code that ran before anybody told of the fork may be in it.
            let drained = std::mem::take(&mut context.drained);
            context.lines.retain(|line| !drained.contains(line));
            if index != keep && !(self.kind == Kind::Steps && index == 0) {
                context.id = None;
                context.token = None;
                context.lines.clear();
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

    pub(crate) fn lost_or_wrong(&self) -> BTreeMap<usize, (FileLines, FileLines)> {
        let mut faults = BTreeMap::new();
        if let Some(anyone) = &self.anyone {
            let found = self.tracer.anyones();
            let whole: FileLines = found
                .iter()
                .flat_map(|(file, lines)| lines.iter().map(|line| (file.0, line)).collect::<Vec<_>>())
                .collect();
            if whole != *anyone {
                faults.insert(CONTEXTS, (anyone - &whole, &whole - anyone));
            }
        }
        if self.samples != Default::default() {
            faults.insert(CONTEXTS + 1, self.samples.clone());
        }
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

pub(crate) fn run(ops: &[Op], mutation: Mutation) -> World {
    run_in(World::new(mutation), ops)
}

pub(crate) fn run_in(mut world: World, ops: &[Op]) -> World {
    for op in ops {
        world.step(op);
    }
    world
}

/// A world in which contexts want something else than lines.
pub(crate) fn run_as(kind: Kind, ops: Vec<Op>) -> World {
    let mut world = World::new(Mutation::None);
    world.kind = kind;
    let first = (kind == Kind::Steps).then_some(Op::Activate(0));
    let all: Vec<Op> = first.into_iter().chain(ops).collect();
    run_in(world, &all)
}

/// A world in which what nobody's work enters is recorded, too.
pub(crate) fn run_with_anyone(kind: Kind, ops: Vec<Op>) -> World {
    let mut world = World::new(Mutation::None);
    world.kind = kind;
    world.begin_anyone();
    let first = (kind == Kind::Steps).then_some(Op::Activate(0));
    let all: Vec<Op> = first.into_iter().chain(ops).collect();
    run_in(world, &all)
}

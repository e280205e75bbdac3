//! Contexts and code objects: what is there, what runs, and what must be armed again when that changes.

use rustc_hash::FxHashMap;

use crate::anyone::{Anyone, Disarm};
use crate::code::{Code, CodeId, FileId, Reported};
use crate::context::{Active, Context, ContextId, FileLines, Wants};
use crate::sleep::Silences;
use crate::token::{OVERFLOW, OWN_SLOTS, Slot, Token, bit};

/// How a code object is to be armed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// Every place is reported, also those that were silenced.
    Everything,
    /// Every entry is; the lines stay as they are.
    Entries {
        /// Whether lines are reported, but for those that were silenced one by one.
        lines: bool,
    },
}

/// Code objects that are to be armed again, and how.
pub type Rearm = Vec<(CodeId, Arm)>;

/// A context has begun to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Activation {
    /// What names it from now on.
    pub token: Token,
    /// Code objects to arm again.
    pub rearm: Rearm,
}

#[derive(Debug, Clone, Copy)]
struct Occupant {
    generation: u64,
    context: ContextId,
}

/// All that is known of the contexts and code objects of one process.
///
/// Not synchronised: the caller holds the interpreter's lock.
#[derive(Debug)]
pub struct Tracer {
    pub(crate) codes: Vec<Code>,
    /// Numbers of code objects that are gone.
    free_codes: Vec<CodeId>,
    pub(crate) contexts: Vec<Option<Context>>,
    /// The one that went last: its room is the next one's.
    gone: Option<Context>,
    slots: [Option<Occupant>; OWN_SLOTS as usize],
    /// Contexts beyond the slots, by generation.
    overflow: FxHashMap<u64, ContextId>,
    /// The slots of contexts whose work may run: those that don't sleep.
    pub(crate) active: u64,
    /// Those of contexts that want lines.
    pub(crate) lined: u64,
    /// How many of the contexts beyond the slots want lines.
    lined_overflow: usize,
    /// How often a context was added to those that want lines.
    pub(crate) lined_added: u64,
    generation: u64,
    /// Code objects whose entry was silenced; some may have been armed since.
    pub(crate) quiet: Vec<CodeId>,
    /// Whose the lines of a token were when it was last asked; no context has changed since.
    last_lined: Option<(Token, ContextId, Slot)>,
    pub(crate) silences: Silences,
    /// Of work that belongs to no context of a profile, if that is recorded.
    pub(crate) anyone: Option<Anyone>,
    /// A sample of that, while it is taken.
    pub(crate) sample: Option<(ContextId, Token)>,
    /// Another number after each change that may lead a [`Trail`](crate::Trail) astray.
    pub(crate) changes: u64,
}

impl Default for Tracer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracer {
    /// No contexts, no code.
    pub fn new() -> Self {
        Self {
            codes: Vec::new(),
            free_codes: Vec::new(),
            contexts: Vec::new(),
            gone: None,
            slots: [None; OWN_SLOTS as usize],
            overflow: FxHashMap::default(),
            active: 0,
            lined: 0,
            lined_overflow: 0,
            lined_added: 0,
            generation: 0,
            quiet: Vec::new(),
            last_lined: None,
            silences: Silences::default(),
            anyone: None,
            sample: None,
            changes: 0,
        }
    }

    /// Adds a code object, from now on reported at every place; without its lines, if [`Tracer::wants_lines_of`] says so.
    /// `defined_at` is its `co_firstlineno`.
    pub fn add_code(&mut self, file: FileId, defined_at: u32) -> CodeId {
        let mut code = Code::new(file, defined_at);
        if self.anyone.is_some() && self.lined == 0 {
            // Who wants them is reported entering.
            code.reported = Reported::NoLine;
        }
        if let Some(id) = self.free_codes.pop() {
            self.codes[id.index()] = code;
            return id;
        }
        // Four thousand million code objects don't fit into memory.
        let id = CodeId(u32::try_from(self.codes.len()).unwrap_or(u32::MAX));
        self.codes.push(code);
        id
    }

    /// Forgets code objects that are gone; what was executed in them stays recorded.
    pub fn remove_codes(&mut self, gone: &[CodeId]) {
        if gone.is_empty() {
            return;
        }
        self.changes += 1;
        for id in gone {
            self.codes[id.index()] = Code::removed();
        }
        let Self { codes, contexts, quiet, .. } = self;
        let kept = |id: &CodeId| !codes[id.index()].is_removed;
        quiet.retain(kept);
        for context in contexts.iter_mut().flatten() {
            context.touched.retain(kept);
        }
        self.free_codes.extend(gone);
    }

    /// How many code objects there are.
    pub fn codes(&self) -> usize {
        self.codes.len() - self.free_codes.len()
    }

    /// Adds a context that has seen nothing and does not run yet.
    ///
    /// With `lines_go_to`, a context that wants entries hands its lines to another one, which must be active for as
    /// long as it is itself.
    pub fn add_context(&mut self, wants: Wants, lines_go_to: Option<ContextId>) -> ContextId {
        let free = self.contexts.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.contexts.push(None);
            self.contexts.len() - 1
        });
        self.contexts[index] = Some(match self.gone.take() {
            Some(gone) => Context::in_room_of(gone, wants, lines_go_to),
            None => Context::new(wants, lines_go_to),
        });
        ContextId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Lets a context run: its work carries the token from now on. A context that already runs, or sleeps, keeps its token.
    pub fn activate(&mut self, id: ContextId) -> Activation {
        if let Some(active) = self.context(id).and_then(|context| context.active) {
            return Activation { token: active.token, rearm: self.wake(id) };
        }
        self.last_lined = None;
        self.generation += 1;
        let generation = self.generation;
        let free = self.slots.iter().zip(0..OWN_SLOTS).find(|(occupant, _)| occupant.is_none());
        let slot = free.map_or(OVERFLOW, |(_, slot)| slot);
        if slot == OVERFLOW {
            self.overflow.insert(generation, id);
        } else {
            self.slots[usize::from(slot)] = Some(Occupant { generation, context: id });
        }
        self.active |= bit(slot);
        let token = Token::new(generation, slot);
        let mut wants = Wants::Lines;
        if let Some(context) = self.context_mut(id) {
            context.active = Some(Active { token, slot });
            wants = context.wants;
        }
        if wants == Wants::Lines {
            self.lined |= bit(slot);
            self.lined_overflow += usize::from(slot == OVERFLOW);
            self.lined_added += 1;
        }
        Activation { token, rearm: self.arm_quiet(wants) }
    }

    /// Ends a context's running; its token names nothing any more. Its lines stay.
    pub fn deactivate(&mut self, id: ContextId) {
        self.last_lined = None;
        self.changes += 1;
        let Some(context) = self.context_mut(id) else { return };
        let Some(active) = context.active.take() else { return };
        let mut touched = std::mem::take(&mut context.touched);
        let lined = context.wants == Wants::Lines;
        if context.asleep_since.take().is_some() {
            self.silences.wake(bit(active.slot));
        }
        if active.slot == OVERFLOW {
            self.overflow.remove(&active.token.generation());
            self.lined_overflow -= usize::from(lined);
            if self.lined_overflow == 0 {
                self.lined &= !bit(OVERFLOW);
            }
            if !self.overflow.is_empty() {
                return;
            }
        } else {
            self.slots[usize::from(active.slot)] = None;
            self.lined &= !bit(active.slot);
        }
        self.active &= !bit(active.slot);
        for code in touched.drain(..) {
            self.codes[code.index()].forget(bit(active.slot));
        }
        if let Some(context) = self.context_mut(id) {
            context.touched = touched;
        }
    }

    /// The token of a context that runs or sleeps.
    pub fn token_of(&self, id: ContextId) -> Option<Token> {
        Some(self.context(id)?.active?.token)
    }

    /// Forgets a context and its lines.
    pub fn remove_context(&mut self, id: ContextId) {
        self.deactivate(id);
        if let Some(context) = self.contexts.get_mut(id.0 as usize) {
            self.gone = context.take().filter(Context::is_small);
        }
    }

    /// How many more contexts can run with a slot of their own.
    pub fn free_slots(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_none()).count()
    }

    /// The context that a token names, if it still runs.
    pub fn resolve(&self, token: Token) -> Option<ContextId> {
        match self.slots.get(usize::from(token.slot())) {
            Some(occupant) => {
                occupant.filter(|o| o.generation == token.generation()).map(|occupant| occupant.context)
            }
            None => self.overflow.get(&token.generation()).copied(),
        }
    }

    /// The context that gets the lines of a token's work, and its slot.
    pub(crate) fn lined_by(&mut self, token: Token) -> Option<(ContextId, Slot)> {
        if let Some((_, context, slot)) = self.last_lined.filter(|(last, ..)| *last == token) {
            return Some((context, slot));
        }
        let (context, slot) = self.lined_of(self.resolve(token)?)?;
        self.last_lined = Some((token, context, slot));
        Some((context, slot))
    }

    /// The context that gets the lines of `id`, and its slot.
    pub(crate) fn lined_of(&self, id: ContextId) -> Option<(ContextId, Slot)> {
        let context = self.context(id)?;
        let lined = match context.wants {
            Wants::Lines => id,
            Wants::Entries => context.lines_go_to?,
        };
        Some((lined, self.context(lined)?.active?.slot))
    }

    /// Code objects of which nothing needs to be reported while no context is active; they come with the next
    /// activation's. Asked again, only those that were added or armed since. What nobody's work has not entered goes on
    /// reporting its entries.
    pub fn disarm(&mut self) -> Vec<(CodeId, Disarm)> {
        if !self.is_anyone_alone() || !self.silences.is_unused() {
            return Vec::new();
        }
        let mut disarmed = Vec::new();
        for number in 0..self.codes.len() {
            let id = CodeId(u32::try_from(number).unwrap_or(u32::MAX));
            let lacked = self.anyone.is_some() && self.anyone_in(&self.codes[number]) == 0;
            let code = &mut self.codes[number];
            if code.disarmed {
                continue;
            }
            let lines = std::mem::replace(&mut code.reported, Reported::NoLine) != Reported::NoLine;
            if lacked {
                if lines {
                    disarmed.push((id, Disarm::Lines));
                }
                continue;
            }
            code.disarmed = true;
            if !std::mem::replace(&mut code.entries_silenced, true) {
                self.quiet.push(id);
            }
            disarmed.push((id, Disarm::Everything));
        }
        disarmed
    }

    /// The lines that the context executed since this was last asked.
    pub fn drain(&mut self, id: ContextId) -> FileLines {
        self.context_mut(id).map(Context::drain).unwrap_or_default()
    }

    /// Every line that the context executed.
    pub fn whole(&self, id: ContextId) -> FileLines {
        self.context(id).map(Context::whole).unwrap_or_default()
    }

    /// Whether there is something to drain.
    pub fn has_fresh(&self, id: ContextId) -> bool {
        self.context(id).is_some_and(Context::has_fresh)
    }

    /// In a forked child, before anything is recorded there: what was not drained is the parent's, which drains it.
    pub fn forget_fresh(&mut self) {
        self.changes += 1;
        for context in self.contexts.iter_mut().flatten() {
            context.drain();
        }
    }

    /// In a forked child: what was drained is the parent's. The kept contexts run on, with their tokens and with what was recorded since
    /// [`forget_fresh`](Self::forget_fresh): hooks of the fork may have run as their work. All other contexts are gone, but for that of
    /// nobody's work, which has what the parent has. Answers with the code objects to arm again.
    pub fn after_fork(&mut self, keep: &[ContextId]) -> Rearm {
        self.changes += 1;
        self.end_sample();
        let mut rearm = Vec::new();
        for index in 0..self.contexts.len() {
            let id = ContextId(u32::try_from(index).unwrap_or(u32::MAX));
            if self.anyone.is_some_and(|anyone| anyone.context == id) {
                continue;
            }
            if keep.contains(&id) {
                rearm.extend(self.wake(id));
                if let Some(context) = &mut self.contexts[index] {
                    context.start_over();
                }
            } else {
                self.remove_context(id);
            }
        }
        let anyone = self.anyone.map_or(0, |anyone| anyone.bit);
        for code in &mut self.codes {
            code.forget(!anyone);
        }
        self.lined_added += 1;
        // Nobody's work lacks nothing that was silenced.
        if anyone == 0 || self.active != anyone {
            rearm.extend(self.arm_quiet(Wants::Lines));
        }
        rearm
    }

    /// Has code report its entries again where they were silenced: there is no other way to hear of the first one of a new
    /// context. One that wants lines will lack these, too.
    fn arm_quiet(&mut self, wants: Wants) -> Rearm {
        let quiet = std::mem::take(&mut self.quiet).into_iter();
        // Lines that nobody wants stay as they are; who wants them later is reported entering.
        let entries = self.anyone.is_some() && self.lined == 0;
        let codes = &mut self.codes;
        let armed = quiet.filter_map(|id| {
            let code = &mut codes[id.index()];
            if !code.entries_silenced {
                return None;
            }
            if wants == Wants::Entries && (entries || !code.disarmed) {
                code.disarmed = false;
                code.entries_armed();
                return Some((id, Arm::Entries { lines: code.reported != Reported::NoLine }));
            }
            code.armed();
            Some((id, Arm::Everything))
        });
        armed.collect()
    }

    pub(crate) fn context(&self, id: ContextId) -> Option<&Context> {
        self.contexts.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn context_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        self.contexts.get_mut(id.0 as usize)?.as_mut()
    }

    /// A context and a code object, both to be changed.
    #[inline]
    pub(crate) fn both(&mut self, context: ContextId, code: CodeId) -> Option<(&mut Context, &mut Code)> {
        let context = self.contexts.get_mut(context.0 as usize)?.as_mut()?;
        Some((context, self.codes.get_mut(code.index())?))
    }
}

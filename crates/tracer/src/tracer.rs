//! Contexts, code objects, and the answers to the interpreter's events.

use rustc_hash::FxHashMap;

use crate::code::{Code, CodeId, FileId};
use crate::context::{Active, Context, ContextId, FileLines, Wants};
use crate::token::{OVERFLOW, OWN_SLOTS, Slot, Token, bit};

/// What the interpreter should do with the place that it reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Report it again.
    Keep,
    /// Silence this one place (`sys.monitoring.DISABLE`).
    Silence,
}

/// What to do when a code object was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Keep,
    /// Silence this one place.
    Silence,
    /// Report every place of this code object again, before its next instruction runs.
    Rearm,
}

/// A context has begun to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Activation {
    /// What names it from now on.
    pub token: Token,
    /// Code objects whose every place must be reported again.
    pub rearm: Vec<CodeId>,
}

/// A line that a context had not recorded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// Whose line it is now.
    pub context: ContextId,
    /// The file.
    pub file: FileId,
    /// The line; of a context that wants entries, the first one of what was entered.
    pub line: u32,
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
    codes: Vec<Code>,
    contexts: Vec<Option<Context>>,
    slots: [Option<Occupant>; OWN_SLOTS as usize],
    /// Contexts beyond the slots, by generation.
    overflow: FxHashMap<u64, ContextId>,
    /// The slots in use.
    active: u64,
    /// Those of contexts that want lines.
    lined: u64,
    /// How many of the contexts beyond the slots want lines.
    lined_overflow: usize,
    generation: u64,
    /// Code objects whose entry was silenced; some may have been armed since.
    quiet: Vec<CodeId>,
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
            contexts: Vec::new(),
            slots: [None; OWN_SLOTS as usize],
            overflow: FxHashMap::default(),
            active: 0,
            lined: 0,
            lined_overflow: 0,
            generation: 0,
            quiet: Vec::new(),
        }
    }

    /// Adds a code object, from now on reported at every place. `defined_at` is its `co_firstlineno`; `lines` as
    /// `co_lines()` has them.
    pub fn add_code(
        &mut self,
        file: FileId,
        defined_at: u32,
        lines: impl IntoIterator<Item = u32>,
    ) -> CodeId {
        // Four thousand million code objects don't fit into memory.
        let id = CodeId(u32::try_from(self.codes.len()).unwrap_or(u32::MAX));
        self.codes.push(Code::new(file, defined_at, lines));
        id
    }

    /// How many code objects there are.
    pub fn codes(&self) -> usize {
        self.codes.len()
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
        self.contexts[index] = Some(Context::new(wants, lines_go_to));
        ContextId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Lets a context run: its work carries the token from now on. A context that already runs keeps its token.
    pub fn activate(&mut self, id: ContextId) -> Activation {
        if let Some(active) = self.context(id).and_then(|context| context.active) {
            return Activation { token: active.token, rearm: Vec::new() };
        }
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
        if let Some(context) = self.contexts.get_mut(id.0 as usize).and_then(Option::as_mut) {
            context.active = Some(Active { token, slot });
            if context.wants == Wants::Lines {
                self.lined |= bit(slot);
                self.lined_overflow += usize::from(slot == OVERFLOW);
            }
        }
        Activation { token, rearm: self.arm_quiet() }
    }

    /// Ends a context's running; its token names nothing any more. Its lines stay.
    pub fn deactivate(&mut self, id: ContextId) {
        let Some(context) = self.context_mut(id) else { return };
        let Some(active) = context.active.take() else { return };
        let touched = std::mem::take(&mut context.touched);
        let lined = context.wants == Wants::Lines;
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
        for code in touched {
            self.codes[code.0 as usize].forget(bit(active.slot));
        }
    }

    /// Forgets a context and its lines.
    pub fn remove_context(&mut self, id: ContextId) {
        self.deactivate(id);
        if let Some(context) = self.contexts.get_mut(id.0 as usize) {
            *context = None;
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

    /// Whether a line event is news to nobody; then it must not be handed to [`Tracer::line`]. The quick half of
    /// a line event: it needs no token.
    pub fn redundant_line(&mut self, id: CodeId, line: u32) -> Option<Verdict> {
        let code = &mut self.codes[id.0 as usize];
        if self.lined & !code.seen(line)? != 0 {
            return None;
        }
        if code.spend() {
            code.lines_silenced = true;
            return Some(Verdict::Silence);
        }
        Some(Verdict::Keep)
    }

    /// A line was reached under a token. Whoever else lacks it still needs the place.
    pub fn line(&mut self, id: CodeId, line: u32, token: Token) -> Option<Fresh> {
        let (owner, slot) = self.lined_of(self.resolve(token)?)?;
        let context = self.contexts.get_mut(owner.0 as usize)?.as_mut()?;
        let code = &mut self.codes[id.0 as usize];
        if slot != OVERFLOW {
            if code.seen(line).is_some_and(|seen| seen & bit(slot) != 0) {
                return None;
            }
            code.see(line, bit(slot));
            touch(code, id, context, bit(slot));
        }
        context.record(code.file, line).then_some(Fresh { context: owner, file: code.file, line })
    }

    /// A code object was called, under a token or none.
    pub fn start(&mut self, id: CodeId, token: Option<Token>) -> (Entry, Option<Fresh>) {
        self.enter(id, token, |code| &mut code.started)
    }

    /// A generator or coroutine was resumed.
    pub fn resume(&mut self, id: CodeId, token: Option<Token>) -> (Entry, Option<Fresh>) {
        self.enter(id, token, |code| &mut code.resumed)
    }

    fn enter(
        &mut self,
        id: CodeId,
        token: Option<Token>,
        known: fn(&mut Code) -> &mut u64,
    ) -> (Entry, Option<Fresh>) {
        let code = &mut self.codes[id.0 as usize];
        if self.active & !*known(code) == 0 {
            if !code.spend() {
                return (Entry::Keep, None);
            }
            if !code.entries_silenced {
                code.entries_silenced = true;
                self.quiet.push(id);
            }
            return (Entry::Silence, None);
        }
        let Some(owner) = token.and_then(|token| self.resolve(token)) else { return (Entry::Keep, None) };
        let lined = self.lined_of(owner);
        // What was silenced since a context began to run was silenced because that context has it.
        let entered =
            |slot: Slot, code: &Code| slot != OVERFLOW && (code.started | code.resumed) & bit(slot) != 0;
        let settled = lined.is_none_or(|(_, slot)| entered(slot, &self.codes[id.0 as usize]));
        let fresh = self.note_entry(id, owner, known);
        if let Some((lined, _)) = lined.filter(|(lined, _)| *lined != owner) {
            self.note_entry(id, lined, known);
        }
        let code = &mut self.codes[id.0 as usize];
        if code.lines_silenced && !settled {
            code.armed();
            return (Entry::Rearm, fresh);
        }
        (Entry::Keep, fresh)
    }

    /// Notes that a context entered a code object; gives the first line of it if that is what the context wants.
    fn note_entry(
        &mut self,
        id: CodeId,
        owner: ContextId,
        known: fn(&mut Code) -> &mut u64,
    ) -> Option<Fresh> {
        let context = self.contexts.get_mut(owner.0 as usize)?.as_mut()?;
        let slot = context.active?.slot;
        let code = &mut self.codes[id.0 as usize];
        if slot != OVERFLOW {
            *known(code) |= bit(slot);
            touch(code, id, context, bit(slot));
        }
        let (file, line) = (code.file, code.defined_at);
        (context.wants == Wants::Entries && context.record(file, line)).then_some(Fresh {
            context: owner,
            file,
            line,
        })
    }

    /// The context that gets the lines of `id`, and its slot.
    fn lined_of(&self, id: ContextId) -> Option<(ContextId, Slot)> {
        let context = self.context(id)?;
        let lined = match context.wants {
            Wants::Lines => id,
            Wants::Entries => context.lines_go_to?,
        };
        Some((lined, self.context(lined)?.active?.slot))
    }

    /// The work of a token goes on in the middle of a running code object (a context was switched there, or an
    /// exception was thrown into a generator); says whether the code object must be armed again.
    ///
    /// This is not an entry: the next call must still be reported, because a one-line function reports its line
    /// only together with its entry (CPython 3.13).
    pub fn goes_on(&mut self, id: CodeId, token: Token) -> bool {
        let Some(owner) = self.resolve(token) else { return false };
        let code = &self.codes[id.0 as usize];
        let entered = |slot: Slot| slot != OVERFLOW && (code.started | code.resumed) & bit(slot) != 0;
        let settled = entered(token.slot()) && self.lined_of(owner).is_none_or(|(_, slot)| entered(slot));
        if settled || !(code.lines_silenced || code.entries_silenced) {
            return false;
        }
        self.codes[id.0 as usize].armed();
        true
    }

    /// Code objects of which nothing needs to be reported while no context is active; they come with the next
    /// activation's. Asked again, only those that were added or armed since.
    pub fn disarm(&mut self) -> Vec<CodeId> {
        if self.active != 0 {
            return Vec::new();
        }
        let mut disarmed = Vec::new();
        for (number, code) in (0..).zip(&mut self.codes) {
            if !code.disarmed {
                code.disarmed = true;
                code.lines_silenced = true;
                if !std::mem::replace(&mut code.entries_silenced, true) {
                    self.quiet.push(CodeId(number));
                }
                disarmed.push(CodeId(number));
            }
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

    /// In a forked child: the lines so far are the parent's. The kept contexts run on, with their tokens, having
    /// seen nothing; all others are gone. Answers with the code objects to arm again.
    pub fn after_fork(&mut self, keep: &[ContextId]) -> Vec<CodeId> {
        for index in 0..self.contexts.len() {
            let id = ContextId(u32::try_from(index).unwrap_or(u32::MAX));
            if keep.contains(&id) {
                if let Some(context) = &mut self.contexts[index] {
                    context.clear();
                }
            } else {
                self.remove_context(id);
            }
        }
        for code in &mut self.codes {
            code.forget(u64::MAX);
        }
        self.arm_quiet()
    }

    fn arm_quiet(&mut self) -> Vec<CodeId> {
        let mut quiet = std::mem::take(&mut self.quiet);
        quiet.retain(|id| {
            let code = &mut self.codes[id.0 as usize];
            let silenced = code.entries_silenced;
            if silenced {
                code.armed();
            }
            silenced
        });
        quiet
    }

    fn context(&self, id: ContextId) -> Option<&Context> {
        self.contexts.get(id.0 as usize)?.as_ref()
    }

    fn context_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        self.contexts.get_mut(id.0 as usize)?.as_mut()
    }
}

/// Notes that `code` holds a bit of `context`, so that the end of the context finds it.
fn touch(code: &mut Code, id: CodeId, context: &mut Context, bits: u64) {
    if code.touched & bits == 0 {
        code.touched |= bits;
        context.touched.push(id);
    }
}

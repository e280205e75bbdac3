//! Lines that were reached: whose they are, that a kill does not lose them, and what is said of those that nobody gets.

use playtrace_ledger::{Granularity, Record};
use playtrace_tracer::{CodeId, ContextId, FileId, Fresh, Lacked, Token, Trail};
use pyo3::Python;

use super::{Agent, RunId};
use crate::current::Held;
use crate::unflushed::{LineNote, Tail};

/// Where a line was kept from being lost by a kill.
#[derive(Debug)]
pub(super) struct Kept {
    context: ContextId,
    file: FileId,
    note: LineNote,
    tail: Tail,
}

impl Kept {
    fn is_like(&self, fresh: Fresh) -> bool {
        (self.context, self.file) == (fresh.context, fresh.file)
    }
}

impl Agent {
    /// Keeps a line from being lost by a kill.
    pub(crate) fn keep(&mut self, fresh: Fresh) {
        if let Some(kept) = self.kept_like(fresh)
            && kept.tail.note_again(kept.note, fresh.line).is_some()
        {
            return;
        }
        let Self { place: Some(place), owners, runs, sources, .. } = self else { return };
        let run = owners.get(&fresh.context).and_then(|run| runs.get_mut(run));
        // What is not kept here leaves what was kept last as good as it was.
        let Some((note, tail)) = run.and_then(|run| run.keep(place, sources, fresh)) else { return };
        if !self.kept[0].as_ref().is_some_and(|kept| kept.is_like(fresh)) {
            self.kept.swap(0, 1);
        }
        self.kept[0] = Some(Kept { context: fresh.context, file: fresh.file, note, tail });
    }

    /// Where a line of the same context and file was kept lately.
    fn kept_like(&self, fresh: Fresh) -> Option<&Kept> {
        self.kept.iter().flatten().find(|kept| kept.is_like(fresh))
    }

    /// A line was reached under `token`, whose value is what the variable holds: the next ones are like it. Answers with what is to be
    /// done about its place.
    pub(crate) fn line(&mut self, id: CodeId, line: u32, token: Token, held: Option<Held>) -> Lacked {
        self.notice_fork();
        let Some(fresh) = self.tracer.line(id, line, token) else {
            return self.tracer.lacked_by_others(id, line, Some(token));
        };
        self.keep(fresh);
        let Some(trail) = self.learn(token, held) else { return Lacked::Keep };
        let kept = self.kept.iter().flatten().find(|kept| kept.is_like(fresh));
        if let (Some(kept), Some(track)) = (kept, self.tracer.track(id, &trail)) {
            self.trails.learn_way(track, kept.note, &kept.tail);
        }
        Lacked::Keep
    }

    /// Deals with an entry by a call if that can be done by what is known of lines, and moves nothing; says whether it was.
    #[inline]
    pub(crate) fn enter_on_trail(&mut self, py: Python<'_>, code: usize) -> bool {
        self.has_noticed_forks() && self.trails.enter(py, &mut self.tracer, code)
    }

    /// Keeps in mind what the variable holds and whose the work is.
    pub(crate) fn learn(&mut self, token: Token, held: Option<Held>) -> Option<Trail> {
        let (held, trail) = (held?, self.tracer.trail(token)?);
        self.trails.learn_work(held, token, trail);
        Some(trail)
    }

    /// A line was executed within the work of `token`, in a context that knows nothing of it: whose it is can't be told.
    pub(crate) fn miss_line(&mut self, code: CodeId, line: u32, token: Token) {
        if self.tracer.lacks_line(code, line, token) {
            self.miss(token);
        }
    }

    /// The same for a function that was entered, where these are all that is recorded.
    pub(crate) fn miss_entry(&mut self, code: CodeId, token: Token) {
        if self.granularity() == Granularity::Symbol && self.tracer.lacks_entry(code, token) {
            self.miss(token);
        }
    }

    /// Code began to run where there was no stack left to listen to it.
    pub(crate) fn miss_code(&mut self, token: Token) {
        let reason = "code ran for the first time at the end of the stack or of memory: what it executed there was not seen";
        self.lose(token, reason);
    }

    /// Code could not be listened to again where the stack ended: whoever lacks a line of it may go on lacking it.
    pub(crate) fn miss_rearmed(&mut self) {
        let reason = "code could not be listened to again at the end of the stack or of memory: what it executed \
            there was not seen";
        let at_work: Vec<_> = self.runs.iter().filter(|(_, run)| !run.is_idle()).map(|(id, _)| *id).collect();
        for id in at_work {
            self.lose_of(id, reason);
        }
    }

    fn miss(&mut self, token: Token) {
        let reason = "code ran in a context that knows no profile (contextvars.Context().run, or one made elsewhere) \
            within traced work: whose it is can't be told";
        self.lose(token, reason);
    }

    /// Says that something is lost, once a run.
    pub(super) fn lose(&mut self, token: Token, reason: &'static str) {
        let run = self.tracer.resolve(token).and_then(|context| self.owners.get(&context).copied());
        if let Some(id) = run {
            self.lose_of(id, reason);
        }
    }

    pub(super) fn lose_of(&mut self, id: RunId, reason: &'static str) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.lost.insert(reason) {
            // If the ledger can't be written, the open unit tells of it.
            let _ = self.append(id, &Record::Lost { unit: None, reason: reason.to_owned() });
        }
    }
}

//! One code object: who has seen which of its lines, and what of it is silenced.

/// A code object that is traced. The number is used again after [`remove_codes`](crate::Tracer::remove_codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeId(pub(crate) u32);

impl CodeId {
    /// The number: small, for tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A measured file. The numbers are the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// How a code object is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a call.
    Start,
    /// By resuming a generator or coroutine.
    Resume {
        /// Where: the instruction's offset in bytes.
        at: u32,
    },
}

/// Redundant events that a code object may report after it was armed before its places are silenced; as many entries, and
/// as many lines besides [`BUDGET_PER_LINE`] for each of its lines.
///
/// Silencing a place costs about as much as ten redundant events, and arming a code object again as much as
/// fifty: code that runs a few times between two contexts is better left alone. Loops use the budget up at once.
const BUDGET: u32 = 64;
const BUDGET_PER_LINE: u32 = 4;

/// So many redundant lines are put up with where others were found running in the code object, before that is looked into again:
/// looking costs about as much as a hundred of them.
const CROWDED: u32 = 2048;

/// Lines that one code object's masks may span. Only code that no source has (made from a syntax tree with numbers of its own)
/// has more; lines beyond are recorded, and never silenced.
const WIDEST: usize = 1 << 16;

/// The masks grow by so many lines at least.
const GROWTH: usize = 8;

/// Which lines the interpreter may report in a code object.
#[derive(Debug)]
enum Lines {
    /// Nobody asked yet: it is worth knowing only where a loop runs.
    Unknown,
    /// It can't be told.
    Untold,
    /// These, or fewer.
    Told(Box<[u32]>),
}

/// Which lines of a code object the interpreter reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reported {
    EveryLine,
    /// Some were silenced one by one.
    SomeLines,
    NoLine,
}

/// Masks hold a bit for each slot.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a fact by itself
pub(crate) struct Code {
    pub(crate) file: FileId,
    /// `co_firstlineno`.
    pub(crate) defined_at: u32,
    /// Of `seen`.
    first_line: u32,
    /// By line, counted from `first_line`: the active contexts that have it. It grows with the lines that are reported, by some
    /// at once: the next ones are mostly reported soon.
    seen: Vec<u64>,
    /// Of how many lines the budget knows: up to the last one for which `seen` had to grow.
    budgeted: usize,
    lines: Lines,
    /// How many of `lines`, from the first one on, every context that wants lines was found to have.
    complete: usize,
    /// When that was; another context may have come since.
    complete_at: u64,
    /// The contexts whose entry by a call was reported: nothing that is silenced is new to them.
    pub(crate) started: u64,
    /// Those that resumed a generator or coroutine of it, wherever it stood.
    pub(crate) resumed: u64,
    /// The same by place. Each place is silenced by itself, and CPython 3.13 reports the line of one only together with its
    /// resumption: who resumes where another context went to sleep would lack that line.
    resumed_at: Vec<(u32, u64)>,
    /// The contexts that have a bit in any of the masks.
    pub(crate) touched: u64,
    pub(crate) reported: Reported,
    /// Whether an entry was silenced since the code was armed.
    pub(crate) entries_silenced: bool,
    /// Whose frames are the only ones that may run in it: a context's bit, or 0 for work that is nobody's. Everybody else is
    /// reported entering before a line of theirs is reached, which arms the code. `None` if that was not looked into since.
    alone: Option<u64>,
    /// Its last place in the list of silenced code objects, counted from 1; 0 if it was never on it.
    pub(crate) listed: u64,
    /// Whether nothing of it is reported at all.
    pub(crate) disarmed: bool,
    /// Whether it is a module's body, whose entries say nothing.
    pub(crate) no_function: bool,
    /// Whether the code object is gone.
    pub(crate) is_removed: bool,
    line_budget: u32,
    entry_budget: u32,
}

impl Code {
    pub(crate) fn new(file: FileId, defined_at: u32) -> Self {
        Self {
            file,
            defined_at,
            first_line: defined_at,
            seen: Vec::new(),
            budgeted: 0,
            lines: Lines::Unknown,
            complete: 0,
            complete_at: 0,
            started: 0,
            resumed: 0,
            resumed_at: Vec::new(),
            touched: 0,
            reported: Reported::EveryLine,
            entries_silenced: false,
            alone: None,
            listed: 0,
            disarmed: false,
            no_function: false,
            is_removed: false,
            line_budget: BUDGET,
            entry_budget: BUDGET,
        }
    }

    /// One that is gone.
    pub(crate) fn removed() -> Self {
        Self { is_removed: true, disarmed: true, ..Self::new(FileId(0), 0) }
    }

    /// Notes that the interpreter reports every place of it again.
    pub(crate) fn armed(&mut self) {
        self.reported = Reported::EveryLine;
        self.disarmed = false;
        self.alone = None;
        self.line_budget = BUDGET.saturating_add(lines_budget(self.budgeted));
        self.entries_armed();
    }

    /// Notes that it reports every entry again; its lines are as they were.
    pub(crate) fn entries_armed(&mut self) {
        self.entries_silenced = false;
        self.entry_budget = BUDGET;
    }

    /// Who has `line`; `None` for a line that the masks don't span.
    #[inline]
    pub(crate) fn seen(&self, line: u32) -> Option<u64> {
        let index = line.wrapping_sub(self.first_line) as usize;
        self.seen.get(index).copied().or_else(|| self.seen_by_nobody(line))
    }

    /// Who has `line`, to be changed; `None` for a line that was never reported.
    #[inline]
    pub(crate) fn seen_at(&mut self, line: u32) -> Option<&mut u64> {
        self.seen.get_mut(line.wrapping_sub(self.first_line) as usize)
    }

    /// Who has each line, from a line on.
    pub(crate) fn all_seen(&mut self) -> (u32, &mut [u64]) {
        (self.first_line, &mut self.seen)
    }

    #[cold]
    fn seen_by_nobody(&self, line: u32) -> Option<u64> {
        match line.checked_sub(self.first_line) {
            Some(index) if (index as usize) < WIDEST => Some(0),
            None if self.span_down_to(line) <= WIDEST => Some(0),
            _ => None,
        }
    }

    /// Adds a context to who has `line`; says whether it was not among them. A line that the masks don't span is always new.
    #[inline]
    pub(crate) fn see(&mut self, line: u32, bit: u64) -> bool {
        match self.seen_at(line) {
            Some(seen) => {
                let new = *seen & bit == 0;
                *seen |= bit;
                new
            }
            None => self.see_first(line, bit),
        }
    }

    /// The same for a line that was never reported before.
    #[cold]
    fn see_first(&mut self, line: u32, bit: u64) -> bool {
        let before = self.budgeted;
        if line < self.first_line {
            let span = self.span_down_to(line);
            if span > WIDEST {
                return true;
            }
            let below = span - self.seen.len();
            self.seen.splice(0..0, std::iter::repeat_n(0, below));
            self.first_line = line;
            self.budgeted += below;
        }
        let index = (line - self.first_line) as usize;
        if index >= WIDEST {
            return true;
        }
        if index >= self.seen.len() {
            self.seen.resize((index + 1).next_multiple_of(GROWTH), 0);
        }
        self.budgeted = self.budgeted.max(index + 1);
        self.seen[index] |= bit;
        self.line_budget = self.line_budget.saturating_add(lines_budget(self.budgeted - before));
        true
    }

    /// A context that wants lines was seen entering: there is room for its first ones.
    #[inline]
    pub(crate) fn expect_lines(&mut self) {
        if self.seen.is_empty() {
            self.seen.resize(GROWTH, 0);
            self.budgeted = GROWTH;
            self.line_budget = self.line_budget.saturating_add(lines_budget(GROWTH));
        }
    }

    fn span_down_to(&self, line: u32) -> usize {
        (self.first_line - line) as usize + self.seen.len()
    }

    /// The contexts that entered in a way.
    pub(crate) fn known(&mut self, way: Way) -> &mut u64 {
        let Way::Resume { at } = way else { return &mut self.started };
        let place = self.resumed_at.iter().position(|(known, _)| *known == at).unwrap_or_else(|| {
            self.resumed_at.push((at, 0));
            self.resumed_at.len() - 1
        });
        &mut self.resumed_at[place].1
    }

    /// Notes that a context entered.
    pub(crate) fn enter(&mut self, way: Way, bit: u64) {
        *self.known(way) |= bit;
        if way != Way::Start {
            self.resumed |= bit;
        }
    }

    /// Counts a redundant line; says whether the place may be silenced.
    pub(crate) fn spend_line(&mut self) -> bool {
        self.line_budget = self.line_budget.saturating_sub(1);
        self.line_budget == 0
    }

    /// Counts a redundant line if that does not use the budget up; says whether it did.
    #[inline]
    pub(crate) fn spend_spare_line(&mut self) -> bool {
        let spare = self.line_budget > 1;
        self.line_budget -= u32::from(spare);
        spare
    }

    /// Whether the frames of `holder` are known to be the only ones that run.
    pub(crate) fn is_held_by(&self, holder: u64) -> bool {
        self.alone == Some(holder)
    }

    /// Notes that the frames of `holder` are the only ones that run, and that the next entry of each of `others` is to be taken for
    /// its first. Says whether entries were silenced, and must be reported again.
    pub(crate) fn hold(&mut self, holder: u64, others: u64) -> bool {
        self.alone = Some(holder);
        self.forget_entries(others);
        let silenced = self.entries_silenced;
        self.entries_armed();
        silenced
    }

    /// Others run in it: that is not asked again soon.
    pub(crate) fn is_crowded(&mut self) {
        self.line_budget = CROWDED;
    }

    /// Counts a redundant entry; says whether the place may be silenced.
    pub(crate) fn spend_entry(&mut self) -> bool {
        self.entry_budget = self.entry_budget.saturating_sub(1);
        self.entry_budget == 0
    }

    /// Whether it is not known yet which lines there are.
    pub(crate) fn is_undescribed(&self) -> bool {
        matches!(self.lines, Lines::Unknown)
    }

    /// Learns which lines may be reported; `None` if that can't be told.
    pub(crate) fn describe(&mut self, lines: Option<Vec<u32>>) {
        self.lines = lines.map_or(Lines::Untold, |lines| Lines::Told(lines.into_boxed_slice()));
        self.complete = 0;
    }

    /// Whether all contexts in `wanting` have every line. `now` is another number each time that a context was added to those in
    /// `wanting`; as long as it is the same, what was found complete stays so, and one run over the lines serves all questions.
    pub(crate) fn is_complete(&mut self, wanting: u64, now: u64) -> bool {
        let Lines::Told(lines) = &self.lines else { return false };
        if std::mem::replace(&mut self.complete_at, now) != now {
            self.complete = 0;
        }
        let rest = &lines[self.complete.min(lines.len())..];
        let lacks = |line: &u32| self.seen(*line).is_none_or(|seen| wanting & !seen != 0);
        let lacking = rest.iter().position(lacks);
        self.complete += lacking.unwrap_or(rest.len());
        lacking.is_none()
    }

    /// Whether the context of a bit has every line.
    pub(crate) fn has_every_line(&self, bit: u64) -> bool {
        match &self.lines {
            Lines::Told(lines) => {
                lines.iter().all(|line| self.seen(*line).is_some_and(|seen| seen & bit != 0))
            }
            Lines::Unknown | Lines::Untold => false,
        }
    }

    /// Takes contexts out of all masks.
    pub(crate) fn forget(&mut self, bits: u64) {
        for seen in &mut self.seen {
            *seen &= !bits;
        }
        self.forget_entries(bits);
        self.touched &= !bits;
    }

    /// Takes the next entry of contexts for their first.
    pub(crate) fn forget_entries(&mut self, bits: u64) {
        self.started &= !bits;
        self.resumed &= !bits;
        for (_, resumed) in &mut self.resumed_at {
            *resumed &= !bits;
        }
    }
}

fn lines_budget(lines: usize) -> u32 {
    u32::try_from(lines).unwrap_or(u32::MAX).saturating_mul(BUDGET_PER_LINE)
}

#[cfg(test)]
mod tests;

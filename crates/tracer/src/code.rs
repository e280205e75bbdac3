//! One code object: who has seen which of its lines, and what of it is silenced.

/// A code object that is traced. Never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeId(pub(crate) u32);

/// A measured file. The numbers are the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// Redundant events that a code object may report after it was armed before its places are silenced, besides
/// [`BUDGET_PER_LINE`] for each of its lines.
///
/// Silencing a place costs about as much as ten redundant events, and arming a code object again as much as
/// fifty: code that runs a few times between two contexts is better left alone. Loops use the budget up at once.
const BUDGET: u32 = 64;
const BUDGET_PER_LINE: u32 = 4;

/// Masks hold a bit for each slot.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) file: FileId,
    /// `co_firstlineno`.
    pub(crate) defined_at: u32,
    first_line: u32,
    /// By line, counted from `first_line`: the active contexts that have it.
    seen: Box<[u64]>,
    /// The contexts whose entry by a call was reported: nothing that is silenced is new to them.
    pub(crate) started: u64,
    /// The same for an entry by resuming a generator or coroutine.
    pub(crate) resumed: u64,
    /// The contexts that have a bit in any of the masks.
    pub(crate) touched: u64,
    /// Whether a line was silenced since the code was armed.
    pub(crate) lines_silenced: bool,
    /// Whether an entry was silenced since the code was armed.
    pub(crate) entries_silenced: bool,
    /// Whether nothing of it is reported at all.
    pub(crate) disarmed: bool,
    budget: u32,
}

impl Code {
    /// `lines` as `co_lines()` has them, in any order, repeated or not.
    pub(crate) fn new(file: FileId, defined_at: u32, lines: impl IntoIterator<Item = u32>) -> Self {
        let (mut first, mut last) = (u32::MAX, 0);
        for line in lines {
            first = first.min(line);
            last = last.max(line);
        }
        let span = if first <= last { (last - first + 1) as usize } else { 0 };
        let mut code = Self {
            file,
            defined_at,
            first_line: first,
            seen: vec![0; span].into_boxed_slice(),
            started: 0,
            resumed: 0,
            touched: 0,
            lines_silenced: false,
            entries_silenced: false,
            disarmed: false,
            budget: 0,
        };
        code.armed();
        code
    }

    /// Notes that the interpreter reports every place of it again.
    pub(crate) fn armed(&mut self) {
        self.lines_silenced = false;
        self.entries_silenced = false;
        self.disarmed = false;
        let lines = u32::try_from(self.seen.len()).unwrap_or(u32::MAX / BUDGET_PER_LINE);
        self.budget = lines.saturating_mul(BUDGET_PER_LINE).saturating_add(BUDGET);
    }

    /// Who has `line`; `None` for a line outside the code's own table.
    pub(crate) fn seen(&self, line: u32) -> Option<u64> {
        self.seen.get(line.checked_sub(self.first_line)? as usize).copied()
    }

    /// Adds contexts to who has `line`.
    pub(crate) fn see(&mut self, line: u32, bits: u64) {
        let index = line.checked_sub(self.first_line).map(|index| index as usize);
        if let Some(seen) = index.and_then(|index| self.seen.get_mut(index)) {
            *seen |= bits;
        }
    }

    /// Counts a redundant event; says whether the place may be silenced.
    pub(crate) fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget == 0
    }

    /// Takes contexts out of all masks.
    pub(crate) fn forget(&mut self, bits: u64) {
        for seen in &mut self.seen {
            *seen &= !bits;
        }
        self.started &= !bits;
        self.resumed &= !bits;
        self.touched &= !bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_outside_the_table_are_nobodys() {
        let mut code = Code::new(FileId(0), 1, [7, 5, 9]);
        for line in [0, 4, 10, u32::MAX] {
            code.see(line, 1);
            assert_eq!(code.seen(line), None);
        }
        code.see(6, 2);
        assert_eq!((code.seen(5), code.seen(6)), (Some(0), Some(2)));
        let empty = Code::new(FileId(0), 1, []);
        assert_eq!(empty.seen(1), None);
    }

    #[test]
    fn the_budget_grows_with_the_lines_and_comes_back_with_arming() {
        let spent = |code: &mut Code| (1..100_000).find(|_| code.spend()).unwrap();
        let mut small = Code::new(FileId(0), 1, [1]);
        let mut large = Code::new(FileId(0), 1, [1, 1000]);
        assert_eq!(spent(&mut small), BUDGET + BUDGET_PER_LINE);
        assert_eq!(spent(&mut large), BUDGET + 1000 * BUDGET_PER_LINE);
        assert!(small.spend());
        small.armed();
        assert!(!small.spend());
    }
}

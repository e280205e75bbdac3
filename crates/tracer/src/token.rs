//! What a `ContextVar` holds while traced work runs.

/// Names one activation of one context: `generation << 6 | slot`.
///
/// Slots are used again, generations never: a token that outlived its context (in a forgotten pool thread, say)
/// names nothing, and can't credit its lines to whoever has the slot now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u64);

/// A place in the masks.
pub(crate) type Slot = u8;

/// The slots that a single context owns: bits 0 to 62.
pub(crate) const OWN_SLOTS: Slot = 63;
/// The slot that all further contexts share. No mask ever holds its bit, so nothing is silenced while it is in use.
pub(crate) const OVERFLOW: Slot = 63;

const SLOT_BITS: u32 = 6;

impl Token {
    pub(crate) const fn new(generation: u64, slot: Slot) -> Self {
        Self(generation << SLOT_BITS | slot as u64)
    }

    /// Takes back what [`Token::raw`] gave. Any number is a token; one that was never given out names nothing.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The token as a number.
    pub const fn raw(self) -> u64 {
        self.0
    }

    pub(crate) const fn generation(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    pub(crate) const fn slot(self) -> Slot {
        // Six bits fit into a byte.
        #[allow(clippy::cast_possible_truncation)]
        let slot = (self.0 & ((1 << SLOT_BITS) - 1)) as Slot;
        slot
    }
}

/// The bit of a slot in a mask.
pub(crate) const fn bit(slot: Slot) -> u64 {
    1 << slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_and_slot_come_back() {
        for (generation, slot) in [(0, 0), (1, 5), (1 << 40, OVERFLOW)] {
            let token = Token::from_raw(Token::new(generation, slot).raw());
            assert_eq!((token.generation(), token.slot()), (generation, slot));
        }
    }
}

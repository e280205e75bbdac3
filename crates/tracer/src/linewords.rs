//! A set of lines that is added to all the time and read seldom.

use playtrace_model::LineBits;

const BITS: u32 = u64::BITS;

/// Up to so many words, the room is doubled: files of 65,536 lines.
const DOUBLED: usize = 1024;

/// Line `n` is bit `n % 64` of word `n / 64`. Grows by doubling, so that most insertions only set a bit ([`LineBits`] is
/// always as short as can be, and grows every eight lines).
#[derive(Debug, Default)]
pub(crate) struct LineWords {
    words: Vec<u64>,
    /// Whether there is a line in it.
    any: bool,
}

impl LineWords {
    /// The empty set, with room for so many words.
    pub(crate) fn with_room(words: usize) -> Self {
        Self { words: vec![0; words], any: false }
    }

    /// How many words there is room for.
    pub(crate) fn room(&self) -> usize {
        self.words.len()
    }

    /// How many words these lines need.
    pub(crate) fn room_of(lines: &LineBits) -> usize {
        lines.as_numbits().len().div_ceil(size_of::<u64>())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.any
    }

    #[inline]
    pub(crate) fn contains(&self, line: u32) -> bool {
        self.words.get((line / BITS) as usize).is_some_and(|word| word & bit(line) != 0)
    }

    /// Where a line is in a set that has others, and room for it: the word, to be changed, and the bit.
    #[inline]
    pub(crate) fn word_among_others(&mut self, line: u32) -> Option<(&mut u64, u64)> {
        if !self.any {
            return None;
        }
        Some((self.words.get_mut((line / BITS) as usize)?, bit(line)))
    }

    /// The words of a set that has lines already.
    pub(crate) fn words_among_others(&mut self) -> Option<&mut [u64]> {
        self.any.then_some(&mut *self.words)
    }

    /// Adds a line; says whether it was new. `None` if there is no room for it yet, and nothing was done.
    fn insert_within(&mut self, line: u32) -> Option<bool> {
        let word = self.words.get_mut((line / BITS) as usize)?;
        let new = *word & bit(line) == 0;
        *word |= bit(line);
        self.any = true;
        Some(new)
    }

    /// Adds a line; says whether it was new.
    pub(crate) fn insert(&mut self, line: u32) -> bool {
        self.insert_within(line).unwrap_or_else(|| {
            let needed = (line / BITS) as usize + 1;
            let room = if needed <= DOUBLED { needed.next_power_of_two() } else { needed };
            self.words.resize(room, 0);
            self.insert_within(line).unwrap_or_default()
        })
    }

    pub(crate) fn lines(&self) -> LineBits {
        let used = self.words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        let mut bytes = Vec::with_capacity(used * size_of::<u64>());
        for word in &self.words[..used] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        LineBits::from_numbits(bytes)
    }

    /// Takes all lines out, and gives the room back: most contexts have no news for long.
    pub(crate) fn take(&mut self) -> LineBits {
        std::mem::take(self).lines()
    }
}

fn bit(line: u32) -> u64 {
    1 << (line % BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(lines in proptest::collection::vec(0u32..3000, 0..80)) {
            let (mut set, mut naive) = (LineWords::default(), BTreeSet::new());
            for _ in 0..2 {
                for &line in &lines {
                    prop_assert_eq!(set.insert(line), naive.insert(line));
                }
                prop_assert!(lines.iter().all(|line| set.contains(*line)));
                prop_assert!(lines.iter().all(|line| set.word_among_others(*line).is_some_and(|(word, bit)| *word & bit != 0)));
                prop_assert_eq!(set.is_empty(), naive.is_empty());
                prop_assert_eq!(set.lines(), naive.iter().copied().collect::<LineBits>());
                prop_assert_eq!(set.take(), std::mem::take(&mut naive).into_iter().collect::<LineBits>());
                prop_assert!(set.is_empty() && set.lines().is_empty());
            }
        }
    }

    #[test]
    fn there_is_room_only_where_something_was_inserted() {
        let mut set = LineWords::default();
        assert_eq!((set.insert_within(5), set.word_among_others(5)), (None, None));
        assert!(set.insert(5));
        assert_eq!(
            (set.insert_within(6), set.insert_within(6), set.insert_within(64)),
            (Some(true), Some(false), None)
        );
    }
}

//! A set of line numbers in coverage.py's "numbits" layout.

use std::fmt;

use crate::hex::{hex, hex_into};

/// A set of line numbers: bit `n % 8` of byte `n / 8` says whether line `n` is in it.
///
/// Always canonical: the last byte is never zero, so equal sets are equal bytes (as coverage.py's
/// `numbits.py` keeps them, and as its duplicate check needs them). Line numbers count from 1; bit 0 is
/// kept when foreign data has it, because coverage.py keeps it too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LineBits(Vec<u8>);

impl LineBits {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The empty set, with room for lines up to `last`.
    pub fn with_room(last: u32) -> Self {
        Self(Vec::with_capacity(position(last).0 + 1))
    }

    /// Takes the bytes of a numbits blob; trailing zero bytes are dropped.
    pub fn from_numbits(mut bytes: Vec<u8>) -> Self {
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        Self(bytes)
    }

    /// The numbits blob.
    pub fn as_numbits(&self) -> &[u8] {
        &self.0
    }

    /// Adds `line`; says whether it was new.
    #[inline]
    pub fn insert(&mut self, line: u32) -> bool {
        let (byte, bit) = position(line);
        if byte >= self.0.len() {
            self.0.resize(byte + 1, 0);
        }
        let new = self.0[byte] & bit == 0;
        self.0[byte] |= bit;
        new
    }

    /// Whether `line` is in the set.
    #[inline]
    pub fn contains(&self, line: u32) -> bool {
        let (byte, bit) = position(line);
        self.0.get(byte).is_some_and(|b| b & bit != 0)
    }

    /// How many lines are in the set.
    pub fn len(&self) -> usize {
        // Eight bytes at once: they are counted for each shard that is written.
        let (words, rest) = self.0.as_chunks();
        let count = |word: u64| word.count_ones() as usize;
        words.iter().map(|word| count(u64::from_ne_bytes(*word))).sum::<usize>()
            + rest.iter().map(|byte| count(u64::from(*byte))).sum::<usize>()
    }

    /// Whether no line is in the set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        // Most bytes of a small function late in a file are empty.
        self.0.iter().zip(0u32..).filter(|(byte, _)| **byte != 0).flat_map(|(&byte, index)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| index * 8 + bit)
        })
    }

    /// Adds every line of `other`.
    pub fn union_with(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    /// The lines that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_numbits(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    /// The lines that are in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.subtract(other);
        rest
    }

    /// Takes every line of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine &= !theirs;
        }
        let length = self.0.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        self.0.truncate(length);
    }

    /// How many lines are in both sets.
    pub fn common(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// Whether every line of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        let (common, beyond) = self.0.split_at(self.0.len().min(other.0.len()));
        beyond.is_empty() && common.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// Lower-case hexadecimal digits of the blob, for text formats.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Appends the same to text that is made as bytes.
    pub fn hex_into(&self, text: &mut Vec<u8>) {
        hex_into(&self.0, text);
    }

    /// Reads [`LineBits::to_hex`]; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
            .collect::<Option<Vec<u8>>>()
            .map(Self::from_numbits)
    }
}

#[inline]
fn position(line: u32) -> (usize, u8) {
    ((line / 8) as usize, 1 << (line % 8))
}

impl FromIterator<u32> for LineBits {
    fn from_iter<I: IntoIterator<Item = u32>>(lines: I) -> Self {
        let mut set = Self::new();
        set.extend(lines);
        set
    }
}

impl Extend<u32> for LineBits {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, lines: I) {
        for line in lines {
            self.insert(line);
        }
    }
}

impl fmt::Debug for LineBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn lines() -> impl Strategy<Value = BTreeSet<u32>> {
        proptest::collection::btree_set(0u32..3000, 0..80)
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(a in lines(), b in lines()) {
            let (x, y): (LineBits, LineBits) = (a.iter().copied().collect(), b.iter().copied().collect());
            let mut union = x.clone();
            union.union_with(&y);
            prop_assert_eq!(union.iter().collect::<BTreeSet<_>>(), &a | &b);
            prop_assert_eq!(x.intersection(&y).iter().collect::<BTreeSet<_>>(), &a & &b);
            prop_assert_eq!(x.difference(&y).iter().collect::<BTreeSet<_>>(), &a - &b);
            prop_assert_eq!(x.common(&y), (&a & &b).len());
            prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
            prop_assert_eq!(x.len(), a.len());
            prop_assert!(a.iter().all(|line| x.contains(*line)));
            prop_assert_eq!(&LineBits::from_hex(&x.to_hex()), &Some(x.clone()));
        }

        #[test]
        fn equal_sets_are_equal_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let set = LineBits::from_numbits(bytes);
            let again: LineBits = set.iter().collect();
            prop_assert_eq!(set.as_numbits(), again.as_numbits());
            prop_assert_ne!(set.as_numbits().last(), Some(&0));
        }
    }

    #[test]
    fn the_layout_is_coverage_pys() {
        // coverage.numbits.nums_to_numbits([1, 2, 3, 10]) == b'\x0e\x04'
        let set: LineBits = [1, 2, 3, 10].into_iter().collect();
        assert_eq!(set.as_numbits(), b"\x0e\x04");
    }

    #[test]
    fn hex_of_something_else_is_refused() {
        for text in ["0", "0g", "ü0", "+1"] {
            assert_eq!(LineBits::from_hex(text), None, "{text:?}");
        }
    }
}

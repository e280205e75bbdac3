//! Executed lines by context and file.

use std::collections::BTreeMap;

use crate::{ContextLabel, LineBits, MeasuredPath};

/// Which lines were executed, by context and measured file.
///
/// The in-memory form of a line-measuring `.coverage` file. A file may be present with an empty set:
/// it was measured and nothing ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineData {
    contexts: BTreeMap<ContextLabel, BTreeMap<MeasuredPath, LineBits>>,
}

impl LineData {
    /// No data.
    pub const fn new() -> Self {
        Self { contexts: BTreeMap::new() }
    }

    /// Adds `lines` of `path` to `context`.
    pub fn add(&mut self, context: &ContextLabel, path: &MeasuredPath, lines: &LineBits) {
        // Look up before cloning the key: a merge adds to the same few keys thousands of times.
        let Some(files) = self.contexts.get_mut(context) else {
            self.contexts.insert(context.clone(), BTreeMap::from([(path.clone(), lines.clone())]));
            return;
        };
        match files.get_mut(path) {
            Some(known) => known.union_with(lines),
            None => {
                files.insert(path.clone(), lines.clone());
            }
        }
    }

    /// The same for what is nobody else's any more.
    pub fn insert(&mut self, context: &ContextLabel, path: MeasuredPath, lines: LineBits) {
        match self.contexts.get_mut(context) {
            Some(files) => unite(files, path, lines),
            None => _ = self.contexts.insert(context.clone(), BTreeMap::from([(path, lines)])),
        }
    }

    /// Adds everything of `other`, whose parts become this one's.
    pub fn append(&mut self, other: Self) {
        for (context, files) in other.contexts {
            match self.contexts.get_mut(&context) {
                Some(known) => files.into_iter().for_each(|(path, lines)| unite(known, path, lines)),
                None => _ = self.contexts.insert(context, files),
            }
        }
    }

    /// Adds everything of `other`: commutative, associative, idempotent.
    pub fn union_with(&mut self, other: &Self) {
        for (context, path, lines) in other.iter() {
            self.add(context, path, lines);
        }
    }

    /// What is in this and not in `other`. A file without lines is never left over.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Self::new();
        for (context, path, lines) in self.iter() {
            let known = other.context(context).and_then(|files| files.get(path));
            let new = known.map_or_else(|| lines.clone(), |known| lines.difference(known));
            if !new.is_empty() {
                left.add(context, path, &new);
            }
        }
        left
    }

    /// Every (context, file, lines), sorted by context, then by file.
    pub fn iter(&self) -> impl Iterator<Item = (&ContextLabel, &MeasuredPath, &LineBits)> {
        self.contexts
            .iter()
            .flat_map(|(context, files)| files.iter().map(move |(path, lines)| (context, path, lines)))
    }

    /// The files of one context.
    pub fn context(&self, context: &ContextLabel) -> Option<&BTreeMap<MeasuredPath, LineBits>> {
        self.contexts.get(context)
    }

    /// All contexts, sorted.
    pub fn contexts(&self) -> impl Iterator<Item = &ContextLabel> {
        self.contexts.keys()
    }

    /// The union over the contexts that `wanted` accepts, by file.
    pub fn lines_by_file(&self, wanted: impl Fn(&ContextLabel) -> bool) -> BTreeMap<MeasuredPath, LineBits> {
        let mut files: BTreeMap<MeasuredPath, LineBits> = BTreeMap::new();
        for (_, path, lines) in self.iter().filter(|(context, ..)| wanted(context)) {
            files.entry(path.clone()).or_default().union_with(lines);
        }
        files
    }

    /// Whether there is no file in it.
    pub fn is_empty(&self) -> bool {
        self.contexts.values().all(BTreeMap::is_empty)
    }
}

fn unite(files: &mut BTreeMap<MeasuredPath, LineBits>, path: MeasuredPath, lines: LineBits) {
    match files.get_mut(&path) {
        Some(known) => known.union_with(&lines),
        None => _ = files.insert(path, lines),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> impl Strategy<Value = LineData> {
        proptest::collection::vec((0u8..3, 0u8..4, proptest::collection::vec(1u32..60, 0..6)), 0..10)
            .prop_map(|rows| {
                let mut data = LineData::new();
                for (context, path, lines) in rows {
                    data.add(
                        &ContextLabel::new(format!("c{context}")),
                        &MeasuredPath::new(format!("f{path}.py")),
                        &lines.into_iter().collect(),
                    );
                }
                data
            })
    }

    fn union(a: &LineData, b: &LineData) -> LineData {
        let mut all = a.clone();
        all.union_with(b);
        all
    }

    proptest! {
        #[test]
        fn union_is_commutative_associative_idempotent(a in data(), b in data(), c in data()) {
            prop_assert_eq!(union(&a, &b), union(&b, &a));
            prop_assert_eq!(union(&union(&a, &b), &c), union(&a, &union(&b, &c)));
            let mut appended = a.clone();
            appended.append(b.clone());
            prop_assert_eq!(appended, union(&a, &b));
            let mut inserted = a.clone();
            b.iter().for_each(|(context, path, lines)| inserted.insert(context, path.clone(), lines.clone()));
            prop_assert_eq!(inserted, union(&a, &b));
            prop_assert_eq!(union(&a, &a), a);
        }

        #[test]
        fn a_difference_is_what_the_other_one_lacks(a in data(), b in data()) {
            let left = a.difference(&b);
            for (context, path, lines) in a.iter() {
                let of = |data: &LineData| {
                    data.context(context).and_then(|files| files.get(path)).cloned().unwrap_or_default()
                };
                let (left, known) = (of(&left), of(&b));
                for line in lines.iter() {
                    prop_assert_eq!(left.contains(line), !known.contains(line));
                }
            }
            prop_assert!(left.difference(&a).is_empty());
        }
    }
}

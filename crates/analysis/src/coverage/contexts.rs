//! Which contexts executed a line.

use playtrace_model::LineBits;

/// The contexts of a file's lines, each a pair of line and context: the context's place in the report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineContexts(Vec<(u32, usize)>);

impl LineContexts {
    /// Turns lines by contexts, which ascend, into contexts by lines.
    pub(super) fn of(measured: &[(usize, &LineBits)]) -> Self {
        let mut pairs: Vec<(u32, usize)> =
            Vec::with_capacity(measured.iter().map(|(_, lines)| lines.len()).sum());
        for &(context, lines) in measured {
            pairs.extend(lines.iter().map(|line| (line, context)));
        }
        // Stable, and quick where there are a few long runs, as here: one for each context.
        pairs.sort_by_key(|&(line, _)| line);
        Self(pairs)
    }

    /// The lines with contexts, ascending, each with its pairs, which ascend too.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[(u32, usize)])> {
        self.0.chunk_by(|(one, _), (other, _)| one == other).map(|pairs| (pairs[0].0, pairs))
    }

    /// The pairs of one line; of a line without contexts, none.
    pub fn on(&self, line: u32) -> &[(u32, usize)] {
        let rest = &self.0[self.0.partition_point(|&(before, _)| before < line)..];
        &rest[..rest.partition_point(|&(at, _)| at == line)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_their_contexts() {
        let bits = |lines: &[u32]| lines.iter().copied().collect::<LineBits>();
        let (first, last) = (bits(&[1, 3, 9]), bits(&[0, 3, 4]));
        let contexts = LineContexts::of(&[(2, &first), (5, &last)]);
        let all: Vec<(u32, Vec<usize>)> =
            contexts.iter().map(|(line, pairs)| (line, pairs.iter().map(|pair| pair.1).collect())).collect();
        assert_eq!(all, [(0, vec![5]), (1, vec![2]), (3, vec![2, 5]), (4, vec![5]), (9, vec![2])]);
        assert_eq!(contexts.on(3), [(3, 2), (3, 5)]);
        assert_eq!(contexts.on(2), []);
        assert_eq!(contexts.on(10), []);
        assert_eq!(LineContexts::default().iter().count(), 0);
    }
}

//! Regions: which lines belong to which function and class in coverage.py's reports.
//!
//! The rules are `RegionFinder`'s in coverage.py's `regions.py`; they differ from symbols in a few ways. A region's
//! lines are those of bodies, a class has the lines of its methods alone, and names have no `<locals>`.

use playtrace_model::{LineBits, Region};
use serde::{Deserialize, Serialize};

use crate::CoverageRelease;

/// A definition as regions need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegionNode {
    pub(crate) is_class: bool,
    pub(crate) name: String,
    pub(crate) start: u32,
    /// First and last line of its body.
    pub(crate) body: (u32, u32),
    /// Index of the definition that it stands in.
    pub(crate) parent: Option<usize>,
    /// Whether only `if`, `for`, `while`, `with` and `try` bodies lie between it and its parent: before 7.17 nothing
    /// else is looked into.
    pub(crate) in_bodies: bool,
    /// Its place where `else` and `finally` come before the handlers: 7.17 goes through a `try` so.
    pub(crate) place: usize,
}

/// The definitions of a file, in source order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RegionNodes(pub(crate) Vec<RegionNode>);

impl RegionNodes {
    /// Puts the definitions from `handlers` on behind those from `rest` on, which are the last ones so far.
    pub(crate) fn handlers_last(&mut self, handlers: usize, rest: usize) {
        let (in_handlers, in_rest) = (rest - handlers, self.0.len() - rest);
        for node in &mut self.0[handlers..rest] {
            node.place += in_rest;
        }
        for node in &mut self.0[rest..] {
            node.place -= in_handlers;
        }
    }

    /// The regions, in the order in which `release` lists them: that of the source but for [`RegionNode::place`].
    pub(crate) fn regions(&self, release: CoverageRelease) -> Vec<Region> {
        let mut found = Found { nodes: &self.0, regions: vec![None; self.0.len()] };
        let mut open: Vec<usize> = Vec::new();
        for (index, node) in self.0.iter().enumerate() {
            while open.last().copied() != node.parent
                && let Some(done) = open.pop()
            {
                found.leave(done);
            }
            open.push(index);
            let visible = release >= CoverageRelease::V7_17 || node.in_bodies;
            if visible && node.parent.is_none_or(|parent| found.regions[parent].is_some()) {
                found.enter(index);
            }
        }
        while let Some(done) = open.pop() {
            found.leave(done);
        }
        let mut regions: Vec<(&RegionNode, Option<Region>)> = self.0.iter().zip(found.regions).collect();
        if release >= CoverageRelease::V7_17 {
            regions.sort_by_key(|(node, _)| node.place);
        }
        regions.into_iter().filter_map(|(_, region)| region).collect()
    }
}

struct Found<'a> {
    nodes: &'a [RegionNode],
    /// By index of the node; none for what is not looked into.
    regions: Vec<Option<Region>>,
}

impl Found<'_> {
    fn ancestors(&self, of: usize) -> impl Iterator<Item = usize> + use<'_> {
        std::iter::successors(self.nodes[of].parent, |&at| self.nodes[at].parent)
    }

    fn enter(&mut self, index: usize) {
        let node = &self.nodes[index];
        let lines: LineBits =
            if node.is_class { LineBits::new() } else { (node.body.0..=node.body.1).collect() };
        if !node.is_class {
            let function = self.ancestors(index).find(|&at| !self.nodes[at].is_class);
            if let Some(parent) = node.parent
                && self.nodes[parent].is_class
                && let Some(class) = &mut self.regions[parent]
            {
                class.lines.union_with(&lines);
            }
            if let Some(outer) = function.and_then(|at| self.regions[at].as_mut()) {
                outer.lines = outer.lines.difference(&lines);
            }
        }
        let name = match node.parent.and_then(|parent| self.regions[parent].as_ref()) {
            Some(parent) => format!("{}.{}", parent.name, node.name),
            None => node.name.clone(),
        };
        self.regions[index] = Some(Region { is_class: node.is_class, name, start: node.start, lines });
    }

    fn leave(&mut self, index: usize) {
        let Some(region) = self.regions[index].take() else { return };
        if region.is_class {
            let outer: Vec<usize> = self.ancestors(index).filter(|&at| self.nodes[at].is_class).collect();
            for at in outer {
                if let Some(class) = &mut self.regions[at] {
                    class.lines = class.lines.difference(&region.lines);
                }
            }
        }
        self.regions[index] = Some(region);
    }
}

#[cfg(test)]
mod tests {
    use playtrace_model::MeasuredPath;

    use crate::{CoverageRelease, PythonVersion, Rules, analyze};

    /// The lines of the definitions, in the order of `coverage.regions.code_regions` under each release.
    #[test]
    fn definitions_in_a_try_come_as_each_release_lists_them() {
        let text = include_bytes!("../../../corpus/source/try_parts.py");
        let lines = |release| {
            let rules = Rules::new(PythonVersion::V3_12, release);
            let file = analyze(text, &MeasuredPath::new("try_parts.py"), "try_parts", &rules)
                .expect("the file is Python");
            file.regions().iter().map(|region| region.start).collect::<Vec<_>>()
        };
        assert_eq!(lines(CoverageRelease::V7_11), [4, 27, 37]);
        let walked = [4, 22, 24, 6, 14, 16, 11, 12, 18, 19, 27, 33, 31, 37, 39];
        assert_eq!(lines(CoverageRelease::V7_17), walked);
    }
}

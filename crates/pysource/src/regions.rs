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
}

/// The definitions of a file, in source order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RegionNodes(pub(crate) Vec<RegionNode>);

impl RegionNodes {
    /// The regions, in source order.
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
        found.regions.into_iter().flatten().collect()
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

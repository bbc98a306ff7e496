//! The way from the root to a leaf.

use super::{TreeDescriptor, keys, read_node};
use crate::error::Result;
use crate::page::slots::{MAX_LEVEL, Slotted};
use crate::page::{Page, PageNo, ReadPages};

const MAX_DEPTH: usize = MAX_LEVEL as usize + 1;

/// One page on the way, and where in it the way goes on; in a leaf, where the key is or belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub(super) page_no: PageNo,
    pub(super) slot: usize,
    pub(super) is_last_slot: bool,
}

/// The pages from the root, at depth 0, to a leaf. Holds numbers, not pages: those it leads to are
/// about to change.
pub(super) struct Path {
    steps: [Step; MAX_DEPTH],
    depth: usize,
    /// Whether the leaf has the key.
    pub(super) found: bool,
}

impl Path {
    /// Descends to the leaf where `key` is or belongs.
    pub(super) fn to<P: ReadPages + ?Sized>(
        pages: &P,
        tree: &TreeDescriptor,
        key: &[u8],
    ) -> Result<(Self, Page)> {
        let mut path = Self { steps: [Step::default(); MAX_DEPTH], depth: 0, found: false };
        let mut page_no = tree.root;
        let mut page = read_node(pages, tree, page_no, None)?;
        loop {
            let node = Slotted::new(page.bytes());
            if node.is_leaf() {
                let found = keys::search(pages, tree, node, key)?;
                let is_last_slot = found.slot + 1 >= node.len();
                path.set(Step { page_no, slot: found.slot, is_last_slot });
                path.found = found.exact;
                return Ok((path, page));
            }
            let slot = keys::child_slot(pages, tree, node, key)?;
            path.set(Step { page_no, slot, is_last_slot: slot + 1 == node.len() });
            path.depth += 1;
            page_no = node.child(slot);
            page = read_node(pages, tree, page_no, Some(node.level()))?;
        }
    }

    fn set(&mut self, step: Step) {
        // Levels sink from at most MAX_LEVEL, so there is a step for each.
        if let Some(place) = self.steps.get_mut(self.depth) {
            *place = step;
        }
    }

    pub(super) fn step(&self, depth: usize) -> Step {
        self.steps.get(depth).copied().unwrap_or_default()
    }

    /// The depth of the leaf.
    pub(super) fn leaf_depth(&self) -> usize {
        self.depth
    }

    pub(super) fn leaf(&self) -> Step {
        self.step(self.depth)
    }

    /// Whether the page at `depth` is the last of its level.
    pub(super) fn is_right_edge(&self, depth: usize) -> bool {
        self.steps.iter().take(depth).all(|step| step.is_last_slot)
    }

    /// Whether the page at `depth` is the first of its level.
    pub(super) fn is_left_edge(&self, depth: usize) -> bool {
        self.steps.iter().take(depth).all(|step| step.slot == 0)
    }
}

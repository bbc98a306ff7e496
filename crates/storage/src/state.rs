//! What a commit leaves behind, and what a snapshot is: numbers and trees as of one commit.

use crate::error::{Error, Result};
use crate::ids::TREE_ZERO;
use crate::log::record::DescriptorUpdate;
use crate::log::recovery::Counters;
use crate::page::{CommitNo, ReadPages, TreeId};
use crate::pins::{Descriptors, Pins};
use crate::tree::{self, TreeDescriptor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state after one commit. Holding one is what registers a snapshot.
#[derive(Debug)]
pub(crate) struct CommitState {
    pub(crate) counters: Counters,
    pub(crate) tree_zero: TreeDescriptor,
    /// Trees changed since the descriptor tree was last brought up to date; `None` for dropped.
    pub(crate) changed: BTreeMap<TreeId, Option<TreeDescriptor>>,
    /// Descriptors read from the descriptor tree, as long as that does not change.
    folded: Arc<Descriptors>,
    /// Inner pages at hand for the readers of this state.
    pub(crate) pins: Pins,
}

impl CommitState {
    pub(crate) fn new(
        counters: Counters,
        tree_zero: TreeDescriptor,
        changed: BTreeMap<TreeId, Option<TreeDescriptor>>,
    ) -> Self {
        Self { counters, tree_zero, changed, folded: Arc::default(), pins: Pins::default() }
    }

    pub(crate) fn commit(&self) -> CommitNo {
        self.counters.commit
    }

    /// The state after a commit that changed these trees. With `folded`, the commit wrote all
    /// changed descriptors into the descriptor tree.
    pub(crate) fn next(
        &self,
        counters: Counters,
        updates: &[DescriptorUpdate],
        folded: bool,
    ) -> Self {
        let mut changed = if folded { BTreeMap::new() } else { self.changed.clone() };
        let mut tree_zero = self.tree_zero;
        for (tree, descriptor) in updates {
            match descriptor {
                Some(descriptor) if *tree == TREE_ZERO => tree_zero = *descriptor,
                _ => {
                    changed.insert(*tree, *descriptor);
                }
            }
        }
        let cache = if folded { Arc::default() } else { Arc::clone(&self.folded) };
        Self { counters, tree_zero, changed, folded: cache, pins: Pins::default() }
    }

    /// The descriptor of a tree as of this commit.
    pub(crate) fn descriptor(
        &self,
        pages: &impl ReadPages,
        tree: TreeId,
    ) -> Result<Option<TreeDescriptor>> {
        if tree == TREE_ZERO {
            return Ok(Some(self.tree_zero));
        }
        if let Some(known) = self.changed.get(&tree) {
            return Ok(*known);
        }
        let cached = self.folded.get(tree);
        if cached.is_some() {
            return Ok(cached);
        }
        let Some(value) = tree::get(pages, &self.tree_zero, &descriptor_key(tree))? else {
            return Ok(None);
        };
        let descriptor = TreeDescriptor::decode(&value)
            .filter(|descriptor| descriptor.id == tree)
            .ok_or(Error::corrupt(self.tree_zero.root, "holds a malformed tree descriptor"))?;
        self.folded.insert(descriptor);
        Ok(Some(descriptor))
    }

    /// All trees but the descriptor tree, in order of their numbers.
    pub(crate) fn descriptors(&self, pages: &impl ReadPages) -> Result<Vec<TreeDescriptor>> {
        let mut all = BTreeMap::new();
        let mut cursor = tree::TreeCursor::new(self.tree_zero);
        let mut on_entry = cursor.first(pages)?;
        while on_entry {
            let descriptor = cursor
                .value(pages)?
                .and_then(|value| TreeDescriptor::decode(&value))
                .filter(|descriptor| descriptor_key(descriptor.id) == cursor.key())
                .ok_or(Error::corrupt(self.tree_zero.root, "holds a malformed tree descriptor"))?;
            all.insert(descriptor.id, descriptor);
            on_entry = cursor.next(pages)?;
        }
        for (&tree, descriptor) in &self.changed {
            match descriptor {
                Some(descriptor) => all.insert(tree, *descriptor),
                None => all.remove(&tree),
            };
        }
        Ok(all.into_values().collect())
    }
}

/// The key of a tree in the descriptor tree.
pub(crate) fn descriptor_key(tree: TreeId) -> [u8; 4] {
    tree.0.to_be_bytes()
}

//! What a commit leaves behind, and what a snapshot is: numbers and trees as of one commit.

use crate::error::{Error, Result};
use crate::ids::{Counters, LogPoint, TREE_ZERO};
use crate::log::record::DescriptorUpdate;
use crate::page::{CommitNo, ReadPages, TreeId};
use crate::pins::{Descriptors, Pins};
use crate::snapshot::SnapshotInfo;
use crate::sync::{Arc, OnceLock};
use crate::tree::{self, TreeDescriptor};
use std::collections::BTreeMap;
use std::time::Duration;

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
    /// The place in the log behind the commit's record, once it has one there.
    behind: OnceLock<LogPoint>,
    /// When somebody first took it for a snapshot, by the clock of the file layer.
    first_read: OnceLock<Duration>,
}

impl CommitState {
    pub(crate) fn new(
        counters: Counters,
        tree_zero: TreeDescriptor,
        changed: BTreeMap<TreeId, Option<TreeDescriptor>>,
    ) -> Self {
        Self::with_cache(counters, tree_zero, changed, Arc::default())
    }

    fn with_cache(
        counters: Counters,
        tree_zero: TreeDescriptor,
        changed: BTreeMap<TreeId, Option<TreeDescriptor>>,
        folded: Arc<Descriptors>,
    ) -> Self {
        let (behind, first_read) = (OnceLock::new(), OnceLock::new());
        Self { counters, tree_zero, changed, folded, pins: Pins::default(), behind, first_read }
    }

    /// The place in the log behind the commit's record; `None` while the file alone holds it.
    pub(crate) fn behind(&self) -> Option<LogPoint> {
        self.behind.get().copied()
    }

    /// Enters the place behind the commit's record, once.
    pub(crate) fn set_behind(&self, point: LogPoint) {
        // A second call would mean that the record was appended twice.
        let fresh = self.behind.set(point).is_ok();
        debug_assert!(fresh, "a commit has one place in the log");
    }

    /// Enters that it was taken for a snapshot at `now`, unless it was before.
    pub(crate) fn touch(&self, now: impl FnOnce() -> Duration) {
        self.first_read.get_or_init(now);
    }

    /// What there is to say of its readers at `now`, if it has any.
    pub(crate) fn info(&self, reader_count: usize, now: Duration) -> Option<SnapshotInfo> {
        let since = self.first_read.get().filter(|_| reader_count > 0)?;
        Some(SnapshotInfo {
            commit: self.commit(),
            reader_count: reader_count as u64,
            age: now.saturating_sub(*since),
        })
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
        Self::with_cache(counters, tree_zero, changed, cache)
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

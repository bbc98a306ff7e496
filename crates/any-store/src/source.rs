//! What reads come from: a snapshot that is owned, or a write transaction that is borrowed.

use std::ops::Bound;

use any_store_storage as storage;

use crate::error::Result;

/// One consistent state of the database, to read from.
///
/// A snapshot is owned, so cursors over it live as long as they like. A write transaction is
/// borrowed, so whoever reads from it keeps it from being written to.
#[derive(Clone)]
pub(crate) enum Source<'t> {
    /// A snapshot of one commit.
    Snapshot(storage::ReadTx),
    /// A write transaction, its own changes included.
    Writer {
        tx: &'t storage::WriteTx,
        /// The transaction may have changed the catalog, so that its version number may come to
        /// mean something else once another transaction commits.
        has_changed_catalog: bool,
    },
}

impl<'t> Source<'t> {
    /// A write transaction whose catalog must be read from its tree.
    pub(crate) fn uncommitted(tx: &'t storage::WriteTx) -> Self {
        Self::Writer { tx, has_changed_catalog: true }
    }

    /// The version of the catalog, if a committed state has it.
    pub(crate) fn committed_catalog_version(&self) -> Option<u64> {
        match self {
            Self::Snapshot(snapshot) => Some(snapshot.catalog_version()),
            Self::Writer { tx, has_changed_catalog: false } => Some(tx.catalog_version()),
            Self::Writer { has_changed_catalog: true, .. } => None,
        }
    }

    pub(crate) fn get(
        &self,
        tree: storage::TreeId,
        key: &[u8],
    ) -> Result<Option<storage::ValueRef>> {
        Ok(match self {
            Self::Snapshot(snapshot) => snapshot.get(tree, key),
            Self::Writer { tx, .. } => tx.get(tree, key),
        }?)
    }

    pub(crate) fn cursor(&self, tree: storage::TreeId) -> Result<storage::Cursor<'t>> {
        Ok(match self {
            Self::Snapshot(snapshot) => snapshot.cursor(tree),
            Self::Writer { tx, .. } => tx.cursor(tree),
        }?)
    }

    /// How much of a tree lies between two keys, from two descents.
    pub(crate) fn estimate(
        &self,
        tree: storage::TreeId,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> Result<storage::Estimate> {
        Ok(match self {
            Self::Snapshot(snapshot) => snapshot.estimate(tree, low, high),
            Self::Writer { tx, .. } => tx.estimate(tree, low, high),
        }?)
    }

    /// The counters of a tree; `None` if there is no such tree.
    pub(crate) fn tree_stats(&self, tree: storage::TreeId) -> Result<Option<storage::TreeStats>> {
        Ok(match self {
            Self::Snapshot(snapshot) => snapshot.tree_stats(tree),
            Self::Writer { tx, .. } => tx.tree_stats(tree),
        }?)
    }
}

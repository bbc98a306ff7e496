//! Transactions: snapshots to read from, and the one writer.

use crate::background;
use crate::commit::Origin;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::options::Sync;
use crate::page::{CommitNo, Page, PageNo, ReadPages, TreeId, expect_page};
use crate::state::CommitState;
use crate::sync::CountedArc;
use crate::tree::{
    self, BulkLoad, DOCUMENT_PAGE_BLOCKS, Estimate, TreeCursor, TreeDescriptor, ValueRef,
};
use crate::write_set::WriteSet;
use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a tree is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeOptions {
    /// Blocks of a page: 1, 2 or 4. Larger pages waste less on values of about their size, and log
    /// more for a small change. `None` takes the default for documents.
    pub page_blocks: Option<u8>,
}

/// Sizes of a tree as of a snapshot, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// Number of entries.
    pub entry_count: u64,
    /// Bytes of all keys.
    pub key_bytes: u64,
    /// Bytes of all values.
    pub value_bytes: u64,
    /// Blocks of 4 KiB that the tree takes.
    pub block_count: u64,
}

impl From<TreeDescriptor> for TreeStats {
    fn from(tree: TreeDescriptor) -> Self {
        Self {
            entry_count: tree.entry_count,
            key_bytes: tree.key_bytes,
            value_bytes: tree.value_bytes,
            block_count: tree.block_count,
        }
    }
}

/// A snapshot: the state after one commit, for as long as it is held.
///
/// Costs nothing to begin and blocks nobody. While one is held, the log cannot be started anew
/// beyond it. Clones share the snapshot.
#[derive(Clone)]
pub struct ReadTx {
    engine: Arc<Shared>,
    state: CountedArc<CommitState>,
}

impl ReadTx {
    pub(crate) fn new(engine: Arc<Shared>, state: CountedArc<CommitState>) -> Self {
        Self { engine, state }
    }

    /// The commit whose state this is.
    #[must_use]
    pub fn commit_no(&self) -> CommitNo {
        self.state.commit()
    }

    /// The version of the catalog, as last set by a write transaction.
    #[must_use]
    pub fn catalog_version(&self) -> u64 {
        self.state.counters.catalog_version
    }

    fn descriptor(&self, tree: TreeId) -> Result<TreeDescriptor> {
        self.state.descriptor(self, tree)?.ok_or(Error::TreeNotFound(tree))
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<ValueRef>> {
        tree::get(self, &self.descriptor(tree)?, key)
    }

    /// A cursor over a tree, on no entry yet. It keeps the snapshot.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`.
    pub fn cursor(&self, tree: TreeId) -> Result<Cursor<'static>> {
        let position = TreeCursor::new(self.descriptor(tree)?);
        Ok(Cursor { pages: CursorPages::Snapshot(self.clone()), position })
    }

    /// The sizes of a tree; `None` if there is no such tree.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Closed`.
    pub fn tree_stats(&self, tree: TreeId) -> Result<Option<TreeStats>> {
        self.engine.expect_open()?;
        Ok(self.state.descriptor(self, tree)?.map(TreeStats::from))
    }

    /// Estimates how much of a tree lies between two keys, from two descents.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`.
    pub fn estimate(
        &self,
        tree: TreeId,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> Result<Estimate> {
        tree::estimate(self, &self.descriptor(tree)?, lower, upper)
    }

    pub(crate) fn state(&self) -> &CommitState {
        &self.state
    }
}

impl ReadPages for ReadTx {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        self.lend(page_no, tree, blocks).map(Cow::into_owned)
    }

    fn lend(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Cow<'_, Page>> {
        self.engine.expect_open()?;
        if let Some(page) = self.state.pins.get(page_no) {
            expect_page(page, page_no, tree, blocks)?;
            return Ok(Cow::Borrowed(page));
        }
        let page = self.engine.pager.read(page_no, tree, blocks, self.state.commit());
        // A page that was being overwritten by the closing checkpoint does not pass its check.
        let page = page.or_else(|error| self.engine.expect_open().and(Err(error)))?;
        self.state.pins.offer(&page, &self.engine.pager.directory);
        Ok(Cow::Owned(page))
    }
}

impl fmt::Debug for ReadTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTx").field("commit_no", &self.state.commit()).finish_non_exhaustive()
    }
}

/// Savepoints of this process, of all stores: each has its own number, so that none passes for one
/// of another transaction.
static SAVEPOINT_COUNT: AtomicU64 = AtomicU64::new(0);

/// A savepoint of a write transaction. Savepoints nest like a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    depth: usize,
    number: u64,
}

/// The write transaction: reads see its own changes, nobody else does before it commits.
///
/// It may change more than memory holds: pages beyond the budget wait in the log, where nobody sees
/// them before the commit.
///
/// Dropping it undoes everything. An error in the middle of a change dooms it: from then on it can
/// be rolled back, to a savepoint or as a whole, and nothing else. Rolling back needs no space.
pub struct WriteTx {
    engine: Arc<Shared>,
    /// `None` once committed.
    set: Option<WriteSet>,
    sync: Sync,
    doomed: bool,
    /// Numbers of the open savepoints, outermost first.
    savepoints: Vec<u64>,
}

impl WriteTx {
    pub(crate) fn begin(engine: &Arc<Shared>, timeout: Option<Duration>) -> Result<Self> {
        let set = engine.begin_write(timeout)?;
        Ok(Self {
            engine: Arc::clone(engine),
            set: Some(set),
            sync: engine.options.sync,
            doomed: false,
            savepoints: Vec::new(),
        })
    }

    /// A page that the closing checkpoint has just replaced is no longer what the transaction
    /// expects: then the answer is that the store was closed.
    fn told<R>(&self, outcome: Result<R>) -> Result<R> {
        outcome.or_else(|error| self.engine.expect_open().and(Err(error)))
    }

    fn set(&self) -> Result<&WriteSet> {
        self.engine.expect_open()?;
        match &self.set {
            Some(set) if !self.doomed => Ok(set),
            _ => Err(Error::Failed),
        }
    }

    fn descriptor(&self, tree: TreeId) -> Result<TreeDescriptor> {
        self.told(self.set()?.descriptor(tree))
    }

    /// Runs a change of one tree. If it fails half-way, the transaction is doomed.
    fn change<R>(
        &mut self,
        tree: TreeId,
        action: impl FnOnce(&mut WriteSet, &mut TreeDescriptor) -> Result<R>,
    ) -> Result<R> {
        let mut descriptor = self.descriptor(tree)?;
        let before = descriptor;
        let set = self.set.as_mut().ok_or(Error::Failed)?;
        let changed = action(set, &mut descriptor);
        if changed.is_err() {
            self.doomed = true;
        } else if descriptor != before {
            set.trees.insert(tree, Some(descriptor));
        }
        self.told(changed)
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`, `Failed`.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<ValueRef>> {
        tree::get(self, &self.descriptor(tree)?, key)
    }

    /// A cursor over a tree as it is now, on no entry yet.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`, `Failed`.
    pub fn cursor(&self, tree: TreeId) -> Result<Cursor<'_>> {
        let position = TreeCursor::new(self.descriptor(tree)?);
        Ok(Cursor { pages: CursorPages::Writer(self), position })
    }

    /// The sizes of a tree; `None` if there is no such tree.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Closed`, `Failed`.
    pub fn tree_stats(&self, tree: TreeId) -> Result<Option<TreeStats>> {
        match self.descriptor(tree) {
            Ok(descriptor) => Ok(Some(descriptor.into())),
            Err(Error::TreeNotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Estimates how much of a tree lies between two keys, from two descents.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`, `Failed`.
    pub fn estimate(
        &self,
        tree: TreeId,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> Result<Estimate> {
        tree::estimate(self, &self.descriptor(tree)?, lower, upper)
    }

    /// Makes an empty tree. Numbers ascend from 1 and are not used again.
    ///
    /// # Errors
    /// `LimitExceeded`, `Io`, `NoSpace`, `Closed`, `Failed`.
    pub fn create_tree(&mut self, options: TreeOptions) -> Result<TreeId> {
        let page_blocks = options.page_blocks.unwrap_or(DOCUMENT_PAGE_BLOCKS);
        if !matches!(page_blocks, 1 | 2 | 4) {
            return Err(Error::LimitExceeded("pages of a tree have 1, 2 or 4 blocks"));
        }
        self.set()?;
        let set = self.set.as_mut().ok_or(Error::Failed)?;
        let tree = TreeId(set.counters.next_tree);
        // The number above is the one that bitmap pages carry.
        let next = tree.0.checked_add(1).filter(|&next| next < u32::MAX);
        let next = next.ok_or(Error::LimitExceeded("tree numbers"))?;
        match tree::create(set, tree, page_blocks, PageNo(0)) {
            Ok(descriptor) => {
                set.counters.next_tree = next;
                set.trees.insert(tree, Some(descriptor));
                Ok(tree)
            }
            Err(error) => {
                self.doomed = true;
                self.told(Err(error))
            }
        }
    }

    /// Drops a tree and gives its pages back.
    ///
    /// # Errors
    /// `TreeNotFound`, `Corrupt`, `Io`, `Closed`, `Failed`.
    pub fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        self.change(tree, |set, descriptor| tree::destroy(set, descriptor))?;
        if let Some(set) = &mut self.set {
            set.trees.insert(tree, None);
        }
        Ok(())
    }

    /// Enters a new key; false, and nothing changed, if it is there already.
    ///
    /// # Errors
    /// `LimitExceeded` for a key or value that is too long, and nothing has changed; `TreeNotFound`,
    /// `Corrupt`, `Io`, `NoSpace`, `Closed`, `Failed`.
    pub fn insert(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<bool> {
        tree::check_lengths(key, value)?;
        self.change(tree, |set, descriptor| tree::insert(set, descriptor, key, value))
    }

    /// Enters or replaces.
    ///
    /// # Errors
    /// As [`WriteTx::insert`].
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        tree::check_lengths(key, value)?;
        self.change(tree, |set, descriptor| tree::put(set, descriptor, key, value))
    }

    /// Removes a key; false if it is not there.
    ///
    /// # Errors
    /// As [`WriteTx::insert`].
    pub fn remove(&mut self, tree: TreeId, key: &[u8]) -> Result<bool> {
        self.change(tree, |set, descriptor| tree::remove(set, descriptor, key))
    }

    /// Fills an empty tree with entries in ascending order of their keys, from the leaves up: much
    /// faster than inserting them, and with full pages.
    ///
    /// ```
    /// # use any_store_storage::{Error, MemVfs, Store, StoreOptions, TreeOptions};
    /// # let vfs = std::sync::Arc::new(MemVfs::new());
    /// # let store = Store::open(vfs, "db".as_ref(), StoreOptions::default())?;
    /// let mut txn = store.begin_write()?;
    /// let tree = txn.create_tree(TreeOptions::default())?;
    /// let entries = (0..1000u32).map(|n| Ok((n.to_be_bytes(), n.to_string())));
    /// txn.bulk_load(tree, entries)?;
    /// assert_eq!(txn.get(tree, &7u32.to_be_bytes())?.as_deref(), Some(&b"7"[..]));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidLoad` if the tree is not empty, or a key is not above the one before; the first error
    /// among the entries; else as [`WriteTx::insert`].
    pub fn bulk_load<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        tree: TreeId,
        entries: impl IntoIterator<Item = Result<(K, V)>>,
    ) -> Result<()> {
        let mut load = BulkLoad::new(self, self.descriptor(tree)?)?;
        self.change(tree, |set, descriptor| {
            for entry in entries {
                let (key, value) = entry?;
                load.push(set, key.as_ref(), value.as_ref())?;
            }
            *descriptor = load.finish(set)?;
            Ok(())
        })
    }

    /// Marks the present state, to come back to. Costs a copy of each page that changes after it
    /// and had been changed before; nothing until then.
    ///
    /// # Errors
    /// `Closed`, `Failed`.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.set()?;
        let set = self.set.as_mut().ok_or(Error::Failed)?;
        let depth = set.begin_savepoint();
        let number = SAVEPOINT_COUNT.fetch_add(1, Ordering::Relaxed);
        self.savepoints.push(number);
        Ok(Savepoint { depth, number })
    }

    /// Undoes everything since a savepoint, errors included. The savepoint stays open, those
    /// opened after it are gone.
    ///
    /// # Errors
    /// `Internal` when the savepoint is not open; `Closed`.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.engine.expect_open()?;
        self.expect_savepoint(savepoint)?;
        if let Some(set) = &mut self.set {
            set.rollback_to(savepoint.depth);
        }
        self.savepoints.truncate(savepoint.depth);
        self.doomed = false;
        Ok(())
    }

    /// Ends a savepoint, and those opened after it; what was done stays.
    ///
    /// # Errors
    /// `Internal` when the savepoint is not open; `Closed`, `Failed`.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        self.set()?;
        self.expect_savepoint(savepoint)?;
        if let Some(set) = &mut self.set {
            set.release_savepoint(savepoint.depth);
        }
        self.savepoints.truncate(savepoint.depth.saturating_sub(1));
        Ok(())
    }

    fn expect_savepoint(&self, savepoint: Savepoint) -> Result<()> {
        let open = savepoint.depth.checked_sub(1).and_then(|index| self.savepoints.get(index));
        if open == Some(&savepoint.number) {
            Ok(())
        } else {
            Err(Error::Internal("the savepoint is not open"))
        }
    }

    /// The version of the catalog as this transaction sees it.
    #[must_use]
    pub fn catalog_version(&self) -> u64 {
        self.set.as_ref().map_or(0, |set| set.counters.catalog_version)
    }

    /// Counts the catalog's version up, so that whoever caches the catalog notices.
    ///
    /// # Errors
    /// `Closed`, `Failed`.
    pub fn bump_catalog_version(&mut self) -> Result<()> {
        self.set()?;
        let set = self.set.as_mut().ok_or(Error::Failed)?;
        set.counters.catalog_version = set.counters.catalog_version.wrapping_add(1);
        Ok(())
    }

    /// What it began with, for a planted bug that looks there.
    ///
    /// # Errors
    /// `Closed` once committed.
    #[cfg(planted)]
    #[doc(hidden)]
    pub fn base(&self) -> Result<ReadTx> {
        let set = self.set.as_ref().ok_or(Error::Closed)?;
        Ok(ReadTx::new(Arc::clone(&self.engine), CountedArc::clone(set.base())))
    }

    /// How safe this commit is to be; the store's default otherwise.
    pub fn set_sync(&mut self, sync: Sync) {
        self.sync = sync;
    }

    /// True if a commit would have something to write.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.set.as_ref().is_some_and(WriteSet::is_changed)
    }

    /// Pages that the transaction has changed, in memory or not.
    #[must_use]
    pub fn changed_page_count(&self) -> usize {
        self.set.as_ref().map_or(0, WriteSet::page_count)
    }

    /// Makes all changes visible at once, and with [`Sync::Full`] durable before it returns. A
    /// transaction that changed nothing writes nothing. Open savepoints are released.
    ///
    /// # Errors
    /// `CommitUnknown` when the outcome is open; with every other error nothing was applied.
    pub fn commit(mut self) -> Result<CommitNo> {
        self.set()?;
        let set = self.set.take().ok_or(Error::Failed)?;
        let is_changed = set.is_changed();
        let appended = self.engine.append_commit(set, self.sync, Origin::Transaction);
        let engine = Arc::clone(&self.engine);
        // The next writer goes on while this one waits for the sync.
        drop(self);
        let commit = appended?;
        engine.settle(commit)?;
        if is_changed {
            background::after_commit(&engine.0);
        }
        Ok(commit)
    }

    /// Undoes everything, as dropping does.
    pub fn rollback(self) {
        drop(self);
    }
}

impl ReadPages for WriteTx {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        self.told(self.set()?.page(page_no, tree, blocks))
    }
}

impl Drop for WriteTx {
    fn drop(&mut self) {
        // In a forked child the lock may be held for ever by a thread that only the parent has.
        if self.engine.expect_same_process().is_ok() {
            self.engine.writer.release();
        }
    }
}

impl fmt::Debug for WriteTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTx")
            .field("sync", &self.sync)
            .field("doomed", &self.doomed)
            .finish_non_exhaustive()
    }
}

/// A position in a tree that can move both ways.
///
/// The cursor of a [`ReadTx`] keeps its snapshot and may outlive it; the cursor of a [`WriteTx`]
/// borrows it, so that nothing changes underneath.
pub struct Cursor<'t> {
    pages: CursorPages<'t>,
    position: TreeCursor,
}

enum CursorPages<'t> {
    Snapshot(ReadTx),
    Writer(&'t WriteTx),
}

impl ReadPages for CursorPages<'_> {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        match self {
            Self::Snapshot(snapshot) => snapshot.page(page_no, tree, blocks),
            Self::Writer(txn) => txn.page(page_no, tree, blocks),
        }
    }
}

impl CursorPages<'_> {
    fn expect_open(&self) -> Result<()> {
        match self {
            Self::Snapshot(snapshot) => snapshot.engine.expect_open(),
            Self::Writer(txn) => txn.engine.expect_open(),
        }
    }
}

impl Cursor<'_> {
    /// Moves to the first entry at or behind `key`; false if there is none.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Closed`.
    pub fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.pages.expect_open()?;
        self.position.seek(&self.pages, key)
    }

    /// Moves to the last entry before `key`; false if there is none.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn seek_before(&mut self, key: &[u8]) -> Result<bool> {
        self.pages.expect_open()?;
        self.position.seek_before(&self.pages, key)
    }

    /// Moves to the first entry; false if the tree is empty.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn first(&mut self) -> Result<bool> {
        self.pages.expect_open()?;
        self.position.first(&self.pages)
    }

    /// Moves to the last entry; false if the tree is empty.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn last(&mut self) -> Result<bool> {
        self.pages.expect_open()?;
        self.position.last(&self.pages)
    }

    /// Moves to the next entry; false past the end.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    // A cursor is no iterator: it moves both ways and lends its key.
    #[expect(clippy::should_implement_trait, reason = "next() lends, so it cannot be Iterator's")]
    pub fn next(&mut self) -> Result<bool> {
        self.pages.expect_open()?;
        self.position.next(&self.pages)
    }

    /// Moves to the entry before; false past the start.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn prev(&mut self) -> Result<bool> {
        self.pages.expect_open()?;
        self.position.prev(&self.pages)
    }

    /// True when the cursor is on an entry.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.position.is_valid()
    }

    /// How many pages of the tree the cursor has entered so far, in memory or not; a page that it
    /// came back to counts again. Runs of long values are not among them.
    #[must_use]
    pub fn page_count(&self) -> u64 {
        self.position.page_count()
    }

    /// The key of the entry; empty when the cursor is on none.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.position.key()
    }

    /// The value of the entry.
    ///
    /// # Errors
    /// As [`Cursor::seek`]; `Internal` when the cursor is on no entry.
    pub fn value(&self) -> Result<ValueRef> {
        self.pages.expect_open()?;
        self.position
            .value(&self.pages)?
            .ok_or(Error::Internal("the value of a cursor that is on no entry"))
    }

    /// The value of the entry without any reading, if all of it stands in the entry.
    #[must_use]
    pub fn inline_value(&self) -> Option<&[u8]> {
        self.position.inline_value()
    }
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("is_valid", &self.is_valid()).finish_non_exhaustive()
    }
}

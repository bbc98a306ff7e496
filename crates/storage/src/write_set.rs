//! The writer's own pages: changed copies, new pages, freed pages, and their undo.
//!
//! A page is copied when it is first touched and changed in place afterwards. A savepoint keeps, of
//! each page that changes after it, the version before; since pages are shared values, keeping one
//! costs a reference count, and the copy is made only when the page really changes again. Without
//! an open savepoint nothing is kept.

use crate::bitmap::{self, Bits, GROUP_BLOCKS, SPACE};
use crate::error::{Error, Result};
use crate::ids::Counters;
use crate::page::{CommitNo, Page, PageKind, PageNo, ReadPages, TreeId, WritePages, expect_page};
use crate::pager::Pager;
use crate::state::CommitState;
use crate::tree::TreeDescriptor;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// No page has as many blocks.
const NO_RUN_FAILED: u32 = u32::MAX;

/// A page that the transaction made or changed.
#[derive(Clone, Debug)]
pub(crate) struct Dirty {
    pub(crate) page: Page,
    /// The version it was copied from; 0 for a new page.
    pub(crate) replaces: CommitNo,
}

/// A page of an earlier commit that the transaction gave back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freed {
    pub(crate) page_no: PageNo,
    pub(crate) block_count: u16,
}

/// Where the search for free blocks goes on; kept from transaction to transaction, since it only
/// saves time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllocationHint {
    next: PageNo,
    /// No free run of this many blocks exists: the file has to grow.
    failed_run: u32,
}

impl Default for AllocationHint {
    fn default() -> Self {
        Self { next: PageNo(0), failed_run: NO_RUN_FAILED }
    }
}

/// The numbers and trees that a savepoint brings back.
#[derive(Clone, Debug)]
struct Marks {
    counters: Counters,
    trees: BTreeMap<TreeId, Option<TreeDescriptor>>,
    freed_len: usize,
}

#[derive(Debug)]
struct Savepoint {
    marks: Marks,
    /// Of each page touched since: what the write set held before.
    undo: HashMap<PageNo, Option<Dirty>, FixedState>,
}

/// Everything an open write transaction has changed.
#[derive(Debug)]
pub(crate) struct WriteSet {
    pager: Arc<Pager>,
    base: Arc<CommitState>,
    pages: HashMap<PageNo, Dirty, FixedState>,
    freed: Vec<Freed>,
    pub(crate) counters: Counters,
    /// Trees changed by the transaction; `None` for dropped.
    pub(crate) trees: BTreeMap<TreeId, Option<TreeDescriptor>>,
    pub(crate) hint: AllocationHint,
    savepoints: Vec<Savepoint>,
}

impl WriteSet {
    pub(crate) fn new(pager: Arc<Pager>, base: Arc<CommitState>, hint: AllocationHint) -> Self {
        Self {
            pager,
            counters: base.counters,
            base,
            pages: HashMap::default(),
            freed: Vec::new(),
            trees: BTreeMap::new(),
            hint,
            savepoints: Vec::new(),
        }
    }

    pub(crate) fn base(&self) -> &Arc<CommitState> {
        &self.base
    }

    /// True if a commit would have something to write.
    pub(crate) fn is_changed(&self) -> bool {
        !self.pages.is_empty()
            || !self.freed.is_empty()
            || !self.trees.is_empty()
            || self.counters.catalog_version != self.base.counters.catalog_version
            || self.counters.block_count != self.base.counters.block_count
    }

    /// The descriptor as the transaction sees it.
    pub(crate) fn descriptor(&self, tree: TreeId) -> Result<TreeDescriptor> {
        let descriptor = match self.trees.get(&tree) {
            Some(known) => *known,
            None => self.base.descriptor(self, tree)?,
        };
        descriptor.ok_or(Error::TreeNotFound(tree))
    }

    /// The pages to log, in page order, and the freed ones.
    pub(crate) fn into_pages(self) -> (Vec<(PageNo, Dirty)>, Vec<Freed>) {
        let mut pages: Vec<_> = self.pages.into_iter().collect();
        pages.sort_unstable_by_key(|(page_no, _)| *page_no);
        (pages, self.freed)
    }

    /// Bytes of changed pages held in memory.
    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    // Savepoints.

    /// Opens a savepoint; returns its depth.
    pub(crate) fn begin_savepoint(&mut self) -> usize {
        self.savepoints.push(Savepoint { marks: self.marks(), undo: HashMap::default() });
        self.savepoints.len()
    }

    fn marks(&self) -> Marks {
        Marks { counters: self.counters, trees: self.trees.clone(), freed_len: self.freed.len() }
    }

    /// Undoes everything since the savepoint at `depth`, which stays open; deeper ones are gone.
    pub(crate) fn rollback_to(&mut self, depth: usize) {
        while self.savepoints.len() >= depth.max(1) {
            let Some(savepoint) = self.savepoints.pop() else { return };
            for (page_no, before) in savepoint.undo {
                match before {
                    Some(dirty) => self.pages.insert(page_no, dirty),
                    None => self.pages.remove(&page_no),
                };
            }
            let reached = self.savepoints.len() + 1 == depth;
            if reached {
                self.freed.truncate(savepoint.marks.freed_len);
                self.counters = savepoint.marks.counters;
                self.trees = savepoint.marks.trees.clone();
                self.hint.failed_run = NO_RUN_FAILED;
                let marks = savepoint.marks;
                self.savepoints.push(Savepoint { marks, undo: HashMap::default() });
                return;
            }
        }
    }

    /// Makes what happened since the savepoint at `depth` part of what is around it.
    pub(crate) fn release_savepoint(&mut self, depth: usize) {
        while self.savepoints.len() >= depth.max(1) {
            let Some(released) = self.savepoints.pop() else { return };
            let Some(outer) = self.savepoints.last_mut() else { return };
            for (page_no, before) in released.undo {
                outer.undo.entry(page_no).or_insert(before);
            }
        }
    }

    /// Keeps what the write set holds of a page, before that changes.
    fn keep_for_undo(&mut self, page_no: PageNo) {
        if let Some(savepoint) = self.savepoints.last_mut() {
            let pages = &self.pages;
            savepoint.undo.entry(page_no).or_insert_with(|| pages.get(&page_no).cloned());
        }
    }

    // Free space.

    /// Takes `blocks` consecutive free blocks, or grows the file.
    fn take_blocks(&mut self, blocks: u16) -> Result<PageNo> {
        let wanted = u32::from(blocks);
        if wanted >= GROUP_BLOCKS {
            return Err(Error::LimitExceeded("a page larger than a group of blocks"));
        }
        let found = if self.counters.free_blocks >= wanted && wanted < self.hint.failed_run {
            self.find_run(wanted)?
        } else {
            None
        };
        let page_no = match found {
            Some(page_no) => page_no,
            None => self.grow(wanted)?,
        };
        self.mark_blocks(page_no, wanted, true)?;
        self.counters.free_blocks = self.counters.free_blocks.saturating_sub(wanted);
        self.hint.next = PageNo(page_no.0.saturating_add(wanted));
        Ok(page_no)
    }

    /// Next fit, once around the file.
    fn find_run(&mut self, wanted: u32) -> Result<Option<PageNo>> {
        let groups = bitmap::group_count(self.counters.block_count);
        let start = bitmap::group_of(self.hint.next).min(groups.saturating_sub(1));
        let from = if bitmap::group_of(self.hint.next) == start {
            bitmap::index_in_group(self.hint.next)
        } else {
            0
        };
        // The first group is searched again from its beginning at the end of the round.
        for step in 0..=groups {
            let group = (start + step) % groups.max(1);
            let from = if step == 0 { from } else { 0 };
            let (first, page) = self.bitmap(group)?;
            let until = self.counters.block_count.saturating_sub(first.0).min(GROUP_BLOCKS);
            if let Some(index) = Bits(page.bytes()).find_free(wanted, from, until) {
                return Ok(Some(PageNo(first.0 + index)));
            }
        }
        self.hint.failed_run = wanted;
        Ok(None)
    }

    fn bitmap(&self, group: u32) -> Result<(PageNo, Page)> {
        let first = bitmap::bitmap_page(group).ok_or(Error::LimitExceeded("block numbers"))?;
        Ok((first, self.page(first, SPACE, 1)?))
    }

    /// New blocks at the end of the file; what is left of a group that is too short stays free.
    fn grow(&mut self, wanted: u32) -> Result<PageNo> {
        const FULL: Error = Error::LimitExceeded("block numbers: the database is full");
        let mut start = self.counters.block_count;
        let index = bitmap::index_in_group(PageNo(start));
        if index != 0 && index + wanted > GROUP_BLOCKS {
            let rest = GROUP_BLOCKS - index;
            start = start.checked_add(rest).ok_or(FULL)?;
            self.counters.free_blocks = self.counters.free_blocks.saturating_add(rest);
            self.hint.failed_run = NO_RUN_FAILED;
        }
        if bitmap::index_in_group(PageNo(start)) == 0 {
            let bitmap = PageNo(start);
            self.keep_for_undo(bitmap);
            let mut page = Page::new(PageKind::Bitmap, SPACE, bitmap, 1);
            bitmap::mark(page.make_mut(), 0, 1, true);
            self.pages.insert(bitmap, Dirty { page, replaces: CommitNo(0) });
            start = start.checked_add(1).ok_or(FULL)?;
        }
        self.counters.block_count = start.checked_add(wanted).ok_or(FULL)?;
        self.counters.free_blocks = self.counters.free_blocks.saturating_add(wanted);
        Ok(PageNo(start))
    }

    fn mark_blocks(&mut self, page_no: PageNo, blocks: u32, used: bool) -> Result<()> {
        let first = bitmap::bitmap_page(bitmap::group_of(page_no))
            .ok_or(Error::LimitExceeded("block numbers"))?;
        let index = bitmap::index_in_group(page_no);
        // Neither a header slot nor the bitmap itself, nor blocks of two groups, are a page.
        let is_inside = index > 0 && index.saturating_add(blocks) <= GROUP_BLOCKS;
        let bits = self.page_mut(first, SPACE, 1)?;
        if is_inside && bitmap::mark(bits, index, blocks, used) {
            Ok(())
        } else {
            Err(Error::corrupt(page_no, "the free-space map disagrees about its blocks"))
        }
    }

    /// Cuts free blocks off the end of the file.
    pub(crate) fn trim(&mut self) -> Result<()> {
        loop {
            let groups = bitmap::group_count(self.counters.block_count);
            let Some(group) = groups.checked_sub(1) else { return Ok(()) };
            let (first, page) = self.bitmap(group)?;
            let until = self.counters.block_count.saturating_sub(first.0).min(GROUP_BLOCKS);
            let last = Bits(page.bytes()).last_used(until).unwrap_or(0);
            let kept = first.0 + last + 1;
            let cut = self.counters.block_count.saturating_sub(kept);
            self.counters.block_count = kept;
            self.counters.free_blocks = self.counters.free_blocks.saturating_sub(cut);
            // A group that holds nothing but its bitmap goes too; the first one always stays.
            if last > 0 || group == 0 {
                return Ok(());
            }
            self.drop_page(first, 1);
            self.counters.block_count = first.0;
        }
    }

    /// Takes a page out of the write set; one that an earlier commit wrote is logged as freed.
    fn drop_page(&mut self, page_no: PageNo, block_count: u16) {
        self.keep_for_undo(page_no);
        let is_new = self.pages.remove(&page_no).is_some_and(|dirty| dirty.replaces == CommitNo(0));
        if !is_new {
            self.freed.push(Freed { page_no, block_count });
        }
    }
}

impl ReadPages for WriteSet {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        match self.pages.get(&page_no) {
            Some(dirty) => {
                expect_page(&dirty.page, page_no, tree, blocks)?;
                Ok(dirty.page.clone())
            }
            None => self.pager.read(page_no, tree, blocks, self.base.commit()),
        }
    }
}

impl WritePages for WriteSet {
    fn page_mut(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<&mut [u8]> {
        self.keep_for_undo(page_no);
        let dirty = match self.pages.entry(page_no) {
            std::collections::hash_map::Entry::Occupied(entry) => {
                let dirty = entry.into_mut();
                expect_page(&dirty.page, page_no, tree, blocks)?;
                dirty
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                let page = self.pager.read(page_no, tree, blocks, self.base.commit())?;
                let replaces = page.version();
                entry.insert(Dirty { page, replaces })
            }
        };
        Ok(dirty.page.make_mut())
    }

    fn allocate(
        &mut self,
        kind: PageKind,
        tree: TreeId,
        blocks: u16,
        _near: PageNo,
    ) -> Result<PageNo> {
        let page_no = self.take_blocks(blocks)?;
        self.keep_for_undo(page_no);
        let page = Page::new(kind, tree, page_no, blocks);
        self.pages.insert(page_no, Dirty { page, replaces: CommitNo(0) });
        Ok(page_no)
    }

    fn free(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<()> {
        if let Some(dirty) = self.pages.get(&page_no) {
            expect_page(&dirty.page, page_no, tree, blocks)?;
        }
        self.mark_blocks(page_no, u32::from(blocks), false)?;
        self.drop_page(page_no, blocks);
        self.counters.free_blocks = self.counters.free_blocks.saturating_add(u32::from(blocks));
        self.hint.failed_run = NO_RUN_FAILED;
        Ok(())
    }
}

//! The writer's own pages: changed copies, new pages, freed pages, and their undo.
//!
//! A page is copied when it is first touched and changed in place afterwards. A savepoint keeps, of
//! each page that changes after it, the version before; since pages are shared values, keeping one
//! costs a reference count, and the copy is made only when the page really changes again. Without
//! an open savepoint nothing is kept.
//!
//! With a budget, pages that memory has no room for go to the log, uncommitted:
//!
//! ```text
//!   FILE or LOG --first change--> RESIDENT --cold--> SPILLED --change--> RESIDENT
//!                                     |                 |
//!                                     +---- commit -----+--> image in the record, or its place
//! ```
//!
//! Invariants:
//!  1. A spilled image is never overwritten, so its place stays good for reading and for undo.
//!  2. Going back to a savepoint restores pages or places; it reads and writes nothing.
//!  3. A page leaves memory only after the log has taken it: a failed spill loses nothing.
//!
//! Memory: the budget, the pages of one change, and the places of spilled pages: 21 bytes each, in a
//! table that is between 7/16 and 7/8 full. For each open savepoint since which the page changed
//! there are 21 bytes more, or 5 if the page was new. So a new page under a savepoint takes 30 to
//! 60 bytes when spilled. While a table grows, half of it exists twice; at commit there are 40
//! bytes a page for the sorted list.

mod pages;
mod savepoint;
mod space;
mod spill;

use crate::error::{Error, Result};
use crate::ids::Counters;
use crate::page::{CommitNo, Page, PageKind, PageNo, ReadPages, TreeId, WritePages, expect_page};
use crate::pager::Pager;
use crate::state::CommitState;
use crate::sync::CountedArc;
use crate::tree::TreeDescriptor;
use pages::{ChangedPages, Held, ResidentPage};
use savepoint::{Marks, Savepoints};
pub(crate) use space::AllocationHint;
use spill::Spill;
pub(crate) use spill::SpillLog;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A page that the transaction made or changed.
#[derive(Clone, Debug)]
pub(crate) struct Dirty {
    pub(crate) content: Content,
    /// The version it was copied from; 0 for a new page.
    pub(crate) replaces: CommitNo,
}

/// Where the bytes of a changed page are.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// In memory, neither stamped nor sealed.
    Resident(Page),
    /// In the log, stamped with the number of the commit to be, and sealed.
    Spilled { position: u64, block_count: u16 },
}

impl From<Held> for Dirty {
    fn from(held: Held) -> Self {
        match held {
            Held::Resident(resident) => {
                Self { content: Content::Resident(resident.page), replaces: resident.replaces }
            }
            Held::Spilled(spilled) => {
                let (position, block_count) = (spilled.position, spilled.block_count);
                Self {
                    content: Content::Spilled { position, block_count },
                    replaces: spilled.replaces,
                }
            }
        }
    }
}

/// A page of an earlier commit that the transaction gave back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freed {
    pub(crate) page_no: PageNo,
    pub(crate) block_count: u16,
}

/// Everything an open write transaction has changed.
#[derive(Debug)]
pub(crate) struct WriteSet {
    pager: Arc<Pager>,
    base: CountedArc<CommitState>,
    pages: ChangedPages,
    freed: Vec<Freed>,
    pub(crate) counters: Counters,
    /// Trees changed by the transaction; `None` for dropped.
    pub(crate) trees: BTreeMap<TreeId, Option<TreeDescriptor>>,
    pub(crate) hint: AllocationHint,
    savepoints: Savepoints,
    /// `None` if everything stays in memory. Boxed, since a write set is moved about.
    spill: Option<Box<Spill>>,
    /// Counts the pages that came into memory: the time of `spill`.
    now: u32,
}

impl WriteSet {
    /// A write set that stays in memory.
    pub(crate) fn new(
        pager: Arc<Pager>,
        base: CountedArc<CommitState>,
        hint: AllocationHint,
    ) -> Self {
        Self {
            pager,
            counters: base.counters,
            base,
            pages: ChangedPages::default(),
            freed: Vec::new(),
            trees: BTreeMap::new(),
            hint,
            savepoints: Savepoints::default(),
            spill: None,
            now: 0,
        }
    }

    /// Lets pages go to `log` when more than `budget_bytes` of them are in memory.
    pub(crate) fn with_spill(mut self, log: Arc<dyn SpillLog>, budget_bytes: u64) -> Self {
        // Past the last commit number there is no commit, so nobody sees a number used twice.
        let version = CommitNo(self.base.commit().0.saturating_add(1));
        let spill = Spill::new(log, Arc::clone(&self.pager), version, budget_bytes);
        self.spill = Some(Box::new(spill));
        self
    }

    pub(crate) fn base(&self) -> &CountedArc<CommitState> {
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
        // Of a large transaction these would stand beside the list that is made here.
        drop((self.savepoints, self.spill));
        let held = self.pages.into_held();
        let mut pages: Vec<_> = held.map(|(page_no, held)| (page_no, held.into())).collect();
        pages.sort_unstable_by_key(|(page_no, _)| *page_no);
        (pages, self.freed)
    }

    /// Number of changed pages, in memory or spilled.
    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Opens a savepoint; returns its depth.
    pub(crate) fn begin_savepoint(&mut self) -> usize {
        self.savepoints.begin(Marks {
            counters: self.counters,
            trees: self.trees.clone(),
            freed_len: self.freed.len(),
        })
    }

    /// Undoes everything since the savepoint at `depth`, which stays open; deeper ones are gone.
    pub(crate) fn rollback_to(&mut self, depth: usize) {
        if let Some(marks) = self.savepoints.roll_back(depth, &mut self.pages) {
            self.freed.truncate(marks.freed_len);
            self.counters = marks.counters;
            self.trees = marks.trees;
            self.hint.forget_failure();
        }
    }

    /// Makes what happened since the savepoint at `depth` part of what is around it.
    pub(crate) fn release_savepoint(&mut self, depth: usize) {
        self.savepoints.release(depth);
    }

    /// Adds a page that the write set did not hold, or held as freed.
    fn add_new(&mut self, page_no: PageNo, page: Page) {
        self.savepoints.keep(page_no, &self.pages);
        self.now = self.now.saturating_add(1);
        let resident = ResidentPage::new(page, CommitNo(0), self.now);
        self.pages.insert(page_no, Held::Resident(resident));
    }

    /// Takes a page out of the write set; one that an earlier commit wrote is logged as freed.
    fn drop_page(&mut self, page_no: PageNo, block_count: u16) {
        self.savepoints.keep(page_no, &self.pages);
        let is_new = self.pages.remove(page_no).is_some_and(|held| held.replaces() == CommitNo(0));
        if !is_new {
            self.freed.push(Freed { page_no, block_count });
        }
    }
}

const NO_LOG: Error = Error::Internal("a page was spilled without a log");

impl ReadPages for WriteSet {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        if let Some(resident) = self.pages.resident_page(page_no) {
            expect_page(&resident.page, page_no, tree, blocks)?;
            resident.touch(self.now);
            return Ok(resident.page.clone());
        }
        let Some(spilled) = self.pages.spilled_page(page_no) else {
            return self.pager.read(page_no, tree, blocks, self.base.commit());
        };
        let page = self.spill.as_ref().ok_or(NO_LOG)?.read(page_no, spilled)?;
        expect_page(&page, page_no, tree, blocks)?;
        Ok(page)
    }
}

impl WritePages for WriteSet {
    fn page_mut(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<&mut [u8]> {
        self.make_room()?;
        self.savepoints.keep(page_no, &self.pages);
        let (pager, spill, now) = (&self.pager, &mut self.spill, &mut self.now);
        let snapshot = self.base.commit();
        let resident = self.pages.resident_or_fetch(page_no, |spilled| {
            let (page, replaces) = match spilled {
                Some(spilled) => {
                    let page = spill.as_mut().ok_or(NO_LOG)?.take(page_no, spilled)?;
                    (page, spilled.replaces)
                }
                None => {
                    let page = pager.read(page_no, tree, blocks, snapshot)?;
                    let replaces = page.version();
                    (page, replaces)
                }
            };
            *now = now.saturating_add(1);
            Ok(ResidentPage::new(page, replaces, *now))
        })?;
        expect_page(&resident.page, page_no, tree, blocks)?;
        resident.touch(self.now);
        Ok(resident.page.make_mut())
    }

    fn allocate(
        &mut self,
        kind: PageKind,
        tree: TreeId,
        blocks: u16,
        _near: PageNo,
    ) -> Result<PageNo> {
        self.make_room()?;
        let page_no = self.take_blocks(blocks)?;
        self.add_new(page_no, Page::new(kind, tree, page_no, blocks));
        Ok(page_no)
    }

    fn free(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<()> {
        if let Some(resident) = self.pages.resident_page(page_no) {
            expect_page(&resident.page, page_no, tree, blocks)?;
        } else if self.pages.spilled_page(page_no).is_some_and(|s| s.block_count != blocks) {
            return Err(Error::corrupt(page_no, "has another size than its reference says"));
        }
        self.mark_blocks(page_no, u32::from(blocks), false)?;
        self.drop_page(page_no, blocks);
        self.counters.free_blocks = self.counters.free_blocks.saturating_add(u32::from(blocks));
        self.hint.forget_failure();
        Ok(())
    }
}

#[cfg(test)]
mod tests;

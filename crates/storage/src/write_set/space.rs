//! Free space: taking blocks, giving them back, and cutting the end off the file.

use super::WriteSet;
use crate::bitmap::{self, Bits, GROUP_BLOCKS, SPACE};
use crate::error::{Error, Result};
use crate::page::{Page, PageKind, PageNo, ReadPages, WritePages};

/// No page has as many blocks.
const NO_RUN_FAILED: u32 = u32::MAX;

/// Where the search for free blocks goes on; kept from transaction to transaction, since it only
/// saves time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllocationHint {
    next: PageNo,
    /// No free run of this many blocks exists: the file has to grow.
    failed_run: u32,
}

impl AllocationHint {
    /// Blocks were given back, so that any run may exist again.
    pub(super) fn forget_failure(&mut self) {
        self.failed_run = NO_RUN_FAILED;
    }
}

impl Default for AllocationHint {
    fn default() -> Self {
        Self { next: PageNo(0), failed_run: NO_RUN_FAILED }
    }
}

impl WriteSet {
    /// Takes `blocks` consecutive free blocks, or grows the file.
    pub(super) fn take_blocks(&mut self, blocks: u16) -> Result<PageNo> {
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
            self.hint.forget_failure();
        }
        if bitmap::index_in_group(PageNo(start)) == 0 {
            let bitmap = PageNo(start);
            let mut page = Page::new(PageKind::Bitmap, SPACE, bitmap, 1);
            bitmap::mark(page.make_mut(), 0, 1, true);
            self.add_new(bitmap, page);
            start = start.checked_add(1).ok_or(FULL)?;
        }
        self.counters.block_count = start.checked_add(wanted).ok_or(FULL)?;
        self.counters.free_blocks = self.counters.free_blocks.saturating_add(wanted);
        Ok(PageNo(start))
    }

    pub(super) fn mark_blocks(&mut self, page_no: PageNo, blocks: u32, used: bool) -> Result<()> {
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
}

//! Pages in memory that know which are in use.

use super::*;
use crate::page::expect_page;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// Misuse panics, unless the bytes are hostile: then it is an error like any other damage.
pub(super) struct MemPages {
    pages: BTreeMap<PageNo, Page>,
    free: BTreeSet<u32>,
    end: u32,
    in_use: u64,
    changed: RefCell<BTreeSet<PageNo>>,
    /// Pages whose structure is checked when they are read next, as if they came from disk.
    unchecked: RefCell<BTreeSet<PageNo>>,
    hostile: bool,
    pub(super) reads: Cell<u64>,
    pub(super) max_blocks: u32,
    /// So many calls succeed, the next fails.
    pub(super) calls_left: Cell<u64>,
}

impl MemPages {
    pub(super) fn new() -> Self {
        Self {
            pages: BTreeMap::new(),
            free: BTreeSet::new(),
            // Small numbers are offsets and counts: a mix-up should not find a page.
            end: 100_000,
            in_use: 0,
            changed: RefCell::default(),
            unchecked: RefCell::default(),
            hostile: false,
            reads: Cell::new(0),
            max_blocks: u32::MAX,
            calls_left: Cell::new(u64::MAX),
        }
    }

    /// A copy whose pages all come from an untrusted disk.
    pub(super) fn hostile_copy(&self) -> Self {
        Self {
            pages: self.pages.clone(),
            free: self.free.clone(),
            end: self.end,
            in_use: self.in_use,
            changed: RefCell::default(),
            unchecked: RefCell::new(self.pages.keys().copied().collect()),
            hostile: true,
            reads: Cell::new(0),
            max_blocks: 20_000,
            calls_left: Cell::new(u64::MAX),
        }
    }

    pub(super) fn allocated(&self) -> BTreeMap<PageNo, u16> {
        self.pages.iter().map(|(page_no, page)| (*page_no, page.block_count())).collect()
    }

    pub(super) fn blocks_in_use(&self) -> u64 {
        self.in_use
    }

    pub(super) fn bytes_of(&mut self, page_no: PageNo) -> &mut [u8] {
        self.pages.get_mut(&page_no).unwrap().make_mut()
    }

    pub(super) fn page_of(&self, page_no: PageNo) -> &Page {
        &self.pages[&page_no]
    }

    /// Checks the structure of every page changed since the last call; returns how many.
    pub(super) fn check_changed(&self) -> usize {
        let changed = std::mem::take(&mut *self.changed.borrow_mut());
        for page in changed.iter().filter_map(|page_no| self.pages.get(page_no)) {
            let result = check_structure(page.bytes());
            assert_eq!(result, Ok(()), "{page:?}");
            assert!(!slots::cells_overlap(page.bytes()), "{page:?}");
        }
        changed.len()
    }

    fn misuse<T>(&self, page_no: PageNo, what: &'static str) -> Result<T> {
        assert!(self.hostile, "page {page_no}: {what}");
        Err(Error::corrupt(page_no, what))
    }

    fn count_call(&self) -> Result<()> {
        let left = self.calls_left.get().checked_sub(1);
        self.calls_left.set(left.unwrap_or(0));
        left.map(drop).ok_or(Error::NoSpace { what: "go on" })
    }

    fn find_room(&mut self, blocks: u32) -> PageNo {
        let mut start = 0;
        let mut len = 0;
        for block in &self.free {
            (start, len) = if start + len == *block { (start, len + 1) } else { (*block, 1) };
            if len == blocks {
                break;
            }
        }
        if len < blocks {
            start = self.end;
            self.end += blocks;
        }
        (start..start + blocks).for_each(|block| _ = self.free.remove(&block));
        PageNo(start)
    }
}

impl ReadPages for MemPages {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        self.count_call()?;
        self.reads.set(self.reads.get() + 1);
        let Some(page) = self.pages.get(&page_no) else {
            return self.misuse(page_no, "read, but not in use");
        };
        if let Err(error) = expect_page(page, page_no, tree, blocks) {
            assert!(self.hostile, "{error}");
            return Err(error);
        }
        if self.unchecked.borrow_mut().remove(&page_no)
            && let Err(reason) = check_structure(page.bytes())
        {
            self.unchecked.borrow_mut().insert(page_no);
            return Err(Error::corrupt(page_no, reason));
        }
        Ok(page.clone())
    }
}

impl WritePages for MemPages {
    fn page_mut(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<&mut [u8]> {
        drop(self.page(page_no, tree, blocks)?);
        self.changed.borrow_mut().insert(page_no);
        let page = self.pages.get_mut(&page_no).unwrap();
        let place = page.bytes().as_ptr();
        let bytes = page.make_mut();
        assert!(self.hostile || bytes.as_ptr() == place, "page {page_no} was held and so copied");
        Ok(bytes)
    }

    fn allocate(
        &mut self,
        kind: PageKind,
        tree: TreeId,
        blocks: u16,
        _near: PageNo,
    ) -> Result<PageNo> {
        self.count_call()?;
        if self.blocks_in_use() + u64::from(blocks) > u64::from(self.max_blocks) {
            return Err(Error::NoSpace { what: "grow" });
        }
        let page_no = self.find_room(u32::from(blocks));
        self.in_use += u64::from(blocks);
        self.pages.insert(page_no, Page::new(kind, tree, page_no, blocks));
        self.changed.borrow_mut().insert(page_no);
        Ok(page_no)
    }

    fn free(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<()> {
        self.count_call()?;
        let Some(page) = self.pages.get(&page_no) else {
            return self.misuse(page_no, "freed twice");
        };
        if let Err(error) = expect_page(page, page_no, tree, blocks) {
            assert!(self.hostile, "{error}");
            return Err(error);
        }
        self.pages.remove(&page_no);
        self.unchecked.borrow_mut().remove(&page_no);
        self.free.extend(page_no.0..page_no.0 + u32::from(blocks));
        self.in_use -= u64::from(blocks);
        Ok(())
    }
}

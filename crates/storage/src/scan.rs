//! Every block of the file in order, as one snapshot sees it: pages and free blocks.
//!
//! A [`View`] says which snapshot. A [`Scan`] walks it in chunks of about a megabyte, each read with
//! one call; what the file does not hold yet is read from the log. Nothing enters the cache. While
//! the snapshot is held, no checkpoint puts anything newer into the file, so a page that the
//! directory did not know before its chunk was read is right as it stands there.

use crate::bitmap::{self, Bits, GROUP_BLOCKS, SPACE};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::header::HEADER_BLOCKS;
use crate::page::{
    BLOCK_BYTES, BLOCK_COUNT_AT, CommitNo, Page, PageNo, TREE_AT, TreeId, page_no_of, u16_at,
    u32_at,
};
use crate::vfs::read_full;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Blocks of a chunk, unless a single page has more.
const CHUNK_BLOCKS: u32 = 256;

/// The blocks as a snapshot sees them, which the caller holds.
#[derive(Debug)]
pub(crate) struct View<'e> {
    engine: &'e Engine,
    commit: CommitNo,
    pub(crate) block_count: u32,
    /// Pages that take the place of the snapshot's.
    changed: BTreeMap<PageNo, Page>,
}

/// What stands in one or more blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Page(Located),
    Free {
        first: PageNo,
        blocks: u32,
    },
    /// Blocks in use of which it cannot be told what they are.
    Damaged {
        first: PageNo,
        blocks: u32,
        reason: &'static str,
    },
}

/// A page and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) page_no: PageNo,
    pub(crate) blocks: u16,
    /// Its bytes are in the chunk.
    in_chunk: bool,
}

/// Some blocks that follow each other.
#[derive(Debug)]
pub(crate) struct Chunk {
    first: u32,
    /// The bytes of the file, zeros beyond its end.
    bytes: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    pub(crate) blocks: u32,
}

impl Chunk {
    /// The bytes that the file has in these blocks, as far as the chunk holds them.
    pub(crate) fn bytes_of(&self, first: PageNo, blocks: u32) -> &[u8] {
        let at = first.0.saturating_sub(self.first) as usize * BLOCK_BYTES;
        let len = blocks as usize * BLOCK_BYTES;
        self.bytes.get(at..at.saturating_add(len)).unwrap_or_default()
    }

    /// The tree that a page in the file says it belongs to.
    pub(crate) fn tree_of(&self, page_no: PageNo) -> Option<TreeId> {
        let header = self.bytes_of(page_no, 1);
        (!header.is_empty()).then(|| TreeId(u32_at(header, TREE_AT)))
    }
}

impl<'e> View<'e> {
    pub(crate) fn new(engine: &'e Engine, commit: CommitNo, block_count: u32) -> Self {
        Self { engine, commit, block_count, changed: BTreeMap::new() }
    }

    /// The same with other pages in some places.
    pub(crate) fn with_changed(mut self, changed: BTreeMap<PageNo, Page>) -> Self {
        self.changed = changed;
        self
    }

    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan { view: self, next: HEADER_BLOCKS, bitmap: None }
    }

    /// The verified page that a scan has located.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Closed`.
    pub(crate) fn page(&self, chunk: &Chunk, located: Located) -> Result<Page> {
        let Located { page_no, blocks, in_chunk } = located;
        if let Some(page) = self.changed.get(&page_no) {
            return Ok(page.clone());
        }
        if in_chunk {
            let bytes: Arc<[u8]> = chunk.bytes_of(page_no, blocks.into()).into();
            if let Ok(page) = self.engine.pager.accept_in_file(bytes, page_no, self.commit) {
                return Ok(page);
            }
        }
        self.read(page_no, blocks)
    }

    fn read(&self, page_no: PageNo, blocks: u16) -> Result<Page> {
        let read = self.engine.pager.verify(page_no, blocks, self.commit);
        read.or_else(|error| self.engine.expect_open().and(Err(error)))
    }

    /// The error for damage, unless the store was closed: the closing checkpoint waits for no
    /// snapshot, and what it has overwritten is not damaged.
    pub(crate) fn damage(&self, page_no: PageNo, reason: &'static str) -> Error {
        let open = self.engine.expect_open();
        open.err().unwrap_or_else(|| Error::corrupt(page_no, reason))
    }

    fn bitmap(&self, page_no: PageNo) -> Result<Page> {
        let page = match self.changed.get(&page_no) {
            Some(page) => page.clone(),
            None => self.read(page_no, 1)?,
        };
        if page.tree() == SPACE { Ok(page) } else { Err(Error::corrupt(page_no, "is no bitmap")) }
    }

    /// The size of a page that is not, or perhaps not, in the file.
    fn size_elsewhere(&self, block: PageNo) -> Option<u16> {
        let changed = self.changed.get(&block).map(Page::block_count);
        changed.or_else(|| self.engine.pager.directory.block_count_of(block, self.commit))
    }
}

/// A walk over the blocks of a view.
#[derive(Debug)]
pub(crate) struct Scan<'v> {
    view: &'v View<'v>,
    next: u32,
    /// The bitmap of the group that `next` is in.
    bitmap: Option<Page>,
}

impl Scan<'_> {
    /// The next blocks; `None` at the end.
    ///
    /// # Errors
    /// `Io`, `Closed`. Damage is a [`Part`].
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.next >= self.view.block_count {
            return Ok(None);
        }
        let group = bitmap::group_of(PageNo(self.next));
        let start = bitmap::bitmap_page(group).ok_or(Error::LimitExceeded("block numbers"))?;
        let group_end = start.0.saturating_add(GROUP_BLOCKS).min(self.view.block_count);
        if self.next == start.0 {
            match self.view.bitmap(start) {
                Ok(page) => self.bitmap = Some(page),
                Err(Error::Corrupt { reason, .. }) => {
                    self.next = group_end;
                    return Ok(Some(lost_group(start, group_end, reason)));
                }
                Err(error) => return Err(error),
            }
        }
        let until = self.next.saturating_add(CHUNK_BLOCKS).min(group_end);
        let chunk = self.read(self.next..until, start, group_end)?;
        self.next = self.next.saturating_add(chunk.blocks);
        Ok(Some(chunk))
    }

    /// Ends the walk for everybody who shares it.
    pub(crate) fn stop(&mut self) {
        self.next = self.view.block_count;
    }

    fn read(&self, blocks: Range<u32>, start: PageNo, group_end: u32) -> Result<Chunk> {
        let bitmap = self.bitmap.as_ref().ok_or(Error::Internal("a scan without a bitmap"))?;
        // Before the read: a page that is copied into the file meanwhile is read once more.
        let elsewhere: Vec<Option<u16>> =
            blocks.clone().map(|block| self.view.size_elsewhere(PageNo(block))).collect();
        let len = blocks.len() * BLOCK_BYTES;
        let mut bytes = vec![0; len];
        self.view.engine.pager.with_files(|files| {
            let at = u64::from(blocks.start) * BLOCK_BYTES as u64;
            read_full(&*files.main, &mut bytes, at).map_err(Error::io("read the database file"))
        })?;
        let mut walk = Walk {
            chunk: Chunk { first: blocks.start, bytes, parts: Vec::new(), blocks: 0 },
            elsewhere,
            bits: Bits(bitmap.bytes()),
            group_start: start.0,
            group_end,
        };
        walk.run(blocks);
        Ok(walk.chunk)
    }
}

fn lost_group(start: PageNo, group_end: u32, reason: &'static str) -> Chunk {
    let blocks = group_end.saturating_sub(start.0);
    let parts = vec![Part::Damaged { first: start, blocks, reason }];
    Chunk { first: start.0, bytes: Vec::new(), parts, blocks }
}

/// Tells the parts of a chunk apart.
struct Walk<'b> {
    chunk: Chunk,
    elsewhere: Vec<Option<u16>>,
    bits: Bits<'b>,
    group_start: u32,
    group_end: u32,
}

impl Walk<'_> {
    fn run(&mut self, blocks: Range<u32>) {
        let mut at = blocks.start;
        while at < blocks.end {
            let (part, next) = self.part(at, blocks.end);
            // A page that begins in the chunk and ends behind it begins the next one.
            if next > blocks.end && at > blocks.start {
                break;
            }
            self.chunk.parts.push(part);
            at = next;
        }
        self.chunk.blocks = at.saturating_sub(blocks.start);
    }

    /// What begins at a block, and the block behind it.
    fn part(&self, at: u32, chunk_end: u32) -> (Part, u32) {
        let first = PageNo(at);
        if !self.is_used(at) {
            let next = self.end_of(at, chunk_end, |block| !self.is_used(block));
            return (Part::Free { first, blocks: next - at }, next);
        }
        let next = |blocks: u16| at.saturating_add(blocks.into());
        match self.size(at).filter(|&blocks| next(blocks) <= self.group_end) {
            Some(blocks) => {
                let in_chunk = self.elsewhere_at(at).is_none() && next(blocks) <= chunk_end;
                (Part::Page(Located { page_no: first, blocks, in_chunk }), next(blocks))
            }
            None => {
                // Up to the next block that may begin a page.
                let is_lost = |block| self.is_used(block) && self.size(block).is_none();
                let next = self.end_of(at, chunk_end, is_lost);
                let reason = "its header is damaged";
                (Part::Damaged { first, blocks: next - at, reason }, next)
            }
        }
    }

    fn end_of(&self, at: u32, chunk_end: u32, belongs: impl Fn(u32) -> bool) -> u32 {
        let mut rest = at.saturating_add(1)..chunk_end;
        rest.find(|&block| !belongs(block)).unwrap_or(chunk_end)
    }

    fn is_used(&self, block: u32) -> bool {
        self.bits.is_used(block.saturating_sub(self.group_start))
    }

    fn elsewhere_at(&self, block: u32) -> Option<u16> {
        let index = block.saturating_sub(self.chunk.first) as usize;
        self.elsewhere.get(index).copied().flatten()
    }

    /// The size of the page that begins here, by the directory or by its own header.
    fn size(&self, block: u32) -> Option<u16> {
        let size = self.elsewhere_at(block).or_else(|| {
            let header = self.chunk.bytes_of(PageNo(block), 1);
            (page_no_of(header) == PageNo(block)).then(|| u16_at(header, BLOCK_COUNT_AT))
        });
        size.filter(|&blocks| blocks > 0)
    }
}

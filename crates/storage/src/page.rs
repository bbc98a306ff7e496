//! Pages: the blocks of the file, as values.
//!
//! A page is one or more consecutive 4 KiB blocks with one header, one body and one tail:
//!
//!   0        32                                       len-16      len
//!   +--------+----------------------------------------+-----------+
//!   | header | body                                   | tail      |
//!   +--------+----------------------------------------+-----------+
//!
//! The header stays in clear and says what the page is; the tail belongs to the codec. A published
//! [`Page`] never changes and is shared by reference count. The one writer changes its own copy:
//! [`Page::make_mut`] copies when somebody else still holds the bytes, so an old version that a
//! savepoint or a reader keeps is never touched.

use crate::error::{Error, Result};
pub(crate) use crate::ids::{CommitNo, PageNo, TreeId};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(crate) mod run;
pub(crate) mod slots;

/// The unit of the file, in bytes.
pub const BLOCK_BYTES: usize = 4096;
/// The header of a page, in bytes.
pub(crate) const HEADER_BYTES: usize = 32;
/// The tail of a page under the checksum codec, in bytes.
pub(crate) const TAIL_BYTES: usize = 16;

const KIND_AT: usize = 0;
pub(crate) const BLOCK_COUNT_AT: usize = 2;
pub(crate) const TREE_AT: usize = 4;
const PAGE_NO_AT: usize = 8;
const VERSION_AT: usize = 16;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// Entries of a tree.
    Leaf = 1,
    /// Separators and children of a tree.
    Inner = 2,
    /// Bytes of one large key or value.
    Run = 3,
    /// Which blocks are in use.
    Bitmap = 4,
}

impl PageKind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Leaf),
            2 => Some(Self::Inner),
            3 => Some(Self::Run),
            4 => Some(Self::Bitmap),
            _ => None,
        }
    }
}

/// The bytes of a page as of one commit, shared.
#[derive(Clone)]
pub(crate) struct Page(Arc<[u8]>);

impl Page {
    /// A page of zeros with its header filled in.
    pub(crate) fn new(kind: PageKind, tree: TreeId, page_no: PageNo, blocks: u16) -> Self {
        let mut bytes: Arc<[u8]> = vec![0; blocks as usize * BLOCK_BYTES].into();
        let header = Arc::make_mut(&mut bytes);
        put(header, KIND_AT, &[kind as u8]);
        put(header, BLOCK_COUNT_AT, &blocks.to_le_bytes());
        put(header, TREE_AT, &tree.0.to_le_bytes());
        put(header, PAGE_NO_AT, &page_no.0.to_le_bytes());
        Self(bytes)
    }

    /// Takes over bytes read from a file, whose check the caller has verified.
    pub(crate) fn from_bytes(bytes: Arc<[u8]>) -> Option<Self> {
        let whole_blocks = bytes.len() >= BLOCK_BYTES && bytes.len().is_multiple_of(BLOCK_BYTES);
        whole_blocks.then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to change; copied first if anybody else holds this version.
    pub(crate) fn make_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.0)
    }

    pub(crate) fn kind(&self) -> Option<PageKind> {
        PageKind::from_byte(u8_at(&self.0, KIND_AT))
    }

    pub(crate) fn block_count(&self) -> u16 {
        u16_at(&self.0, BLOCK_COUNT_AT)
    }

    pub(crate) fn tree(&self) -> TreeId {
        TreeId(u32_at(&self.0, TREE_AT))
    }

    pub(crate) fn page_no(&self) -> PageNo {
        page_no_of(&self.0)
    }

    pub(crate) fn version(&self) -> CommitNo {
        CommitNo(u64_at(&self.0, VERSION_AT))
    }

    pub(crate) fn set_version(&mut self, version: CommitNo) {
        put(self.make_mut(), VERSION_AT, &version.0.to_le_bytes());
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({}, {:?}, tree {})", self.page_no(), self.kind(), self.tree())
    }
}

/// Where a tree reads its pages: a snapshot, or the writer's own state.
pub(crate) trait ReadPages {
    /// The page of `blocks` blocks at `page_no`, which must belong to `tree`. Its check, number,
    /// tree, block count and inner structure were verified.
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page>;

    /// As [`ReadPages::page`], lent where the page is kept at hand.
    fn lend(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Cow<'_, Page>> {
        self.page(page_no, tree, blocks).map(Cow::Owned)
    }
}

/// Where a tree changes its pages.
pub(crate) trait WritePages: ReadPages {
    /// The writer's own copy of a page; made when the page is first touched. Callers drop the
    /// [`Page`]s they read before, else the bytes are copied once more.
    fn page_mut(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<&mut [u8]>;

    /// A new page with a filled-in header and a zero body, near `near` where that costs nothing.
    fn allocate(
        &mut self,
        kind: PageKind,
        tree: TreeId,
        blocks: u16,
        near: PageNo,
    ) -> Result<PageNo>;

    /// Gives a page back. Older snapshots go on reading it.
    fn free(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<()>;
}

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    array_at(bytes, at).map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    array_at(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    array_at(bytes, at).map_or(0, u64::from_le_bytes)
}

/// The `N` bytes at `at`; `None` when they are not all there.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Copies `value` to `at`. The callers' positions are constants inside the header or checked.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let end = at.saturating_add(value.len());
    debug_assert!(end <= bytes.len(), "a write past the end of a page");
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(value);
    }
}

/// True if the header says that these bytes are `page_no` as of `version`.
pub(crate) fn is_version_of(bytes: &[u8], page_no: PageNo, version: CommitNo) -> bool {
    u32_at(bytes, PAGE_NO_AT) == page_no.0 && u64_at(bytes, VERSION_AT) == version.0
}

/// Refuses a page that is not the one asked for.
pub(crate) fn expect_page(page: &Page, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<()> {
    let reason = if page.page_no() != page_no {
        "holds another page"
    } else if page.block_count() != blocks {
        "has another size than its reference says"
    } else if page.tree() != tree {
        "belongs to another tree"
    } else {
        return Ok(());
    };
    Err(Error::corrupt(page_no, reason))
}

/// Where the body of a page of `page_len` bytes ends and the codec's tail begins.
pub(crate) const fn body_end(page_len: usize) -> usize {
    page_len.saturating_sub(TAIL_BYTES)
}

/// The page number in a page's header.
pub(crate) fn page_no_of(bytes: &[u8]) -> PageNo {
    PageNo(u32_at(bytes, PAGE_NO_AT))
}

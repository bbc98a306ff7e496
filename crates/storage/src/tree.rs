//! Trees: ordered maps from bytes to bytes in the pages of a file.
//!
//! A B+tree. Leaves hold the entries; inner pages hold children, each but the first with a
//! separator: the shortest bytes above every key before it and not above any key behind it.
//!
//!   before                            after "f" made the left leaf too full
//!        [ . | m ]                         [ . | d | m ]
//!       /         \                       /      |      \
//!   [a b c d e]   [m p]               [a b c] [d e f]   [m p]
//!
//! The number of a root never changes: a root that is too full moves its entries down into two new
//! pages and becomes their parent, one level up; a root with a single child takes its place.
//!
//! Nothing here knows of files, logs or versions: pages come from [`ReadPages`] and change through
//! [`WritePages`]. An operation that fails half-way leaves the tree as it was at that moment; the
//! transaction undoes it or is doomed.
//!
//! Invariants, checked by [`check`]:
//!  1. Every leaf has level 0, every child a level one below its parent's, so no walk can go round.
//!  2. The keys of a page lie between the separators left and right of it, and ascend.
//!  3. Every page and every run has exactly one reference; only the root may be an empty leaf.
//!  4. The counts in the descriptor are those of the entries and blocks.

use crate::error::{Error, Result};
use crate::page::put as put_bytes;
use crate::page::slots::{self, MAX_LEVEL, MAX_PAGE_BLOCKS, Slotted};
use crate::page::{Page, PageKind, PageNo, ReadPages, TreeId, WritePages, u8_at, u32_at, u64_at};
use std::borrow::Cow;

mod bulk;
mod check;
mod cursor;
mod delete;
mod entries;
mod estimate;
mod insert;
mod keys;
mod path;
mod value;

pub(crate) use crate::page::slots::check_structure;
pub(crate) use bulk::BulkLoad;
pub(crate) use check::{CheckedTree, check};
pub(crate) use cursor::TreeCursor;
pub(crate) use delete::remove;
pub use estimate::Estimate;
pub(crate) use estimate::estimate;
pub(crate) use insert::{check_lengths, insert, put};
pub use value::ValueRef;

/// Blocks a page of a tree of documents, unless the tree says otherwise.
pub(crate) const DOCUMENT_PAGE_BLOCKS: u8 = 4;
/// Blocks a page of a tree of index entries, unless the tree says otherwise.
pub(crate) const INDEX_PAGE_BLOCKS: u8 = 1;

/// The longest key: what one run holds.
pub(crate) const MAX_KEY_BYTES: usize = crate::page::run::MAX_RUN_BYTES;
/// The longest value: what the length of its runs can count.
pub(crate) const MAX_VALUE_BYTES: usize = u32::MAX as usize;

/// What a tree is, apart from its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeDescriptor {
    pub(crate) id: TreeId,
    /// Never changes.
    pub(crate) root: PageNo,
    /// Blocks of each leaf and inner page: 1, 2 or 4.
    pub(crate) page_blocks: u8,
    pub(crate) entry_count: u64,
    /// The sum of the lengths of the keys.
    pub(crate) key_bytes: u64,
    /// The sum of the lengths of the values.
    pub(crate) value_bytes: u64,
    /// Blocks of all pages and runs.
    pub(crate) block_count: u64,
    /// Leaves and inner pages.
    pub(crate) page_count: u64,
}

impl TreeDescriptor {
    pub(crate) const ENCODED_BYTES: usize = 56;

    pub(crate) fn encode(&self) -> [u8; Self::ENCODED_BYTES] {
        let mut bytes = [0; Self::ENCODED_BYTES];
        put_bytes(&mut bytes, 0, &self.id.0.to_le_bytes());
        put_bytes(&mut bytes, 4, &self.root.0.to_le_bytes());
        put_bytes(&mut bytes, 8, &[self.page_blocks]);
        put_bytes(&mut bytes, 16, &self.entry_count.to_le_bytes());
        put_bytes(&mut bytes, 24, &self.key_bytes.to_le_bytes());
        put_bytes(&mut bytes, 32, &self.value_bytes.to_le_bytes());
        put_bytes(&mut bytes, 40, &self.block_count.to_le_bytes());
        put_bytes(&mut bytes, 48, &self.page_count.to_le_bytes());
        bytes
    }

    /// `None` if these are no bytes of [`TreeDescriptor::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let spare_is_zero = bytes.get(9..16)?.iter().all(|byte| *byte == 0);
        let page_blocks = u8_at(bytes, 8);
        let plausible = bytes.len() == Self::ENCODED_BYTES && spare_is_zero;
        (plausible && is_page_size(page_blocks)).then(|| Self {
            id: TreeId(u32_at(bytes, 0)),
            root: PageNo(u32_at(bytes, 4)),
            page_blocks,
            entry_count: u64_at(bytes, 16),
            key_bytes: u64_at(bytes, 24),
            value_bytes: u64_at(bytes, 32),
            block_count: u64_at(bytes, 40),
            page_count: u64_at(bytes, 48),
        })
    }

    /// Bytes that a leaf or inner page can hold.
    pub(crate) fn node_capacity(&self) -> u64 {
        slots::capacity(self.page_len()) as u64
    }

    fn blocks(&self) -> u16 {
        u16::from(self.page_blocks)
    }

    fn page_len(&self) -> usize {
        usize::from(self.page_blocks) * crate::page::BLOCK_BYTES
    }

    fn count_entry(&mut self, key_len: usize, value_len: usize) {
        self.entry_count = self.entry_count.saturating_add(1);
        self.key_bytes = self.key_bytes.saturating_add(key_len as u64);
        self.value_bytes = self.value_bytes.saturating_add(value_len as u64);
    }

    fn discount_entry(&mut self, key_len: usize, value_len: usize) {
        self.entry_count = self.entry_count.saturating_sub(1);
        self.key_bytes = self.key_bytes.saturating_sub(key_len as u64);
        self.value_bytes = self.value_bytes.saturating_sub(value_len as u64);
    }
}

/// Whether trees can have pages of so many blocks.
pub(crate) fn is_page_size(page_blocks: u8) -> bool {
    page_blocks.is_power_of_two() && page_blocks <= MAX_PAGE_BLOCKS
}

/// Makes an empty tree.
pub(crate) fn create<P: WritePages>(
    pages: &mut P,
    id: TreeId,
    page_blocks: u8,
    near: PageNo,
) -> Result<TreeDescriptor> {
    if !is_page_size(page_blocks) {
        return Err(Error::LimitExceeded("blocks of a tree's page"));
    }
    let root = PageNo(0);
    let mut tree = TreeDescriptor {
        id,
        root,
        page_blocks,
        entry_count: 0,
        key_bytes: 0,
        value_bytes: 0,
        block_count: 0,
        page_count: 0,
    };
    tree.root = allocate_node(pages, &mut tree, 0, near)?;
    slots::format(pages.page_mut(tree.root, id, tree.blocks())?, 0, &[]);
    Ok(tree)
}

/// Frees every page and run of a tree.
pub(crate) fn destroy<P: WritePages>(pages: &mut P, tree: &TreeDescriptor) -> Result<()> {
    let mut tree = *tree;
    let root = read_node(pages, &tree, tree.root, None)?;
    destroy_node(pages, &mut tree, root)
}

/// Recursion ends with the level, which [`read_node`] checks to sink.
fn destroy_node<P: WritePages>(pages: &mut P, tree: &mut TreeDescriptor, page: Page) -> Result<()> {
    let node = Slotted::new(page.bytes());
    free_node(pages, tree, page.page_no())?;
    for index in 0..node.len() {
        keys::free_run(pages, tree, node.key_run_at(index))?;
        if node.is_leaf() {
            value::free_runs(pages, tree, node.value(index))?;
        } else {
            let child = read_node(pages, tree, node.child(index), Some(node.level()))?;
            destroy_node(pages, tree, child)?;
        }
    }
    Ok(())
}

/// The value of a key.
pub(crate) fn get<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    key: &[u8],
) -> Result<Option<ValueRef>> {
    let mut page = lend_node(pages, tree, tree.root, None)?;
    loop {
        let node = Slotted::new(page.bytes());
        if node.is_leaf() {
            let found = keys::search(pages, tree, node, key)?;
            return match found.exact {
                true => ValueRef::read(pages, tree, &page, found.slot).map(Some),
                false => Ok(None),
            };
        }
        let child = node.child(keys::child_slot(pages, tree, node, key)?);
        page = lend_node(pages, tree, child, Some(node.level()))?;
    }
}

/// Reads the root.
///
/// # Errors
/// `Corrupt` if it is no root of this tree.
pub(crate) fn read_root<P: ReadPages + ?Sized>(pages: &P, tree: &TreeDescriptor) -> Result<()> {
    read_node(pages, tree, tree.root, None).map(drop)
}

/// Reads the pages from the root to a leaf; of so many children `choose` takes one.
///
/// # Errors
/// `Corrupt` if one of them is not what its parent says.
pub(crate) fn read_a_path<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    choose: &mut dyn FnMut(u32) -> u32,
) -> Result<()> {
    let mut page = read_node(pages, tree, tree.root, None)?;
    loop {
        let node = Slotted::new(page.bytes());
        if node.is_leaf() {
            return Ok(());
        }
        let count = u32::try_from(node.len()).unwrap_or(u32::MAX);
        let child = node.child(choose(count) as usize);
        page = read_node(pages, tree, child, Some(node.level()))?;
    }
}

/// A leaf or inner page; the root, or a child of a page of level `parent`.
fn read_node<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    page_no: PageNo,
    parent: Option<u8>,
) -> Result<Page> {
    let page = pages.page(page_no, tree.id, tree.blocks())?;
    expect_level(&page, page_no, parent)?;
    Ok(page)
}

/// As [`read_node`], lent where the page is at hand.
fn lend_node<'p, P: ReadPages + ?Sized>(
    pages: &'p P,
    tree: &TreeDescriptor,
    page_no: PageNo,
    parent: Option<u8>,
) -> Result<Cow<'p, Page>> {
    let page = pages.lend(page_no, tree.id, tree.blocks())?;
    expect_level(&page, page_no, parent)?;
    Ok(page)
}

fn expect_level(page: &Page, page_no: PageNo, parent: Option<u8>) -> Result<()> {
    let level = Slotted::new(page.bytes()).level();
    let expected = match page.kind() {
        Some(PageKind::Leaf) => level == 0,
        Some(PageKind::Inner) => (1..=MAX_LEVEL).contains(&level),
        _ => false,
    };
    if !expected || parent.is_some_and(|parent| parent.checked_sub(1) != Some(level)) {
        return Err(Error::corrupt(page_no, "is not at its level of the tree"));
    }
    Ok(())
}

fn allocate_node<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    level: u8,
    near: PageNo,
) -> Result<PageNo> {
    let kind = if level == 0 { PageKind::Leaf } else { PageKind::Inner };
    let page_no = pages.allocate(kind, tree.id, tree.blocks(), near)?;
    tree.block_count = tree.block_count.saturating_add(u64::from(tree.page_blocks));
    tree.page_count = tree.page_count.saturating_add(1);
    Ok(page_no)
}

fn free_node<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    page_no: PageNo,
) -> Result<()> {
    pages.free(page_no, tree.id, tree.blocks())?;
    tree.block_count = tree.block_count.saturating_sub(u64::from(tree.page_blocks));
    tree.page_count = tree.page_count.saturating_sub(1);
    Ok(())
}

#[cfg(test)]
mod tests;

//! Building a tree from entries that come in key order, from the leaves up.
//!
//! Each level has one page that is being filled. The entry that would make it too full starts the
//! next one, and the full page goes to the level above as a child:
//!
//! ```text
//!   level 1   [ . | d ]  being filled
//!   level 0   (a b c)  (d e f)  [g h]  being filled
//!              done     done
//! ```
//!
//! So every page is written once, pages are as full as [`FILL_PERCENT`] says, and memory holds one
//! page a level, whatever the number of entries. At the end what is left of each level becomes its
//! last page, and the only page of the highest level goes into the root, whose number stays.

use super::entries::{Entries, Separator};
use super::insert::{check_lengths, separator_key};
use super::value::StoredValue;
use super::{TreeDescriptor, allocate_node, keys, read_node};
use crate::error::{Error, Result};
use crate::page::slots::{Entry, MAX_LEVEL, RunRef, Slotted, capacity};
use crate::page::{PageNo, ReadPages, WritePages};

/// A page that is this full takes no more entries, so that the first changes after the load do not
/// divide every page they meet.
const FILL_PERCENT: usize = 98;

/// A load of an empty tree under way.
pub(crate) struct BulkLoad {
    tree: TreeDescriptor,
    levels: Vec<Level>,
    last_key: Option<Vec<u8>>,
}

/// The page of one level that is being filled.
struct Level {
    entries: Entries,
    /// The separator in front of the page; `None` for the first page of the level.
    separator: Option<(Vec<u8>, Option<RunRef>)>,
    prefix_len: usize,
    longest_key: usize,
    used_bytes: usize,
}

impl Level {
    fn new(level: u8, page_len: usize) -> Self {
        Self {
            entries: Entries::empty(level, page_len),
            separator: None,
            prefix_len: 0,
            longest_key: 0,
            used_bytes: 0,
        }
    }

    /// Appends an entry and counts the bytes that the page would use with it.
    fn push(&mut self, entry: &Entry<'_>) {
        self.entries.push(entry);
        let all = 0..self.entries.len();
        self.longest_key = self.longest_key.max(entry.key.len());
        let prefix_len = self.entries.prefix_len_with(&all, self.longest_key);
        if prefix_len == self.prefix_len && all.len() > 2 {
            self.used_bytes += self.entries.entry_bytes(all.end - 1, prefix_len);
        } else {
            self.used_bytes = self.entries.page_bytes(all);
            self.prefix_len = prefix_len;
        }
    }
}

impl BulkLoad {
    /// Begins to load a tree.
    ///
    /// # Errors
    /// `InvalidLoad` if it is not empty.
    pub(crate) fn new<P: ReadPages>(pages: &P, tree: TreeDescriptor) -> Result<Self> {
        let root = read_node(pages, &tree, tree.root, None)?;
        let node = Slotted::new(root.bytes());
        if !node.is_leaf() || node.len() > 0 {
            return Err(Error::InvalidLoad("the tree is not empty"));
        }
        Ok(Self { tree, levels: vec![Level::new(0, tree.page_len())], last_key: None })
    }

    /// Appends an entry behind all others.
    ///
    /// # Errors
    /// `InvalidLoad` if its key is not above the one before.
    pub(crate) fn push<P: WritePages>(
        &mut self,
        pages: &mut P,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        check_lengths(key, value)?;
        self.expect_above_last(key)?;
        let near = self.tree.root;
        let (inline, rest) = keys::split(&self.tree, key);
        let key_run = keys::write_run(pages, &mut self.tree, near, rest)?;
        let stored = StoredValue::write(pages, &mut self.tree, near, key.len(), value)?;
        self.add(pages, 0, &stored.entry(inline, key_run))?;
        self.tree.count_entry(key.len(), value.len());
        Ok(())
    }

    fn expect_above_last(&mut self, key: &[u8]) -> Result<()> {
        let last = self.last_key.get_or_insert_default();
        // The first key may be empty, and is above none.
        if self.tree.entry_count > 0 && key <= last.as_slice() {
            return Err(Error::InvalidLoad("the keys do not ascend"));
        }
        last.clear();
        last.extend_from_slice(key);
        Ok(())
    }

    /// Appends an entry to a level. The recursion ends with the levels.
    fn add<P: WritePages>(&mut self, pages: &mut P, depth: usize, entry: &Entry<'_>) -> Result<()> {
        let room = capacity(self.tree.page_len());
        let level = self.level(depth)?;
        let is_full = level.used_bytes >= room * FILL_PERCENT / 100;
        level.push(entry);
        let is_over = is_full || level.used_bytes > room;
        if is_over && level.entries.len() > 1 { self.cut(pages, depth) } else { Ok(()) }
    }

    fn level(&mut self, depth: usize) -> Result<&mut Level> {
        let page_len = self.tree.page_len();
        if depth == self.levels.len() {
            let level = u8::try_from(depth).ok().filter(|level| *level <= MAX_LEVEL);
            let level = level.ok_or(Error::LimitExceeded("height of a tree"))?;
            self.levels.push(Level::new(level, page_len));
        }
        self.levels.get_mut(depth).ok_or(NO_LEVEL)
    }

    /// Writes the page of a level without its last entry, which starts the next page.
    fn cut<P: WritePages>(&mut self, pages: &mut P, depth: usize) -> Result<()> {
        let near = self.tree.root;
        let level = self.levels.get_mut(depth).ok_or(NO_LEVEL)?;
        let next = Level::new(level.entries.level(), self.tree.page_len());
        let full = std::mem::replace(level, next);
        let at = full.entries.len().saturating_sub(1);
        let child = write_page(pages, &mut self.tree, &full.entries, at)?;
        let separator = separator_key(pages, &mut self.tree, near, &full.entries, at)?;
        let level = self.levels.get_mut(depth).ok_or(NO_LEVEL)?;
        level.separator = Some(separator);
        if let Some(mut first) = full.entries.entry(at) {
            if !full.entries.is_leaf() {
                // The separator has taken the key over, its run included.
                (first.key, first.key_run) = (&[], None);
            }
            level.push(&first);
        }
        self.add_child(pages, depth, full.separator, child)
    }

    fn add_child<P: WritePages>(
        &mut self,
        pages: &mut P,
        depth: usize,
        separator: Option<(Vec<u8>, Option<RunRef>)>,
        child: PageNo,
    ) -> Result<()> {
        let (key, key_run) = separator.unwrap_or_default();
        let separator = Separator { key, key_run, child };
        separator.with_entry(|entry| self.add(pages, depth + 1, entry))
    }

    /// Writes what is left; returns the tree with everything in it.
    pub(crate) fn finish<P: WritePages>(mut self, pages: &mut P) -> Result<TreeDescriptor> {
        let mut depth = 0;
        while depth + 1 < self.levels.len() {
            let level = self.levels.get_mut(depth).ok_or(NO_LEVEL)?;
            let last = std::mem::replace(level, Level::new(0, 0));
            let len = last.entries.len();
            let child = write_page(pages, &mut self.tree, &last.entries, len)?;
            self.add_child(pages, depth, last.separator, child)?;
            depth += 1;
        }
        let top = self.levels.get(depth).ok_or(NO_LEVEL)?;
        let root = pages.page_mut(self.tree.root, self.tree.id, self.tree.blocks())?;
        top.entries.write(0..top.entries.len(), root)?;
        Ok(self.tree)
    }
}

const NO_LEVEL: Error = Error::Internal("a bulk load is at a level that is not there");

/// Lays out the first `len` entries in a new page.
fn write_page<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    entries: &Entries,
    len: usize,
) -> Result<PageNo> {
    let page_no = allocate_node(pages, tree, entries.level(), tree.root)?;
    entries.write(0..len, pages.page_mut(page_no, tree.id, tree.blocks())?)?;
    Ok(page_no)
}

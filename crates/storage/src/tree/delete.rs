//! Removing entries and merging pages.
//!
//! A page less than [`UNDERFULL`] full is merged with a neighbour when both fit one page and leave
//! a tenth of it free: were it filled to the last byte, the next insertion would divide it again.
//! An empty page is always freed.

use super::entries::Entries;
use super::path::Path;
use super::{TreeDescriptor, free_node, keys, read_node, value};
use crate::error::{Error, Result};
use crate::page::slots::{self, Slotted, capacity};
use crate::page::{Page, PageNo, WritePages};

/// Pages with fewer bytes in use look for a neighbour to merge with, in percent.
const UNDERFULL: usize = 45;
/// The most bytes in use after a merge, in percent.
const MERGED: usize = 90;

/// Removes an entry; false if there is none.
pub(crate) fn remove<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    key: &[u8],
) -> Result<bool> {
    let (path, leaf) = Path::to(pages, tree, key)?;
    if !path.found {
        return Ok(false);
    }
    let at = path.leaf();
    let node = Slotted::new(leaf.bytes());
    let value = node.value(at.slot);
    let value_len = value.len();
    value::free_runs(pages, tree, value)?;
    keys::free_run(pages, tree, node.key_run_at(at.slot))?;
    drop(leaf);
    let page = pages.page_mut(at.page_no, tree.id, tree.blocks())?;
    slots::remove(page, at.slot);
    let needs_settling = is_underfull(page);
    tree.discount_entry(key.len(), value_len);
    if needs_settling {
        settle(pages, tree, &path)?;
    }
    Ok(true)
}

/// Whether a page should look for a neighbour to merge with.
pub(super) fn is_underfull(page: &[u8]) -> bool {
    100 * Slotted::new(page).used_bytes() < UNDERFULL * capacity(page.len())
}

/// Merges or frees what has become too empty, from the leaf of `path` upwards.
pub(super) fn settle<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    path: &Path,
) -> Result<()> {
    for depth in (1..=path.leaf_depth()).rev() {
        let page_no = path.step(depth).page_no;
        let page = read_node(pages, tree, page_no, None)?;
        if !is_underfull(page.bytes()) {
            return Ok(());
        }
        let is_empty = Slotted::new(page.bytes()).len() == 0;
        drop(page);
        let parent = path.step(depth - 1);
        let has_gone = match is_empty {
            true => free_child(pages, tree, parent.page_no, parent.slot, page_no).map(|()| true)?,
            false => {
                let before = parent.slot.checked_sub(1);
                let with_left = |slot| merge(pages, tree, parent.page_no, slot);
                before.map_or(Ok(false), with_left)?
                    || merge(pages, tree, parent.page_no, parent.slot)?
            }
        };
        if !has_gone {
            return Ok(());
        }
    }
    settle_root(pages, tree)
}

/// Frees an empty page and the entry of its parent.
fn free_child<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    parent: PageNo,
    slot: usize,
    child: PageNo,
) -> Result<()> {
    free_node(pages, tree, child)?;
    // Without the first child the second needs no separator: it takes over everything below.
    let unneeded = if slot == 0 { 1 } else { slot };
    let page = read_node(pages, tree, parent, None)?;
    keys::free_run(pages, tree, Slotted::new(page.bytes()).key_run_at(unneeded))?;
    drop(page);
    let page = pages.page_mut(parent, tree.id, tree.blocks())?;
    slots::remove(page, slot);
    if slot == 0 {
        slots::drop_first_key(page);
    }
    Ok(())
}

/// Merges the child at `slot` with the one to its right, if both fit one page well.
fn merge<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    parent_no: PageNo,
    slot: usize,
) -> Result<bool> {
    let parent = read_node(pages, tree, parent_no, None)?;
    let node = Slotted::new(parent.bytes());
    if node.is_leaf() || slot + 1 >= node.len() {
        return Ok(false);
    }
    let (left_no, right_no) = (node.child(slot), node.child(slot + 1));
    if left_no == right_no {
        return Err(Error::corrupt(parent_no, "has the same child twice"));
    }
    let left = read_node(pages, tree, left_no, Some(node.level()))?;
    let right = read_node(pages, tree, right_no, Some(node.level()))?;
    let Some(entries) = merged_entries(&parent, slot, &left, &right) else { return Ok(false) };
    if entries.is_leaf() {
        keys::free_run(pages, tree, node.key_run_at(slot + 1))?;
    }
    drop((parent, left, right));
    free_node(pages, tree, right_no)?;
    entries.write(0..entries.len(), pages.page_mut(left_no, tree.id, tree.blocks())?)?;
    slots::remove(pages.page_mut(parent_no, tree.id, tree.blocks())?, slot + 1);
    Ok(true)
}

/// The entries of two neighbours if one page holds them well.
fn merged_entries(parent: &Page, slot: usize, left: &Page, right: &Page) -> Option<Entries> {
    let limit = MERGED * capacity(left.bytes().len()) / 100;
    let used = |page: &Page| Slotted::new(page.bytes()).used_bytes();
    if used(left) + used(right) > limit {
        return None;
    }
    let mut entries = Entries::of(left.bytes());
    let seam = entries.len();
    entries.append(right.bytes());
    if !entries.is_leaf() {
        let node = Slotted::new(parent.bytes());
        let mut key = node.prefix().to_vec();
        let key_run = node.push_suffix(slot + 1, &mut key);
        entries.set_key(seam, &key, key_run);
    }
    (entries.page_bytes(0..entries.len()) <= limit).then_some(entries)
}

/// Lets a root with one child take its place, and one without become an empty leaf.
fn settle_root<P: WritePages>(pages: &mut P, tree: &mut TreeDescriptor) -> Result<()> {
    loop {
        let page = read_node(pages, tree, tree.root, None)?;
        let node = Slotted::new(page.bytes());
        if node.is_leaf() || node.len() > 1 {
            return Ok(());
        }
        let (is_empty, level, child_no) = (node.len() == 0, node.level(), node.child(0));
        drop(page);
        if is_empty {
            slots::format(pages.page_mut(tree.root, tree.id, tree.blocks())?, 0, &[]);
            return Ok(());
        }
        let child = read_node(pages, tree, child_no, Some(level))?;
        let root = pages.page_mut(tree.root, tree.id, tree.blocks())?;
        slots::copy_content(root, child.bytes());
        drop(child);
        free_node(pages, tree, child_no)?;
    }
}

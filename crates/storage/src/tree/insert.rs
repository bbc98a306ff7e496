//! Adding entries and dividing pages.
//!
//! Where a full page is divided decides how full trees become. An entry behind all others of the
//! tree goes to a page of its own, so that ascending keys leave full pages behind; so does one in
//! front of all others, and one that goes on with a run of insertions inside the tree. Otherwise
//! both halves get about the same number of bytes.

use super::entries::{Entries, Separator};
use super::keys::{self, common_len};
use super::path::Path;
use super::value::{self, StoredValue};
use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, TreeDescriptor, allocate_node, delete, read_node};
use crate::error::{Error, Result};
use crate::page::slots::{self, Entry, MAX_LEVEL, RunRef, Sequence, Slotted, capacity};
use crate::page::{Page, PageNo, WritePages};

/// A leaf takes entries from a full neighbour while it has fewer bytes in use than this, in percent.
const ROOM_BELOW: usize = 67;

/// Adds an entry; false, and nothing changed, if the key is there already.
pub(crate) fn insert<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    key: &[u8],
    value: &[u8],
) -> Result<bool> {
    let (path, leaf) = Path::to(pages, tree, key)?;
    drop(leaf);
    if path.found {
        return Ok(false);
    }
    add_new(pages, tree, &path, key, value)?;
    Ok(true)
}

/// Adds an entry or replaces its value.
pub(crate) fn put<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    key: &[u8],
    value: &[u8],
) -> Result<()> {
    let (path, leaf) = Path::to(pages, tree, key)?;
    if path.found {
        return replace(pages, tree, &path, leaf, key, value);
    }
    drop(leaf);
    add_new(pages, tree, &path, key, value)
}

/// Refuses an entry that no tree can hold. Whoever asks before a change need not undo any.
pub(crate) fn check_lengths(key: &[u8], value: &[u8]) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        return Err(Error::LimitExceeded("length of a key"));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::LimitExceeded("length of a value"));
    }
    Ok(())
}

fn add_new<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    path: &Path,
    key: &[u8],
    value: &[u8],
) -> Result<()> {
    check_lengths(key, value)?;
    let leaf = path.leaf();
    let (inline, rest) = keys::split(tree, key);
    let key_run = keys::write_run(pages, tree, leaf.page_no, rest)?;
    let stored = StoredValue::write(pages, tree, leaf.page_no, key.len(), value)?;
    let entry = stored.entry(inline, key_run);
    add(pages, tree, path, path.leaf_depth(), leaf.slot, &entry)?;
    tree.count_entry(key.len(), value.len());
    Ok(())
}

fn replace<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    path: &Path,
    leaf: Page,
    key: &[u8],
    value: &[u8],
) -> Result<()> {
    check_lengths(key, value)?;
    let at = path.leaf();
    let old = Slotted::new(leaf.bytes());
    let (old_value, key_run) = (old.value(at.slot), old.key_run_at(at.slot));
    let old_len = old_value.len() as u64;
    value::free_runs(pages, tree, old_value)?;
    drop(leaf);
    let stored = StoredValue::write(pages, tree, at.page_no, key.len(), value)?;
    tree.value_bytes = tree.value_bytes.saturating_sub(old_len).saturating_add(value.len() as u64);
    let entry = stored.entry(keys::split(tree, key).0, key_run);
    let page = pages.page_mut(at.page_no, tree.id, tree.blocks())?;
    if slots::try_replace_payload(page, at.slot, &entry) {
        return match delete::is_underfull(page) {
            true => delete::settle(pages, tree, path),
            false => Ok(()),
        };
    }
    slots::remove(page, at.slot);
    add(pages, tree, path, path.leaf_depth(), at.slot, &entry)
}

/// Adds an entry before slot `index` of the page at `depth`, dividing the page if need be.
fn add<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    path: &Path,
    depth: usize,
    index: usize,
    entry: &Entry<'_>,
) -> Result<()> {
    let page_no = path.step(depth).page_no;
    let page = pages.page_mut(page_no, tree.id, tree.blocks())?;
    if slots::try_insert(page, index, entry) {
        return Ok(());
    }
    let sequence = Slotted::new(page).sequence_at(index);
    let mut entries = Entries::of(page);
    entries.insert(index, entry);
    if entries.fits(0..entries.len()) {
        return entries.write(0..entries.len(), page);
    }
    let wishes = wished_divisions(path, depth, index, &entries, sequence);
    if wishes.is_empty() && shift(pages, tree, path, depth, &entries)? {
        return Ok(());
    }
    let at = entries
        .division(wishes.iter().copied())
        .ok_or_else(|| Error::corrupt(page_no, "has entries that fit no two pages"))?;
    match depth.checked_sub(1) {
        Some(parent) => divide(pages, tree, path, parent, page_no, &entries, at),
        None => divide_root(pages, tree, &entries, at),
    }
}

/// Where to divide a page that has just got an entry at `index`, best first; empty if anywhere.
fn wished_divisions(
    path: &Path,
    depth: usize,
    index: usize,
    entries: &Entries,
    sequence: Option<Sequence>,
) -> Vec<usize> {
    let last = entries.len().saturating_sub(1);
    let first = if entries.is_leaf() { 0 } else { 1 };
    match sequence {
        _ if index == last && path.is_right_edge(depth) => vec![last],
        _ if index == first && path.is_left_edge(depth) => vec![1],
        Some(Sequence::Ascending) if index == last => vec![last],
        // What lies behind moves away, so that the run goes on at the end of its page.
        Some(Sequence::Ascending) => vec![index + 1, index],
        Some(Sequence::Descending) if index == first => vec![1],
        Some(Sequence::Descending) => vec![index, index + 1],
        None => Vec::new(),
    }
}

/// Shares the entries of a leaf that is too full with the emptier of its neighbours; false, and
/// nothing changed, if neither has enough room.
fn shift<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    path: &Path,
    depth: usize,
    entries: &Entries,
) -> Result<bool> {
    let Some(parent_depth) = depth.checked_sub(1).filter(|_| entries.is_leaf()) else {
        return Ok(false);
    };
    let parent_no = path.step(parent_depth).page_no;
    let own_slot = path.step(parent_depth).slot;
    let parent = read_node(pages, tree, parent_no, None)?;
    let Some((page, slot)) = emptier_neighbour(pages, tree, &parent, own_slot)? else {
        return Ok(false);
    };
    let neighbour = Entries::of(page.bytes());
    let (own_no, other_no) = (path.step(depth).page_no, page.page_no());
    drop(page);
    let (both, left_no, right_no) = match slot < own_slot {
        true => (Entries::join(&neighbour, entries), other_no, own_no),
        false => (Entries::join(entries, &neighbour), own_no, other_no),
    };
    let Some(at) = both.division([]) else { return Ok(false) };
    let right_slot = slot.max(own_slot);
    keys::free_run(pages, tree, Slotted::new(parent.bytes()).key_run_at(right_slot))?;
    drop(parent);
    both.write(0..at, pages.page_mut(left_no, tree.id, tree.blocks())?)?;
    both.write(at..both.len(), pages.page_mut(right_no, tree.id, tree.blocks())?)?;
    let (key, key_run) = separator_key(pages, tree, left_no, &both, at)?;
    slots::remove(pages.page_mut(parent_no, tree.id, tree.blocks())?, right_slot);
    let separator = Separator { key, key_run, child: right_no };
    separator.with_entry(|entry| add(pages, tree, path, parent_depth, right_slot, entry))?;
    Ok(true)
}

/// The neighbour left or right of a child with more room, if that is enough, and its slot.
fn emptier_neighbour<P: WritePages>(
    pages: &P,
    tree: &TreeDescriptor,
    parent: &Page,
    slot: usize,
) -> Result<Option<(Page, usize)>> {
    let node = Slotted::new(parent.bytes());
    let mut best = None;
    let mut least = ROOM_BELOW * capacity(tree.page_len()) / 100;
    let right = Some(slot + 1).filter(|slot| *slot < node.len());
    for slot in [slot.checked_sub(1), right].into_iter().flatten() {
        let page = read_node(pages, tree, node.child(slot), Some(node.level()))?;
        let used = Slotted::new(page.bytes()).used_bytes();
        if used < least {
            (best, least) = (Some((page, slot)), used);
        }
    }
    Ok(best)
}

/// Moves the entries from `at` on to a new page and tells the parent.
fn divide<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    path: &Path,
    parent: usize,
    page_no: PageNo,
    entries: &Entries,
    at: usize,
) -> Result<()> {
    let separator = new_right_page(pages, tree, page_no, entries, at)?;
    entries.write(0..at, pages.page_mut(page_no, tree.id, tree.blocks())?)?;
    let slot = path.step(parent).slot + 1;
    separator.with_entry(|entry| add(pages, tree, path, parent, slot, entry))
}

/// Moves the entries of the root down into two new pages.
fn divide_root<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    entries: &Entries,
    at: usize,
) -> Result<()> {
    let level = entries.level() + 1;
    if level > MAX_LEVEL {
        return Err(Error::LimitExceeded("height of a tree"));
    }
    let left = allocate_node(pages, tree, entries.level(), tree.root)?;
    entries.write(0..at, pages.page_mut(left, tree.id, tree.blocks())?)?;
    let right = new_right_page(pages, tree, left, entries, at)?;
    let first = Separator { key: Vec::new(), key_run: None, child: left };
    let root = pages.page_mut(tree.root, tree.id, tree.blocks())?;
    slots::format(root, level, &[]);
    let complete = first.with_entry(|entry| slots::try_insert(root, 0, entry))
        && right.with_entry(|entry| slots::try_insert(root, 1, entry));
    if complete { Ok(()) } else { Err(Error::Internal("two children do not fit a root")) }
}

/// Lays out the entries from `at` on in a new page; returns its separator.
fn new_right_page<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    near: PageNo,
    entries: &Entries,
    at: usize,
) -> Result<Separator> {
    let child = allocate_node(pages, tree, entries.level(), near)?;
    entries.write(at..entries.len(), pages.page_mut(child, tree.id, tree.blocks())?)?;
    let (key, key_run) = separator_key(pages, tree, near, entries, at)?;
    Ok(Separator { key, key_run, child })
}

/// What divides the entries before `at` from those behind: in a leaf the shortest key that does,
/// in an inner page the key that its new page has no place for.
pub(super) fn separator_key<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    near: PageNo,
    entries: &Entries,
    at: usize,
) -> Result<(Vec<u8>, Option<RunRef>)> {
    let key = entries.key(at);
    let key_run = entries.key_run(at);
    if !entries.is_leaf() {
        return Ok((key.to_vec(), key_run));
    }
    let before = at.saturating_sub(1);
    let common = common_len(entries.key(before), key);
    if let Some(shortest) = key.get(..=common) {
        return Ok((shortest.to_vec(), None));
    }
    // The parts in the page are equal: the keys differ in their runs.
    let (mut rest_before, mut rest) = (Vec::new(), Vec::new());
    keys::append_run(pages, tree, entries.key_run(before), &mut rest_before)?;
    keys::append_run(pages, tree, key_run, &mut rest)?;
    let common = common_len(&rest_before, &rest);
    let shortest = rest.get(..=common).unwrap_or(&rest);
    Ok((key.to_vec(), keys::write_run(pages, tree, near, shortest)?))
}

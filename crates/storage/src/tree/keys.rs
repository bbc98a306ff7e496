//! Keys of any length: searching pages, and the part of a long key that is in a run.

use super::TreeDescriptor;
use crate::error::{Error, Result};
use crate::page::slots::{Found, RunRef, Slotted, inline_key_bytes};
use crate::page::{PageNo, ReadPages, WritePages, run};

/// Finds a key in a leaf.
pub(super) fn search<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    leaf: Slotted<'_>,
    key: &[u8],
) -> Result<Found> {
    search_from(pages, tree, leaf, 0, key)
}

/// The slot of the child of an inner page whose subtree is the place of `key`.
pub(super) fn child_slot<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    inner: Slotted<'_>,
    key: &[u8],
) -> Result<usize> {
    let found = search_from(pages, tree, inner, 1, key)?;
    Ok(if found.exact { found.slot } else { found.slot.saturating_sub(1) })
}

/// Finds a key among the slots from `from` on.
pub(super) fn search_from<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    node: Slotted<'_>,
    from: usize,
    key: &[u8],
) -> Result<Found> {
    node.search(from, key, |run, rest| {
        let page = run::read(pages, tree.id, run.page, run.len())?;
        Ok(run::body(page.bytes(), run.len()).cmp(rest))
    })
}

/// Appends the bytes of a run to a key.
pub(super) fn append_run<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    run: Option<RunRef>,
    key: &mut Vec<u8>,
) -> Result<()> {
    if let Some(run) = run {
        let page = run::read(pages, tree.id, run.page, run.len())?;
        key.extend_from_slice(run::body(page.bytes(), run.len()));
    }
    Ok(())
}

/// Appends the whole key of an entry to `key`.
pub(super) fn append<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    node: Slotted<'_>,
    index: usize,
    key: &mut Vec<u8>,
) -> Result<()> {
    key.extend_from_slice(node.prefix());
    let run = node.push_suffix(index, key);
    append_run(pages, tree, run, key)
}

/// Divides a key into what stays in the page and what goes to a run.
pub(super) fn split<'a>(tree: &TreeDescriptor, key: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    key.split_at_checked(inline_key_bytes(tree.page_len())).unwrap_or((key, &[]))
}

/// Writes the part of a long key that has no place in the page.
pub(super) fn write_run<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    near: PageNo,
    rest: &[u8],
) -> Result<Option<RunRef>> {
    if rest.is_empty() {
        return Ok(None);
    }
    let bytes = u32::try_from(rest.len()).map_err(|_| Error::LimitExceeded("length of a key"))?;
    let page = run::write(pages, tree.id, near, rest)?;
    tree.block_count = tree.block_count.saturating_add(u64::from(run::blocks_for(rest.len())));
    Ok(Some(RunRef { page, bytes }))
}

pub(super) fn free_run<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    run: Option<RunRef>,
) -> Result<()> {
    let Some(run) = run else { return Ok(()) };
    let blocks = run::blocks_for(run.len());
    pages.free(run.page, tree.id, blocks)?;
    tree.block_count = tree.block_count.saturating_sub(u64::from(blocks));
    Ok(())
}

/// How many bytes two keys have in common at their start.
pub(super) fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

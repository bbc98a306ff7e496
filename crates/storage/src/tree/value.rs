//! Values of any length: what is in the leaf, what is in runs, and reading both as one.
//!
//! A value that fits stays in its leaf. Of a longer one, whole blocks go to a run and the rest, its
//! last bytes, stays in the leaf if it fits, else goes to one more block of the run. So large values
//! waste no part of a block, and none up to 64 KiB is more than one read away from its leaf.

use super::{MAX_VALUE_BYTES, TreeDescriptor};
use crate::error::{Error, Result};
use crate::page::slots::{
    EncodedLen, Entry, RunRef, Slotted, ValueCell, ValueRuns, entry_bytes, inline_key_bytes,
    max_entry_bytes,
};
use crate::page::{Page, PageNo, ReadPages, WritePages, run};
use crate::planted::is_planted;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The bytes of a value, owned; they stay as they are whatever happens to the tree.
#[derive(Clone)]
pub struct ValueRef(Bytes);

#[derive(Clone)]
enum Bytes {
    /// Consecutive bytes of a page, which this keeps in memory.
    InPage {
        page: Page,
        range: Range<usize>,
    },
    Joined(Arc<Vec<u8>>),
}

impl ValueRef {
    /// The value of an entry of a leaf.
    pub(super) fn read<P: ReadPages + ?Sized>(
        pages: &P,
        tree: &TreeDescriptor,
        leaf: &Page,
        index: usize,
    ) -> Result<Self> {
        let node = Slotted::new(leaf.bytes());
        let value = node.value(index);
        let Some(runs) = value.runs else {
            let start = node.offset_of(value.inline);
            let range = start..start + value.inline.len();
            return Ok(Self(Bytes::InPage { page: leaf.clone(), range }));
        };
        join(pages, tree, value.inline, runs)
    }
}

fn join<P: ReadPages + ?Sized>(
    pages: &P,
    tree: &TreeDescriptor,
    inline: &[u8],
    runs: ValueRuns<'_>,
) -> Result<ValueRef> {
    let mut pieces = runs.pieces();
    let (first_no, first_len) = pieces.next().unwrap_or_default();
    let page = run::read(pages, tree.id, first_no, first_len)?;
    let body = run::body(page.bytes(), first_len);
    if first_len == runs.bytes && inline.is_empty() {
        let start = Slotted::new(page.bytes()).offset_of(body);
        let range = start..start + body.len();
        return Ok(ValueRef(Bytes::InPage { page, range }));
    }
    // Memory grows with the pages that are really there, whatever length a damaged cell names.
    let mut bytes = Vec::new();
    make_room(&mut bytes, body.len() + inline.len())?;
    bytes.extend_from_slice(body);
    for (page_no, len) in pieces {
        let page = run::read(pages, tree.id, page_no, len)?;
        make_room(&mut bytes, len + inline.len())?;
        bytes.extend_from_slice(run::body(page.bytes(), len));
    }
    bytes.extend_from_slice(inline);
    Ok(ValueRef(Bytes::Joined(Arc::new(bytes))))
}

fn make_room(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    let no_memory = |_| Error::LimitExceeded("memory for a value");
    bytes.try_reserve_exact(more).map_err(no_memory)
}

impl Deref for ValueRef {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::InPage { page, range } => page.bytes().get(range.clone()).unwrap_or_default(),
            Bytes::Joined(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for ValueRef {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ValueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueRef({} bytes)", self.len())
    }
}

/// The inline bytes of a leaf's entry, if they are the whole value.
pub(super) fn inline(leaf: Slotted<'_>, index: usize) -> Option<&[u8]> {
    let value = leaf.value(index);
    value.runs.is_none().then_some(value.inline)
}

/// How many bytes of a value go to runs; the rest stays inline.
pub(super) fn run_bytes(page_len: usize, key_len: usize, value_len: usize) -> usize {
    let inline_key = key_len.min(inline_key_bytes(page_len));
    let room_for = |payload| {
        let entry = entry_bytes(inline_key, key_len > inline_key, EncodedLen::MAX_BYTES + payload);
        max_entry_bytes(page_len).checked_sub(entry)
    };
    if room_for(value_len).is_some() {
        return 0;
    }
    let full = value_len - value_len % run::MAX_RUN_BYTES;
    let blocks = run::whole_blocks(value_len - full);
    let whole = full + if blocks > 0 { run::payload_bytes(blocks) } else { 0 };
    let references = 4 + 4 * value_len.div_ceil(run::MAX_RUN_BYTES);
    let rest_fits = room_for(references + (value_len - whole)).is_some();
    if whole > 0 && rest_fits { whole } else { value_len }
}

/// A value on its way into a leaf: its runs are written, its payload is ready.
pub(super) struct StoredValue<'a> {
    inline_len: EncodedLen,
    runs: Vec<u8>,
    inline: &'a [u8],
}

impl<'a> StoredValue<'a> {
    pub(super) fn write<P: WritePages>(
        pages: &mut P,
        tree: &mut TreeDescriptor,
        near: PageNo,
        key_len: usize,
        value: &'a [u8],
    ) -> Result<Self> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::LimitExceeded("length of a value"));
        }
        let in_runs = run_bytes(tree.page_len(), key_len, value.len());
        let (mut to_write, inline) = value.split_at_checked(in_runs).unwrap_or((value, &[]));
        let mut runs = Vec::new();
        if let Ok(bytes @ 1..) = u32::try_from(in_runs) {
            runs.extend_from_slice(&bytes.to_le_bytes());
        }
        for len in run::pieces(in_runs) {
            let (piece, rest) = to_write.split_at_checked(len).unwrap_or((to_write, &[]));
            let page_no = run::write(pages, tree.id, near, piece)?;
            tree.block_count = tree.block_count.saturating_add(u64::from(run::blocks_for(len)));
            runs.extend_from_slice(&page_no.0.to_le_bytes());
            to_write = rest;
        }
        Ok(Self { inline_len: EncodedLen::new(inline.len()), runs, inline })
    }

    /// The entry of this value under a key whose page part is `key`.
    pub(super) fn entry<'e>(&'e self, key: &'e [u8], key_run: Option<RunRef>) -> Entry<'e> {
        Entry {
            key,
            key_run,
            payload: [self.inline_len.as_bytes(), &self.runs, self.inline],
            has_value_run: !self.runs.is_empty(),
        }
    }
}

/// Frees the runs of a value.
pub(super) fn free_runs<P: WritePages>(
    pages: &mut P,
    tree: &mut TreeDescriptor,
    value: ValueCell<'_>,
) -> Result<()> {
    if is_planted("leak_run") {
        return Ok(());
    }
    let pieces = value.runs.into_iter().flat_map(ValueRuns::pieces);
    for (page_no, len) in pieces {
        let blocks = run::blocks_for(len);
        pages.free(page_no, tree.id, blocks)?;
        tree.block_count = tree.block_count.saturating_sub(u64::from(blocks));
    }
    Ok(())
}

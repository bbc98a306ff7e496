//! Slotted pages: sorted keys, each with a cell, in the body of a tree page.
//!
//!   32       32+p       32+p+8n       heap start              body end
//!   +----------+-----------+------------+------------------------+
//!   | prefix   | slots ->  |    free    |  <- cells and garbage  |
//!   +----------+-----------+------------+------------------------+
//!
//! The bytes that all keys of the page begin with are stored once, as its prefix, next to the header
//! because every search reads both. A slot is the offset of the cell, the length of the key behind
//! the prefix, and the first four bytes of that, the head. The cell holds what the head left over,
//! then the payload:
//!
//!   leaf:  rest of key, [key run], length of inline value, [value runs], inline value
//!   inner: rest of key, [key run], number of the child
//!
//! So a search walks the slots alone and opens a cell only where heads are equal. Slot 0 of an inner
//! page has no key: its child holds everything below the key of slot 1.
//!
//! Invariants, checked by [`check_structure`] when a page comes from disk:
//!  1. Slots, cells and prefix lie inside the body; cells and garbage fill the heap exactly.
//!  2. A key longer than [`inline_key_bytes`] has exactly that many bytes in the page, the rest in a
//!     run; at least four of them are behind the prefix, so that its head is whole.
//!  3. Heads are zero behind the end of their key and ascend; keys ascend strictly as far as the
//!     page alone can tell.

use super::{HEADER_BYTES, KIND_AT, PageKind, PageNo, body_end, put, u8_at, u16_at, u32_at};
use crate::error::Result;
use cell::{CHILD_BYTES, Cell, RUN_REF_BYTES};
use std::cmp::Ordering;

mod cell;
mod change;
mod check;

pub(crate) use cell::{CopiedEntry, EncodedLen, Entry, RunRef, ValueCell, ValueRuns, entry_bytes};
pub(crate) use change::{
    Writer, copy_content, drop_first_key, format, remove, try_insert, try_replace_payload,
};
pub(crate) use check::{cells_overlap, check_structure};

const ENTRY_COUNT_AT: usize = 12;
const PREFIX_LEN_AT: usize = 14;
const HEAP_START_AT: usize = 24;
const GARBAGE_AT: usize = 26;
const LEVEL_AT: usize = 28;
const SPARE: std::ops::Range<usize> = 29..HEADER_BYTES;

pub(crate) const SLOT_BYTES: usize = 8;
pub(crate) const HEAD_BYTES: usize = 4;
/// The flags share two bytes with the key length, which a page of 16 KiB keeps below 2^14.
const KEY_RUN: u16 = 0x8000;
const VALUE_RUN: u16 = 0x4000;
const KEY_LEN: u16 = 0x3fff;

/// A leaf has level 0. No tree of 2^32 pages is higher, whatever its keys.
pub(crate) const MAX_LEVEL: u8 = 19;
/// The largest page of a tree.
pub(crate) const MAX_PAGE_BLOCKS: u8 = 4;

/// Header and largest tail of any codec: limits must not change with the codec, or entries could
/// not be copied from a page under one into a page under another.
const LARGEST_FRAME: usize = HEADER_BYTES + 48;

/// The most bytes of one entry with its slot, whatever the prefix. Four fit into a page, so that a
/// full page and a new entry can always be divided into two.
pub(crate) const fn max_entry_bytes(page_len: usize) -> usize {
    page_len.saturating_sub(LARGEST_FRAME) / 4
}

/// The most bytes of a key that stay in the page. A tenth, so that even the longest keys leave an
/// inner page a fan-out of nine.
pub(crate) const fn inline_key_bytes(page_len: usize) -> usize {
    page_len.saturating_sub(LARGEST_FRAME) / 10
}

/// The longest prefix of a page; see invariant 2.
pub(crate) const fn max_prefix_bytes(page_len: usize) -> usize {
    inline_key_bytes(page_len).saturating_sub(HEAD_BYTES)
}

/// What a page can hold in slots, cells and prefix.
pub(crate) fn capacity(page_len: usize) -> usize {
    body_end(page_len).saturating_sub(HEADER_BYTES)
}

/// A slot, copied out of its page.
#[derive(Clone, Copy)]
struct Slot([u8; SLOT_BYTES]);

impl Slot {
    fn new(offset: u16, key_len: u16, head: [u8; HEAD_BYTES]) -> Self {
        let [o0, o1] = offset.to_le_bytes();
        let [k0, k1] = key_len.to_le_bytes();
        let [h0, h1, h2, h3] = head;
        Self([o0, o1, k0, k1, h0, h1, h2, h3])
    }

    fn offset(self) -> usize {
        let [o0, o1, ..] = self.0;
        usize::from(u16::from_le_bytes([o0, o1]))
    }

    fn key_field(self) -> u16 {
        let [_, _, k0, k1, ..] = self.0;
        u16::from_le_bytes([k0, k1])
    }

    fn key_len(self) -> usize {
        usize::from(self.key_field() & KEY_LEN)
    }

    fn rest_len(self) -> usize {
        self.key_len().saturating_sub(HEAD_BYTES)
    }

    fn has_key_run(self) -> bool {
        self.key_field() & KEY_RUN != 0
    }

    fn has_value_run(self) -> bool {
        self.key_field() & VALUE_RUN != 0
    }

    fn head_bytes(self) -> [u8; HEAD_BYTES] {
        let [.., h0, h1, h2, h3] = self.0;
        [h0, h1, h2, h3]
    }

    fn head(self) -> u32 {
        u32::from_be_bytes(self.head_bytes())
    }
}

/// The first bytes of what is behind the prefix, zeros behind its end.
fn head_of(suffix: &[u8]) -> [u8; HEAD_BYTES] {
    match suffix.first_chunk() {
        Some(head) => *head,
        None => {
            let mut head = [0; HEAD_BYTES];
            put(&mut head, 0, suffix);
            head
        }
    }
}

/// Where a key is in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The first slot whose key is not below the one searched for.
    pub(crate) slot: usize,
    /// Whether it is equal.
    pub(crate) exact: bool,
}

/// A tree page, to read. Of a page that passed [`check_structure`] every answer is true; of any
/// other bytes there are answers all the same.
#[derive(Clone, Copy)]
pub(crate) struct Slotted<'a> {
    bytes: &'a [u8],
    slots: &'a [[u8; SLOT_BYTES]],
    prefix: &'a [u8],
}

impl<'a> Slotted<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let slots_at = HEADER_BYTES + usize::from(u16_at(bytes, PREFIX_LEN_AT));
        let slots_end = slots_at + SLOT_BYTES * usize::from(u16_at(bytes, ENTRY_COUNT_AT));
        let slots = bytes.get(slots_at..slots_end).unwrap_or_default().as_chunks().0;
        Self { bytes, slots, prefix: bytes.get(HEADER_BYTES..slots_at).unwrap_or_default() }
    }

    pub(crate) fn level(self) -> u8 {
        u8_at(self.bytes, LEVEL_AT)
    }

    pub(crate) fn is_leaf(self) -> bool {
        self.level() == 0
    }

    /// How many entries.
    pub(crate) fn len(self) -> usize {
        self.slots.len()
    }

    pub(crate) fn prefix(self) -> &'a [u8] {
        self.prefix
    }

    fn heap_start(self) -> usize {
        usize::from(u16_at(self.bytes, HEAP_START_AT))
    }

    fn garbage(self) -> usize {
        usize::from(u16_at(self.bytes, GARBAGE_AT))
    }

    fn heap_end(self) -> usize {
        body_end(self.bytes.len())
    }

    fn slot_at(self, index: usize) -> usize {
        HEADER_BYTES + self.prefix.len() + SLOT_BYTES * index
    }

    fn slots_end(self) -> usize {
        self.slot_at(self.slots.len())
    }

    /// Bytes in slots, cells and prefix.
    pub(crate) fn used_bytes(self) -> usize {
        let free = self.heap_start().saturating_sub(self.slots_end()) + self.garbage();
        capacity(self.bytes.len()).saturating_sub(free)
    }

    fn slot(self, index: usize) -> Slot {
        Slot(self.slots.get(index).copied().unwrap_or_default())
    }

    fn parse_cell(self, slot: Slot) -> Option<Cell<'a>> {
        let cell = self.bytes.get(slot.offset()..self.heap_end())?;
        let (rest, mut cell) = cell.split_at_checked(slot.rest_len())?;
        let mut key_run = None;
        if slot.has_key_run() {
            let (run, behind) = cell.split_at_checked(RUN_REF_BYTES)?;
            (key_run, cell) = (Some(RunRef::decode(run)), behind);
        }
        let payload_len = match self.is_leaf() {
            true => ValueCell::parse(cell, slot.has_value_run())?.1,
            false => CHILD_BYTES,
        };
        Some(Cell { rest, key_run, payload: cell.get(..payload_len)? })
    }

    fn cell(self, slot: Slot) -> Cell<'a> {
        self.parse_cell(slot).unwrap_or(Cell { rest: &[], key_run: None, payload: &[] })
    }

    fn cell_len(self, slot: Slot) -> usize {
        let cell = self.cell(slot);
        cell.rest.len() + cell.key_run.map_or(0, |_| RUN_REF_BYTES) + cell.payload.len()
    }

    /// Appends the key of an entry as far as it is in the page, without the prefix; returns where
    /// the rest of it is.
    pub(crate) fn push_suffix(self, index: usize, key: &mut Vec<u8>) -> Option<RunRef> {
        let slot = self.slot(index);
        let head = slot.head_bytes();
        key.extend_from_slice(head.get(..slot.key_len()).unwrap_or(&head));
        let rest_end = slot.offset() + slot.rest_len();
        key.extend_from_slice(self.bytes.get(slot.offset()..rest_end).unwrap_or_default());
        self.key_run(slot)
    }

    fn key_run(self, slot: Slot) -> Option<RunRef> {
        let at = slot.offset() + slot.rest_len();
        let run = slot.has_key_run().then(|| self.bytes.get(at..at + RUN_REF_BYTES))?;
        run.map(RunRef::decode)
    }

    /// Where the rest of a long key is.
    pub(crate) fn key_run_at(self, index: usize) -> Option<RunRef> {
        self.key_run(self.slot(index))
    }

    /// How many bytes a whole key has.
    pub(crate) fn key_len(self, index: usize) -> usize {
        let slot = self.slot(index);
        self.prefix.len() + slot.key_len() + self.key_run(slot).map_or(0, RunRef::len)
    }

    /// The value of a leaf's entry.
    pub(crate) fn value(self, index: usize) -> ValueCell<'a> {
        let slot = self.slot(index);
        let run = if slot.has_key_run() { RUN_REF_BYTES } else { 0 };
        let at = slot.offset() + slot.rest_len() + run;
        let payload = self.bytes.get(at..self.heap_end()).unwrap_or_default();
        match ValueCell::parse(payload, slot.has_value_run()) {
            Some((value, _)) => value,
            None => ValueCell { inline: &[], runs: None },
        }
    }

    /// Where an inline slice of this page begins in it.
    pub(crate) fn offset_of(self, part: &[u8]) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.bytes.as_ptr() as usize)
    }

    /// The child of an inner entry.
    pub(crate) fn child(self, index: usize) -> PageNo {
        let slot = self.slot(index);
        let run = if slot.has_key_run() { RUN_REF_BYTES } else { 0 };
        PageNo(u32_at(self.bytes, slot.offset() + slot.rest_len() + run))
    }

    /// Copies an entry out: appends the part of its key that is in the page, then its payload.
    pub(crate) fn copy_entry(self, index: usize, bytes: &mut Vec<u8>) -> CopiedEntry {
        let slot = self.slot(index);
        let cell = self.cell(slot);
        let start = bytes.len();
        if index > 0 || self.is_leaf() {
            bytes.extend_from_slice(self.prefix);
        }
        let head = slot.head_bytes();
        bytes.extend_from_slice(head.get(..slot.key_len()).unwrap_or(&head));
        bytes.extend_from_slice(cell.rest);
        CopiedEntry {
            key_len: bytes.len() - start,
            payload_len: cell::append_all(bytes, [cell.payload]),
            key_run: cell.key_run,
            has_value_run: slot.has_value_run(),
        }
    }

    /// Finds `key` among the slots from `from` on. `compare_run` gives the order of the bytes of a
    /// run against the rest of the key.
    pub(crate) fn search(
        self,
        from: usize,
        key: &[u8],
        mut compare_run: impl FnMut(RunRef, &[u8]) -> Result<Ordering>,
    ) -> Result<Found> {
        let Some(suffix) = key.strip_prefix(self.prefix) else {
            let slot = if key < self.prefix { from.min(self.len()) } else { self.len() };
            return Ok(Found { slot, exact: false });
        };
        let head = u32::from_be_bytes(head_of(suffix));
        let slots = self.slots.get(from..).unwrap_or_default();
        let below = slots.partition_point(|slot| Slot(*slot).head() < head);
        let mut low = from + below;
        if self.slots.get(low).is_none_or(|slot| Slot(*slot).head() != head) {
            return Ok(Found { slot: low, exact: false });
        }
        // Nearly always one key has this head; the rest of those that share it are counted last.
        match self.compare(low, suffix, &mut compare_run)? {
            Ordering::Less => low += 1,
            order => return Ok(Found { slot: low, exact: order.is_eq() }),
        }
        let ties = self.slots.get(low..).unwrap_or_default();
        let mut high = low + ties.partition_point(|slot| Slot(*slot).head() == head);
        while low < high {
            let middle = low.midpoint(high);
            match self.compare(middle, suffix, &mut compare_run)? {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(Found { slot: middle, exact: true }),
                Ordering::Greater => high = middle,
            }
        }
        Ok(Found { slot: low, exact: false })
    }

    /// The order of an entry's key against one with the same prefix and head.
    fn compare(
        self,
        index: usize,
        suffix: &[u8],
        compare_run: &mut impl FnMut(RunRef, &[u8]) -> Result<Ordering>,
    ) -> Result<Ordering> {
        let slot = self.slot(index);
        let rest_end = slot.offset() + slot.rest_len();
        let rest = self.bytes.get(slot.offset()..rest_end).unwrap_or_default();
        let other = suffix.get(HEAD_BYTES..).unwrap_or_default();
        let Some(run) = self.key_run(slot) else {
            // Heads are filled up with zeros: of "a" and "a\0" the shorter is the smaller.
            return Ok(rest.cmp(other).then(slot.key_len().cmp(&suffix.len())));
        };
        match other.split_at_checked(rest.len()) {
            Some((same, behind)) if same == rest => compare_run(run, behind),
            _ => Ok(rest.cmp(other)),
        }
    }

    /// How the entry about to go to `index` continues the newest entries of the page, judged by the
    /// places of their cells: the heap grows downwards, so the newest cell is the lowest.
    pub(crate) fn sequence_at(self, index: usize) -> Option<Sequence> {
        let newest_two = |newest: usize, before: usize| {
            let slot = self.slot(newest);
            slot.offset() == self.heap_start()
                && self.slot(before).offset() == slot.offset() + self.cell_len(slot)
        };
        if index >= 2 && newest_two(index - 1, index - 2) {
            Some(Sequence::Ascending)
        } else if index + 1 < self.len() && newest_two(index, index + 1) {
            Some(Sequence::Descending)
        } else {
            None
        }
    }
}

/// A run of insertions at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    Ascending,
    Descending,
}

/// Numbers inside a page are below 2^15.
fn u16_of(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

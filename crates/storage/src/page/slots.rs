//! Slotted pages: sorted keys, each with a cell, in the body of a tree page.
//!
//!   32         32+8n        heap start                         body end
//!   +------------+------------+--------------------------+---------+
//!   | slots ->   |    free    |  <- cells and garbage    | prefix  |
//!   +------------+------------+--------------------------+---------+
//!
//! The bytes that all keys of the page begin with are stored once, as its prefix. A slot is the
//! offset of the cell, the length of the key behind the prefix, and the first four bytes of that,
//! the head. The cell holds what the head left over, then the payload:
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

use super::{HEADER_BYTES, KIND_AT, PageKind, PageNo, array_at, body_end, put, run};
use super::{u8_at, u16_at, u32_at};
use crate::error::Result;
use std::cmp::Ordering;

const ENTRY_COUNT_AT: usize = 12;
const PREFIX_LEN_AT: usize = 14;
const HEAP_START_AT: usize = 24;
const GARBAGE_AT: usize = 26;
const LEVEL_AT: usize = 28;
const SPARE: std::ops::Range<usize> = 29..HEADER_BYTES;

pub(crate) const SLOT_BYTES: usize = 8;
pub(crate) const HEAD_BYTES: usize = 4;
const RUN_REF_BYTES: usize = 8;
const CHILD_BYTES: usize = 4;
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

/// Where the rest of a long key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunRef {
    pub(crate) page: PageNo,
    pub(crate) bytes: u32,
}

impl RunRef {
    fn encode(self) -> [u8; RUN_REF_BYTES] {
        let mut bytes = [0; RUN_REF_BYTES];
        put(&mut bytes, 0, &self.page.0.to_le_bytes());
        put(&mut bytes, 4, &self.bytes.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { page: PageNo(u32_at(bytes, 0)), bytes: u32_at(bytes, 4) }
    }

    pub(crate) fn len(self) -> usize {
        self.bytes as usize
    }
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

/// A cell, taken apart.
#[derive(Clone, Copy)]
struct Cell<'a> {
    rest: &'a [u8],
    key_run: Option<RunRef>,
    payload: &'a [u8],
}

/// The payload of a leaf's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueCell<'a> {
    /// The last bytes of the value, or all of it.
    pub(crate) inline: &'a [u8],
    /// The first bytes of the value are in runs: how many bytes, and the numbers of the pieces.
    pub(crate) runs: Option<ValueRuns<'a>>,
}

/// The runs of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueRuns<'a> {
    pub(crate) bytes: usize,
    pages: &'a [u8],
}

impl<'a> ValueRuns<'a> {
    /// The page number and length of every piece.
    pub(crate) fn pieces(self) -> impl Iterator<Item = (PageNo, usize)> + use<'a> {
        let numbers = self.pages.as_chunks().0.iter();
        numbers.map(|number| PageNo(u32::from_le_bytes(*number))).zip(run::pieces(self.bytes))
    }
}

impl<'a> ValueCell<'a> {
    /// Takes a payload apart; also gives its length.
    fn parse(bytes: &'a [u8], has_run: bool) -> Option<(Self, usize)> {
        let (inline_len, mut at) = decode_len(bytes)?;
        let mut runs = None;
        if has_run {
            let run_bytes = u32::from_le_bytes(array_at(bytes, at)?) as usize;
            let pages_at = at + 4;
            at = pages_at + 4 * run_bytes.div_ceil(run::MAX_RUN_BYTES);
            runs = Some(ValueRuns { bytes: run_bytes, pages: bytes.get(pages_at..at)? });
        }
        let end = at + inline_len;
        Some((Self { inline: bytes.get(at..end)?, runs }, end))
    }

    pub(crate) fn len(&self) -> usize {
        self.inline.len().saturating_add(self.runs.map_or(0, |runs| runs.bytes))
    }
}

/// Lengths below 128 take one byte, those of a page two.
fn decode_len(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [low, ..] if low < 0x80 => Some((usize::from(low), 1)),
        [low, high, ..] if high < 0x80 => {
            Some((usize::from(low & 0x7f) | usize::from(high) << 7, 2))
        }
        _ => None,
    }
}

/// The length of an inline value, encoded.
#[derive(Clone, Copy)]
pub(crate) struct EncodedLen {
    bytes: [u8; 2],
    len: usize,
}

impl EncodedLen {
    /// The most bytes that a length takes.
    pub(crate) const MAX_BYTES: usize = 2;

    /// `len` is below the size of a page.
    pub(crate) fn new(len: usize) -> Self {
        let [low, high] = u16_of(len).to_le_bytes();
        if len < 0x80 {
            return Self { bytes: [low, 0], len: 1 };
        }
        Self { bytes: [low | 0x80, high << 1 | low >> 7], len: 2 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What an entry is made of, wherever it comes from.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The key, or its first [`inline_key_bytes`].
    pub(crate) key: &'a [u8],
    pub(crate) key_run: Option<RunRef>,
    /// The payload in up to three parts, so that nobody has to join them first.
    pub(crate) payload: [&'a [u8]; 3],
    pub(crate) has_value_run: bool,
}

impl Entry<'_> {
    pub(crate) fn payload_len(&self) -> usize {
        self.payload.iter().map(|part| part.len()).sum()
    }

    fn cell_len(&self, prefix_len: usize) -> usize {
        let rest = self.key.len().saturating_sub(prefix_len + HEAD_BYTES);
        rest + self.key_run.map_or(0, |_| RUN_REF_BYTES) + self.payload_len()
    }

    fn flags(&self) -> u16 {
        let key_run = if self.key_run.is_some() { KEY_RUN } else { 0 };
        key_run | if self.has_value_run { VALUE_RUN } else { 0 }
    }
}

/// The lengths of an entry whose key and payload were appended to other bytes.
#[derive(Clone, Copy)]
pub(crate) struct CopiedEntry {
    pub(crate) key_len: usize,
    pub(crate) payload_len: usize,
    pub(crate) key_run: Option<RunRef>,
    pub(crate) has_value_run: bool,
}

impl CopiedEntry {
    /// Appends an entry.
    pub(crate) fn append(entry: &Entry<'_>, bytes: &mut Vec<u8>) -> Self {
        Self {
            key_len: append_all(bytes, [entry.key]),
            payload_len: append_all(bytes, entry.payload),
            key_run: entry.key_run,
            has_value_run: entry.has_value_run,
        }
    }
}

fn append_all<const N: usize>(bytes: &mut Vec<u8>, parts: [&[u8]; N]) -> usize {
    let start = bytes.len();
    parts.into_iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.len() - start
}

/// Bytes that an entry takes in a page, with its slot.
pub(crate) fn entry_bytes(key_len: usize, has_key_run: bool, payload_len: usize) -> usize {
    let run = if has_key_run { RUN_REF_BYTES } else { 0 };
    SLOT_BYTES + key_len.saturating_sub(HEAD_BYTES) + run + payload_len
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
        let slots_end = HEADER_BYTES + SLOT_BYTES * usize::from(u16_at(bytes, ENTRY_COUNT_AT));
        let slots = bytes.get(HEADER_BYTES..slots_end).unwrap_or_default().as_chunks().0;
        let end = body_end(bytes.len());
        let prefix_at = end.saturating_sub(usize::from(u16_at(bytes, PREFIX_LEN_AT)));
        Self { bytes, slots, prefix: bytes.get(prefix_at..end).unwrap_or_default() }
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
        body_end(self.bytes.len()).saturating_sub(self.prefix.len())
    }

    fn slots_end(self) -> usize {
        HEADER_BYTES + SLOT_BYTES * self.slots.len()
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
            payload_len: append_all(bytes, [cell.payload]),
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

/// Makes a page an empty one of `level`, whose keys all begin with `prefix`.
pub(crate) fn format(bytes: &mut [u8], level: u8, prefix: &[u8]) {
    let kind = if level == 0 { PageKind::Leaf } else { PageKind::Inner };
    let prefix_at = body_end(bytes.len()).saturating_sub(prefix.len());
    put(bytes, KIND_AT, &[kind as u8]);
    put(bytes, LEVEL_AT, &[level]);
    put(bytes, prefix_at, prefix);
    put_u16(bytes, PREFIX_LEN_AT, prefix.len());
    put_u16(bytes, ENTRY_COUNT_AT, 0);
    put_u16(bytes, HEAP_START_AT, prefix_at);
    put_u16(bytes, GARBAGE_AT, 0);
}

/// Copies what a tree page holds, not what it is, to another page of the same size.
pub(crate) fn copy_content(bytes: &mut [u8], from: &[u8]) {
    let end = body_end(from.len());
    let header = [KIND_AT..KIND_AT + 1, ENTRY_COUNT_AT..PREFIX_LEN_AT + 2];
    for part in header.into_iter().chain([HEAP_START_AT..LEVEL_AT + 1, HEADER_BYTES..end]) {
        put(bytes, part.start, from.get(part).unwrap_or_default());
    }
}

/// Inserts an entry before slot `index` if it begins with the prefix and there is room as the page
/// is; else changes nothing.
pub(crate) fn try_insert(bytes: &mut [u8], index: usize, entry: &Entry<'_>) -> bool {
    let node = Slotted::new(bytes);
    let (count, slots_end) = (node.len(), node.slots_end());
    let Some(suffix) = entry.key.strip_prefix(node.prefix) else { return false };
    let prefix_len = node.prefix.len();
    let Some(cell_at) = node.heap_start().checked_sub(entry.cell_len(prefix_len)) else {
        return false;
    };
    if cell_at < slots_end + SLOT_BYTES || cell_at > node.heap_end() || index > count {
        return false;
    }
    let slot_at = HEADER_BYTES + SLOT_BYTES * index;
    bytes.copy_within(slot_at..slots_end, slot_at + SLOT_BYTES);
    write_entry(bytes, slot_at, cell_at, suffix, entry);
    put_u16(bytes, ENTRY_COUNT_AT, count + 1);
    put_u16(bytes, HEAP_START_AT, cell_at);
    true
}

fn write_entry(bytes: &mut [u8], slot_at: usize, cell_at: usize, suffix: &[u8], entry: &Entry<'_>) {
    let slot = Slot::new(u16_of(cell_at), u16_of(suffix.len()) | entry.flags(), head_of(suffix));
    put(bytes, slot_at, &slot.0);
    let mut at = cell_at;
    let mut push = |part: &[u8]| {
        put(bytes, at, part);
        at += part.len();
    };
    push(suffix.get(HEAD_BYTES..).unwrap_or_default());
    if let Some(run) = entry.key_run {
        push(&run.encode());
    }
    entry.payload.into_iter().for_each(push);
}

/// Lays out a page anew, entry by entry.
pub(crate) struct Writer<'a> {
    bytes: &'a mut [u8],
    prefix: &'a [u8],
    count: usize,
    heap_start: usize,
}

impl<'a> Writer<'a> {
    /// Begins a page of `level` whose keys all begin with `prefix`.
    pub(crate) fn new(bytes: &'a mut [u8], level: u8, prefix: &'a [u8]) -> Self {
        format(bytes, level, prefix);
        let heap_start = body_end(bytes.len()).saturating_sub(prefix.len());
        Self { bytes, prefix, count: 0, heap_start }
    }

    /// Appends an entry; false, and nothing changed, if it has another prefix or no room.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) -> bool {
        let slot_at = HEADER_BYTES + SLOT_BYTES * self.count;
        let cell_at = self.heap_start.checked_sub(entry.cell_len(self.prefix.len()));
        let Some(cell_at) = cell_at.filter(|cell_at| slot_at + SLOT_BYTES <= *cell_at) else {
            return false;
        };
        let Some(suffix) = entry.key.strip_prefix(self.prefix) else { return false };
        write_entry(self.bytes, slot_at, cell_at, suffix, entry);
        self.heap_start = cell_at;
        self.count += 1;
        true
    }

    pub(crate) fn finish(self) {
        put_u16(self.bytes, ENTRY_COUNT_AT, self.count);
        put_u16(self.bytes, HEAP_START_AT, self.heap_start);
    }
}

/// Removes an entry; its cell becomes garbage.
pub(crate) fn remove(bytes: &mut [u8], index: usize) {
    let node = Slotted::new(bytes);
    if index >= node.len() {
        return;
    }
    let (count, slots_end) = (node.len(), node.slots_end());
    let slot = node.slot(index);
    let cell_len = node.cell_len(slot);
    let newest = slot.offset() == node.heap_start();
    // The lowest cell goes back to the free space at once.
    let heap_start = node.heap_start() + if newest { cell_len } else { 0 };
    let garbage = node.garbage() + if newest { 0 } else { cell_len };
    let slot_at = HEADER_BYTES + SLOT_BYTES * index;
    bytes.copy_within(slot_at + SLOT_BYTES..slots_end, slot_at);
    put_u16(bytes, ENTRY_COUNT_AT, count - 1);
    put_u16(bytes, HEAP_START_AT, heap_start);
    put_u16(bytes, GARBAGE_AT, garbage);
}

/// Puts another payload in the place of an entry's, if it is no longer; else changes nothing.
pub(crate) fn try_replace_payload(bytes: &mut [u8], index: usize, entry: &Entry<'_>) -> bool {
    let node = Slotted::new(bytes);
    let slot = node.slot(index);
    let Some(cell) = node.parse_cell(slot) else { return false };
    let Some(shorter) = cell.payload.len().checked_sub(entry.payload_len()) else { return false };
    let garbage = node.garbage() + shorter;
    let mut at = node.offset_of(cell.payload);
    for part in entry.payload {
        put(bytes, at, part);
        at += part.len();
    }
    let key_field = slot.key_field() & !VALUE_RUN | if entry.has_value_run { VALUE_RUN } else { 0 };
    put(bytes, HEADER_BYTES + SLOT_BYTES * index + 2, &key_field.to_le_bytes());
    put_u16(bytes, GARBAGE_AT, garbage);
    true
}

/// Makes the first entry of an inner page the one without a key.
pub(crate) fn drop_first_key(bytes: &mut [u8]) {
    let node = Slotted::new(bytes);
    let slot = node.slot(0);
    let cell = node.cell(slot);
    let garbage = node.garbage() + node.cell_len(slot).saturating_sub(cell.payload.len());
    let offset = node.offset_of(cell.payload);
    if cell.payload.is_empty() {
        return;
    }
    // The cell may be the lowest, and its first bytes are garbage now.
    put(bytes, HEADER_BYTES, &Slot::new(u16_of(offset), 0, [0; HEAD_BYTES]).0);
    put_u16(bytes, GARBAGE_AT, garbage);
}

fn put_u16(bytes: &mut [u8], at: usize, value: usize) {
    put(bytes, at, &u16_of(value).to_le_bytes());
}

/// Numbers inside a page are below 2^15.
fn u16_of(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// Checks everything about a tree page or run that it alone can tell.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_structure(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let level = u8_at(bytes, LEVEL_AT);
    match PageKind::from_byte(u8_at(bytes, KIND_AT)) {
        Some(PageKind::Leaf) if level == 0 => check_slotted(bytes),
        Some(PageKind::Inner) if (1..=MAX_LEVEL).contains(&level) => check_slotted(bytes),
        Some(PageKind::Run) => check_run(bytes),
        Some(PageKind::Leaf | PageKind::Inner) => Err("has an impossible level"),
        _ => Err("is no page of a tree"),
    }
}

fn check_run(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let unused = [ENTRY_COUNT_AT..PREFIX_LEN_AT + 2, HEAP_START_AT..HEADER_BYTES];
    let zero = |range| bytes.get::<std::ops::Range<usize>>(range).is_some_and(is_zero);
    if unused.into_iter().all(zero) { Ok(()) } else { Err("has a header that is no run's") }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn check_slotted(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let node = Slotted::new(bytes);
    let too_big = bytes.len() > usize::from(MAX_PAGE_BLOCKS) * super::BLOCK_BYTES;
    if too_big || !bytes.get(SPARE).is_some_and(is_zero) {
        return Err("has a header that is no tree page's");
    }
    let prefix_len = usize::from(u16_at(bytes, PREFIX_LEN_AT));
    if prefix_len > max_prefix_bytes(bytes.len()) {
        return Err("has too long a prefix");
    }
    if usize::from(u16_at(bytes, ENTRY_COUNT_AT)) != node.len()
        || node.slots_end() > node.heap_start()
        || node.heap_start() > node.heap_end()
    {
        return Err("has slots or a heap outside its body");
    }
    if !node.is_leaf() && (node.len() == 0 || node.slot(0).key_field() != 0) {
        return Err("has no first child");
    }
    let cells = check_cells(node)?;
    if cells + node.garbage() != node.heap_end() - node.heap_start() {
        return Err("has a wrong count of unused bytes");
    }
    check_order(node)
}

/// Checks every cell; returns the sum of their lengths.
fn check_cells(node: Slotted<'_>) -> std::result::Result<usize, &'static str> {
    let mut total = 0usize;
    let long_key = inline_key_bytes(node.bytes.len());
    for slot in node.slots.iter().map(|slot| Slot(*slot)) {
        let inside = slot.offset() >= node.heap_start();
        let Some(cell) = node.parse_cell(slot).filter(|_| inside) else {
            return Err("has a cell outside its heap");
        };
        let inline = node.prefix.len() + slot.key_len();
        let key_fits = match cell.key_run {
            Some(run) => inline == long_key && run.bytes > 0 && run.len() <= run::MAX_RUN_BYTES,
            None => inline <= long_key,
        };
        if !key_fits || !node.is_leaf() && slot.has_value_run() {
            return Err("has a key of an impossible length");
        }
        let empty_run = |value: ValueCell<'_>| value.runs.is_some_and(|runs| runs.bytes == 0);
        if slot.has_value_run()
            && ValueCell::parse(cell.payload, true).is_none_or(|parsed| empty_run(parsed.0))
        {
            return Err("has a value with an empty run");
        }
        total = total.saturating_add(node.cell_len(slot));
    }
    Ok(total)
}

fn check_order(node: Slotted<'_>) -> std::result::Result<(), &'static str> {
    let first = if node.is_leaf() { 0 } else { 1 };
    let slots = node.slots.get(first..).unwrap_or_default();
    for slot in slots.iter().map(|slot| Slot(*slot)) {
        if slot.head_bytes().get(slot.key_len()..).is_some_and(|rest| !is_zero(rest)) {
            return Err("has a head longer than its key");
        }
    }
    let key = |slot: Slot| (slot.head(), node.cell(slot).rest, slot.key_len());
    let mut neighbours = slots.iter().zip(slots.iter().skip(1));
    let ascends = neighbours.all(|(a, b)| {
        let (a, b) = (Slot(*a), Slot(*b));
        let order = a.head().cmp(&b.head()).then_with(|| key(a).cmp(&key(b)));
        // What follows in runs is for the check of the whole tree.
        order.is_lt() || order.is_eq() && b.has_key_run()
    });
    if ascends { Ok(()) } else { Err("has keys out of order") }
}

/// Whether any two cells of a page share bytes. Not part of [`check_structure`]: such a page answers
/// wrongly but does no harm, and the check has to sort.
pub(crate) fn cells_overlap(bytes: &[u8]) -> bool {
    let node = Slotted::new(bytes);
    let place = |slot: &[u8; SLOT_BYTES]| (Slot(*slot).offset(), node.cell_len(Slot(*slot)));
    let mut places: Vec<(usize, usize)> = node.slots.iter().map(place).collect();
    places.sort_unstable();
    places.iter().zip(places.iter().skip(1)).any(|((at, len), (next, _))| at + len > *next)
}

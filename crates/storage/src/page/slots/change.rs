//! Changes to a tree page.

use super::{
    ENTRY_COUNT_AT, Entry, GARBAGE_AT, HEAD_BYTES, HEADER_BYTES, HEAP_START_AT, KIND_AT, LEVEL_AT,
    PREFIX_LEN_AT, PageKind, SLOT_BYTES, Slot, Slotted, VALUE_RUN, body_end, head_of, put, u16_of,
};

/// Makes a page an empty one of `level`, whose keys all begin with `prefix`.
pub(crate) fn format(bytes: &mut [u8], level: u8, prefix: &[u8]) {
    let kind = if level == 0 { PageKind::Leaf } else { PageKind::Inner };
    put(bytes, KIND_AT, &[kind as u8]);
    put(bytes, LEVEL_AT, &[level]);
    put(bytes, HEADER_BYTES, prefix);
    put_u16(bytes, PREFIX_LEN_AT, prefix.len());
    put_u16(bytes, ENTRY_COUNT_AT, 0);
    put_u16(bytes, HEAP_START_AT, body_end(bytes.len()));
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
    let slot_at = node.slot_at(index);
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
        let heap_start = body_end(bytes.len());
        Self { bytes, prefix, count: 0, heap_start }
    }

    /// Appends an entry; false, and nothing changed, if it has another prefix or no room.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) -> bool {
        let slot_at = HEADER_BYTES + self.prefix.len() + SLOT_BYTES * self.count;
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
    let slot_at = node.slot_at(index);
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
    let slot_at = node.slot_at(index);
    let mut at = node.offset_of(cell.payload);
    for part in entry.payload {
        put(bytes, at, part);
        at += part.len();
    }
    let key_field = slot.key_field() & !VALUE_RUN | if entry.has_value_run { VALUE_RUN } else { 0 };
    put(bytes, slot_at + 2, &key_field.to_le_bytes());
    put_u16(bytes, GARBAGE_AT, garbage);
    true
}

/// Makes the first entry of an inner page the one without a key.
pub(crate) fn drop_first_key(bytes: &mut [u8]) {
    let node = Slotted::new(bytes);
    let slot = node.slot(0);
    let cell = node.cell(slot);
    let garbage = node.garbage() + node.cell_len(slot).saturating_sub(cell.payload.len());
    let (slot_at, offset) = (node.slot_at(0), node.offset_of(cell.payload));
    if node.len() == 0 || cell.payload.is_empty() {
        return;
    }
    // The cell may be the lowest, and its first bytes are garbage now.
    put(bytes, slot_at, &Slot::new(u16_of(offset), 0, [0; HEAD_BYTES]).0);
    put_u16(bytes, GARBAGE_AT, garbage);
}

fn put_u16(bytes: &mut [u8], at: usize, value: usize) {
    put(bytes, at, &u16_of(value).to_le_bytes());
}

//! Any number of rows in memory: their bytes in one allocation, their places in another.

use super::SortRow;

/// Rows in the order they came.
#[derive(Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

/// Where a row is: `bytes[start..]` holds order, then document.
#[derive(Clone, Copy)]
struct Slot {
    /// The first eight bytes of the order, so that most comparisons touch no row.
    head: u64,
    start: usize,
    sort_key_len: usize,
    order_len: usize,
    document_len: usize,
}

impl Arena {
    pub(super) fn push(&mut self, row: SortRow<'_>) {
        self.slots.push(Slot {
            head: head(row.order),
            start: self.bytes.len(),
            sort_key_len: row.sort_key_len,
            order_len: row.order.len(),
            document_len: row.document.len(),
        });
        self.bytes.extend_from_slice(row.order);
        self.bytes.extend_from_slice(row.document);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The memory in use if `row` came in.
    pub(super) fn bytes_with(&self, row: &SortRow<'_>) -> usize {
        let slots = self.slots.len().saturating_add(1).saturating_mul(size_of::<Slot>());
        let row_len = row.order.len().saturating_add(row.document.len());
        self.bytes.len().saturating_add(row_len).saturating_add(slots)
    }

    /// The rows in ascending order.
    pub(super) fn sorted(mut self) -> SortedArena {
        let bytes = &self.bytes;
        self.slots.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| a.order(bytes).cmp(b.order(bytes)))
        });
        SortedArena { arena: self, next: 0 }
    }
}

impl Slot {
    fn order<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let end = self.start.saturating_add(self.order_len);
        bytes.get(self.start..end).unwrap_or_default()
    }

    fn row<'a>(&self, bytes: &'a [u8]) -> SortRow<'a> {
        let document_start = self.start.saturating_add(self.order_len);
        let document_end = document_start.saturating_add(self.document_len);
        SortRow {
            order: self.order(bytes),
            sort_key_len: self.sort_key_len,
            document: bytes.get(document_start..document_end).unwrap_or_default(),
        }
    }
}

/// The first eight bytes as a number that compares like them; short orders are filled with zeros,
/// so equal heads say nothing.
fn head(order: &[u8]) -> u64 {
    let mut head = [0; 8];
    for (to, from) in head.iter_mut().zip(order) {
        *to = *from;
    }
    u64::from_be_bytes(head)
}

/// Sorted rows, read from the front.
pub(super) struct SortedArena {
    arena: Arena,
    /// One behind the current row.
    next: usize,
}

impl SortedArena {
    pub(super) fn advance(&mut self) -> bool {
        self.next = self.next.saturating_add(1);
        self.next <= self.arena.slots.len()
    }

    pub(super) fn current(&self) -> Option<SortRow<'_>> {
        let slot = self.arena.slots.get(self.next.checked_sub(1)?)?;
        Some(slot.row(&self.arena.bytes))
    }
}

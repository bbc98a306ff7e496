//! Any number of rows in memory: their bytes in one allocation, their places in another.

use super::SortRow;

/// Rows in the order they came.
#[derive(Default)]
pub(super) struct Arena {
    /// Row after row: a header, the order, the document.
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

/// A row's place, small since sorting moves nothing else.
#[derive(Clone, Copy)]
struct Slot {
    /// The first eight bytes in which the orders differ at all, so that most comparisons touch no
    /// row. Known once the rows are complete.
    head: u64,
    start: usize,
}

/// The lengths of sort key, order and document, each a `u32`.
const HEADER_BYTES: usize = 12;

impl Arena {
    pub(super) fn push(&mut self, row: SortRow<'_>) {
        self.slots.push(Slot { head: 0, start: self.bytes.len() });
        for len in [row.sort_key_len, row.order.len(), row.document.len()] {
            // Documents have 16 MiB, and keys a few times as much.
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&len.to_le_bytes());
        }
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
        let row_len = row_len.saturating_add(HEADER_BYTES);
        self.bytes.len().saturating_add(row_len).saturating_add(slots)
    }

    /// The rows in ascending order.
    pub(super) fn sorted(mut self) -> SortedArena {
        let bytes = &self.bytes;
        let shared = shared_prefix_len(bytes, &self.slots);
        for slot in &mut self.slots {
            slot.head = head(slot.order(bytes).get(shared..).unwrap_or_default());
        }
        self.slots.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| a.order(bytes).cmp(b.order(bytes)))
        });
        SortedArena { arena: self, next: 0 }
    }
}

/// How many bytes all orders begin with.
fn shared_prefix_len(bytes: &[u8], slots: &[Slot]) -> usize {
    let Some((first, rest)) = slots.split_first() else { return 0 };
    let mut shared = first.order(bytes);
    for slot in rest {
        let order = slot.order(bytes);
        if !order.starts_with(shared) {
            let len = shared.iter().zip(order).take_while(|(a, b)| a == b).count();
            shared = shared.get(..len).unwrap_or_default();
        }
    }
    shared.len()
}

impl Slot {
    fn order<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.row(bytes).order
    }

    fn row<'a>(&self, bytes: &'a [u8]) -> SortRow<'a> {
        let row = bytes.get(self.start..).unwrap_or_default();
        let (header, row) = row.split_first_chunk::<HEADER_BYTES>().unwrap_or((&[0; 12], &[]));
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *header;
        let len = |bytes| u32::from_le_bytes(bytes) as usize;
        let (order, rest) = row.split_at_checked(len([e, f, g, h])).unwrap_or_default();
        let document = rest.get(..len([i, j, k, l])).unwrap_or_default();
        SortRow { order, sort_key_len: len([a, b, c, d]), document }
    }
}

/// The first eight bytes as a number that compares like them; short orders are filled with zeros,
/// so equal heads say nothing.
fn head(order: &[u8]) -> u64 {
    if let Some(head) = order.first_chunk() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; 8];
    for (to, from) in head.iter_mut().zip(order) {
        *to = *from;
    }
    u64::from_be_bytes(head)
}

/// Sorted rows, read from the front.
pub(crate) struct SortedArena {
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

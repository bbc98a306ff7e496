//! Any number of rows in memory: their bytes in a few chunks, their places in one allocation.
//!
//! Chunks never move, so growing takes no memory twice; where the places do move, the memory of both
//! sides counts.

use super::SortRow;
use crate::error::{Error, ErrorKind, Result};

/// Chunks begin small, so that small sorts take little, ...
const FIRST_CHUNK_BYTES: usize = 512;
/// ... and double until they are this large.
const CHUNK_BYTES: usize = 1 << 20;
const FIRST_SLOTS: usize = 8;

/// The lengths of sort key, order and document, each a `u32`.
const HEADER_BYTES: usize = 12;

/// Rows in the order they came.
#[derive(Default)]
pub(super) struct Arena {
    /// Row after row: a header, the order, the document.
    chunks: Vec<Vec<u8>>,
    /// What all chunks can hold.
    chunk_bytes: usize,
    slots: Vec<Slot>,
}

/// A row's place, small since sorting moves nothing else.
#[derive(Clone, Copy)]
struct Slot {
    /// The first eight bytes in which the orders differ at all, so that most comparisons touch no
    /// row. Known once the rows are complete.
    head: u64,
    chunk: u32,
    start: u32,
}

impl Arena {
    /// # Errors
    /// There is no memory for the row.
    pub(super) fn push(&mut self, row: SortRow<'_>) -> Result<()> {
        self.make_room(row_len(&row))?;
        let last = self.chunks.len().saturating_sub(1);
        let Some(chunk) = self.chunks.get_mut(last) else { return Err(no_memory()) };
        self.slots.push(Slot {
            head: 0,
            chunk: u32::try_from(last).map_err(|_| no_memory())?,
            start: u32::try_from(chunk.len()).map_err(|_| no_memory())?,
        });
        for len in [row.sort_key_len, row.order.len(), row.document.len()] {
            // Documents have 16 MiB, and keys a few times as much.
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            chunk.extend_from_slice(&len.to_le_bytes());
        }
        chunk.extend_from_slice(row.order);
        chunk.extend_from_slice(row.document);
        Ok(())
    }

    fn make_room(&mut self, row_len: usize) -> Result<()> {
        if self.slots.len() == self.slots.capacity() {
            let more = self.slots.len().max(FIRST_SLOTS);
            self.slots.try_reserve_exact(more).map_err(|_| no_memory())?;
        }
        let new_chunk = self.new_chunk_bytes(row_len);
        if new_chunk > 0 {
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(new_chunk).map_err(|_| no_memory())?;
            self.chunks.push(chunk);
            self.chunk_bytes = self.chunk_bytes.saturating_add(new_chunk);
        }
        Ok(())
    }

    /// Bytes of the chunk that a row needs; 0 if the last one has room for it.
    fn new_chunk_bytes(&self, row_len: usize) -> usize {
        let left = self.chunks.last().map(|chunk| chunk.capacity().saturating_sub(chunk.len()));
        match left {
            Some(left) if left >= row_len => 0,
            _ => self.chunk_bytes.clamp(FIRST_CHUNK_BYTES, CHUNK_BYTES).max(row_len),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The memory in use while `row` comes in.
    pub(super) fn bytes_with(&self, row: &SortRow<'_>) -> usize {
        let (used, held) = (self.slots.len(), self.slots.capacity());
        // The old places are there until they have been copied.
        let slots = if used < held { held } else { held.saturating_mul(3) };
        let slot_bytes = slots.saturating_mul(size_of::<Slot>());
        let new_chunk = self.new_chunk_bytes(row_len(row));
        self.chunk_bytes.saturating_add(new_chunk).saturating_add(slot_bytes)
    }

    /// The rows in ascending order.
    pub(super) fn sorted(mut self) -> SortedArena {
        let chunks = &self.chunks;
        let shared = shared_prefix_len(chunks, &self.slots);
        for slot in &mut self.slots {
            slot.head = head(slot.order(chunks).get(shared..).unwrap_or_default());
        }
        self.slots.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| a.order(chunks).cmp(b.order(chunks)))
        });
        SortedArena { arena: self, next: 0 }
    }
}

/// How many bytes all orders begin with.
fn shared_prefix_len(chunks: &[Vec<u8>], slots: &[Slot]) -> usize {
    let Some((first, rest)) = slots.split_first() else { return 0 };
    let mut shared = first.order(chunks);
    for slot in rest {
        let order = slot.order(chunks);
        if !order.starts_with(shared) {
            let len = shared.iter().zip(order).take_while(|(a, b)| a == b).count();
            shared = shared.get(..len).unwrap_or_default();
        }
    }
    shared.len()
}

fn row_len(row: &SortRow<'_>) -> usize {
    row.order.len().saturating_add(row.document.len()).saturating_add(HEADER_BYTES)
}

fn no_memory() -> Error {
    Error::new(ErrorKind::LimitExceeded, "there is not enough memory for a sort")
}

impl Slot {
    fn order<'a>(&self, chunks: &'a [Vec<u8>]) -> &'a [u8] {
        self.row(chunks).order
    }

    fn row<'a>(&self, chunks: &'a [Vec<u8>]) -> SortRow<'a> {
        let chunk = chunks.get(self.chunk as usize).map(Vec::as_slice).unwrap_or_default();
        let row = chunk.get(self.start as usize..).unwrap_or_default();
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
        Some(slot.row(&self.arena.chunks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(order: &'a [u8], document: &'a [u8]) -> SortRow<'a> {
        SortRow { order, sort_key_len: 1, document }
    }

    #[test]
    fn rows_of_all_sizes_come_back_in_order() {
        let mut arena = Arena::default();
        let sizes = [0, 10, 511, 513, 5000, 3 << 20, 7, 1 << 20, 100];
        let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..200u8)
            .map(|at| (vec![at.wrapping_mul(37), at], vec![at; sizes[at as usize % sizes.len()]]))
            .collect();
        for (order, document) in &rows {
            arena.push(row(order, document)).unwrap();
        }
        let mut due: Vec<_> = rows.iter().collect();
        due.sort();
        let mut sorted = arena.sorted();
        for (order, document) in due {
            assert!(sorted.advance());
            let got = sorted.current().unwrap();
            assert!(got.order == order && got.document == document && got.sort_key_len == 1);
        }
        assert!(!sorted.advance());
    }

    #[test]
    fn the_memory_in_use_is_what_was_foreseen() {
        let mut arena = Arena::default();
        for at in 0..5000usize {
            let order = at.to_be_bytes();
            let document = vec![7; at % 900];
            let next = row(&order, &document);
            let foreseen = arena.bytes_with(&next);
            arena.push(next).unwrap();
            let chunks: usize = arena.chunks.iter().map(Vec::capacity).sum();
            let held = chunks + arena.slots.capacity() * size_of::<Slot>();
            assert!(held <= foreseen.max(4096), "{held} where {foreseen} were foreseen");
        }
    }
}

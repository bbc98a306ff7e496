//! The first few rows of an order, whatever the size of the input.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::SortRow;
use super::arena::Arena;
use crate::error::Result;

/// The `bound` smallest rows seen so far; the largest of them is at the top of the heap.
pub(super) struct Top {
    bound: usize,
    rows: BinaryHeap<OwnedRow>,
    row_bytes: usize,
}

struct OwnedRow {
    order: Box<[u8]>,
    sort_key_len: usize,
    document: Box<[u8]>,
}

impl Top {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, rows: BinaryHeap::new(), row_bytes: 0 }
    }

    /// False if a row of this order cannot be among the first.
    pub(super) fn wants(&self, order: &[u8]) -> bool {
        self.rows.len() < self.bound
            || self.rows.peek().is_some_and(|largest| order < &*largest.order)
    }

    pub(super) fn push(&mut self, row: SortRow<'_>) {
        let row = OwnedRow {
            order: row.order.into(),
            sort_key_len: row.sort_key_len,
            document: row.document.into(),
        };
        self.row_bytes = self.row_bytes.saturating_add(row.bytes());
        self.rows.push(row);
        if self.rows.len() > self.bound
            && let Some(largest) = self.rows.pop()
        {
            self.row_bytes = self.row_bytes.saturating_sub(largest.bytes());
        }
    }

    /// The memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.row_bytes
    }

    pub(super) fn into_arena(self) -> Result<Arena> {
        let mut arena = Arena::default();
        for row in self.rows {
            arena.push(row.as_row())?;
        }
        Ok(arena)
    }

    pub(super) fn sorted(self) -> SortedTop {
        SortedTop { rows: self.rows.into_sorted_vec(), next: 0 }
    }
}

impl OwnedRow {
    fn bytes(&self) -> usize {
        size_of::<Self>().saturating_add(self.order.len()).saturating_add(self.document.len())
    }

    fn as_row(&self) -> SortRow<'_> {
        SortRow { order: &self.order, sort_key_len: self.sort_key_len, document: &self.document }
    }
}

impl PartialEq for OwnedRow {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for OwnedRow {}

impl PartialOrd for OwnedRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OwnedRow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

/// Sorted rows, read from the front.
pub(super) struct SortedTop {
    rows: Vec<OwnedRow>,
    /// One behind the current row.
    next: usize,
}

impl SortedTop {
    pub(super) fn advance(&mut self) -> bool {
        self.next = self.next.saturating_add(1);
        self.next <= self.rows.len()
    }

    pub(super) fn current(&self) -> Option<SortRow<'_>> {
        Some(self.rows.get(self.next.checked_sub(1)?)?.as_row())
    }
}

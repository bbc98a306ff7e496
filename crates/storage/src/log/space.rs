//! Where in the log file records stand that are still needed, and where the next one goes.
//!
//! Records stand in extents, in the order of the row:
//!
//! ```text
//!   file   | head | C C C . . . . . . . . A A A A A B B B B B . . .
//!                   third               first     second
//! ```
//!
//! A checkpoint gives the front of the first extent back; the writer goes on in the last one. When
//! it reaches another extent, or would make the file longer while there is a wide gap, it jumps.

use crate::ids::Lsn;
use crate::log::FIRST_RECORD;
use crate::page::BLOCK_BYTES;
use std::collections::VecDeque;

/// Kept free behind the last record before another extent, for the record that says where the row
/// goes on; that one may have to stand at the next block.
const JUMP_RESERVE: u64 = 2 * BLOCK_BYTES as u64;
/// Narrower gaps are not worth a jump.
const LEAST_GAP: u64 = 64 << 10;

/// A stretch of the file full of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Of the first record in it.
    pub(crate) lsn: Lsn,
}

/// The extents of one generation, in the order of the row; never none.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    extents: VecDeque<Extent>,
    /// Extents of the generation before, which a crash would still need.
    before: Vec<Extent>,
}

impl Space {
    /// Without records yet; the first will stand at `start`.
    pub(crate) fn new(start: u64, lsn: Lsn) -> Self {
        let extents = VecDeque::from([Extent { start, end: start, lsn }]);
        Self { extents, before: Vec::new() }
    }

    /// The same beside another generation, which is not to be touched yet.
    pub(crate) fn beside(before: &Self, start: u64, lsn: Lsn) -> Self {
        Self { before: before.extents.iter().copied().collect(), ..Self::new(start, lsn) }
    }

    /// Gives back what the generation before took.
    pub(crate) fn forget_before(&mut self) {
        self.before = Vec::new();
    }

    /// Enters a record of `length` bytes at `position`, behind the last one or in another place.
    pub(crate) fn enter(&mut self, position: u64, length: u64, lsn: Lsn) {
        let end = position.saturating_add(length);
        match self.extents.back_mut() {
            Some(last)
                if (last.end..=last.end.next_multiple_of(BLOCK_BYTES as u64))
                    .contains(&position) =>
            {
                last.end = end;
            }
            _ => self.extents.push_back(Extent { start: position, end, lsn }),
        }
    }

    /// Gives back what stands before the record at `lsn`, which is at or behind `position`.
    pub(crate) fn release(&mut self, position: u64, lsn: Lsn) {
        while self.extents.get(1).is_some_and(|second| second.lsn <= lsn) {
            self.extents.pop_front();
        }
        if let Some(first) = self.extents.front_mut().filter(|first| first.lsn < lsn) {
            first.start = position.clamp(first.start, first.end);
            first.lsn = lsn;
        }
    }

    /// Where to jump from `position`, where `length` bytes are to stand in a file of `file_bytes`;
    /// `None` to stay.
    pub(crate) fn jump(&self, position: u64, length: u64, file_bytes: u64) -> Option<u64> {
        let end = position.saturating_add(length);
        let tail = self.extents.back();
        let others = self.taken().filter(|extent| Some(*extent) != tail);
        let next = others.map(|extent| extent.start).filter(|&start| start >= position).min();
        let blocked = next.is_some_and(|next| end.saturating_add(JUMP_RESERVE) > next);
        let grows = next.is_none() && end > file_bytes;
        if !blocked && !grows {
            return None;
        }
        let gap = self.gap(length.saturating_add(JUMP_RESERVE).max(LEAST_GAP));
        if blocked { gap.or(Some(self.behind_all())) } else { gap }
    }

    /// Every extent that is in the way.
    fn taken(&self) -> impl Iterator<Item = &Extent> {
        self.extents.iter().chain(&self.before)
    }

    /// Where records of this generation stand, from where to where.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (u64, u64)> {
        self.extents.iter().map(|extent| (extent.start, extent.end))
    }

    /// The start of the first gap between extents that is at least so wide, as a whole block.
    pub(crate) fn gap(&self, bytes: u64) -> Option<u64> {
        let mut sorted: Vec<&Extent> = self.taken().collect();
        sorted.sort_unstable_by_key(|extent| extent.start);
        let mut free = FIRST_RECORD;
        for extent in sorted {
            if extent.start >= free.saturating_add(bytes) {
                return Some(free);
            }
            free = free.max(block_behind(extent));
        }
        None
    }

    /// The first block behind every extent.
    pub(crate) fn behind_all(&self) -> u64 {
        self.taken().map(block_behind).fold(FIRST_RECORD, u64::max)
    }
}

/// The first block behind an extent that may still get a jump.
fn block_behind(extent: &Extent) -> u64 {
    extent.end.saturating_add(JUMP_RESERVE).next_multiple_of(BLOCK_BYTES as u64)
}

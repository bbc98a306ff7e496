//! A walk through ranges of keys, in either direction.

use any_store_storage::Cursor;

use crate::error::Result;
use crate::plan::KeyRanges;

/// Moves a cursor over the entries whose keys lie in some ranges. The cursor belongs to the caller,
/// who hands in the same one each time.
pub(super) struct Ranges {
    ranges: KeyRanges,
    /// Ranges that are behind.
    passed: usize,
    is_reverse: bool,
    has_begun: bool,
}

/// Where a key is, seen in the direction of the walk.
enum Side {
    Ahead,
    Within,
    Behind,
}

impl Ranges {
    /// The ranges ascend and do not overlap.
    pub(super) fn new(ranges: KeyRanges, is_reverse: bool) -> Self {
        Self { ranges, passed: 0, is_reverse, has_begun: false }
    }

    /// Moves to the next entry; false at the end.
    pub(super) fn advance(&mut self, cursor: &mut Cursor<'_>) -> Result<bool> {
        let mut is_on_entry = match std::mem::replace(&mut self.has_begun, true) {
            true => self.step(cursor)?,
            false => self.enter(cursor)?,
        };
        while is_on_entry && self.passed < self.ranges.len() {
            match self.side_of(cursor.key()) {
                Side::Within => return Ok(true),
                Side::Behind => is_on_entry = self.enter(cursor)?,
                Side::Ahead => self.passed = self.passed.saturating_add(1),
            }
        }
        self.passed = self.ranges.len();
        Ok(false)
    }

    fn step(&self, cursor: &mut Cursor<'_>) -> Result<bool> {
        if self.passed == self.ranges.len() {
            return Ok(false);
        }
        Ok(if self.is_reverse { cursor.prev() } else { cursor.next() }?)
    }

    /// Moves to the near end of the range at hand.
    fn enter(&self, cursor: &mut Cursor<'_>) -> Result<bool> {
        let Some(range) = self.current() else { return Ok(false) };
        Ok(match self.is_reverse {
            false => cursor.seek(&range.start),
            true => cursor.seek_before(&range.end),
        }?)
    }

    fn current(&self) -> Option<&std::ops::Range<Vec<u8>>> {
        match self.is_reverse {
            false => self.ranges.get(self.passed),
            true => self.ranges.get(self.ranges.len().checked_sub(self.passed + 1)?),
        }
    }

    fn side_of(&self, key: &[u8]) -> Side {
        let Some(range) = self.current() else { return Side::Ahead };
        let (is_below, is_above) = (key < range.start.as_slice(), key >= range.end.as_slice());
        match (is_below, is_above, self.is_reverse) {
            (false, false, _) => Side::Within,
            (true, _, false) | (_, true, true) => Side::Behind,
            _ => Side::Ahead,
        }
    }
}

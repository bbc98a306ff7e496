//! The entries of an index that a plan reaches, in the order of the plan.
//!
//! ```text
//! as stored       the cursor's own order, forwards or backwards
//! ties by id      group after group of equal components, each in ascending order of the ids
//! ```
//!
//! Groups are gathered and sorted, beyond the budget in a file. A walk backwards over whole keys need
//! not gather large ones: they stand in the tree in ascending order of the ids, so the walk goes to
//! the front of the group, forwards through it, and back before it.

use any_store_storage::Cursor;

use super::Resources;
use super::ranges::Ranges;
use super::sort::{SortRow, SortedRows, Sorter};
use crate::error::{Error, Result};
use crate::index::{Flags, components_len};
use crate::plan::{IndexScan, Ties};

/// Entries of a group that are gathered before the walk turns round instead, and meets them again. Few,
/// so that a small limit examines few entries.
const MAX_GATHERED: usize = 16;

/// A walk over the entries of an index.
pub(super) struct EntryWalk<'t> {
    scan: IndexScan,
    cursor: Cursor<'t>,
    ranges: Ranges,
    resources: Resources,
    state: State,
    /// Entries looked at.
    pub(super) examined: u64,
}

/// Where the current entry is.
enum State {
    /// Under the cursor.
    Cursor,
    /// In a group that was gathered. The cursor stands behind the group, on an entry that was not
    /// given yet if `is_on_next`.
    Group {
        rows: SortedRows,
        is_on_next: bool,
    },
    /// Under the cursor, which goes forwards through a group of a walk backwards.
    Turned {
        prefix: Vec<u8>,
    },
    End,
}

/// An entry: its whole key, where the id begins in it, and its flags.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) id_at: usize,
    pub(super) flags: Flags,
}

impl<'a> Entry<'a> {
    pub(super) fn id_key(&self) -> &'a [u8] {
        self.key.get(self.id_at..).unwrap_or_default()
    }
}

impl<'t> EntryWalk<'t> {
    pub(super) fn new(scan: IndexScan, cursor: Cursor<'t>, resources: &Resources) -> Self {
        let ranges = Ranges::new(scan.reach.ranges.clone(), scan.is_reverse);
        let resources = resources.clone();
        Self { scan, cursor, ranges, resources, state: State::Cursor, examined: 0 }
    }

    /// Pages of the index entered.
    pub(super) fn page_count(&self) -> u64 {
        self.cursor.page_count()
    }

    pub(super) fn scan(&self) -> &IndexScan {
        &self.scan
    }

    /// Moves to the next entry; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        match self.scan.ties {
            Ties::AsStored => self.step(),
            Ties::ById { components } => self.step_by_id(components),
        }
    }

    /// The entry that the last step came to.
    pub(super) fn entry(&self) -> Result<Entry<'_>> {
        let (key, value) = match &self.state {
            State::Cursor | State::Turned { .. } => (self.cursor.key(), self.cursor.inline_value()),
            State::Group { rows, .. } => {
                let row = rows.current().map(|row| row.document.split_first());
                let (flags, key) = row.flatten().ok_or_else(no_entry)?;
                (key, Some(std::slice::from_ref(flags)))
            }
            State::End => return Err(no_entry()),
        };
        let id_at = components_len(key, &self.scan.index.directions)?;
        Ok(Entry { key, id_at, flags: Flags::from_value(value.unwrap_or_default())? })
    }

    /// Moves the cursor to the next entry in reach.
    fn step(&mut self) -> Result<bool> {
        while self.ranges.advance(&mut self.cursor)? {
            self.examined = self.examined.saturating_add(1);
            let key = self.cursor.key();
            if self.scan.reach.passes_filters(key, &self.scan.index.directions)? {
                return Ok(true);
            }
        }
        self.state = State::End;
        Ok(false)
    }

    fn step_by_id(&mut self, components: usize) -> Result<bool> {
        let is_on_next = match &mut self.state {
            State::End => return Ok(false),
            State::Cursor => self.step()?,
            State::Group { rows, is_on_next } => {
                if rows.advance()? {
                    return Ok(true);
                }
                *is_on_next
            }
            State::Turned { .. } => {
                if self.step_turned()? {
                    return Ok(true);
                }
                self.step()?
            }
        };
        if !is_on_next {
            self.state = State::End;
            return Ok(false);
        }
        self.gather(components)
    }

    /// Gathers the group whose first entry, in the direction of the walk, is under the cursor.
    fn gather(&mut self, components: usize) -> Result<bool> {
        let all = &self.scan.index.directions;
        let is_whole = components == all.len();
        let directions = all.get(..components).unwrap_or_default();
        let len = components_len(self.cursor.key(), directions)?;
        let prefix = self.cursor.key().get(..len).unwrap_or_default().to_vec();
        let mut sorter = Sorter::new(&self.resources);
        let mut gathered = 0;
        let is_on_next = loop {
            if is_whole && gathered == MAX_GATHERED {
                return self.turn(prefix);
            }
            self.push(&mut sorter)?;
            gathered += 1;
            if !self.step()? {
                break false;
            }
            if !self.cursor.key().starts_with(&prefix) {
                break true;
            }
        };
        let mut rows = sorter.finish()?;
        let has_row = rows.advance()?;
        self.state = State::Group { rows, is_on_next };
        Ok(has_row)
    }

    /// Adds the entry under the cursor to its group.
    fn push(&self, sorter: &mut Sorter) -> Result<()> {
        let key = self.cursor.key();
        let id_at = components_len(key, &self.scan.index.directions)?;
        let value = self.cursor.inline_value().unwrap_or_default();
        let mut document = Vec::with_capacity(key.len().saturating_add(value.len()));
        document.extend_from_slice(value);
        document.extend_from_slice(key);
        let order = key.get(id_at..).unwrap_or_default();
        sorter.push(SortRow { order, sort_key_len: 0, document: &document })
    }

    /// Goes to the front of a group of equal keys, to walk forwards through it.
    fn turn(&mut self, prefix: Vec<u8>) -> Result<bool> {
        let is_there = self.cursor.seek(&prefix)?;
        self.state = State::Turned { prefix };
        match is_there {
            true => Ok(true),
            false => Err(no_entry()),
        }
    }

    /// Goes on through the group; at its end, back to its front, where the walk backwards goes on.
    fn step_turned(&mut self) -> Result<bool> {
        let State::Turned { prefix } = &self.state else { return Ok(false) };
        if self.cursor.next()? && self.cursor.key().starts_with(prefix) {
            self.examined = self.examined.saturating_add(1);
            return Ok(true);
        }
        self.cursor.seek(prefix)?;
        self.state = State::Cursor;
        Ok(false)
    }
}

fn no_entry() -> Error {
    Error::internal("an index entry that was met is not there")
}

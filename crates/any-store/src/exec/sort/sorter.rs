//! Sorting what is pushed: in memory up to a budget, beyond it in runs on disk.

use super::SortRow;
use super::arena::{Arena, SortedArena};
use super::merge::{Merge, Runs};
use crate::error::Result;
use crate::exec::Resources;

/// Takes rows in any order.
pub(crate) struct Sorter {
    arena: Arena,
    runs: Option<Runs>,
    /// How many rows can be needed.
    bound: Option<usize>,
    resources: Resources,
}

impl Sorter {
    /// A sorter that holds as much in memory as the resources say.
    pub(crate) fn new(resources: &Resources) -> Self {
        Self::going_on(Arena::default(), None, resources)
    }

    /// A sorter that has rows already.
    pub(super) fn going_on(arena: Arena, bound: Option<usize>, resources: &Resources) -> Self {
        Self { arena, runs: None, bound, resources: resources.clone() }
    }

    pub(crate) fn push(&mut self, row: SortRow<'_>) -> Result<()> {
        if !self.arena.is_empty() && self.arena.bytes_with(&row) > self.resources.budget_bytes {
            let runs = match &mut self.runs {
                Some(runs) => runs,
                none => none.insert(Runs::create(&self.resources)?),
            };
            runs.add(std::mem::take(&mut self.arena), self.bound)?;
        }
        self.arena.push(row)
    }

    /// The rows in order.
    pub(crate) fn finish(self) -> Result<SortedRows> {
        Ok(match self.runs {
            None => SortedRows::Arena(self.arena.sorted()),
            Some(mut runs) => {
                runs.add(self.arena, self.bound)?;
                SortedRows::Merge(runs.merge()?)
            }
        })
    }
}

/// Rows in order, read from the front.
pub(crate) enum SortedRows {
    Arena(SortedArena),
    Merge(Merge),
}

impl SortedRows {
    /// Moves to the next row; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Arena(rows) => Ok(rows.advance()),
            Self::Merge(rows) => rows.advance(),
        }
    }

    pub(crate) fn current(&self) -> Option<SortRow<'_>> {
        match self {
            Self::Arena(rows) => rows.current(),
            Self::Merge(rows) => rows.current(),
        }
    }
}

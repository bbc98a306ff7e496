//! More rows than the budget holds: sorted runs in a temporary file, merged as they are read.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::SortRow;
use super::arena::Arena;
use crate::error::Result;
use crate::exec::Resources;
use crate::exec::spill::{READ_BUFFER_BYTES, Run, RunReader, SpillFile};

/// Most runs merged at once; more are first merged into fewer.
const MAX_FAN_IN: usize = 64;
/// What the read buffers of the runs that are merged at once may take, unless the budget is larger.
const MERGE_BYTES: usize = 4 << 20;

/// Two lengths before the bytes of a row: of the sort key, and of sort key and id key.
const ROW_HEADER_BYTES: usize = 8;

/// Sorted runs of one sort.
pub(super) struct Runs {
    file: SpillFile,
    runs: Vec<Run>,
    largest_record_len: usize,
    budget_bytes: usize,
}

impl Runs {
    pub(super) fn create(resources: &Resources) -> Result<Self> {
        let file = SpillFile::create(resources)?;
        let budget_bytes = resources.budget_bytes;
        Ok(Self { file, runs: Vec::new(), largest_record_len: 0, budget_bytes })
    }

    /// Sorts the rows and adds them as a run, without those that cannot be among the first `bound`.
    pub(super) fn add(&mut self, arena: Arena, bound: Option<usize>) -> Result<()> {
        let mut rows = arena.sorted();
        let mut left = bound.unwrap_or(usize::MAX);
        let mut run = self.file.begin_run();
        while left > 0 && rows.advance() {
            if let Some(row) = rows.current() {
                let sort_key_len = row.sort_key_len as u64;
                let header = (sort_key_len << 32 | row.order.len() as u64).to_le_bytes();
                let parts = [&header, row.order, row.document];
                let len = parts.iter().map(|part| part.len()).sum();
                self.largest_record_len = self.largest_record_len.max(len);
                run.push(&parts)?;
            }
            left -= 1;
        }
        let run = run.finish()?;
        self.runs.push(run);
        Ok(())
    }

    /// How many runs are merged at once. Each has a buffer, which holds a record at least.
    fn fan_in(&self) -> usize {
        let buffer_bytes = self.largest_record_len.max(READ_BUFFER_BYTES);
        (self.budget_bytes.max(MERGE_BYTES) / buffer_bytes).clamp(2, MAX_FAN_IN)
    }

    /// All rows of all runs, in order.
    pub(super) fn merge(mut self) -> Result<Merge> {
        let fan_in = self.fan_in();
        while self.runs.len() > fan_in {
            let merged: Vec<Run> = self.runs.drain(..fan_in).collect();
            let mut rows = Merge::open(&self.file, &merged)?;
            let mut longer = self.file.begin_run();
            while rows.advance()? {
                longer.push(&[rows.record()])?;
            }
            let longer = longer.finish()?;
            for run in merged {
                self.file.forget_run(run);
            }
            self.runs.push(longer);
        }
        Merge::open(&self.file, &self.runs)
    }
}

/// Several runs as one; the run with the smallest row is at the top of the heap.
pub(crate) struct Merge {
    heads: BinaryHeap<Head>,
    has_begun: bool,
}

/// A run that stands on a row.
struct Head(RunReader);

impl Merge {
    fn open(file: &SpillFile, runs: &[Run]) -> Result<Self> {
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for run in runs {
            let mut reader = file.read_run(*run);
            if reader.advance()? {
                heads.push(Head(reader));
            }
        }
        Ok(Self { heads, has_begun: false })
    }

    pub(super) fn advance(&mut self) -> Result<bool> {
        if std::mem::replace(&mut self.has_begun, true)
            && let Some(mut head) = self.heads.peek_mut()
            && !head.0.advance()?
        {
            PeekMut::pop(head);
        }
        Ok(!self.heads.is_empty())
    }

    pub(super) fn current(&self) -> Option<SortRow<'_>> {
        self.heads.peek().map(Head::row)
    }

    fn record(&self) -> &[u8] {
        self.heads.peek().map(|head| head.0.record()).unwrap_or_default()
    }
}

impl Head {
    fn row(&self) -> SortRow<'_> {
        let record = self.0.record();
        let header = record.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let sort_key_len = (header >> 32) as usize;
        let order_len = (header & u64::from(u32::MAX)) as usize;
        let rest = record.get(ROW_HEADER_BYTES..).unwrap_or_default();
        let (order, document) = rest.split_at_checked(order_len).unwrap_or_default();
        SortRow { order, sort_key_len, document }
    }
}

/// Reversed, since the heap has the largest at its top.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.row().order.cmp(self.row().order)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

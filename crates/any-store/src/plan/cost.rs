//! What plans cost: estimates of rows, and the price of each kind of work.
//!
//! The unit is the time in which a walk passes over one index entry. The prices were measured on
//! documents of a few hundred bytes in a warm cache; only their ratios matter.

use std::ops::Bound;

use any_store_storage::TreeId;

use super::KeyRanges;
use crate::error::Result;
use crate::source::Source;

/// To find the first entry of a range.
pub(super) const SEEK: f64 = 12.0;
/// To go on to the next entry of an index.
pub(super) const ENTRY: f64 = 1.0;
/// To check a component of a key.
pub(super) const KEY_FILTER: f64 = 0.7;
/// To find a document by its id.
pub(super) const FETCH: f64 = 9.0;
/// To go on to the next document of a walk.
pub(super) const DOCUMENT: f64 = 1.6;
/// To read a KiB of documents, decompression included.
pub(super) const KIBIBYTE: f64 = 6.0;
/// To ask a filter about a document that has been read.
pub(super) const FILTER: f64 = 1.5;
/// To make the sort key of a row and hold it, and once for each doubling of the rows.
pub(super) const SORT_ROW: f64 = 4.0;
pub(super) const SORT_STEP: f64 = 0.25;
/// To tell whether a document that has several entries was met before.
pub(super) const DEDUPLICATE: f64 = 12.0;

/// Ranges that are estimated each; of more, so many are taken for all.
const MAX_SAMPLES: usize = 16;

/// How much of a tree some ranges hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Estimate {
    pub(crate) entries: f64,
    /// Of all entries, from 0 to 1.
    pub(crate) share: f64,
}

/// Estimates the entries of a tree in some ranges.
pub(super) fn estimate(source: &Source<'_>, tree: TreeId, ranges: &KeyRanges) -> Result<Estimate> {
    let step = ranges.len().div_ceil(MAX_SAMPLES).max(1);
    let mut sum = Estimate::default();
    let mut samples = 0u32;
    for range in ranges.iter().step_by(step) {
        let low = Bound::Included(range.start.as_slice());
        let high = Bound::Excluded(range.end.as_slice());
        let found = source.estimate(tree, low, high)?;
        sum.entries += found.entries as f64;
        sum.share += found.share;
        samples += 1;
    }
    let scale = ranges.len() as f64 / f64::from(samples.max(1));
    Ok(Estimate { entries: sum.entries * scale, share: (sum.share * scale).min(1.0) })
}

/// The cost of a sort of so many rows, of which `bound` are wanted.
pub(super) fn sort(rows: f64, bound: Option<u64>) -> f64 {
    let held = bound.map_or(rows, |bound| rows.min(bound as f64)).max(2.0);
    rows * (SORT_ROW + SORT_STEP * held.log2())
}

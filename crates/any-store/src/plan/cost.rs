//! What plans cost: estimates of rows, and the price of each kind of work.
//!
//! The unit is the time in which a walk passes over one index entry, about 54 ns. The prices were
//! measured on documents of some hundred bytes in memory; only their ratios matter.

use std::ops::Bound;

use any_store_storage::TreeId;

use super::KeyRanges;
use crate::error::Result;
use crate::source::Source;

/// To find the first entry of a range.
pub(super) const SEEK: f64 = 25.0;
/// To go on to the next entry of an index.
pub(super) const ENTRY: f64 = 1.0;
/// To check a component of a key.
pub(super) const KEY_FILTER: f64 = 0.4;
/// To go on to the next document of a walk.
pub(super) const DOCUMENT: f64 = 1.8;
/// To read a KiB of documents.
pub(super) const KIBIBYTE: f64 = 4.5;
/// To ask a filter about a document that has been read.
pub(super) const FILTER: f64 = 1.9;
/// To find a document by its id next to the last one, or where all of them are in the caches.
const FETCH_NEAR: f64 = 4.0;
/// What finding a document takes more where nothing of it is in the processor's caches.
const FETCH_MISS: f64 = 45.0;
/// So many bytes leave half of the caches' use.
const CACHE_BYTES: f64 = 7.0 * 1024.0 * 1024.0;
/// What finding one document brings into the caches.
const FETCH_BYTES: f64 = 4096.0;
/// To make the sort key of a row.
const SORT_ROW: f64 = 2.0;
/// To hold a row, and once for each doubling of those that are held.
const SORT_HELD: f64 = 4.0;
const SORT_STEP: f64 = 0.25;
/// To put an entry in the order of ids among those with an equal key.
pub(super) const TIE: f64 = 6.0;
/// To tell whether a document that has several entries was met before, once it is at hand.
pub(super) const DEDUPLICATE: f64 = 6.0;

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

/// Where the documents stand that follow each other in a walk over an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// Mostly on the page of the one before.
    Near,
    Anywhere,
}

/// The price of finding one of so many documents by their ids, in a tree of so many bytes.
pub(super) fn fetch(fetched: f64, tree_bytes: f64, spread: Spread) -> f64 {
    match spread {
        Spread::Near => FETCH_NEAR,
        Spread::Anywhere => {
            let touched = (fetched * FETCH_BYTES).min(tree_bytes);
            let miss = touched * touched / (touched * touched + CACHE_BYTES * CACHE_BYTES);
            FETCH_NEAR + FETCH_MISS * miss
        }
    }
}

/// The cost of a sort of so many rows, of which `bound` are wanted.
pub(super) fn sort(rows: f64, bound: Option<u64>) -> f64 {
    let held = bound.map_or(rows, |bound| rows.min(bound as f64));
    let steps = SORT_STEP * held.max(2.0).log2();
    rows * (SORT_ROW + steps) + held * SORT_HELD
}

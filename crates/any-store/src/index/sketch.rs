//! How the keys of an index are distributed: a sketch, made on request.
//!
//! The reference keeps a table of counters for each index and writes it with every commit. Plans here
//! estimate from the index's tree itself, so nothing is kept: whoever wants to see the distribution
//! asks for it, and one walk over the index makes it.

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::components_len;
use crate::catalog::IndexMeta;
use crate::error::Result;
use crate::source::Source;

/// Counters of one level.
const BUCKETS: usize = 1024;

/// The distribution of the keys of an index, as of one snapshot; exact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "IndexSketchInfo")]
#[non_exhaustive]
pub struct SketchInfo {
    /// Entries counted.
    pub entries: u64,
    /// One level for each number of leading fields, beginning with the first field alone: how many
    /// entries have a key of that many fields whose xxHash64 is so much, modulo the number of buckets.
    pub levels: Vec<Vec<u64>>,
}

/// How full the buckets of a level of a [`SketchInfo`] are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SketchDistribution {
    /// Buckets that hold anything.
    pub used_buckets: usize,
    /// Their share of all buckets, from 0 to 1.
    pub used_share: f64,
    /// The least of the buckets that hold anything; 0 if none does.
    pub least: u64,
    /// The largest bucket.
    pub largest: u64,
    /// The mean of the buckets that hold anything; 0 if none does.
    pub mean: f64,
    /// Half, 90 and 99 of a hundred of the buckets that hold anything hold at most so much.
    pub percentiles: [u64; 3],
    /// The largest bucket over the mean: 1 where all are alike; 0 if there are none.
    pub skew: f64,
}

impl SketchInfo {
    /// How full the buckets are of the keys of the first `fields` fields; `None` if the index has not so
    /// many, or `fields` is 0.
    #[must_use]
    pub fn distribution(&self, fields: usize) -> Option<SketchDistribution> {
        let level = self.levels.get(fields.checked_sub(1)?)?;
        let mut used: Vec<u64> = level.iter().copied().filter(|count| *count > 0).collect();
        used.sort_unstable();
        let Some((&least, &largest)) = used.first().zip(used.last()) else {
            return Some(SketchDistribution::default());
        };
        let mean = used.iter().sum::<u64>() as f64 / used.len() as f64;
        let percentile = |of_hundred: usize| {
            let place = (used.len() * of_hundred).div_ceil(100).saturating_sub(1);
            used.get(place).copied().unwrap_or(largest)
        };
        Some(SketchDistribution {
            used_buckets: used.len(),
            used_share: used.len() as f64 / level.len() as f64,
            least,
            largest,
            mean,
            percentiles: [percentile(50), percentile(90), percentile(99)],
            skew: largest as f64 / mean,
        })
    }
}

/// Walks over an index and counts its keys.
pub(crate) fn inspect(source: &Source<'_>, index: &IndexMeta) -> Result<SketchInfo> {
    let mut sketch =
        SketchInfo { entries: 0, levels: vec![vec![0; BUCKETS]; index.directions.len()] };
    let mut cursor = source.cursor(index.tree)?;
    let mut is_on_entry = cursor.first()?;
    while is_on_entry {
        sketch.entries = sketch.entries.saturating_add(1);
        let key = cursor.key();
        let mut end = 0usize;
        for (level, direction) in sketch.levels.iter_mut().zip(&index.directions) {
            let rest = key.get(end..).unwrap_or_default();
            end = end.saturating_add(components_len(rest, std::slice::from_ref(direction))?);
            let bucket = bucket_of(key.get(..end).unwrap_or_default());
            if let Some(count) = level.get_mut(bucket) {
                *count = count.saturating_add(1);
            }
        }
        is_on_entry = cursor.next()?;
    }
    Ok(sketch)
}

fn bucket_of(key: &[u8]) -> usize {
    let mut hasher = XxHash64::with_seed(0);
    hasher.write(key);
    usize::try_from(hasher.finish() % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::{CollectionOptions, Database, ErrorKind, doc};

    #[test]
    fn a_sketch_counts_each_level_and_tells_of_its_distribution() {
        let db = Database::in_memory().unwrap();
        let made = db.create_collection("c", CollectionOptions::new()).unwrap();
        made.create_index(["a", "-b"]).unwrap();
        made.insert_many((0..90).map(|id| doc! { "id": id, "a": id % 3, "b": id })).unwrap();
        let sketch = made.inspect_sketch("a,-b").unwrap();
        assert_eq!((sketch.entries, sketch.levels.len()), (90, 2));
        assert!(sketch.levels.iter().all(|level| level.iter().sum::<u64>() == 90));
        let first = sketch.distribution(1).unwrap();
        assert_eq!((first.used_buckets, first.least, first.largest), (3, 30, 30));
        assert_eq!((first.mean, first.skew, first.percentiles), (30.0, 1.0, [30; 3]));
        let second = sketch.distribution(2).unwrap();
        assert!(second.used_buckets > 70 && second.largest <= 4, "{second:?}");
        assert_eq!((sketch.distribution(0), sketch.distribution(3)), (None, None));
        assert_eq!(made.inspect_sketch("b").unwrap_err().kind(), ErrorKind::IndexNotFound);
        made.delete_many(()).unwrap();
        let empty = made.inspect_sketch("a,-b").unwrap().distribution(1).unwrap();
        assert_eq!((empty.used_buckets, empty.skew), (0, 0.0));
    }
}

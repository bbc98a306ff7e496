//! How far the bounds of a filter narrow one index: ranges of its keys, and what they leave undecided.
//!
//! Bounds of the first fields become ranges: points multiply, and the first field whose bounds are not
//! points ends the ranges. Bounds of fields behind that are asked of each key that is met.
//!
//! At most one field with several keys per document is bounded: its keys in different entries of one
//! document say nothing about each other, and neither do those of another such field. Fields with
//! one key per document are the same in all entries of a document, so all of them are bounded.

use std::ops::Range;

use any_store_query::Filter;
use any_store_query::bounds::{Interval, Keys};
use anyenc::key::{Cut, Direction, encode_key_value, key_len, key_range};
use anyenc::{DecodeError, Path};

use super::KeyRanges;

/// Most ranges of one scan: above it, the bounds of a field are asked of keys instead.
const MAX_RANGES: usize = 10_000;

/// The fields of an index as bounds see them.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) paths: &'a [Path],
    pub(crate) directions: &'a [Direction],
    /// Bit i: documents have several keys because of field i.
    pub(crate) multikey: u64,
    /// Keys without any value at the fields are left out.
    pub(crate) is_sparse: bool,
}

/// The part of an index that a filter leads to.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) ranges: KeyRanges,
    pub(crate) key_filters: Vec<KeyFilter>,
    /// The bounds of each field; `None` where it has none.
    pub(crate) fields: Vec<Option<Vec<Interval>>>,
    /// What the bounds do not decide.
    pub(crate) residual: Filter,
    /// How many fields stand behind the ranges.
    pub(crate) range_fields: usize,
}

/// Where one component of a key must lie.
#[derive(Clone, Debug)]
pub(crate) struct KeyFilter {
    pub(crate) field: usize,
    ranges: KeyRanges,
}

impl Fields<'_> {
    pub(crate) fn is_multikey(&self, field: usize) -> bool {
        u32::try_from(field)
            .is_ok_and(|field| self.multikey.checked_shr(field).unwrap_or(0) & 1 == 1)
    }
}

impl Reach {
    /// The reach of a filter, with bounds on the fields that `may_bound` allows.
    ///
    /// Of a document with several keys, a sparse index lacks those without any value. The bounds may
    /// mean such a one, unless one of them leaves out null; so else there are none.
    pub(crate) fn new(
        fields: Fields<'_>,
        filter: &Filter,
        may_bound: impl Fn(usize) -> bool,
    ) -> Self {
        let (reach, leaves_out_null) = Self::bounded(fields, filter, may_bound);
        let is_sound = leaves_out_null || !fields.is_sparse || fields.multikey == 0;
        if is_sound { reach } else { Self::bounded(fields, filter, |_| false).0 }
    }

    /// The reach, and whether a bound leaves out null.
    fn bounded(
        fields: Fields<'_>,
        filter: &Filter,
        may_bound: impl Fn(usize) -> bool,
    ) -> (Self, bool) {
        let mut residual = filter.clone();
        let mut has_bounded_several = false;
        let mut leaves_out_null = false;
        let mut bounds = Vec::with_capacity(fields.paths.len());
        for (field, path) in fields.paths.iter().enumerate() {
            let is_multikey = fields.is_multikey(field);
            if !may_bound(field) || (is_multikey && has_bounded_several) {
                bounds.push(None);
                continue;
            }
            let keys = if is_multikey { Keys::Several } else { Keys::OnePerDocument };
            let found = residual.bounds(path.as_str(), keys);
            if found.is_all() {
                bounds.push(None);
                continue;
            }
            has_bounded_several |= is_multikey;
            leaves_out_null |= !found.holds_null();
            bounds.push(Some(found.intervals().to_vec()));
            residual = found.residual().clone();
        }
        let (ranges, range_fields) = ranges(&bounds, fields.directions);
        let key_filters = (range_fields..bounds.len())
            .filter_map(|field| key_filter(field, bounds.get(field)?.as_ref()?, fields.directions))
            .collect();
        (Self { ranges, key_filters, fields: bounds, residual, range_fields }, leaves_out_null)
    }

    /// Can no entry be in it?
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.iter().flatten().any(Vec::is_empty)
    }

    /// Does it leave out anything?
    pub(crate) fn is_bounded(&self) -> bool {
        self.fields.iter().any(Option::is_some)
    }

    /// Is the field bounded to the key of one value?
    pub(crate) fn is_pinned(&self, field: usize) -> bool {
        match self.fields.get(field) {
            Some(Some(intervals)) => {
                matches!(intervals.as_slice(), [only] if only.value().is_some())
            }
            _ => false,
        }
    }

    /// Is the field bounded to the keys of some values?
    pub(crate) fn is_pointed(&self, field: usize) -> bool {
        let intervals = self.fields.get(field).and_then(Option::as_ref);
        intervals.is_some_and(|all| all.iter().all(|interval| interval.value().is_some()))
    }

    /// Is the field bounded at all?
    pub(crate) fn bounds_field(&self, field: usize) -> bool {
        matches!(self.fields.get(field), Some(Some(_)))
    }

    /// Is a whole key in reach?
    pub(crate) fn holds(&self, key: &[u8], directions: &[Direction]) -> Result<bool, DecodeError> {
        Ok(is_in(&self.ranges, key) && self.passes_filters(key, directions)?)
    }

    /// Do the components that the ranges do not bound lie where they must?
    pub(crate) fn passes_filters(
        &self,
        key: &[u8],
        directions: &[Direction],
    ) -> Result<bool, DecodeError> {
        if self.key_filters.is_empty() {
            return Ok(true);
        }
        let mut rest = key;
        let mut filters = self.key_filters.iter().peekable();
        for (field, direction) in directions.iter().enumerate() {
            let Some(filter) = filters.peek() else { return Ok(true) };
            let len = key_len(rest, *direction)?;
            let (component, behind) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
            if filter.field == field {
                if !is_in(&filter.ranges, component) {
                    return Ok(false);
                }
                filters.next();
            }
            rest = behind;
        }
        Ok(true)
    }
}

/// Is a key in one of the ranges?
fn is_in(ranges: &[Range<Vec<u8>>], key: &[u8]) -> bool {
    let behind = ranges.partition_point(|range| range.end.as_slice() <= key);
    ranges.get(behind).is_some_and(|range| range.start.as_slice() <= key)
}

/// All keys that begin with a prefix.
pub(super) fn all_behind(prefix: &[u8]) -> Range<Vec<u8>> {
    key_range(prefix, Cut::First, Cut::Last, Direction::Ascending)
}

/// The ranges that the bounds of the first fields make, and how many fields they use.
fn ranges(bounds: &[Option<Vec<Interval>>], directions: &[Direction]) -> (KeyRanges, usize) {
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    let mut used = 0;
    for (intervals, direction) in bounds.iter().zip(directions) {
        let Some(intervals) = intervals else { break };
        if prefixes.len().saturating_mul(intervals.len()) > MAX_RANGES {
            break;
        }
        used += 1;
        if !intervals.iter().all(|interval| interval.value().is_some()) {
            let ranges = prefixes.iter().flat_map(|prefix| {
                in_direction(intervals, *direction)
                    .map(move |interval| interval.key_range(prefix, *direction))
            });
            return (ranges.collect(), used);
        }
        prefixes = prefixes
            .iter()
            .flat_map(|prefix| {
                in_direction(intervals, *direction)
                    .filter_map(move |interval| Some((prefix, interval.value()?)))
            })
            .map(|(prefix, value)| {
                let mut longer = prefix.clone();
                encode_key_value(value, *direction, &mut longer);
                longer
            })
            .collect();
    }
    (prefixes.iter().map(|prefix| all_behind(prefix)).collect(), used)
}

/// Intervals, which ascend as values, in the order of their keys.
fn in_direction(
    intervals: &[Interval],
    direction: Direction,
) -> Box<dyn Iterator<Item = &Interval> + '_> {
    match direction {
        Direction::Ascending => Box::new(intervals.iter()),
        Direction::Descending => Box::new(intervals.iter().rev()),
    }
}

fn key_filter(field: usize, intervals: &[Interval], directions: &[Direction]) -> Option<KeyFilter> {
    let direction = *directions.get(field)?;
    let ranges = in_direction(intervals, direction)
        .map(|interval| interval.key_range(b"", direction))
        .collect();
    Some(KeyFilter { field, ranges })
}

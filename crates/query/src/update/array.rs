//! The operators on whole arrays: `$push`, `$addToSet`, `$pop`, `$pull`, `$pullAll`.
//!
//! Each reads the array that is there element by element and writes the one that is to be. Only a
//! `$push` that sorts holds the elements in memory, as views.

use anyenc::key::encode_key;
use anyenc::{
    DecodeError, Direction, DocumentWriter, EncodeError, Path, RawArray, RawValue, Value,
};

use crate::error::{ApplyError, ApplyErrorKind};
use crate::filter::Filter;
use crate::operand::Operand;

/// Most elements that a `$push` sorts.
pub(crate) const MAX_SORTED: usize = 1_000_000;

#[derive(Debug)]
pub(super) enum ArrayAction {
    Push(Push),
    AddToSet(Members),
    Pop(End),
    Pull(Pull),
    PullAll(Members),
}

impl ArrayAction {
    /// Does the operator make an array where there is none?
    pub(super) fn creates(&self) -> bool {
        matches!(self, ArrayAction::Push(_) | ArrayAction::AddToSet(_))
    }

    pub(super) fn operator(&self) -> &'static str {
        match self {
            ArrayAction::Push(_) => "$push",
            ArrayAction::AddToSet(_) => "$addToSet",
            ArrayAction::Pop(_) => "$pop",
            ArrayAction::Pull(_) => "$pull",
            ArrayAction::PullAll(_) => "$pullAll",
        }
    }

    /// Writes what becomes of an array; a missing one begins empty.
    pub(super) fn write(
        &self,
        array: Option<RawArray<'_>>,
        out: &mut DocumentWriter<'_>,
    ) -> Result<(), ApplyError> {
        out.begin_array()?;
        match self {
            ArrayAction::Push(push) => push.write(array, out)?,
            ArrayAction::AddToSet(members) => members.write_union(array, out)?,
            ArrayAction::Pop(end) => end.write(array, out)?,
            ArrayAction::Pull(pull) => write_others(array, out, |element| pull.takes(element))?,
            ArrayAction::PullAll(members) => {
                write_others(array, out, |element| Ok(members.find(element)?.is_some()))?;
            }
        }
        Ok(out.end_array()?)
    }
}

/// Writes the elements that are not taken out.
fn write_others(
    array: Option<RawArray<'_>>,
    out: &mut DocumentWriter<'_>,
    is_taken: impl Fn(RawValue<'_>) -> Result<bool, DecodeError>,
) -> Result<(), ApplyError> {
    for element in elements(array) {
        let element = element?;
        if !is_taken(element)? {
            out.write_raw(element)?;
        }
    }
    Ok(())
}

fn elements<'a>(
    array: Option<RawArray<'a>>,
) -> impl Iterator<Item = Result<RawValue<'a>, DecodeError>> {
    array.into_iter().flat_map(|array| array.iter())
}

fn len(array: Option<RawArray<'_>>) -> Result<usize, DecodeError> {
    array.map_or(Ok(0), |array| array.len())
}

/// Which end a `$pop` takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    First,
    Last,
}

impl End {
    fn write(
        self,
        array: Option<RawArray<'_>>,
        out: &mut DocumentWriter<'_>,
    ) -> Result<(), ApplyError> {
        let (skip, count) = match self {
            End::First => (1, usize::MAX),
            End::Last => (0, len(array)?.saturating_sub(1)),
        };
        for element in elements(array).skip(skip).take(count) {
            out.write_raw(element?)?;
        }
        Ok(())
    }
}

/// What a `$pull` takes out.
#[derive(Debug)]
pub(super) enum Pull {
    /// Elements that are equal to a value.
    Equal(Operand),
    /// Elements that satisfy a condition; of those that are arrays, an element of theirs may do so.
    Condition(Filter),
    /// Objects that match a filter.
    Matching(Filter),
}

impl Pull {
    fn takes(&self, element: RawValue<'_>) -> Result<bool, DecodeError> {
        match (self, element) {
            (Pull::Equal(operand), _) => Ok(element.compare(&operand.raw()?)?.is_eq()),
            (Pull::Condition(condition), _) => condition.matches_value("", element),
            (Pull::Matching(filter), RawValue::Object(object)) => filter.matches(object),
            (Pull::Matching(_), _) => Ok(false),
        }
    }
}

/// Distinct values, as they were written and in order for binary search.
#[derive(Debug)]
pub(super) struct Members {
    values: Vec<Operand>,
    /// The places of the values, ascending by value.
    sorted: Vec<usize>,
}

impl Members {
    /// Of equal values the first one counts.
    pub(super) fn new(values: &[Value]) -> Result<Members, EncodeError> {
        let mut first: Vec<usize> = (0..values.len()).collect();
        first.sort_by_key(|place| values.get(*place));
        first.dedup_by_key(|place| values.get(*place));
        first.sort_unstable();
        let distinct = first.iter().filter_map(|place| values.get(*place));
        let values = distinct.map(Operand::new).collect::<Result<Vec<_>, _>>()?;
        let mut sorted: Vec<usize> = (0..values.len()).collect();
        sorted.sort_by_key(|place| values.get(*place).map(Operand::value));
        Ok(Members { values, sorted })
    }

    /// The place of the value that is equal to an element.
    fn find(&self, element: RawValue<'_>) -> Result<Option<usize>, DecodeError> {
        let mut left = self.sorted.as_slice();
        while let Some((below, [place, above @ ..])) = left.split_at_checked(left.len() / 2) {
            let Some(value) = self.values.get(*place) else { break };
            left = match element.compare(&value.raw()?)? {
                std::cmp::Ordering::Equal => return Ok(Some(*place)),
                std::cmp::Ordering::Less => below,
                std::cmp::Ordering::Greater => above,
            };
        }
        Ok(None)
    }

    /// Writes the elements, and behind them the values that are none of them.
    fn write_union(
        &self,
        array: Option<RawArray<'_>>,
        out: &mut DocumentWriter<'_>,
    ) -> Result<(), ApplyError> {
        let mut is_there = vec![false; self.values.len()];
        for element in elements(array) {
            let element = element?;
            if let Some(place) = self.find(element)?.and_then(|place| is_there.get_mut(place)) {
                *place = true;
            }
            out.write_raw(element)?;
        }
        for (value, _) in self.values.iter().zip(&is_there).filter(|(_, is_there)| !**is_there) {
            out.write_raw(value.raw()?)?;
        }
        Ok(())
    }
}

/// `$push`: values put in at a position, then all sorted, then cut.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) values: Vec<Operand>,
    /// From the start, or from the end if negative; none is behind the end.
    pub(super) position: Option<i64>,
    /// So many from the start, or from the end if negative.
    pub(super) slice: Option<i64>,
    pub(super) sort: Option<ElementSort>,
}

impl Push {
    fn write(
        &self,
        array: Option<RawArray<'_>>,
        out: &mut DocumentWriter<'_>,
    ) -> Result<(), ApplyError> {
        let before = len(array)?;
        let total = before.saturating_add(self.values.len());
        let position = self.position.map_or(before, |position| from_either_end(position, before));
        let (start, count) = match self.slice {
            None => (0, total),
            Some(slice) if slice >= 0 => (0, clamped(slice)),
            Some(slice) => (from_either_end(slice, total), total),
        };
        let new = self.values.iter().map(Operand::raw);
        let all = elements(array).take(position).chain(new).chain(elements(array).skip(position));
        match &self.sort {
            None => {
                for element in all.skip(start).take(count) {
                    out.write_raw(element?)?;
                }
            }
            Some(_) if total > MAX_SORTED => {
                let reason = format!("$push sorts at most {MAX_SORTED} elements, not {total}");
                return Err(ApplyError {
                    kind: ApplyErrorKind::Limit,
                    path: String::new(),
                    reason,
                });
            }
            Some(sort) => {
                for element in sort.sorted(all)?.into_iter().skip(start).take(count) {
                    out.write_raw(element)?;
                }
            }
        }
        Ok(())
    }
}

/// A place counted from the start, or from the end if negative, within `len`.
fn from_either_end(place: i64, len: usize) -> usize {
    if place >= 0 { clamped(place).min(len) } else { len.saturating_sub(clamped(place)) }
}

fn clamped(count: i64) -> usize {
    usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
}

/// The order of a `$push` that sorts.
#[derive(Debug)]
pub(super) enum ElementSort {
    Whole(Direction),
    /// By fields of elements that are objects. What is missing, and all of what is no object, counts
    /// as null; an array is one value.
    Fields(Vec<(Path, Direction)>),
}

impl ElementSort {
    /// The elements in order; equal ones stay as they are. Sorted by encoded keys, because these
    /// have an order however damaged the elements are.
    fn sorted<'a>(
        &self,
        elements: impl Iterator<Item = Result<RawValue<'a>, DecodeError>>,
    ) -> Result<Vec<RawValue<'a>>, DecodeError> {
        let mut keys = Vec::new();
        let mut keyed = Vec::new();
        for element in elements {
            let element = element?;
            let start = keys.len();
            self.append_key(element, &mut keys)?;
            keyed.push((start..keys.len(), element));
        }
        keyed.sort_by(|(one, _), (other, _)| keys.get(one.clone()).cmp(&keys.get(other.clone())));
        Ok(keyed.into_iter().map(|(_, element)| element).collect())
    }

    fn append_key(&self, element: RawValue<'_>, keys: &mut Vec<u8>) -> Result<(), DecodeError> {
        let fields = match self {
            ElementSort::Whole(direction) => return encode_key(element, *direction, keys),
            ElementSort::Fields(fields) => fields,
        };
        for (path, direction) in fields {
            let value = match element {
                RawValue::Object(object) => object.get_path(path)?,
                _ => None,
            };
            encode_key(value.unwrap_or(RawValue::Null), *direction, keys)?;
        }
        Ok(())
    }
}

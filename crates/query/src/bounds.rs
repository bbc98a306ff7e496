//! Where the documents that a filter matches stand in an index: intervals of encoded keys.
//!
//! [`crate::Filter::bounds`] answers for one path, which is a field of an index, and splits the
//! filter in two: what the intervals decide, and the residual filter, which must still be asked of
//! each document that they lead to.
//!
//! The keys of a document at a path are those of [`crate::walk::expand`]: one for each element of an
//! array, one below null for an empty array, null where the value is missing. Every document that the
//! filter matches has a key in the intervals.
//!
//! What a planner has to know:
//!
//!  1. Where documents have several keys, a condition can be satisfied by one element and another
//!     condition by another, so intervals of two conditions cannot be intersected, and the bounds are
//!     those of the one condition that narrows them most. [`Keys::OnePerDocument`] may be said only of
//!     a field at which every document has one key.
//!  2. For the same reason the bounds of two fields of a compound index apply together only if at most
//!     one of the two has several keys per document; else use those of one field.
//!  3. A document with several keys in the intervals is met several times.
//!  4. A sparse index lacks the tuples in which all its paths are missing, of a document that has
//!     others, too. It serves bounds of which one at least does not hold the key of null
//!     ([`Bounds::holds_null`]). It serves other bounds if the filter demands something at one of its
//!     paths ([`crate::Filter::implies_present`]) and either no document has several keys at any of
//!     them, or nothing is bounded at all. Else a tuple that the bounds mean may be one that is lacking:
//!     `{"a.b":null,"a.c":3}` matches `{"a":[{"b":1,"c":3},{}]}` by its second element.
//!  5. To go on to the next field of a compound index, ask the residual filter for its bounds.
//!  6. Paths with a part that is a number, behind the first part, have no bounds: filters read such a
//!     part as a key and as a position, entries follow one of the two.

use std::cmp::Ordering;
use std::ops::Range;

use anyenc::key::{Cut, Direction, cut, key_range};
use anyenc::{Value, ValueType};

use crate::filter::Filter;

/// How many keys the documents of an index have at its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keys {
    /// Each document has one, so conditions can be intersected.
    OnePerDocument,
    /// Some have several, since they hold arrays.
    Several,
}

/// What a filter says about the keys of its documents at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    pub(crate) intervals: Vec<Interval>,
    pub(crate) is_exact: bool,
    pub(crate) residual: Filter,
}

impl Bounds {
    /// The intervals, ascending, without overlap. None at all: no document matches.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Do the intervals decide every condition that the filter has on the path, so that the residual
    /// filter has none left? Conditions on other paths, and under logical operators that mix paths,
    /// stay in the residual.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// What must still be asked of a document that has a key in the intervals.
    pub fn residual(&self) -> &Filter {
        &self.residual
    }

    /// Is any key within the intervals, so that they are of no use?
    pub fn is_all(&self) -> bool {
        matches!(self.intervals.as_slice(), [interval] if interval.is_all())
    }

    /// Can no document match?
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Is null's key, which documents without the field have, within the intervals?
    pub fn holds_null(&self) -> bool {
        let null = Interval::point(Value::Null);
        self.intervals.iter().any(|interval| interval.low <= null.low && null.high <= interval.high)
    }
}

/// Keys in a row: those between two cuts of the order of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    pub(crate) low: End,
    pub(crate) high: End,
}

/// An end of an interval, with its bytes in an ascending key, by which ends are compared.
#[derive(Debug, Clone)]
pub(crate) struct End {
    bytes: Vec<u8>,
    place: Place,
}

/// A [`Cut`] that owns what it is beside.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    First,
    BeforeType(ValueType),
    Before(Value),
    After(Value),
    AfterPrefix(String),
    AfterType(ValueType),
    Last,
}

impl Place {
    fn cut(&self) -> Cut<'_> {
        match self {
            Place::First => Cut::First,
            Place::BeforeType(kind) => Cut::BeforeType(*kind),
            Place::Before(value) => Cut::Before(value),
            Place::After(value) => Cut::After(value),
            Place::AfterPrefix(text) => Cut::AfterPrefix(text),
            Place::AfterType(kind) => Cut::AfterType(*kind),
            Place::Last => Cut::Last,
        }
    }
}

impl From<Place> for End {
    fn from(place: Place) -> End {
        End { bytes: cut(b"", place.cut(), Direction::Ascending), place }
    }
}

impl PartialEq for End {
    fn eq(&self, other: &End) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &End) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &End) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Interval {
    pub(crate) fn new(low: Place, high: Place) -> Interval {
        Interval { low: low.into(), high: high.into() }
    }

    /// Every key.
    pub(crate) fn all() -> Interval {
        Interval::new(Place::First, Place::Last)
    }

    /// The key of one value and of what equals it.
    pub(crate) fn point(value: Value) -> Interval {
        Interval::new(Place::Before(value.clone()), Place::After(value))
    }

    /// The keys of all values of a type's place in the order.
    pub(crate) fn of_type(kind: ValueType) -> Interval {
        Interval::new(Place::BeforeType(kind), Place::AfterType(kind))
    }

    /// The key of an array that is empty, which stands below null.
    pub(crate) fn empty_array() -> Interval {
        Interval::new(Place::First, Place::BeforeType(ValueType::Null))
    }

    /// The keys of all strings that begin with a text.
    pub(crate) fn prefix(text: String) -> Interval {
        Interval::new(Place::Before(Value::from(text.as_str())), Place::AfterPrefix(text))
    }

    /// Where the interval begins, as values.
    pub fn low(&self) -> Cut<'_> {
        self.low.place.cut()
    }

    /// Where the interval ends, as values.
    pub fn high(&self) -> Cut<'_> {
        self.high.place.cut()
    }

    /// The one value, with what equals it, that is in the interval, if it was made of one.
    pub fn value(&self) -> Option<&Value> {
        match (&self.low.place, &self.high.place) {
            (Place::Before(low), Place::After(high)) if low == high => Some(low),
            _ => None,
        }
    }

    /// The keys, first inclusive and last exclusive, whose component behind `prefix` is in the
    /// interval: for an index in either direction, and for each field of a compound one.
    ///
    /// ```
    /// use any_store_query::{Filter, bounds::Keys};
    /// use anyenc::key::{Direction, encode_key_value};
    /// use anyenc::Value;
    ///
    /// let filter = Filter::from_json(r#"{"age": {"$gte": 18}}"#)?;
    /// let bounds = filter.bounds("age", Keys::Several);
    /// let range = bounds.intervals()[0].key_range(b"", Direction::Descending);
    /// let mut key = Vec::new();
    /// encode_key_value(&Value::from(41), Direction::Descending, &mut key);
    /// assert!(range.contains(&key) && bounds.is_exact());
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn key_range(&self, prefix: &[u8], direction: Direction) -> Range<Vec<u8>> {
        key_range(prefix, self.low(), self.high(), direction)
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!((&self.low.place, &self.high.place), (Place::First, Place::Last))
    }

    /// Does a value, not merely a type, stand at both ends?
    pub(crate) fn is_between_values(&self) -> bool {
        let is_value = |end: &End| {
            matches!(end.place, Place::Before(_) | Place::After(_) | Place::AfterPrefix(_))
        };
        is_value(&self.low) && is_value(&self.high)
    }
}

/// The intervals that hold what any of these hold, ascending and without overlap.
pub(crate) fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by(|a, b| a.low.cmp(&b.low));
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match merged.last_mut() {
            Some(last) if next.low <= last.high => {
                if next.high > last.high {
                    last.high = next.high;
                }
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// The intervals that hold what both lists, ascending and without overlap, hold.
pub(crate) fn intersection(one: &[Interval], other: &[Interval]) -> Vec<Interval> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut common = Vec::new();
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let low = (&a.low).max(&b.low);
        let high = (&a.high).min(&b.high);
        if low < high {
            common.push(Interval { low: low.clone(), high: high.clone() });
        }
        if a.high < b.high {
            one.next();
        } else {
            other.next();
        }
    }
    common
}

/// The intervals between those of a list that is ascending and without overlap.
pub(crate) fn complement(intervals: &[Interval]) -> Vec<Interval> {
    let mut gaps = Vec::with_capacity(intervals.len() + 1);
    let mut low = End::from(Place::First);
    for interval in intervals {
        if low < interval.low {
            gaps.push(Interval { low, high: interval.low.clone() });
        }
        low = interval.high.clone();
    }
    let last = End::from(Place::Last);
    if low < last {
        gaps.push(Interval { low, high: last });
    }
    gaps
}

//! Does a document match? Evaluated over encoded bytes, without allocation.
//!
//! A condition on a path is a question about the values that [`walk`] visits: it holds if any of
//! them satisfies it. `$ne`, `$nin` and `$not` are negations of the whole question, so they match
//! where nothing was visited.

use std::cmp::Ordering;

use anyenc::{DecodeError, RawArray, RawValue, Segment};

use super::compile::{bracket, is_nan};
use super::{Clause, Condition, Conjunction, ElementTest, OrderTest};
use crate::operand::Operand;
use crate::walk::{self, Container, LeafArray};

/// Do all clauses hold?
pub(super) fn conjunction(all: &Conjunction, root: Container<'_>) -> Result<bool, DecodeError> {
    for clause in all.clauses() {
        if !self::clause(clause, root)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn clause(clause: &Clause, root: Container<'_>) -> Result<bool, DecodeError> {
    match clause {
        Clause::And(branches) => Ok(!any(branches, |branch| Ok(!conjunction(branch, root)?))?),
        Clause::Or(branches) => any(branches, |branch| conjunction(branch, root)),
        Clause::Nor(branches) => Ok(!any(branches, |branch| conjunction(branch, root))?),
        Clause::Comment(_) => Ok(true),
        Clause::Field { path, conditions } => {
            let Some((first, rest)) = path.segments().split_first() else { return Ok(true) };
            let found = Found { head: root.get(first)?, rest, leaf: LeafArray::ElementsAndWhole };
            every(conditions, found)
        }
    }
}

/// What a path finds: the value of its first part, which all conditions on it share, and the rest.
#[derive(Clone, Copy)]
pub(super) struct Found<'a, 'p> {
    pub(super) head: Option<RawValue<'a>>,
    pub(super) rest: &'p [Segment],
    pub(super) leaf: LeafArray,
}

impl<'a> Found<'a, '_> {
    /// Does any value satisfy the test, each element of an array at the path's end included?
    fn any(
        self,
        mut test: impl FnMut(Option<RawValue<'a>>) -> Result<bool, DecodeError>,
    ) -> Result<bool, DecodeError> {
        walk::visit_value(self.head, self.rest, self.leaf, &mut test)
    }

    /// Does any array at the path's end satisfy the test?
    fn any_array(
        self,
        mut test: impl FnMut(RawArray<'a>) -> Result<bool, DecodeError>,
    ) -> Result<bool, DecodeError> {
        walk::visit_value(self.head, self.rest, LeafArray::Whole, &mut |value| match value {
            Some(RawValue::Array(array)) => test(array),
            _ => Ok(false),
        })
    }
}

fn every(conditions: &[Condition], found: Found<'_, '_>) -> Result<bool, DecodeError> {
    for condition in conditions {
        if !holds(condition, found)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn holds(condition: &Condition, found: Found<'_, '_>) -> Result<bool, DecodeError> {
    match condition {
        Condition::Eq(operand) => found.any(|value| equals(value, operand)),
        Condition::Ne(operand) => Ok(!found.any(|value| equals(value, operand))?),
        Condition::Order(test, operand) => found.any(|value| in_order(value, *test, operand)),
        Condition::In(set) => found.any(|value| set.contains(value)),
        Condition::Nin(set) => Ok(!found.any(|value| set.contains(value))?),
        Condition::Exists(wanted) => Ok(found.any(|value| Ok(value.is_some()))? == *wanted),
        Condition::Type(types) => found.any(|value| Ok(types.contains(value))),
        Condition::Size(size) => found.any_array(|array| has_len(array, *size)),
        Condition::All(members) => Ok(!members.is_empty() && every(members, found)?),
        Condition::ElemMatch(test) => found.any_array(|array| any_element(array, test)),
        Condition::Mod(remainder) => found.any(|value| Ok(remainder.holds(value))),
        Condition::Bits(bits) => found.any(|value| Ok(bits.holds(value))),
        Condition::Regex(pattern) => found.any(|value| Ok(pattern.matches(value))),
        Condition::Not(conditions) => Ok(!every(conditions, found)?),
    }
}

fn equals(value: Option<RawValue<'_>>, operand: &Operand) -> Result<bool, DecodeError> {
    let value = value.unwrap_or(RawValue::Null);
    let operand = operand.raw()?;
    // Values of different brackets are never equal: most are told apart without being read.
    Ok(bracket(value) == bracket(operand) && value.compare(&operand)? == Ordering::Equal)
}

/// Compares within the operand's type only. A NaN has no order with a number, but equals itself.
fn in_order(
    value: Option<RawValue<'_>>,
    test: OrderTest,
    operand: &Operand,
) -> Result<bool, DecodeError> {
    let value = value.unwrap_or(RawValue::Null);
    let operand = operand.raw()?;
    if bracket(value) != bracket(operand) || is_nan(value) != is_nan(operand) {
        return Ok(false);
    }
    let order = value.compare(&operand)?;
    Ok(match test {
        OrderTest::Gt => order.is_gt(),
        OrderTest::Gte => order.is_ge(),
        OrderTest::Lt => order.is_lt(),
        OrderTest::Lte => order.is_le(),
    })
}

fn has_len(array: RawArray<'_>, wanted: u64) -> Result<bool, DecodeError> {
    Ok(u64::try_from(array.len()?) == Ok(wanted))
}

fn any_element(array: RawArray<'_>, test: &ElementTest) -> Result<bool, DecodeError> {
    for element in array.iter() {
        if element_holds(element?, test)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An element that is itself an array is one value here, not several, and its fields are indexes.
pub(super) fn element_holds(
    element: RawValue<'_>,
    test: &ElementTest,
) -> Result<bool, DecodeError> {
    match (test, element) {
        (ElementTest::Value(conditions), _) => {
            every(conditions, Found { head: Some(element), rest: &[], leaf: LeafArray::Whole })
        }
        (ElementTest::Fields(all), RawValue::Object(object)) => {
            conjunction(all, Container::Object(object))
        }
        (ElementTest::Fields(all), RawValue::Array(array)) => {
            conjunction(all, Container::Array(array))
        }
        _ => Ok(false),
    }
}

fn any<T>(
    items: &[T],
    mut test: impl FnMut(&T) -> Result<bool, DecodeError>,
) -> Result<bool, DecodeError> {
    for item in items {
        if test(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

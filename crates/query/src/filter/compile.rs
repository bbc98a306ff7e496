//! Operands, prepared for comparison with encoded values.

use std::cmp::Ordering;
use std::sync::Arc;

use anyenc::{DecodeError, RawValue, Value, ValueType};

use super::pattern::Pattern;
use crate::operand::Operand;

/// The members of an `$in`: values in ascending order and distinct, for binary search, and patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InSet {
    /// Shared, since a residual filter repeats them.
    members: Arc<Vec<Operand>>,
    patterns: Vec<Pattern>,
}

impl InSet {
    pub(super) fn new(mut members: Vec<Operand>, patterns: Vec<Pattern>) -> InSet {
        // In place: a million members must not be copied, and which of two equal ones stays is the
        // same to all who ask.
        members.sort_unstable_by(|a, b| a.value().cmp(b.value()));
        members.dedup();
        InSet { members: Arc::new(members), patterns }
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    pub(super) fn members(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.members.iter().map(Operand::value)
    }

    pub(super) fn operands(&self) -> &[Operand] {
        &self.members
    }

    /// Is there a member of this type, or of one that has the same place in the order?
    pub(super) fn has(&self, kind: ValueType) -> bool {
        let place = |member: &Operand| group_place(member.value().value_type());
        let wanted = group_place(kind);
        let below = self.members.partition_point(|member| place(member) < wanted);
        self.members.get(below).is_some_and(|member| place(member) == wanted)
    }

    /// The groups of types that its members are of, without looking at each.
    pub(super) fn groups(&self) -> impl Iterator<Item = ValueType> {
        GROUPS.iter().map(|(kind, _)| *kind).filter(|kind| self.has(*kind))
    }

    /// Is this value, or null in place of a missing one, a member or matched by one?
    pub(super) fn contains(&self, value: Option<RawValue<'_>>) -> Result<bool, DecodeError> {
        Ok(self.has_member(value)? || self.patterns.iter().any(|pattern| pattern.matches(value)))
    }

    fn has_member(&self, value: Option<RawValue<'_>>) -> Result<bool, DecodeError> {
        let value = value.unwrap_or(RawValue::Null);
        let mut members = self.members.as_slice();
        while let Some((below, [middle, above @ ..])) = members.split_at_checked(members.len() / 2)
        {
            members = match value.compare(&middle.raw()?)? {
                Ordering::Equal => return Ok(true),
                Ordering::Less => below,
                Ordering::Greater => above,
            };
        }
        Ok(false)
    }
}

/// Types as `$type` tells them apart; an integer is an int where it fits 32 bits, else a long.
///
/// One bit per type that a value can have. The names that MongoDB knows and no value here has
/// (`decimal`, `timestamp` and others) are accepted, since they match nothing there either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TypeSet {
    bits: u32,
}

/// A name of a type, its numbers, and the bit of a value of it.
struct TypeName {
    name: &'static str,
    number: Option<i64>,
    bits: u32,
}

const DOUBLE: u32 = 1 << 0;
const STRING: u32 = 1 << 1;
const OBJECT: u32 = 1 << 2;
const ARRAY: u32 = 1 << 3;
const BINARY: u32 = 1 << 4;
const OBJECT_ID: u32 = 1 << 5;
const BOOL: u32 = 1 << 6;
const DATE: u32 = 1 << 7;
const NULL: u32 = 1 << 8;
const REGEX: u32 = 1 << 9;
const INT: u32 = 1 << 10;
const LONG: u32 = 1 << 11;
const VECTOR: u32 = 1 << 12;
/// Types that no value here has, from this bit on.
const ABSENT_FROM: u32 = 13;

const fn named(name: &'static str, number: i64, bits: u32) -> TypeName {
    TypeName { name, number: Some(number), bits }
}

static TYPES: &[TypeName] = &[
    named("double", 1, DOUBLE),
    named("string", 2, STRING),
    named("object", 3, OBJECT),
    named("array", 4, ARRAY),
    named("binData", 5, BINARY),
    named("undefined", 6, 1 << ABSENT_FROM),
    named("objectId", 7, OBJECT_ID),
    named("bool", 8, BOOL),
    named("date", 9, DATE),
    named("null", 10, NULL),
    named("regex", 11, REGEX),
    named("dbPointer", 12, 1 << (ABSENT_FROM + 1)),
    named("javascript", 13, 1 << (ABSENT_FROM + 2)),
    named("symbol", 14, 1 << (ABSENT_FROM + 3)),
    named("javascriptWithScope", 15, 1 << (ABSENT_FROM + 4)),
    named("int", 16, INT),
    named("timestamp", 17, 1 << (ABSENT_FROM + 5)),
    named("long", 18, LONG),
    named("decimal", 19, 1 << (ABSENT_FROM + 6)),
    named("minKey", -1, 1 << (ABSENT_FROM + 7)),
    named("maxKey", 127, 1 << (ABSENT_FROM + 8)),
    TypeName { name: "vector", number: None, bits: VECTOR },
];

/// The one alias that means several types.
const NUMBER: TypeName = TypeName { name: "number", number: None, bits: DOUBLE | INT | LONG };

/// The types that stand apart, in the order of values, with the bits of the names of each.
static GROUPS: &[(ValueType, u32)] = &[
    (ValueType::Null, NULL),
    (ValueType::Int64, DOUBLE | INT | LONG),
    (ValueType::String, STRING),
    (ValueType::Object, OBJECT),
    (ValueType::Array, ARRAY),
    (ValueType::Binary, BINARY),
    (ValueType::Vector, VECTOR),
    (ValueType::ObjectId, OBJECT_ID),
    (ValueType::Bool, BOOL),
    (ValueType::DateTime, DATE),
    (ValueType::Regex, REGEX),
];

impl TypeSet {
    /// Adds the type of this name or number; says whether there is one.
    pub(super) fn add(&mut self, name: &Value) -> bool {
        let number = match name {
            Value::Int64(number) => Some(*number),
            Value::Double(number) => integer_of(*number),
            _ => None,
        };
        let known = TYPES.iter().chain([&NUMBER]).find(|known| match name {
            Value::String(name) => known.name == name,
            _ => number.is_some() && known.number == number,
        });
        self.bits |= known.map_or(0, |known| known.bits);
        known.is_some()
    }

    /// The names of its types.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        TYPES.iter().filter(move |known| self.bits & known.bits != 0).map(|known| known.name)
    }

    /// The groups of types with an order of their own that its types are in, and whether all of each
    /// group is meant.
    pub(super) fn groups(self) -> impl Iterator<Item = (ValueType, bool)> {
        GROUPS
            .iter()
            .filter(move |(_, bits)| self.bits & bits != 0)
            .map(move |(kind, bits)| (*kind, self.bits & bits == *bits))
    }

    /// Are all of these among the types of another set?
    pub(super) fn is_within(self, other: TypeSet) -> bool {
        self.bits & !other.bits == 0
    }

    /// Is a value of one of these types? A missing one is not.
    pub(super) fn contains(self, value: Option<RawValue<'_>>) -> bool {
        let Some(value) = value else { return false };
        let bits = match value {
            RawValue::Null => NULL,
            RawValue::Bool(_) => BOOL,
            RawValue::Int64(number) if i32::try_from(number).is_ok() => INT,
            RawValue::Int64(_) => LONG,
            RawValue::Double(_) => DOUBLE,
            RawValue::String(_) => STRING,
            RawValue::Binary(_) => BINARY,
            RawValue::Array(_) => ARRAY,
            RawValue::Object(_) => OBJECT,
            RawValue::ObjectId(_) => OBJECT_ID,
            RawValue::DateTime(_) => DATE,
            RawValue::Regex(_) => REGEX,
            RawValue::Vector(_) => VECTOR,
        };
        self.bits & bits != 0
    }
}

/// `$mod`: the remainder of an integer division, the sign following the dividend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remainder {
    /// Never zero.
    pub(super) divisor: i64,
    pub(super) remainder: i64,
}

impl Remainder {
    pub(super) fn holds(self, value: Option<RawValue<'_>>) -> bool {
        let dividend = match value {
            Some(RawValue::Int64(number)) => Some(number),
            Some(RawValue::Double(number)) => truncated(number),
            _ => None,
        };
        // Wrapping: the one overflow, i64::MIN by -1, has the remainder 0 that it gives.
        dividend.is_some_and(|number| number.wrapping_rem(self.divisor) == self.remainder)
    }
}

/// What `$bitsAllSet` and its kin demand of the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BitRule {
    AllSet,
    AnySet,
    AllClear,
    AnyClear,
}

/// A test of single bits of integers and binaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BitTest {
    pub(super) rule: BitRule,
    /// Ascending and distinct.
    pub(super) positions: Vec<u32>,
}

impl BitTest {
    pub(super) fn holds(&self, value: Option<RawValue<'_>>) -> bool {
        match value {
            Some(RawValue::Int64(number)) => self.holds_for(|bit| bit_of_integer(number, bit)),
            Some(RawValue::Double(number)) => {
                integer_of(number).is_some_and(|n| self.holds_for(|bit| bit_of_integer(n, bit)))
            }
            Some(RawValue::Binary(binary)) => self.holds_for(|bit| bit_of_bytes(binary.bytes, bit)),
            _ => false,
        }
    }

    fn holds_for(&self, is_set: impl Fn(u32) -> bool) -> bool {
        let mut positions = self.positions.iter().copied();
        match self.rule {
            BitRule::AllSet => positions.all(is_set),
            BitRule::AnySet => positions.any(is_set),
            BitRule::AllClear => !positions.any(is_set),
            BitRule::AnyClear => !positions.all(is_set),
        }
    }
}

/// An integer has infinitely many bits: beyond the last one they repeat its sign.
fn bit_of_integer(number: i64, position: u32) -> bool {
    number >> position.min(63) & 1 == 1
}

/// The lowest bit of the first byte is bit 0; beyond the last byte all bits are clear.
pub(super) fn bit_of_bytes(bytes: &[u8], position: u32) -> bool {
    bytes.get((position / 8) as usize).is_some_and(|byte| byte >> (position % 8) & 1 == 1)
}

/// A double that is an integer of 64 bits, as that integer.
pub(super) fn integer_of(number: f64) -> Option<i64> {
    truncated(number).filter(|_| number.fract() == 0.0)
}

/// A double without its fraction, if that fits 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked, the fraction unwanted")]
pub(crate) fn truncated(number: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    (-END..END).contains(&number).then_some(number as i64)
}

/// The group within which values have an order that operators see.
pub(super) fn bracket(value: RawValue<'_>) -> ValueType {
    type_group(value.value_type())
}

/// The type that stands for all types of a group: numbers are one.
pub(super) fn type_group(kind: ValueType) -> ValueType {
    match kind {
        ValueType::Double => ValueType::Int64,
        other => other,
    }
}

/// The place of a type's group among the groups.
fn group_place(kind: ValueType) -> Option<usize> {
    GROUPS.iter().position(|(group, _)| *group == type_group(kind))
}

/// Is the value of a request a NaN?
pub(super) fn is_nan_value(value: &Value) -> bool {
    matches!(value, Value::Double(number) if number.is_nan())
}

/// Is the value a NaN?
pub(super) fn is_nan(value: RawValue<'_>) -> bool {
    matches!(value, RawValue::Double(number) if number.is_nan())
}

//! The key encoding: values as bytes whose `memcmp` order is the order of the values.
//!
//! ```text
//! component = tag, body
//!   null                  no body
//!   number                the double at or below as 64 ordered bits, 10 bits of residual; 7 to a byte
//!   string                bytes with 00 as 00 FF, then 00 00
//!   object                for each field: the value's tag, the key as a string, the value's body; 00
//!   array                 components; 00
//!   binary                u32 big-endian length, subtype, bytes
//!   vector                u32 big-endian count, each component as 32 ordered bits, big-endian
//!   objectId              12 bytes
//!   bool                  00 or 01
//!   dateTime              8 bytes big-endian, sign bit flipped
//!   regex                 pattern as a string, flags as a string
//! ```
//!
//! Invariants, tested over all pairs of types:
//!  1. `a < b` as values if and only if the key of `a` is below the key of `b` as bytes; equal
//!     values, `1` and `1.0` say, have equal keys.
//!  2. No key is a prefix of another, so components concatenate to compound keys.
//!  3. Descending is every byte inverted: the order is the reverse.
//!  4. The tags leave `00` to end containers and `FF` to stand behind everything ([`cut`]).
//!
//! A number decodes to an integer where it is one: `1.0` comes back as `1`, `-0.0` as `0`
//! ([`is_lossless`] tells).

mod decode;
mod number;

use std::ops::Range;

use crate::document::Document;
use crate::error::DecodeError;
use crate::number::Number;
use crate::raw::{RawArray, RawDocument, RawValue, check_depth};
use crate::value::{Value, ValueType};

pub use decode::{decode_key, key_len};

/// The order of a component of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Lower values first.
    #[default]
    Ascending,
    /// Higher values first.
    Descending,
}

impl Direction {
    /// What every byte of an ascending component is combined with.
    fn mask(self) -> u8 {
        match self {
            Direction::Ascending => 0x00,
            Direction::Descending => 0xFF,
        }
    }
}

mod tag {
    //! One for each place in the order, with gaps for types to come.

    pub(super) const END: u8 = 0x00;
    pub(super) const EMPTY_ARRAY: u8 = 0x08;
    pub(super) const NULL: u8 = 0x10;
    pub(super) const NUMBER: u8 = 0x20;
    pub(super) const STRING: u8 = 0x30;
    pub(super) const OBJECT: u8 = 0x40;
    pub(super) const ARRAY: u8 = 0x50;
    pub(super) const BINARY: u8 = 0x60;
    pub(super) const VECTOR: u8 = 0x68;
    pub(super) const OBJECT_ID: u8 = 0x70;
    pub(super) const BOOL: u8 = 0x80;
    pub(super) const DATE_TIME: u8 = 0x90;
    pub(super) const REGEX: u8 = 0xA0;
    /// Above every first byte of a component in either direction.
    pub(super) const BEHIND: u8 = 0xFF;

    use crate::value::ValueType;

    pub(super) const fn of(value_type: ValueType) -> u8 {
        match value_type {
            ValueType::Null => NULL,
            ValueType::Int64 | ValueType::Double => NUMBER,
            ValueType::String => STRING,
            ValueType::Object => OBJECT,
            ValueType::Array => ARRAY,
            ValueType::Binary => BINARY,
            ValueType::Vector => VECTOR,
            ValueType::ObjectId => OBJECT_ID,
            ValueType::Bool => BOOL,
            ValueType::DateTime => DATE_TIME,
            ValueType::Regex => REGEX,
        }
    }
}

/// Appends a value as one component of a key. An empty array is encoded as an array; where it is the
/// whole of a sort or index key, [`encode_empty_array_key`] is meant.
///
/// ```
/// use anyenc::key::{Direction, encode_key};
/// use anyenc::RawValue;
/// let key = |value| {
///     let mut key = Vec::new();
///     encode_key(value, Direction::Ascending, &mut key).map(|()| key)
/// };
/// assert!(key(RawValue::Int64(9))? < key(RawValue::Double(9.5))?);
/// assert!(key(RawValue::Double(9.5))? < key(RawValue::String("1"))?);
/// # Ok::<(), anyenc::DecodeError>(())
/// ```
///
/// # Errors
/// [`DecodeError`] if the value is damaged; `out` is then as it was.
pub fn encode_key(
    value: RawValue<'_>,
    direction: Direction,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let start = out.len();
    out.push(tag::of(value.value_type()));
    let written = put_body(value, 0, out);
    match written {
        Ok(()) => invert_from(out, start, direction),
        Err(_) => out.truncate(start),
    }
    written
}

/// As [`encode_key`], for an owned value, which cannot be damaged.
pub fn encode_key_value(value: &Value, direction: Direction, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(tag::of(value.value_type()));
    put_value_body(value, out);
    invert_from(out, start, direction);
}

/// Appends the component of an array that is the whole of a sort or index key and empty: it stands
/// below null.
pub fn encode_empty_array_key(direction: Direction, out: &mut Vec<u8>) {
    out.push(tag::EMPTY_ARRAY ^ direction.mask());
}

/// Whether the value decodes from its key to itself, kind and all: `1.0` would come back as `1`.
///
/// # Errors
/// [`DecodeError`] if the value is damaged.
pub fn is_lossless(value: RawValue<'_>) -> Result<bool, DecodeError> {
    let (mut key, mut stored, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
    encode_key(value, Direction::Ascending, &mut key)?;
    value.encode_into(&mut stored);
    let (back, _) = decode_key(&key, Direction::Ascending)?;
    Ok(back.encode_into(&mut decoded).is_ok() && decoded == stored)
}

fn invert_from(out: &mut [u8], start: usize, direction: Direction) {
    if direction == Direction::Descending {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

/// A place between keys, for the ends of ranges.
#[derive(Clone, Copy, Debug)]
pub enum Cut<'a> {
    /// Below every value.
    First,
    /// Just below all values of the type's place in the order (both kinds of numbers have one).
    BeforeType(ValueType),
    /// Just below this value and what equals it.
    Before(&'a Value),
    /// Just above this value and what equals it.
    After(&'a Value),
    /// Just above all strings that begin with this text. [`Cut::Before`] the text as a string is just
    /// below them.
    AfterPrefix(&'a str),
    /// Just above all values of the type's place in the order.
    AfterType(ValueType),
    /// Above every value.
    Last,
}

/// The bytes of a cut in the component that follows `prefix`: keys whose component lies on the one
/// side of the cut are below these bytes, all others are at or above them, whatever components
/// follow. **All bounds of key ranges come from here.**
pub fn cut(prefix: &[u8], cut: Cut<'_>, direction: Direction) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    let ascending = direction == Direction::Ascending;
    match cut {
        Cut::First if ascending => {}
        Cut::Last if !ascending => {}
        Cut::First | Cut::Last => bytes.push(tag::BEHIND),
        // The gaps between tags leave room for a byte just behind one.
        Cut::BeforeType(kind) if ascending => bytes.push(tag::of(kind)),
        Cut::AfterType(kind) if ascending => bytes.push(tag::of(kind).saturating_add(1)),
        Cut::AfterType(kind) => bytes.push(!tag::of(kind)),
        Cut::BeforeType(kind) => bytes.push((!tag::of(kind)).saturating_add(1)),
        Cut::AfterPrefix(text) => {
            let start = bytes.len();
            bytes.push(tag::STRING);
            put_text(text, &mut bytes);
            // Without its end, the text is what the keys of all strings that go on begin with.
            bytes.truncate(bytes.len().saturating_sub(TEXT_END.len()));
            invert_from(&mut bytes, start, direction);
            if ascending {
                bytes.push(tag::BEHIND);
            }
        }
        Cut::Before(value) | Cut::After(value) => {
            encode_key_value(value, direction, &mut bytes);
            if matches!(cut, Cut::After(_)) == ascending {
                bytes.push(tag::BEHIND);
            }
        }
    }
    bytes
}

/// The keys whose component behind `prefix` lies between two cuts, `low` below `high` as values: from
/// the first bytes, inclusive, to the last, exclusive.
///
/// ```
/// use anyenc::key::{Cut, Direction, encode_key_value, key_range};
/// use anyenc::{Value, ValueType};
/// // Numbers above 5, descending, as the second component.
/// let five = Value::from(5);
/// let range = key_range(b"p", Cut::After(&five), Cut::AfterType(ValueType::Double), Direction::Descending);
/// let key = |value: Value| {
///     let mut key = b"p".to_vec();
///     encode_key_value(&value, Direction::Descending, &mut key);
///     key
/// };
/// assert!(range.contains(&key(5.5.into())));
/// assert!(!range.contains(&key(5.into())) && !range.contains(&key("6".into())));
/// ```
pub fn key_range(
    prefix: &[u8],
    low: Cut<'_>,
    high: Cut<'_>,
    direction: Direction,
) -> Range<Vec<u8>> {
    match direction {
        Direction::Ascending => cut(prefix, low, direction)..cut(prefix, high, direction),
        Direction::Descending => cut(prefix, high, direction)..cut(prefix, low, direction),
    }
}

/// All keys that begin with a component of this type's place in the order, as [`key_range`].
pub fn type_bracket(value_type: ValueType, direction: Direction) -> Range<Vec<u8>> {
    key_range(b"", Cut::BeforeType(value_type), Cut::AfterType(value_type), direction)
}

/// The body of a component that stands inside `depth` containers.
fn put_body(value: RawValue<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match value {
        RawValue::Array(array) => put_array(array, depth + 1, out),
        RawValue::Object(object) => put_object(object, depth + 1, out),
        scalar => {
            put_scalar(scalar, out);
            Ok(())
        }
    }
}

fn put_scalar(value: RawValue<'_>, out: &mut Vec<u8>) {
    match value {
        RawValue::Null | RawValue::Array(_) | RawValue::Object(_) => {}
        RawValue::Int64(int) => number::put(Number::Int64(int), out),
        RawValue::Double(double) => number::put(Number::Double(double), out),
        RawValue::String(text) => put_text(text, out),
        RawValue::Binary(binary) => put_binary(binary.subtype, binary.bytes, out),
        RawValue::ObjectId(id) => out.extend_from_slice(&id.bytes()),
        RawValue::Bool(bool) => out.push(u8::from(bool)),
        RawValue::DateTime(at) => put_ordered_i64(at.ms(), out),
        RawValue::Regex(regex) => {
            put_text(regex.pattern, out);
            put_text(regex.options, out);
        }
        RawValue::Vector(vector) => put_vector(vector.iter(), out),
    }
}

fn put_array(array: RawArray<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    check_depth(depth)?;
    for element in array.iter() {
        let element = element?;
        out.push(tag::of(element.value_type()));
        put_body(element, depth, out)?;
    }
    out.push(tag::END);
    Ok(())
}

fn put_object(object: RawDocument<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    check_depth(depth)?;
    for field in object.iter() {
        let (key, value) = field?;
        out.push(tag::of(value.value_type()));
        put_text(key, out);
        put_body(value, depth, out)?;
    }
    out.push(tag::END);
    Ok(())
}

fn put_value_body(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(array) => put_value_array(array, out),
        Value::Object(object) => put_value_object(object, out),
        Value::Vector(vector) => put_vector(vector.iter().copied(), out),
        scalar => {
            if let Some(scalar) = scalar.as_scalar() {
                put_scalar(scalar, out);
            }
        }
    }
}

fn put_value_array(array: &[Value], out: &mut Vec<u8>) {
    for element in array {
        out.push(tag::of(element.value_type()));
        put_value_body(element, out);
    }
    out.push(tag::END);
}

fn put_value_object(object: &Document, out: &mut Vec<u8>) {
    for (key, value) in object {
        out.push(tag::of(value.value_type()));
        put_text(key, out);
        put_value_body(value, out);
    }
    out.push(tag::END);
}

/// What stands behind the last byte of a text.
const TEXT_END: [u8; 2] = [0x00, 0x00];

/// `00` as `00 FF`, and `00 00` behind the last byte. A text that goes on is above one that ends: it
/// has a byte of at least `01`, or `00 FF`, where the other has `00 00`.
fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut pieces = text.as_bytes().split(|&byte| byte == 0);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&[0x00, 0xFF]);
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&TEXT_END);
}

fn put_binary(subtype: u8, bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.push(subtype);
    out.extend_from_slice(bytes);
}

/// Documents of 16 MiB hold nothing that a `u32` does not count.
fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_ordered_i64(int: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(int ^ i64::MIN).to_be_bytes());
}

fn put_vector(components: impl ExactSizeIterator<Item = f32>, out: &mut Vec<u8>) {
    put_count(components.len(), out);
    components.for_each(|float| out.extend_from_slice(&number::ordered_f32(float).to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cuts_around_a_prefix_hold_just_the_strings_that_begin_with_it() {
        let texts = ["", "\0", "\0\0", "a", "a\0", "a\0b", "aa", "a\u{10FFFF}", "b", "\u{10FFFF}"];
        for direction in [Direction::Ascending, Direction::Descending] {
            for prefix in texts {
                let first = Value::from(prefix);
                let range =
                    key_range(b"p", Cut::Before(&first), Cut::AfterPrefix(prefix), direction);
                for text in texts {
                    // What follows in a compound key makes no difference.
                    for after in [vec![], vec![Value::Null], vec![Value::from(vec![1])]] {
                        let mut key = b"p".to_vec();
                        encode_key_value(&Value::from(text), direction, &mut key);
                        after.iter().for_each(|value| encode_key_value(value, direction, &mut key));
                        let wanted = text.starts_with(prefix);
                        assert_eq!(
                            range.contains(&key),
                            wanted,
                            "{prefix:?} {text:?} {direction:?}"
                        );
                    }
                }
            }
        }
    }
}

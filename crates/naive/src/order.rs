//! The one order of values, by comparing them piece by piece.

use std::cmp::Ordering;

use anyenc::{Document, Value};

/// Which of two values comes first in the order of `docs/query.md`.
#[must_use]
pub fn compare(one: &Value, other: &Value) -> Ordering {
    class(one).cmp(&class(other)).then_with(|| match (one, other) {
        (Value::String(one), Value::String(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Object(one), Value::Object(other)) => compare_documents(one, other),
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one.iter().zip(other);
            first_difference(pairs.map(|(one, other)| compare(one, other)))
                .then(one.len().cmp(&other.len()))
        }
        (Value::Binary(one), Value::Binary(other)) => {
            let lengths = one.bytes.len().cmp(&other.bytes.len());
            lengths.then(one.subtype.cmp(&other.subtype)).then_with(|| one.bytes.cmp(&other.bytes))
        }
        (Value::Vector(one), Value::Vector(other)) => {
            let pairs = one.iter().zip(other.iter());
            let components = pairs.map(|(one, other)| doubles(f64::from(*one), f64::from(*other)));
            one.len().cmp(&other.len()).then_with(|| first_difference(components))
        }
        (Value::ObjectId(one), Value::ObjectId(other)) => one.bytes().cmp(&other.bytes()),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::DateTime(one), Value::DateTime(other)) => one.ms().cmp(&other.ms()),
        (Value::Regex(one), Value::Regex(other)) => {
            (&one.pattern, &one.options).cmp(&(&other.pattern, &other.options))
        }
        (Value::Int64(one), Value::Int64(other)) => one.cmp(other),
        (Value::Double(one), Value::Double(other)) => doubles(*one, *other),
        (Value::Int64(one), Value::Double(other)) => integer_and_double(*one, *other),
        (Value::Double(one), Value::Int64(other)) => integer_and_double(*other, *one).reverse(),
        _ => Ordering::Equal,
    })
}

/// Are two values equal, so that a filter for the one finds the other?
#[must_use]
pub fn equal(one: &Value, other: &Value) -> bool {
    compare(one, other).is_eq()
}

/// Which of two documents comes first.
#[must_use]
pub fn compare_documents(one: &Document, other: &Document) -> Ordering {
    let fields = one.iter().zip(other.iter()).map(|((name, value), (other_name, other_value))| {
        let types = class(value).cmp(&class(other_value));
        types.then_with(|| name.cmp(other_name)).then_with(|| compare(value, other_value))
    });
    first_difference(fields).then(one.len().cmp(&other.len()))
}

/// Would two values be stored as the same bytes? An integer and an equal double would not.
#[must_use]
pub fn identical(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => identical_documents(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| identical(one, other))
        }
        (Value::Double(one), Value::Double(other)) => one.to_bits() == other.to_bits(),
        (Value::Vector(one), Value::Vector(other)) => {
            let bits = |float: &f32| float.to_bits();
            one.iter().map(bits).eq(other.iter().map(bits))
        }
        (Value::Int64(_), Value::Double(_)) | (Value::Double(_), Value::Int64(_)) => false,
        _ => equal(one, other),
    }
}

/// Would two documents be stored as the same bytes?
#[must_use]
pub fn identical_documents(one: &Document, other: &Document) -> bool {
    one.len() == other.len()
        && one.iter().zip(other.iter()).all(|((name, value), (other_name, other_value))| {
            name == other_name && identical(value, other_value)
        })
}

/// A value under the order of this module, for maps.
#[derive(Clone, Debug)]
pub struct Ordered(pub Value);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

/// The place of a value's type among the types.
fn class(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Int64(_) | Value::Double(_) => 1,
        Value::String(_) => 2,
        Value::Object(_) => 3,
        Value::Array(_) => 4,
        Value::Binary(_) => 5,
        Value::Vector(_) => 6,
        Value::ObjectId(_) => 7,
        Value::Bool(_) => 8,
        Value::DateTime(_) => 9,
        Value::Regex(_) => 10,
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// NaN is below all numbers and equal to itself.
fn doubles(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| other.is_nan().cmp(&one.is_nan()))
}

fn integer_and_double(integer: i64, double: f64) -> Ordering {
    const PAST_INTEGERS: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() || double < -PAST_INTEGERS {
        return Ordering::Greater;
    }
    if double >= PAST_INTEGERS {
        return Ordering::Less;
    }
    // Between these bounds the whole part of a double is an integer exactly.
    let whole = double.floor();
    integer.cmp(&(whole as i64)).then(if double > whole { Ordering::Less } else { Ordering::Equal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, Random};

    #[test]
    fn integers_and_doubles_stand_on_one_line() {
        let big = i64::MAX;
        let rising = [
            Value::Double(f64::NAN),
            Value::Double(f64::NEG_INFINITY),
            Value::Int64(i64::MIN),
            Value::Double(-1.5),
            Value::Int64(-1),
            Value::Double(-0.5),
            Value::Int64(0),
            Value::Double(0.5),
            Value::Int64(9_007_199_254_740_992),
            Value::Int64(9_007_199_254_740_993),
            Value::Int64(big),
            Value::Double(big as f64),
        ];
        for (place, one) in rising.iter().enumerate() {
            for (other_place, other) in rising.iter().enumerate() {
                assert_eq!(compare(one, other), place.cmp(&other_place), "{one} and {other}");
            }
        }
        assert!(equal(&Value::Double(-0.0), &Value::Int64(0)));
        assert!(!identical(&Value::Double(-0.0), &Value::Double(0.0)));
        assert!(!identical(&Value::Double(1.0), &Value::Int64(1)));
    }

    #[test]
    fn the_order_is_that_of_the_values_themselves() {
        let mut random = Random::new(7);
        for _ in 0..20_000 {
            let (one, other) = (random::value(&mut random, 2), random::value(&mut random, 2));
            assert_eq!(compare(&one, &other), one.cmp(&other), "{one} and {other}");
        }
    }
}

//! The one total order, on owned values and on encoded bytes.
//!
//! Across types: null, numbers, string, object, array, binary, vector, objectId, bool, dateTime,
//! regex. Within objects, field by field in stored order: the value's type first, then the key, then
//! the value, as in BSON; what is a prefix comes first. Binary and vectors: the length first. The
//! key encoding ([`crate::key`]) makes the same order `memcmp`.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::document::Document;
use crate::error::DecodeError;
use crate::number::{Number, cmp_f32};
use crate::raw::{RawArray, RawBinary, RawDocument, RawRegex, RawValue, RawVector, check_depth};
use crate::value::{Binary, Value, ValueType, Vector};

fn cmp_type(a: ValueType, b: ValueType) -> Ordering {
    a.order_class().cmp(&b.order_class())
}

fn cmp_binary(a: (u8, &[u8]), b: (u8, &[u8])) -> Ordering {
    let key = |(subtype, bytes): (u8, &'_ [u8])| (bytes.len(), subtype);
    key(a).cmp(&key(b)).then_with(|| a.1.cmp(b.1))
}

fn cmp_vector(
    a: impl ExactSizeIterator<Item = f32>,
    b: impl ExactSizeIterator<Item = f32>,
) -> Ordering {
    let by_component = |(a, b)| cmp_f32(a, b);
    a.len().cmp(&b.len()).then_with(|| {
        a.zip(b).map(by_component).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) => a.cmp(b),
            (Value::Object(a), Value::Object(b)) => a.cmp(b),
            (Value::ObjectId(a), Value::ObjectId(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
            (Value::Regex(a), Value::Regex(b)) => a.cmp(b),
            (Value::Vector(a), Value::Vector(b)) => {
                cmp_vector(a.iter().copied(), b.iter().copied())
            }
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => cmp_type(a.value_type(), b.value_type()),
            },
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value_type().order_class().hash(state);
        match self {
            Value::Null => {}
            Value::Bool(bool) => bool.hash(state),
            Value::Int64(int) => Number::Int64(*int).hash(state),
            Value::Double(double) => Number::Double(*double).hash(state),
            Value::String(text) => text.hash(state),
            Value::Binary(binary) => binary.hash(state),
            Value::Array(array) => array.hash(state),
            Value::Object(object) => object.hash(state),
            Value::ObjectId(id) => id.hash(state),
            Value::DateTime(at) => at.hash(state),
            Value::Regex(regex) => regex.hash(state),
            Value::Vector(vector) => {
                vector.iter().for_each(|float| Number::Double(f64::from(*float)).hash(state));
            }
        }
    }
}

impl Ord for Document {
    fn cmp(&self, other: &Self) -> Ordering {
        for ((key_a, a), (key_b, b)) in self.iter().zip(other.iter()) {
            let order = cmp_type(a.value_type(), b.value_type())
                .then_with(|| key_a.cmp(key_b))
                .then_with(|| a.cmp(b));
            if order.is_ne() {
                return order;
            }
        }
        self.len().cmp(&other.len())
    }
}

impl PartialOrd for Document {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Document {}

impl Hash for Document {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter().for_each(|field| field.hash(state));
    }
}

impl Ord for Binary {
    fn cmp(&self, other: &Self) -> Ordering {
        cmp_binary((self.subtype, &self.bytes), (other.subtype, &other.bytes))
    }
}

impl PartialOrd for Binary {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Vector {
    /// The order of two vectors: the shorter first, then by component.
    pub fn compare(&self, other: &Vector) -> Ordering {
        cmp_vector(self.0.iter().copied(), other.0.iter().copied())
    }
}

impl RawValue<'_> {
    /// Compares two encoded values in the one total order, without decoding them.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met before the order is known.
    pub fn compare(&self, other: &RawValue<'_>) -> Result<Ordering, DecodeError> {
        compare_at(self, other, 0)
    }
}

/// Compares values that stand inside `depth` containers.
fn compare_at(a: &RawValue<'_>, b: &RawValue<'_>, depth: usize) -> Result<Ordering, DecodeError> {
    match (a, b) {
        (RawValue::Array(a), RawValue::Array(b)) => compare_arrays(*a, *b, depth + 1),
        (RawValue::Object(a), RawValue::Object(b)) => compare_objects(*a, *b, depth + 1),
        (a, b) => Ok(compare_scalars(a, b)),
    }
}

fn compare_scalars(a: &RawValue<'_>, b: &RawValue<'_>) -> Ordering {
    match (a, b) {
        (RawValue::String(a), RawValue::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (RawValue::Binary(a), RawValue::Binary(b)) => a.cmp(b),
        (RawValue::ObjectId(a), RawValue::ObjectId(b)) => a.cmp(b),
        (RawValue::Bool(a), RawValue::Bool(b)) => a.cmp(b),
        (RawValue::DateTime(a), RawValue::DateTime(b)) => a.cmp(b),
        (RawValue::Regex(a), RawValue::Regex(b)) => a.cmp(b),
        (RawValue::Vector(a), RawValue::Vector(b)) => a.cmp(b),
        (a, b) => match (a.as_number(), b.as_number()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => cmp_type(a.value_type(), b.value_type()),
        },
    }
}

fn compare_arrays(a: RawArray<'_>, b: RawArray<'_>, depth: usize) -> Result<Ordering, DecodeError> {
    check_depth(depth)?;
    let (mut rest_a, mut rest_b) = (a.iter(), b.iter());
    loop {
        let (a, b) = match (rest_a.next().transpose()?, rest_b.next().transpose()?) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return Ok(a.is_some().cmp(&b.is_some())),
        };
        let order = compare_at(&a, &b, depth)?;
        if order.is_ne() {
            return Ok(order);
        }
    }
}

fn compare_objects(
    a: RawDocument<'_>,
    b: RawDocument<'_>,
    depth: usize,
) -> Result<Ordering, DecodeError> {
    check_depth(depth)?;
    let (mut rest_a, mut rest_b) = (a.iter(), b.iter());
    loop {
        let ((key_a, a), (key_b, b)) =
            match (rest_a.next().transpose()?, rest_b.next().transpose()?) {
                (Some(a), Some(b)) => (a, b),
                (a, b) => return Ok(a.is_some().cmp(&b.is_some())),
            };
        let by_name = cmp_type(a.value_type(), b.value_type()).then_with(|| key_a.cmp(key_b));
        let order = if by_name.is_ne() { by_name } else { compare_at(&a, &b, depth)? };
        if order.is_ne() {
            return Ok(order);
        }
    }
}

macro_rules! raw_order {
    ($type:ident, |$a:ident, $b:ident| $order:expr) => {
        impl Ord for $type<'_> {
            fn cmp(&self, other: &Self) -> Ordering {
                let ($a, $b) = (self, other);
                $order
            }
        }

        impl PartialOrd for $type<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

raw_order!(RawBinary, |a, b| cmp_binary((a.subtype, a.bytes), (b.subtype, b.bytes)));
raw_order!(RawRegex, |a, b| (a.pattern, a.options).cmp(&(b.pattern, b.options)));

impl RawVector<'_> {
    fn cmp(&self, other: &RawVector<'_>) -> Ordering {
        cmp_vector(self.iter(), other.iter())
    }
}

//! The owned tree of values.

use crate::datetime::DateTime;
use crate::document::Document;
use crate::number::Number;
use crate::object_id::ObjectId;
use crate::raw::{RawBinary, RawRegex, RawValue};

/// Any value.
///
/// `==`, `<` and `Hash` follow the one total order of values: `Int64(1) == Double(1.0)`, NaN equals
/// NaN, `-0.0` equals `0`, and the order of an object's fields counts.
///
/// ```
/// use anyenc::Value;
/// assert_eq!(Value::from(1), Value::from(1.0));
/// assert!(Value::from("1") > Value::from(1));
/// assert!(Value::Null < Value::from(f64::NAN));
/// ```
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// The null value.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int64(i64),
    /// A 64-bit floating point number.
    Double(f64),
    /// A string.
    String(String),
    /// Binary data with a subtype.
    Binary(Binary),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Document),
    /// An object id.
    ObjectId(ObjectId),
    /// A moment in UTC.
    DateTime(DateTime),
    /// A regular expression.
    Regex(Regex),
    /// A vector of 32-bit floating point numbers.
    Vector(Vec<f32>),
}

impl Value {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::Null => ValueType::Null,
            Value::Bool(_) => ValueType::Bool,
            Value::Int64(_) => ValueType::Int64,
            Value::Double(_) => ValueType::Double,
            Value::String(_) => ValueType::String,
            Value::Binary(_) => ValueType::Binary,
            Value::Array(_) => ValueType::Array,
            Value::Object(_) => ValueType::Object,
            Value::ObjectId(_) => ValueType::ObjectId,
            Value::DateTime(_) => ValueType::DateTime,
            Value::Regex(_) => ValueType::Regex,
            Value::Vector(_) => ValueType::Vector,
        }
    }

    /// The value as a view, if nothing of it must be encoded for that: all but arrays, objects and
    /// vectors.
    pub(crate) fn as_scalar(&self) -> Option<RawValue<'_>> {
        Some(match self {
            Value::Null => RawValue::Null,
            Value::Bool(bool) => RawValue::Bool(*bool),
            Value::Int64(int) => RawValue::Int64(*int),
            Value::Double(double) => RawValue::Double(*double),
            Value::String(text) => RawValue::String(text),
            Value::Binary(Binary { subtype, bytes }) => {
                RawValue::Binary(RawBinary { subtype: *subtype, bytes })
            }
            Value::ObjectId(id) => RawValue::ObjectId(*id),
            Value::DateTime(at) => RawValue::DateTime(*at),
            Value::Regex(Regex { pattern, options }) => {
                RawValue::Regex(RawRegex { pattern, options })
            }
            Value::Array(_) | Value::Object(_) | Value::Vector(_) => return None,
        })
    }

    /// Whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The boolean, if the value is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(bool) = self { Some(*bool) } else { None }
    }

    /// The number, if the value is one.
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Value::Int64(int) => Some(Number::Int64(*int)),
            Value::Double(double) => Some(Number::Double(*double)),
            _ => None,
        }
    }

    /// The integer that the value equals, if it is a number that equals one.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// The double nearest to the value, if it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// The text, if the value is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The elements, if the value is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(array) = self { Some(array) } else { None }
    }

    /// The object, if the value is one.
    pub fn as_document(&self) -> Option<&Document> {
        if let Value::Object(document) = self { Some(document) } else { None }
    }

    /// The object id, if the value is one.
    pub fn as_object_id(&self) -> Option<ObjectId> {
        if let Value::ObjectId(id) = self { Some(*id) } else { None }
    }

    /// The moment, if the value is one.
    pub fn as_datetime(&self) -> Option<DateTime> {
        if let Value::DateTime(at) = self { Some(*at) } else { None }
    }
}

/// Binary data: bytes and a number that says what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binary {
    /// What the bytes are: 0 is anything, 4 a UUID.
    pub subtype: u8,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl From<RawBinary<'_>> for Binary {
    fn from(raw: RawBinary<'_>) -> Self {
        Binary { subtype: raw.subtype, bytes: raw.bytes.to_vec() }
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Binary { subtype: 0, bytes }
    }
}

/// A regular expression as a value: two texts, kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Regex {
    /// The pattern.
    pub pattern: String,
    /// The flags, one letter each.
    pub options: String,
}

impl From<RawRegex<'_>> for Regex {
    fn from(raw: RawRegex<'_>) -> Self {
        Regex { pattern: raw.pattern.to_owned(), options: raw.options.to_owned() }
    }
}

/// A vector of `f32` as a field of a type: stored as a vector, where a plain `Vec<f32>` is stored
/// as an array of doubles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vector(pub Vec<f32>);

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// The null value.
    Null,
    /// A 64-bit integer.
    Int64,
    /// A 64-bit floating point number.
    Double,
    /// A string.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
    /// Binary data.
    Binary,
    /// A vector of 32-bit floating point numbers.
    Vector,
    /// An object id.
    ObjectId,
    /// A boolean.
    Bool,
    /// A moment in UTC.
    DateTime,
    /// A regular expression.
    Regex,
}

impl ValueType {
    /// All types in their order; the two kinds of numbers are one place in it.
    pub const ALL: [ValueType; 12] = [
        ValueType::Null,
        ValueType::Int64,
        ValueType::Double,
        ValueType::String,
        ValueType::Object,
        ValueType::Array,
        ValueType::Binary,
        ValueType::Vector,
        ValueType::ObjectId,
        ValueType::Bool,
        ValueType::DateTime,
        ValueType::Regex,
    ];

    /// The name for messages, as in `"dateTime"`.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::Null => "null",
            ValueType::Int64 => "int64",
            ValueType::Double => "double",
            ValueType::String => "string",
            ValueType::Object => "object",
            ValueType::Array => "array",
            ValueType::Binary => "binary",
            ValueType::Vector => "vector",
            ValueType::ObjectId => "objectId",
            ValueType::Bool => "bool",
            ValueType::DateTime => "dateTime",
            ValueType::Regex => "regex",
        }
    }

    /// Whether a value of this type compares with values of that type: both kinds of numbers do.
    pub const fn same_order_class(self, other: ValueType) -> bool {
        self.order_class() == other.order_class()
    }

    /// The place in the order across types.
    pub(crate) const fn order_class(self) -> u8 {
        match self {
            ValueType::Null => 0,
            ValueType::Int64 | ValueType::Double => 1,
            ValueType::String => 2,
            ValueType::Object => 3,
            ValueType::Array => 4,
            ValueType::Binary => 5,
            ValueType::Vector => 6,
            ValueType::ObjectId => 7,
            ValueType::Bool => 8,
            ValueType::DateTime => 9,
            ValueType::Regex => 10,
        }
    }
}

macro_rules! from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Value {
            fn from(int: $integer) -> Self {
                Value::Int64(i64::from(int))
            }
        }
    )*};
}

from_integer! { i8 i16 i32 i64 u8 u16 u32 }

macro_rules! from_type {
    ($($type:ty => $variant:ident)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Value::$variant(value)
            }
        }
    )*};
}

from_type! {
    bool => Bool
    f64 => Double
    String => String
    Binary => Binary
    Document => Object
    ObjectId => ObjectId
    DateTime => DateTime
    Regex => Regex
}

impl From<f32> for Value {
    fn from(float: f32) -> Self {
        Value::Double(f64::from(float))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::String(text.clone())
    }
}

impl From<Vector> for Value {
    fn from(vector: Vector) -> Self {
        Value::Vector(vector.0)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Int64(int) => Value::Int64(int),
            Number::Double(double) => Value::Double(double),
        }
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::Null
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value> + Clone> From<&[T]> for Value {
    fn from(elements: &[T]) -> Self {
        Value::Array(elements.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(elements: [T; N]) -> Self {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl From<&Document> for Value {
    fn from(document: &Document) -> Self {
        Value::Object(document.clone())
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

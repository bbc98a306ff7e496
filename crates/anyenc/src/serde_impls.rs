//! Our own types in other people's formats, and unharmed through our own.
//!
//! Numbers, strings, arrays and objects serialise as such. What serde has no word for goes through a
//! newtype struct of a name that only our serializer knows: it takes the encoded value as bytes. All
//! others see an extended JSON wrapper. A carrier tells them apart by asking both the serializer it
//! was given to and the one it finds itself in whether they are human-readable: only ours says yes
//! first and no then.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::buf::RawDocumentBuf;
use crate::datetime::DateTime;
use crate::document::Document;
use crate::error::DecodeError;
use crate::json::encode_any;
use crate::object_id::ObjectId;
use crate::raw::{RawArray, RawDocument, RawValue};
use crate::value::{Binary, Regex, Value, Vector};

/// The name of the newtype struct that carries an encoded value.
pub(crate) const TOKEN: &str = "$anyenc";

/// An extended JSON wrapper in serde's words.
pub(crate) enum Plain {
    Text(String),
    Components(Vec<Component>),
    Object(Vec<(&'static str, Plain)>),
}

/// A component of a vector: a number, or the wrapper of what JSON has no number for.
#[derive(Clone, Copy)]
pub(crate) struct Component(f32);

impl Plain {
    /// The wrapper of a value that is no container; of a plain one, its text.
    pub(crate) fn wrapper(value: RawValue<'_>) -> Plain {
        let one = |name, payload| Plain::Object(vec![(name, payload)]);
        match value {
            RawValue::ObjectId(id) => one("$oid", Plain::Text(id.to_string())),
            RawValue::DateTime(at) => match at.rfc3339(1970..=9999) {
                Some(text) => one("$date", Plain::Text(text.to_string())),
                None => one("$date", one("$numberLong", Plain::Text(at.ms().to_string()))),
            },
            RawValue::Binary(binary) => {
                let base64 = Plain::Text(STANDARD.encode(binary.bytes));
                let subtype = Plain::Text(format!("{:02x}", binary.subtype));
                one("$binary", Plain::Object(vec![("base64", base64), ("subType", subtype)]))
            }
            RawValue::Regex(regex) => {
                let pattern = Plain::Text(regex.pattern.to_owned());
                let options = Plain::Text(regex.options.to_owned());
                let parts = vec![("pattern", pattern), ("options", options)];
                one("$regularExpression", Plain::Object(parts))
            }
            RawValue::Vector(vector) => {
                one("$vector", Plain::Components(vector.iter().map(Component).collect()))
            }
            RawValue::Double(double) => {
                let name = crate::json::double_name(double).map(str::to_owned);
                one("$numberDouble", Plain::Text(name.unwrap_or_else(|| format!("{double:?}"))))
            }
            other => Plain::Text(other.to_string()),
        }
    }
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Plain::Text(text) => serializer.serialize_str(text),
            Plain::Components(components) => serializer.collect_seq(components),
            Plain::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let double = f64::from(self.0);
        if double.is_finite() {
            serializer.serialize_f64(double)
        } else {
            Plain::wrapper(RawValue::Double(double)).serialize(serializer)
        }
    }
}

impl<'de, E: de::Error> de::IntoDeserializer<'de, E> for Component {
    type Deserializer = de::value::F64Deserializer<E>;

    fn into_deserializer(self) -> Self::Deserializer {
        f64::from(self.0).into_deserializer()
    }
}

/// A value on its way through a newtype struct.
struct Carrier<'a>(RawValue<'a>);

impl Serialize for Carrier<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serialize_foreign(self.0, serializer);
        }
        match self.0 {
            RawValue::Object(object) => serializer.serialize_bytes(object.as_bytes()),
            RawValue::Array(array) => serializer.serialize_bytes(array.as_bytes()),
            scalar => {
                let mut bytes = Vec::new();
                scalar.encode_into(&mut bytes);
                serializer.serialize_bytes(&bytes)
            }
        }
    }
}

/// As bytes to our serializer, as what others understand to others.
fn serialize_carried<S: Serializer>(value: RawValue<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_newtype_struct(TOKEN, &Carrier(value))
    } else {
        serialize_foreign(value, serializer)
    }
}

fn serialize_foreign<S: Serializer>(value: RawValue<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        RawValue::Object(object) => {
            let mut map = serializer.serialize_map(None)?;
            for field in object.iter() {
                let (key, value) = field.map_err(serde::ser::Error::custom)?;
                map.serialize_entry(key, &value)?;
            }
            map.end()
        }
        RawValue::Array(array) => {
            let elements: Result<Vec<_>, DecodeError> = array.iter().collect();
            serializer.collect_seq(elements.map_err(serde::ser::Error::custom)?)
        }
        typed => Plain::wrapper(typed).serialize(serializer),
    }
}

impl Serialize for RawValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            RawValue::Null => serializer.serialize_unit(),
            RawValue::Bool(bool) => serializer.serialize_bool(bool),
            RawValue::Int64(int) => serializer.serialize_i64(int),
            RawValue::Double(double) if double.is_finite() => serializer.serialize_f64(double),
            RawValue::String(text) => serializer.serialize_str(text),
            typed => serialize_carried(typed, serializer),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Array(array) => serializer.collect_seq(array),
            Value::Object(object) => object.serialize(serializer),
            Value::Vector(vector) => serialize_vector(vector, serializer),
            scalar => match scalar.as_scalar() {
                Some(scalar) => scalar.serialize(serializer),
                None => serializer.serialize_unit(),
            },
        }
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

fn serialize_vector<S: Serializer>(components: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<[u8; 4]> = components.iter().map(|float| float.to_le_bytes()).collect();
    RawValue::Vector(crate::raw::RawVector::from_components(&bytes)).serialize(serializer)
}

macro_rules! serialize_as_raw {
    ($($type:ty: |$value:ident| $raw:expr;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                RawValue::serialize(&$raw, serializer)
            }
        }
    )*};
}

serialize_as_raw! {
    RawDocumentBuf: |buf| RawValue::Object(buf.as_raw());
    RawDocument<'_>: |document| RawValue::Object(*document);
    RawArray<'_>: |array| RawValue::Array(*array);
    ObjectId: |id| RawValue::ObjectId(*id);
    DateTime: |at| RawValue::DateTime(*at);
    Binary: |binary| RawValue::Binary(crate::raw::RawBinary {
        subtype: binary.subtype,
        bytes: &binary.bytes,
    });
    Regex: |regex| RawValue::Regex(crate::raw::RawRegex {
        pattern: &regex.pattern,
        options: &regex.options,
    });
}

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_vector(&self.0, serializer)
    }
}

/// A type that an encoded value can become.
trait FromRaw: Sized {
    const EXPECTED: &'static str;

    /// Nothing if the value is of another type.
    fn from_raw(value: RawValue<'_>) -> Result<Option<Self>, DecodeError>;
}

/// Takes an encoded value as bytes from our deserializer, anything from others.
struct Taker<T> {
    given_to_readable: bool,
    wanted: std::marker::PhantomData<T>,
}

impl<T: FromRaw> Taker<T> {
    fn take<E: de::Error>(bytes: &[u8]) -> Result<T, E> {
        let value = RawValue::from_bytes(bytes).map_err(E::custom)?;
        match T::from_raw(value).map_err(E::custom)? {
            Some(wanted) => Ok(wanted),
            None => Err(E::custom(format_args!(
                "invalid type: {}, expected {}",
                value.value_type().name(),
                T::EXPECTED
            ))),
        }
    }
}

impl<'de, T: FromRaw> Visitor<'de> for Taker<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        if self.given_to_readable && !deserializer.is_human_readable() {
            return deserializer.deserialize_bytes(self);
        }
        let mut bytes = Vec::new();
        encode_any(deserializer, &mut bytes)?;
        Taker::take(&bytes)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        Taker::take(bytes)
    }
}

macro_rules! deserialize_from_raw {
    ($($type:ty, $expected:literal: |$value:ident| $wanted:expr;)*) => {$(
        impl FromRaw for $type {
            const EXPECTED: &'static str = $expected;

            fn from_raw($value: RawValue<'_>) -> Result<Option<Self>, DecodeError> {
                Ok($wanted)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let given_to_readable = deserializer.is_human_readable();
                let taker = Taker { given_to_readable, wanted: std::marker::PhantomData };
                deserializer.deserialize_newtype_struct(TOKEN, taker)
            }
        }
    )*};
}

deserialize_from_raw! {
    Value, "any value": |value| Some(value.to_value()?);
    Document, "an object": |value| match value {
        RawValue::Object(object) => Some(object.to_document()?),
        _ => None,
    };
    RawDocumentBuf, "an object": |value| match value {
        RawValue::Object(object) => {
            object.validate()?;
            Some(object.to_owned())
        }
        _ => None,
    };
    ObjectId, "an object id": |value| match value {
        RawValue::ObjectId(id) => Some(id),
        _ => None,
    };
    DateTime, "a date": |value| match value {
        RawValue::DateTime(at) => Some(at),
        _ => None,
    };
    Binary, "binary data": |value| match value {
        RawValue::Binary(binary) => Some(Binary::from(binary)),
        _ => None,
    };
    Regex, "a regular expression": |value| match value {
        RawValue::Regex(regex) => Some(Regex::from(regex)),
        _ => None,
    };
    Vector, "a vector": |value| match value {
        RawValue::Vector(vector) => Some(Vector(vector.iter().collect())),
        _ => None,
    };
}

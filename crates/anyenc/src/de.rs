//! Encoded documents into any `Deserialize` type; strings and bytes are borrowed where the type
//! allows it, and what the type ignores is skipped.
//!
//! Types that ask for anything, `serde_json::Value` or an untagged enum say, see the types that serde
//! does not know as their extended JSON wrappers.

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess,
    IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::error::DeserializeError;
use crate::number::Number;
use crate::raw::{RawDocument, RawElements, RawFields, RawValue, check_depth};
use crate::serde_impls::{Plain, TOKEN};
use crate::value::Value;

/// Reads a value of any type from an encoded document. Strings and bytes can be borrowed from it.
///
/// ```
/// use anyenc::{RawDocumentBuf, doc, from_raw};
/// #[derive(serde::Deserialize)]
/// struct Name<'a> {
///     name: &'a str,
/// }
/// let stored = RawDocumentBuf::from_document(&doc! { "id": 1, "name": "Ann" })?;
/// assert_eq!(from_raw::<Name>(stored.as_raw())?.name, "Ann");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DeserializeError`] if the document does not fit the type, or is damaged where it is read.
pub fn from_raw<'de, T: Deserialize<'de>>(
    document: RawDocument<'de>,
) -> Result<T, DeserializeError> {
    from_raw_value(RawValue::Object(document))
}

/// As [`from_raw`], for any encoded value.
///
/// # Errors
/// As [`from_raw`].
pub fn from_raw_value<'de, T: Deserialize<'de>>(
    value: RawValue<'de>,
) -> Result<T, DeserializeError> {
    T::deserialize(ValueDeserializer { value, depth: 0 })
}

/// Reads a value of any type from an owned tree.
///
/// # Errors
/// [`DeserializeError`] if the value does not fit the type, or cannot be encoded.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, DeserializeError> {
    let mut bytes = Vec::new();
    value.encode_into(&mut bytes).map_err(<DeserializeError as de::Error>::custom)?;
    from_raw_value(RawValue::from_bytes(&bytes)?)
}

/// A value inside `depth` containers.
struct ValueDeserializer<'de> {
    value: RawValue<'de>,
    depth: usize,
}

impl<'de> ValueDeserializer<'de> {
    /// A double that is an integer as one: what was counted up by a double still is a count.
    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.value.as_number().and_then(Number::as_i64) {
            Some(int) => visitor.visit_i64(int),
            None => self.deserialize_any(visitor),
        }
    }

    fn container<T>(
        self,
        read: impl FnOnce(usize) -> Result<T, DeserializeError>,
    ) -> Result<T, DeserializeError> {
        let depth = self.depth + 1;
        check_depth(depth)?;
        read(depth)
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
            self.integer(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.value {
            RawValue::Null => visitor.visit_unit(),
            RawValue::Bool(bool) => visitor.visit_bool(bool),
            RawValue::Int64(int) => visitor.visit_i64(int),
            RawValue::Double(double) => visitor.visit_f64(double),
            RawValue::String(text) => visitor.visit_borrowed_str(text),
            RawValue::Array(array) => self.container(|depth| {
                visitor.visit_seq(Elements { rest: array.iter(), index: 0, depth })
            }),
            RawValue::Object(object) => self.container(|depth| {
                visitor.visit_map(Fields { rest: object.iter(), value: None, depth })
            }),
            typed => Plain::wrapper(typed).deserialize_any(visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.value {
            RawValue::Binary(binary) => visitor.visit_borrowed_bytes(binary.bytes),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.value {
            RawValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        if name == TOKEN {
            return visitor.visit_newtype_struct(EncodedDeserializer(self.value));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.value {
            RawValue::Binary(binary) => {
                visitor.visit_seq(SeqDeserializer::new(binary.bytes.iter().copied()))
            }
            RawValue::Vector(vector) => visitor.visit_seq(SeqDeserializer::new(vector.iter())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        match self.value {
            RawValue::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            RawValue::Object(object) => self.container(|depth| {
                let mut fields = object.iter();
                match (fields.next().transpose()?, fields.next()) {
                    (Some((variant, value)), None) => {
                        visitor.visit_enum(Variant { variant, value, depth })
                    }
                    _ => Err(de::Error::custom("an enum is an object of one field, its variant")),
                }
            }),
            _ => self.deserialize_any(visitor),
        }
    }

    /// Nothing is looked at: the value was skipped when its place was found.
    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string unit unit_struct map struct identifier
    }
}

struct Elements<'de> {
    rest: RawElements<'de>,
    index: usize,
    depth: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = DeserializeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeserializeError> {
        let Some(value) = self.rest.next().transpose()? else { return Ok(None) };
        let element = seed.deserialize(ValueDeserializer { value, depth: self.depth });
        let element = element.map_err(|error| error.within(self.index))?;
        self.index = self.index.saturating_add(1);
        Ok(Some(element))
    }
}

struct Fields<'de> {
    rest: RawFields<'de>,
    /// The field whose key was handed out.
    value: Option<(&'de str, RawValue<'de>)>,
    depth: usize,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = DeserializeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeserializeError> {
        self.value = self.rest.next().transpose()?;
        match self.value {
            Some((key, _)) => seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, DeserializeError> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let value = seed.deserialize(ValueDeserializer { value, depth: self.depth });
        value.map_err(|error| error.within(key))
    }
}

struct Variant<'de> {
    variant: &'de str,
    value: RawValue<'de>,
    depth: usize,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = DeserializeError;
    type Variant = ValueDeserializer<'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, ValueDeserializer<'de>), DeserializeError> {
        let variant = BorrowedStrDeserializer::<DeserializeError>::new(self.variant);
        let variant = seed.deserialize(variant)?;
        Ok((variant, ValueDeserializer { value: self.value, depth: self.depth }))
    }
}

impl<'de> VariantAccess<'de> for ValueDeserializer<'de> {
    type Error = DeserializeError;

    fn unit_variant(self) -> Result<(), DeserializeError> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DeserializeError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// Hands an encoded value over as bytes: how our own types pass through. It is the only deserializer
/// that calls itself unreadable inside one that does not, by which they know it.
struct EncodedDeserializer<'de>(RawValue<'de>);

impl<'de> Deserializer<'de> for EncodedDeserializer<'de> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.0 {
            RawValue::Object(object) => visitor.visit_borrowed_bytes(object.as_bytes()),
            RawValue::Array(array) => visitor.visit_borrowed_bytes(array.as_bytes()),
            scalar => {
                let mut bytes = Vec::new();
                scalar.encode_into(&mut bytes);
                visitor.visit_bytes(&bytes)
            }
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for Plain {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self {
            Plain::Text(text) => visitor.visit_string(text),
            Plain::Components(components) => {
                visitor.visit_seq(SeqDeserializer::new(components.into_iter()))
            }
            Plain::Object(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, DeserializeError> for Plain {
    type Deserializer = Plain;

    fn into_deserializer(self) -> Plain {
        self
    }
}

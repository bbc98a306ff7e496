//! Any `Serialize` type into the document encoding, straight through the writer.
//!
//! Structs and maps become objects, sequences and tuples arrays, `Option` the value or null, bytes
//! binary data, enums as serde tags them by default: a unit variant its name, any other an object of
//! one field. A map that begins with the name of an extended JSON wrapper becomes the value that it
//! stands for, so that a `serde_json::Value` that was read from a document can be stored again.

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};

use crate::buf::RawDocumentBuf;
use crate::ejson::{self, Refusal};
use crate::error::EncodeError;
use crate::limits::is_reserved;
use crate::number::{Number, SERDE_JSON_NUMBER, parse_json_number};
use crate::raw::RawValue;
use crate::serde_impls::TOKEN;
use crate::value::Value;
use crate::writer::{DocumentWriter, whole};

/// Encodes a value of any type that serialises as a map or a struct.
///
/// ```
/// use anyenc::{ObjectId, doc, from_raw, to_raw};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct User {
///     id: ObjectId,
///     age: u8,
///     tags: Vec<String>,
/// }
///
/// let ann = User { id: ObjectId::new(), age: 40, tags: vec!["a".into()] };
/// let stored = to_raw(&ann)?;
/// assert_eq!(stored.to_document()?, doc! { "id": ann.id, "age": 40, "tags": ["a"] });
/// assert_eq!(from_raw::<User>(stored.as_raw())?, ann);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EncodeError`], with the path of the field where there is one: an integer outside `i64`, a map
/// whose keys are not strings, a limit, a repeated key, an error of the type's own, or a value that
/// is no object.
pub fn to_raw<T: Serialize + ?Sized>(value: &T) -> Result<RawDocumentBuf, EncodeError> {
    let mut bytes = Vec::new();
    whole(&mut bytes, |writer| value.serialize(ValueSerializer { writer }))?;
    match RawValue::from_bytes(&bytes)? {
        RawValue::Object(_) => Ok(RawDocumentBuf::from_trusted(bytes)),
        other => Err(EncodeError::NotADocument(other.value_type().name())),
    }
}

/// Turns a value of any type into an owned tree.
///
/// # Errors
/// [`EncodeError`] as of [`to_raw`], but the value may be of any kind.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, EncodeError> {
    let mut bytes = Vec::new();
    whole(&mut bytes, |writer| value.serialize(ValueSerializer { writer }))?;
    Ok(RawValue::from_bytes(&bytes)?.to_value()?)
}

struct ValueSerializer<'w, 'b> {
    writer: &'w mut DocumentWriter<'b>,
}

/// An integer of any width, if `i64` holds it.
fn narrow<T: TryInto<i64> + ToString + Copy>(int: T) -> Result<i64, EncodeError> {
    let refused = |_| EncodeError::IntegerRange { path: String::new(), value: int.to_string() };
    int.try_into().map_err(refused)
}

impl<'w, 'b> Serializer for ValueSerializer<'w, 'b> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = ArraySerializer<'w, 'b>;
    type SerializeTuple = ArraySerializer<'w, 'b>;
    type SerializeTupleStruct = ArraySerializer<'w, 'b>;
    type SerializeTupleVariant = ArraySerializer<'w, 'b>;
    type SerializeMap = ObjectSerializer<'w, 'b>;
    type SerializeStruct = ObjectSerializer<'w, 'b>;
    type SerializeStructVariant = ObjectSerializer<'w, 'b>;

    fn serialize_bool(self, bool: bool) -> Result<(), EncodeError> {
        self.writer.bool(bool)
    }

    fn serialize_i8(self, int: i8) -> Result<(), EncodeError> {
        self.writer.int64(i64::from(int))
    }

    fn serialize_i16(self, int: i16) -> Result<(), EncodeError> {
        self.writer.int64(i64::from(int))
    }

    fn serialize_i32(self, int: i32) -> Result<(), EncodeError> {
        self.writer.int64(i64::from(int))
    }

    fn serialize_i64(self, int: i64) -> Result<(), EncodeError> {
        self.writer.int64(int)
    }

    fn serialize_i128(self, int: i128) -> Result<(), EncodeError> {
        self.writer.int64(narrow(int)?)
    }

    fn serialize_u8(self, int: u8) -> Result<(), EncodeError> {
        self.writer.int64(i64::from(int))
    }

    fn serialize_u16(self, int: u16) -> Result<(), EncodeError> {
        self.writer.int64(i64::from(int))
    }

    fn serialize_u32(self, int: u32) -> Result<(), EncodeError> {
        self.writer.int64(i64::from(int))
    }

    fn serialize_u64(self, int: u64) -> Result<(), EncodeError> {
        self.writer.int64(narrow(int)?)
    }

    fn serialize_u128(self, int: u128) -> Result<(), EncodeError> {
        self.writer.int64(narrow(int)?)
    }

    fn serialize_f32(self, float: f32) -> Result<(), EncodeError> {
        self.writer.double(f64::from(float))
    }

    fn serialize_f64(self, double: f64) -> Result<(), EncodeError> {
        self.writer.double(double)
    }

    fn serialize_char(self, character: char) -> Result<(), EncodeError> {
        self.writer.string(character.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), EncodeError> {
        self.writer.string(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.writer.binary(0, bytes)
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.writer.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        self.writer.null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.writer.null()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.writer.string(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if name == TOKEN {
            return value.serialize(EncodedSerializer { writer: self.writer });
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.writer.begin_object()?;
        self.writer.key(variant)?;
        let inner = ValueSerializer { writer: self.writer };
        value.serialize(inner).map_err(|error| error.within(variant))?;
        self.writer.end_object()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<ArraySerializer<'w, 'b>, EncodeError> {
        self.writer.begin_array()?;
        Ok(ArraySerializer { writer: self.writer, index: 0, variant: None })
    }

    fn serialize_tuple(self, len: usize) -> Result<ArraySerializer<'w, 'b>, EncodeError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<ArraySerializer<'w, 'b>, EncodeError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<ArraySerializer<'w, 'b>, EncodeError> {
        self.writer.begin_object()?;
        self.writer.key(variant)?;
        self.writer.begin_array()?;
        Ok(ArraySerializer { writer: self.writer, index: 0, variant: Some(variant) })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<ObjectSerializer<'w, 'b>, EncodeError> {
        Ok(ObjectSerializer {
            writer: self.writer,
            key: String::new(),
            state: ObjectState::NotBegun,
            variant: None,
        })
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<ObjectSerializer<'w, 'b>, EncodeError> {
        let mut object = self.serialize_map(Some(len))?;
        if name == SERDE_JSON_NUMBER {
            object.state = ObjectState::Number(Vec::new());
        }
        Ok(object)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ObjectSerializer<'w, 'b>, EncodeError> {
        self.writer.begin_object()?;
        self.writer.key(variant)?;
        let mut object = self.serialize_map(Some(len))?;
        object.variant = Some(variant);
        Ok(object)
    }
}

/// An array that is being written; of a tuple variant, with an object of one field around it.
struct ArraySerializer<'w, 'b> {
    writer: &'w mut DocumentWriter<'b>,
    index: usize,
    variant: Option<&'static str>,
}

impl ArraySerializer<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let written = value.serialize(ValueSerializer { writer: self.writer });
        written.map_err(|error| {
            let error = error.within(self.index);
            self.variant.iter().fold(error, EncodeError::within)
        })?;
        self.index = self.index.saturating_add(1);
        Ok(())
    }

    fn finish(self) -> Result<(), EncodeError> {
        self.writer.end_array()?;
        if self.variant.is_some() { self.writer.end_object() } else { Ok(()) }
    }
}

macro_rules! array_serializer {
    ($($trait:ident::$method:ident)*) => {$(
        impl ser::$trait for ArraySerializer<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.element(value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.finish()
            }
        }
    )*};
}

array_serializer! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

/// An object that is being written; of a struct variant, with an object of one field around it.
struct ObjectSerializer<'w, 'b> {
    writer: &'w mut DocumentWriter<'b>,
    /// The key that was written last.
    key: String,
    state: ObjectState,
    variant: Option<&'static str>,
}

/// The first key decides what it is.
enum ObjectState {
    NotBegun,
    Object,
    /// A wrapper of extended JSON, named by the key, and the encoded payload, once there is one.
    Wrapper(Vec<u8>),
    /// A number of serde_json's, as its encoded text.
    Number(Vec<u8>),
}

impl ObjectSerializer<'_, '_> {
    /// Makes room for the next key; there is none behind a wrapper.
    fn clear_key(&mut self) -> Result<(), EncodeError> {
        if matches!(self.state, ObjectState::Wrapper(_)) {
            return Err(ser::Error::custom("an extended JSON wrapper stands alone in its object"));
        }
        self.key.clear();
        Ok(())
    }

    /// Takes the key that was put into `self.key`.
    fn begin_field(&mut self) -> Result<(), EncodeError> {
        match &self.state {
            ObjectState::NotBegun if is_reserved(&self.key) => {
                self.state = ObjectState::Wrapper(Vec::new());
                return Ok(());
            }
            ObjectState::NotBegun => {
                self.writer.begin_object()?;
                self.state = ObjectState::Object;
            }
            ObjectState::Object => {}
            ObjectState::Number(_) | ObjectState::Wrapper(_) => return Ok(()),
        }
        self.writer.key(&self.key)
    }

    fn field_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let written = match &mut self.state {
            ObjectState::Wrapper(payload) | ObjectState::Number(payload) => {
                write_payload(&self.key, value, payload)
            }
            _ => value.serialize(ValueSerializer { writer: self.writer }),
        };
        written.map_err(|error| {
            let error = error.within(&self.key);
            self.variant.iter().fold(error, EncodeError::within)
        })
    }

    fn finish(self) -> Result<(), EncodeError> {
        match self.state {
            ObjectState::NotBegun => {
                self.writer.begin_object()?;
                self.writer.end_object()?;
            }
            ObjectState::Object => self.writer.end_object()?,
            ObjectState::Number(text) => match json_number(RawValue::from_bytes(&text)?)? {
                Number::Int64(int) => self.writer.int64(int)?,
                Number::Double(double) => self.writer.double(double)?,
            },
            ObjectState::Wrapper(payload) => {
                let payload = RawValue::from_bytes(&payload)?;
                ejson::write(&self.key, payload, self.writer).map_err(|refusal| match refusal {
                    Refusal::Encode(error) => error,
                    _ => ser::Error::custom(ejson::malformed(&self.key)),
                })?;
            }
        }
        if self.variant.is_some() { self.writer.end_object() } else { Ok(()) }
    }
}

/// Encodes the payload of a wrapper by itself.
fn write_payload<T: Serialize + ?Sized>(
    name: &str,
    value: &T,
    payload: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut writer = DocumentWriter::with_limits(payload, ejson::PAYLOAD_LIMITS);
    let written = value.serialize(ValueSerializer { writer: &mut writer });
    written.and_then(|()| writer.finish()).map_err(|error| match error {
        EncodeError::TooDeep { .. } => ser::Error::custom(ejson::malformed(name)),
        other => other,
    })
}

fn json_number(text: RawValue<'_>) -> Result<Number, EncodeError> {
    match text {
        RawValue::String(text) => parse_json_number(text),
        _ => None,
    }
    .ok_or_else(|| ser::Error::custom("number out of range"))
}

impl ser::SerializeMap for ObjectSerializer<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.clear_key()?;
        key.serialize(KeySerializer(&mut self.key))?;
        self.begin_field()
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.field_value(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

macro_rules! object_serializer {
    ($($trait:ident)*) => {$(
        impl ser::$trait for ObjectSerializer<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.clear_key()?;
                self.key.push_str(key);
                self.begin_field()?;
                self.field_value(value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.finish()
            }
        }
    )*};
}

object_serializer! { SerializeStruct SerializeStructVariant }

macro_rules! refuse {
    ($error:expr; $($method:ident: $type:ty)*) => {$(
        fn $method(self, _: $type) -> Result<(), EncodeError> {
            Err($error)
        }
    )*};
}

/// What only strings and bytes have in common with all other serializers: nothing is nested.
macro_rules! refuse_compounds {
    ($error:expr) => {
        type SerializeSeq = Impossible<(), EncodeError>;
        type SerializeTuple = Impossible<(), EncodeError>;
        type SerializeTupleStruct = Impossible<(), EncodeError>;
        type SerializeTupleVariant = Impossible<(), EncodeError>;
        type SerializeMap = Impossible<(), EncodeError>;
        type SerializeStruct = Impossible<(), EncodeError>;
        type SerializeStructVariant = Impossible<(), EncodeError>;

        refuse! { $error;
            serialize_bool: bool
            serialize_i8: i8
            serialize_i16: i16
            serialize_i32: i32
            serialize_i64: i64
            serialize_i128: i128
            serialize_u8: u8
            serialize_u16: u16
            serialize_u32: u32
            serialize_u64: u64
            serialize_u128: u128
            serialize_f32: f32
            serialize_f64: f64
            serialize_unit_struct: &'static str
        }

        fn serialize_none(self) -> Result<(), EncodeError> {
            Err($error)
        }

        fn serialize_unit(self) -> Result<(), EncodeError> {
            Err($error)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<(), EncodeError> {
            Err($error)
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, EncodeError> {
            Err($error)
        }

        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, EncodeError> {
            Err($error)
        }

        fn serialize_tuple_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleStruct, EncodeError> {
            Err($error)
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, EncodeError> {
            Err($error)
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, EncodeError> {
            Err($error)
        }

        fn serialize_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStruct, EncodeError> {
            Err($error)
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, EncodeError> {
            Err($error)
        }
    };
}

/// A key of a map: a string, or what serialises as one.
struct KeySerializer<'k>(&'k mut String);

impl Serializer for KeySerializer<'_> {
    type Ok = ();
    type Error = EncodeError;

    refuse_compounds!(EncodeError::KeyNotAString { path: String::new() });
    refuse! { EncodeError::KeyNotAString { path: String::new() }; serialize_bytes: &[u8] }

    fn serialize_str(self, text: &str) -> Result<(), EncodeError> {
        self.0.push_str(text);
        Ok(())
    }

    fn serialize_char(self, character: char) -> Result<(), EncodeError> {
        self.0.push(character);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.serialize_str(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }
}

/// Takes an encoded value as bytes: how our own types pass through. It is the only serializer that
/// calls itself unreadable inside one that does not, by which they know it.
struct EncodedSerializer<'w, 'b> {
    writer: &'w mut DocumentWriter<'b>,
}

impl Serializer for EncodedSerializer<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    refuse_compounds!(EncodeError::Misplaced("encoded values come as bytes"));
    refuse! { EncodeError::Misplaced("encoded values come as bytes");
        serialize_str: &str
        serialize_char: char
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.writer.write_raw(RawValue::from_bytes(bytes)?)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
    ) -> Result<(), EncodeError> {
        Err(EncodeError::Misplaced("encoded values come as bytes"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

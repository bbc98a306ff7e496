//! Views over encoded bytes: made in O(1), read lazily, every step fallible.
//!
//! A view holds a slice whose outer length was checked, and nothing else: what is inside is checked
//! when it is read. So a view over damaged bytes can be made, and says [`DecodeError`] where the
//! damage is met. Walks that go down count the containers and stop at the limit.

use std::fmt;
use std::ops::Range;

use crate::buf::RawDocumentBuf;
use crate::datetime::DateTime;
use crate::document::Document;
use crate::error::DecodeError;
use crate::layout::{self, HEADER_LEN, ObjectParts};
use crate::limits::MAX_DEPTH;
use crate::number::Number;
use crate::object_id::ObjectId;
use crate::path::{Path, Segment};
use crate::value::{Binary, Regex, Value, ValueType};

/// An encoded object, read in place.
///
/// ```
/// use anyenc::{RawDocumentBuf, RawValue, doc};
/// let stored = RawDocumentBuf::from_document(&doc! { "a": { "b": 1 }, "c": null })?;
/// let doc = stored.as_raw();
/// assert_eq!(doc.get("c")?, Some(RawValue::Null));
/// assert_eq!(doc.get("d")?, None);
/// for field in doc.iter() {
///     let (key, value) = field?;
///     println!("{key} is of type {}", value.value_type().name());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct RawDocument<'a> {
    /// Tag, length and body; as long as the length says.
    bytes: &'a [u8],
}

impl<'a> RawDocument<'a> {
    /// A view over exactly one encoded object. Checks the tag and the total length only.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes do not begin as an object or are not as long as they say.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<RawDocument<'a>, DecodeError> {
        match bytes.first() {
            Some(layout::OBJECT..=layout::OBJECT_32) => exactly_one(bytes)?,
            Some(_) => return Err(DecodeError::NotADocument),
            None => return Err(DecodeError::Truncated),
        }
        Ok(RawDocument { bytes })
    }

    /// As [`RawDocument::from_bytes`], where tag and length are known to be right.
    pub(crate) fn from_checked(bytes: &'a [u8]) -> RawDocument<'a> {
        RawDocument { bytes }
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn parts(self) -> Result<ObjectParts<'a>, DecodeError> {
        let tag = *self.bytes.first().ok_or(DecodeError::Truncated)?;
        ObjectParts::split(tag, body(self.bytes)?)
    }

    /// The value of a field: by binary search in a wide object, else by skipping from key to key.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way.
    pub fn get(&self, key: &str) -> Result<Option<RawValue<'a>>, DecodeError> {
        match self.find(key.as_bytes())? {
            Some(value) => RawValue::read(value).map(Some),
            None => Ok(None),
        }
    }

    /// As [`RawDocument::get`], with the place of the value: at which byte of this object it begins.
    /// Of two fields the one that comes first has the lesser place.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way.
    pub fn get_placed(&self, key: &str) -> Result<Option<(usize, RawValue<'a>)>, DecodeError> {
        let Some(value) = self.find(key.as_bytes())? else { return Ok(None) };
        // `value` is a piece of `bytes` but may end before them, so its address tells its place.
        let place = value.as_ptr().addr().saturating_sub(self.bytes.as_ptr().addr());
        Ok(Some((place, RawValue::read(value)?)))
    }

    /// The value of a field and whatever follows it.
    fn find(self, key: &[u8]) -> Result<Option<&'a [u8]>, DecodeError> {
        let ObjectParts { fields, table } = self.parts()?;
        if let Some(table) = table {
            let Some(offset) = table.find(fields, key)? else { return Ok(None) };
            let field = fields.get(offset..).ok_or(DecodeError::BadTable)?;
            let (_, value) = layout::split_key(field)?;
            return Ok(Some(value));
        }
        let mut rest = fields;
        while !rest.is_empty() {
            let (found, value) = layout::split_key(rest)?;
            if found == key {
                return Ok(Some(value));
            }
            rest = value.get(layout::value_len(value)?..).ok_or(DecodeError::Truncated)?;
        }
        Ok(None)
    }

    /// The value at the end of a path, through objects and positions in arrays. Arrays are not
    /// walked element by element: a name that meets an array finds nothing.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way.
    pub fn get_path(&self, path: &Path) -> Result<Option<RawValue<'a>>, DecodeError> {
        match self.find_path(path)? {
            Some(value) => RawValue::read(value).map(Some),
            None => Ok(None),
        }
    }

    fn find_path(self, path: &Path) -> Result<Option<&'a [u8]>, DecodeError> {
        let mut at = self.bytes;
        for segment in path.segments() {
            match step(RawValue::read(at)?, segment)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Where tag and body of the number stand that is at the end of a path, counted from the start
    /// of the document; nothing if no number is there.
    pub(crate) fn number_range(self, path: &Path) -> Result<Option<Range<usize>>, DecodeError> {
        let Some(found) = self.find_path(path)? else { return Ok(None) };
        if !matches!(found.first(), Some(&(layout::INT64 | layout::DOUBLE))) {
            return Ok(None);
        }
        // `found` is a piece of `bytes` but may end before them, so its address tells its place.
        let start = found.as_ptr().addr().saturating_sub(self.bytes.as_ptr().addr());
        let end = start.saturating_add(layout::value_len(found)?);
        Ok(Some(start..end))
    }

    /// The fields in the order in which they were inserted.
    pub fn iter(&self) -> RawFields<'a> {
        match self.parts() {
            Ok(parts) => RawFields { rest: parts.fields, failed: None },
            Err(error) => RawFields { rest: &[], failed: Some(error) },
        }
    }

    /// How many fields there are. O(1) for a wide object.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way.
    pub fn len(&self) -> Result<usize, DecodeError> {
        let parts = self.parts()?;
        if let Some(table) = parts.table {
            return Ok(table.len());
        }
        let (mut rest, mut count) = (parts.fields, 0);
        while !rest.is_empty() {
            (_, rest) = layout::split_key(rest)?;
            (_, rest) = layout::split_value(rest)?;
            count += 1;
        }
        Ok(count)
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= HEADER_LEN
    }

    /// The document as an owned tree.
    ///
    /// # Errors
    /// [`DecodeError`] if any part is damaged, nested too deep, or holds a key twice.
    pub fn to_document(&self) -> Result<Document, DecodeError> {
        self.decode(1)
    }

    fn decode(self, depth: usize) -> Result<Document, DecodeError> {
        check_depth(depth)?;
        let mut fields = Vec::new();
        for field in self.iter() {
            let (key, value) = field?;
            fields.push((key.to_owned(), value.decode(depth)?));
        }
        Document::from_unique(fields).ok_or(DecodeError::DuplicateKey)
    }

    /// An owned copy of the bytes, as they are.
    pub fn to_owned(&self) -> RawDocumentBuf {
        RawDocumentBuf::from_trusted(self.bytes.to_vec())
    }
}

impl<'a> IntoIterator for RawDocument<'a> {
    type Item = Result<(&'a str, RawValue<'a>), DecodeError>;
    type IntoIter = RawFields<'a>;

    fn into_iter(self) -> RawFields<'a> {
        self.iter()
    }
}

/// Equal bytes: stricter than [`RawValue::compare`], since `1` and `1.0` differ.
impl PartialEq for RawDocument<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for RawDocument<'_> {}

impl fmt::Debug for RawDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RawValue::Object(*self).fmt(f)
    }
}

/// What one part of a path leads to.
fn step<'a>(from: RawValue<'a>, segment: &Segment) -> Result<Option<&'a [u8]>, DecodeError> {
    match (from, segment.index) {
        (RawValue::Object(object), _) => object.find(segment.name.as_bytes()),
        (RawValue::Array(array), Some(index)) => array.find(layout::size(index)),
        _ => Ok(None),
    }
}

/// Checks that a value begins these bytes and ends where they end.
fn exactly_one(bytes: &[u8]) -> Result<(), DecodeError> {
    if layout::value_len(bytes)? == bytes.len() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
}

fn body(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    bytes.get(HEADER_LEN..).ok_or(DecodeError::Truncated)
}

pub(crate) fn check_depth(depth: usize) -> Result<(), DecodeError> {
    if depth <= MAX_DEPTH { Ok(()) } else { Err(DecodeError::TooDeep) }
}

/// The fields of an encoded object. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RawFields<'a> {
    rest: &'a [u8],
    failed: Option<DecodeError>,
}

impl<'a> RawFields<'a> {
    fn read(&mut self) -> Result<(&'a str, RawValue<'a>), DecodeError> {
        let (key, rest) = layout::split_key(self.rest)?;
        let (value, rest) = layout::split_value(rest)?;
        self.rest = rest;
        Ok((layout::text(key)?, RawValue::read_exact(value)?))
    }
}

impl<'a> Iterator for RawFields<'a> {
    type Item = Result<(&'a str, RawValue<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        if self.rest.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

impl std::iter::FusedIterator for RawFields<'_> {}

/// An encoded array, read in place.
#[derive(Clone, Copy)]
pub struct RawArray<'a> {
    /// Tag, length and body; as long as the length says.
    bytes: &'a [u8],
}

impl<'a> RawArray<'a> {
    /// The encoded bytes, tag and length included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements in order.
    pub fn iter(&self) -> RawElements<'a> {
        RawElements { rest: self.bytes.get(HEADER_LEN..).unwrap_or_default() }
    }

    /// The element at a position; those before it are skipped.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way.
    pub fn get(&self, index: usize) -> Result<Option<RawValue<'a>>, DecodeError> {
        match self.find(index)? {
            Some(value) => RawValue::read(value).map(Some),
            None => Ok(None),
        }
    }

    /// The element at a position and whatever follows it.
    fn find(self, index: usize) -> Result<Option<&'a [u8]>, DecodeError> {
        let mut rest = body(self.bytes)?;
        for _ in 0..index {
            if rest.is_empty() {
                return Ok(None);
            }
            (_, rest) = layout::split_value(rest)?;
        }
        Ok((!rest.is_empty()).then_some(rest))
    }

    /// How many elements there are: each is skipped once.
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way.
    pub fn len(&self) -> Result<usize, DecodeError> {
        let mut rest = body(self.bytes)?;
        let mut count = 0;
        while !rest.is_empty() {
            (_, rest) = layout::split_value(rest)?;
            count += 1;
        }
        Ok(count)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= HEADER_LEN
    }
}

impl<'a> IntoIterator for RawArray<'a> {
    type Item = Result<RawValue<'a>, DecodeError>;
    type IntoIter = RawElements<'a>;

    fn into_iter(self) -> RawElements<'a> {
        self.iter()
    }
}

impl PartialEq for RawArray<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl fmt::Debug for RawArray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RawValue::Array(*self).fmt(f)
    }
}

/// The elements of an encoded array. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RawElements<'a> {
    rest: &'a [u8],
}

impl<'a> RawElements<'a> {
    fn read(&mut self) -> Result<RawValue<'a>, DecodeError> {
        let (value, rest) = layout::split_value(self.rest)?;
        self.rest = rest;
        RawValue::read_exact(value)
    }
}

impl<'a> Iterator for RawElements<'a> {
    type Item = Result<RawValue<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

impl std::iter::FusedIterator for RawElements<'_> {}

/// Binary data in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawBinary<'a> {
    /// What the bytes are: 0 is anything, 4 a UUID.
    pub subtype: u8,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// A regular expression in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRegex<'a> {
    /// The pattern.
    pub pattern: &'a str,
    /// The flags.
    pub options: &'a str,
}

/// A vector of `f32` in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawVector<'a> {
    components: &'a [[u8; 4]],
}

impl fmt::Debug for RawVector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> RawVector<'a> {
    pub(crate) fn from_components(components: &'a [[u8; 4]]) -> RawVector<'a> {
        RawVector { components }
    }

    /// How many components there are.
    pub fn len(&self) -> usize {
        self.components.len()
    }

    /// Whether there is no component.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// The components in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        self.components.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// The components, little-endian.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.components.as_flattened()
    }
}

/// Any encoded value, read in place. Containers are views; all else is decoded, strings borrowed.
///
/// `==` asks whether the content is the same, kinds of numbers included. The order of values, in
/// which `1` and `1.0` are equal, is [`RawValue::compare`].
#[derive(Clone, Copy, PartialEq)]
pub enum RawValue<'a> {
    /// The null value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int64(i64),
    /// A 64-bit floating point number.
    Double(f64),
    /// A string.
    String(&'a str),
    /// Binary data with a subtype.
    Binary(RawBinary<'a>),
    /// An array.
    Array(RawArray<'a>),
    /// An object.
    Object(RawDocument<'a>),
    /// An object id.
    ObjectId(ObjectId),
    /// A moment in UTC.
    DateTime(DateTime),
    /// A regular expression.
    Regex(RawRegex<'a>),
    /// A vector of 32-bit floating point numbers.
    Vector(RawVector<'a>),
}

impl<'a> RawValue<'a> {
    /// A view over exactly one encoded value.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not one value; the inside of a container is not looked at.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<RawValue<'a>, DecodeError> {
        exactly_one(bytes)?;
        RawValue::read_exact(bytes)
    }

    /// The value that begins these bytes.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<RawValue<'a>, DecodeError> {
        let (value, _) = layout::split_value(bytes)?;
        RawValue::read_exact(value)
    }

    /// As [`RawValue::from_bytes`], where the length is known to be right.
    fn read_exact(bytes: &'a [u8]) -> Result<RawValue<'a>, DecodeError> {
        let (&tag, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        Ok(match tag {
            layout::NULL => RawValue::Null,
            layout::FALSE => RawValue::Bool(false),
            layout::TRUE => RawValue::Bool(true),
            layout::INT64 => RawValue::Int64(i64::from_le_bytes(fixed(rest)?)),
            layout::DOUBLE => RawValue::Double(f64::from_le_bytes(fixed(rest)?)),
            layout::DATE_TIME => {
                RawValue::DateTime(DateTime::from_ms(i64::from_le_bytes(fixed(rest)?)))
            }
            layout::OBJECT_ID => RawValue::ObjectId(ObjectId::from_bytes(fixed(rest)?)),
            layout::STRING => RawValue::String(layout::text(body(bytes)?)?),
            layout::BINARY => RawValue::Binary(read_binary(body(bytes)?)?),
            layout::VECTOR => RawValue::Vector(read_vector(body(bytes)?)?),
            layout::REGEX => RawValue::Regex(read_regex(body(bytes)?)?),
            layout::ARRAY => RawValue::Array(RawArray { bytes }),
            layout::OBJECT..=layout::OBJECT_32 => RawValue::Object(RawDocument { bytes }),
            unknown => return Err(DecodeError::UnknownTag(unknown)),
        })
    }

    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            RawValue::Null => ValueType::Null,
            RawValue::Bool(_) => ValueType::Bool,
            RawValue::Int64(_) => ValueType::Int64,
            RawValue::Double(_) => ValueType::Double,
            RawValue::String(_) => ValueType::String,
            RawValue::Binary(_) => ValueType::Binary,
            RawValue::Array(_) => ValueType::Array,
            RawValue::Object(_) => ValueType::Object,
            RawValue::ObjectId(_) => ValueType::ObjectId,
            RawValue::DateTime(_) => ValueType::DateTime,
            RawValue::Regex(_) => ValueType::Regex,
            RawValue::Vector(_) => ValueType::Vector,
        }
    }

    /// The number, if the value is one.
    pub fn as_number(&self) -> Option<Number> {
        match *self {
            RawValue::Int64(int) => Some(Number::Int64(int)),
            RawValue::Double(double) => Some(Number::Double(double)),
            _ => None,
        }
    }

    /// The value as an owned tree.
    ///
    /// # Errors
    /// [`DecodeError`] if any part is damaged, nested too deep, or holds a key twice.
    pub fn to_value(&self) -> Result<Value, DecodeError> {
        self.decode(0)
    }

    /// As [`RawValue::to_value`], for a value inside `depth` containers.
    fn decode(&self, depth: usize) -> Result<Value, DecodeError> {
        Ok(match *self {
            RawValue::Null => Value::Null,
            RawValue::Bool(bool) => Value::Bool(bool),
            RawValue::Int64(int) => Value::Int64(int),
            RawValue::Double(double) => Value::Double(double),
            RawValue::String(text) => Value::String(text.to_owned()),
            RawValue::Binary(binary) => Value::Binary(Binary::from(binary)),
            RawValue::Array(array) => Value::Array(decode_array(array, depth + 1)?),
            RawValue::Object(object) => Value::Object(object.decode(depth + 1)?),
            RawValue::ObjectId(id) => Value::ObjectId(id),
            RawValue::DateTime(at) => Value::DateTime(at),
            RawValue::Regex(regex) => Value::Regex(Regex::from(regex)),
            RawValue::Vector(vector) => Value::Vector(vector.iter().collect()),
        })
    }
}

/// As the owned value: printing stops at damage and at the depth limit.
impl fmt::Debug for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => value.fmt(f),
            Err(error) => write!(f, "Damaged({error})"),
        }
    }
}

impl<'a> From<RawDocument<'a>> for RawValue<'a> {
    fn from(document: RawDocument<'a>) -> Self {
        RawValue::Object(document)
    }
}

impl<'a> From<&'a RawDocumentBuf> for RawValue<'a> {
    fn from(document: &'a RawDocumentBuf) -> Self {
        RawValue::Object(document.as_raw())
    }
}

fn decode_array(array: RawArray<'_>, depth: usize) -> Result<Vec<Value>, DecodeError> {
    check_depth(depth)?;
    array.iter().map(|element| element?.decode(depth)).collect()
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.first_chunk().copied().ok_or(DecodeError::Truncated)
}

fn read_binary(body: &[u8]) -> Result<RawBinary<'_>, DecodeError> {
    let (&subtype, bytes) = body.split_first().ok_or(DecodeError::BadLength)?;
    Ok(RawBinary { subtype, bytes })
}

fn read_vector(body: &[u8]) -> Result<RawVector<'_>, DecodeError> {
    match body.as_chunks() {
        (components, []) => Ok(RawVector { components }),
        _ => Err(DecodeError::BadLength),
    }
}

fn read_regex(body: &[u8]) -> Result<RawRegex<'_>, DecodeError> {
    let (len, rest) = body.split_first_chunk().ok_or(DecodeError::BadLength)?;
    let (pattern, options) = rest
        .split_at_checked(layout::size(u32::from_le_bytes(*len)))
        .ok_or(DecodeError::BadLength)?;
    Ok(RawRegex { pattern: layout::text(pattern)?, options: layout::text(options)? })
}

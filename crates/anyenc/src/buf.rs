//! The owned encoded document.

use std::fmt;

use crate::document::Document;
use crate::error::{DecodeError, EncodeError};
use crate::layout;
use crate::number::Number;
use crate::path::Path;
use crate::raw::{RawDocument, RawFields, RawValue};
use crate::value::Value;
use crate::writer::{DocumentWriter, whole};

/// An encoded document that owns its bytes: made by a writer, or validated.
///
/// `==` compares bytes, so `1` and `1.0` differ.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawDocumentBuf {
    /// One object, tag and length included. Never empty.
    bytes: Vec<u8>,
}

impl RawDocumentBuf {
    /// The document without fields.
    pub fn new() -> RawDocumentBuf {
        RawDocumentBuf { bytes: vec![layout::OBJECT, 0, 0, 0, 0] }
    }

    /// The object that `write` writes, in a buffer that begins with room for `capacity` bytes.
    ///
    /// ```
    /// use anyenc::{EncodeError, RawDocumentBuf, doc};
    /// let made = RawDocumentBuf::build(32, |writer| {
    ///     writer.begin_object()?;
    ///     writer.key("n")?;
    ///     writer.int64(1)?;
    ///     writer.end_object()
    /// })?;
    /// assert_eq!(made.to_document().unwrap(), doc! { "n": 1 });
    /// # Ok::<(), EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// What `write` gives, and [`EncodeError`] if it did not write one whole object.
    pub fn build<E: From<EncodeError>>(
        capacity: usize,
        write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<(), E>,
    ) -> Result<RawDocumentBuf, E> {
        let mut bytes = Vec::with_capacity(capacity);
        whole(&mut bytes, write)?;
        match RawDocument::from_bytes(&bytes) {
            Ok(_) => Ok(RawDocumentBuf { bytes }),
            Err(_) => Err(EncodeError::Misplaced("the value is not an object").into()),
        }
    }

    /// Encodes a document.
    ///
    /// # Errors
    /// [`EncodeError`] if it is too large, too deep, or an object in it begins with a reserved key.
    pub fn from_document(document: &Document) -> Result<RawDocumentBuf, EncodeError> {
        let mut bytes = Vec::new();
        whole(&mut bytes, |writer| writer.document(document))?;
        Ok(RawDocumentBuf { bytes })
    }

    /// Encodes an object.
    ///
    /// # Errors
    /// As [`RawDocumentBuf::from_document`], and if the value is no object.
    pub fn from_value(value: &Value) -> Result<RawDocumentBuf, EncodeError> {
        match value {
            Value::Object(document) => RawDocumentBuf::from_document(document),
            other => Err(EncodeError::NotADocument(other.value_type().name())),
        }
    }

    /// Takes encoded bytes, if they are one whole valid document.
    ///
    /// # Errors
    /// [`DecodeError`] as of [`RawDocument::validate`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<RawDocumentBuf, DecodeError> {
        RawDocument::from_bytes(&bytes)?.validate()?;
        Ok(RawDocumentBuf { bytes })
    }

    /// Takes bytes that begin as an object and are as long as they say.
    pub(crate) fn from_trusted(bytes: Vec<u8>) -> RawDocumentBuf {
        debug_assert!(RawDocument::from_bytes(&bytes).is_ok());
        RawDocumentBuf { bytes }
    }

    /// The document as a view.
    pub fn as_raw(&self) -> RawDocument<'_> {
        RawDocument::from_checked(&self.bytes)
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded bytes, to keep.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The value of a field.
    ///
    /// # Errors
    /// [`DecodeError`] as of [`RawDocument::get`].
    pub fn get(&self, key: &str) -> Result<Option<RawValue<'_>>, DecodeError> {
        self.as_raw().get(key)
    }

    /// The fields in the order in which they were inserted.
    pub fn iter(&self) -> RawFields<'_> {
        self.as_raw().iter()
    }

    /// The document as an owned tree.
    ///
    /// # Errors
    /// [`DecodeError`] as of [`RawDocument::to_document`].
    pub fn to_document(&self) -> Result<Document, DecodeError> {
        self.as_raw().to_document()
    }

    /// Overwrites the number at the end of a path, in place: numbers of both kinds take nine bytes.
    /// Returns whether a number was there.
    ///
    /// ```
    /// use anyenc::{Number, Path, RawDocumentBuf, doc};
    /// let mut stored = RawDocumentBuf::from_document(&doc! { "a": [1, 2] })?;
    /// assert!(stored.set_number(&Path::parse("a.1")?, Number::Double(2.5))?);
    /// assert_eq!(stored.to_document()?, doc! { "a": [1, 2.5] });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] if damage is met on the way to the number.
    pub fn set_number(&mut self, path: &Path, number: Number) -> Result<bool, DecodeError> {
        let Some(range) = self.as_raw().number_range(path)? else { return Ok(false) };
        let place = self.bytes.get_mut(range).ok_or(DecodeError::Truncated)?;
        let (tag, body) = place.split_first_mut().ok_or(DecodeError::Truncated)?;
        let (new_tag, new_body) = match number {
            Number::Int64(int) => (layout::INT64, int.to_le_bytes()),
            Number::Double(double) => (layout::DOUBLE, double.to_le_bytes()),
        };
        *tag = new_tag;
        body.copy_from_slice(&new_body);
        Ok(true)
    }
}

impl Default for RawDocumentBuf {
    fn default() -> Self {
        RawDocumentBuf::new()
    }
}

impl fmt::Debug for RawDocumentBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_raw().fmt(f)
    }
}

impl TryFrom<&Document> for RawDocumentBuf {
    type Error = EncodeError;

    fn try_from(document: &Document) -> Result<Self, EncodeError> {
        RawDocumentBuf::from_document(document)
    }
}

impl<'a> From<&'a RawDocumentBuf> for RawDocument<'a> {
    fn from(buf: &'a RawDocumentBuf) -> Self {
        buf.as_raw()
    }
}

//! Documents at the border: from a caller's type to bytes and back, and the id among their fields.

use anyenc::key::{self, Direction};
use anyenc::{DeserializeError, DocumentWriter, RawDocument, RawDocumentBuf, RawValue, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// The encoded form of what a caller wants to store.
pub(crate) fn encode<T: Serialize + ?Sized>(document: &T) -> Result<RawDocumentBuf> {
    Ok(anyenc::to_raw(document)?)
}

/// A stored document as the caller's type.
pub(crate) fn decode<T: DeserializeOwned>(raw: RawDocument<'_>) -> Result<T> {
    anyenc::from_raw(raw).map_err(|error| {
        // The caller's type is to blame only for a document that is whole.
        match raw.validate() {
            Ok(()) => not_of_type(&error),
            Err(damage) => damage.into(),
        }
    })
}

/// What was expected and where. What was found is the document's own and stays out of messages.
fn not_of_type(error: &DeserializeError) -> Error {
    let mut message = "a stored document is not of the type that was asked for".to_owned();
    let expected = error.message().rsplit_once(", expected ").map(|(_, expected)| expected);
    if let Some(expected) = expected {
        message.push_str(": expected ");
        message.push_str(expected);
    } else if error.message().starts_with("missing field ") {
        message.push_str(": ");
        message.push_str(error.message());
    }
    if error.path().is_empty() {
        return Error::new(ErrorKind::Deserialize, message);
    }
    message.push_str(&format!(" (at field {:?})", error.path()));
    Error::new(ErrorKind::Deserialize, message).at_field(error.path())
}

/// The id of a document; `None` if it has none.
pub(crate) fn id<'a>(document: RawDocument<'a>, primary_key: &str) -> Result<Option<RawValue<'a>>> {
    let Some(id) = document.get(primary_key)? else { return Ok(None) };
    check_id_type(id.value_type(), primary_key)?;
    Ok(Some(id))
}

/// The error, with the id of the document it is about, where that can be read.
pub(crate) fn name_document(error: Error, document: RawDocument<'_>, primary_key: &str) -> Error {
    match document.get(primary_key).map(|id| id.map(|id| id.to_value())) {
        Ok(Some(Ok(id))) => error.of_document(id),
        _ => error,
    }
}

/// The key encoding of a stored document's id.
pub(crate) fn raw_id_key(id: RawValue<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    key::encode_key(id, Direction::Ascending, &mut out)?;
    Ok(out)
}

/// The key encoding of an id.
pub(crate) fn id_key(id: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if matches!(id, Value::Object(_) | Value::Array(_)) {
        // Nesting is checked by the encoder; the key encoding goes as deep as the value does.
        let mut encoded = Vec::new();
        id.encode_into(&mut encoded)?;
        return raw_id_key(RawValue::from_bytes(&encoded)?);
    }
    key::encode_key_value(id, Direction::Ascending, &mut out);
    Ok(out)
}

/// The id that a key stands for; numbers come back as the simplest one that is equal.
pub(crate) fn id_of_key(key: &[u8]) -> Option<Value> {
    key::decode_key(key, Direction::Ascending).ok().map(|(id, _)| id)
}

/// Refuses the types that cannot be an id.
pub(crate) fn check_id_type(id: anyenc::ValueType, primary_key: &str) -> Result<()> {
    use anyenc::ValueType;
    match id {
        ValueType::Array | ValueType::Regex | ValueType::Vector => Err(Error::new(
            ErrorKind::InvalidId,
            format!("the primary key {primary_key:?} cannot be of type {}", id.name()),
        )
        .at_field(primary_key)),
        _ => Ok(()),
    }
}

pub(crate) fn missing_id(primary_key: &str) -> Error {
    Error::new(ErrorKind::MissingId, format!("the document has no primary key {primary_key:?}"))
        .at_field(primary_key)
}

/// A document with an id put in front of its fields.
pub(crate) fn with_id_first(
    document: RawDocument<'_>,
    primary_key: &str,
    id: &Value,
) -> Result<RawDocumentBuf> {
    let mut out = Vec::with_capacity(document.as_bytes().len() + 64);
    let mut writer = DocumentWriter::new(&mut out);
    writer.begin_object()?;
    writer.key(primary_key)?;
    writer.value(id)?;
    for field in document.iter() {
        let (name, value) = field?;
        writer.key(name)?;
        writer.write_raw(value)?;
    }
    writer.end_object()?;
    writer.finish()?;
    Ok(RawDocument::from_bytes(&out)?.to_owned())
}

//! JSON and extended JSON, in and out.
//!
//! In: strict RFC 8259 with the wrappers of extended JSON v2, canonical and relaxed, and `$vector`.
//! The text is read once, straight into the document encoding. Out: always valid JSON that reads
//! back to an equal value.
//!
//! | value | relaxed | canonical |
//! |---|---|---|
//! | int64 | `5` | `{"$numberLong":"5"}` |
//! | double | `5.0`, `1e21` | `{"$numberDouble":"5.0"}` |
//! | NaN, infinities | `{"$numberDouble":"NaN"}` | the same |
//! | dateTime | `{"$date":"2024-01-02T03:04:05.678Z"}` in the years 1970 to 9999, else as canonical | `{"$date":{"$numberLong":"1704164645678"}}` |
//! | objectId | `{"$oid":"66000000deadbeef01000001"}` | the same |
//! | binary | `{"$binary":{"base64":"AQID","subType":"00"}}` | the same |
//! | regex | `{"$regularExpression":{"pattern":"^a","options":"i"}}` | the same |
//! | vector | `{"$vector":[0.5,1.0]}` | the same |
//!
//! Of integers in a text, what lies outside `i64` becomes the nearest double. `-0` is a double.

mod read;
mod write;

use std::fmt;

use crate::buf::RawDocumentBuf;
use crate::error::DecodeError;
use crate::raw::RawValue;
use crate::value::Value;

pub(crate) use read::encode_any;
pub(crate) use write::double_name;
pub use write::{to_json, to_json_pretty, write_json};

/// Which spelling JSON takes on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonFormat {
    /// Made for people: numbers as numbers, dates as text.
    #[default]
    Relaxed,
    /// Made for machines: every type is spelled out.
    Canonical,
}

/// Reads a JSON text of any kind.
///
/// ```
/// use anyenc::{doc, parse};
/// assert_eq!(parse(br#"{"a": [1, {"$numberLong": "2"}]}"#)?, doc! { "a": [1, 2] }.into());
/// let error = parse(b"{\n  \"a\": 1,\n  \"a\": 2\n}").unwrap_err();
/// assert_eq!(error.to_string(), "line 3, column 3: duplicate key \"a\"");
/// # Ok::<(), anyenc::JsonError>(())
/// ```
///
/// # Errors
/// [`JsonError`] says what and where: the syntax, a key that an object holds twice, a lone
/// surrogate, bytes that are no UTF-8, a number outside a double, a wrapper that is malformed or of
/// a type that there is not, nesting beyond 300, more than 16 MiB when encoded.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut bytes = Vec::new();
    read::encode(text, &mut bytes)?;
    let value = RawValue::from_bytes(&bytes).and_then(|raw| raw.to_value());
    value.map_err(JsonError::from_own_bytes)
}

/// Reads a JSON text that is an object, straight into the document encoding.
///
/// # Errors
/// [`JsonError`] as of [`parse`], and if the text is something else.
pub fn parse_document(text: &[u8]) -> Result<RawDocumentBuf, JsonError> {
    let mut bytes = Vec::new();
    parse_document_into(text, &mut bytes)?;
    Ok(RawDocumentBuf::from_trusted(bytes))
}

/// As [`parse_document`], appended to a buffer that can so be used again and again.
///
/// # Errors
/// As [`parse_document`]; nothing is appended then.
pub fn parse_document_into(text: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    let start = out.len();
    read::encode(text, out)?;
    match RawValue::from_bytes(out.get(start..).unwrap_or_default()) {
        Ok(RawValue::Object(_)) => Ok(()),
        Ok(other) => {
            let found = other.value_type().name();
            out.truncate(start);
            Err(JsonError::not_a_document(text, found))
        }
        Err(error) => {
            out.truncate(start);
            Err(JsonError::from_own_bytes(error))
        }
    }
}

/// Reads a filter, an update or another request. Wrappers of extended JSON become values, as in a
/// document; other names with a dollar, `$gt` or `$regex` say, are keys.
///
/// ```
/// use anyenc::{DateTime, doc, parse_query};
/// let filter = parse_query(br#"{"at": {"$gt": {"$date": "1970-01-01T00:00:01Z"}}}"#)?;
/// assert_eq!(filter, doc! { "at": { "$gt": DateTime::from_ms(1000) } }.into());
/// # Ok::<(), anyenc::JsonError>(())
/// ```
///
/// # Errors
/// [`JsonError`] as of [`parse`].
pub fn parse_query(text: &[u8]) -> Result<Value, JsonError> {
    parse(text)
}

/// What is wrong with a JSON text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The byte in the text, from 0.
    pub offset: usize,
    /// What sort of thing is wrong.
    pub kind: JsonErrorKind,
    /// What is wrong, in words.
    pub reason: String,
}

/// The sorts of things that can be wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text is not JSON.
    Syntax,
    /// An object holds a key twice.
    DuplicateKey,
    /// An escape is one half of a surrogate pair.
    LoneSurrogate,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// A number lies outside the range of a double.
    NumberRange,
    /// An object begins with the name of an extended JSON wrapper and is no such wrapper, or one of
    /// a type that there is not.
    BadWrapper,
    /// More containers are nested than a document may have.
    TooDeep,
    /// The value is larger than a document may be.
    TooLarge,
    /// A document was wanted, and the text is no object.
    NotADocument,
}

impl JsonError {
    /// An error at a byte of the text.
    fn at(text: &[u8], offset: usize, kind: JsonErrorKind, reason: String) -> JsonError {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let in_line = before.get(line_start..).unwrap_or_default();
        let column = 1 + String::from_utf8_lossy(in_line).chars().count();
        JsonError { line, column, offset: before.len(), kind, reason }
    }

    fn not_a_document(text: &[u8], found: &str) -> JsonError {
        let offset = text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        let reason = format!("a document is an object, not {found}");
        JsonError::at(text, offset, JsonErrorKind::NotADocument, reason)
    }

    /// What was just written cannot be read: this is a bug, and yet no reason to panic.
    fn from_own_bytes(error: DecodeError) -> JsonError {
        JsonError::at(b"", 0, JsonErrorKind::Syntax, error.to_string())
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

impl std::error::Error for JsonError {}

#[cfg(test)]
mod tests;

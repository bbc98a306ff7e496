//! Values and their bytes: the document encoding, the key encoding, JSON and extended JSON, serde.
//!
//! A [`Value`] is null, a boolean, an `i64`, an `f64`, a string, binary with a subtype, an array, an
//! object whose fields keep their order, an [`ObjectId`], a [`DateTime`], a regular expression or a
//! vector of `f32`. All values stand in one total order, MongoDB's, and there are two encodings:
//!
//! * the **document encoding** ([`RawDocument`], [`RawValue`], [`DocumentWriter`]) is made for
//!   reading in place: lengths stand in front, so any value is skipped in O(1), and a wide object
//!   carries an offset table for binary search;
//! * the **key encoding** ([`key`]) is made for `memcmp`: comparing two keys as bytes gives the
//!   order of the values, ascending or descending, one component after another.
//!
//! ```
//! use anyenc::{JsonFormat, RawDocumentBuf, RawValue, doc};
//!
//! let stored = RawDocumentBuf::from_document(&doc! { "name": "Ann", "tags": ["a", "b"], "n": 1 })?;
//! assert_eq!(stored.get("n")?, Some(RawValue::Int64(1)));
//! assert_eq!(stored.to_string(), r#"{"name":"Ann","tags":["a","b"],"n":1}"#);
//! assert_eq!(anyenc::parse_document(stored.to_string().as_bytes())?, stored);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Bytes are never trusted: every accessor of a raw view is fallible, and damaged or hostile bytes
//! give a [`DecodeError`], not a panic, not a hang, and not a missing field.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

mod buf;
mod datetime;
mod de;
mod document;
mod ejson;
mod error;
mod layout;
mod limits;
mod macros;
mod number;
mod object_id;
mod order;
mod raw;
mod ser;
mod serde_impls;
mod validate;
mod value;
mod writer;

pub mod json;
pub mod key;
pub mod path;

pub use buf::RawDocumentBuf;
pub use datetime::{DateTime, DateTimeError};
pub use de::{from_raw, from_raw_value, from_value};
pub use document::{Document, Fields, IntoFields};
pub use error::{DecodeError, DeserializeError, EncodeError};
pub use json::{
    JsonError, JsonErrorKind, JsonFormat, parse, parse_document, parse_document_into, parse_query,
    to_json, to_json_pretty, write_json,
};
pub use key::Direction;
pub use limits::Limits;
pub use number::Number;
pub use object_id::{ObjectId, ObjectIdError};
pub use path::{Path, PathError, Segment};
pub use raw::{
    RawArray, RawBinary, RawDocument, RawElements, RawFields, RawRegex, RawValue, RawVector,
};
pub use ser::{to_raw, to_value};
pub use value::{Binary, Regex, Value, ValueType, Vector};
pub use writer::DocumentWriter;

//! JSON and extended JSON: text to encoded documents and back, without losing a digit or a type.

pub use anyenc::{
    JsonError, JsonErrorKind, JsonFormat, parse, parse_document, parse_document_into, parse_query,
    to_json, to_json_pretty, write_json,
};

//! What can be wrong with encoded bytes, and with values that are to be encoded.

use std::fmt;

/// Encoded bytes that are not what they should be: damaged, cut off, or made by someone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    Truncated,
    /// Bytes follow where the value has ended.
    TrailingBytes,
    /// No value begins with this byte.
    UnknownTag(u8),
    /// The outermost value is not an object.
    NotADocument,
    /// A length contradicts what it measures.
    BadLength,
    /// A string or a key is not UTF-8.
    InvalidUtf8,
    /// The offset table of a wide object does not fit its fields.
    BadTable,
    /// The value could have been written in another way; only one way is valid.
    NotCanonical,
    /// An object holds two fields of one name.
    DuplicateKey,
    /// An object begins with the name of an extended JSON wrapper.
    ReservedKey,
    /// More containers are nested than any document may have.
    TooDeep,
    /// The document is larger than any document may be.
    TooLarge,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("the bytes end inside a value"),
            DecodeError::TrailingBytes => f.write_str("bytes follow the value"),
            DecodeError::UnknownTag(tag) => write!(f, "no value begins with the byte {tag:#04x}"),
            DecodeError::NotADocument => f.write_str("the bytes are not an encoded document"),
            DecodeError::BadLength => f.write_str("a length contradicts what it measures"),
            DecodeError::InvalidUtf8 => f.write_str("a string is not valid UTF-8"),
            DecodeError::BadTable => f.write_str("an offset table does not fit its object"),
            DecodeError::NotCanonical => f.write_str("a value is not in its canonical form"),
            DecodeError::DuplicateKey => f.write_str("an object holds one key twice"),
            DecodeError::ReservedKey => {
                f.write_str("an object begins with the name of an extended JSON wrapper")
            }
            DecodeError::TooDeep => f.write_str("more than 300 containers are nested"),
            DecodeError::TooLarge => f.write_str("the document is larger than 16 MiB"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A value that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// More containers are nested than the limit allows.
    TooDeep {
        /// The limit, in containers.
        limit: usize,
    },
    /// The encoded document would be larger than the limit allows.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An object would hold two fields of this name.
    DuplicateKey(String),
    /// An object would begin with this name of an extended JSON wrapper and read back from JSON as
    /// something else.
    ReservedKey(String),
    /// The outermost value is not an object; the text names what it is.
    NotADocument(&'static str),
    /// An integer lies outside `i64`.
    IntegerRange {
        /// Where it stands, as a dotted path.
        path: String,
        /// The integer in decimal.
        value: String,
    },
    /// A map's key is not a string.
    KeyNotAString {
        /// Where the map stands, as a dotted path.
        path: String,
    },
    /// The type that was to be serialised reported an error of its own.
    Custom {
        /// Where, as a dotted path.
        path: String,
        /// The report.
        message: String,
    },
    /// A part of an encoded value that was to be copied is damaged.
    Damaged(DecodeError),
    /// The calls to a writer do not describe a value: a field without a key, say.
    Misplaced(&'static str),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::TooDeep { limit } => write!(f, "more than {limit} containers are nested"),
            EncodeError::TooLarge { limit } => {
                write!(f, "the document is larger than {limit} bytes")
            }
            EncodeError::DuplicateKey(key) => write!(f, "duplicate key {key:?}"),
            EncodeError::ReservedKey(key) => {
                write!(f, "an object may not begin with {key:?}, an extended JSON wrapper")
            }
            EncodeError::NotADocument(found) => write!(f, "a document is an object, not {found}"),
            EncodeError::IntegerRange { path, value } => {
                write!(f, "the integer {value} is outside the range of i64{}", At(path))
            }
            EncodeError::KeyNotAString { path } => {
                write!(f, "a key of a map is not a string{}", At(path))
            }
            EncodeError::Custom { path, message } => write!(f, "{message}{}", At(path)),
            EncodeError::Damaged(error) => write!(f, "cannot copy a damaged value: {error}"),
            EncodeError::Misplaced(what) => write!(f, "misplaced call to a writer: {what}"),
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EncodeError::Damaged(error) => Some(error),
            _ => None,
        }
    }
}

impl EncodeError {
    /// Says of an error inside a field, or an element, where it happened.
    pub(crate) fn within(mut self, name: impl fmt::Display) -> EncodeError {
        if let EncodeError::IntegerRange { path, .. }
        | EncodeError::KeyNotAString { path }
        | EncodeError::Custom { path, .. } = &mut self
        {
            *path = prepend(name, path);
        }
        self
    }
}

/// A dotted path, one step further out.
fn prepend(name: impl fmt::Display, path: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{name}.{path}") }
}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        EncodeError::Custom { path: String::new(), message: message.to_string() }
    }
}

/// A document that is not of the type that it was to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeserializeError {
    path: String,
    message: String,
}

impl DeserializeError {
    /// Where it does not fit, as a dotted path; empty at the top.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What does not fit.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Says of an error inside a field, or an element, where it happened.
    pub(crate) fn within(self, name: impl fmt::Display) -> DeserializeError {
        DeserializeError { path: prepend(name, &self.path), message: self.message }
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.message, At(&self.path))
    }
}

impl std::error::Error for DeserializeError {}

impl serde::de::Error for DeserializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        DeserializeError { path: String::new(), message: message.to_string() }
    }
}

impl From<DecodeError> for DeserializeError {
    fn from(error: DecodeError) -> Self {
        DeserializeError { path: String::new(), message: error.to_string() }
    }
}

impl From<DecodeError> for EncodeError {
    fn from(error: DecodeError) -> Self {
        EncodeError::Damaged(error)
    }
}

/// The end of a message that says where: nothing at the top.
struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (at field {:?})", self.0) }
    }
}

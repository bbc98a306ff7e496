//! What can be wrong with a request, and with a document that a request meets.
//!
//! A [`ParseError`] is about the request alone: it names the source, the dotted path of the
//! offending key, the operator, the reason and, where the request was text, the byte offset.
//! [`ApplyError`] and [`SortError`] are about one document; a damaged document is told apart from a
//! document that merely does not fit.

use std::fmt;

use anyenc::{DecodeError, EncodeError};

/// Which kind of request a [`ParseError`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A filter.
    Filter,
    /// An update.
    Update,
    /// The conditions on the elements of arrays that an update names as `$[name]`.
    ArrayFilters,
    /// A sort.
    Sort,
    /// A projection.
    Projection,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Filter => "filter",
            Source::Update => "update",
            Source::ArrayFilters => "array filters",
            Source::Sort => "sort",
            Source::Projection => "projection",
        })
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// The text is not JSON, or one of its wrappers is malformed.
    Json,
    /// The language has no operator of this name.
    UnknownOperator,
    /// An operator stands in the wrong place, or its operand is not what it takes.
    Invalid,
    /// Two parts of an update change the same path, or a path and its parent.
    Conflict,
    /// The request is larger or deeper than the language allows.
    Limit,
}

/// A request that cannot be carried out, whatever the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Why, as something to match on.
    pub kind: ParseErrorKind,
    /// What was being parsed.
    pub source: Source,
    /// Dotted path of the offending key from the root of the request, array positions as numbers.
    pub path: String,
    /// The operator at fault; empty if none is.
    pub op: String,
    /// What is wrong, in words that stand alone.
    pub reason: String,
    /// Byte offset of the offending key, where the request was text.
    pub offset: Option<usize>,
    /// The name that was probably meant.
    pub suggestion: Option<String>,
}

impl ParseError {
    /// Is an operator of this name not part of the language?
    pub fn is_unknown_operator(&self) -> bool {
        self.kind == ParseErrorKind::UnknownOperator
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parse {}: {}", self.source, self.reason)?;
        if !self.path.is_empty() {
            write!(f, " (at {})", self.path)?;
        }
        match &self.suggestion {
            Some(name) => write!(f, "; did you mean \"{name}\"?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why an update could not be applied to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplyErrorKind {
    /// A value in the document does not allow the change.
    Apply,
    /// Two parts of the update turned out to change the same place.
    Conflict,
    /// A number went past 64 bits.
    Overflow,
    /// The document would grow past its limits of size or depth.
    Limit,
    /// The document's bytes are damaged.
    Damaged,
}

/// An update that one document refuses; the document is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyError {
    /// Why, as something to match on.
    pub kind: ApplyErrorKind,
    /// Dotted path of the field that was to be changed; empty when the whole document is meant.
    pub path: String,
    /// What is wrong, in words that stand alone.
    pub reason: String,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "apply update: {}", self.reason),
            path => write!(f, "apply update: {} (at {path})", self.reason),
        }
    }
}

impl std::error::Error for ApplyError {}

impl From<DecodeError> for ApplyError {
    fn from(error: DecodeError) -> Self {
        ApplyError {
            kind: ApplyErrorKind::Damaged,
            path: String::new(),
            reason: format!("the document is damaged: {error}"),
        }
    }
}

/// What a writer refuses: a result past the limits, or a document that was damaged before.
impl From<EncodeError> for ApplyError {
    fn from(error: EncodeError) -> Self {
        let kind = match error {
            EncodeError::TooDeep { .. } | EncodeError::TooLarge { .. } => ApplyErrorKind::Limit,
            EncodeError::Damaged(_) | EncodeError::DuplicateKey(_) => ApplyErrorKind::Damaged,
            _ => ApplyErrorKind::Apply,
        };
        ApplyError { kind, path: String::new(), reason: error.to_string() }
    }
}

/// Two fields of one sort, or of one index, lead through different arrays of a document.
///
/// The document would have a key for every pair of elements, so neither a place in an order nor a
/// bounded set of index entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParallelArrays {
    /// The path that leads through one array.
    pub first: String,
    /// The path that leads through another one.
    pub second: String,
}

impl fmt::Display for ParallelArrays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" and \"{}\" are parallel arrays", self.first, self.second)
    }
}

impl std::error::Error for ParallelArrays {}

/// Why a document has no sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortError {
    /// Two fields of the sort hold different arrays.
    ParallelArrays(ParallelArrays),
    /// The document's bytes are damaged.
    Damaged(DecodeError),
}

impl fmt::Display for SortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SortError::ParallelArrays(error) => write!(f, "cannot sort: {error}"),
            SortError::Damaged(error) => write!(f, "cannot sort: the document is damaged: {error}"),
        }
    }
}

impl std::error::Error for SortError {}

impl From<DecodeError> for SortError {
    fn from(error: DecodeError) -> Self {
        SortError::Damaged(error)
    }
}

impl From<ParallelArrays> for SortError {
    fn from(error: ParallelArrays) -> Self {
        SortError::ParallelArrays(error)
    }
}

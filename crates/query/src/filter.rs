//! Filters: which documents a request means.
//!
//! A filter is parsed once into a tree of conditions, checked as a whole, and then asked about any
//! number of encoded documents. The tree is immutable and shared; its operands are prepared for
//! comparison with encoded values, so that asking allocates nothing.
//!
//! Invariants of a parsed tree:
//!  1. It has at most [`MAX_NODES`] nodes and is at most [`MAX_DEPTH`] deep.
//!  2. Every operand can be encoded, so it can be compared with what a document holds.
//!  3. Printing it gives JSON that parses to an equal tree.

mod bounds;
mod compile;
mod equalities;
mod eval;
mod parse;
mod pattern;
mod points;
mod position;
mod print;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use anyenc::{DecodeError, Document, Path, RawArray, RawDocument, RawValue, Value};

use crate::bounds::{Bounds, Interval, Keys};
use crate::error::{ParseError, Source};
use crate::operand::Operand;
use crate::trail::{Trail, read_json};
use crate::walk::Container;
pub(crate) use compile::truncated;
use compile::{BitTest, InSet, Remainder, TypeSet};
use pattern::Pattern;
pub(crate) use position::array_on;

pub(crate) use parse::{integer, tests_value};

/// Most conditions and logical operators in one filter.
pub(crate) const MAX_NODES: usize = 100_000;
/// Most logical operators, `$not` and `$elemMatch` inside one another.
pub(crate) const MAX_DEPTH: usize = 100;
/// Most members of one `$in`, `$nin` or `$all`.
pub(crate) const MAX_MEMBERS: usize = 1_000_000;

/// A condition on documents. Immutable, cheap to clone, and shareable between threads.
///
/// ```
/// use any_store_query::Filter;
/// use anyenc::{RawDocumentBuf, doc};
///
/// let filter = Filter::from_json(r#"{"tags": "red", "size": {"$gte": 10}}"#)?;
/// let stored = RawDocumentBuf::from_document(&doc! { "tags": ["red", "blue"], "size": 12.5 })?;
/// assert!(filter.matches(stored.as_raw())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    root: Arc<Conjunction>,
}

impl Filter {
    /// The filter that every document matches, `{}`.
    pub fn all() -> Filter {
        Filter { root: Arc::new(Conjunction { clauses: Vec::new() }) }
    }

    /// Reads a filter from a value, which must be an object.
    ///
    /// # Errors
    /// The value is not a filter, or is past the language's limits.
    pub fn parse(value: &Value) -> Result<Filter, ParseError> {
        parse::filter(value, &mut Trail::new(Source::Filter, None))
    }

    /// Reads a filter from JSON text; errors carry byte offsets.
    ///
    /// # Errors
    /// The text is not JSON, or not a filter.
    pub fn from_json(text: &str) -> Result<Filter, ParseError> {
        let value = read_json(Source::Filter, text)?;
        parse::filter(&value, &mut Trail::new(Source::Filter, Some(text.as_bytes())))
    }

    /// Reads a filter from a document.
    ///
    /// # Errors
    /// The document is not a filter, or is past the language's limits.
    pub fn from_document(document: &Document) -> Result<Filter, ParseError> {
        parse::document_filter(document, &mut Trail::new(Source::Filter, None))
    }

    /// Does this document match? Allocates nothing.
    ///
    /// # Errors
    /// The document's bytes are damaged where the filter had to look.
    pub fn matches(&self, document: RawDocument<'_>) -> Result<bool, DecodeError> {
        eval::conjunction(&self.root, Container::Object(document))
    }

    /// Reads a filter that stands somewhere inside another request.
    pub(crate) fn parse_at<'v>(
        value: &'v Value,
        trail: &mut Trail<'v>,
    ) -> Result<Filter, ParseError> {
        parse::filter(value, trail)
    }

    /// Reads a condition on one value, as on a field: operators, or what it must equal. It is asked
    /// by [`matches_value`](Self::matches_value) under the empty name.
    pub(crate) fn of_value<'v>(
        value: &'v Value,
        trail: &mut Trail<'v>,
    ) -> Result<Filter, ParseError> {
        parse::value_filter(value, trail)
    }

    /// Does a value match, under the name by which the filter's paths call it?
    pub(crate) fn matches_value(
        &self,
        name: &str,
        value: RawValue<'_>,
    ) -> Result<bool, DecodeError> {
        eval::conjunction(&self.root, Container::Named(name, value))
    }

    /// Is it certain without looking that every document matches?
    pub fn is_all(&self) -> bool {
        self.root.clauses.iter().all(|clause| matches!(clause, Clause::Comment(_)))
    }

    /// The values of which a matching document must hold one at `path`, if the filter says so.
    ///
    /// Meant for the primary key, which is never an array: a field that may hold one can match with
    /// an element, and this answer says nothing about it. Null stands for missing as well. The
    /// values are in ascending order and distinct; the filter must still be checked on what is
    /// found. An empty list means that nothing can match.
    ///
    /// ```
    /// use any_store_query::Filter;
    /// use anyenc::Value;
    ///
    /// let filter = Filter::from_json(r#"{"id": {"$in": [7, 3]}, "a": 1}"#)?;
    /// assert_eq!(filter.point_on("id"), Some(vec![Value::Int64(3), Value::Int64(7)]));
    /// assert_eq!(filter.point_on("b"), None);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn point_on(&self, path: &str) -> Option<Vec<Value>> {
        points::points(&self.root, path)
    }

    /// The intervals of keys at `path` in which every document that matches has one, and the residual
    /// filter, which the intervals do not decide.
    ///
    /// [`crate::bounds`] says what a planner must know to use them. A path that the filter does not
    /// ask about, or that is too long to be one, has the interval of all keys.
    ///
    /// ```
    /// use any_store_query::Filter;
    /// use any_store_query::bounds::Keys;
    ///
    /// let filter = Filter::from_json(r#"{"age": {"$gte": 18, "$mod": [2, 0]}, "city": "Wien"}"#)?;
    /// let bounds = filter.bounds("age", Keys::OnePerDocument);
    /// assert_eq!(bounds.intervals().len(), 1);
    /// assert_eq!(bounds.residual().to_string(), r#"{"age":{"$mod":[2,0]},"city":"Wien"}"#);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn bounds(&self, path: &str, keys: Keys) -> Bounds {
        match Path::parse(path) {
            Ok(path) => bounds::bounds(&self.root, path.segments(), keys),
            Err(_) => {
                Bounds { intervals: vec![Interval::all()], is_exact: true, residual: self.clone() }
            }
        }
    }

    /// Is there a condition on this path, or on one above or below it?
    pub(crate) fn asks_about(&self, path: &Path) -> bool {
        position::asks_about(&self.root, path)
    }

    /// The filter as a document that parses back to an equal filter.
    pub fn to_document(&self) -> Document {
        print::conjunction(&self.root)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_document().fmt(f)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({self})")
    }
}

/// Clauses that must all hold; none at all always hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Conjunction {
    clauses: Vec<Clause>,
}

/// One key of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Clause {
    And(Vec<Conjunction>),
    Or(Vec<Conjunction>),
    Nor(Vec<Conjunction>),
    Field { path: Path, conditions: Vec<Condition> },
    Comment(Value),
}

/// One operator on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Eq(Operand),
    Ne(Operand),
    Order(OrderTest, Operand),
    In(InSet),
    Nin(InSet),
    Exists(bool),
    Type(TypeSet),
    Size(u64),
    All(Vec<Condition>),
    ElemMatch(ElementTest),
    Mod(Remainder),
    Bits(BitTest),
    Regex(Pattern),
    Not(Vec<Condition>),
}

/// An operator that compares by order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OrderTest {
    Gt,
    Gte,
    Lt,
    Lte,
}

/// What `$elemMatch` asks of one element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ElementTest {
    /// Of the element itself.
    Value(Vec<Condition>),
    /// Of the element's fields; only objects and arrays have them.
    Fields(Conjunction),
}

/// What `$elemMatch` asks of an element, outside of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementFilter(ElementTest);

impl ElementFilter {
    /// Reads the operand of an `$elemMatch`.
    pub(crate) fn parse<'v>(
        op: &str,
        value: &'v Value,
        trail: &mut Trail<'v>,
    ) -> Result<ElementFilter, ParseError> {
        parse::element_filter(op, value, trail).map(ElementFilter)
    }

    /// The first element that satisfies it.
    pub(crate) fn first<'a>(
        &self,
        array: RawArray<'a>,
    ) -> Result<Option<RawValue<'a>>, DecodeError> {
        for element in array.iter() {
            let element = element?;
            if eval::element_holds(element, &self.0)? {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }
}

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
mod disjunctions;
mod equalities;
mod eval;
mod implies;
mod parse;
mod pattern;
#[cfg(test)]
mod planning_tests;
mod points;
mod position;
mod presence;
mod print;
mod shape;
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
        Filter { root: Arc::new(Conjunction::new([])) }
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
        self.root.clauses().all(|clause| matches!(clause, Clause::Comment(_)))
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
            Ok(path) => bounds::bounds(self, path.segments(), keys),
            Err(_) => {
                Bounds { intervals: vec![Interval::all()], is_exact: true, residual: self.clone() }
            }
        }
    }

    /// Does every document that this filter matches match `partial` as well, so that an index that holds
    /// the matches of `partial` alone may serve this filter?
    ///
    /// The answer is yes only where it is plain: each condition of `partial` (at its top or in `$and`)
    /// follows from one condition of this filter on the same path. It is the same; or it allows all
    /// values that the other allows, as `$gte` 5 does where `$eq` 7, `$gt` 5 or an `$in` of greater
    /// numbers is given; or it is `$exists` and the other is true of no missing field. Negations and
    /// whole logical clauses follow from their like alone. Two conditions together give nothing more
    /// than each: different elements of an array may satisfy them.
    ///
    /// ```
    /// use any_store_query::Filter;
    ///
    /// let filter = Filter::from_json(r#"{"age": {"$gte": 21, "$lt": 30}, "city": "Wien"}"#)?;
    /// let adults = Filter::from_json(r#"{"age": {"$gte": 18}, "city": {"$exists": true}}"#)?;
    /// assert!(filter.implies(&adults));
    /// assert!(!adults.implies(&filter));
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn implies(&self, partial: &Filter) -> bool {
        implies::implies(&self.root, &partial.root)
    }

    /// Has every document that matches something at `path`, be it null, so that a sparse index on it
    /// holds them all? Whether it holds the right entries of them is told in [`crate::bounds`].
    ///
    /// The answer may be no where it is yes: always for a path with a part that is a number, behind the
    /// first, which indexes read otherwise than filters.
    ///
    /// ```
    /// use any_store_query::Filter;
    ///
    /// let filter = Filter::from_json(r#"{"a": {"$gt": 1}, "b": null, "c": {"$ne": null}}"#)?;
    /// assert!(filter.implies_present("a") && filter.implies_present("c"));
    /// assert!(!filter.implies_present("b"));
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn implies_present(&self, path: &str) -> bool {
        Path::parse(path).is_ok_and(|path| presence::implies_present(&self.root, path.segments()))
    }

    /// The filter as a union of narrower ones, for each `$or` that must hold (at the top or in `$and`):
    /// one for each of its branches, with all other clauses of the filter beside it. A document matches
    /// the filter if and only if it matches one of them; it may match several.
    ///
    /// An `$or` of more than 64 branches is left out, as is every one of a filter with more than 1,000
    /// clauses; of the others the first eight are given.
    ///
    /// ```
    /// use any_store_query::Filter;
    ///
    /// let filter = Filter::from_json(r#"{"a": 1, "$or": [{"b": 2}, {"a": {"$lt": 5}}]}"#)?;
    /// let branches: Vec<String> =
    ///     filter.disjunctions().concat().iter().map(ToString::to_string).collect();
    /// assert_eq!(branches, [r#"{"a":1,"b":2}"#, r#"{"a":1,"$and":[{"a":{"$lt":5}}]}"#]);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn disjunctions(&self) -> Vec<Vec<Filter>> {
        disjunctions::disjunctions(&self.root)
    }

    /// A number for the filter's form: its paths, its operators, how they are nested, and the types of
    /// the operands, but not their values. It is the same in every process and every version, and does
    /// not depend on the order in which conditions are written. Different forms have different numbers
    /// but for chance.
    ///
    /// ```
    /// use any_store_query::Filter;
    ///
    /// let shape = |text| Filter::from_json(text).map(|filter| filter.shape());
    /// assert_eq!(shape(r#"{"a": 1, "b": "x"}"#)?, shape(r#"{"b": "y", "a": 2.5}"#)?);
    /// assert_ne!(shape(r#"{"a": 1}"#)?, shape(r#"{"a": "x"}"#)?);
    /// # Ok::<(), any_store_query::ParseError>(())
    /// ```
    pub fn shape(&self) -> u64 {
        shape::conjunction(&self.root)
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
    /// Shared: residual filters and branches repeat them.
    clauses: Vec<Arc<Clause>>,
}

impl Conjunction {
    fn new(clauses: impl IntoIterator<Item = Clause>) -> Conjunction {
        Conjunction { clauses: clauses.into_iter().map(Arc::new).collect() }
    }

    fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().map(Arc::as_ref)
    }
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

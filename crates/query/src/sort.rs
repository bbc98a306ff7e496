//! Sorts: the place of a document in an order, as bytes for `memcmp`.
//!
//! A key is the concatenation of the encodings of the sort's fields, each ascending or descending.
//! A document whose fields hold an array has several keys, one for each element; it is sorted by
//! the least of them, which is the least element ascending and the greatest descending. Fields that
//! lead through one array of objects take their values from one element together.

use std::cmp::Ordering;

use anyenc::key::{encode_empty_array_key, encode_key};
use anyenc::{DecodeError, Direction, Document, Path, RawDocument, RawValue, Value};

use crate::error::{ParseError, SortError, Source};
use crate::path;
use crate::trail::{Step, Trail, read_json};
use crate::walk::{self, Slot, same_bytes};

/// Most fields of one sort.
const MAX_FIELDS: usize = 64;

/// An order of documents, by one field or several, the first the most significant.
///
/// ```
/// use any_store_query::Sort;
/// use anyenc::{RawDocumentBuf, doc};
///
/// let sort = Sort::by("-size")?;
/// let mut keys = Vec::new();
/// for size in [1, 3, 2] {
///     let mut key = Vec::new();
///     sort.key(RawDocumentBuf::from_document(&doc! { "size": size })?.as_raw(), &mut key)?;
///     keys.push((key, size));
/// }
/// keys.sort();
/// assert_eq!(keys.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [3, 2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sort {
    paths: Vec<Path>,
    directions: Vec<Direction>,
}

impl Sort {
    /// The sort by nothing, which puts no document before another.
    pub fn none() -> Sort {
        Sort::default()
    }

    /// Reads a sort by one field: its path, with a `-` in front for descending order.
    ///
    /// # Errors
    /// The path is not one that can be sorted by.
    pub fn by(field: &str) -> Result<Sort, ParseError> {
        Sort::by_all([field])
    }

    /// Reads a sort by several fields, each as in [`Sort::by`].
    ///
    /// # Errors
    /// A path is not one that can be sorted by, or there are too many.
    pub fn by_all<'f>(fields: impl IntoIterator<Item = &'f str>) -> Result<Sort, ParseError> {
        let mut trail = Trail::new(Source::Sort, None);
        let mut sort = Sort::none();
        for (index, field) in fields.into_iter().enumerate() {
            trail.within(Step::Index(index), |trail| sort.add_signed(field, trail))?;
        }
        Ok(sort)
    }

    /// Reads a sort from a value: `"-a"`, `["a", "-b"]` or `{"a": 1, "b": -1}`.
    ///
    /// # Errors
    /// The value is none of these forms.
    pub fn parse(value: &Value) -> Result<Sort, ParseError> {
        parse(value, &mut Trail::new(Source::Sort, None))
    }

    /// Reads a sort from JSON text in one of the forms of [`Sort::parse`].
    ///
    /// # Errors
    /// The text is not JSON, or not a sort.
    pub fn from_json(text: &str) -> Result<Sort, ParseError> {
        let value = read_json(Source::Sort, text)?;
        parse(&value, &mut Trail::new(Source::Sort, Some(text.as_bytes())))
    }

    /// Reads a sort from a document, `{"a": 1, "b": -1}`.
    ///
    /// # Errors
    /// A value is neither 1 nor -1, or a path is not one that can be sorted by.
    pub fn from_document(document: &Document) -> Result<Sort, ParseError> {
        parse_document(document, &mut Trail::new(Source::Sort, None))
    }

    /// Does the sort leave the order open?
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The fields with their directions, the most significant first.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&Path, Direction)> {
        self.paths.iter().zip(self.directions.iter().copied())
    }

    /// Appends the document's key to `out`: of two documents, the one with the lesser key is first.
    ///
    /// # Errors
    /// Two fields hold different arrays, or the document's bytes are damaged; `out` is then as it
    /// was.
    pub fn key(&self, document: RawDocument<'_>, out: &mut Vec<u8>) -> Result<(), SortError> {
        let start = out.len();
        let result = match self.plain_key(document, out) {
            Ok(true) => Ok(()),
            Ok(false) => {
                out.truncate(start);
                self.least_key(document, out)
            }
            Err(error) => Err(error.into()),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// The key of a document without arrays on the way; says whether it was one.
    fn plain_key(&self, document: RawDocument<'_>, out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        for (path, direction) in self.fields() {
            match plain_value(document, path)? {
                Some(value) => encode_key(value, direction, out)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The least of the keys that the elements of arrays give.
    fn least_key(&self, document: RawDocument<'_>, out: &mut Vec<u8>) -> Result<(), SortError> {
        let mut least: Vec<Slot<'_>> = Vec::new();
        walk::expand::<SortError, _>(document, &self.paths, &mut |tuple| {
            if least.is_empty() || self.is_before(tuple, &least)? {
                least.clear();
                least.extend_from_slice(tuple);
            }
            Ok(())
        })?;
        for (slot, direction) in least.iter().zip(&self.directions) {
            match slot {
                Slot::EmptyArray => encode_empty_array_key(*direction, out),
                Slot::Missing => encode_key(RawValue::Null, *direction, out)?,
                Slot::Value(value) => encode_key(*value, *direction, out)?,
            }
        }
        Ok(())
    }

    fn is_before(&self, tuple: &[Slot<'_>], least: &[Slot<'_>]) -> Result<bool, DecodeError> {
        for ((slot, other), direction) in tuple.iter().zip(least).zip(&self.directions) {
            let order = match direction {
                Direction::Ascending => compare(slot, other)?,
                Direction::Descending => compare(other, slot)?,
            };
            if order.is_ne() {
                return Ok(order.is_lt());
            }
        }
        Ok(false)
    }

    fn add_signed(&mut self, field: &str, trail: &Trail<'_>) -> Result<(), ParseError> {
        match field.strip_prefix('-') {
            Some(field) => self.add(field, Direction::Descending, trail),
            None => self.add(field, Direction::Ascending, trail),
        }
    }

    /// Adds a field; one that is there already decides nothing any more and is left out.
    fn add(
        &mut self,
        field: &str,
        direction: Direction,
        trail: &Trail<'_>,
    ) -> Result<(), ParseError> {
        let path = path::parse_plain(field, trail)?;
        if self.paths.contains(&path) {
            return Ok(());
        }
        if self.paths.len() == MAX_FIELDS {
            return Err(trail.limit(format!("a sort has at most {MAX_FIELDS} fields")));
        }
        self.paths.push(path);
        self.directions.push(direction);
        Ok(())
    }
}

fn parse<'v>(value: &'v Value, trail: &mut Trail<'v>) -> Result<Sort, ParseError> {
    let mut sort = Sort::none();
    match value {
        Value::String(field) => sort.add_signed(field, trail)?,
        Value::Array(fields) => {
            for (index, field) in fields.iter().enumerate() {
                trail.within(Step::Index(index), |trail| match field {
                    Value::String(field) => sort.add_signed(field, trail),
                    _ => Err(trail.invalid("", "a field to sort by must be a string")),
                })?;
            }
        }
        Value::Object(document) => return parse_document(document, trail),
        _ => return Err(trail.invalid("", "a sort must be a path, an array of paths or an object")),
    }
    Ok(sort)
}

fn parse_document<'v>(document: &'v Document, trail: &mut Trail<'v>) -> Result<Sort, ParseError> {
    let mut sort = Sort::none();
    for (field, value) in document.iter() {
        trail.within(Step::Key(field), |trail| {
            let direction = match value {
                Value::Int64(1) => Direction::Ascending,
                Value::Int64(-1) => Direction::Descending,
                Value::Double(1.0) => Direction::Ascending,
                Value::Double(-1.0) => Direction::Descending,
                _ => return Err(trail.invalid("", "the direction of a sort must be 1 or -1")),
            };
            sort.add(field, direction, trail)
        })?;
    }
    Ok(sort)
}

/// The value at a path, null if missing; nothing where an array stands in the way.
fn plain_value<'a>(
    document: RawDocument<'a>,
    path: &Path,
) -> Result<Option<RawValue<'a>>, DecodeError> {
    let mut at = RawValue::Object(document);
    for part in path.segments() {
        at = match at {
            RawValue::Object(object) => object.get(&part.name)?.unwrap_or(RawValue::Null),
            _ => RawValue::Null,
        };
        if let RawValue::Array(_) = at {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

fn compare(one: &Slot<'_>, other: &Slot<'_>) -> Result<Ordering, DecodeError> {
    match (value_of(one), value_of(other)) {
        (None, None) => Ok(Ordering::Equal),
        (None, Some(_)) => Ok(Ordering::Less),
        (Some(_), None) => Ok(Ordering::Greater),
        // What is not in the array is the same in every tuple; a long string there must not be
        // compared with itself once per element.
        (Some(one), Some(other)) if same_place(one, other) => Ok(Ordering::Equal),
        (Some(one), Some(other)) => one.compare(&other),
    }
}

/// The value a slot counts as; none for the empty array, which is below all values.
fn value_of<'a>(slot: &Slot<'a>) -> Option<RawValue<'a>> {
    match slot {
        Slot::EmptyArray => None,
        Slot::Missing => Some(RawValue::Null),
        Slot::Value(value) => Some(*value),
    }
}

fn same_place(one: RawValue<'_>, other: RawValue<'_>) -> bool {
    match (one, other) {
        (RawValue::String(one), RawValue::String(other)) => {
            same_bytes(one.as_bytes(), other.as_bytes())
        }
        (RawValue::Binary(one), RawValue::Binary(other)) => same_bytes(one.bytes, other.bytes),
        (RawValue::Object(one), RawValue::Object(other)) => {
            same_bytes(one.as_bytes(), other.as_bytes())
        }
        (RawValue::Array(one), RawValue::Array(other)) => {
            same_bytes(one.as_bytes(), other.as_bytes())
        }
        _ => false,
    }
}

//! What a dotted path finds in an encoded document, arrays included.
//!
//! Two walks live here. [`visit`] answers a filter's question, "does any value at this path ...":
//!
//! ```text
//! {"a":[{"b":1},{"b":[2,3]},5]}    "a.b"    visits  1   2   3   [2,3]
//! ```
//!
//! A path goes on inside the objects of an array, one level of array at a time, and a part that is
//! a number is both a key and an index. Where an object lacks the next part, nothing ([`None`]) is
//! visited in its place, so that null and missing are answered per element; elements that are no
//! objects are passed over. An array at the path's end is visited element by element and then
//! whole, except one that was reached by its index, which is visited whole only.
//!
//! [`expand`] answers the question of a sort and of an index, "which tuples of values does this
//! document have at these paths". Paths that lead through the same array are taken together from
//! one element; paths through different arrays have no tuples but an error:
//!
//! ```text
//! {"a":[{"b":1,"c":2},{"b":3}],"d":4}    "a.b" "a.c" "d"    (1,2,4)   (3,missing,4)
//! ```
//!
//! Both recurse once per path part, so their depth is bounded by the limit on those.

use anyenc::{DecodeError, Path, RawArray, RawDocument, RawValue, Segment};

use crate::error::ParallelArrays;

/// What to visit where a path ends at an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafArray {
    /// Each element, then the array itself.
    ElementsAndWhole,
    /// The array itself.
    Whole,
}

/// Something with members: a document, or an array seen as an object whose keys are indexes.
#[derive(Debug, Clone, Copy)]
pub enum Container<'a> {
    /// An object.
    Object(RawDocument<'a>),
    /// An array; a segment that is no index finds nothing in it.
    Array(RawArray<'a>),
    /// One value under a name, which need not come from any document.
    Named(&'a str, RawValue<'a>),
}

impl<'a> Container<'a> {
    /// The member that a path's part names, if there is one.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn get(&self, part: &Segment) -> Result<Option<RawValue<'a>>, DecodeError> {
        match (self, part.index) {
            (Container::Object(object), _) => object.get(&part.name),
            (Container::Array(array), Some(index)) => array.get(index as usize),
            (Container::Array(_), None) => Ok(None),
            (Container::Named(name, value), _) => Ok((part.name == *name).then_some(*value)),
        }
    }
}

/// Visits every value that `path` finds below `root`, until `found` says that it has seen enough.
///
/// Returns whether it did. `found` is given [`None`] where a value is missing.
///
/// # Errors
/// The bytes are damaged, or `found` says so.
///
/// ```
/// use any_store_query::walk::{self, Container, LeafArray};
/// use anyenc::{Path, RawDocumentBuf, RawValue, doc};
///
/// let stored = RawDocumentBuf::from_document(&doc! { "a": [{ "b": 1 }, { "b": 2 }] })?;
/// let path = Path::parse("a.b")?;
/// let mut sum = 0;
/// let root = Container::Object(stored.as_raw());
/// walk::visit(root, path.segments(), LeafArray::ElementsAndWhole, &mut |value| {
///     if let Some(RawValue::Int64(number)) = value {
///         sum += number;
///     }
///     Ok(false)
/// })?;
/// assert_eq!(sum, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn visit<'a, F>(
    root: Container<'a>,
    path: &[Segment],
    leaf: LeafArray,
    found: &mut F,
) -> Result<bool, DecodeError>
where
    F: FnMut(Option<RawValue<'a>>) -> Result<bool, DecodeError>,
{
    match path.split_first() {
        Some((part, rest)) => visit_value(root.get(part)?, rest, leaf, found),
        None => Ok(false),
    }
}

/// Visits what `rest` finds in a value that the path's first parts have already found.
///
/// # Errors
/// As [`visit`].
pub fn visit_value<'a, F>(
    value: Option<RawValue<'a>>,
    rest: &[Segment],
    leaf: LeafArray,
    found: &mut F,
) -> Result<bool, DecodeError>
where
    F: FnMut(Option<RawValue<'a>>) -> Result<bool, DecodeError>,
{
    match value {
        Some(RawValue::Array(array)) if !rest.is_empty() => {
            visit_elements(array, rest, leaf, found)
        }
        Some(RawValue::Array(array)) if leaf == LeafArray::ElementsAndWhole => {
            for element in array.iter() {
                if found(Some(element?))? {
                    return Ok(true);
                }
            }
            found(value)
        }
        Some(RawValue::Object(object)) if !rest.is_empty() => {
            visit(Container::Object(object), rest, leaf, found)
        }
        _ if rest.is_empty() => found(value),
        _ => found(None),
    }
}

/// Visits what `path` finds in the elements of an array: by key in its objects, and by index.
fn visit_elements<'a, F>(
    array: RawArray<'a>,
    path: &[Segment],
    leaf: LeafArray,
    found: &mut F,
) -> Result<bool, DecodeError>
where
    F: FnMut(Option<RawValue<'a>>) -> Result<bool, DecodeError>,
{
    for element in array.iter() {
        if let RawValue::Object(object) = element?
            && visit(Container::Object(object), path, leaf, found)?
        {
            return Ok(true);
        }
    }
    let Some((part, rest)) = path.split_first() else { return Ok(false) };
    match Container::Array(array).get(part)? {
        Some(element) if rest.is_empty() => found(Some(element)),
        Some(RawValue::Object(object)) => visit(Container::Object(object), rest, leaf, found),
        Some(RawValue::Array(inner)) => visit_elements(inner, rest, leaf, found),
        _ => Ok(false),
    }
}

/// One place of a tuple.
#[derive(Debug, Clone, Copy)]
pub enum Slot<'a> {
    /// The path finds nothing. Sorts and indexes count it as null.
    Missing,
    /// The path ends at an empty array, which sorts below null.
    EmptyArray,
    /// A value; an array only where it is an element of another, or was reached by its index.
    Value(RawValue<'a>),
}

/// Gives `emit` every tuple of values that `paths` find in a document; at least one.
///
/// # Errors
/// Two paths lead through different arrays; the bytes are damaged; or `emit` says so.
pub fn expand<'a, E, F>(root: RawDocument<'a>, paths: &[Path], emit: &mut F) -> Result<(), E>
where
    E: From<DecodeError> + From<ParallelArrays>,
    F: FnMut(&[Slot<'a>]) -> Result<(), E>,
{
    let fields = paths.iter().map(|path| Field::Open(path.segments(), None)).collect();
    expand_level(paths, Some(root), fields, emit)
}

/// How far one path of a tuple has come.
#[derive(Clone, Copy)]
enum Field<'a, 'p> {
    /// It has its value.
    Done(Slot<'a>),
    /// These parts are still to be walked, from the object at hand or from what an index gave.
    Open(&'p [Segment], Option<Reached<'a, 'p>>),
    /// It has come to this array, and these parts remain for its elements.
    InArray(&'p [Segment], Reached<'a, 'p>),
}

impl Field<'_, '_> {
    fn is_open(&self) -> bool {
        matches!(self, Field::Open(..))
    }
}

/// Where a walk through objects ended: at the path's end, at an array, or nowhere.
#[derive(Clone, Copy)]
struct Reached<'a, 'p> {
    value: Option<RawValue<'a>>,
    rest: &'p [Segment],
    /// The walk began by taking an element, itself an array, by its index.
    nested: bool,
}

fn expand_level<'a, E, F>(
    paths: &[Path],
    object: Option<RawDocument<'a>>,
    mut fields: Vec<Field<'a, '_>>,
    emit: &mut F,
) -> Result<(), E>
where
    E: From<DecodeError> + From<ParallelArrays>,
    F: FnMut(&[Slot<'a>]) -> Result<(), E>,
{
    for field in &mut fields {
        if let Field::Open(parts, by_index) = *field {
            *field = advance(object, parts, by_index)?;
        }
    }
    let Some((array, by_element)) = common_array(paths, &fields)? else {
        return emit(&slots(&fields));
    };
    // What the paths find by index is the same for every element: it is looked up once.
    let fields = open(&fields, array)?;
    if array.is_empty() {
        return expand_element(paths, None, fill(&fields, Slot::EmptyArray), emit);
    }
    let whole = Slot::Value(RawValue::Array(array));
    let slot_of = |element| if by_element { Slot::Value(element) } else { whole };
    if !fields.iter().any(Field::is_open) {
        return expand_leaves(array, &fields, slot_of, emit);
    }
    for element in array.iter() {
        let element = element?;
        let object = match element {
            RawValue::Object(object) => Some(object),
            _ => None,
        };
        expand_element(paths, object, fill(&fields, slot_of(element)), emit)?;
    }
    Ok(())
}

/// Goes on below one element; at once to the tuple where no path goes on.
fn expand_element<'a, E, F>(
    paths: &[Path],
    object: Option<RawDocument<'a>>,
    fields: Vec<Field<'a, '_>>,
    emit: &mut F,
) -> Result<(), E>
where
    E: From<DecodeError> + From<ParallelArrays>,
    F: FnMut(&[Slot<'a>]) -> Result<(), E>,
{
    if fields.iter().any(Field::is_open) {
        expand_level(paths, object, fields, emit)
    } else {
        emit(&slots(&fields))
    }
}

/// Gives a tuple for each element of an array at which all paths that came to it end.
fn expand_leaves<'a, E, F>(
    array: RawArray<'a>,
    fields: &[Field<'a, '_>],
    slot_of: impl Fn(RawValue<'a>) -> Slot<'a>,
    emit: &mut F,
) -> Result<(), E>
where
    E: From<DecodeError>,
    F: FnMut(&[Slot<'a>]) -> Result<(), E>,
{
    let mut tuple = slots(fields);
    for element in array.iter() {
        let slot = slot_of(element?);
        for (place, field) in tuple.iter_mut().zip(fields) {
            if let Field::InArray(..) = field {
                *place = slot;
            }
        }
        emit(&tuple)?;
    }
    Ok(())
}

/// Walks one path as far as the next array. A key of the object at hand wins over an index.
fn advance<'a, 'p>(
    object: Option<RawDocument<'a>>,
    parts: &'p [Segment],
    by_index: Option<Reached<'a, 'p>>,
) -> Result<Field<'a, 'p>, DecodeError> {
    let own = match object {
        Some(object) => reach(Container::Object(object), parts)?,
        None => None,
    };
    Ok(match own.or(by_index) {
        Some(reached) => match reached.value {
            None => Field::Done(Slot::Missing),
            Some(RawValue::Array(_)) => Field::InArray(reached.rest, reached),
            Some(value) => Field::Done(Slot::Value(value)),
        },
        None => Field::Done(Slot::Missing),
    })
}

/// Walks through objects to the path's end or the first array; none if the first part is absent.
fn reach<'a, 'p>(
    from: Container<'a>,
    parts: &'p [Segment],
) -> Result<Option<Reached<'a, 'p>>, DecodeError> {
    let mut at = from;
    let mut nested = false;
    let mut rest = parts;
    while let Some((part, after)) = rest.split_first() {
        let first = rest.len() == parts.len();
        rest = after;
        match at.get(part)? {
            None if first => return Ok(None),
            value @ Some(RawValue::Array(_)) => {
                nested = first && matches!(from, Container::Array(_));
                return Ok(Some(Reached { value, rest, nested }));
            }
            Some(RawValue::Object(object)) if !rest.is_empty() => at = Container::Object(object),
            value if rest.is_empty() => return Ok(Some(Reached { value, rest, nested })),
            _ => break,
        }
    }
    Ok(Some(Reached { value: None, rest: &[], nested }))
}

/// The array that all paths in arrays lead through, and whether its elements are taken one by one.
fn common_array<'a>(
    paths: &[Path],
    fields: &[Field<'a, '_>],
) -> Result<Option<(RawArray<'a>, bool)>, ParallelArrays> {
    let mut common: Option<(usize, RawArray<'a>)> = None;
    let mut by_element = true;
    for (place, field) in fields.iter().enumerate() {
        let Field::InArray(_, reached) = field else { continue };
        let Some(RawValue::Array(array)) = reached.value else { continue };
        by_element &= !reached.nested;
        match common {
            None => common = Some((place, array)),
            Some((_, other)) if same_bytes(other.as_bytes(), array.as_bytes()) => {}
            Some((first, _)) => return Err(parallel(paths, first, place)),
        }
    }
    Ok(common.map(|(_, array)| (array, by_element)))
}

fn parallel(paths: &[Path], first: usize, second: usize) -> ParallelArrays {
    let name = |place: usize| paths.get(place).map(|path| path.as_str().to_owned());
    ParallelArrays {
        first: name(first).unwrap_or_default(),
        second: name(second).unwrap_or_default(),
    }
}

/// Opens the paths that go on below the elements of an array, each with what its index finds.
fn open<'a, 'p>(
    fields: &[Field<'a, 'p>],
    array: RawArray<'a>,
) -> Result<Vec<Field<'a, 'p>>, DecodeError> {
    let step = |field: &Field<'a, 'p>| match *field {
        Field::InArray(parts, _) if !parts.is_empty() => {
            Ok(Field::Open(parts, reach(Container::Array(array), parts)?))
        }
        other => Ok(other),
    };
    fields.iter().map(step).collect()
}

/// Puts `slot` where a path ends at the array.
fn fill<'a, 'p>(fields: &[Field<'a, 'p>], slot: Slot<'a>) -> Vec<Field<'a, 'p>> {
    let step = |field: &Field<'a, 'p>| match *field {
        Field::InArray(..) => Field::Done(slot),
        other => other,
    };
    fields.iter().map(step).collect()
}

fn slots<'a>(fields: &[Field<'a, '_>]) -> Vec<Slot<'a>> {
    let slot = |field: &Field<'a, '_>| match field {
        Field::Done(slot) => *slot,
        Field::Open(..) | Field::InArray(..) => Slot::Missing,
    };
    fields.iter().map(slot).collect()
}

/// Are these the same bytes of the same document, not merely equal ones?
pub(crate) fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    std::ptr::eq(one, other)
}

#[cfg(test)]
mod tests {
    use anyenc::{RawDocumentBuf, Value, doc};

    use super::*;
    use crate::error::SortError;

    fn tuples(document: &anyenc::Document, paths: &[&str]) -> Result<Vec<String>, SortError> {
        let stored = RawDocumentBuf::from_document(document).unwrap();
        let paths: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        let mut tuples = Vec::new();
        expand::<SortError, _>(stored.as_raw(), &paths, &mut |tuple| {
            let shown = tuple.iter().map(|slot| match slot {
                Slot::Missing => "-".to_owned(),
                Slot::EmptyArray => "empty".to_owned(),
                Slot::Value(value) => value.to_value().unwrap().to_string(),
            });
            tuples.push(shown.collect::<Vec<_>>().join(" "));
            Ok(())
        })?;
        Ok(tuples)
    }

    #[test]
    fn paths_through_one_array_are_taken_together() {
        let document = doc! { "a": [{ "b": 1, "c": 2 }, { "b": 3 }, 5], "d": 4 };
        assert_eq!(tuples(&document, &["a.b", "d", "a.c"]).unwrap(), ["1 4 2", "3 4 -", "- 4 -"]);
        assert_eq!(tuples(&document, &["d", "x"]).unwrap(), ["4 -"]);
    }

    #[test]
    fn arrays_inside_the_elements_of_an_array_are_opened_one_after_the_other() {
        let document = doc! { "a": [{ "b": [1, 2], "c": 7 }, { "b": [], "c": 8 }] };
        assert_eq!(tuples(&document, &["a.b", "a.c"]).unwrap(), ["1 7", "2 7", "empty 8"]);
        // An element that is an array is a value.
        assert_eq!(tuples(&doc! { "a": [[1, 2], 3] }, &["a"]).unwrap(), ["[1,2]", "3"]);
    }

    #[test]
    fn an_empty_array_is_one_entry() {
        let document = doc! { "a": [], "b": 1 };
        assert_eq!(tuples(&document, &["a", "b"]).unwrap(), ["empty 1"]);
        assert_eq!(tuples(&document, &["a.x", "b"]).unwrap(), ["- 1"]);
    }

    #[test]
    fn a_position_gives_one_value_and_a_key_wins_over_it() {
        let document = doc! { "a": [{ "b": 1 }, { "b": 2 }] };
        assert_eq!(tuples(&document, &["a.1.b"]).unwrap(), ["2", "2"]);
        assert_eq!(tuples(&document, &["a.1.b", "a.b"]).unwrap(), ["2 1", "2 2"]);
        assert_eq!(tuples(&doc! { "a": [{ "0": 7 }] }, &["a.0"]).unwrap(), ["7"]);
        assert_eq!(tuples(&doc! { "a": [[1, 2]] }, &["a.0"]).unwrap(), ["[1,2]", "[1,2]"]);
    }

    #[test]
    fn different_arrays_are_parallel() {
        let document = doc! { "a": [1], "b": [], "c": { "d": [2] } };
        for pair in [["a", "b"], ["a", "c.d"], ["b", "c.d"]] {
            let error = tuples(&document, &pair).unwrap_err();
            assert!(matches!(error, SortError::ParallelArrays(_)), "{error}");
        }
        assert!(tuples(&document, &["a", "a.b"]).is_ok());
    }

    #[test]
    fn a_visit_stops_as_soon_as_it_has_seen_enough() {
        let stored = RawDocumentBuf::from_document(&doc! { "a": [1, 2, 3] }).unwrap();
        let path = Path::parse("a").unwrap();
        let mut seen = Vec::new();
        let root = Container::Object(stored.as_raw());
        let stopped = visit(root, path.segments(), LeafArray::ElementsAndWhole, &mut |value| {
            seen.push(value.unwrap().to_value()?);
            Ok(seen.len() == 2)
        });
        assert_eq!(stopped, Ok(true));
        assert_eq!(seen, [Value::Int64(1), Value::Int64(2)]);
    }
}

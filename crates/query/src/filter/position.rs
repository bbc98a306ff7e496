//! Which element of an array made a document match: what the positional `$` stands for.
//!
//! Only conditions on the array, or on fields in its elements, single an element out; negations and
//! conditions on the whole array do not. Where several conditions do, the last one decides, as in
//! MongoDB, whose manual leaves it open.

use anyenc::{DecodeError, Path, RawArray, RawDocument, RawValue, Segment};

use super::eval::{self, Found};
use super::{Clause, Condition, Conjunction};
use crate::walk::{Container, LeafArray};

/// The first array that a path leads to or through, walking through objects, and what of the path
/// leads there.
pub(crate) fn first_array<'a, 'p>(
    document: RawDocument<'a>,
    path: &'p Path,
) -> Result<Option<(RawArray<'a>, &'p [Segment])>, DecodeError> {
    let mut at = document;
    for (index, part) in path.segments().iter().enumerate() {
        match at.get(&part.name)? {
            Some(RawValue::Array(array)) => {
                let way = path.segments().get(..=index).unwrap_or_default();
                return Ok(Some((array, way)));
            }
            Some(RawValue::Object(object)) => at = object,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// An array of a matching document, and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a, 'p> {
    pub(super) document: RawDocument<'a>,
    pub(super) array: RawArray<'a>,
    pub(super) way: &'p [Segment],
}

/// The element that the conditions single out, if they do.
pub(super) fn conjunction(
    all: &Conjunction,
    place: Place<'_, '_>,
) -> Result<Option<usize>, DecodeError> {
    let mut last = None;
    for clause in &all.clauses {
        last = self::clause(clause, place)?.or(last);
    }
    Ok(last)
}

fn clause(clause: &Clause, place: Place<'_, '_>) -> Result<Option<usize>, DecodeError> {
    match clause {
        Clause::And(branches) => last_of(branches, |branch| conjunction(branch, place)),
        Clause::Or(branches) => {
            for branch in branches {
                if eval::conjunction(branch, Container::Object(place.document))? {
                    return conjunction(branch, place);
                }
            }
            Ok(None)
        }
        Clause::Field { path, conditions } => match path.segments().strip_prefix(place.way) {
            Some(rest) => last_of(conditions, |condition| element(condition, place.array, rest)),
            None => Ok(None),
        },
        Clause::Nor(_) | Clause::Comment(_) => Ok(None),
    }
}

fn last_of<T>(
    items: &[T],
    mut position: impl FnMut(&T) -> Result<Option<usize>, DecodeError>,
) -> Result<Option<usize>, DecodeError> {
    let mut last = None;
    for item in items {
        last = position(item)?.or(last);
    }
    Ok(last)
}

/// The first element that satisfies a condition which asks about elements.
fn element(
    condition: &Condition,
    array: RawArray<'_>,
    rest: &[Segment],
) -> Result<Option<usize>, DecodeError> {
    match condition {
        Condition::Ne(_)
        | Condition::Nin(_)
        | Condition::Not(_)
        | Condition::Size(_)
        | Condition::Exists(false) => Ok(None),
        Condition::All(members) => last_of(members, |member| element(member, array, rest)),
        Condition::ElemMatch(test) if rest.is_empty() => {
            first(array, |element| eval::element_holds(element, test))
        }
        _ => first(array, |element| satisfies(element, condition, rest)),
    }
}

fn first<'a>(
    array: RawArray<'a>,
    mut test: impl FnMut(RawValue<'a>) -> Result<bool, DecodeError>,
) -> Result<Option<usize>, DecodeError> {
    for (index, element) in array.iter().enumerate() {
        if test(element?)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn satisfies(
    element: RawValue<'_>,
    condition: &Condition,
    rest: &[Segment],
) -> Result<bool, DecodeError> {
    match (rest.split_first(), element) {
        (None, element) => {
            let found = Found { head: Some(element), rest: &[], leaf: LeafArray::Whole };
            eval::holds(condition, found)
        }
        (Some((part, rest)), RawValue::Object(object)) => {
            let head = object.get(&part.name)?;
            eval::holds(condition, Found { head, rest, leaf: LeafArray::ElementsAndWhole })
        }
        _ => Ok(false),
    }
}

/// The element that the conditions single out, in whatever array they meet.
pub(super) fn anywhere(
    all: &Conjunction,
    document: RawDocument<'_>,
) -> Result<Option<usize>, DecodeError> {
    last_of(&all.clauses, |clause| match clause {
        Clause::And(branches) => last_of(branches, |branch| anywhere(branch, document)),
        Clause::Or(branches) => {
            for branch in branches {
                if eval::conjunction(branch, Container::Object(document))? {
                    return anywhere(branch, document);
                }
            }
            Ok(None)
        }
        Clause::Field { path, .. } => match first_array(document, path)? {
            Some((array, way)) => self::clause(clause, Place { document, array, way }),
            None => Ok(None),
        },
        Clause::Nor(_) | Clause::Comment(_) => Ok(None),
    })
}

/// Is there a condition, outside of `$nor`, on the path, or on one above or below it?
pub(super) fn asks_about(all: &Conjunction, path: &Path) -> bool {
    all.clauses.iter().any(|clause| match clause {
        Clause::And(branches) | Clause::Or(branches) => {
            branches.iter().any(|branch| asks_about(branch, path))
        }
        Clause::Field { path: field, .. } => field.is_prefix_of(path) || path.is_prefix_of(field),
        Clause::Nor(_) | Clause::Comment(_) => false,
    })
}

//! Which element of an array made a document match: what `$` means in a path.
//!
//! A condition whose path meets an array is satisfied by one of its elements; the first of these is
//! the condition's position. Negations and questions about a whole array have none. Where several
//! conditions have one, those on the array that is asked for go before those on other arrays, and
//! the one that is written last decides.

use anyenc::{DecodeError, Path, RawArray, RawDocument, RawValue, Segment};

use super::eval::{self, Found};
use super::{Clause, Condition, Conjunction, Filter};
use crate::walk::{Container, LeafArray};

impl Filter {
    /// The element of the array at `array` by which a document matches, if it is one that does.
    pub(crate) fn position(
        &self,
        document: RawDocument<'_>,
        array: &[Segment],
    ) -> Result<Option<usize>, DecodeError> {
        let mut search = Search { document, array, here: None, elsewhere: None };
        search.conjunction(&self.root)?;
        Ok(search.here.or(search.elsewhere))
    }
}

struct Search<'a, 'p> {
    document: RawDocument<'a>,
    array: &'p [Segment],
    /// The last position in the array that is asked for.
    here: Option<usize>,
    /// The last one in any other array.
    elsewhere: Option<usize>,
}

impl<'a> Search<'a, '_> {
    fn conjunction(&mut self, all: &Conjunction) -> Result<(), DecodeError> {
        all.clauses().try_for_each(|clause| self.clause(clause))
    }

    fn clause(&mut self, clause: &Clause) -> Result<(), DecodeError> {
        match clause {
            Clause::And(branches) => {
                branches.iter().try_for_each(|branch| self.conjunction(branch))
            }
            Clause::Or(branches) => {
                for branch in branches {
                    if eval::conjunction(branch, Container::Object(self.document))? {
                        return self.conjunction(branch);
                    }
                }
                Ok(())
            }
            Clause::Field { path, conditions } => self.field(path, conditions),
            Clause::Nor(_) | Clause::Comment(_) => Ok(()),
        }
    }

    fn field(&mut self, path: &Path, conditions: &[Condition]) -> Result<(), DecodeError> {
        let Some((array, rest)) = first_array(self.document, path.segments())? else {
            return Ok(());
        };
        let before = path.segments().len() - rest.len();
        let is_here = path.segments().get(..before) == Some(self.array);
        for condition in conditions {
            if let Some(position) = position(condition, array, rest)? {
                *(if is_here { &mut self.here } else { &mut self.elsewhere }) = Some(position);
            }
        }
        Ok(())
    }
}

/// The first array on a path, and the parts for its elements. A part that is a number leads on into
/// the element there.
fn first_array<'a, 'p>(
    document: RawDocument<'a>,
    path: &'p [Segment],
) -> Result<Option<(RawArray<'a>, &'p [Segment])>, DecodeError> {
    let mut at = Container::Object(document);
    let mut rest = path;
    while let Some((part, after)) = rest.split_first() {
        rest = after;
        at = match at.get(part)? {
            Some(RawValue::Object(object)) => Container::Object(object),
            Some(RawValue::Array(array)) => match rest.first() {
                Some(Segment { index: Some(_), .. }) => Container::Array(array),
                _ => return Ok(Some((array, rest))),
            },
            _ => return Ok(None),
        };
    }
    Ok(None)
}

/// The first element that satisfies a condition, if it is one on elements.
fn position(
    condition: &Condition,
    array: RawArray<'_>,
    rest: &[Segment],
) -> Result<Option<usize>, DecodeError> {
    match condition {
        Condition::Ne(_) | Condition::Nin(_) | Condition::Not(_) | Condition::Exists(_) => Ok(None),
        Condition::Size(_) if rest.is_empty() => Ok(None),
        Condition::All(members) => {
            let mut last = None;
            for member in members {
                last = position(member, array, rest)?.or(last);
            }
            Ok(last)
        }
        _ => {
            for (index, element) in array.iter().enumerate() {
                if satisfies(element?, condition, rest)? {
                    return Ok(Some(index));
                }
            }
            Ok(None)
        }
    }
}

fn satisfies(
    element: RawValue<'_>,
    condition: &Condition,
    rest: &[Segment],
) -> Result<bool, DecodeError> {
    let found = match (rest.split_first(), element) {
        (None, _) => match condition {
            Condition::ElemMatch(test) => return eval::element_holds(element, test),
            _ => Found { head: Some(element), rest, leaf: LeafArray::Whole },
        },
        (Some((part, rest)), RawValue::Object(object)) => {
            Found { head: object.get(&part.name)?, rest, leaf: LeafArray::ElementsAndWhole }
        }
        _ => return Ok(false),
    };
    eval::holds(condition, found)
}

/// The first array that a path leads to or through, walking through objects, and the parts that lead
/// there.
pub(crate) fn array_on<'a, 'p>(
    document: RawDocument<'a>,
    path: &'p Path,
) -> Result<Option<(RawArray<'a>, &'p [Segment])>, DecodeError> {
    let mut at = document;
    for (index, part) in path.segments().iter().enumerate() {
        match at.get(&part.name)? {
            Some(RawValue::Array(array)) => {
                return Ok(path.segments().get(..=index).map(|way| (array, way)));
            }
            Some(RawValue::Object(object)) => at = object,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Is there a condition, outside of `$nor`, on the path, or on one above or below it?
pub(super) fn asks_about(all: &Conjunction, path: &Path) -> bool {
    all.clauses().any(|clause| match clause {
        Clause::And(branches) | Clause::Or(branches) => {
            branches.iter().any(|branch| asks_about(branch, path))
        }
        Clause::Field { path: field, .. } => field.is_prefix_of(path) || path.is_prefix_of(field),
        Clause::Nor(_) | Clause::Comment(_) => false,
    })
}

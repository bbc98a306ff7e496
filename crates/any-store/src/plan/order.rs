//! Whether an index gives its documents in the order of a sort.
//!
//! The keys of an index are ordered by its fields and then by id. A sort is supplied if its fields
//! follow those of the index, all in their directions or all against them; fields that the filter
//! pins to one value may be passed over in both.
//!
//! Documents of equal sort keys come in ascending order of their ids, in every plan. Entries come so
//! only if the sort uses up all fields of the index and the walk goes forward; else the entries of one
//! sort key are put in the order of their ids, group by group.

use any_store_query::Sort;
use anyenc::Path;
use anyenc::key::Direction;

use super::reach::{Fields, Reach};

/// An order that a walk supplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) is_reverse: bool,
    pub(crate) ties: Ties,
}

/// In which order the entries come whose first components are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ties {
    /// As they stand in the tree, or exactly against it.
    AsStored,
    /// In ascending order of the ids, where this many components are equal.
    ById { components: usize },
}

/// The order in which to walk so that a sort is supplied, if it can be.
pub(crate) fn supplied(
    fields: Fields<'_>,
    reach: &Reach,
    sort: &Sort,
    primary_key: &str,
) -> Option<Order> {
    let mut wanted = sort.fields().filter(|(path, _)| !is_constant(fields, reach, path)).peekable();
    let mut next = 0;
    let mut is_reverse = None;
    let mut sorted_fields = 0u64;
    while let Some((path, direction)) = wanted.peek() {
        let Some(field) = fields.paths.get(next) else { break };
        if field == *path {
            let against = fields.directions.get(next) != Some(direction);
            if *is_reverse.get_or_insert(against) != against {
                return None;
            }
            sorted_fields |= 1u64.checked_shl(u32::try_from(next).ok()?).unwrap_or(0);
            wanted.next();
        } else if !is_pinned_single(fields, reach, next) {
            return None;
        }
        next += 1;
    }
    if !is_sound(fields, reach, sorted_fields) {
        return None;
    }
    // Pinned fields at the end tell apart nothing.
    while next < fields.paths.len() && is_pinned_single(fields, reach, next) {
        next += 1;
    }
    let is_complete = next == fields.paths.len();
    let (is_reverse, ties) = match (wanted.next(), is_reverse) {
        (None, None | Some(false)) if is_complete => (false, Ties::AsStored),
        (None, is_reverse) => (is_reverse.unwrap_or(false), Ties::ById { components: next }),
        (Some((path, _)), _) if path.as_str() != primary_key => return None,
        // Behind the fields of the index stand ascending ids.
        (Some((_, Direction::Ascending)), None | Some(false)) if is_complete => {
            (false, Ties::AsStored)
        }
        (Some((_, Direction::Ascending)), is_reverse) => {
            (is_reverse.unwrap_or(false), Ties::ById { components: next })
        }
        (Some((_, Direction::Descending)), None | Some(true)) if is_complete => {
            (true, Ties::AsStored)
        }
        (Some((_, Direction::Descending)), _) => return None,
    };
    // What stands behind the primary key orders nothing, but a sort must still look at it: two of its
    // fields may hold different arrays, which is an error.
    if wanted.next().is_some() {
        return None;
    }
    // A single group of all entries would be a sort.
    let is_one_group = ties == Ties::ById { components: 0 };
    (!is_one_group).then_some(Order { is_reverse, ties })
}

/// Has every document in reach the same one key at this path?
fn is_constant(fields: Fields<'_>, reach: &Reach, path: &Path) -> bool {
    let field = fields.paths.iter().position(|field| field == path);
    field.is_some_and(|field| is_pinned_single(fields, reach, field))
}

fn is_pinned_single(fields: Fields<'_>, reach: &Reach, field: usize) -> bool {
    reach.is_pinned(field) && !fields.is_multikey(field)
}

/// A document with several keys sorts by the first of all of them. That is where it is met only if no
/// bound can have cut that one off, and the index did not leave it out, as a sparse one does with
/// elements that have none of the fields.
fn is_sound(fields: Fields<'_>, reach: &Reach, sorted_fields: u64) -> bool {
    let sorts_by_several = sorted_fields & fields.multikey != 0;
    let bounds_several =
        (0..fields.paths.len()).any(|field| fields.is_multikey(field) && reach.bounds_field(field));
    !(sorts_by_several && (bounds_several || fields.is_sparse))
}

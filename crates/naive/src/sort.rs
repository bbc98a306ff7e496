//! Sorts, by paths of names: a document stands where its least tuple of values stands.

use std::cmp::Ordering;

use anyenc::{Document, Value};

use crate::index::{self, ParallelArrays};
use crate::order::compare;

/// The least or greatest of what a path finds; none stands for the empty array, below all.
#[must_use]
pub fn key(document: &Document, path: &str, descending: bool) -> Option<Value> {
    let sort = [(path.to_owned(), descending)];
    let mut keys = keys(document, &sort).expect("one path meets no parallel arrays");
    keys.swap_remove(0)
}

/// The place of a document in a sort by `(path, descending)` pairs.
///
/// # Errors
/// Two of the paths lead into different arrays of the document.
pub fn keys(
    document: &Document,
    sort: &[(String, bool)],
) -> Result<Vec<Option<Value>>, ParallelArrays> {
    let paths: Vec<&str> = sort.iter().map(|(path, _)| path.as_str()).collect();
    let mut tuples: Vec<Vec<Option<Value>>> = index::tuples(document, &paths)?
        .into_iter()
        .map(|tuple| tuple.into_iter().map(index::Slot::into_key).collect())
        .collect();
    tuples.sort_by(|one, other| compare_keys(one, other, sort));
    Ok(tuples.swap_remove(0))
}

/// Which of two places in a sort is first.
#[must_use]
pub fn compare_keys(
    one: &[Option<Value>],
    other: &[Option<Value>],
    sort: &[(String, bool)],
) -> Ordering {
    let mut order = Ordering::Equal;
    for ((one, other), (_, descending)) in one.iter().zip(other).zip(sort) {
        let ascending = compare_key(one.as_ref(), other.as_ref());
        order = order.then(if *descending { ascending.reverse() } else { ascending });
    }
    order
}

/// Which of two keys is less; none stands for the empty array.
#[must_use]
pub fn compare_key(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => compare(one, other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

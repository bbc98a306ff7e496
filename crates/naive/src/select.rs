//! Which documents a query means, in which order.

use anyenc::{Document, Value};

use crate::filter;
use crate::index::ParallelArrays;
use crate::order::{Ordered, compare};
use crate::sort::{compare_keys, keys};
use std::collections::BTreeSet;

/// What a query asks for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Which documents.
    pub filter: Document,
    /// Paths, each with whether it is descending; equal ones come in ascending id order.
    pub sort: Vec<(String, bool)>,
    /// So many of the first ones are left out.
    pub skip: usize,
    /// No more than these; 0 is no limit.
    pub limit: usize,
}

/// The documents of a selection, in its order: that of the sort, else that of the ids.
///
/// # Errors
/// A document that matches has different arrays at two of the sort's paths.
pub fn select<'d>(
    documents: impl IntoIterator<Item = &'d Document>,
    selection: &Selection,
    primary_key: &str,
) -> Result<Vec<&'d Document>, ParallelArrays> {
    let sort = &selection.sort;
    let mut found = Vec::new();
    for document in documents {
        if filter::matches(&selection.filter, document) {
            let keys = if sort.is_empty() { Vec::new() } else { keys(document, sort)? };
            found.push((keys, document));
        }
    }
    found.sort_by(|(one, document), (other, other_document)| {
        compare_keys(one, other, sort)
            .then_with(|| compare(id(document, primary_key), id(other_document, primary_key)))
    });
    let limit = if selection.limit == 0 { usize::MAX } else { selection.limit };
    let chosen = found.into_iter().skip(selection.skip).take(limit);
    Ok(chosen.map(|(_, document)| document).collect())
}

fn id<'d>(document: &'d Document, primary_key: &str) -> &'d Value {
    document.get(primary_key).unwrap_or(&Value::Null)
}

/// The different values of a field, in ascending order. Of an array each element counts.
#[must_use]
pub fn distinct<'d>(documents: impl IntoIterator<Item = &'d Document>, path: &str) -> Vec<Value> {
    let parts: Vec<&str> = path.split('.').collect();
    let mut values = BTreeSet::new();
    for document in documents {
        for value in filter::at_path(document, &parts, false).into_iter().flatten() {
            match value {
                Value::Array(items) => values.extend(items.iter().cloned().map(Ordered)),
                value => drop(values.insert(Ordered(value.clone()))),
            }
        }
    }
    values.into_iter().map(|Ordered(value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyenc::doc;

    #[test]
    fn ties_come_in_the_order_of_their_ids_whatever_the_direction() {
        let documents = [
            doc! { "id": 3, "a": 1 },
            doc! { "id": 1, "a": 1 },
            doc! { "id": 2, "a": [0, 9] },
            doc! { "id": 4 },
        ];
        let ids = |selection: &Selection| -> Vec<i64> {
            let found = select(&documents, selection, "id").unwrap();
            found.iter().map(|document| document.get("id").unwrap().as_i64().unwrap()).collect()
        };
        let by = |descending| Selection {
            sort: vec![("a".to_owned(), descending)],
            ..Selection::default()
        };
        assert_eq!(ids(&by(false)), [4, 2, 1, 3]);
        assert_eq!(ids(&by(true)), [2, 1, 3, 4]);
        assert_eq!(ids(&Selection { skip: 1, limit: 2, ..by(true) }), [1, 3]);
        assert_eq!(ids(&Selection { filter: doc! { "a": 1 }, ..by(true) }), [1, 3]);
    }

    #[test]
    fn distinct_values_are_those_of_elements_too() {
        let documents = [doc! { "a": [2, 1, []] }, doc! { "a": 1.0 }, doc! {}, doc! { "a": null }];
        let values = vec![Value::Null, 1.into(), 2.into(), Value::Array(Vec::new())];
        assert_eq!(distinct(&documents, "a"), values);
    }
}

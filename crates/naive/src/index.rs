//! What an index holds of a document, and which documents a unique one refuses.
//!
//! Paths are names alone; positions in arrays are not known here.

use anyenc::{Document, Value};

use crate::filter;
use crate::sort::compare_keys;

/// Two paths lead into different arrays of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParallelArrays;

/// One place of a tuple.
#[derive(Clone, Debug)]
pub enum Slot {
    /// The path finds nothing.
    Missing,
    /// The path ends at an empty array.
    EmptyArray,
    /// A value.
    Value(Value),
}

impl Slot {
    /// The key of this place; none for the empty array. What is missing counts as null.
    #[must_use]
    pub fn into_key(self) -> Option<Value> {
        match self {
            Slot::Missing => Some(Value::Null),
            Slot::EmptyArray => None,
            Slot::Value(value) => Some(value),
        }
    }
}

/// An index as its definition says it.
#[derive(Clone, Debug)]
pub struct Index {
    /// Paths, each with whether it is descending.
    pub fields: Vec<(String, bool)>,
    /// No two documents share a key.
    pub unique: bool,
    /// Documents, and elements of their arrays, that have none of the fields have no entry.
    pub sparse: bool,
    /// Documents that do not match have no entry.
    pub partial: Option<Document>,
}

/// A document's key in an index, without its id.
pub type Key = Vec<Option<Value>>;

impl Index {
    /// The keys of a document, each once, in the order of the index.
    ///
    /// # Errors
    /// Two fields lead into different arrays, so that the index refuses the document.
    pub fn keys(&self, document: &Document) -> Result<Vec<Key>, ParallelArrays> {
        if self.partial.as_ref().is_some_and(|partial| !filter::matches(partial, document)) {
            return Ok(Vec::new());
        }
        let paths: Vec<&str> = self.fields.iter().map(|(path, _)| path.as_str()).collect();
        let mut tuples = tuples(document, &paths)?;
        if self.sparse {
            tuples.retain(|tuple| !tuple.iter().all(|slot| matches!(slot, Slot::Missing)));
        }
        let mut keys: Vec<Key> = tuples
            .into_iter()
            .map(|tuple| tuple.into_iter().map(Slot::into_key).collect())
            .collect();
        keys.sort_by(|one, other| compare_keys(one, other, &self.fields));
        keys.dedup_by(|one, other| compare_keys(one, other, &self.fields).is_eq());
        Ok(keys)
    }

    /// Do two documents share a key?
    ///
    /// # Errors
    /// The index refuses one of them.
    pub fn share_key(&self, one: &Document, other: &Document) -> Result<bool, ParallelArrays> {
        let keys = self.keys(one)?;
        let others = self.keys(other)?;
        let is_shared =
            |key: &Key| others.iter().any(|other| compare_keys(key, other, &self.fields).is_eq());
        Ok(keys.iter().any(is_shared))
    }
}

/// Every tuple of values that the paths find in a document; paths through one array take their values
/// from one element.
///
/// # Errors
/// Two paths lead into different arrays.
pub fn tuples(document: &Document, paths: &[&str]) -> Result<Vec<Vec<Slot>>, ParallelArrays> {
    let walks = paths.iter().map(|path| Walk::Open(path.split('.').collect())).collect();
    expand(Some(document), walks)
}

/// How far one path has come.
#[derive(Clone)]
enum Walk<'p> {
    Open(Vec<&'p str>),
    Done(Slot),
}

/// Where a path leads that begins in an object.
enum Found<'d, 'p> {
    Value(Slot),
    /// An array, how many parts lead to it, and those that go on in its elements.
    Array(&'d [Value], Vec<&'p str>, Vec<&'p str>),
}

fn expand(
    object: Option<&Document>,
    walks: Vec<Walk<'_>>,
) -> Result<Vec<Vec<Slot>>, ParallelArrays> {
    let found: Vec<Found<'_, '_>> = walks
        .into_iter()
        .map(|walk| match walk {
            Walk::Done(slot) => Found::Value(slot),
            Walk::Open(parts) => find(object, &parts),
        })
        .collect();
    let mut arrays = found.iter().filter_map(|found| match found {
        Found::Array(items, way, _) => Some((*items, way)),
        Found::Value(_) => None,
    });
    let Some((items, way)) = arrays.next() else {
        return Ok(vec![found.into_iter().map(Found::into_slot).collect()]);
    };
    if arrays.any(|(_, other)| other != way) {
        return Err(ParallelArrays);
    }
    if items.is_empty() {
        return Ok(vec![found.into_iter().map(Found::into_slot).collect()]);
    }
    let mut tuples = Vec::new();
    for item in items {
        let walks = found.iter().map(|found| match found {
            Found::Value(slot) => Walk::Done(slot.clone()),
            Found::Array(_, _, rest) if rest.is_empty() => Walk::Done(Slot::Value(item.clone())),
            Found::Array(_, _, rest) => Walk::Open(rest.clone()),
        });
        tuples.extend(expand(item.as_document(), walks.collect())?);
    }
    Ok(tuples)
}

impl Found<'_, '_> {
    /// The slot of a path that is at its end, or at an array without elements.
    fn into_slot(self) -> Slot {
        match self {
            Found::Value(slot) => slot,
            Found::Array(_, _, rest) if rest.is_empty() => Slot::EmptyArray,
            Found::Array(..) => Slot::Missing,
        }
    }
}

fn find<'d, 'p>(object: Option<&'d Document>, parts: &[&'p str]) -> Found<'d, 'p> {
    let mut at = object;
    for (place, part) in parts.iter().enumerate() {
        let rest = &parts[place + 1..];
        match at.and_then(|object| object.get(part)) {
            Some(Value::Array(items)) => {
                return Found::Array(items, parts[..=place].to_vec(), rest.to_vec());
            }
            Some(value) if rest.is_empty() => return Found::Value(Slot::Value(value.clone())),
            Some(Value::Object(inner)) => at = Some(inner),
            _ => break,
        }
    }
    Found::Value(Slot::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyenc::doc;

    fn index(fields: &[&str]) -> Index {
        let fields = fields.iter().map(|path| ((*path).to_owned(), false)).collect();
        Index { fields, unique: true, sparse: false, partial: None }
    }

    fn keys(index: &Index, document: &Document) -> String {
        let keys = index.keys(document).unwrap();
        let key = |key: Key| {
            let parts = key.iter().map(|part| match part {
                Some(value) => value.to_string(),
                None => "empty".to_owned(),
            });
            parts.collect::<Vec<_>>().join(" ")
        };
        keys.into_iter().map(key).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_element_has_a_key_once_and_paths_through_one_array_stay_together() {
        assert_eq!(keys(&index(&["a"]), &doc! { "a": [2, 1, 2] }), "1, 2");
        assert_eq!(keys(&index(&["a"]), &doc! { "a": [] }), "empty");
        assert_eq!(keys(&index(&["a"]), &doc! {}), "null");
        let document = doc! { "a": [{ "b": 1, "c": 2 }, { "b": 3 }, 5], "d": 4 };
        assert_eq!(keys(&index(&["a.b", "d", "a.c"]), &document), "null 4 null, 1 4 2, 3 4 null");
    }

    #[test]
    fn parallel_arrays_are_refused_however_short() {
        let document = doc! { "a": [1], "b": [], "c": { "d": [2] } };
        for pair in [["a", "b"], ["a", "c.d"], ["b", "c.d"]] {
            assert_eq!(index(&pair).keys(&document).unwrap_err(), ParallelArrays);
        }
        assert!(index(&["a", "a.b"]).keys(&document).is_ok());
    }

    #[test]
    fn sparse_and_partial_indexes_leave_documents_out() {
        let sparse = Index { sparse: true, ..index(&["a", "b"]) };
        assert_eq!(keys(&sparse, &doc! { "c": 1 }), "");
        assert_eq!(keys(&sparse, &doc! { "b": 1 }), "null 1");
        let of_elements = Index { sparse: true, ..index(&["a.b"]) };
        assert_eq!(keys(&of_elements, &doc! { "a": [{ "b": 1 }, { "c": 2 }] }), "1");
        let partial = Index { partial: Some(doc! { "b": 1 }), ..index(&["a"]) };
        assert_eq!(keys(&partial, &doc! { "a": 1 }), "");
        assert_eq!(keys(&partial, &doc! { "a": 1, "b": 1 }), "1");
    }

    #[test]
    fn documents_share_a_key_if_one_element_is_equal() {
        let unique = index(&["a"]);
        let share = |one: Document, other: Document| unique.share_key(&one, &other).unwrap();
        assert!(share(doc! { "a": [1, 2] }, doc! { "a": 2.0 }));
        assert!(share(doc! {}, doc! { "a": null }));
        assert!(share(doc! { "a": [] }, doc! { "a": [] }));
        assert!(!share(doc! { "a": [] }, doc! { "a": null }));
        assert!(!share(doc! { "a": 1 }, doc! { "a": "1" }));
    }
}

//! Entries against a slow reference that works on owned values and never looks at the code above.

use std::collections::{BTreeMap, BTreeSet};

use anyenc::{Document, RawDocumentBuf, Value, doc, value};
use proptest::prelude::*;

use super::*;
use crate::catalog::{Definition, IndexId};
use crate::document;
use crate::{IndexSpec, TreeId};

fn index(spec: impl Into<IndexSpec>) -> IndexMeta {
    let definition = Definition::check(spec.into(), "id").unwrap();
    IndexMeta::new(IndexId(1), TreeId(9), definition, "id")
}

fn entries_of(index: &IndexMeta, document: &Document) -> Result<Entries> {
    let raw = RawDocumentBuf::from_document(document).unwrap();
    let id_key = document::id_key(document.get("id").unwrap_or(&Value::Null)).unwrap();
    let mut out = Entries::default();
    index.entries(raw.as_raw(), &id_key, &mut out)?;
    assert_eq!(out.len(), out.iter().len());
    Ok(out)
}

/// The components of each key and the flags, the id left out.
fn shown(spec: impl Into<IndexSpec>, document: &Document) -> (Vec<String>, u8, u64) {
    let index = index(spec);
    let entries = entries_of(&index, document).unwrap();
    let keys = entries.iter().map(|(key, _)| {
        let mut rest = key;
        let mut values = Vec::new();
        for direction in &index.directions {
            let empty = [0x08, 0xF7];
            if rest.first().is_some_and(|first| empty.contains(first)) {
                values.push("empty".to_owned());
                rest = &rest[1..];
                continue;
            }
            let (value, len) = key::decode_key(rest, *direction).unwrap();
            values.push(value.to_string());
            rest = &rest[len..];
        }
        values.join(" ")
    });
    (keys.collect(), entries.flags.to_byte(), entries.multikey_fields())
}

#[track_caller]
fn check(spec: impl Into<IndexSpec>, document: Document, keys: &[&str], flags: u8, multikey: u64) {
    let (found, found_flags, found_multikey) = shown(spec, &document);
    assert_eq!(found, keys, "{document}");
    assert_eq!((found_flags, found_multikey), (flags, multikey), "{document}");
}

#[test]
fn a_plain_document_has_one_exact_entry() {
    check("a", doc! { "id": 1, "a": 5 }, &["5"], 0, 0);
    check(["a", "-b"], doc! { "id": 1, "a": "x", "b": true }, &["\"x\" true"], 0, 0);
    check("a.b", doc! { "id": 1, "a": { "b": { "c": 1 } } }, &["{\"c\":1}"], 0, 0);
    check("id", doc! { "id": 1 }, &["1"], 0, 0);
    check(["b", "id"], doc! { "id": 1, "a": 1, "b": 2 }, &["2 1"], 0, 0);
}

#[test]
fn what_a_key_does_not_tell_makes_its_entry_inexact() {
    check("a", doc! { "id": 1, "a": 5.0 }, &["5"], 2, 0);
    check("a", doc! { "id": 1, "a": 5.5 }, &["5.5"], 0, 0);
    check("a", doc! { "id": 1, "a": -0.0 }, &["0"], 2, 0);
    check("a", doc! { "id": 1, "a": f64::NAN }, &["{\"$numberDouble\":\"NaN\"}"], 0, 0);
    check("a", doc! { "id": 1.0, "a": 5 }, &["5"], 2, 0);
    check("a", doc! { "id": 1, "a": { "b": 1.0 } }, &["{\"b\":1}"], 2, 0);
    check("a", doc! { "id": 1 }, &["null"], 2, 0);
    check("a", doc! { "id": 1, "a": null }, &["null"], 0, 0);
    check("a.b", doc! { "id": 1, "a": 7 }, &["null"], 2, 0);
    check("a", doc! { "a": 5, "id": 1 }, &["5"], 2, 0);
    check(["b", "a"], doc! { "id": 1, "a": 5, "b": 6 }, &["6 5"], 2, 0);
    check(["a.c", "b", "a.d"], doc! { "id": 1, "a": { "c": 1, "d": 2 }, "b": 3 }, &["1 3 2"], 2, 0);
    check(["a.c", "a.d"], doc! { "id": 1, "a": { "d": 2, "c": 1 } }, &["1 2"], 2, 0);
    check("a", doc! { "id": 1, "a": [5] }, &["5"], 2, 0);
    check("a.0", doc! { "id": 1, "a": [5] }, &["5"], 2, 0);
}

#[test]
fn a_document_with_an_array_has_an_entry_for_each_distinct_element() {
    check("a", doc! { "id": 1, "a": [2, 1, 2] }, &["1", "2"], 3, 1);
    check("-a", doc! { "id": 1, "a": [2, 1, 2] }, &["2", "1"], 3, 1);
    check("a", doc! { "id": 1, "a": [2, 2.0] }, &["2"], 2, 0);
    check("a", doc! { "id": 1, "a": [] }, &["empty"], 2, 0);
    check("a", doc! { "id": 1, "a": [[]] }, &["[]"], 2, 0);
    check(["a", "b"], doc! { "id": 1, "a": [1, 2], "b": 3 }, &["1 3", "2 3"], 3, 1);
    check(["b", "a"], doc! { "id": 1, "a": [1, 2], "b": 3 }, &["3 1", "3 2"], 3, 2);
    let objects = doc! { "id": 1, "a": [{ "b": 1, "c": 2 }, { "b": 1 }, 5] };
    check(["a.b", "a.c"], objects, &["null null", "1 null", "1 2"], 3, 3);
}

#[test]
fn a_sparse_index_leaves_out_what_has_none_of_the_fields() {
    let sparse = |fields: &[&str]| IndexSpec::new(fields).sparse();
    check(sparse(&["a"]), doc! { "id": 1, "b": 1 }, &[], 0, 0);
    check(sparse(&["a"]), doc! { "id": 1, "a": null }, &["null"], 0, 0);
    check(sparse(&["a"]), doc! { "id": 1, "a": [] }, &["empty"], 2, 0);
    check(sparse(&["a", "b"]), doc! { "id": 1, "b": 1 }, &["null 1"], 2, 0);
    check(sparse(&["a", "b"]), doc! { "id": 1 }, &[], 0, 0);
    check(sparse(&["a.b"]), doc! { "id": 1, "a": [1, 2] }, &[], 2, 0);
    // Element by element; the field still has several keys, one of them left out.
    check(sparse(&["a.b"]), doc! { "id": 1, "a": [{ "b": 1 }, { "c": 1 }] }, &["1"], 2, 1);
}

#[test]
fn a_partial_index_has_what_its_filter_matches() {
    let partial = || IndexSpec::new(["a", "b"]).partial(doc! { "kind": { "$gt": 5 } });
    check(partial(), doc! { "id": 1, "a": 1, "b": 2, "kind": 6 }, &["1 2"], 0, 0);
    check(partial(), doc! { "id": 1, "a": 1, "kind": 5 }, &[], 0, 0);
    check(partial(), doc! { "id": 1, "a": [1], "b": [2], "kind": 5 }, &[], 0, 0);
}

#[test]
fn parallel_arrays_are_refused_with_both_fields_named() {
    let index = index(IndexSpec::new(["a", "c", "b.x"]).name("abc"));
    let error = entries_of(&index, &doc! { "id": 1, "a": [1], "b": [{ "x": 1 }] }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ParallelArrays);
    assert_eq!(error.index_name(), Some("abc"));
    let message = "an index cannot hold the document: \"a\" and \"b.x\" are parallel arrays";
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_document_has_at_most_ten_thousand_distinct_entries() {
    let index = index(IndexSpec::new("a").name("by_a"));
    let with = |count: i64, repeats: i64| {
        let elements: Vec<i64> = (0..count * repeats).map(|element| element % count).collect();
        entries_of(&index, &doc! { "id": 1, "a": elements }).map(|entries| entries.len())
    };
    assert_eq!(with(10_000, 1).unwrap(), 10_000);
    assert_eq!(with(10_000, 7).unwrap(), 10_000);
    assert_eq!(with(3, 40_000).unwrap(), 3);
    for (count, repeats) in [(10_001, 1), (20_001, 1), (100_000, 1)] {
        let error = with(count, repeats).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.index_name(), Some("by_a"));
    }
}

#[test]
fn keys_that_would_fill_the_memory_are_refused() {
    let index = index(["a", "b"]);
    let text = "x".repeat(1 << 20);
    let elements: Vec<i64> = (0..1000).collect();
    let error = entries_of(&index, &doc! { "id": 1, "a": elements, "b": text }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn damaged_documents_are_errors() {
    let document = doc! { "id": 1, "a": [{ "b": "text" }, { "b": 2 }], "c": { "d": "more" } };
    let raw = RawDocumentBuf::from_document(&document).unwrap();
    let index = index(["a.b", "c.d"]);
    let mut out = Entries::default();
    for at in 0..raw.as_bytes().len() {
        for byte in [0, 1, 0x7F, 0xFF] {
            let mut bytes = raw.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(document) = RawDocument::from_bytes(&bytes)
                && index.entries(document, b"", &mut out).is_err()
            {
                assert!(out.len() == 0);
            }
        }
    }
}

/// The tuples that the fields of a document have, as MongoDB's documentation tells it, worked out
/// on owned values; none if arrays are parallel.
mod reference {
    use super::*;

    /// A path's place in a document, then its value there: an array index where a list was entered.
    type Reached = (Vec<usize>, Option<Value>);

    /// What a path finds, each with the elements that were taken on the way. `arrays` collects the
    /// paths of arrays that were entered.
    fn reach(
        value: Option<&Value>,
        parts: &[&str],
        arrays: &mut BTreeSet<String>,
        at: String,
    ) -> Vec<Reached> {
        match (value, parts) {
            (Some(Value::Array(elements)), []) => {
                arrays.insert(at);
                if elements.is_empty() {
                    return vec![(vec![0], Some(Value::Array(Vec::new())))];
                }
                let each = elements.iter().enumerate();
                each.map(|(place, element)| (vec![place], Some(element.clone()))).collect()
            }
            (found, []) => vec![(Vec::new(), found.cloned())],
            (Some(Value::Object(object)), [part, rest @ ..]) => {
                reach(object.get(part), rest, arrays, format!("{at}.{part}"))
            }
            (Some(Value::Array(elements)), _) => {
                arrays.insert(at.clone());
                if elements.is_empty() {
                    return vec![(vec![0], None)];
                }
                let mut all = Vec::new();
                for (place, element) in elements.iter().enumerate() {
                    let found = match element {
                        Value::Object(_) => reach(Some(element), parts, arrays, format!("{at}.[]")),
                        _ => vec![(Vec::new(), None)],
                    };
                    for (mut places, value) in found {
                        places.insert(0, place);
                        all.push((places, value));
                    }
                }
                all
            }
            (_, _) => vec![(Vec::new(), None)],
        }
    }

    /// The keys of a document, values by field, for paths without numbers.
    pub(super) fn keys(spec: &IndexSpec, document: &Document) -> Option<BTreeSet<Vec<u8>>> {
        let root = Value::Object(document.clone());
        let fields: Vec<(&str, Direction)> = spec
            .fields
            .iter()
            .map(|field| match field.strip_prefix('-') {
                Some(path) => (path, Direction::Descending),
                None => (field.as_str(), Direction::Ascending),
            })
            .collect();
        let mut by_field: Vec<(Vec<Reached>, BTreeSet<String>)> = Vec::new();
        for (path, _) in &fields {
            let parts: Vec<&str> = path.split('.').collect();
            let mut arrays = BTreeSet::new();
            let found = reach(Some(&root), &parts, &mut arrays, String::new());
            by_field.push((found, arrays));
        }
        let mut tuples: Vec<(Vec<usize>, Vec<Option<Value>>)> = vec![(Vec::new(), Vec::new())];
        for (found, _) in &by_field {
            let mut longer = Vec::new();
            for (places, values) in &tuples {
                for (own, value) in found {
                    let shared = places.len().min(own.len());
                    if places[..shared] == own[..shared] {
                        let mut values = values.clone();
                        values.push(value.clone());
                        let places = if own.len() > places.len() { own } else { places };
                        longer.push((places.clone(), values));
                    }
                }
            }
            tuples = longer;
        }
        let all: Vec<&BTreeSet<String>> = by_field.iter().map(|(_, arrays)| arrays).collect();
        if are_parallel(&all) {
            return None;
        }
        let keys =
            tuples.iter().filter(|(_, values)| !spec.sparse || values.iter().any(Option::is_some));
        Some(
            keys.map(|(_, values)| {
                let mut key = Vec::new();
                for (value, (_, direction)) in values.iter().zip(&fields) {
                    match value {
                        None => key::encode_key_value(&Value::Null, *direction, &mut key),
                        Some(value) => key::encode_key_value(value, *direction, &mut key),
                    }
                }
                key.extend(document::id_key(document.get("id").unwrap()).unwrap());
                key
            })
            .collect(),
        )
    }

    /// Two fields that enter different arrays, neither inside the other.
    fn are_parallel(arrays: &[&BTreeSet<String>]) -> bool {
        let inside = |a: &String, b: &String| a == b || b.starts_with(&format!("{a}.[]"));
        arrays.iter().any(|one| {
            arrays.iter().any(|other| {
                one.iter().any(|a| other.iter().any(|b| !inside(a, b) && !inside(b, a)))
            })
        })
    }
}

/// One level of arrays, so that which arrays are parallel does not depend on the element.
fn documents() -> impl Strategy<Value = Document> {
    let scalar = prop_oneof![
        Just(Value::Null),
        (0i64..3).prop_map(Value::from),
        (0u8..3).prop_map(|half| Value::from(f64::from(half) / 2.0)),
        "[a-b\\x00]{0,2}".prop_map(Value::from),
    ];
    let object = prop::collection::btree_map("[bc]", scalar.clone(), 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()));
    let element = prop_oneof![3 => scalar.clone(), 3 => object.clone(), 1 => Just(value!([1, []]))];
    let array = prop::collection::vec(element, 0..4).prop_map(Value::Array);
    let field = prop_oneof![3 => scalar, 2 => object, 3 => array];
    let fields = prop::collection::btree_map("[ad]", field, 0..3);
    (fields, 0i64..3).prop_map(|(fields, id)| {
        let mut document = doc! { "id": id };
        document.extend(fields);
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn entries_are_those_of_the_reference(
        document in documents(),
        fields in prop::sample::subsequence(vec!["a", "-a.b", "a.c", "-d", "d.b", "id"], 1..4),
        sparse in any::<bool>(),
    ) {
        let mut spec = IndexSpec::new(fields);
        spec.sparse = sparse;
        let index = index(spec.clone());
        // An empty array is below null as a whole key, which the reference's encoding is not.
        let is_plain = |value: &Value| !matches!(value, Value::Array(a) if a.is_empty());
        prop_assume!(document.values().all(is_plain));
        match (reference::keys(&spec, &document), entries_of(&index, &document)) {
            (None, found) => prop_assert_eq!(found.unwrap_err().kind(), ErrorKind::ParallelArrays),
            (Some(wanted), found) => {
                let found = found.unwrap();
                let keys: Vec<Vec<u8>> = found.iter().map(|(key, _)| key.to_vec()).collect();
                let wanted: Vec<Vec<u8>> = wanted.into_iter().collect();
                prop_assert_eq!(&keys, &wanted, "{} {:?}", document, spec);
                prop_assert_eq!(found.flags.contains(Flags::SEVERAL), wanted.len() > 1);
                prop_assert!(keys.iter().all(|key| found.contains(key)));
                check_multikey(&index, &found, &keys);
                if !found.len() == 0 && !found.flags.contains(Flags::INEXACT) {
                    check_exact(&index, &document, &keys);
                }
            }
        }
    }
}

/// A field has its bit wherever the keys differ at it.
fn check_multikey(index: &IndexMeta, entries: &Entries, keys: &[Vec<u8>]) {
    let mut seen: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for key in keys {
        let mut rest = key.as_slice();
        for (field, direction) in index.directions.iter().enumerate() {
            let len = key::key_len(rest, *direction).unwrap();
            seen.entry(field).or_default().insert(rest[..len].to_vec());
            rest = &rest[len..];
        }
    }
    for (field, values) in seen {
        let is_set = entries.multikey_fields() & (1 << field) != 0;
        assert!(is_set || values.len() == 1);
        assert!(!is_set || values.len() > 1 || index.spec.sparse);
    }
}

/// The projection of a document on the id and the index's top-level fields is what its key tells.
fn check_exact(index: &IndexMeta, document: &Document, keys: &[Vec<u8>]) {
    let [key] = keys else { panic!("an exact document has one key") };
    let mut told = doc! { "id": document.get("id").unwrap().clone() };
    let mut rest = key.as_slice();
    for (path, direction) in index.paths.iter().zip(&index.directions) {
        let (value, len) = key::decode_key(rest, *direction).unwrap();
        rest = &rest[len..];
        let top = path.segments().first().unwrap().name.clone();
        match path.segments().get(1) {
            None => told.insert(top, value),
            Some(part) => {
                let mut inner =
                    told.get(&top).and_then(Value::as_document).cloned().unwrap_or_default();
                inner.insert(part.name.clone(), value);
                told.insert(top, Value::Object(inner))
            }
        };
    }
    let names: Vec<&str> = told.keys().collect();
    let mut wanted = Document::new();
    for (name, value) in document {
        if !names.contains(&name) {
            continue;
        }
        let parts: Vec<&str> = index
            .paths
            .iter()
            .filter(|path| path.segments()[0].name == name)
            .filter_map(|path| Some(path.segments().get(1)?.name.as_str()))
            .collect();
        let is_whole = index.paths.iter().any(|path| path.as_str() == name) || parts.is_empty();
        match value {
            Value::Object(inner) if !is_whole => {
                let shown: Document = inner
                    .iter()
                    .filter(|(part, _)| parts.contains(part))
                    .map(|(k, v)| (k.to_owned(), v.clone()))
                    .collect();
                wanted.insert(name, shown);
            }
            _ => {
                wanted.insert(name, value.clone());
            }
        }
    }
    let bytes = |document: &Document| RawDocumentBuf::from_document(document).unwrap().into_bytes();
    assert_eq!(bytes(&told), bytes(&wanted), "{document} {told}");
}

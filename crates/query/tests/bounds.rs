//! Requests that went wrong through an index somewhere, asked through one here: by its intervals, in
//! either direction, each document once, and the residual filter.

use any_store_query::bounds::{Bounds, Keys};
use any_store_query::walk::{self, Slot};
use any_store_query::{Filter, SortError};
use anyenc::key::{Direction, encode_empty_array_key, encode_key};
use anyenc::{Path, RawDocumentBuf, RawValue};

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

/// The entries of an index on one field: keys with the places of their documents, in key order.
struct Index {
    documents: Vec<RawDocumentBuf>,
    entries: Vec<(Vec<u8>, usize)>,
    path: &'static str,
    direction: Direction,
}

impl Index {
    fn new(path: &'static str, direction: Direction, documents: &[&str]) -> Index {
        let documents: Vec<_> = documents.iter().map(|text| stored(text)).collect();
        let mut entries = Vec::new();
        for (place, document) in documents.iter().enumerate() {
            entries.extend(keys(document, path, direction).into_iter().map(|key| (key, place)));
        }
        entries.sort();
        Index { documents, entries, path, direction }
    }

    /// The places of the documents that match, found through the intervals.
    fn find(&self, filter: &str) -> Vec<usize> {
        let bounds = bounds(filter, self.path, Keys::Several);
        let mut found = Vec::new();
        for interval in bounds.intervals() {
            let range = interval.key_range(b"", self.direction);
            let within = self.entries.iter().filter(|(key, _)| range.contains(key));
            found.extend(within.map(|(_, place)| *place));
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|place| {
            bounds.residual().matches(self.documents[*place].as_raw()).expect("documents are sound")
        });
        found
    }

    fn scan(&self, filter: &str) -> Vec<usize> {
        let filter = parse(filter);
        let is_match = |place: &usize| filter.matches(self.documents[*place].as_raw()).unwrap();
        (0..self.documents.len()).filter(is_match).collect()
    }
}

fn stored(text: &str) -> RawDocumentBuf {
    anyenc::parse_document(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parse(text: &str) -> Filter {
    Filter::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bounds(filter: &str, path: &str, keys: Keys) -> Bounds {
    parse(filter).bounds(path, keys)
}

fn keys(document: &RawDocumentBuf, path: &str, direction: Direction) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    walk::expand::<SortError, _>(document.as_raw(), &[Path::parse(path).unwrap()], &mut |tuple| {
        let mut key = Vec::new();
        match tuple[0] {
            Slot::EmptyArray => encode_empty_array_key(direction, &mut key),
            Slot::Missing => encode_key(RawValue::Null, direction, &mut key)?,
            Slot::Value(value) => encode_key(value, direction, &mut key)?,
        }
        keys.push(key);
        Ok(())
    })
    .expect("one path is never parallel");
    keys
}

/// Asks in both directions and wants these documents.
fn check(path: &'static str, documents: &[&str], filter: &str, wanted: &[usize]) {
    for direction in DIRECTIONS {
        let index = Index::new(path, direction, documents);
        assert_eq!(index.scan(filter), wanted, "{filter} by a scan");
        assert_eq!(index.find(filter), wanted, "{filter} through {direction:?} {path}");
    }
}

#[test]
fn a_point_at_the_open_end_of_a_range_is_kept_in_their_union() {
    let documents = [r#"{"a":5}"#, r#"{"a":4}"#, r#"{"a":9}"#, r#"{"a":7}"#];
    let filter = r#"{"$or":[{"a":{"$lt":5}},{"a":{"$in":[5,9]}}]}"#;
    check("a", &documents, filter, &[0, 1, 2]);
    assert_eq!(bounds(filter, "a", Keys::Several).intervals().len(), 2);

    let documents = [r#"{"a":false}"#, r#"{"a":"x"}"#, r#"{"a":-1}"#, r#"{"a":true}"#];
    let filter = r#"{"$or":[{"a":{"$type":"string"}},{"a":{"$in":[-1,false]}}]}"#;
    check("a", &documents, filter, &[0, 1, 2]);
}

#[test]
fn a_type_of_arrays_is_found_by_their_elements() {
    let documents = [r#"{"a":[{"z":1}]}"#, r#"{"a":{"z":1}}"#, r#"{"a":[]}"#, r#"{"a":[[1]]}"#];
    check("a", &documents, r#"{"a":{"$type":"array"}}"#, &[0, 2, 3]);
}

#[test]
fn an_array_above_an_array_operand_is_found_once() {
    let documents = [r#"{"b":[["x"],0]}"#, r#"{"b":["x"]}"#, r#"{"b":["a"]}"#, r#"{"b":"y"}"#];
    check("b", &documents, r#"{"b":{"$gt":["x"]}}"#, &[0]);
}

#[test]
fn strings_that_go_on_behind_a_nul_stand_where_they_should() {
    let documents = [
        r#"{"a":["a\u0000b"]}"#,
        r#"{"a":["a"]}"#,
        r#"{"a":"a\u0000"}"#,
        r#"{"a":["b","a"]}"#,
        r#"{"a":["a\u0000b","a","\u0000"]}"#,
        r#"{"a":"a\u0001"}"#,
        r#"{"a":""}"#,
    ];
    check("a", &documents, r#"{"a":{"$gt":"a"}}"#, &[0, 2, 3, 4, 5]);
    check("a", &documents, r#"{"a":{"$gte":"a\u0000b"}}"#, &[0, 3, 4, 5]);
    check("a", &documents, r#"{"a":{"$lte":"a\u0000"}}"#, &[1, 2, 3, 4, 6]);
    check("a", &documents, r#"{"a":{"$regex":"^a\\x00"}}"#, &[0, 2, 4]);
    check("a", &documents, r#"{"a":{"$in":["a\u0000","\u0000"]}}"#, &[2, 4]);
}

#[test]
fn an_unanchored_pattern_inside_an_or_keeps_the_branches_before_it() {
    let documents = [r#"{"a":"p"}"#, r#"{"a":"axa"}"#, r#"{"a":"q"}"#, r#"{"a":"r"}"#];
    let filter = r#"{"$or":[{"a":"p"},{"a":{"$regex":"x"}},{"a":"q"}]}"#;
    check("a", &documents, filter, &[0, 1, 2]);
}

#[test]
fn members_of_in_that_meet_several_elements_find_a_document_once() {
    let documents = [r#"{"a":[1,2,3]}"#, r#"{"a":4}"#, r#"{"a":[]}"#, r#"{}"#];
    check("a", &documents, r#"{"a":{"$in":[1,2,3,null]}}"#, &[0, 3]);
}

#[test]
fn two_ends_of_a_range_may_be_met_by_different_elements() {
    let documents = [r#"{"a":[0,9]}"#, r#"{"a":3}"#, r#"{"a":[0,1]}"#, r#"{"a":[9]}"#];
    check("a", &documents, r#"{"a":{"$gt":1,"$lt":5}}"#, &[0, 1]);
    check("a", &documents, r#"{"a":{"$gt":5,"$lt":1}}"#, &[0]);
    check("a", &documents, r#"{"a":{"$elemMatch":{"$gt":1,"$lt":5}}}"#, &[]);
}

#[test]
fn what_a_sparse_index_lacks_is_not_within_bounds_that_it_may_serve() {
    for filter in [
        r#"{"a":null}"#,
        r#"{"a":{"$ne":5}}"#,
        r#"{"a":{"$exists":false}}"#,
        r#"{"a":{"$not":{"$gt":5}}}"#,
        "{}",
    ] {
        assert!(bounds(filter, "a", Keys::Several).holds_null(), "{filter}");
        assert!(!parse(filter).implies_present("a"), "{filter}");
    }
    for filter in [r#"{"a":5}"#, r#"{"a":{"$ne":null}}"#, r#"{"a":{"$gt":5}}"#] {
        assert!(!bounds(filter, "a", Keys::Several).holds_null(), "{filter}");
        assert!(parse(filter).implies_present("a"), "{filter}");
    }
    // Null is a value: the index holds it, though the bounds do.
    assert!(parse(r#"{"a":{"$exists":true}}"#).implies_present("a"));
}

#[test]
fn null_beside_a_present_field_may_be_a_tuple_that_a_sparse_index_lacks() {
    let filter = parse(r#"{"a.b":null,"a.c":3}"#);
    let document = stored(r#"{"a":[{"b":1,"c":3},{}]}"#);
    assert_eq!(filter.matches(document.as_raw()), Ok(true));
    // The filter demands a value at a.c, but the entry that null at a.b leads to has neither field.
    assert!(filter.implies_present("a.c") && !filter.implies_present("a.b"));
    assert!(filter.bounds("a.b", Keys::Several).holds_null());
    assert!(!filter.bounds("a.c", Keys::Several).holds_null());
}

/// How many intervals there are, whether they decide the path, and what they leave.
fn left(filter: &str, keys: Keys) -> (usize, bool, String) {
    let bounds = bounds(filter, "a", keys);
    (bounds.intervals().len(), bounds.is_exact(), bounds.residual().to_string())
}

#[test]
fn every_operator_that_can_narrow_does() {
    let none = || "{}".to_owned();
    for keys in [Keys::OnePerDocument, Keys::Several] {
        for filter in [
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":{"$gte":1}}"#,
            r#"{"a":{"$lt":"x"}}"#,
            r#"{"a":{"$type":"string"}}"#,
            r#"{"a":{"$all":[1]}}"#,
        ] {
            assert_eq!(left(filter, keys), (1, true, none()), "{filter}");
        }
        // The pattern itself, as a stored value, is the second.
        assert_eq!(left(r#"{"a":{"$regex":"^ab"}}"#, keys), (2, true, none()));
        assert_eq!(left(r#"{"a":{"$in":[1,"x",null]}}"#, keys), (3, true, none()));
        assert_eq!(left(r#"{"$or":[{"a":1},{"a":{"$gt":5}}]}"#, keys), (2, true, none()));
    }
    let one = Keys::OnePerDocument;
    assert_eq!(left(r#"{"a":{"$gt":1,"$lt":5}}"#, one), (1, true, none()));
    assert_eq!(left(r#"{"a":{"$gt":5,"$lt":1}}"#, one), (0, true, none()));
    assert_eq!(left(r#"{"a":{"$ne":1}}"#, one), (2, true, none()));
    assert_eq!(left(r#"{"a":{"$nin":[1,2]}}"#, one), (3, true, none()));
    assert_eq!(left(r#"{"a":{"$not":{"$gte":1}}}"#, one), (2, true, none()));
    assert_eq!(left(r#"{"$nor":[{"a":1},{"a":2}]}"#, one), (3, true, none()));
    assert_eq!(left(r#"{"a":{"$in":[1,5,9],"$gt":4}}"#, one), (2, true, none()));

    for (filter, count) in [
        (r#"{"a":{"$ne":1}}"#, 2),
        (r#"{"a":{"$nin":[1,2]}}"#, 3),
        (r#"{"a":{"$not":{"$gte":1}}}"#, 2),
        (r#"{"a":{"$elemMatch":{"$gt":1,"$lt":5}}}"#, 1),
        (r#"{"a":{"$exists":false}}"#, 1),
        (r#"{"a":{"$mod":[2,1]}}"#, 1),
        (r#"{"a":{"$all":[1,2]}}"#, 1),
    ] {
        let residual = parse(filter).to_string();
        assert_eq!(left(filter, Keys::Several), (count, false, residual), "{filter}");
    }
    // Of two conditions on elements, the one that narrows more.
    assert_eq!(
        left(r#"{"a":{"$gt":1,"$eq":5}}"#, Keys::Several),
        (1, false, r#"{"a":{"$gt":1}}"#.to_owned())
    );
}

#[test]
fn an_element_is_asked_for_all_of_an_elem_match_at_once() {
    let bounds = bounds(r#"{"a":{"$elemMatch":{"$gt":1,"$lt":5,"$ne":3}}}"#, "a", Keys::Several);
    let ends = |text: &str| parse(text).bounds("a", Keys::OnePerDocument).intervals().to_vec();
    assert_eq!(bounds.intervals(), ends(r#"{"a":{"$gt":1,"$lt":5,"$ne":3}}"#));
    assert_eq!(bounds.intervals().len(), 2);
    assert!(!bounds.is_exact());
}

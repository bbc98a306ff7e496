//! Once compiled, filters, sorts and projections do their work on a document without allocating.

use any_store_alloctest::{Counting, measure};
use any_store_query::{Filter, Projection, Sort};
use anyenc::{RawDocumentBuf, Value, doc};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILTERS: &[&str] = &[
    r#"{"name":"Ann","age":{"$gte":18,"$lt":65}}"#,
    r#"{"tags":"red","tags":{"$size":2}}"#,
    r#"{"$or":[{"age":{"$in":[1,2,3]}},{"$nor":[{"address.city":"Wien"}]}]}"#,
    r#"{"orders":{"$elemMatch":{"sum":{"$gt":10},"items.0.name":"x"}}}"#,
    r#"{"orders.items.name":{"$in":["x",null,[1,2],{"a":1}]}}"#,
    r#"{"tags":{"$all":["red","blue"]},"age":{"$mod":[4,1],"$not":{"$type":"string"}}}"#,
    r#"{"age":{"$bitsAnySet":[0,3]},"missing":{"$exists":false},"name":{"$ne":{"a":[1]}}}"#,
    r#"{"name":{"$regex":"^A.*n$"},"address.city":{"$regex":"wien","$options":"i"}}"#,
    r#"{"tags":{"$in":[{"$regularExpression":{"pattern":"^bl","options":""}},7]}}"#,
];

fn documents() -> Vec<RawDocumentBuf> {
    let document = |n: i64| {
        doc! {
            "id": n, "name": if n % 2 == 0 { "Ann" } else { "Bob" }, "age": 18 + n % 60,
            "tags": ["red", "blue"],
            "address": { "city": "Wien", "zip": n },
            "orders": [
                { "sum": n, "items": [{ "name": "x" }, { "name": "y" }] },
                { "sum": 2.5, "items": Value::Null },
            ],
        }
    };
    (0..200).map(|n| RawDocumentBuf::from_document(&document(n)).unwrap()).collect()
}

/// The second run is measured: matchers fill their caches, and buffers grow, in the first.
fn second_run_allocates_nothing(what: &str, mut run: impl FnMut() -> usize) {
    let first = run();
    let (second, usage) = measure(&mut run);
    assert_eq!(first, second, "{what}");
    assert_eq!(usage.allocation_count, 0, "{what}: {usage:?}");
}

#[test]
fn a_document_costs_no_allocation() {
    // The counters count: else nothing below could fail.
    assert!(measure(|| vec![0_u8; 100]).1.peak_bytes >= 100);
    let documents = documents();
    for text in FILTERS.iter().filter_map(|text| Filter::from_json(text).ok().map(|f| (text, f))) {
        let (text, filter) = text;
        second_run_allocates_nothing(text, || {
            documents.iter().filter(|d| filter.matches(d.as_raw()).unwrap()).count()
        });
    }
    let parsed = FILTERS.iter().filter(|text| Filter::from_json(text).is_ok()).count();
    assert_eq!(parsed, FILTERS.len() - 1, "all but the one that names a field twice");

    let mut key = Vec::new();
    for fields in [vec!["name", "-age"], vec!["address.city", "id"]] {
        let sort = Sort::by_all(fields.iter().copied()).unwrap();
        second_run_allocates_nothing(&format!("sort by {fields:?}"), || {
            documents.iter().map(|document| sorted_len(&sort, document, &mut key)).sum()
        });
    }
    let mut out = Vec::new();
    let projection = Projection::from_json(r#"{"name":1,"address.city":1}"#, "id").unwrap();
    let mut shown = || {
        documents.iter().map(|document| shown_len(&projection, document, &mut out)).sum::<usize>()
    };
    shown();
    let (_, usage) = measure(&mut shown);
    // The writer remembers which objects are open: a list or two, whatever the document holds.
    assert!(usage.allocation_count <= 4 * documents.len(), "{usage:?}");
}

fn sorted_len(sort: &Sort, document: &RawDocumentBuf, key: &mut Vec<u8>) -> usize {
    key.clear();
    sort.key(document.as_raw(), key).unwrap();
    key.len()
}

fn shown_len(projection: &Projection, document: &RawDocumentBuf, out: &mut Vec<u8>) -> usize {
    out.clear();
    projection.apply(document.as_raw(), out).unwrap();
    out.len()
}

//! Compiled filters over encoded documents, beside the same predicates written by hand over a
//! `serde_json::Value` read from the stored text and over raw BSON.
//!
//! Each side begins with what it would have stored: encoded bytes, JSON text, BSON bytes. A predicate
//! over a tree that is there already is shown as well. Nanoseconds a document, the best of several
//! rounds over ten thousand.

use std::hint::black_box;
use std::time::Instant;

use any_store_bench::dataset::Dataset;
use any_store_query::Filter;
use anyenc::{RawDocument, RawDocumentBuf};
use bson::RawDocument as RawBson;
use serde_json::Value;

const DOCUMENTS: u64 = 10_000;
const ROUNDS: usize = 15;

/// One predicate in three languages.
struct Case {
    name: &'static str,
    filter: &'static str,
    tree: fn(&Value) -> bool,
    bson: fn(&RawBson) -> bool,
}

fn bson_text<'d>(document: &'d RawBson, key: &str) -> Option<&'d str> {
    document.get_str(key).ok()
}

fn bson_number(document: &RawBson, key: &str) -> Option<i64> {
    let value = document.get(key).ok()??;
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}

const CASES: &[Case] = &[
    Case {
        name: "equality",
        filter: r#"{"city":"Northville"}"#,
        tree: |d| d["city"] == "Northville",
        bson: |d| bson_text(d, "city") == Some("Northville"),
    },
    Case {
        name: "range",
        filter: r#"{"age":{"$gte":30,"$lt":40}}"#,
        tree: |d| d["age"].as_i64().is_some_and(|age| (30..40).contains(&age)),
        bson: |d| bson_number(d, "age").is_some_and(|age| (30..40).contains(&age)),
    },
    Case {
        name: "element of an array",
        filter: r#"{"tags":"red"}"#,
        tree: |d| d["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == "red")),
        bson: |d| {
            d.get_array("tags").is_ok_and(|tags| {
                tags.into_iter().any(|tag| tag.is_ok_and(|tag| tag.as_str() == Some("red")))
            })
        },
    },
    Case {
        name: "nested field",
        filter: r#"{"address.zip":{"$lt":"10000"}}"#,
        tree: |d| d["address"]["zip"].as_str().is_some_and(|zip| zip < "10000"),
        bson: |d| {
            d.get_document("address")
                .is_ok_and(|a| bson_text(a, "zip").is_some_and(|z| z < "10000"))
        },
    },
    Case {
        name: "three fields",
        filter: r#"{"age":{"$gte":30},"score":{"$lt":0.5},"city":{"$in":["Northville","Eastton"]}}"#,
        tree: |d| {
            d["age"].as_i64().is_some_and(|age| age >= 30)
                && d["score"].as_f64().is_some_and(|score| score < 0.5)
                && d["city"].as_str().is_some_and(|city| ["Northville", "Eastton"].contains(&city))
        },
        bson: |d| {
            bson_number(d, "age").is_some_and(|age| age >= 30)
                && d.get_f64("score").is_ok_and(|score| score < 0.5)
                && bson_text(d, "city").is_some_and(|c| ["Northville", "Eastton"].contains(&c))
        },
    },
    Case {
        name: "last field missing",
        filter: r#"{"deleted":{"$exists":true}}"#,
        tree: |d| d.get("deleted").is_some(),
        bson: |d| d.get("deleted").is_ok_and(|value| value.is_some()),
    },
];

/// Nanoseconds a document, and how many matched.
fn time(mut round: impl FnMut() -> usize) -> (f64, usize) {
    let (mut best, mut matched) = (f64::INFINITY, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        matched = black_box(round());
        best = best.min(start.elapsed().as_nanos() as f64 / DOCUMENTS as f64);
    }
    (best, matched)
}

fn main() {
    let dataset = Dataset::new();
    let texts: Vec<String> = (0..DOCUMENTS).map(|i| dataset.document(i)).collect();
    let trees: Vec<Value> =
        texts.iter().map(|text| serde_json::from_str(text).expect("valid")).collect();
    let ours: Vec<RawDocumentBuf> =
        texts.iter().map(|text| anyenc::parse_document(text.as_bytes()).expect("valid")).collect();
    let bson: Vec<bson::RawDocumentBuf> = texts
        .iter()
        .map(|text| {
            let document: bson::Document = serde_json::from_str(text).expect("valid");
            bson::RawDocumentBuf::try_from(&document).expect("valid")
        })
        .collect();
    println!(
        "predicate              matched    ours  json text  json tree     bson   text/ours bson/ours"
    );
    for case in CASES {
        let filter = Filter::from_json(case.filter).expect("a filter");
        let (own, matched) = time(|| {
            let stored = ours.iter().map(|d| RawDocument::from_bytes(d.as_bytes()).expect("valid"));
            stored.filter(|document| filter.matches(*document).expect("valid")).count()
        });
        let (text, in_text) = time(|| {
            let parsed = texts.iter().map(|t| serde_json::from_str::<Value>(t).expect("valid"));
            parsed.filter(|document| (case.tree)(document)).count()
        });
        let (tree, in_tree) =
            time(|| trees.iter().filter(|document| (case.tree)(document)).count());
        let (raw, in_bson) = time(|| {
            let stored = bson.iter().map(|d| RawBson::from_bytes(d.as_bytes()).expect("valid"));
            stored.filter(|document| (case.bson)(document)).count()
        });
        assert_eq!((in_text, in_tree, in_bson), (matched, matched, matched), "{}", case.name);
        println!(
            "{:22} {matched:7} {own:7.1} {text:10.1} {tree:10.1} {raw:8.1}   x{:<8.1} x{:.1}",
            case.name,
            text / own,
            raw / own
        );
    }
}

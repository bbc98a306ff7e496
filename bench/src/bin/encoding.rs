//! The document encoding against raw BSON and a serde_json tree: look-ups, skipping, conversions.
//!
//! Prints nanoseconds an operation, the best of several rounds, each over a thousand documents, so
//! that the data lies in the caches of the processor but not in its branch predictor.

use std::hint::black_box;
use std::time::Instant;

use any_store_bench::dataset::{Dataset, Rng};
use anyenc::{Document, JsonFormat, Path, RawDocument, RawDocumentBuf, RawValue};
use serde::{Deserialize, Serialize};

const DOCUMENTS: u64 = 1000;
const ROUNDS: usize = 15;

/// One set of documents in the three forms.
struct Set {
    name: &'static str,
    texts: Vec<String>,
    ours: Vec<RawDocumentBuf>,
    bson: Vec<bson::RawDocumentBuf>,
    tree: Vec<serde_json::Value>,
    /// Which fields are looked up: one of each document, in turn.
    keys: Vec<String>,
}

impl Set {
    fn new(name: &'static str, texts: Vec<String>, keys: Vec<String>) -> Set {
        let parse = |text: &String| anyenc::parse_document(text.as_bytes()).expect("valid");
        let tree: Vec<serde_json::Value> =
            texts.iter().map(|text| serde_json::from_str(text).expect("valid")).collect();
        let bson = texts.iter().map(|text| {
            let document: bson::Document = serde_json::from_str(text).expect("valid");
            bson::RawDocumentBuf::try_from(&document).expect("valid")
        });
        let (ours, bson) = (texts.iter().map(parse).collect(), bson.collect());
        Set { name, ours, bson, tree, texts, keys }
    }
}

/// Nanoseconds an operation: the best round.
fn time(count: usize, mut round: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64 / count as f64);
    }
    best
}

/// A line of the table. `NaN` stands for what the other side has no counterpart of.
fn report(set: &Set, what: &str, ours: f64, bson: f64, tree: f64) {
    let number =
        |number: f64| if number.is_nan() { "-".to_owned() } else { format!("{number:.1}") };
    let ratio = |other: f64| {
        if other.is_nan() { "-".to_owned() } else { format!("x{:.2}", other / ours) }
    };
    println!(
        "{:9} {what:22} {:>9} {:>9} {:>9}   {:>7} {:>7}",
        set.name,
        number(ours),
        number(bson),
        number(tree),
        ratio(bson),
        ratio(tree)
    );
}

fn look_up(set: &Set, what: &str, key: impl Fn(usize) -> String) {
    let keys: Vec<String> = (0..set.ours.len()).map(key).collect();
    let ours = time(keys.len(), || {
        for (document, key) in set.ours.iter().zip(&keys) {
            // From bytes, as a scan over stored documents does.
            let document = RawDocument::from_bytes(document.as_bytes()).expect("valid");
            black_box(document.get(key).expect("valid"));
        }
    });
    let bson = time(keys.len(), || {
        for (document, key) in set.bson.iter().zip(&keys) {
            let document = bson::RawDocument::from_bytes(document.as_bytes()).expect("valid");
            black_box(document.get(key).expect("valid"));
        }
    });
    let tree = time(keys.len(), || {
        for (document, key) in set.tree.iter().zip(&keys) {
            black_box(document.get(key));
        }
    });
    report(set, what, ours, bson, tree);
}

fn skip(set: &Set) {
    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            black_box(document.as_raw().len().expect("valid"));
        }
    });
    let bson = time(set.bson.len(), || {
        for document in &set.bson {
            black_box(document.iter_elements().count());
        }
    });
    let tree = time(set.tree.len(), || {
        for document in &set.tree {
            black_box(document.as_object().map(serde_json::Map::len));
        }
    });
    report(set, "skip over all fields", ours, bson, tree);

    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            black_box(document.iter().map(|field| field.expect("valid").0.len()).sum::<usize>());
        }
    });
    let bson = time(set.bson.len(), || {
        for document in &set.bson {
            let keys = document.iter().map(|field| field.expect("valid").0.as_str().len());
            black_box(keys.sum::<usize>());
        }
    });
    let tree = time(set.tree.len(), || {
        for document in &set.tree {
            let fields = document.as_object().expect("an object");
            black_box(fields.iter().map(|(key, _)| key.len()).sum::<usize>());
        }
    });
    report(set, "walk all fields", ours, bson, tree);
}

fn convert(set: &Set) {
    let mut buffer = Vec::new();
    let ours = time(set.texts.len(), || {
        for text in &set.texts {
            buffer.clear();
            anyenc::parse_document_into(text.as_bytes(), &mut buffer).expect("valid");
            black_box(&buffer);
        }
    });
    let bson = time(set.texts.len(), || {
        for text in &set.texts {
            let document: bson::Document = serde_json::from_str(text).expect("valid");
            black_box(bson::RawDocumentBuf::try_from(&document).expect("valid"));
        }
    });
    let tree = time(set.texts.len(), || {
        for text in &set.texts {
            black_box(serde_json::from_str::<serde_json::Value>(text).expect("valid"));
        }
    });
    report(set, "from JSON", ours, bson, tree);

    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            buffer.clear();
            anyenc::write_json(document, JsonFormat::Relaxed, &mut buffer).expect("valid");
            black_box(&buffer);
        }
    });
    let tree = time(set.tree.len(), || {
        for document in &set.tree {
            buffer.clear();
            serde_json::to_writer(&mut buffer, document).expect("valid");
            black_box(&buffer);
        }
    });
    report(set, "to JSON", ours, f64::NAN, tree);

    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            black_box(document.to_document().expect("valid"));
        }
    });
    let bson = time(set.bson.len(), || {
        for document in &set.bson {
            black_box(bson::Document::try_from(document).expect("valid"));
        }
    });
    let tree = time(set.tree.len(), || {
        for document in &set.tree {
            black_box(document.clone());
        }
    });
    report(set, "to a tree (or clone)", ours, bson, tree);

    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            document.as_raw().validate().expect("valid");
        }
    });
    report(set, "validate", ours, f64::NAN, f64::NAN);
}

fn sizes(set: &Set) {
    let count = set.texts.len() as f64;
    let sum = |lens: &mut dyn Iterator<Item = usize>| lens.sum::<usize>() as f64 / count;
    let ours = sum(&mut set.ours.iter().map(|document| document.as_bytes().len()));
    let bson = sum(&mut set.bson.iter().map(|document| document.as_bytes().len()));
    let text = sum(&mut set.texts.iter().map(String::len));
    report(set, "bytes (tree: the text)", ours, bson, text);
}

#[derive(Serialize, Deserialize)]
struct User<'a> {
    id: &'a str,
    name: &'a str,
    email: &'a str,
    age: i64,
    score: f64,
    city: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    address: Address<'a>,
    #[serde(rename = "createdAt")]
    created_at: i64,
    bio: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Address<'a> {
    zip: &'a str,
    geo: [f64; 2],
}

/// Only of the data set: a type of a user's own, there and back.
fn typed(set: &Set) {
    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            black_box(anyenc::from_raw::<User<'_>>(document.as_raw()).expect("fits"));
        }
    });
    let bson = time(set.bson.len(), || {
        for document in &set.bson {
            let user: User<'_> = bson::deserialize_from_slice(document.as_bytes()).expect("fits");
            black_box(user);
        }
    });
    let text = time(set.texts.len(), || {
        for text in &set.texts {
            black_box(serde_json::from_str::<User<'_>>(text).expect("fits"));
        }
    });
    report(set, "to a struct (text)", ours, bson, text);

    let users: Vec<User<'_>> =
        set.texts.iter().map(|text| serde_json::from_str(text).expect("fits")).collect();
    let ours = time(users.len(), || {
        for user in &users {
            black_box(anyenc::to_raw(user).expect("fits"));
        }
    });
    let bson = time(users.len(), || {
        for user in &users {
            black_box(bson::serialize_to_vec(user).expect("fits"));
        }
    });
    let text = time(users.len(), || {
        for user in &users {
            black_box(serde_json::to_vec(user).expect("fits"));
        }
    });
    report(set, "from a struct (text)", ours, bson, text);
}

/// Six containers in.
fn nested_path(set: &Set) {
    let path = Path::parse("a.b.c.d.e.value").expect("short");
    let ours = time(set.ours.len(), || {
        for document in &set.ours {
            black_box(document.as_raw().get_path(&path).expect("valid"));
        }
    });
    let bson = time(set.bson.len(), || {
        for document in &set.bson {
            let inner = ["a", "b", "c", "d", "e"]
                .iter()
                .fold(&**document, |document, key| document.get_document(key).expect("there"));
            black_box(inner.get("value").expect("valid"));
        }
    });
    let tree = time(set.tree.len(), || {
        for document in &set.tree {
            black_box(document.pointer("/a/b/c/d/e/value"));
        }
    });
    report(set, "path of six parts", ours, bson, tree);
}

fn wide(name: &'static str, fields: u64) -> Set {
    let mut rng = Rng::derived(fields);
    let texts = (0..DOCUMENTS).map(|_| {
        let field = |i| format!("\"field_{i}\":\"{:x}\"", rng.next_u64());
        format!("{{{}}}", (0..fields).map(field).collect::<Vec<_>>().join(","))
    });
    Set::new(name, texts.collect(), (0..fields).map(|i| format!("field_{i}")).collect())
}

fn nested() -> Set {
    let mut rng = Rng::derived(7);
    let texts = (0..DOCUMENTS).map(|_| {
        let list: Vec<String> = (0..20).map(|_| format!("{{\"x\":{}}}", rng.below(1000))).collect();
        let list = list.join(",");
        let inner = format!("{{\"list\":[{list}],\"value\":{}}}", rng.below(1000));
        ["e", "d", "c", "b", "a"]
            .iter()
            .fold(inner, |inner, key| format!("{{\"before\":[{list}],\"{key}\":{inner}}}"))
    });
    Set::new("nested", texts.collect(), vec!["before".to_owned(), "a".to_owned()])
}

fn keys(set: &Set) {
    use anyenc::key::{Direction, encode_key};
    let mut key = Vec::new();
    let mut encode = |field: &str| {
        time(set.ours.len(), || {
            for document in &set.ours {
                key.clear();
                let value = document.get(field).expect("valid").unwrap_or(RawValue::Null);
                encode_key(value, Direction::Ascending, &mut key).expect("valid");
                black_box(&key);
            }
        })
    };
    for field in ["age", "score", "email"] {
        let nanoseconds = encode(field);
        report(set, &format!("key of {field}"), nanoseconds, f64::NAN, f64::NAN);
    }
}

fn main() {
    let dataset = Dataset::new();
    let texts: Vec<String> = (0..DOCUMENTS).map(|i| dataset.document(i)).collect();
    let first: Document = anyenc::parse_document(texts[0].as_bytes())
        .and_then(|document| anyenc::parse_document(document.to_string().as_bytes()))
        .map(|document| document.to_document().expect("valid"))
        .expect("valid");
    let fields = first.keys().map(str::to_owned).collect();
    let users = Set::new("users", texts, fields);
    let sets = [users, wide("wide 64", 64), wide("wide 500", 500), nested()];

    println!("set       what                        anyenc      bson      tree   bson/us tree/us");
    for set in &sets {
        let last = set.keys.len() - 1;
        look_up(set, "get the first field", |_| set.keys[0].clone());
        look_up(set, "get the last field", |_| set.keys[last].clone());
        look_up(set, "get any field", |i| set.keys[i * 31 % set.keys.len()].clone());
        look_up(set, "get what is not there", |_| "missing".to_owned());
        skip(set);
        convert(set);
        sizes(set);
    }
    typed(&sets[0]);
    keys(&sets[0]);
    nested_path(&sets[3]);
}

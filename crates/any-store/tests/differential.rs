//! Random queries against a naive model: every verb selects the same documents, in the same order.
//!
//! The model knows nothing of the engine: it filters a list of values by the rules written below,
//! sorts it by comparing values, and cuts it.

mod common;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use any_store::{
    Collection, CollectionOptions, Compression, Database, Document, Find, ReadView, Result, Value,
    WriteTx, doc,
};
use common::Random;

const DATABASES: u64 = 60;
const QUERIES_PER_DATABASE: u64 = 40;

#[test]
fn every_verb_selects_what_the_model_selects() {
    for seed in 1..=DATABASES {
        let random = &mut Random::new(seed);
        let documents = documents(random);
        // A budget of a few rows makes most sorts and some updates spill.
        let budget = if seed % 3 == 0 { 64 << 20 } else { random.below(2000) };
        let db = Database::options()
            .vfs(std::sync::Arc::new(any_store::MemVfs::new()))
            .sort_bytes(budget)
            .open("model.any")
            .unwrap();
        let compression = if seed % 2 == 0 { Compression::default() } else { Compression::None };
        let options = CollectionOptions::new().compression(compression);
        let collection = db.create_collection("c", options).unwrap();
        collection.insert_many(&documents).unwrap();
        for number in 0..QUERIES_PER_DATABASE {
            let query = Query::random(random);
            let context = format!("seed {seed}, query {number}, budget {budget}: {query:?}");
            check(&db, &collection, &documents, &query, &context);
        }
    }
}

#[derive(Debug)]
struct Query {
    filter: Filter,
    sort: Vec<(String, bool)>,
    skip: u64,
    limit: u64,
}

fn check(db: &Database, c: &Collection, documents: &[Document], query: &Query, context: &str) {
    let expected = query.select(documents);
    let ids = |found: Result<Vec<Document>>| -> Vec<Value> {
        found.unwrap_or_else(|error| panic!("{context}: {error}")).iter().map(id).collect()
    };
    let find = || {
        let find = c.find(query.filter.to_document()).skip(query.skip).limit(query.limit);
        find.sort(query.sort_document())
    };
    assert_eq!(ids(find().run().unwrap().collect()), expected, "find: {context}");
    assert_eq!(find().count().unwrap(), expected.len() as u64, "count: {context}");
    assert_eq!(find().exists().unwrap(), !expected.is_empty(), "exists: {context}");
    assert_eq!(
        find().first().unwrap().as_ref().map(id),
        expected.first().cloned(),
        "first: {context}"
    );

    let mut tx = db.begin_write().unwrap();
    {
        let view = tx.view(c);
        let find = view.find(query.filter.to_document()).skip(query.skip).limit(query.limit);
        let found = find.sort(query.sort_document()).run().unwrap().collect();
        assert_eq!(ids(found), expected, "find in a transaction: {context}");
    }
    check_update(&mut tx, c, documents, query, &expected, context);
    check_first(&mut tx, c, query, &expected, context);
    check_delete(&mut tx, c, documents, query, &expected, context);
    tx.rollback();
}

fn check_update(
    tx: &mut WriteTx,
    c: &Collection,
    documents: &[Document],
    query: &Query,
    expected: &[Value],
    context: &str,
) {
    let mut savepoint = tx.savepoint().unwrap();
    let mut view = savepoint.collection(c);
    let find = view.find(query.filter.to_document()).skip(query.skip).limit(query.limit);
    let updated = find.sort(query.sort_document()).update(doc! { "$set": { "touched": true } });
    let updated = updated.unwrap();
    assert_eq!(updated.matched, expected.len() as u64, "matched: {context}");
    assert_eq!(updated.modified, updated.matched, "modified: {context}");
    let touched = ids_in(savepoint.view(c).find(doc! { "touched": true }));
    assert_eq!(touched, sorted(expected), "updated: {context}");
    assert_eq!(savepoint.view(c).count().unwrap(), documents.len() as u64, "{context}");
}

/// The verbs that take one document take the first of the selection.
fn check_first(tx: &mut WriteTx, c: &Collection, query: &Query, expected: &[Value], context: &str) {
    let mark = || doc! { "$set": { "touched": true } };
    for verb in 0..6 {
        let mut savepoint = tx.savepoint().unwrap();
        let mut view = savepoint.collection(c);
        let find = view.find(query.filter.to_document()).skip(query.skip).limit(query.limit);
        let find = find.sort(query.sort_document());
        let first = match verb {
            0 => find.find_one_and_update(mark()).unwrap(),
            1 => find.find_one_and_replace(&doc! { "touched": true }).unwrap(),
            2 => find.find_one_and_delete().unwrap(),
            verb => {
                let matched = match verb {
                    3 => find.update_one(mark()).unwrap().matched,
                    4 => find.replace_one(&doc! { "touched": true }).unwrap().matched,
                    _ => find.delete_one().unwrap().deleted,
                };
                assert_eq!(matched, expected.len().min(1) as u64, "verb {verb}: {context}");
                c.get(expected.first().cloned().unwrap_or(Value::from(-1))).unwrap()
            }
        };
        assert_eq!(first.as_ref().map(id), expected.first().cloned(), "verb {verb}: {context}");
        let touched = ids_in(savepoint.view(c).find(doc! { "touched": true }));
        let is_delete = verb == 2 || verb == 5;
        let wanted = if is_delete { &[] } else { &expected[..expected.len().min(1)] };
        assert_eq!(touched, sorted(wanted), "verb {verb}: {context}");
        if let (true, Some(gone)) = (is_delete, expected.first()) {
            assert!(!savepoint.view(c).find(doc! { "id": (gone.clone()) }).exists().unwrap());
        }
    }
}

fn check_delete(
    tx: &mut WriteTx,
    c: &Collection,
    documents: &[Document],
    query: &Query,
    expected: &[Value],
    context: &str,
) {
    let mut savepoint = tx.savepoint().unwrap();
    let mut view = savepoint.collection(c);
    let find = view.find(query.filter.to_document()).skip(query.skip).limit(query.limit);
    let deleted = find.sort(query.sort_document()).delete().unwrap();
    assert_eq!(deleted.deleted, expected.len() as u64, "deleted: {context}");
    let gone = sorted(expected);
    let left: BTreeSet<Value> = documents.iter().map(id).filter(|id| !gone.contains(id)).collect();
    assert_eq!(ids_in(savepoint.view(c).find(())), left, "left: {context}");
    assert_eq!(savepoint.view(c).count().unwrap(), left.len() as u64, "{context}");
}

fn ids_in(find: Find<Document, ReadView<'_>>) -> BTreeSet<Value> {
    find.into_iter().map(|document| id(&document.unwrap())).collect()
}

fn sorted(ids: &[Value]) -> BTreeSet<Value> {
    ids.iter().cloned().collect()
}

fn id(document: &Document) -> Value {
    document.get("id").unwrap().clone()
}

// ---- documents -------------------------------------------------------------------------------

const FIELDS: [&str; 3] = ["a", "b", "c"];

fn documents(random: &mut Random) -> Vec<Document> {
    (0..random.below(40))
        .map(|n| {
            let mut document = doc! { "id": (n as i64 * 7 % 41) };
            for field in FIELDS {
                // Field "c" is never an array, so that a sort by two fields meets no parallel arrays.
                match random.below(4) {
                    0 => {}
                    1 if field == "a" => {
                        let array: Vec<Value> =
                            (0..random.below(4)).map(|_| scalar(random)).collect();
                        document.insert(field, Value::Array(array));
                    }
                    _ => {
                        document.insert(field, scalar(random));
                    }
                }
            }
            if random.one_in(3) {
                document.insert("padding", "compressible ".repeat(40));
            }
            document
        })
        .collect()
}

/// Few distinct values of several types, so that equal ones meet.
fn scalar(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        1 => Value::from(true),
        2 => Value::from("x"),
        3 => Value::from("y\0"),
        4 => Value::from(1.5),
        5 => Value::from(2.0),
        _ => Value::from(random.below(4) as i64),
    }
}

// ---- the model -------------------------------------------------------------------------------

#[derive(Debug)]
enum Filter {
    All,
    Compare(String, &'static str, Value),
    In(String, Vec<Value>),
    Exists(String, bool),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Nor(Vec<Filter>),
}

impl Query {
    fn random(random: &mut Random) -> Self {
        let mut sort = Vec::new();
        for field in ["a", "b", "id"] {
            if random.one_in(3) {
                sort.push((field.to_owned(), random.one_in(2)));
            }
        }
        Query {
            filter: Filter::random(random, 2),
            sort,
            skip: if random.one_in(2) { random.below(6) } else { 0 },
            limit: if random.one_in(2) { random.below(8) } else { 0 },
        }
    }

    fn sort_document(&self) -> Document {
        self.sort
            .iter()
            .map(|(field, descending)| {
                (field.clone(), Value::from(if *descending { -1 } else { 1 }))
            })
            .collect()
    }

    fn select(&self, documents: &[Document]) -> Vec<Value> {
        let mut found: Vec<&Document> =
            documents.iter().filter(|document| self.filter.matches(document)).collect();
        found.sort_by(|left, right| self.compare(left, right));
        let limit = if self.limit == 0 { usize::MAX } else { self.limit as usize };
        found.into_iter().skip(self.skip as usize).take(limit).map(id).collect()
    }

    fn compare(&self, left: &Document, right: &Document) -> Ordering {
        let mut order = Ordering::Equal;
        for (field, descending) in &self.sort {
            let by_field =
                sort_key(left, field, *descending).cmp(&sort_key(right, field, *descending));
            order = order.then(if *descending { by_field.reverse() } else { by_field });
        }
        order.then_with(|| id(left).cmp(&id(right)))
    }
}

/// The place in the order: an empty array below all, then the least or greatest element.
fn sort_key(document: &Document, field: &str, descending: bool) -> (bool, Value) {
    match document.get(field) {
        None => (true, Value::Null),
        Some(Value::Array(array)) if array.is_empty() => (false, Value::Null),
        Some(Value::Array(array)) => {
            let end = if descending { array.iter().max() } else { array.iter().min() };
            (true, end.unwrap().clone())
        }
        Some(value) => (true, value.clone()),
    }
}

impl Filter {
    fn random(random: &mut Random, depth: u32) -> Self {
        let field = (*random.pick(&["a", "b", "c", "id"])).to_owned();
        match random.below(if depth > 0 { 9 } else { 6 }) {
            0 => Filter::All,
            1 => Filter::In(field, (0..random.below(4)).map(|_| scalar(random)).collect()),
            2 => Filter::Exists(field, random.one_in(2)),
            3 => Filter::Compare("id".into(), "$eq", Value::from(random.below(45) as i64)),
            4 | 5 => {
                let operator = *random.pick(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]);
                Filter::Compare(field, operator, scalar(random))
            }
            6 => Filter::And(Self::several(random, depth)),
            7 => Filter::Or(Self::several(random, depth)),
            _ => Filter::Nor(Self::several(random, depth)),
        }
    }

    fn several(random: &mut Random, depth: u32) -> Vec<Self> {
        (0..=random.below(2)).map(|_| Self::random(random, depth - 1)).collect()
    }

    fn to_document(&self) -> Document {
        let list = |filters: &[Filter]| -> Value {
            Value::Array(filters.iter().map(|filter| filter.to_document().into()).collect())
        };
        match self {
            Filter::All => doc! {},
            Filter::Compare(field, operator, value) => {
                let test: Document = [(*operator, value.clone())].into_iter().collect();
                [(field.as_str(), test)].into_iter().collect()
            }
            Filter::In(field, values) => {
                [(field.as_str(), doc! { "$in": (values.clone()) })].into_iter().collect()
            }
            Filter::Exists(field, wanted) => {
                [(field.as_str(), doc! { "$exists": (*wanted) })].into_iter().collect()
            }
            Filter::And(filters) => doc! { "$and": (list(filters)) },
            Filter::Or(filters) => doc! { "$or": (list(filters)) },
            Filter::Nor(filters) => doc! { "$nor": (list(filters)) },
        }
    }

    fn matches(&self, document: &Document) -> bool {
        match self {
            Filter::All => true,
            Filter::Compare(field, "$ne", value) => {
                !any(document, field, |found| equal(found, value))
            }
            Filter::Compare(field, operator, value) => {
                any(document, field, |found| compare(found, operator, value))
            }
            Filter::In(field, values) => {
                any(document, field, |found| values.iter().any(|value| equal(found, value)))
            }
            Filter::Exists(field, wanted) => document.get(field).is_some() == *wanted,
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(document)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(document)),
            Filter::Nor(filters) => !filters.iter().any(|filter| filter.matches(document)),
        }
    }
}

/// True for the field as a whole or, of an array, for an element.
fn any(document: &Document, field: &str, test: impl Fn(Option<&Value>) -> bool) -> bool {
    let found = document.get(field);
    let in_array = match found {
        Some(Value::Array(array)) => array.iter().any(|element| test(Some(element))),
        _ => false,
    };
    in_array || test(found)
}

fn equal(found: Option<&Value>, value: &Value) -> bool {
    match found {
        None => value.is_null(),
        Some(found) => found == value,
    }
}

fn compare(found: Option<&Value>, operator: &str, value: &Value) -> bool {
    if operator == "$eq" {
        return equal(found, value);
    }
    let found = found.unwrap_or(&Value::Null);
    if bracket(found) != bracket(value) {
        return false;
    }
    match (operator, found.cmp(value)) {
        ("$gt", order) => order.is_gt(),
        ("$gte", order) => order.is_ge(),
        ("$lt", order) => order.is_lt(),
        (_, order) => order.is_le(),
    }
}

/// Values of different brackets are never compared by an ordering operator.
fn bracket(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Int64(_) | Value::Double(_) => 1,
        Value::String(_) => 2,
        Value::Bool(_) => 3,
        _ => 4,
    }
}

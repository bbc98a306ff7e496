//! Every limit, at one less, exactly, and one more, on a stack of 512 KiB.

use any_store::{
    CollectionOptions, Database, Document, ErrorKind, IndexSpec, Result, Value, doc, field,
};

use crate::report::Report;
use crate::wrong::{Checked, Wrong, ensure};

const STACK_BYTES: usize = 512 << 10;

/// What a caller may ask for.
struct Limit {
    what: &'static str,
    most: usize,
    /// The error of whoever asks for more.
    beyond: ErrorKind,
    /// Asks for so much.
    ask: fn(&Database, usize) -> Result<()>,
}

const fn limit(what: &'static str, most: usize, ask: fn(&Database, usize) -> Result<()>) -> Limit {
    Limit { what, most, beyond: ErrorKind::LimitExceeded, ask }
}

const LIMITS: &[Limit] = &[
    limit("bytes of a document", 16 << 20, insert_bytes),
    limit("bytes of a document after an update", 16 << 20, grow_to_bytes),
    limit("containers of a document", 300, insert_depth),
    limit("containers of a document given as JSON", 300, insert_json_depth),
    limit("containers of a literal in a filter", 300, filter_literal_depth),
    Limit {
        what: "bytes of a collection's name",
        most: 255,
        beyond: ErrorKind::InvalidName,
        ask: create_named,
    },
    Limit {
        what: "bytes of a collection's new name",
        most: 255,
        beyond: ErrorKind::InvalidName,
        ask: rename_to,
    },
    Limit {
        what: "bytes of a primary key",
        most: 255,
        beyond: ErrorKind::InvalidOptions,
        ask: create_with_key,
    },
    limit("parts of a path in a filter", 64, |db, n| count(db, doc! { (path(n)): 1 })),
    limit("parts of a path in a sort", 64, |db, n| {
        run_to_end(db.collection("c").find(()).sort(path(n).as_str()))
    }),
    limit("parts of a path in a projection", 64, |db, n| project(db, doc! { (path(n)): 1 })),
    limit("parts of a path in an update", 64, |db, n| set(db, doc! { (path(n)): 1 })),
    limit("parts of a path to distinct values", 64, |db, n| {
        db.collection::<Document>("c").distinct(&path(n), ()).map(|_| ())
    }),
    limit("numbers among the parts of a path", 16, |db, n| {
        count(db, doc! { (format!("a{}", ".0".repeat(n))): 1 })
    }),
    limit("conditions of a filter", 100_000, |db, n| count(db, fields(n))),
    // The operator counts, and of each branch the branch, the field and its $eq.
    limit("branches of an $or", 33_333, branches),
    limit("operators inside one another", 100, filter_depth),
    limit("members of $in", 1_000_000, |db, n| count(db, doc! { "a": { "$in": (numbers(n)) } })),
    limit("members of $nin", 1_000_000, |db, n| count(db, doc! { "a": { "$nin": (numbers(n)) } })),
    limit("bytes of a pattern", 32 << 10, |db, n| {
        // A comment, which compiles to nothing: other limits are further away.
        let pattern = format!("#{}", "a".repeat(n - 1));
        count(db, doc! { "a": { "$regex": pattern, "$options": "x" } })
    }),
    Limit {
        what: "groups of a pattern inside one another",
        most: 100,
        beyond: ErrorKind::Parse,
        ask: nested_groups,
    },
    limit("fields of a sort", 64, |db, n| run_to_end(db.collection("c").find(()).sort(fields(n)))),
    limit("paths of a projection", 100_000, |db, n| project(db, fields(n))),
    limit("paths of an update", 100_000, |db, n| set(db, fields(n))),
    limit("fields of a $sort in a $push", 64, |db, n| {
        let push = doc! { "$each": [1], "$sort": (fields(n)) };
        update(db, doc! { "$push": { "a": push } })
    }),
    limit("elements that a $push sorts", 1_000_000, |db, n| {
        let push = doc! { "$each": (numbers(n)), "$sort": 1 };
        update(db, doc! { "$push": { "new": push } })
    }),
    Limit {
        what: "places behind an array",
        most: 1_500_000,
        beyond: ErrorKind::Apply,
        ask: |db, n| set(db, doc! { (format!("a.{n}")): 1 }),
    },
    limit("array filters of an update", 64, array_filters),
    limit("indexes of a collection", 64, indexes),
    limit("entries of a document in an index", 10_000, index_entries),
    limit("entries of a document in an index that is built", 10_000, built_entries),
];

pub(super) fn run(report: &mut Report) -> Checked {
    for limit in LIMITS {
        for amount in [limit.most - 1, limit.most, limit.most + 1] {
            let asked = on_a_small_stack(limit, amount)?;
            let is_right = match &asked {
                Ok(()) => amount <= limit.most,
                Err(error) => amount > limit.most && error.kind() == limit.beyond,
            };
            ensure(is_right, || {
                format!("{amount} {} where {} are allowed: {asked:?}", limit.what, limit.most)
            })?;
        }
        report.add("limits", 1);
    }
    report.at_least("limits", LIMITS.len() as u64);
    Ok(())
}

fn on_a_small_stack(limit: &'static Limit, amount: usize) -> Checked<Result<()>> {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let ask = move || {
        let db = Database::in_memory()?;
        let collection = db.create_collection("c", CollectionOptions::new())?;
        collection.insert_one(&doc! { "id": 1, "a": [] })?;
        (limit.ask)(&db, amount)
    };
    let panicked = |_| Wrong(format!("{amount} {}: panic", limit.what));
    thread.spawn(ask)?.join().map_err(panicked)
}

fn insert_bytes(db: &Database, bytes: usize) -> Result<()> {
    let document = |text_bytes| doc! { "id": 2, "text": ("x".repeat(text_bytes)) };
    let without_text = any_store::to_raw(&document(0))?.as_bytes().len();
    db.collection("c").insert_one(&document(bytes - without_text)).map(|_| ())
}

fn grow_to_bytes(db: &Database, bytes: usize) -> Result<()> {
    let without_text = any_store::to_raw(&doc! { "id": 1, "a": [], "text": "" })?.as_bytes().len();
    set(db, doc! { "text": ("x".repeat(bytes - without_text)) })
}

/// A value of so many arrays inside one another.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Int64(1), |inner, _| Value::Array(vec![inner]))
}

fn insert_depth(db: &Database, depth: usize) -> Result<()> {
    db.collection("c").insert_one(&doc! { "id": 2, "a": (nested(depth - 1)) }).map(|_| ())
}

fn insert_json_depth(db: &Database, depth: usize) -> Result<()> {
    let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
    let text = format!(r#"{{"id":2,"a":{open}1{close}}}"#);
    db.collection::<Document>("c").insert_json(&text).map(|_| ())
}

fn filter_literal_depth(db: &Database, depth: usize) -> Result<()> {
    count(db, doc! { "a": { "$eq": (nested(depth)) } })
}

fn create_named(db: &Database, bytes: usize) -> Result<()> {
    db.create_collection(&"n".repeat(bytes), CollectionOptions::new()).map(|_| ())
}

fn rename_to(db: &Database, bytes: usize) -> Result<()> {
    db.rename_collection("c", &"n".repeat(bytes))
}

fn create_with_key(db: &Database, bytes: usize) -> Result<()> {
    let options = CollectionOptions::new().primary_key("k".repeat(bytes));
    db.create_collection("keyed", options).map(|_| ())
}

fn path(parts: usize) -> String {
    vec!["b"; parts].join(".")
}

fn fields(count: usize) -> Document {
    (0..count).map(|at| (format!("f{at}"), Value::Int64(1))).collect()
}

fn numbers(count: usize) -> Vec<Value> {
    (0..count as i64).map(Value::Int64).collect()
}

fn count(db: &Database, filter: Document) -> Result<()> {
    db.collection::<Document>("c").find(filter).count().map(|_| ())
}

fn run_to_end(find: any_store::Find) -> Result<()> {
    let mut cursor = find.run()?;
    while cursor.next_raw()?.is_some() {}
    Ok(())
}

fn project(db: &Database, projection: Document) -> Result<()> {
    run_to_end(db.collection("c").find(()).project(projection))
}

fn update(db: &Database, change: Document) -> Result<()> {
    db.collection::<Document>("c").update_id(1, change).map(|_| ())
}

fn set(db: &Database, fields: Document) -> Result<()> {
    update(db, doc! { "$set": fields })
}

fn branches(db: &Database, count: usize) -> Result<()> {
    let first = field("a").eq(0).or(field("a").eq(1));
    let rest = (2..count as i64).map(|n| field("a").eq(n));
    let filter = rest.fold(first, |all, branch| all.or(branch));
    db.collection::<Document>("c").find(filter).count().map(|_| ())
}

fn filter_depth(db: &Database, depth: usize) -> Result<()> {
    let inner = doc! { "a": 1 };
    let deep = (0..depth).fold(inner, |inner, _| doc! { "$and": [(Value::from(inner))] });
    count(db, deep)
}

fn indexes(db: &Database, count: usize) -> Result<()> {
    let fields: Vec<String> = (0..count).map(|at| format!("f{at}")).collect();
    let specs = fields.iter().map(|field| IndexSpec::new(field.as_str()));
    db.collection::<Document>("c").create_indexes(specs).map(|_| ())
}

fn index_entries(db: &Database, entries: usize) -> Result<()> {
    db.collection::<Document>("c").create_index("many")?;
    set(db, doc! { "many": (numbers(entries)) })
}

fn built_entries(db: &Database, entries: usize) -> Result<()> {
    set(db, doc! { "many": (numbers(entries)) })?;
    db.collection::<Document>("c").create_index("many").map(|_| ())
}

fn nested_groups(db: &Database, depth: usize) -> Result<()> {
    let pattern = format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    count(db, doc! { "a": { "$regex": pattern } })
}

fn array_filters(db: &Database, filters: usize) -> Result<()> {
    let names: Vec<String> = (0..filters).map(|at| format!("x{at}")).collect();
    let changes: Document =
        names.iter().map(|name| (format!("{name}.$[{name}]"), Value::Int64(1))).collect();
    let filters: Vec<Document> = names.iter().map(|name| doc! { (name.as_str()): 1 }).collect();
    let found = db.collection::<Document>("c").find(doc! { "id": 99 });
    found.array_filters(filters).update(doc! { "$set": changes }).map(|_| ())
}

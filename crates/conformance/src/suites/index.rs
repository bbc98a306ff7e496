//! `steps` on one empty collection, each with what it wants; at the end the indexes must be whole.
//! Queries are asked by every plan that can be forced.

use any_store::{CheckOptions, Collection, Database, Document, Find, IndexSpec, UpdateResult};
use anyenc::Value;

use crate::case::{Case, compare, kind_of};
use crate::engine::{id, unexpected, with_collection};
use crate::{Check, Tally, plans};

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Result<Tally, String> {
    let steps = case.steps()?;
    with_collection(database, &[], |collection| {
        let mut tally = Tally { steps: steps.len(), ..Tally::default() };
        for (number, step) in steps.iter().enumerate() {
            let op = step.string("op").unwrap_or_default();
            let done = run(step, &op, collection);
            tally += done.map_err(|reason| format!("step {number}, {op}: {reason}"))?;
        }
        check_whole(database)?;
        Ok(tally)
    })
}

/// The index has the entries of the documents, and no others.
fn check_whole(database: &Database) -> Check {
    let report = database.integrity_check_with(CheckOptions::new());
    let report = report.map_err(|error| unexpected(&error))?;
    if report.is_ok() { Ok(()) } else { Err(format!("the check finds {:?}", report.problems)) }
}

fn run(step: &Case<'_>, op: &str, collection: &Collection) -> Result<Tally, String> {
    let want = step.want()?;
    if op == "query" {
        let ask = || selected(step, collection);
        let is_sorted = step.text("sort").is_some();
        return plans::by_each(collection, ask, |find| judge(find, &want, is_sorted));
    }
    let done = write(step, op, collection)?;
    judge_write(done, &want).map(|()| Tally::default())
}

fn judge_write(done: any_store::Result<Counts>, want: &Case<'_>) -> Check {
    match (done, want.string("error_kind")) {
        (Ok(_), Some(wanted)) => Err(format!("done, but wanted the error {wanted}")),
        (Err(error), Some(wanted)) => compare(kind_of(&error), wanted, "the kind of the error"),
        (Err(error), None) => Err(format!("refused: {error}")),
        (Ok(counts), None) => counts.judge(want),
    }
}

/// What a writing step counts, as far as it does.
#[derive(Default)]
struct Counts {
    matched: u64,
    modified: u64,
    upserted: bool,
}

impl Counts {
    fn of(result: UpdateResult) -> Counts {
        Counts {
            matched: result.matched,
            modified: result.modified,
            upserted: result.upserted.is_some(),
        }
    }

    fn judge(&self, want: &Case<'_>) -> Result<(), String> {
        if want.text("matched").is_none() {
            return Ok(());
        }
        compare(self.matched, want.count("matched"), "matched")?;
        compare(self.modified, want.count("modified"), "modified")?;
        let upserted = want.is_true("upserted") || want.count("upserted") > 0;
        compare(self.upserted, upserted, "upserted")
    }
}

/// Runs a writing step; the outer error is a defect of the case.
fn write(
    step: &Case<'_>,
    op: &str,
    collection: &Collection,
) -> Result<any_store::Result<Counts>, String> {
    let document = || step.document("doc")?.ok_or_else(|| "the step has no doc".to_owned());
    let id = || step.value("id").ok_or_else(|| "the step has no id".to_owned());
    let update = step.text("modifier").unwrap_or_default();
    let selected = || selected(step, collection);
    Ok(match op {
        "insert" => collection.insert_many(given(step)?).map(|_| Counts::default()),
        "createIndex" if step.is_true("ensure") => {
            collection.ensure_index(index(step)?).map(|_| Counts::default())
        }
        "createIndex" => collection.create_index(index(step)?).map(|_| Counts::default()),
        "dropIndex" => {
            let name = step.string("name").ok_or("the step has no name")?;
            collection.drop_index(&name).map(|()| Counts::default())
        }
        "updateOne" => collection.replace(&document()?).map(Counts::of),
        "upsertOne" => collection.upsert(&document()?).map(Counts::of),
        "updateId" => collection.update_id(id()?, update).map(Counts::of),
        "upsertId" => collection.upsert_id(id()?, update).map(Counts::of),
        "deleteId" => collection.delete_id(id()?).map(|()| Counts::default()),
        "updateMany" => selected().update(update).map(Counts::of),
        "deleteMany" => selected().delete().map(|result| Counts {
            matched: result.deleted,
            modified: result.deleted,
            upserted: false,
        }),
        _ => return Err("there is no such step".to_owned()),
    })
}

/// The definition of an index.
fn index(step: &Case<'_>) -> Result<IndexSpec, String> {
    let mut definition = Document::new();
    for field in ["fields", "name", "unique", "sparse"] {
        if let Some(value) = step.value(field) {
            definition.insert(field, value);
        }
    }
    IndexSpec::from_document(&definition).map_err(|error| error.to_string())
}

/// The documents of an insert, in the order in which they are written.
fn given(step: &Case<'_>) -> Result<Vec<Document>, String> {
    let Some(Value::Array(values)) = step.value("docs") else {
        return Err("the step has no docs".to_owned());
    };
    let document = |value| match value {
        Value::Object(document) => Ok(document),
        other => Err(format!("not a document: {other}")),
    };
    values.into_iter().map(document).collect()
}

/// The documents that a step is about.
fn selected(step: &Case<'_>, collection: &Collection) -> Find {
    let find = collection.find(step.text("filter").unwrap_or("{}"));
    let find = find.skip(step.count("offset")).limit(step.count("limit"));
    match step.value("sort") {
        Some(sort) => find.sort(&sort),
        None => find,
    }
}

/// Holds the answer to a query against what is wanted; without a sort, in any order.
fn judge(find: &dyn Fn() -> Find, want: &Case<'_>, is_sorted: bool) -> Check {
    let found = find().run().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found: Vec<Document> = match (found, want.string("error_kind")) {
        (Ok(found), None) => found,
        (Err(error), Some(wanted)) => {
            return compare(kind_of(&error), wanted, "the kind of the error");
        }
        (Ok(_), Some(wanted)) => return Err(format!("done, but wanted the error {wanted}")),
        (Err(error), None) => return Err(format!("refused: {error}")),
    };
    let mut ids: Vec<Value> = found.iter().map(id).collect();
    let Some(Value::Array(mut wanted)) = want.value("ids") else {
        return Err("the step wants no ids".to_owned());
    };
    if !is_sorted {
        ids.sort();
        wanted.sort();
    }
    compare(ids, wanted, "ids")?;
    let counted = find().count().map_err(|error| error.to_string())?;
    compare(counted, want.count("count"), "count")
}

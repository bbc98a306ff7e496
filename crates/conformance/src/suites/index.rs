//! `steps` on one empty collection, each with what it wants.
//!
//! Steps on indexes, and writes that an index must refuse, are left out as long as there are none.
//! What was left out changes no document, so the other steps are run as if nothing were missing.

use any_store::{Collection, Database, Document, UpdateResult};
use anyenc::Value;

use crate::case::{Case, compare, kind_of};
use crate::engine::{id, with_collection};
use crate::{Check, Outcome};

/// What a step came to.
enum Step {
    Right,
    /// It needs an index.
    Left,
}

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Check {
    let steps = case.steps()?;
    with_collection(database, &[], |collection| {
        let (mut steps_run, mut steps_left) = (0, 0);
        for (number, step) in steps.iter().enumerate() {
            let op = step.string("op").unwrap_or_default();
            let done = run(step, &op, collection);
            match done.map_err(|reason| format!("step {number}, {op}: {reason}"))? {
                Step::Right => steps_run += 1,
                Step::Left => steps_left += 1,
            }
        }
        Ok(match steps_left {
            0 => Outcome::Passed,
            _ => Outcome::Partly { steps_run, steps_left },
        })
    })
}

fn run(step: &Case<'_>, op: &str, collection: &Collection) -> Result<Step, String> {
    let want = step.want()?;
    if op == "query" {
        return query(step, &want, collection).map(|()| Step::Right);
    }
    if needs_index(op, &want) {
        return Ok(Step::Left);
    }
    let done = write(step, op, collection)?;
    match (done, want.string("error_kind")) {
        (Ok(_), Some(wanted)) => Err(format!("done, but wanted the error {wanted}")),
        (Err(error), Some(wanted)) => {
            compare(kind_of(&error), wanted, "the kind of the error").map(|()| Step::Right)
        }
        (Err(error), None) => Err(format!("refused: {error}")),
        (Ok(counts), None) => counts.judge(&want).map(|()| Step::Right),
    }
}

fn needs_index(op: &str, want: &Case<'_>) -> bool {
    let refused_by_index = want.string("error_kind");
    matches!(op, "createIndex" | "dropIndex")
        || matches!(refused_by_index.as_deref(), Some("unique" | "parallel_arrays"))
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
    let selected = || {
        let find = collection.find(step.text("filter").unwrap_or("{}"));
        let find = find.skip(step.count("offset")).limit(step.count("limit"));
        match step.value("sort") {
            Some(sort) => find.sort(&sort),
            None => find,
        }
    };
    Ok(match op {
        "insert" => collection.insert_many(given(step)?).map(|_| Counts::default()),
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

fn query(step: &Case<'_>, want: &Case<'_>, collection: &Collection) -> Result<(), String> {
    let find = || {
        let find = collection.find(step.text("filter").unwrap_or("{}"));
        let find = find.skip(step.count("offset")).limit(step.count("limit"));
        match step.value("sort") {
            Some(sort) => find.sort(&sort),
            None => find,
        }
    };
    let found = find().run().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = match (found, want.string("error_kind")) {
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
    if step.text("sort").is_none() {
        ids.sort();
        wanted.sort();
    }
    compare(ids, wanted, "ids")?;
    let counted = find().count().map_err(|error| error.to_string())?;
    compare(counted, want.count("count"), "count")
}

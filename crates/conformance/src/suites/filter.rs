//! `docs`, `filter` -> the ids of those that match.

use any_store::{Database, doc};
use any_store_query::Filter;
use anyenc::{RawDocumentBuf, Value};

use crate::Check;
use crate::case::{Case, compare, refused, refused_by_database};
use crate::engine::{broken, encoded, id, raw_id, unexpected, with_collection};

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Check {
    let text = match case.string("filter_text") {
        Some(text) => text,
        None => case.required("filter")?.to_owned(),
    };
    alone(case, &text)?;
    in_database(case, &text, database)?;
    Ok(())
}

fn alone(case: &Case<'_>, text: &str) -> Result<(), String> {
    let want = case.want()?;
    let filter = match Filter::from_json(text) {
        Ok(filter) => filter,
        Err(error) => return refused(&error, want.wanted_error()),
    };
    if let Some(wanted) = want.wanted_error() {
        return Err(format!("accepted, but wanted {wanted:?}"));
    }
    let again = Filter::from_json(&filter.to_string());
    if again.as_ref() != Ok(&filter) {
        return Err(format!("{filter} does not read back: {again:?}"));
    }
    let matching = matching(case, &filter)?;
    let ids = matching.iter().map(raw_id).collect::<Result<Vec<_>, _>>()?;
    compare(Some(Value::Array(ids)), want.value("ids"), "ids")
}

/// The documents of a case that match, encoded, in the order of their ids.
pub(crate) fn matching(case: &Case<'_>, filter: &Filter) -> Result<Vec<RawDocumentBuf>, String> {
    let mut found = Vec::new();
    for document in encoded(&case.documents()?)? {
        if filter.matches(document.as_raw()).map_err(broken)? {
            found.push(document);
        }
    }
    Ok(found)
}

/// By find, count, distinct, update and delete.
fn in_database(case: &Case<'_>, text: &str, database: &Database) -> Result<(), String> {
    let want = case.want()?;
    with_collection(database, &case.documents()?, |collection| {
        let found = match collection.find(text).run().and_then(Iterator::collect) {
            Ok(found) => found,
            Err(error) => return refused_by_database(&error, want.wanted_error()),
        };
        let found: Vec<any_store::Document> = found;
        let ids: Vec<Value> = found.iter().map(id).collect();
        let count = ids.len() as u64;
        compare(Some(Value::Array(ids.clone())), want.value("ids"), "ids by find")?;
        let verbs = || {
            let counted = collection.find(text).count()?;
            let distinct = collection.find(text).distinct("id")?;
            let mut tx = database.begin_write()?;
            let updated =
                tx.collection(collection).update_many(text, doc! { "$set": { "touched": 1 } })?;
            drop(tx);
            let mut tx = database.begin_write()?;
            let deleted = tx.collection(collection).delete_many(text)?;
            Ok::<_, any_store::Error>((counted, distinct, updated.matched, deleted.deleted))
        };
        let (counted, distinct, updated, deleted) = verbs().map_err(|error| unexpected(&error))?;
        compare((counted, updated, deleted), (count, count, count), "count, update, delete")?;
        compare(distinct.len() as u64, count, "distinct ids")
    })
}

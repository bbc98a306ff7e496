//! `docs`, `filter` -> the ids of those that match, with and without indexes.

use any_store::{Collection, Database, Document, Find, doc};
use any_store_query::Filter;
use anyenc::{RawDocumentBuf, Value};

use crate::case::{Case, compare, refused, refused_by_database};
use crate::engine::{broken, encoded, id, raw_id, unexpected, with_collection};
use crate::{Check, Tally, plans};

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Result<Tally, String> {
    let text = match case.string("filter_text") {
        Some(text) => text,
        None => case.required("filter")?.to_owned(),
    };
    alone(case, &text)?;
    in_database(case, &text, database)
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
fn in_database(case: &Case<'_>, text: &str, database: &Database) -> Result<Tally, String> {
    let want = case.want()?;
    with_collection(database, &case.documents()?, |collection| {
        let found: Vec<Document> = match collection.find(text).run().and_then(Iterator::collect) {
            Ok(found) => found,
            Err(error) => {
                return refused_by_database(&error, want.wanted_error()).map(|()| Tally::default());
            }
        };
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
        compare(distinct.len() as u64, count, "distinct ids")?;
        by_indexes(text, ids, collection)
    })
}

/// By indexes on the paths that the filter asks about, one by one and together.
fn by_indexes(text: &str, wanted: Vec<Value>, collection: &Collection) -> Result<Tally, String> {
    let filter = Filter::from_json(text).map_err(|error| error.to_string())?;
    let mut paths = Vec::new();
    collect_paths(&filter.to_document(), &mut paths);
    paths.truncate(3);
    for path in &paths {
        plans::make_indexes(collection, std::slice::from_ref(path))?;
    }
    plans::make_indexes(collection, &paths)?;
    let judge = |find: &dyn Fn() -> Find| -> Check {
        let found = find().run().and_then(Iterator::collect::<Result<Vec<Document>, _>>);
        let mut ids: Vec<Value> =
            found.map_err(|error| unexpected(&error))?.iter().map(id).collect();
        ids.sort();
        compare(&ids, &wanted, "ids")?;
        let counted = find().count().map_err(|error| unexpected(&error))?;
        compare(counted, wanted.len() as u64, "count")
    };
    plans::by_each(collection, || collection.find(text), judge)
}

/// The paths of a filter, those under logical operators included.
fn collect_paths(filter: &Document, paths: &mut Vec<String>) {
    for (key, value) in filter {
        match value {
            Value::Array(branches) if key.starts_with('$') => {
                let branches = branches.iter().filter_map(Value::as_document);
                branches.for_each(|branch| collect_paths(branch, paths));
            }
            _ if key.starts_with('$') || paths.iter().any(|path| path == key) => {}
            _ => paths.push(key.to_owned()),
        }
    }
}

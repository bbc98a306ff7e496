//! `docs`, `filter`, `sort`, `limit`, `offset` -> ids in order, with and without indexes.

use any_store::{Collection, Database, Document, Find};
use any_store_query::{Filter, Sort, SortError};
use anyenc::Value;
use anyenc::key::Direction;

use super::filter::matching;
use crate::case::{Case, compare, kind_of, refused, refused_by_database};
use crate::engine::{id, raw_id, with_collection};
use crate::{Check, Tally, plans};

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Result<Tally, String> {
    alone(case)?;
    in_database(case, database)
}

fn alone(case: &Case<'_>) -> Result<(), String> {
    let want = case.want()?;
    let filter = match Filter::from_json(case.text("filter").unwrap_or("{}")) {
        Ok(filter) => filter,
        Err(error) => return refused(&error, want.wanted_error()),
    };
    // The path that is wanted is that of the whole sort; ours is of the field at fault.
    let refused_as = |kind: &str| {
        let wanted = want.wanted_error();
        compare(Some(kind), wanted.as_ref().map(|wanted| wanted.kind()), "the kind of the error")
    };
    let Ok(sort) = Sort::from_json(case.required("sort")?) else { return refused_as("parse") };
    let mut keyed = Vec::new();
    for document in matching(case, &filter)? {
        let mut key = Vec::new();
        match sort.key(document.as_raw(), &mut key) {
            Ok(()) => keyed.push((key, raw_id(&document)?)),
            Err(SortError::ParallelArrays(_)) => return refused_as("parallel_arrays"),
            Err(error) => return Err(error.to_string()),
        }
    }
    // Equal keys stay in the order of ids, in which the documents are.
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let skip = usize::try_from(case.count("offset")).unwrap_or(usize::MAX);
    let limit = match case.count("limit") {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let ids = keyed.into_iter().map(|(_, id)| id).skip(skip).take(limit).collect();
    compare(Some(Value::Array(ids)), want.value("ids"), "ids")
}

fn in_database(case: &Case<'_>, database: &Database) -> Result<Tally, String> {
    let sort = case.value("sort").ok_or("the sort is no JSON")?;
    with_collection(database, &case.documents()?, |collection| {
        let ask = || {
            collection
                .find(case.text("filter").unwrap_or("{}"))
                .sort(&sort)
                .skip(case.count("offset"))
                .limit(case.count("limit"))
        };
        judge(&ask, case)?;
        make_index(case, collection)?;
        plans::by_each(collection, ask, |find| judge(find, case))
    })
}

fn judge(find: &dyn Fn() -> Find, case: &Case<'_>) -> Check {
    let want = case.want()?;
    let found = find().run().and_then(Iterator::collect::<Result<Vec<Document>, _>>);
    match (found, want.wanted_error()) {
        (Ok(found), _) => {
            let ids = found.iter().map(id).collect();
            compare(Some(Value::Array(ids)), want.value("ids"), "ids by find")
        }
        (Err(error), Some(wanted)) => {
            compare(kind_of(&error), wanted.kind(), "the kind of the database's error")
        }
        (Err(error), None) => refused_by_database(&error, None),
    }
}

/// Makes an index that has the order of the sort, and one against it.
fn make_index(case: &Case<'_>, collection: &Collection) -> Check {
    let Ok(sort) = Sort::from_json(case.required("sort")?) else { return Ok(()) };
    let fields = sort.fields().map(|(path, direction)| match direction {
        Direction::Ascending => path.to_string(),
        Direction::Descending => format!("-{path}"),
    });
    plans::make_indexes(collection, &fields.collect::<Vec<_>>())
}

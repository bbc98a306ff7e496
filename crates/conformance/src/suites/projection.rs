//! `docs`, `filter`, `sort`, `projection` -> documents as they are shown.

use any_store::{Database, Document};
use any_store_query::{Filter, Projection, Sort};
use anyenc::Value;

use super::filter::matching;
use crate::Check;
use crate::case::{Case, is_same, refused, refused_by_database};
use crate::engine::{broken, with_collection};

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Check {
    alone(case)?;
    in_database(case, database)?;
    Ok(())
}

fn alone(case: &Case<'_>) -> Result<(), String> {
    let want = case.want()?;
    let projection = match Projection::from_json(case.required("projection")?, "id") {
        Ok(projection) => projection,
        Err(error) => return refused(&error, want.wanted_error()),
    };
    let filter = match Filter::from_json(case.text("filter").unwrap_or("{}")) {
        Ok(filter) => filter,
        Err(error) => return refused(&error, want.wanted_error()),
    };
    let projection = match projection.for_filter(&filter) {
        Ok(projection) => projection,
        Err(error) => return refused(&error, want.wanted_error()),
    };
    let sort =
        case.text("sort").map_or(Ok(Sort::none()), Sort::from_json).map_err(|e| e.to_string())?;
    let mut keyed = Vec::new();
    for document in matching(case, &filter)? {
        let mut key = Vec::new();
        sort.key(document.as_raw(), &mut key).map_err(|error| error.to_string())?;
        keyed.push((key, document));
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let mut shown = Vec::new();
    for (_, document) in keyed {
        let document = projection.project(document.as_raw()).map_err(|e| e.to_string())?;
        document.as_raw().validate().map_err(broken)?;
        shown.push(document.to_document().map_err(broken)?);
    }
    judge(case, &want, shown)
}

fn judge(case: &Case<'_>, want: &Case<'_>, shown: Vec<Document>) -> Result<(), String> {
    if let Some(wanted) = want.wanted_error() {
        return Err(format!("accepted, but wanted {wanted:?}"));
    }
    let got = Value::Array(shown.into_iter().map(Value::from).collect());
    let wanted = want.value("docs").ok_or("the case wants no documents")?;
    if is_same(&got, &wanted, case.has_tag("any-field-order")) {
        return Ok(());
    }
    Err(format!("got {got}, but wanted {wanted}"))
}

fn in_database(case: &Case<'_>, database: &Database) -> Result<(), String> {
    let want = case.want()?;
    with_collection(database, &case.documents()?, |collection| {
        let find = collection.find(case.text("filter").unwrap_or("{}"));
        let mut find = find.project(case.required("projection")?);
        if let Some(sort) = case.value("sort") {
            find = find.sort(&sort);
        }
        match find.run().and_then(Iterator::collect) {
            Ok(shown) => judge(case, &want, shown),
            Err(error) => refused_by_database(&error, want.wanted_error()),
        }
    })
}

//! `doc`, `modifier`, `filter`, `upsert`, `array_filters` -> the document afterwards.

use any_store::{Collection, Database, Document, UpdateResult};
use any_store_query::{Applied, ApplyContext, Filter, ParseError, Update};
use anyenc::{RawDocumentBuf, RawValue, Value};

use crate::Check;
use crate::case::{Case, apply_kind, compare, is_same, kind_of, parse_kind};
use crate::engine::{broken, with_collection};

/// What came of a case: the document afterwards or the kind of the error.
struct Afterwards {
    document: Option<Document>,
    modified: bool,
    upserted: bool,
}

pub(crate) fn check(case: &Case<'_>, database: &Database) -> Check {
    let before = case.document("doc")?;
    judge(case, alone(case, before.as_ref())?).map_err(|reason| format!("alone: {reason}"))?;
    let stored: Vec<Document> = before.into_iter().collect();
    with_collection(database, &stored, |collection| {
        judge(case, in_database(case, collection, stored.first())?)
            .map_err(|reason| format!("in the database: {reason}"))
    })?;
    Ok(())
}

fn judge(case: &Case<'_>, got: Result<Afterwards, &'static str>) -> Result<(), String> {
    let want = case.want()?;
    let wanted_kind = want.wanted_error();
    let got = match got {
        Ok(got) => got,
        Err(kind) => {
            let wanted = wanted_kind.as_ref().map(|wanted| wanted.kind());
            return compare(Some(kind), wanted, "the kind of the error");
        }
    };
    if let Some(wanted) = wanted_kind {
        return Err(format!("got {:?}, but wanted {wanted:?}", got.document));
    }
    let shown = got.document.map_or(Value::Null, Value::from);
    let wanted = want.value("doc").unwrap_or(Value::Null);
    if !is_same(&shown, &wanted, case.has_tag("any-field-order")) {
        return Err(format!("got {shown}, but wanted {wanted}"));
    }
    compare(got.modified, want.is_true("modified"), "modified")?;
    compare(got.upserted, want.is_true("upserted"), "upserted")
}

/// By the parts of the query crate. The outer error is a defect of the case.
fn alone(
    case: &Case<'_>,
    before: Option<&Document>,
) -> Result<Result<Afterwards, &'static str>, String> {
    let (update, filter) = match requests(case)? {
        Ok(requests) => requests,
        Err(error) => return Ok(Err(parse_kind(&error))),
    };
    let Some(before) = before else { return upserted_alone(&update, &filter) };
    let stored = RawDocumentBuf::from_document(before).map_err(broken)?;
    let unchanged =
        || Afterwards { document: Some(before.clone()), modified: false, upserted: false };
    if !filter.matches(stored.as_raw()).map_err(broken)? {
        return Ok(Ok(unchanged()));
    }
    Ok(match update.apply(stored.as_raw(), ApplyContext::update().matching(&filter)) {
        Err(error) => Err(apply_kind(&error)),
        Ok(Applied::Unchanged) => Ok(unchanged()),
        Ok(Applied::Changed(after)) => {
            after.as_raw().validate().map_err(broken)?;
            let after = after.to_document().map_err(broken)?;
            if after.get("id") != before.get("id") {
                compare(update.touches("id"), true, "the update touches the id")?;
                Err("primary_key_modification")
            } else {
                Ok(Afterwards { document: Some(after), modified: true, upserted: false })
            }
        }
    })
}

fn upserted_alone(
    update: &Update,
    filter: &Filter,
) -> Result<Result<Afterwards, &'static str>, String> {
    let made = match update.upserted(filter, ApplyContext::insert()) {
        Ok(made) => made,
        Err(error) => return Ok(Err(apply_kind(&error))),
    };
    Ok(match made.get("id").map_err(broken)? {
        None => Err("doc_without_id"),
        Some(RawValue::Array(_)) => Err("array_primary_key"),
        Some(_) => {
            let document = made.to_document().map_err(broken)?;
            Ok(Afterwards { document: Some(document), modified: false, upserted: true })
        }
    })
}

type Requests = Result<(Update, Filter), ParseError>;

fn requests(case: &Case<'_>) -> Result<Requests, String> {
    let read = || {
        let update = Update::from_json(case.text("modifier").unwrap_or_default())?;
        let filters = case.text("array_filters").unwrap_or("[]");
        let update = update.with_array_filters(&Update::array_filters_from_json(filters)?)?;
        let filter = Filter::from_json(case.text("filter").unwrap_or("{}"))?;
        Ok((update, filter))
    };
    case.required("modifier")?;
    Ok(read())
}

fn in_database(
    case: &Case<'_>,
    collection: &Collection,
    before: Option<&Document>,
) -> Result<Result<Afterwards, &'static str>, String> {
    let run = || -> any_store::Result<UpdateResult> {
        let update = case.text("modifier").unwrap_or_default();
        let id = before.and_then(|before| before.get("id"));
        match (case.text("filter"), case.text("array_filters"), id) {
            (None, None, Some(id)) => collection.update_id(id.clone(), update),
            (filter, array_filters, _) => {
                let find = collection.find(filter.unwrap_or("{}")).upsert(case.is_true("upsert"));
                find.array_filters(array_filters.unwrap_or("[]")).update_one(update)
            }
        }
    };
    let result = run();
    let after = collection.find(()).first().map_err(|error| error.to_string())?;
    let result = match result {
        Ok(result) => result,
        Err(error) => {
            compare(after.as_ref(), before, "the document after an error")?;
            return Ok(Err(kind_of(&error)));
        }
    };
    let upserted = result.upserted.is_some();
    if let (true, Some(after)) = (upserted, &after) {
        compare(result.upserted.as_ref(), after.get("id"), "the id of the new document")?;
    }
    Ok(Ok(Afterwards { document: after, modified: result.modified > 0, upserted }))
}

//! The methods that change documents by a filter, and what their options mean.

use any_store::json::JsonFormat;
use any_store::{Document, Find, RawDocumentBuf, ReturnDocument, UpdateResult, Value};

use super::arguments::Arguments;
use super::{Receiver, Result, write_update};
use crate::output::{Documents, Layout, Output};
use crate::relaxed::Literal;
use crate::source::Problem;
use crate::statement::Call;

/// `updateOne`, `updateMany` and `replaceOne`.
pub(super) fn update(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    let (filter, change, options) = Arguments::of(call).two_or_three()?;
    let find = find(receiver, filter, options)?;
    let result = match call.name.as_str() {
        "replaceOne" => find.replace_one(&raw(change)?),
        "updateOne" => find.update_one(&change.query_document()?),
        _ => find.update(&change.query_document()?),
    };
    let result = result.map_err(|error| receiver.failure(error))?;
    write_update(&result, output)?;
    write_upserted(&result, output)
}

/// `deleteOne` and `deleteMany`.
pub(super) fn delete(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    let (filter, options) = Arguments::of(call).one_or_two()?;
    let find = find(receiver, filter, options)?;
    let result = if call.name == "deleteOne" { find.delete_one() } else { find.delete() };
    let deleted = result.map_err(|error| receiver.failure(error))?.deleted;
    Ok(output.line(&format!("Deleted: {deleted}"))?)
}

/// `findOneAndUpdate`, `findOneAndReplace` and `findOneAndDelete`.
pub(super) fn find_one_and(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    let arguments = Arguments::of(call);
    let found = if call.name == "findOneAndDelete" {
        let (filter, options) = arguments.one_or_two()?;
        find(receiver, filter, options)?.find_one_and_delete()
    } else {
        let (filter, change, options) = arguments.two_or_three()?;
        let find = find(receiver, filter, options)?;
        match call.name.as_str() {
            "findOneAndReplace" => find.find_one_and_replace(&raw(change)?),
            _ => find.find_one_and_update(&change.query_document()?),
        }
    };
    match found.map_err(|error| receiver.failure(error))? {
        Some(document) => {
            let mut documents = Documents::new(output, Layout::Pretty, JsonFormat::Relaxed);
            documents.write(document.as_raw())?;
            documents.finish()?;
            Ok(())
        }
        None => Ok(output.line("null")?),
    }
}

fn raw(document: &Literal) -> Result<RawDocumentBuf> {
    RawDocumentBuf::from_document(&document.document()?)
        .map_err(|error| Problem::new(document.at, error.to_string()).into())
}

/// The query of a filter with `{sort, skip, limit, projection, upsert, arrayFilters,
/// returnDocument}`.
fn find(
    receiver: &Receiver<'_>,
    filter: &Literal,
    options: Option<&Literal>,
) -> Result<Find<RawDocumentBuf>> {
    let mut find = receiver.raw().find(&filter.query_document()?);
    let Some(options) = options else { return Ok(find) };
    for (name, value) in options.query_document()? {
        find = match (name.as_str(), value) {
            ("sort", sort @ (Value::Object(_) | Value::Array(_))) => find.sort(&sort),
            ("sort", Value::String(field)) => find.sort(field.as_str()),
            ("skip", Value::Int64(count)) if count >= 0 => find.skip(count.unsigned_abs()),
            ("limit", Value::Int64(count)) if count >= 0 => find.limit(count.unsigned_abs()),
            ("projection", Value::Object(projection)) => find.project(projection),
            ("upsert", Value::Bool(upsert)) => find.upsert(upsert),
            ("arrayFilters", filters @ Value::Array(_)) => find.array_filters(filters),
            ("returnDocument", Value::String(which)) if which == "before" => {
                find.return_document(ReturnDocument::Before)
            }
            ("returnDocument", Value::String(which)) if which == "after" => {
                find.return_document(ReturnDocument::After)
            }
            (name, _) => return Err(bad_option(options, name)),
        };
    }
    Ok(find)
}

fn bad_option(options: &Literal, name: &str) -> super::StatementError {
    let message = format!(
        "bad option \"{name}\": there are sort, skip, limit, projection, upsert (true or false), \
         arrayFilters (an array) and returnDocument (\"before\" or \"after\")"
    );
    Problem::new(options.at, message).into()
}

fn write_upserted(result: &UpdateResult, output: &mut Output) -> Result {
    match &result.upserted {
        Some(id) => Ok(output.line(&format!("upserted: {id}"))?),
        None => Ok(()),
    }
}

/// `distinct(field, filter)`: an array on one line.
pub(super) fn distinct(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    let (field, filter) = Arguments::of(call).one_or_two()?;
    let filter = filter.map_or(Ok(Document::new()), Literal::query_document)?;
    let found = receiver.raw().distinct(&super::arguments::string(field)?, &filter);
    let values = found.map_err(|error| receiver.failure(error))?;
    Ok(output.line(&Value::Array(values).to_string())?)
}

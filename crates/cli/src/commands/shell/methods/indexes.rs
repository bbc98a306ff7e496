//! The methods that make, list and drop indexes, in the words of the reference and of mongosh.

use any_store::json::{self, JsonFormat};
use any_store::{Document, IndexSpec, RawDocumentBuf, RawValue, Value};

use super::arguments::Arguments;
use super::{Receiver, Result};
use crate::failure::Failure;
use crate::hint;
use crate::output::Output;
use crate::relaxed::Literal;
use crate::source::Problem;
use crate::statement::Call;

/// `createIndex` gives the name of the index; `ensureIndex` gives nothing, and minds no index that is
/// there already.
pub(super) fn create(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    let (fields, options) = Arguments::of(call).one_or_two()?;
    let spec = spec(fields.query()?, options.map(Literal::query_document).transpose()?)
        .map_err(|message| Problem::new(fields.at, message))?;
    let made = match call.name.as_str() {
        "ensureIndex" => receiver.documents().ensure_index(spec),
        _ => receiver.documents().create_index(spec),
    };
    let name = made.map_err(|error| receiver.failure(error))?;
    match call.name.as_str() {
        "ensureIndex" => Ok(()),
        _ => Ok(output.line(&name)?),
    }
}

/// `createIndexes([...])`: all or none.
pub(super) fn create_all(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    let list = Arguments::of(call).one()?;
    let Value::Array(wanted) = list.query()? else {
        return Err(Problem::new(list.at, "expected an array of indexes").into());
    };
    let specs = wanted.into_iter().map(|wanted| spec(wanted, None));
    let specs = specs.collect::<std::result::Result<Vec<_>, _>>();
    let specs = specs.map_err(|message| Problem::new(list.at, message))?;
    let names = receiver.documents().create_indexes(specs);
    for name in names.map_err(|error| receiver.failure(error))? {
        output.line(&name)?;
    }
    Ok(())
}

/// `dropIndex("name")` or `dropIndex({a: 1})`.
pub(super) fn drop_one(receiver: &Receiver<'_>, call: &Call) -> Result {
    let which = Arguments::of(call).one()?;
    let name = match which.value()? {
        Value::String(name) => name,
        Value::Object(fields) => {
            let indexes = receiver.documents().indexes();
            let indexes = indexes.map_err(|error| receiver.failure(error))?;
            let found = hint::index_on(&fields, &indexes);
            let missing = || Problem::new(which.at, format!("there is no index on {fields}"));
            found.ok_or_else(missing)?.to_owned()
        }
        _ => return Err(Problem::new(which.at, "expected the name of an index").into()),
    };
    receiver.documents().drop_index(&name).map_err(|error| receiver.failure(error))
}

/// `getIndexes()`: the definitions as an indented array.
pub(super) fn list(receiver: &Receiver<'_>, call: &Call, output: &mut Output) -> Result {
    Arguments::of(call).none()?;
    let indexes = receiver.documents().indexes().map_err(|error| receiver.failure(error))?;
    let specs = indexes.iter().map(|index| Value::Object(index.spec.to_document()));
    write_pretty(&Value::Array(specs.collect()), output)
}

/// Writes a value with a line for each field and element.
pub(super) fn write_pretty(value: &Value, output: &mut Output) -> Result {
    let text = pretty(value).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(output.line(&text)?)
}

fn pretty(value: &Value) -> std::result::Result<String, Box<dyn std::error::Error>> {
    let holder = RawDocumentBuf::from_document(&Document::from([("value", value.clone())]))?;
    let value = holder.as_raw().get("value")?.unwrap_or(RawValue::Null);
    Ok(json::to_json_pretty(value, JsonFormat::Relaxed)?)
}

/// An index as it is asked for: `"a"`, `["a", "-b"]`, `{a: 1, b: -1}` with mongosh's options, or the
/// reference's `{fields, name, unique, sparse, partial, expireAfter}`.
fn spec(wanted: Value, options: Option<Document>) -> std::result::Result<IndexSpec, String> {
    let mut definition = match wanted {
        Value::Object(document) if is_definition(&document) => document,
        fields => Document::from([("fields", fields)]),
    };
    for (name, value) in options.unwrap_or_default() {
        let name = match name.as_str() {
            "partialFilterExpression" => "partial",
            "expireAfterSeconds" => "expireAfter",
            // Indexes have been built beside other work since MongoDB 4.2; it is accepted there too.
            "background" => continue,
            name => name,
        };
        definition.insert(name, value);
    }
    IndexSpec::from_document(&definition).map_err(|error| error.to_string())
}

/// Is it a whole definition, and not the directions of fields, of which one may be called `fields`?
fn is_definition(document: &Document) -> bool {
    document.get("fields").is_some_and(|fields| fields.as_f64().is_none())
}

//! Documents in a collection of their own, and encoded ones without a database.

use any_store::{Collection, CollectionOptions, Database, Document};
use anyenc::{RawDocumentBuf, Value};

/// Runs `work` on a new collection with these documents.
pub(crate) fn with_collection<R>(
    database: &Database,
    documents: &[Document],
    work: impl FnOnce(&Collection) -> Result<R, String>,
) -> Result<R, String> {
    let prepare = || {
        let collection = database.create_collection("cases", CollectionOptions::new())?;
        collection.insert_many(documents).map(|_| collection)
    };
    let result = prepare().map_err(|error| unexpected(&error)).and_then(|c| work(&c));
    database.drop_collection("cases").map_err(|error| unexpected(&error))?;
    result
}

/// An error of the database that no case asks for.
pub(crate) fn unexpected(error: &any_store::Error) -> String {
    format!("the database failed: {error}")
}

/// An error of bytes that were encoded a moment ago.
pub(crate) fn broken(error: impl std::fmt::Display) -> String {
    format!("an encoded document cannot be read: {error}")
}

pub(crate) fn encoded(documents: &[Document]) -> Result<Vec<RawDocumentBuf>, String> {
    documents
        .iter()
        .map(|document| RawDocumentBuf::from_document(document).map_err(broken))
        .collect()
}

pub(crate) fn id(document: &Document) -> Value {
    document.get("id").cloned().unwrap_or(Value::Null)
}

pub(crate) fn raw_id(document: &RawDocumentBuf) -> Result<Value, String> {
    match document.get("id").map_err(broken)? {
        Some(id) => id.to_value().map_err(broken),
        None => Ok(Value::Null),
    }
}

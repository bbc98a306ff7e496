//! What the fuzz targets do with their input, as plain functions: `fuzz/` feeds them from libFuzzer,
//! `tests/corpus.rs` from the committed seeds. Each returns or panics; there is no third way.
//!
//! An input is the text of a request, a line feed, and a document: JSON text, or, if that is none,
//! any bytes, which must be told from a document or make every reader return an error.

use any_store_query::bounds::Keys;
use any_store_query::{Applied, ApplyContext, Filter, Projection, Sort, Update};
use anyenc::{RawDocument, RawDocumentBuf};

/// The request, and the bytes of the document.
fn split(data: &[u8]) -> Option<(&str, Vec<u8>)> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    let request = std::str::from_utf8(data.get(..end)?).ok()?;
    let document = data.get(end + 1..)?;
    let bytes = match anyenc::parse_document(document) {
        Ok(document) => document.as_bytes().to_vec(),
        Err(_) => document.to_vec(),
    };
    Some((request, bytes))
}

fn document(bytes: &[u8]) -> RawDocumentBuf {
    let read = RawDocumentBuf::from_bytes(bytes.to_vec());
    read.unwrap_or_else(|_| RawDocumentBuf::new())
}

/// A filter is parsed, printed and parsed again, and asked with and without its bounds, and branch by
/// branch.
pub(crate) fn filter(data: &[u8]) {
    let Some((request, bytes)) = split(data) else { return };
    let filter = match Filter::from_json(request) {
        Ok(filter) => filter,
        Err(error) => return assert!(error.offset.is_some(), "{request}: {error}"),
    };
    let printed = filter.to_string();
    assert_eq!(Filter::from_json(&printed).as_ref(), Ok(&filter), "{request} printed {printed}");
    if let Ok(damaged) = RawDocument::from_bytes(&bytes) {
        let _ = filter.matches(damaged);
    }
    let stored = document(&bytes);
    let matches = filter.matches(stored.as_raw()).expect("a valid document");
    for path in ["a", "a.b"] {
        let bounds = filter.bounds(path, Keys::Several);
        let rest = bounds.residual().matches(stored.as_raw()).expect("a valid document");
        assert!(rest || !matches, "the residual of {request} is narrower");
        assert!(!bounds.is_empty() || !matches, "{request} is not empty");
    }
    for branches in filter.disjunctions() {
        let any = branches.iter().any(|branch| branch.matches(stored.as_raw()) == Ok(true));
        assert_eq!(any, matches, "the branches of {request}");
    }
    assert_eq!(Filter::from_json(&printed).map(|again| again.shape()), Ok(filter.shape()));
}

/// A sort gives a valid document a key, or says that its arrays are parallel.
pub(crate) fn sort(data: &[u8]) {
    let Some((request, bytes)) = split(data) else { return };
    let sort = match Sort::from_json(request) {
        Ok(sort) => sort,
        Err(error) => return assert!(error.offset.is_some(), "{request}: {error}"),
    };
    let mut key = Vec::new();
    if let Ok(damaged) = RawDocument::from_bytes(&bytes) {
        let made = sort.key(damaged, &mut key);
        assert!(made.is_ok() || key.is_empty(), "a key that failed leaves nothing behind");
    }
    let made = sort.key(document(&bytes).as_raw(), &mut key);
    assert!(!matches!(made, Err(any_store_query::SortError::Damaged(_))), "{made:?}");
}

/// A projection makes a valid document of a valid one, and the same again of that.
pub(crate) fn projection(data: &[u8]) {
    let Some((request, bytes)) = split(data) else { return };
    let projection = match Projection::from_json(request, "id") {
        Ok(projection) => projection,
        Err(error) => return assert!(error.offset.is_some(), "{request}: {error}"),
    };
    if let Ok(damaged) = RawDocument::from_bytes(&bytes) {
        let mut out = vec![7];
        let made = projection.apply(damaged, &mut out);
        assert!(made.is_ok() || out == [7], "what failed leaves nothing behind");
    }
    if let Ok(shown) = projection.project(document(&bytes).as_raw()) {
        shown.as_raw().validate().expect("what is shown is valid");
    }
}

/// An update is parsed and applied to the document, damaged or valid; what it makes of a valid one is
/// valid, and differs if it says so.
pub(crate) fn update(data: &[u8]) {
    let Some((request, bytes)) = split(data) else { return };
    let update = match Update::from_json(request) {
        Ok(update) => update,
        Err(error) => return assert!(error.offset.is_some(), "{request}: {error}"),
    };
    let filter = Filter::all();
    let context = ApplyContext::update().matching(&filter);
    if let Ok(damaged) = RawDocument::from_bytes(&bytes) {
        let _ = update.apply(damaged, context);
    }
    let stored = document(&bytes);
    if let Ok(Applied::Changed(after)) = update.apply(stored.as_raw(), context) {
        after.as_raw().validate().expect("an update makes valid documents");
        assert_ne!(after, stored, "{request}");
    }
    let _ = update.upserted(&filter, context);
}

//! The documents of a query, one after the other.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;

use anyenc::{Document, RawDocument};
use serde::de::DeserializeOwned;

use crate::document;
use crate::error::{ErrorKind, Result};
use crate::exec::Rows;

/// The documents of a query: an iterator over `Result<T>`.
///
/// It stands on a snapshot, so later writes do not move it. Outside a write transaction it owns the
/// snapshot and may go wherever it likes (`Cursor<'static, T>`); inside one it borrows the
/// transaction.
///
/// After an error it ends, with one exception: a document that is not of type `T`
/// ([`ErrorKind::Deserialize`](crate::ErrorKind::Deserialize)) does not end it.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// let db = Database::in_memory()?;
/// let notes = db.create_collection("notes", CollectionOptions::new())?;
/// notes.insert_many([doc! { "id": 1, "n": 5 }, doc! { "id": 2, "n": 7 }])?;
///
/// let mut sum = 0;
/// let mut cursor = notes.find(doc! { "n": { "$gt": 5 } }).run()?;
/// while let Some(raw) = cursor.next_raw()? {
///     if let Some(any_store::RawValue::Int64(n)) = raw.get("n")? {
///         sum += n;
///     }
/// }
/// assert_eq!(sum, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a cursor reads nothing until it is asked for a document"]
pub struct Cursor<'t, T = Document> {
    /// `None` after the end.
    rows: Option<Rows<'t>>,
    /// An error ends the cursor; the rows stay, since what they lend may still be looked at.
    has_failed: bool,
    collection: Box<str>,
    primary_key: Box<str>,
    marker: PhantomData<fn() -> T>,
}

impl<'t, T> Cursor<'t, T> {
    pub(crate) fn new(rows: Rows<'t>, collection: &str, primary_key: &str) -> Self {
        Self {
            rows: Some(rows),
            has_failed: false,
            collection: collection.into(),
            primary_key: primary_key.into(),
            marker: PhantomData,
        }
    }

    /// Lends the next document as it is stored, without copying or decoding it.
    ///
    /// # Errors
    /// Stored bytes are damaged, or the database was closed. The cursor has ended then.
    pub fn next_raw(&mut self) -> Result<Option<RawDocument<'_>>> {
        if !self.advance()? {
            return Ok(None);
        }
        let Self { rows: Some(rows), has_failed, collection, .. } = self else { return Ok(None) };
        match rows.document() {
            Ok(document) => Ok(Some(document)),
            Err(error) => {
                *has_failed = true;
                Err(error.in_collection(collection))
            }
        }
    }

    /// Moves to the next row; the cursor has ended after `false` and after an error.
    fn advance(&mut self) -> Result<bool> {
        let Some(rows) = self.rows.as_mut().filter(|_| !self.has_failed) else { return Ok(false) };
        match rows.advance() {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.rows = None;
                Ok(false)
            }
            Err(error) => {
                self.has_failed = true;
                Err(error.in_collection(&self.collection))
            }
        }
    }
}

impl<T: DeserializeOwned> Cursor<'_, T> {
    fn next_typed(&mut self) -> Result<Option<T>> {
        if !self.advance()? {
            return Ok(None);
        }
        let Self { rows: Some(rows), has_failed, collection, primary_key, .. } = self else {
            return Ok(None);
        };
        let decoded = rows.document().and_then(|raw| {
            document::decode(raw).map_err(|error| document::name_document(error, raw, primary_key))
        });
        decoded.map(Some).map_err(|error| {
            *has_failed = error.kind() != ErrorKind::Deserialize;
            error.in_collection(collection)
        })
    }
}

impl<T: DeserializeOwned> Iterator for Cursor<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_typed().transpose()
    }
}

impl<T: DeserializeOwned> FusedIterator for Cursor<'_, T> {}

impl<T> fmt::Debug for Cursor<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("collection", &self.collection)
            .field("has_ended", &self.rows.is_none())
            .finish_non_exhaustive()
    }
}

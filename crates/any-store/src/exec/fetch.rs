//! Documents by id: look-ups in the document tree, driven by a source of ids.

use std::vec;

use any_store_storage::Cursor;
use anyenc::{RawDocument, Value};

use super::Operator;
use super::row::Row;
use crate::document;
use crate::error::Result;

/// Where a fetch takes its ids from.
pub(super) trait IdSource: Send {
    /// The key encoding of the next id.
    fn next_id(&mut self) -> Result<Option<&[u8]>>;
}

/// The documents that have the ids of a source, in its order. Ids without a document are passed over.
pub(super) struct Fetch<'t, S> {
    ids: S,
    row: Row<'t>,
}

impl<'t, S: IdSource> Fetch<'t, S> {
    pub(super) fn new(ids: S, cursor: Cursor<'t>) -> Self {
        Self { ids, row: Row::new(cursor) }
    }
}

impl<S: IdSource> Operator for Fetch<'_, S> {
    fn advance(&mut self) -> Result<bool> {
        while let Some(id) = self.ids.next_id()? {
            if self.row.moving().seek(id)? && self.row.id_key() == id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn id_key(&self) -> &[u8] {
        self.row.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.row.document()
    }
}

/// A few ids known beforehand, ascending and each once.
pub(super) struct PointIds {
    rest: vec::IntoIter<Vec<u8>>,
    current: Vec<u8>,
}

impl PointIds {
    pub(super) fn new(ids: &[Value]) -> Result<Self> {
        let mut keys: Vec<Vec<u8>> = ids.iter().map(document::id_key).collect::<Result<_>>()?;
        keys.sort_unstable();
        keys.dedup();
        Ok(Self { rest: keys.into_iter(), current: Vec::new() })
    }
}

impl IdSource for PointIds {
    fn next_id(&mut self) -> Result<Option<&[u8]>> {
        let Some(key) = self.rest.next() else { return Ok(None) };
        self.current = key;
        Ok(Some(&self.current))
    }
}

//! Every document of a collection, in ascending id order.

use any_store_storage::Cursor;
use anyenc::RawDocument;

use super::Operator;
use super::row::Row;
use crate::error::Result;

/// A walk over a whole document tree.
pub(super) struct Scan<'t> {
    row: Row<'t>,
    has_begun: bool,
}

impl<'t> Scan<'t> {
    pub(super) fn new(cursor: Cursor<'t>) -> Self {
        Self { row: Row::new(cursor), has_begun: false }
    }
}

impl Operator for Scan<'_> {
    fn advance(&mut self) -> Result<bool> {
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        let cursor = self.row.moving();
        Ok(if has_begun { cursor.next() } else { cursor.first() }?)
    }

    fn id_key(&self) -> &[u8] {
        self.row.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.row.document()
    }
}

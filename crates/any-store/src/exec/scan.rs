//! The documents of a collection whose ids lie in some ranges, in the order of the ids or against it.

use any_store_storage::Cursor;
use anyenc::RawDocument;

use super::Operator;
use super::meter::{Timing, Work};
use super::ranges::Ranges;
use super::row::Row;
use crate::error::Result;
use crate::plan::DocumentScan;

/// A walk over a document tree.
pub(super) struct Scan<'t> {
    row: Row<'t>,
    ranges: Ranges,
}

impl<'t> Scan<'t> {
    pub(super) fn new(scan: DocumentScan, cursor: Cursor<'t>, timing: Timing) -> Self {
        Self { row: Row::new(cursor, timing), ranges: Ranges::new(scan.ranges, scan.is_reverse) }
    }
}

impl Operator for Scan<'_> {
    fn advance(&mut self) -> Result<bool> {
        self.ranges.advance(self.row.moving())
    }

    fn id_key(&self) -> &[u8] {
        self.row.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.row.document()
    }

    fn work(&self) -> Work {
        Work {
            walked_pages: self.row.page_count(),
            unpack_time: self.row.unpack_time(),
            ..Work::default()
        }
    }
}

//! The part of a filter that the way to the documents has not decided.

use any_store_query::Filter;
use anyenc::RawDocument;

use super::{Operator, Rows};
use crate::error::Result;

/// The rows below that match a filter.
pub(super) struct Residual<'t> {
    below: Rows<'t>,
    filter: Filter,
}

impl<'t> Residual<'t> {
    pub(super) fn new(below: Rows<'t>, filter: Filter) -> Self {
        Self { below, filter }
    }
}

impl Operator for Residual<'_> {
    fn advance(&mut self) -> Result<bool> {
        while self.below.advance()? {
            if self.filter.matches(self.below.document()?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn id_key(&self) -> &[u8] {
        self.below.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.below.document()
    }
}

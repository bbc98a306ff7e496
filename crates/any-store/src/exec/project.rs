//! Fields left out.

use any_store_query::Projection;
use anyenc::RawDocument;

use super::{Operator, Rows};
use crate::error::Result;

/// The rows below, each document reduced to what a projection keeps.
pub(super) struct Projected<'t> {
    below: Rows<'t>,
    projection: Projection,
    document: Vec<u8>,
}

impl<'t> Projected<'t> {
    pub(super) fn new(below: Rows<'t>, projection: Projection) -> Self {
        Self { below, projection, document: Vec::new() }
    }
}

impl Operator for Projected<'_> {
    fn advance(&mut self) -> Result<bool> {
        self.below.advance()
    }

    fn id_key(&self) -> &[u8] {
        self.below.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.document.clear();
        self.projection.apply(self.below.document()?, &mut self.document)?;
        Ok(RawDocument::from_bytes(&self.document)?)
    }
}

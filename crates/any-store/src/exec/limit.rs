//! Skip, then limit.

use anyenc::RawDocument;

use super::{Operator, Rows};
use crate::error::Result;

/// The rows below without the first `skip`, and no more than `limit`.
pub(super) struct Limited<'t> {
    below: Rows<'t>,
    to_skip: u64,
    /// `None` is no limit.
    left: Option<u64>,
}

impl<'t> Limited<'t> {
    /// A limit of 0 is no limit.
    pub(super) fn new(below: Rows<'t>, skip: u64, limit: u64) -> Self {
        Self { below, to_skip: skip, left: (limit > 0).then_some(limit) }
    }
}

impl Operator for Limited<'_> {
    fn advance(&mut self) -> Result<bool> {
        while self.to_skip > 0 {
            if !self.below.advance()? {
                return Ok(false);
            }
            self.to_skip -= 1;
        }
        if let Some(left) = &mut self.left {
            // The row after the last one is not looked for: finding it may cost a whole scan.
            let Some(rest) = left.checked_sub(1) else { return Ok(false) };
            *left = rest;
        }
        self.below.advance()
    }

    fn id_key(&self) -> &[u8] {
        self.below.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.below.document()
    }
}

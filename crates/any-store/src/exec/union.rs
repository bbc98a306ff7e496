//! The documents of several paths, each once.
//!
//! A document that satisfies the whole condition of an earlier branch was given there, so that
//! condition is asked, and nothing has to be remembered.

use any_store_query::Filter;
use anyenc::RawDocument;

use super::{Operator, Rows};
use crate::error::Result;

/// The branches one after the other.
pub(super) struct Union<'t> {
    branches: Vec<(Rows<'t>, Filter)>,
    current: usize,
}

impl<'t> Union<'t> {
    /// Rows, and what exactly the documents of those rows satisfy.
    pub(super) fn new(branches: Vec<(Rows<'t>, Filter)>) -> Self {
        Self { branches, current: 0 }
    }
}

impl Operator for Union<'_> {
    fn advance(&mut self) -> Result<bool> {
        while let Some((earlier, rest)) = self.branches.split_at_mut_checked(self.current)
            && let Some((rows, _)) = rest.first_mut()
        {
            while rows.advance()? {
                let document = rows.document()?;
                let mut is_new = true;
                for (_, filter) in earlier.iter() {
                    is_new = is_new && !filter.matches(document)?;
                }
                if is_new {
                    return Ok(true);
                }
            }
            self.current = self.current.saturating_add(1);
        }
        Ok(false)
    }

    fn id_key(&self) -> &[u8] {
        self.branches.get(self.current).map(|(rows, _)| rows.id_key()).unwrap_or_default()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        match self.branches.get_mut(self.current) {
            Some((rows, _)) => rows.document(),
            None => Err(crate::error::Error::internal("a union is on no row")),
        }
    }
}

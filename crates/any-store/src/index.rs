//! Indexes: what a document's entries are, how they are kept exact, and how an index is built.
//!
//! An index is a tree of its own, which holds for each document and each tuple of values at the
//! index's fields one entry:
//!
//! ```text
//! key     field 1 | field 2 | ... | id       each as `anyenc::key` encodes it, in its direction
//! value   flags                              one byte, see [`Flags`]
//!
//! {"id":7,"a":[{"b":1,"c":2},{"b":3}]}  in  ["a.b","-a.c"]     (1, 2, 7)   (3, null, 7)
//! ```
//!
//! No component is a prefix of another, so the entries of one key of the index lie side by side,
//! ordered by id, and a key with its id is there once.
//!
//! Invariants, checked by `Database::integrity_check`:
//!  1. The index has exactly the entries that its definition gives for the documents of the
//!     collection, each with the flags of its document.
//!  2. In a unique index no two documents have entries that differ in the id alone.
//!  3. If a document has several keys at a field, the field's bit of `IndexMeta::multikey` is set.

use std::sync::Arc;

use crate::catalog::{CollectionMeta, IndexMeta};
use crate::error::Result;
use crate::source::Source;

mod build;
mod definitions;
mod entries;
mod maintain;
mod sketch;

pub use crate::catalog::{IndexSpec, IntoIndexFields};
pub(crate) use build::build;
pub use build::{IndexBuildOptions, IndexBuildProgress};
pub(crate) use definitions::{Existing, missing, only, wanted};
pub(crate) use entries::{Entries, Flags, components_len};
pub(crate) use maintain::Maintainer;
pub(crate) use sketch::inspect;
pub use sketch::{SketchDistribution, SketchInfo};

/// An index of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexInfo {
    /// The name.
    pub name: String,
    /// The definition, its name included.
    pub spec: IndexSpec,
    /// How many entries it has; exact. A document has one, or one for each element of an array, or
    /// none if the index is sparse or partial.
    pub entries: u64,
}

/// The indexes of a collection in the order in which they were made.
pub(crate) fn list(source: &Source<'_>, collection: &CollectionMeta) -> Result<Vec<IndexInfo>> {
    let info = |index: &Arc<IndexMeta>| {
        let stats = source.tree_stats(index.tree)?.unwrap_or_default();
        Ok(IndexInfo {
            name: index.name.clone(),
            spec: index.spec.clone(),
            entries: stats.entry_count,
        })
    };
    collection.indexes.iter().map(info).collect()
}

#[cfg(test)]
mod tests;

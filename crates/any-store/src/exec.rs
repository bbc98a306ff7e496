//! Plans at work: operators that pull rows from the operator below them.
//!
//! ```text
//! scan | fetch  ->  filter  ->  sort  ->  limit  ->  project
//! ```
//!
//! A row is a document and the key encoding of its id. Documents are read in place: an operator
//! lends the row it stands on, and nothing is unpacked before somebody looks at it. Every verb runs
//! its selection through [`select`], so find, count, update and delete mean the same documents.

mod distinct;
mod fetch;
mod filter;
mod limit;
mod project;
mod row;
mod scan;
mod sort;
mod spill;
mod targets;

use std::path::PathBuf;
use std::sync::Arc;

use any_store_query::{Filter, Projection, Sort};
use any_store_storage::vfs::Vfs;
use anyenc::RawDocument;

use crate::catalog::CollectionMeta;
use crate::error::Result;
use crate::source::Source;

pub(crate) use distinct::distinct;
pub(crate) use sort::{SortRow, SortedRows, Sorter};
pub(crate) use targets::Targets;

/// A step of a plan that produces rows.
///
/// After an error or the end, the operator is not asked again.
pub(crate) trait Operator: Send {
    /// Moves to the next row; false at the end.
    fn advance(&mut self) -> Result<bool>;

    /// The key encoding of the row's id.
    fn id_key(&self) -> &[u8];

    /// The row's document.
    fn document(&mut self) -> Result<RawDocument<'_>>;
}

/// An operator on the heap, over a state that lives at least as long as `'t`.
pub(crate) type Rows<'t> = Box<dyn Operator + 't>;

/// Which documents, in which order.
#[derive(Clone)]
pub(crate) struct Selection {
    pub(crate) filter: Filter,
    pub(crate) sort: Sort,
    pub(crate) skip: u64,
    /// 0 is no limit.
    pub(crate) limit: u64,
}

impl Selection {
    /// Every document, in the order of the plan.
    pub(crate) fn all() -> Self {
        Self { filter: Filter::all(), sort: Sort::none(), skip: 0, limit: 0 }
    }
}

/// What a row must carry to the top of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The document too.
    Documents,
    /// The id alone: the verb counts, or reads the document again when it changes it.
    Ids,
}

/// What operators may use besides the rows.
#[derive(Clone)]
pub(crate) struct Resources {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// Where temporary files go.
    pub(crate) folder: PathBuf,
    /// Memory for one sort, or for the targets of one update.
    pub(crate) budget_bytes: usize,
}

/// The rows of a selection, in its order.
pub(crate) fn select<'t>(
    source: &Source<'t>,
    collection: &CollectionMeta,
    selection: &Selection,
    keep: Keep,
    resources: &Resources,
) -> Result<Rows<'t>> {
    let mut rows = access(source, collection, &selection.filter)?;
    if !selection.filter.is_all() {
        rows = Box::new(filter::Residual::new(rows, selection.filter.clone()));
    }
    if !selection.sort.is_empty() {
        let bound = sort_bound(selection);
        rows = Box::new(sort::Sorted::new(rows, selection.sort.clone(), bound, keep, resources));
    }
    if selection.skip > 0 || selection.limit > 0 {
        rows = Box::new(limit::Limited::new(rows, selection.skip, selection.limit));
    }
    Ok(rows)
}

/// The same rows with fields left out.
pub(crate) fn project(rows: Rows<'_>, projection: Projection) -> Rows<'_> {
    Box::new(project::Projected::new(rows, projection))
}

/// How many rows a selection has.
pub(crate) fn count(
    source: &Source<'_>,
    collection: &CollectionMeta,
    selection: &Selection,
    resources: &Resources,
) -> Result<u64> {
    if selection.filter.is_all() && selection.sort.is_empty() {
        let stats = source.tree_stats(collection.tree)?;
        let documents = stats.map_or(0, |stats| stats.entry_count);
        let after_skip = documents.saturating_sub(selection.skip);
        return Ok(if selection.limit > 0 { after_skip.min(selection.limit) } else { after_skip });
    }
    let mut rows = select(source, collection, selection, Keep::Ids, resources)?;
    let mut count = 0u64;
    while rows.advance()? {
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// The cheapest way to a superset of what the filter matches, in ascending id order.
fn access<'t>(
    source: &Source<'t>,
    collection: &CollectionMeta,
    filter: &Filter,
) -> Result<Rows<'t>> {
    let cursor = source.cursor(collection.tree)?;
    Ok(match filter.point_on(&collection.primary_key) {
        Some(ids) => Box::new(fetch::Fetch::new(fetch::PointIds::new(&ids)?, cursor)),
        None => Box::new(scan::Scan::new(cursor)),
    })
}

/// How many sorted rows can be needed.
fn sort_bound(selection: &Selection) -> Option<usize> {
    let rows = selection.skip.checked_add(selection.limit).filter(|_| selection.limit > 0)?;
    usize::try_from(rows).ok()
}

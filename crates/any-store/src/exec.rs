//! Plans at work: operators that pull rows from the operator below them.
//!
//! ```text
//! documents | index | union  ->  filter  ->  sort  ->  limit  ->  project
//! ```
//!
//! A row is a document and the key encoding of its id. Documents are read in place: an operator
//! lends the row it stands on, and nothing is unpacked before somebody looks at it. Every verb runs
//! its selection through [`select`], so find, count, update and delete mean the same documents.

mod covered;
mod distinct;
mod entries;
mod filter;
mod index_scan;
mod limit;
mod project;
mod ranges;
mod row;
mod scan;
mod sort;
mod spill;
mod targets;
mod union;

use std::path::PathBuf;
use std::sync::Arc;

use any_store_query::{Filter, Projection};
use any_store_storage::vfs::Vfs;
use anyenc::RawDocument;

use crate::catalog::CollectionMeta;
use crate::error::Result;
use crate::plan::{self, Access, Branch, Plan};
use crate::selection::{Need, Selection};
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

/// What operators may use besides the rows.
#[derive(Clone)]
pub(crate) struct Resources {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// Where temporary files go.
    pub(crate) folder: PathBuf,
    /// Memory for one sort, or for the targets of one update.
    pub(crate) budget_bytes: usize,
}

/// The rows of a selection, in its order, by the cheapest plan.
pub(crate) fn select<'t>(
    source: &Source<'t>,
    collection: &CollectionMeta,
    selection: &Selection,
    need: Need<'_>,
    resources: &Resources,
) -> Result<Rows<'t>> {
    let plan = plan::choose(source, collection, selection, need)?;
    execute(source, collection, plan, selection, need, resources)
}

/// The rows of a selection by a plan that was made for it.
pub(crate) fn execute<'t>(
    source: &Source<'t>,
    collection: &CollectionMeta,
    plan: Plan,
    selection: &Selection,
    need: Need<'_>,
    resources: &Resources,
) -> Result<Rows<'t>> {
    Executor { source, collection, resources }.rows(plan, selection, need)
}

/// Makes operators of plans.
#[derive(Clone, Copy)]
struct Executor<'a, 't> {
    source: &'a Source<'t>,
    collection: &'a CollectionMeta,
    resources: &'a Resources,
}

impl<'t> Executor<'_, 't> {
    /// The rows of a plan, in the order of its selection.
    fn rows(self, plan: Plan, selection: &Selection, need: Need<'_>) -> Result<Rows<'t>> {
        let mut rows = self.matching(plan.access, plan.residual, plan.is_covered)?;
        if !plan.is_sorted {
            let bound = selection.row_bound().and_then(|rows| usize::try_from(rows).ok());
            let sort = selection.sort.clone();
            rows = Box::new(sort::Sorted::new(rows, sort, bound, need, self.resources));
        }
        if selection.skip > 0 || selection.limit > 0 {
            rows = Box::new(limit::Limited::new(rows, selection.skip, selection.limit));
        }
        Ok(rows)
    }

    /// The rows of an access path that match its residual filter.
    fn matching(self, access: Access, residual: Filter, is_covered: bool) -> Result<Rows<'t>> {
        let rows = self.access(access, is_covered)?;
        Ok(match residual.is_all() {
            true => rows,
            false => Box::new(filter::Residual::new(rows, residual)),
        })
    }

    fn access(self, access: Access, is_covered: bool) -> Result<Rows<'t>> {
        let Self { source, collection, resources } = self;
        Ok(match access {
            Access::Nothing => Box::new(union::Union::new(Vec::new())),
            Access::Documents(scan) => {
                Box::new(scan::Scan::new(scan, source.cursor(collection.tree)?))
            }
            Access::Index(scan) => Box::new(index_scan::IndexRows::new(
                source, collection, scan, is_covered, resources,
            )?),
            Access::Union(branches) => {
                let branch = |branch: Branch| {
                    let rows = self.matching(branch.access, branch.residual, false)?;
                    Ok((rows, branch.filter))
                };
                let branches = branches.into_iter().map(branch).collect::<Result<_>>()?;
                Box::new(union::Union::new(branches))
            }
        })
    }
}

/// The same rows with fields left out.
pub(crate) fn project(rows: Rows<'_>, projection: Projection) -> Rows<'_> {
    Box::new(project::Projected::new(rows, projection))
}

/// How many rows a selection has. A sort is done too: it fails on some documents, and verbs agree.
pub(crate) fn count(
    source: &Source<'_>,
    collection: &CollectionMeta,
    selection: &Selection,
    resources: &Resources,
) -> Result<u64> {
    let is_everything = selection.filter.is_all() && selection.sort.is_empty();
    if is_everything && selection.preference.hint.is_none() {
        let stats = source.tree_stats(collection.tree)?;
        let documents = stats.map_or(0, |stats| stats.entry_count);
        let after_skip = documents.saturating_sub(selection.skip);
        return Ok(if selection.limit > 0 { after_skip.min(selection.limit) } else { after_skip });
    }
    let mut rows = select(source, collection, selection, Need::Ids, resources)?;
    let mut count = 0u64;
    while rows.advance()? {
        count = count.saturating_add(1);
    }
    Ok(count)
}

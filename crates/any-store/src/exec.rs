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
mod meter;
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
use crate::error::{Error, Result};
use crate::perf;
use crate::plan::{self, Access, Branch, Plan};
use crate::selection::{Need, Selection};
use crate::source::Source;

pub(crate) use distinct::distinct;
pub(crate) use meter::{Metering, Meters, Tally, Timing, Work};
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

    /// What the operator itself has done so far, if it reads trees.
    fn work(&self) -> Work {
        Work::default()
    }
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
    let timing = if perf::is_enabled() { Timing::On } else { Timing::Off };
    let executor = Executor { source, collection, resources, timing };
    let built = executor.rows(plan, selection, need)?;
    Ok(match built.meters {
        None => built.rows,
        Some(meters) => perf::recorded(built.rows, meters),
    })
}

/// Runs a plan to its end; gives the number of rows and what each operator did.
pub(crate) fn run_metered(
    source: &Source<'_>,
    collection: &CollectionMeta,
    plan: Plan,
    selection: &Selection,
    need: Need<'_>,
    projection: Option<Projection>,
    resources: &Resources,
) -> Result<(u64, Meters)> {
    let executor = Executor { source, collection, resources, timing: Timing::On };
    let mut built = executor.rows(plan, selection, need)?;
    if let Some(projection) = projection {
        built = built.through(Metering::Project, |rows| project(rows, projection));
    }
    let Built { mut rows, meters: Some(meters) } = built else {
        return Err(Error::internal("operators that are measured have no meters"));
    };
    let mut count = 0u64;
    while rows.advance()? {
        count = count.saturating_add(1);
        if !matches!(need, Need::Ids) {
            rows.document()?;
        }
    }
    // Operators tell their meters as they go.
    drop(rows);
    if perf::is_enabled() {
        perf::count(&meters);
    }
    Ok((count, meters))
}

/// Makes operators of plans.
#[derive(Clone, Copy)]
struct Executor<'a, 't> {
    source: &'a Source<'t>,
    collection: &'a CollectionMeta,
    resources: &'a Resources,
    timing: Timing,
}

/// Operators, and their meters if they are measured.
struct Built<'t> {
    rows: Rows<'t>,
    meters: Option<Meters>,
}

impl<'t> Built<'t> {
    /// The same rows through one more operator.
    fn through(self, at: Metering, operator: impl FnOnce(Rows<'t>) -> Rows<'t>) -> Self {
        let rows = operator(self.rows);
        match self.meters {
            None => Self { rows, meters: None },
            Some(below) => Self::metered(rows, at, vec![below]),
        }
    }

    fn metered(rows: Rows<'t>, at: Metering, below: Vec<Meters>) -> Self {
        let (rows, meters) = Meters::around(rows, at, below);
        Self { rows, meters: Some(meters) }
    }
}

impl<'t> Executor<'_, 't> {
    /// The rows of a plan, in the order of its selection.
    fn rows(self, plan: Plan, selection: &Selection, need: Need<'_>) -> Result<Built<'t>> {
        let mut built = self.matching(plan.access, plan.residual, plan.is_covered)?;
        if !plan.is_sorted {
            let bound = selection.row_bound().and_then(|rows| usize::try_from(rows).ok());
            let sort = selection.sort.clone();
            built = built.through(Metering::Sort, |rows| {
                Box::new(sort::Sorted::new(rows, sort, bound, need, self.resources))
            });
        }
        if selection.skip > 0 || selection.limit > 0 {
            built = built.through(Metering::Limit, |rows| {
                Box::new(limit::Limited::new(rows, selection.skip, selection.limit))
            });
        }
        Ok(built)
    }

    /// The rows of an access path that match its residual filter.
    fn matching(self, access: Access, residual: Filter, is_covered: bool) -> Result<Built<'t>> {
        let built = self.access(access, is_covered)?;
        Ok(match residual.is_all() {
            true => built,
            false => built
                .through(Metering::Filter, |rows| Box::new(filter::Residual::new(rows, residual))),
        })
    }

    fn access(self, access: Access, is_covered: bool) -> Result<Built<'t>> {
        let Self { source, collection, resources, timing } = self;
        let mut below = Vec::new();
        let (at, rows): (_, Rows<'t>) = match access {
            Access::Nothing => (Metering::Nothing, Box::new(union::Union::new(Vec::new()))),
            Access::Documents(scan) => {
                let cursor = source.cursor(collection.tree)?;
                (Metering::Documents, Box::new(scan::Scan::new(scan, cursor, timing)))
            }
            Access::Index(scan) => {
                let rows = index_scan::IndexRows::new(
                    source, collection, scan, is_covered, resources, timing,
                )?;
                (Metering::Index, Box::new(rows))
            }
            Access::Union(branches) => {
                let branch = |branch: Branch| {
                    let built = self.matching(branch.access, branch.residual, false)?;
                    below.extend(built.meters);
                    Ok((built.rows, branch.filter))
                };
                let branches = branches.into_iter().map(branch).collect::<Result<_>>()?;
                (Metering::Union, Box::new(union::Union::new(branches)))
            }
        };
        Ok(match timing {
            Timing::Off => Built { rows, meters: None },
            Timing::On => Built::metered(rows, at, below),
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
    if selection.is_everything() {
        let stats = source.tree_stats(collection.tree)?;
        return Ok(selection.of_all(stats.map_or(0, |stats| stats.entry_count)));
    }
    let mut rows = select(source, collection, selection, Need::Ids, resources)?;
    let mut count = 0u64;
    while rows.advance()? {
        count = count.saturating_add(1);
    }
    Ok(count)
}

//! Plans: the ways to the documents of a selection, what each would cost, and which one is taken.
//!
//! ```text
//! filter, sort, limit  ->  candidates, each with an access path and a cost  ->  the cheapest: Plan
//! ```
//!
//! An access path leads to a superset of the documents that match; what it does not decide itself is
//! the plan's residual filter. So a plan changes how long an answer takes, never the answer, and every
//! shortcut is the same question asked of [`any_store_query::bounds`]: do these intervals decide the
//! condition?
//!
//! The paths considered: a walk over the documents, in either direction and within bounds on the
//! primary key; each index, by its bounds and by its order; and for an `$or`, one path for each
//! branch. Estimates come from two descents into a tree for each interval, so they are as fresh as the
//! data and choosing a plan costs microseconds.

mod candidate;
mod cost;
mod order;
mod reach;
mod share;

use std::ops::Range;
use std::sync::Arc;

use any_store_query::Filter;

use crate::catalog::{CollectionMeta, IndexMeta};
use crate::error::{Error, ErrorKind, Result};
use crate::selection::{Need, Selection};
use crate::source::Source;

pub(crate) use candidate::Candidate;
pub(crate) use order::Ties;
pub(crate) use reach::Reach;

/// The name by which a hint means the walk over the documents.
pub(crate) const NATURAL: &str = "$natural";

/// Half-open ranges of encoded keys, ascending and without overlap.
pub(crate) type KeyRanges = Vec<Range<Vec<u8>>>;

/// The way that was chosen.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) access: Access,
    /// What must still be asked of each document.
    pub(crate) residual: Filter,
    /// Whether the rows come in the order of the sort, so that none is needed.
    pub(crate) is_sorted: bool,
    /// Whether the keys of the index tell all that the verb needs.
    pub(crate) is_covered: bool,
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Nothing can match.
    Nothing,
    /// The documents whose id keys lie in these ranges.
    Documents(DocumentScan),
    /// The documents of an index's entries.
    Index(IndexScan),
    /// The documents of several paths, each once.
    Union(Vec<Branch>),
}

/// A walk over the documents.
#[derive(Clone, Debug)]
pub(crate) struct DocumentScan {
    pub(crate) ranges: KeyRanges,
    /// From the greatest id to the least.
    pub(crate) is_reverse: bool,
}

/// A walk over the entries of an index.
#[derive(Clone, Debug)]
pub(crate) struct IndexScan {
    pub(crate) index: Arc<IndexMeta>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) is_reverse: bool,
    pub(crate) ties: Ties,
}

/// One path of a union, with the whole condition of its branch.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) access: Access,
    pub(crate) residual: Filter,
    /// What documents of this branch satisfy; a later branch leaves them out.
    pub(crate) filter: Filter,
    /// Entries or documents that its path is expected to pass over.
    pub(crate) examined: f64,
    /// Documents that its path is expected to lead to.
    pub(crate) documents: f64,
}

/// The cheapest way to the rows of a selection.
pub(crate) fn choose(
    source: &Source<'_>,
    collection: &CollectionMeta,
    selection: &Selection,
    need: Need<'_>,
) -> Result<Plan> {
    if collection.indexes.is_empty() && selection.preference.hint.is_none() {
        return Ok(candidate::without_indexes(collection, selection));
    }
    let mut candidates = survey(source, collection, selection, need)?.candidates;
    match candidates.is_empty() {
        false => Ok(candidates.swap_remove(0).plan),
        true => Err(no_plan()),
    }
}

/// What came out of looking for plans.
pub(crate) struct Survey {
    /// The plans that may be taken, the one to take first; at least one.
    pub(crate) candidates: Vec<Candidate>,
    /// Those that a hint rules out.
    pub(crate) ruled_out: Vec<Candidate>,
}

/// Why an index gave no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// It leaves out documents without its fields, and the filter may match such.
    Sparse,
    /// It leaves out documents that its own filter does not match.
    Partial,
    /// Neither the filter nor the sort can make use of it.
    NoUse,
    /// No plan needs any index: nothing can match.
    NothingMatches,
}

/// The plans that were considered, by their cost.
pub(crate) fn survey(
    source: &Source<'_>,
    collection: &CollectionMeta,
    selection: &Selection,
    need: Need<'_>,
) -> Result<Survey> {
    if let Some(hint) = &selection.preference.hint
        && hint != NATURAL
        && collection.index(hint).is_none()
    {
        return Err(useless_hint(collection, hint));
    }
    let planner = candidate::Planner::new(source, collection, selection, need)?;
    let mut candidates = planner.all()?;
    for candidate in &mut candidates {
        candidate.boost(&selection.preference.boosts);
    }
    candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut ruled_out = Vec::new();
    if let Some(hint) = &selection.preference.hint {
        (candidates, ruled_out) =
            candidates.into_iter().partition(|candidate| candidate.is_named(hint));
        if candidates.is_empty() {
            return Err(useless_hint(collection, hint));
        }
    }
    Ok(Survey { candidates, ruled_out })
}

impl Survey {
    /// The plan to take.
    pub(crate) fn chosen(&self) -> Result<&Candidate> {
        self.candidates.first().ok_or_else(no_plan)
    }

    /// Every plan, the one to take first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().chain(&self.ruled_out)
    }

    /// Why an index is in none of the plans; `None` if it is in one.
    pub(crate) fn absence(&self, index: &IndexMeta, filter: &Filter) -> Option<Absence> {
        let is_of =
            |candidate: &Candidate| candidate.indexes().iter().any(|walked| walked.id == index.id);
        let is_nothing = |candidate: &Candidate| matches!(candidate.plan.access, Access::Nothing);
        if self.all().any(is_of) {
            None
        } else if self.candidates.iter().any(is_nothing) {
            Some(Absence::NothingMatches)
        } else if candidate::lacks_as_sparse(index, filter) {
            Some(Absence::Sparse)
        } else if candidate::lacks_as_partial(index, filter) {
            Some(Absence::Partial)
        } else {
            Some(Absence::NoUse)
        }
    }
}

fn no_plan() -> Error {
    Error::internal("a selection has no plan")
}

fn useless_hint(collection: &CollectionMeta, hint: &str) -> Error {
    let is_known = hint == NATURAL || collection.index(hint).is_some();
    let error = if is_known {
        let why = "it is sparse or partial and may lack documents that match";
        let message = format!("index {hint:?} cannot serve this query: {why}");
        Error::new(ErrorKind::InvalidOptions, message)
    } else {
        let message = format!("there is no index {hint:?}, which the hint names");
        Error::new(ErrorKind::IndexNotFound, message)
    };
    error.in_index(hint)
}

#[cfg(test)]
mod tests;

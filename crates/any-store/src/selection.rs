//! What a verb asks for: which documents, in which order, and how much of them.

use any_store_query::{Filter, Sort};
use anyenc::Path;

/// Which documents, in which order.
#[derive(Clone)]
pub(crate) struct Selection {
    pub(crate) filter: Filter,
    pub(crate) sort: Sort,
    pub(crate) skip: u64,
    /// 0 is no limit.
    pub(crate) limit: u64,
    pub(crate) preference: Preference,
}

/// What a caller said about the choice of the plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preference {
    /// The one index to use, or [`NATURAL`](crate::plan::NATURAL).
    pub(crate) hint: Option<String>,
    /// What is taken off the cost of an index's candidates.
    pub(crate) boosts: Vec<(String, f64)>,
}

/// What a row must carry to the top of the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need<'a> {
    /// The document.
    Documents,
    /// The document, of which only these fields are shown beside the id.
    Paths(&'a [Path]),
    /// The id alone: the verb counts, or reads the document again when it changes it.
    Ids,
}

impl Selection {
    /// Every document, in the order of the plan.
    pub(crate) fn all() -> Self {
        Self {
            filter: Filter::all(),
            sort: Sort::none(),
            skip: 0,
            limit: 0,
            preference: Preference::default(),
        }
    }

    /// Every document in any order by any plan, so that a count of them is known?
    pub(crate) fn is_everything(&self) -> bool {
        self.filter.is_all() && self.sort.is_empty() && self.preference.hint.is_none()
    }

    /// How many rows are left of so many that match.
    pub(crate) fn of_all(&self, matching: u64) -> u64 {
        let after_skip = matching.saturating_sub(self.skip);
        if self.limit > 0 { after_skip.min(self.limit) } else { after_skip }
    }

    /// Rows after which nobody asks for more.
    pub(crate) fn row_bound(&self) -> Option<u64> {
        let rows = self.skip.checked_add(self.limit)?;
        (self.limit > 0).then_some(rows)
    }
}

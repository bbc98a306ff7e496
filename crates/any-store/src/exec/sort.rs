//! Rows in the order of a sort; equal sort keys in ascending id order.
//!
//! ```text
//! a limit is given      heap of the first skip + limit rows   (top.rs)
//! no limit              arena, sorted once                    (sorter.rs, arena.rs)
//! beyond the budget     sorted runs in a file, merged         (sorter.rs, merge.rs)
//! ```
//!
//! The order of a row is one byte string, sort key then id key. Sort keys of one sort end
//! themselves, so comparing these strings compares the sort keys first and then the ids.

mod arena;
mod merge;
mod sorter;
mod top;

use any_store_query::Sort;
use anyenc::RawDocument;

use super::{Operator, Resources, Rows};
use crate::error::Result;
use crate::selection::Need;

use arena::Arena;
use top::{SortedTop, Top};

pub(crate) use sorter::{SortedRows, Sorter};

/// The rows below in sorted order.
pub(super) struct Sorted<'t> {
    sort: Sort,
    /// Whether rows carry their documents.
    keeps_documents: bool,
    resources: Resources,
    state: State<'t>,
}

enum State<'t> {
    /// Nothing has been read: the rows below, and how many of them can be needed.
    Unread {
        below: Rows<'t>,
        bound: Option<usize>,
    },
    Top(SortedTop),
    All(SortedRows),
}

/// A row as the sort holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortRow<'a> {
    /// Sort key, then id key.
    pub(crate) order: &'a [u8],
    /// How much of `order` is the sort key.
    pub(crate) sort_key_len: usize,
    /// The encoded document, or what else goes with the row; empty where only ids are kept.
    pub(crate) document: &'a [u8],
}

impl<'t> Sorted<'t> {
    pub(super) fn new(
        below: Rows<'t>,
        sort: Sort,
        bound: Option<usize>,
        need: Need<'_>,
        resources: &Resources,
    ) -> Self {
        let state = State::Unread { below, bound };
        let keeps_documents = !matches!(need, Need::Ids);
        Self { sort, keeps_documents, resources: resources.clone(), state }
    }

    fn current(&self) -> Option<SortRow<'_>> {
        match &self.state {
            State::Unread { .. } => None,
            State::Top(rows) => rows.current(),
            State::All(rows) => rows.current(),
        }
    }
}

impl Operator for Sorted<'_> {
    fn advance(&mut self) -> Result<bool> {
        if let State::Unread { below, bound } = &mut self.state {
            let input = Input { below, sort: &self.sort, keeps_documents: self.keeps_documents };
            self.state = sort_all(input, *bound, &self.resources)?;
        }
        match &mut self.state {
            State::Unread { .. } => Ok(false),
            State::Top(rows) => Ok(rows.advance()),
            State::All(rows) => rows.advance(),
        }
    }

    fn id_key(&self) -> &[u8] {
        let row = self.current();
        row.and_then(|row| row.order.get(row.sort_key_len..)).unwrap_or_default()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        let document = self.current().map(|row| row.document).unwrap_or_default();
        Ok(RawDocument::from_bytes(document)?)
    }
}

/// The rows below as the sort wants to see them.
struct Input<'a, 't> {
    below: &'a mut Rows<'t>,
    sort: &'a Sort,
    keeps_documents: bool,
}

impl Input<'_, '_> {
    /// Moves to the next row and writes its order; gives the length of the sort key.
    fn next_order(&mut self, order: &mut Vec<u8>) -> Result<Option<usize>> {
        if !self.below.advance()? {
            return Ok(None);
        }
        order.clear();
        self.sort.key(self.below.document()?, order)?;
        let sort_key_len = order.len();
        order.extend_from_slice(self.below.id_key());
        Ok(Some(sort_key_len))
    }

    fn document(&mut self) -> Result<&[u8]> {
        match self.keeps_documents {
            true => Ok(self.below.document()?.as_bytes()),
            false => Ok(&[]),
        }
    }
}

fn sort_all<'t>(
    mut input: Input<'_, '_>,
    bound: Option<usize>,
    resources: &Resources,
) -> Result<State<'t>> {
    let arena = match bound {
        Some(bound) => match collect_top(&mut input, bound, resources)? {
            Collected::All(top) => return Ok(State::Top(top)),
            Collected::TooMuch(arena) => arena,
        },
        None => Arena::default(),
    };
    let mut sorter = Sorter::going_on(arena, bound, resources);
    let mut order = Vec::new();
    while let Some(sort_key_len) = input.next_order(&mut order)? {
        sorter.push(SortRow { order: &order, sort_key_len, document: input.document()? })?;
    }
    sorter.finish().map(State::All)
}

enum Collected {
    /// The first rows of the whole input, in order.
    All(SortedTop),
    /// The bound is too large for the budget: what was held when that became clear.
    TooMuch(Arena),
}

fn collect_top(
    input: &mut Input<'_, '_>,
    bound: usize,
    resources: &Resources,
) -> Result<Collected> {
    let mut top = Top::new(bound);
    let mut order = Vec::new();
    while let Some(sort_key_len) = input.next_order(&mut order)? {
        if !top.wants(&order) {
            continue;
        }
        top.push(SortRow { order: &order, sort_key_len, document: input.document()? });
        if top.bytes() > resources.budget_bytes {
            return Ok(Collected::TooMuch(top.into_arena()?));
        }
    }
    Ok(Collected::All(top.sorted()))
}

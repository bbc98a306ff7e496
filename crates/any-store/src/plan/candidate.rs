//! The candidates for one selection, each with its estimates.

use std::ops::Bound;
use std::sync::Arc;

use any_store_query::bounds::Keys;
use any_store_query::{Filter, Strictness};
use anyenc::Path;
use anyenc::key::Direction;

use super::cost::{self, Estimate, Spread};
use super::order::{self, Order, Ties};
use super::reach::{Fields, KeyFilter, Reach};
use super::share::Share;
use super::{Access, Branch, DocumentScan, IndexScan, KeyRanges, NATURAL, Plan};
use crate::catalog::{CollectionMeta, IndexMeta};
use crate::error::Result;
use crate::selection::{Need, Selection};
use crate::source::Source;

/// With more fetches than these it is worth a look whether their documents stand together.
const MANY_FETCHES: f64 = 500.0;
/// Entries that are looked at for that.
const SAMPLED_ENTRIES: usize = 8;
/// Documents stand together if they are no more than so many of them apart.
const NEAR_DOCUMENTS: u64 = 8;

/// A plan with what it is expected to do.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) plan: Plan,
    /// Entries or documents that the access path passes over.
    pub(crate) examined: f64,
    /// Documents that are read by their ids.
    pub(crate) fetched: f64,
    /// Documents that the access path leads to.
    pub(crate) documents: f64,
    /// Those of them that match, before a sort and a limit.
    pub(crate) matching: f64,
    /// Rows that the plan gives.
    pub(crate) rows: f64,
    /// Without what the caller's preference takes off.
    pub(crate) own_cost: f64,
    pub(crate) cost: f64,
}

/// What one access path is expected to do before any limit ends it.
#[derive(Clone, Copy)]
struct Work {
    seeks: f64,
    examined: f64,
    /// The price of each entry or document passed over.
    price: f64,
    /// Documents that the path leads to.
    documents: f64,
    /// Documents that are read by their ids.
    fetched: f64,
    spread: Spread,
    /// Entries that must be read before the first row comes.
    head_start: f64,
}

/// All that the candidates of one selection have in common.
pub(super) struct Planner<'a, 't> {
    source: &'a Source<'t>,
    collection: &'a CollectionMeta,
    selection: &'a Selection,
    need: Need<'a>,
    documents: f64,
    /// Bytes of all documents.
    bytes: f64,
    /// To read one document, wherever it is.
    read_price: f64,
    /// The indexes with what they say about the filter.
    known: Vec<Known<'a>>,
}

/// An index, its state, and what it knows about the filter.
struct Known<'a> {
    index: &'a Arc<IndexMeta>,
    multikey: u64,
    entries: f64,
    /// What the filter's bounds on the first field leave.
    first: Option<(KeyRanges, Estimate)>,
}

impl Candidate {
    /// Does a hint mean this candidate?
    pub(super) fn is_named(&self, hint: &str) -> bool {
        match &self.plan.access {
            Access::Nothing => true,
            Access::Documents(_) => hint == NATURAL,
            Access::Index(scan) => scan.index.name == hint,
            Access::Union(_) => false,
        }
    }

    /// The indexes that the candidate walks over.
    pub(crate) fn indexes(&self) -> Vec<&IndexMeta> {
        match &self.plan.access {
            Access::Nothing | Access::Documents(_) => Vec::new(),
            Access::Index(scan) => vec![&scan.index],
            Access::Union(branches) => branches
                .iter()
                .filter_map(|branch| match &branch.access {
                    Access::Index(scan) => Some(&*scan.index),
                    _ => None,
                })
                .collect(),
        }
    }

    pub(super) fn boost(&mut self, boosts: &[(String, f64)]) {
        let mut boost = 0.0;
        for index in self.indexes() {
            boost += boosts
                .iter()
                .filter(|(name, _)| *name == index.name)
                .map(|(_, by)| by)
                .sum::<f64>();
        }
        self.cost = self.own_cost - boost;
    }
}

impl<'a, 't> Planner<'a, 't> {
    pub(super) fn new(
        source: &'a Source<'t>,
        collection: &'a CollectionMeta,
        selection: &'a Selection,
        need: Need<'a>,
    ) -> Result<Self> {
        let stats = source.tree_stats(collection.tree)?;
        let (count, bytes) = stats.map_or((0, 0), |stats| (stats.entry_count, stats.value_bytes));
        let documents = count as f64;
        let mean_bytes = bytes as f64 / documents.max(1.0);
        let mut planner = Self {
            source,
            collection,
            selection,
            need,
            documents,
            bytes: bytes as f64,
            read_price: mean_bytes / 1024.0 * cost::KIBIBYTE,
            known: Vec::new(),
        };
        planner.known = collection
            .indexes
            .iter()
            .map(|index| planner.know(index, count))
            .collect::<Result<_>>()?;
        Ok(planner)
    }

    fn know(&self, index: &'a Arc<IndexMeta>, documents: u64) -> Result<Known<'a>> {
        let stats = self.source.tree_stats(index.tree)?;
        let entries = stats.map_or(0, |stats| stats.entry_count);
        // An index that holds every document, and as many entries as there are, holds one of each.
        let is_whole = !index.spec.sparse && index.partial.is_none();
        let multikey = if is_whole && entries == documents { 0 } else { index.multikey };
        let mut known = Known { index, multikey, entries: entries as f64, first: None };
        if is_whole || serves(index, &self.selection.filter) {
            let reach = Reach::new(known.fields(), &self.selection.filter, |field| field == 0);
            if reach.is_bounded() {
                let inside = cost::estimate(self.source, index.tree, &reach.ranges)?;
                known.first = Some((reach.ranges, inside));
            }
        }
        Ok(known)
    }

    /// What some ranges of an index hold.
    fn inside(&self, known: &Known<'_>, ranges: &KeyRanges) -> Result<Estimate> {
        match &known.first {
            Some((first, inside)) if first == ranges => Ok(*inside),
            _ => cost::estimate(self.source, known.index.tree, ranges),
        }
    }

    /// Every way to the selection's rows that is worth a thought.
    pub(super) fn all(&self) -> Result<Vec<Candidate>> {
        let filter = &self.selection.filter;
        let mut found = Vec::new();
        self.by_documents(&mut found)?;
        for known in &self.known {
            self.by_index(known, &mut found)?;
        }
        for branches in filter.disjunctions() {
            found.extend(self.by_union(&branches)?);
        }
        if found.iter().any(|candidate| matches!(candidate.plan.access, Access::Nothing)) {
            found.retain(|candidate| matches!(candidate.plan.access, Access::Nothing));
            found.truncate(1);
        }
        Ok(found)
    }

    fn by_documents(&self, found: &mut Vec<Candidate>) -> Result<()> {
        let Some((scan, reach, work)) = self.document_scan(&self.selection.filter)? else {
            found.push(self.nothing());
            return Ok(());
        };
        let is_sorted = scan.supplied || self.selection.sort.is_empty();
        let access = Access::Documents(scan.scan);
        found.push(self.candidate(access, reach.residual, is_sorted, false, work));
        Ok(())
    }

    /// The walk over the documents that a filter's bounds on the primary key leave; `None` if none.
    fn document_scan(&self, filter: &Filter) -> Result<Option<(OrderedScan, Reach, Work)>> {
        let Some((scan, reach)) = document_walk(self.collection, self.selection, filter) else {
            return Ok(None);
        };
        let inside = match reach.is_bounded() {
            true => cost::estimate(self.source, self.collection.tree, &reach.ranges)?,
            false => Estimate { entries: self.documents, share: 1.0 },
        };
        let reads = if reach.residual.is_all() && self.needs_no_document() { 0.0 } else { 1.0 };
        let work = Work {
            seeks: reach.ranges.len() as f64,
            examined: inside.entries,
            price: cost::DOCUMENT + reads * self.read_price,
            documents: inside.entries,
            fetched: 0.0,
            spread: Spread::Anywhere,
            head_start: 0.0,
        };
        Ok(Some((scan, reach, work)))
    }

    fn needs_no_document(&self) -> bool {
        matches!(self.need, Need::Ids) && self.selection.sort.is_empty()
    }

    fn by_index(&self, known: &Known<'_>, found: &mut Vec<Candidate>) -> Result<()> {
        let filter = &self.selection.filter;
        if !serves(known.index, filter) {
            return Ok(());
        }
        let fields = known.fields();
        let bounded = Reach::new(fields, filter, |_| true);
        if bounded.is_empty() {
            found.push(self.nothing());
            return Ok(());
        }
        let order = self.order(fields, &bounded);
        let is_hinted = self.selection.preference.hint.as_deref() == Some(&*known.index.name);
        let is_covered = self.covers(known.index) && bounded.residual.is_all();
        let is_sorting = !self.selection.sort.is_empty();
        if order.is_none() && is_sorting && known.multikey != 0 {
            // Without bounds on what makes several entries, the order may be of use.
            let free = Reach::new(fields, filter, |field| !fields.is_multikey(field));
            if let Some(order) = self.order(fields, &free) {
                found.push(self.index_candidate(known, free, Some(order))?);
            }
        }
        if bounded.is_bounded() || order.is_some() || is_covered || is_hinted {
            found.push(self.index_candidate(known, bounded, order)?);
        }
        Ok(())
    }

    fn order(&self, fields: Fields<'_>, reach: &Reach) -> Option<Order> {
        if self.selection.sort.is_empty() {
            return None;
        }
        order::supplied(fields, reach, &self.selection.sort, &self.collection.primary_key)
    }

    fn index_candidate(
        &self,
        known: &Known<'_>,
        reach: Reach,
        order: Option<Order>,
    ) -> Result<Candidate> {
        let is_sorted = order.is_some() || self.selection.sort.is_empty();
        let is_covered = reach.residual.is_all() && is_sorted && self.covers(known.index);
        let order = order.unwrap_or(Order { is_reverse: false, ties: Ties::AsStored });
        let residual = reach.residual.clone();
        let reads = if is_covered { 0.0 } else { 1.0 };
        let work = self.index_work(known, &reach, order, reads)?;
        let access = Access::Index(known.scan(reach, order));
        Ok(self.candidate(access, residual, is_sorted, is_covered, work))
    }

    fn index_work(
        &self,
        known: &Known<'_>,
        reach: &Reach,
        order: Order,
        reads: f64,
    ) -> Result<Work> {
        let inside = match reach.range_fields {
            0 => Estimate { entries: known.entries, share: 1.0 },
            _ => self.inside(known, &reach.ranges)?,
        };
        let mut kept = inside.entries;
        for filter in &reach.key_filters {
            kept *= self.share_at(known, reach, filter);
        }
        let per_document = (known.entries / self.documents.max(1.0)).max(1.0);
        let (documents, fetched, deduplicate) = match known.multikey {
            0 => (kept, kept * reads, 0.0),
            // Documents are looked at to tell whether they were met before, if they have several entries.
            _ => {
                let repeated = 1.0 - 1.0 / per_document;
                let documents = kept.min(self.documents);
                (documents, kept * repeated.max(reads), cost::DEDUPLICATE * repeated)
            }
        };
        let head_start = match order.ties {
            Ties::AsStored => 0.0,
            Ties::ById { components } if components == known.index.paths.len() => 0.0,
            Ties::ById { components } => self.first_group(known, reach, components)?,
        };
        let ties = if order.ties == Ties::AsStored { 0.0 } else { cost::TIE };
        let price = cost::ENTRY
            + cost::KEY_FILTER * reach.key_filters.len() as f64
            + ties
            + deduplicate * kept / inside.entries.max(1.0);
        let spread = match fetched > MANY_FETCHES {
            true => self.spread(known, reach)?,
            false => Spread::Anywhere,
        };
        Ok(Work {
            seeks: reach.ranges.len() as f64,
            examined: inside.entries,
            price,
            documents,
            fetched,
            spread,
            head_start,
        })
    }

    /// Where the documents of an index stand, by some entries that follow each other in its reach.
    fn spread(&self, known: &Known<'_>, reach: &Reach) -> Result<Spread> {
        let Some(range) = reach.ranges.get(reach.ranges.len() / 2) else {
            return Ok(Spread::Anywhere);
        };
        let mut cursor = self.source.cursor(known.index.tree)?;
        let mut is_there = cursor.seek(&range.start)?;
        let mut ids: Vec<Vec<u8>> = Vec::with_capacity(SAMPLED_ENTRIES);
        while is_there && ids.len() < SAMPLED_ENTRIES {
            let len = crate::index::components_len(cursor.key(), &known.index.directions)?;
            ids.push(cursor.key().get(len..).unwrap_or_default().to_vec());
            is_there = cursor.next()?;
        }
        let (Some(least), Some(greatest)) = (ids.iter().min(), ids.iter().max()) else {
            return Ok(Spread::Anywhere);
        };
        let (low, high) = (Bound::Included(&**least), Bound::Included(&**greatest));
        let between = self.source.estimate(self.collection.tree, low, high)?.entries;
        let is_near = between <= NEAR_DOCUMENTS * ids.len() as u64;
        Ok(if is_near { Spread::Near } else { Spread::Anywhere })
    }

    /// Entries of the first group of a walk that puts groups in the order of ids.
    fn first_group(&self, known: &Known<'_>, reach: &Reach, components: usize) -> Result<f64> {
        let Some(first) = reach.ranges.first() else { return Ok(0.0) };
        let mut cursor = self.source.cursor(known.index.tree)?;
        if !cursor.seek(&first.start)? {
            return Ok(0.0);
        }
        let directions = known.index.directions.get(..components).unwrap_or_default();
        let len = crate::index::components_len(cursor.key(), directions)?;
        let group = cursor.key().get(..len).unwrap_or_default();
        let range = super::reach::all_behind(group);
        Ok(cost::estimate(self.source, known.index.tree, &vec![range])?.entries)
    }

    /// A path for each branch of a disjunction, if each has one that is worth it.
    fn by_union(&self, branches: &[Filter]) -> Result<Option<Candidate>> {
        let mut union = Vec::with_capacity(branches.len());
        let mut sum = Work::none();
        let mut cost_of_entries = 0.0;
        for filter in branches {
            let Some((access, residual, work)) = self.best_branch(filter)? else {
                return Ok(None);
            };
            if let Access::Nothing = access {
                continue;
            }
            sum.seeks += work.seeks;
            sum.examined += work.examined;
            sum.documents += work.documents;
            sum.fetched += work.fetched;
            cost_of_entries += work.examined * work.price;
            let (examined, documents) = (work.examined, work.documents);
            union.push(Branch { access, residual, filter: filter.clone(), examined, documents });
        }
        if union.is_empty() {
            return Ok(Some(self.nothing()));
        }
        sum.price = cost_of_entries / sum.examined.max(1.0);
        // Every document is asked whether an earlier branch has given it.
        sum.price += cost::FILTER;
        let is_sorted = self.selection.sort.is_empty();
        Ok(Some(self.candidate(Access::Union(union), Filter::all(), is_sorted, false, sum)))
    }

    /// The cheapest bounded path for one branch; `None` if only a walk over everything serves it.
    fn best_branch(&self, filter: &Filter) -> Result<Option<(Access, Filter, Work)>> {
        let mut best: Option<(Access, Filter, Work)> = None;
        match self.document_scan(filter)? {
            None => return Ok(Some((Access::Nothing, Filter::all(), Work::none()))),
            Some((scan, reach, work)) if reach.is_bounded() => {
                best = Some((Access::Documents(scan.scan), reach.residual, work));
            }
            Some(_) => {}
        }
        for known in &self.known {
            if !serves(known.index, filter) {
                continue;
            }
            let reach = Reach::new(known.fields(), filter, |_| true);
            if reach.is_empty() {
                return Ok(Some((Access::Nothing, Filter::all(), Work::none())));
            }
            if !reach.bounds_field(0) {
                continue;
            }
            let order = Order { is_reverse: false, ties: Ties::AsStored };
            let work = self.index_work(known, &reach, order, 1.0)?;
            if best.as_ref().is_none_or(|(_, _, least)| self.total(&work) < self.total(least)) {
                let residual = reach.residual.clone();
                best = Some((Access::Index(known.scan(reach, order)), residual, work));
            }
        }
        Ok(best)
    }

    fn total(&self, work: &Work) -> f64 {
        work.seeks * cost::SEEK + work.examined * work.price + self.fetch_cost(work, work.fetched)
    }

    /// The cost of so many of the fetches that a work can take.
    fn fetch_cost(&self, work: &Work, fetched: f64) -> f64 {
        fetched * (cost::fetch(fetched, self.bytes, work.spread) + self.read_price)
    }

    /// Do the keys of an index tell what the verb needs?
    fn covers(&self, index: &IndexMeta) -> bool {
        match self.need {
            Need::Documents => false,
            Need::Ids => true,
            Need::Paths(paths) => paths.iter().all(|path| {
                path.as_str() == self.collection.primary_key
                    || (path.segments().len() == 1 && index.paths.contains(path))
            }),
        }
    }

    fn nothing(&self) -> Candidate {
        let plan = nothing();
        Candidate {
            plan,
            examined: 0.0,
            fetched: 0.0,
            documents: 0.0,
            matching: 0.0,
            rows: 0.0,
            own_cost: 0.0,
            cost: 0.0,
        }
    }

    /// Puts a price on an access path and what has to follow it.
    fn candidate(
        &self,
        access: Access,
        residual: Filter,
        is_sorted: bool,
        is_covered: bool,
        work: Work,
    ) -> Candidate {
        let asks = if residual.is_all() && !matches!(access, Access::Union(_)) { 0.0 } else { 1.0 };
        let share = self.share_of(&residual, &access);
        let matching = work.documents * share.mean();
        let bound = self.selection.row_bound();
        // A limit ends a walk early if no sort stands between.
        let part = match bound {
            Some(bound) if is_sorted => share.part(work.documents, bound as f64),
            _ => 1.0,
        };
        let examined = (work.examined * part).max(work.head_start.min(work.examined));
        let fetched = work.fetched * part;
        let mut cost = work.seeks * cost::SEEK
            + examined * work.price
            + self.fetch_cost(&work, fetched)
            + work.documents * part * asks * cost::FILTER;
        if !is_sorted {
            cost += cost::sort(matching, bound);
        }
        let rows = bound.map_or(matching, |bound| matching.min(bound as f64));
        let plan = Plan { access, residual, is_sorted, is_covered };
        let documents = work.documents * part;
        let matching = if is_sorted { rows } else { matching };
        Candidate { plan, examined, fetched, documents, matching, rows, own_cost: cost, cost }
    }

    /// The share of the documents that a residual filter lets through.
    fn share_of(&self, residual: &Filter, access: &Access) -> Share {
        if residual.is_all() {
            return Share::all();
        }
        let used = match access {
            Access::Index(scan) => Some(scan.index.id),
            _ => None,
        };
        let mut share = 1.0;
        let mut rest = residual.clone();
        for known in self.known.iter().filter(|known| Some(known.index.id) != used) {
            let (Some(path), Some((_, inside))) = (known.index.paths.first(), &known.first) else {
                continue;
            };
            let bounds = rest.bounds(path.as_str(), Keys::OnePerDocument);
            if !bounds.is_all() {
                share *= known.document_share(inside, self.documents);
                rest = bounds.residual().clone();
            }
        }
        Share::new(share, rest.strictness(), self.documents)
    }

    /// The share of the keys that pass a filter on one of their components: what an index that begins
    /// with that field knows, or what can be expected of such bounds.
    fn share_at(&self, known: &Known<'_>, reach: &Reach, filter: &KeyFilter) -> f64 {
        let path = known.index.paths.get(filter.field);
        let knows = |other: &&Known<'_>| other.index.paths.first() == path;
        let known = self.known.iter().filter(knows).find_map(|other| other.first.as_ref());
        match known {
            Some((_, inside)) => inside.share,
            None => {
                let mut kinds = Strictness::default();
                let is_exact = reach.is_pointed(filter.field);
                *(if is_exact { &mut kinds.exact } else { &mut kinds.partial }) = 1;
                Share::new(1.0, kinds, self.documents).mean()
            }
        }
    }
}

/// A walk over the documents, and whether it supplies the sort.
struct OrderedScan {
    scan: DocumentScan,
    supplied: bool,
}

impl Known<'_> {
    fn fields(&self) -> Fields<'_> {
        Fields {
            paths: &self.index.paths,
            directions: &self.index.directions,
            multikey: self.multikey,
            is_sparse: self.index.spec.sparse,
        }
    }

    /// The share of the documents that have an entry among some of the index's.
    fn document_share(&self, inside: &Estimate, documents: f64) -> f64 {
        match self.multikey {
            0 => inside.share,
            _ => (inside.entries / documents.max(1.0)).min(1.0),
        }
    }

    fn scan(&self, reach: Reach, order: Order) -> IndexScan {
        IndexScan {
            index: Arc::clone(self.index),
            reach: Arc::new(reach),
            is_reverse: order.is_reverse,
            ties: order.ties,
        }
    }
}

impl Work {
    fn none() -> Self {
        Self {
            seeks: 0.0,
            examined: 0.0,
            price: 0.0,
            documents: 0.0,
            fetched: 0.0,
            spread: Spread::Anywhere,
            head_start: 0.0,
        }
    }
}

/// The walk over the documents that a filter's bounds on the primary key leave, and whether it
/// supplies the sort; `None` if the bounds leave nothing.
fn document_walk(
    collection: &CollectionMeta,
    selection: &Selection,
    filter: &Filter,
) -> Option<(OrderedScan, Reach)> {
    // A primary key with a dot in it is no path to itself, so filters say nothing about it.
    let path = Path::parse(&collection.primary_key).ok();
    let paths: Vec<Path> = path.filter(|path| path.segments().len() == 1).into_iter().collect();
    let fields = Fields {
        paths: &paths,
        directions: &[Direction::Ascending],
        multikey: 0,
        is_sparse: false,
    };
    let reach = Reach::new(fields, filter, |_| true);
    if reach.is_empty() {
        return None;
    }
    // Behind the id nothing orders, but two further fields may hold different arrays, and then the
    // sort has to say so.
    let by_id = match selection.sort.fields().len() {
        0..=2 => selection.sort.fields().next().filter(|(path, _)| paths.contains(path)),
        _ => None,
    };
    let is_reverse = by_id.is_some_and(|(_, direction)| direction == Direction::Descending);
    let scan = DocumentScan { ranges: reach.ranges.clone(), is_reverse };
    Some((OrderedScan { scan, supplied: by_id.is_some() }, reach))
}

/// The plan of a collection without indexes, which has no rivals; so nothing has to be estimated.
pub(super) fn without_indexes(collection: &CollectionMeta, selection: &Selection) -> Plan {
    match document_walk(collection, selection, &selection.filter) {
        None => nothing(),
        Some((scan, reach)) => Plan {
            access: Access::Documents(scan.scan),
            residual: reach.residual,
            is_sorted: scan.supplied || selection.sort.is_empty(),
            is_covered: false,
        },
    }
}

/// The plan of a filter that nothing can match.
fn nothing() -> Plan {
    Plan { access: Access::Nothing, residual: Filter::all(), is_sorted: true, is_covered: true }
}

/// Does an index hold every document that a filter can match?
fn serves(index: &IndexMeta, filter: &Filter) -> bool {
    !lacks_as_sparse(index, filter) && !lacks_as_partial(index, filter)
}

/// May a sparse index lack documents that a filter matches?
pub(super) fn lacks_as_sparse(index: &IndexMeta, filter: &Filter) -> bool {
    index.spec.sparse && !index.paths.iter().any(|path| filter.implies_present(path.as_str()))
}

/// May a partial index lack documents that a filter matches?
pub(super) fn lacks_as_partial(index: &IndexMeta, filter: &Filter) -> bool {
    index.partial.as_ref().is_some_and(|partial| !filter.implies(partial))
}

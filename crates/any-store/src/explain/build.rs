//! From plans to explanations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use any_store_query::Filter;
use any_store_query::bounds::Keys;
use anyenc::key::Direction;

use super::{
    Absence, Actual, CandidateExplain, Estimate, Explain, FieldBounds, IndexExplain, ScanDirection,
    Stage, StageKind, Totals, Verdict, bounds,
};
use crate::catalog::{CollectionMeta, IndexMeta};
use crate::error::Result;
use crate::exec::{Meters, Tally};
use crate::plan::{self, Access, Branch, Candidate, IndexScan, Plan, Survey, Ties};
use crate::selection::{Need, Selection};
use crate::source::Source;

/// What is to be explained.
pub(crate) struct Asked<'a, 't> {
    pub(crate) source: &'a Source<'t>,
    pub(crate) collection: &'a CollectionMeta,
    pub(crate) selection: &'a Selection,
    pub(crate) need: Need<'a>,
    /// Whether each row is shown in part.
    pub(crate) is_projected: bool,
    /// Whether the verb counts rows and does nothing with them.
    pub(crate) is_count: bool,
}

/// What running a plan told.
pub(crate) struct Run {
    pub(crate) meters: Option<Meters>,
    pub(crate) rows: u64,
    pub(crate) pages_read: u64,
    pub(crate) time: Duration,
}

/// Explains a selection. `run` runs the plan to its end, if that is asked for; without a plan, the
/// counters of the collection answer.
pub(crate) fn explain(
    asked: &Asked<'_, '_>,
    run: impl FnOnce(Option<Plan>) -> Result<Option<Run>>,
) -> Result<Explain> {
    let documents = asked.source.tree_stats(asked.collection.tree)?;
    let documents = documents.map_or(0, |stats| stats.entry_count);
    if asked.is_count && asked.selection.is_everything() {
        return Ok(asked.counted(documents, run(None)?));
    }
    let begun = Instant::now();
    let survey = plan::survey(asked.source, asked.collection, asked.selection, asked.need)?;
    let planning = begun.elapsed();
    let chosen = survey.chosen()?;
    let run = run(Some(chosen.plan.clone()))?;
    let meters = run.as_ref().and_then(|run| run.meters.as_ref());
    let plan = asked.stages(chosen, meters);
    Ok(Explain {
        summary: plan.summary(),
        collection: asked.collection.name.clone(),
        documents,
        cost: chosen.cost,
        candidates: asked.candidates(&survey, chosen.cost),
        indexes: asked.indexes(&survey, chosen),
        planning,
        totals: run.map(|run| totals(&plan, &run)),
        plan,
    })
}

fn totals(plan: &Stage, run: &Run) -> Totals {
    let mut totals =
        Totals { rows: run.rows, pages_read: run.pages_read, time: run.time, ..Totals::default() };
    for actual in plan.all().filter_map(|stage| stage.actual) {
        totals.examined = totals.examined.saturating_add(actual.examined);
        totals.fetched = totals.fetched.saturating_add(actual.fetched);
        totals.pages = totals.pages.saturating_add(actual.pages);
    }
    totals
}

impl Asked<'_, '_> {
    /// The explanation of a count that the counters of the collection tell.
    fn counted(&self, documents: u64, run: Option<Run>) -> Explain {
        let rows = self.selection.of_all(documents);
        let actual = run.as_ref().map(|run| Actual { rows, time: run.time, ..Actual::default() });
        let estimate = Estimate { rows: rows as f64, ..Estimate::default() };
        let plan = Stage { kind: StageKind::Counters, estimate, actual, inputs: Vec::new() };
        let unused = |index: &Arc<IndexMeta>| IndexExplain {
            name: index.name.clone(),
            cost: None,
            used: false,
            absence: Some(Absence::NoUse),
        };
        Explain {
            summary: plan.summary(),
            collection: self.collection.name.clone(),
            documents,
            cost: 0.0,
            candidates: Vec::new(),
            indexes: self.collection.indexes.iter().map(unused).collect(),
            planning: Duration::ZERO,
            totals: run.map(|run| totals(&plan, &run)),
            plan,
        }
    }

    /// The stages of a candidate, in the shape in which it is run.
    fn stages(&self, candidate: &Candidate, meters: Option<&Meters>) -> Stage {
        let plan = &candidate.plan;
        let mut down = Down(meters);
        let mut above = Vec::new();
        let rows = (candidate.rows - self.selection.skip as f64).max(0.0);
        if self.is_projected {
            above.push((StageKind::Project, rows, down.take()));
        }
        let Selection { skip, limit, .. } = *self.selection;
        if skip > 0 || limit > 0 {
            above.push((StageKind::Limit { skip, limit }, rows, down.take()));
        }
        if !plan.is_sorted {
            above.push((self.sort(), candidate.rows, down.take()));
        }
        if !plan.residual.is_all() {
            let filter = plan.residual.to_document();
            above.push((StageKind::Filter { filter }, candidate.matching, down.take()));
        }
        let estimate = Estimate {
            rows: candidate.documents,
            examined: candidate.examined,
            fetched: candidate.fetched,
        };
        let access =
            self.access(&plan.access, &self.selection.filter, plan.is_covered, estimate, down.0);
        above.into_iter().rev().fold(access, |below, (kind, rows, meters)| {
            let estimate = Estimate { rows, ..Estimate::default() };
            let actual = meters.map(passed);
            Stage { kind, estimate, actual, inputs: vec![below] }
        })
    }

    fn sort(&self) -> StageKind {
        let by = self.selection.sort.fields().map(|(path, direction)| match direction {
            Direction::Ascending => path.as_str().to_owned(),
            Direction::Descending => format!("-{}", path.as_str()),
        });
        match self.selection.row_bound() {
            Some(rows) => StageKind::TopK { by: by.collect(), rows },
            None => StageKind::Sort { by: by.collect() },
        }
    }

    fn access(
        &self,
        access: &Access,
        filter: &Filter,
        is_covered: bool,
        estimate: Estimate,
        meters: Option<&Meters>,
    ) -> Stage {
        let leaf = |kind, estimate, actual| Stage { kind, estimate, actual, inputs: Vec::new() };
        match access {
            Access::Nothing => leaf(StageKind::Nothing, estimate, meters.map(passed)),
            Access::Documents(scan) => {
                let bounds = self.primary_key_bounds(filter);
                let kind = StageKind::DocumentScan { bounds, direction: scan.is_reverse.into() };
                leaf(kind, estimate, meters.map(walked_documents))
            }
            Access::Index(scan) => {
                let walk = leaf(
                    index_scan(scan),
                    Estimate { fetched: 0.0, ..estimate },
                    meters.map(|meters| walked_index(&meters.tally())),
                );
                let kind = if is_covered { StageKind::Covered } else { StageKind::Fetch };
                Stage {
                    kind,
                    estimate: Estimate { examined: 0.0, ..estimate },
                    actual: meters.map(|meters| fetched(&meters.tally())),
                    inputs: vec![walk],
                }
            }
            Access::Union(branches) => {
                let below = meters.map(|meters| meters.below.as_slice()).unwrap_or_default();
                let branch = |(at, branch)| self.branch(branch, below.get(at));
                Stage {
                    kind: StageKind::Union,
                    estimate: Estimate { rows: estimate.rows, ..Estimate::default() },
                    actual: meters.map(passed),
                    inputs: branches.iter().enumerate().map(branch).collect(),
                }
            }
        }
    }

    fn branch(&self, branch: &Branch, meters: Option<&Meters>) -> Stage {
        let mut down = Down(meters);
        let has_filter = !branch.residual.is_all();
        let filter_meters = if has_filter { down.take() } else { None };
        let fetched = match branch.access {
            Access::Index(_) => branch.documents,
            _ => 0.0,
        };
        let estimate = Estimate { rows: branch.documents, examined: branch.examined, fetched };
        let access = self.access(&branch.access, &branch.filter, false, estimate, down.0);
        if !has_filter {
            return access;
        }
        Stage {
            kind: StageKind::Filter { filter: branch.residual.to_document() },
            estimate: Estimate { rows: branch.documents, ..Estimate::default() },
            actual: filter_meters.map(passed),
            inputs: vec![access],
        }
    }

    fn primary_key_bounds(&self, filter: &Filter) -> Option<FieldBounds> {
        let key = &self.collection.primary_key;
        let found = filter.bounds(key, Keys::OnePerDocument);
        let intervals = found.intervals().iter().map(bounds::interval).collect();
        // A primary key with a dot in it is no path to itself, so filters say nothing about it.
        (!found.is_all() && !key.contains('.')).then(|| FieldBounds::new(key, intervals))
    }

    fn candidates(&self, survey: &Survey, least: f64) -> Vec<CandidateExplain> {
        let explain = |candidate: &Candidate, verdict| CandidateExplain {
            plan: self.stages(candidate, None),
            estimate: Estimate {
                rows: candidate.rows,
                examined: candidate.examined,
                fetched: candidate.fetched,
            },
            cost: candidate.cost,
            boost: candidate.own_cost - candidate.cost,
            verdict,
        };
        let allowed = survey.candidates.iter().enumerate().map(|(at, candidate)| match at {
            0 => explain(candidate, Verdict::Chosen),
            _ => explain(candidate, Verdict::Dearer { by: candidate.cost - least }),
        });
        let ruled_out =
            survey.ruled_out.iter().map(|candidate| explain(candidate, Verdict::RuledOut));
        allowed.chain(ruled_out).collect()
    }

    fn indexes(&self, survey: &Survey, chosen: &Candidate) -> Vec<IndexExplain> {
        let used = chosen.indexes();
        let explain = |index: &Arc<IndexMeta>| {
            let is_of = |candidate: &&Candidate| {
                candidate.indexes().iter().any(|walked| walked.id == index.id)
            };
            let is_used = used.iter().any(|walked| walked.id == index.id);
            let costs = survey.all().filter(is_of).map(|candidate| candidate.cost);
            IndexExplain {
                name: index.name.clone(),
                cost: if is_used { Some(chosen.cost) } else { costs.reduce(f64::min) },
                used: is_used,
                absence: survey.absence(index, &self.selection.filter),
            }
        };
        let mut indexes: Vec<IndexExplain> = self.collection.indexes.iter().map(explain).collect();
        indexes.sort_by_key(|index| !index.used);
        indexes
    }
}

/// The meters of a chain of operators, from the top down.
struct Down<'a>(Option<&'a Meters>);

impl<'a> Down<'a> {
    fn take(&mut self) -> Option<&'a Meters> {
        let meters = self.0?;
        self.0 = meters.below.first();
        Some(meters)
    }
}

/// What a stage did that reads no tree.
fn passed(meters: &Meters) -> Actual {
    Actual { rows: meters.tally().rows, time: meters.own_time(), ..Actual::default() }
}

fn walked_documents(meters: &Meters) -> Actual {
    let tally = meters.tally();
    Actual { examined: tally.rows, pages: tally.work.walked_pages, ..passed(meters) }
}

fn walked_index(tally: &Tally) -> Actual {
    Actual {
        rows: tally.rows,
        examined: tally.work.examined,
        pages: tally.work.walked_pages,
        time: tally.advance_time,
        fetched: 0,
    }
}

fn fetched(tally: &Tally) -> Actual {
    Actual {
        rows: tally.rows,
        fetched: tally.work.fetched,
        pages: tally.work.fetched_pages,
        time: tally.document_time,
        examined: 0,
    }
}

fn index_scan(scan: &IndexScan) -> StageKind {
    let mut fields = scan.index.paths.iter().zip(&scan.reach.fields);
    let of_field = |(path, intervals): (&anyenc::Path, &Option<Vec<_>>)| {
        bounds::of_field(path, intervals.as_ref())
    };
    let ranged = fields.by_ref().take(scan.reach.range_fields);
    StageKind::IndexScan {
        index: scan.index.name.clone(),
        bounds: ranged.filter_map(of_field).collect(),
        key_filters: fields.filter_map(of_field).collect(),
        direction: scan.is_reverse.into(),
        orders_ties: scan.ties != Ties::AsStored,
    }
}

impl From<bool> for ScanDirection {
    fn from(is_reverse: bool) -> Self {
        if is_reverse { Self::Backward } else { Self::Forward }
    }
}

//! Explanations: how a query would be run, what else was thought of, and what running it really did.
//!
//! ```text
//! plan::survey  ->  build: stages and candidates  ->  text, for people   |   json, for programs
//!                   exec::Meters: what each stage did, if the query was run
//! ```
//!
//! An explanation is made of the plan that is run, by the code that runs it, so it cannot tell
//! anything else than what happens.

mod bounds;
mod build;
mod json;
mod text;

use std::time::Duration;

use anyenc::Document;

pub use crate::plan::Absence;
pub(crate) use build::{Asked, Run, explain};

/// How a query is run: the plan, its rivals, and what it is expected to do.
///
/// It prints as text for people; [`to_document`](Self::to_document) and [`to_json`](Self::to_json) are for
/// programs. Costs have no unit: they are about multiples of the time in which a walk passes over one
/// index entry, and mean something in comparison alone.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database, StageKind};
/// let db = Database::in_memory()?;
/// let users = db.create_collection("users", CollectionOptions::new())?;
/// users.create_index("city")?;
/// users.insert_many((0..500).map(|id| doc! { "id": id, "city": format!("c{}", id % 50) }))?;
/// let explain = users.find(doc! { "city": "c7" }).explain_analyze()?;
/// assert_eq!(explain.summary, "IndexScan(city) -> Fetch");
/// assert!(explain.indexes[0].used);
/// let totals = explain.totals.unwrap();
/// assert_eq!((totals.rows, totals.examined, totals.fetched), (10, 10, 10));
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explain {
    /// The stages of the plan from the first to the last, on one line.
    #[doc(alias = "Sql")]
    pub summary: String,
    /// The collection.
    pub collection: String,
    /// How many documents it has; exact.
    pub documents: u64,
    /// The chosen plan: its last stage, with those that it gets its rows from below it.
    #[doc(alias = "Plan")]
    pub plan: Stage,
    /// The cost of the chosen plan, after boosts.
    pub cost: f64,
    /// Every plan that was thought of, the chosen one first, then by their cost; last those that a hint
    /// ruled out. None where the counters of the collection answer.
    pub candidates: Vec<CandidateExplain>,
    /// Every index of the collection, those that the plan uses first.
    #[doc(alias = "Indexes")]
    pub indexes: Vec<IndexExplain>,
    /// How long it took to find the plan.
    pub planning: Duration,
    /// What running the query did; none unless it was run.
    pub totals: Option<Totals>,
}

/// A stage of a plan, with the stages that it gets its rows from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// What it is expected to do.
    pub estimate: Estimate,
    /// What it did; none unless the query was run.
    pub actual: Option<Actual>,
    /// The stages below it: none, one, or those of a union.
    pub inputs: Vec<Stage>,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StageKind {
    /// Gives nothing, since nothing can match.
    Nothing,
    /// Takes the number of documents from the collection's counters, and reads nothing.
    Counters,
    /// Walks over the documents.
    DocumentScan {
        /// Where the primary key lies; none where it may be anything.
        bounds: Option<FieldBounds>,
        /// From the least id to the greatest, or back.
        direction: ScanDirection,
    },
    /// Walks over the entries of an index, and gives each document once.
    IndexScan {
        /// The index.
        index: String,
        /// Where the fields lie whose bounds say which part of the index is walked over, in the order of
        /// the index; none: all of it.
        bounds: Vec<FieldBounds>,
        /// Where other fields lie, which is asked of each entry that is met.
        key_filters: Vec<FieldBounds>,
        /// Along the index or against it.
        direction: ScanDirection,
        /// Whether entries of equal sort keys are put in the order of the ids.
        orders_ties: bool,
    },
    /// Gives the rows of several paths one after the other, each document once.
    Union,
    /// Looks up the documents of the entries below.
    Fetch,
    /// Takes from the entries below all that is asked for. Documents are looked up only where an entry
    /// does not tell their values exactly.
    Covered,
    /// Asks documents what the stages below have not decided.
    Filter {
        /// What is asked.
        filter: Document,
    },
    /// Sorts all rows.
    Sort {
        /// The fields, `-` in front of one meaning descending.
        by: Vec<String>,
    },
    /// Keeps the first rows of an order.
    TopK {
        /// The fields, `-` in front of one meaning descending.
        by: Vec<String>,
        /// How many rows.
        rows: u64,
    },
    /// Leaves out the first rows, and those after the last that is wanted.
    Limit {
        /// How many are left out at first.
        skip: u64,
        /// How many are wanted; 0 is no limit.
        limit: u64,
    },
    /// Shows a part of each document.
    Project,
}

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScanDirection {
    /// In ascending order of the keys as they are stored.
    Forward,
    /// Against it.
    Backward,
}

/// Where the values of a field lie.
///
/// Intervals print as `5` for one value, `[5, 10)`, `(5, last number]`, `["ab", "ab"...]` for the strings that
/// begin with a text, `any string` for a type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldBounds {
    /// The path of the field.
    pub field: String,
    /// The intervals, ascending.
    pub intervals: Vec<String>,
}

/// What a stage, or a plan, is expected to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Rows that it gives.
    pub rows: f64,
    /// Entries of an index, or documents of a walk, that it passes over.
    pub examined: f64,
    /// Documents that it looks up by their ids.
    pub fetched: f64,
}

/// What a stage did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Actual {
    /// Rows that it gave.
    pub rows: u64,
    /// Entries of an index, or documents of a walk, that it passed over.
    pub examined: u64,
    /// Documents that it looked up by their ids.
    pub fetched: u64,
    /// Pages of trees that it entered, in memory or not; one that it came back to counts again.
    pub pages: u64,
    /// The time it took, without the stages below it. The clock is read for each row, so stages look
    /// slower than they are.
    pub time: Duration,
}

/// What running a query did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Rows that it gave.
    pub rows: u64,
    /// Entries of indexes, and documents of walks, that it passed over.
    pub examined: u64,
    /// Documents that it looked up by their ids.
    pub fetched: u64,
    /// Pages of trees that it entered, in memory or not; one that it came back to counts again.
    pub pages: u64,
    /// Pages that were not in memory and had to be read from the file or the log, by the whole database
    /// while the query ran: what others read meanwhile is among them.
    pub pages_read: u64,
    /// How long it took from the first step to the last, without planning.
    pub time: Duration,
}

/// A plan that was thought of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CandidateExplain {
    /// Its stages, with its own bounds.
    pub plan: Stage,
    /// What it was expected to do.
    pub estimate: Estimate,
    /// Its own cost, after boosts.
    pub cost: f64,
    /// What boosts took off its cost.
    pub boost: f64,
    /// Whether it was chosen, or why not.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the plan.
    Chosen,
    /// It costs so much more than the plan; at 0 the plan was merely thought of first.
    Dearer {
        /// The difference of the costs.
        by: f64,
    },
    /// A hint asked for something else.
    RuledOut,
}

/// What an index was worth to a query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IndexExplain {
    /// The name.
    pub name: String,
    /// The least cost of the candidates with this index, its own; none if there was no such candidate.
    pub cost: Option<f64>,
    /// Whether the chosen plan uses it.
    pub used: bool,
    /// Why there was no candidate with it.
    pub absence: Option<Absence>,
}

impl Explain {
    /// Whether the chosen plan looks up no document and walks over none: counters and the entries of
    /// indexes tell everything, but for entries that do not tell a value exactly.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        let reads =
            |stage: &Stage| matches!(stage.kind, StageKind::Fetch | StageKind::DocumentScan { .. });
        !self.plan.all().any(reads)
    }

    /// The explanation as a document: names in camel case, times in microseconds.
    #[must_use]
    pub fn to_document(&self) -> Document {
        json::explain(self)
    }

    /// [`to_document`](Self::to_document) as JSON on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_document().to_string()
    }
}

impl Stage {
    /// The stage and all below it, itself first.
    pub fn all(&self) -> impl Iterator<Item = &Stage> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let stage = waiting.pop()?;
            waiting.extend(stage.inputs.iter().rev());
            Some(stage)
        })
    }

    /// The name of what it does.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            StageKind::Nothing => "Nothing",
            StageKind::Counters => "Counters",
            StageKind::DocumentScan { .. } => "DocumentScan",
            StageKind::IndexScan { .. } => "IndexScan",
            StageKind::Union => "Union",
            StageKind::Fetch => "Fetch",
            StageKind::Covered => "Covered",
            StageKind::Filter { .. } => "Filter",
            StageKind::Sort { .. } => "Sort",
            StageKind::TopK { .. } => "TopK",
            StageKind::Limit { .. } => "Limit",
            StageKind::Project => "Project",
        }
    }
}

impl FieldBounds {
    fn new(field: &str, intervals: Vec<String>) -> Self {
        Self { field: field.to_owned(), intervals }
    }
}

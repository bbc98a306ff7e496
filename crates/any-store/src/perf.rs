//! Counters of what queries do, summed over the whole process.
//!
//! They are off until somebody [`enable`]s them, and cost one look at a flag for each query then. A query
//! that begins while they are on is measured, and counted when its cursor is dropped.
//!
//! ```
//! use any_store::{CollectionOptions, Database, doc, perf};
//! let db = Database::in_memory()?;
//! let users = db.create_collection("users", CollectionOptions::new())?;
//! users.create_index("age")?;
//! users.insert_many([doc! { "id": 1, "age": 31 }, doc! { "id": 2, "age": 17 }])?;
//! perf::enable();
//! users.find(doc! { "age": { "$lt": 18 } }).hint("age").first()?;
//! perf::disable();
//! let counters = perf::snapshot();
//! assert_eq!((counters.index_scan.rows, counters.fetch.rows), (1, 1));
//! perf::reset();
//! # Ok::<(), any_store::Error>(())
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyenc::RawDocument;

use crate::error::Result;
use crate::exec::{Metering, Meters, Operator, Rows, Work};

static IS_ENABLED: AtomicBool = AtomicBool::new(false);
static COUNTERS: Mutex<PipelineCounters> = Mutex::new(PipelineCounters::NONE);

/// What queries did while the counters were on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "PipelinePerfCounters")]
pub struct PipelineCounters {
    /// Walks over the entries of an index. The time includes that of fetching a document to tell
    /// whether it was met before.
    pub index_scan: StageCounters,
    /// Walks over the documents of a collection.
    pub document_scan: StageCounters,
    /// Documents that entries of an index led to: how often one was asked for, how many were looked up,
    /// and what all of that took.
    pub fetch: StageCounters,
    /// Filters that were asked of documents. The time is that of asking alone.
    pub filter: StageCounters,
    /// How often the document of a row was asked for, in walks of both kinds.
    #[doc(alias = "DocCalls")]
    pub document_calls: u64,
    /// How often it was there already, or made from the keys of an index.
    #[doc(alias = "DocParsedHits")]
    pub document_hits: u64,
    /// How often it had to be looked up by its id.
    #[doc(alias = "DocFallbacks")]
    pub document_lookups: u64,
    /// What looking documents up took.
    #[doc(alias = "DocFallbackSeekNs")]
    pub lookup_time: Duration,
    /// What reading and decompressing documents took, those of walks included.
    #[doc(alias = "DocFallbackParseNs")]
    pub parse_time: Duration,
}

/// What the stages of one kind did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageCounters {
    /// How often a stage was asked for its next row, or for a document.
    pub calls: u64,
    /// How many rows or documents it gave.
    pub rows: u64,
    /// What that took.
    pub time: Duration,
}

/// Counts the queries that begin from now on.
#[doc(alias = "EnablePipelinePerfCounters")]
pub fn enable() {
    IS_ENABLED.store(true, Ordering::Relaxed);
}

/// Counts no query that begins from now on.
pub fn disable() {
    IS_ENABLED.store(false, Ordering::Relaxed);
}

/// Sets all counters to zero.
#[doc(alias = "ResetPipelinePerfCounters")]
pub fn reset() {
    *counters() = PipelineCounters::NONE;
}

/// The counters as they are.
#[must_use]
#[doc(alias = "SnapshotPipelinePerfCounters")]
pub fn snapshot() -> PipelineCounters {
    *counters()
}

pub(crate) fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// Counts what a plan did, whose operators are gone.
pub(crate) fn count(meters: &Meters) {
    counters().add(meters);
}

/// The same rows, which are counted when they are dropped.
pub(crate) fn recorded(rows: Rows<'_>, meters: Meters) -> Rows<'_> {
    Box::new(Recorded { rows, _record: Record(meters) })
}

fn counters() -> MutexGuard<'static, PipelineCounters> {
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PipelineCounters {
    const NONE: Self = Self {
        index_scan: StageCounters::NONE,
        document_scan: StageCounters::NONE,
        fetch: StageCounters::NONE,
        filter: StageCounters::NONE,
        document_calls: 0,
        document_hits: 0,
        document_lookups: 0,
        lookup_time: Duration::ZERO,
        parse_time: Duration::ZERO,
    };

    fn add(&mut self, meters: &Meters) {
        let tally = meters.tally();
        match meters.at {
            Metering::Index => {
                self.index_scan.add(tally.advance_calls, tally.rows, tally.advance_time);
                self.fetch.add(tally.document_calls, tally.work.fetched, tally.document_time);
                self.add_documents(tally.document_calls, tally.work);
            }
            Metering::Documents => {
                self.document_scan.add(tally.advance_calls, tally.rows, meters.own_time());
                self.add_documents(tally.document_calls, tally.work);
            }
            Metering::Filter => {
                self.filter.add(tally.advance_calls, tally.rows, meters.own_time());
            }
            Metering::Nothing
            | Metering::Union
            | Metering::Sort
            | Metering::Limit
            | Metering::Project => {}
        }
        meters.below.iter().for_each(|below| self.add(below));
    }

    fn add_documents(&mut self, calls: u64, work: Work) {
        self.document_calls = self.document_calls.saturating_add(calls);
        let hits = calls.saturating_sub(work.fetched);
        self.document_hits = self.document_hits.saturating_add(hits);
        self.document_lookups = self.document_lookups.saturating_add(work.fetched);
        self.lookup_time = self.lookup_time.saturating_add(work.seek_time);
        self.parse_time = self.parse_time.saturating_add(work.unpack_time);
    }
}

impl StageCounters {
    const NONE: Self = Self { calls: 0, rows: 0, time: Duration::ZERO };

    fn add(&mut self, calls: u64, rows: u64, time: Duration) {
        self.calls = self.calls.saturating_add(calls);
        self.rows = self.rows.saturating_add(rows);
        self.time = self.time.saturating_add(time);
    }
}

/// Rows that are counted when they are dropped. Fields are dropped in order, so the meters are full
/// when they are read.
struct Recorded<'t> {
    rows: Rows<'t>,
    _record: Record,
}

struct Record(Meters);

impl Drop for Record {
    fn drop(&mut self) {
        count(&self.0);
    }
}

impl Operator for Recorded<'_> {
    fn advance(&mut self) -> Result<bool> {
        self.rows.advance()
    }

    fn id_key(&self) -> &[u8] {
        self.rows.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        self.rows.document()
    }
}

//! What operators did: rows, time, entries, documents and pages, for whoever wants to know.
//!
//! A plan that nobody measures runs without any of this: its operators are not wrapped. One that is
//! measured has a [`Metered`] around each operator, and a tree of meters with the shape of the plan.
//! A meter is filled when its operator is dropped, so measuring takes no lock for each row.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyenc::RawDocument;

use super::{Operator, Rows};
use crate::error::Result;

/// Whether an operator looks at the clock inside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    Off,
    On,
}

impl Timing {
    /// A sum of times, if there is to be one.
    pub(super) fn start(self) -> Option<Duration> {
        (self == Timing::On).then_some(Duration::ZERO)
    }
}

/// Adds the time since `begun` to a sum that there is.
pub(super) fn add_since(sum: &mut Option<Duration>, begun: Option<Instant>) {
    if let (Some(sum), Some(begun)) = (sum, begun) {
        *sum = sum.saturating_add(begun.elapsed());
    }
}

/// What an operator that reads trees has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Entries of an index that were looked at.
    pub(crate) examined: u64,
    /// Pages that the walk entered, over an index or over the documents.
    pub(crate) walked_pages: u64,
    /// Documents that were looked up by their ids.
    pub(crate) fetched: u64,
    /// Pages that looking up entered.
    pub(crate) fetched_pages: u64,
    /// What looking up took. Zero where it was not timed.
    pub(crate) seek_time: Duration,
    /// What reading and decompressing documents took. Zero where it was not timed.
    pub(crate) unpack_time: Duration,
}

/// Which operator a meter stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metering {
    Nothing,
    Documents,
    Index,
    Union,
    Filter,
    Sort,
    Limit,
    Project,
}

/// What one operator did, those below it included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) advance_calls: u64,
    pub(crate) rows: u64,
    pub(crate) advance_time: Duration,
    pub(crate) document_calls: u64,
    pub(crate) document_time: Duration,
    /// Its own alone.
    pub(crate) work: Work,
}

impl Tally {
    pub(crate) fn time(&self) -> Duration {
        self.advance_time.saturating_add(self.document_time)
    }
}

/// The meters of a plan, in the shape of its operators. Complete once the operators are gone.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) at: Metering,
    tally: Arc<Mutex<Tally>>,
    pub(crate) below: Vec<Meters>,
}

impl Meters {
    /// A meter for some rows, and the rows as they fill it.
    pub(super) fn around<'t>(
        rows: Rows<'t>,
        at: Metering,
        below: Vec<Meters>,
    ) -> (Rows<'t>, Meters) {
        let tally = Arc::<Mutex<Tally>>::default();
        let metered = Metered { below: rows, tally: Tally::default(), meter: Arc::clone(&tally) };
        (Box::new(metered), Meters { at, tally, below })
    }

    pub(crate) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the operator took without those below it.
    pub(crate) fn own_time(&self) -> Duration {
        let below = self.below.iter().map(|meters| meters.tally().time());
        self.tally().time().saturating_sub(below.sum())
    }
}

/// The rows below, as they are.
struct Metered<'t> {
    below: Rows<'t>,
    tally: Tally,
    meter: Arc<Mutex<Tally>>,
}

impl Operator for Metered<'_> {
    fn advance(&mut self) -> Result<bool> {
        let begun = Instant::now();
        let advanced = self.below.advance();
        let tally = &mut self.tally;
        tally.advance_time = tally.advance_time.saturating_add(begun.elapsed());
        tally.advance_calls = tally.advance_calls.saturating_add(1);
        tally.rows = tally.rows.saturating_add(u64::from(matches!(advanced, Ok(true))));
        advanced
    }

    fn id_key(&self) -> &[u8] {
        self.below.id_key()
    }

    fn document(&mut self) -> Result<RawDocument<'_>> {
        let begun = Instant::now();
        let document = self.below.document();
        let tally = &mut self.tally;
        tally.document_time = tally.document_time.saturating_add(begun.elapsed());
        tally.document_calls = tally.document_calls.saturating_add(1);
        document
    }
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        self.tally.work = self.below.work();
        *self.meter.lock().unwrap_or_else(PoisonError::into_inner) = self.tally;
    }
}

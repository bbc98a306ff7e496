//! Long operations as seen from outside: how far they are, and how to end them.

use crate::error::{Error, Result};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

/// Blocks between two reports: a few milliseconds of work.
const REPORT_EVERY: u64 = 1024;

/// Ends a long operation from another thread or from its own progress callback. Clones share it.
///
/// ```
/// use any_store_storage::Cancel;
/// let cancel = Cancel::new();
/// let elsewhere = cancel.clone();
/// elsewhere.cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A handle that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every operation that was given this handle fail with `Cancelled` at its next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once [`Cancel::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a long operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Blocks of 4 KiB done.
    pub done_blocks: u64,
    /// Blocks to do.
    pub total_blocks: u64,
}

/// What is called with the progress of a long operation, from whatever thread does the work. No lock
/// of the store is held meanwhile.
#[derive(Clone)]
pub struct OnProgress(Arc<dyn Fn(Progress) + Send + Sync>);

impl OnProgress {
    /// Calls `report` every few milliseconds of work, and once at the end.
    pub fn new(report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnProgress")
    }
}

/// One long operation at work. Shared by its threads.
#[derive(Debug)]
pub(crate) struct Task<'o> {
    cancel: &'o Cancel,
    on_progress: Option<&'o OnProgress>,
    total_blocks: u64,
    done_blocks: AtomicU64,
    /// When this many blocks are done, the callback is due. The lock lets one thread report at a
    /// time, so that what is reported only grows.
    due: Mutex<u64>,
}

impl<'o> Task<'o> {
    pub(crate) fn new(
        cancel: &'o Cancel,
        on_progress: Option<&'o OnProgress>,
        total_blocks: u64,
    ) -> Self {
        let (done_blocks, due) = (AtomicU64::new(0), Mutex::new(REPORT_EVERY));
        Self { cancel, on_progress, total_blocks, done_blocks, due }
    }

    /// # Errors
    /// `Cancelled`.
    pub(crate) fn expect_wanted(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Counts blocks as done.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn advance(&self, blocks: u64) -> Result<()> {
        self.done_blocks.fetch_add(blocks, Ordering::Relaxed);
        self.report_if_due();
        self.expect_wanted()
    }

    fn report_if_due(&self) {
        let Some(OnProgress(report)) = self.on_progress else { return };
        let mut due = match self.due.try_lock() {
            Ok(due) => due,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let done_blocks = self.done_blocks.load(Ordering::Relaxed);
        if done_blocks >= *due {
            *due = done_blocks.saturating_add(REPORT_EVERY);
            let total_blocks = self.total_blocks;
            report(Progress { done_blocks: done_blocks.min(total_blocks), total_blocks });
        }
    }

    /// Reports that all is done.
    pub(crate) fn finish(&self) {
        if let Some(OnProgress(report)) = self.on_progress {
            let total_blocks = self.total_blocks;
            report(Progress { done_blocks: total_blocks, total_blocks });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_grow_and_end_with_the_whole() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let on_progress = OnProgress::new(move |progress| sink.lock().unwrap().push(progress));
        let cancel = Cancel::new();
        let task = Task::new(&cancel, Some(&on_progress), 10_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2500).for_each(|_| task.advance(1).unwrap()));
            }
        });
        task.finish();
        let seen = seen.lock().unwrap();
        assert!(seen.len() > 2, "{seen:?}");
        assert!(seen.is_sorted_by_key(|progress| progress.done_blocks));
        assert_eq!(seen.last(), Some(&Progress { done_blocks: 10_000, total_blocks: 10_000 }));
        cancel.cancel();
        assert!(matches!(task.advance(1), Err(Error::Cancelled)));
    }
}

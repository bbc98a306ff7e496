//! What the committing threads, those who wait for quiet, and the background thread tell each other.
//!
//! A commit touches two words of memory here. Everything else is behind a lock that only the rare
//! events take. Who waits does so on the bell, through the `Vfs`, which owns the clock.

use crate::page::CommitNo;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::vfs::Bell;
use std::time::Duration;

/// What the background thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Checkpoint,
    Flush,
    /// Nothing, for so long unless the bell rings.
    Wait(Option<Duration>),
    Stop,
}

/// An automatic checkpoint that left a log which is long enough for the next one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vain {
    /// The snapshot that it could not pass; `None` if it failed.
    pub(crate) oldest: Option<CommitNo>,
    /// The length of the log that it left.
    pub(crate) log_bytes: u64,
}

/// The oldest snapshot and the newest commit that an idle flush met.
pub(crate) type Extent = (CommitNo, CommitNo);

/// What happened in the background since open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) last_error: Option<String>,
    pub(crate) failure_count: u64,
    pub(crate) idle_flush_count: u64,
    pub(crate) idle_flush_failure_count: u64,
}

#[derive(Debug, Default)]
struct State {
    thread_runs: bool,
    checkpoint_due: bool,
    stop: bool,
    /// No idle flush before this.
    flush_not_before: Duration,
    vain: Option<Vain>,
    flush_held_at: Option<Extent>,
    outcomes: Outcomes,
}

#[derive(Debug, Default)]
pub(crate) struct Signal {
    pub(crate) bell: Arc<Bell>,
    state: Mutex<State>,
    /// When data was last changed: nanoseconds of the monotonic clock and one more; 0 is never.
    last_change: AtomicU64,
    /// The thread waits for the quiet after the last change.
    awaits_quiet: AtomicBool,
}

/// The background thread's mark that it runs, however it ends.
pub(crate) struct Running(Arc<Signal>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().thread_runs = false;
    }
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a commit changed data; true if the background thread must be told to wait for the
    /// quiet after it.
    pub(crate) fn note_change(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        self.last_change.fetch_max(now, Ordering::SeqCst);
        // Seen as set, it is taken back before the flush that follows begins, and that flush finds
        // the change.
        !self.awaits_quiet.load(Ordering::SeqCst)
    }

    /// How long it is until nothing was changed for `quiet`; `None` if that is so now.
    pub(crate) fn quiet_in(&self, quiet: Duration, now: Duration) -> Option<Duration> {
        let last = self.last_change.load(Ordering::SeqCst).checked_sub(1)?;
        let until = Duration::from_nanos(last).saturating_add(quiet);
        until.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Asks for a checkpoint, and for a thread to do it; false if `start` could not start one.
    pub(crate) fn ask_for_checkpoint(&self, start: impl FnOnce() -> bool) -> bool {
        let mut state = self.state();
        state.checkpoint_due = true;
        self.with_thread(state, start)
    }

    /// Asks for a flush after the quiet, and for a thread to do it; false if `start` could not start
    /// one.
    pub(crate) fn ask_for_flush(&self, start: impl FnOnce() -> bool) -> bool {
        let state = self.state();
        self.awaits_quiet.store(true, Ordering::SeqCst);
        self.with_thread(state, start)
    }

    fn with_thread(&self, mut state: MutexGuard<'_, State>, start: impl FnOnce() -> bool) -> bool {
        state.thread_runs = state.thread_runs || (!state.stop && start());
        self.bell.ring();
        state.thread_runs
    }

    pub(crate) fn running(self: &Arc<Self>) -> Running {
        Running(Arc::clone(self))
    }

    /// What is to be done at `now`, and takes it off the list.
    pub(crate) fn next_step(&self, idle_after: Duration, now: Duration) -> Step {
        let mut state = self.state();
        if state.stop {
            return Step::Stop;
        }
        if std::mem::take(&mut state.checkpoint_due) {
            return Step::Checkpoint;
        }
        if !self.awaits_quiet.load(Ordering::SeqCst) {
            return Step::Wait(None);
        }
        let postponed = state.flush_not_before.saturating_sub(now);
        let left = self.quiet_in(idle_after, now).unwrap_or_default().max(postponed);
        if !left.is_zero() {
            return Step::Wait(Some(left));
        }
        self.awaits_quiet.store(false, Ordering::SeqCst);
        Step::Flush
    }

    /// Has another flush done, but not before this.
    pub(crate) fn postpone_flush(&self, not_before: Duration) {
        self.state().flush_not_before = not_before;
        self.awaits_quiet.store(true, Ordering::SeqCst);
    }

    /// Ends the thread after what it is doing, and the wait of everybody.
    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.bell.ring();
    }

    /// True once the store is being closed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state().stop
    }

    /// What the last automatic checkpoint left, if that was too much.
    pub(crate) fn vain(&self) -> Option<Vain> {
        self.state().vain
    }

    pub(crate) fn set_vain(&self, vain: Option<Vain>) {
        self.state().vain = vain;
    }

    /// What the last idle flush met, if a snapshot kept it from copying everything.
    pub(crate) fn flush_held_at(&self) -> Option<Extent> {
        self.state().flush_held_at
    }

    pub(crate) fn set_flush_held_at(&self, extent: Option<Extent>) {
        self.state().flush_held_at = extent;
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        self.state().outcomes.clone()
    }

    pub(crate) fn change_outcomes(&self, change: impl FnOnce(&mut Outcomes)) {
        change(&mut self.state().outcomes);
    }
}

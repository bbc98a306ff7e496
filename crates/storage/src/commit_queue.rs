//! Commits that were appended and are not visible yet, in their order; one sync serves them all.
//!
//! A commit that is to be durable becomes visible when the log is synced behind its record, and one
//! that need not be waits for those before it, so that what readers see never goes back. Whoever
//! waits first syncs for everybody who has appended by then (the leader and its followers of group
//! commit: DeWitt et al., "Implementation techniques for main memory database systems", 1984).

use crate::ids::{CommitNo, Lsn};
use crate::options::Sync;
use crate::planted::is_planted;
use crate::state::CommitState;
use crate::sync::{Condvar, CountedArc, Mutex, MutexGuard, PoisonError};
use std::collections::VecDeque;
use std::io;

/// A commit that was appended.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) state: CountedArc<CommitState>,
    /// Where its record ends.
    pub(crate) upto: Lsn,
    pub(crate) sync: Sync,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Readers see this commit.
    Visible(CommitNo),
    /// The log is synced below this place.
    Durable(Lsn),
}

#[derive(Debug)]
struct State {
    pending: VecDeque<Pending>,
    visible: CommitNo,
    durable: Lsn,
    is_syncing: bool,
    /// What the sync said that failed; there is none after it.
    failure: Option<(io::ErrorKind, String)>,
}

impl State {
    fn has_reached(&self, goal: Goal) -> bool {
        match goal {
            Goal::Visible(commit) => self.visible >= commit,
            Goal::Durable(lsn) => self.durable >= lsn,
        }
    }

    fn publish_ready(&mut self, publish: &dyn Fn(CountedArc<CommitState>)) {
        while let Some(next) = self.pending.front() {
            let is_due = next.sync == Sync::Full && !is_planted("publish_before_sync");
            if is_due && next.upto > self.durable {
                return;
            }
            self.visible = next.state.commit();
            publish(CountedArc::clone(&next.state));
            self.pending.pop_front();
        }
    }
}

#[derive(Debug)]
pub(crate) struct CommitQueue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Stands for a leader during its sync: if that panics, nobody may count on it.
struct Leading<'q>(&'q CommitQueue);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_syncing = false;
        state.failure = Some((io::ErrorKind::Other, "the sync of the log panicked".to_owned()));
        self.0.changed.notify_all();
    }
}

impl CommitQueue {
    pub(crate) fn new(visible: CommitNo) -> Self {
        let state = State {
            pending: VecDeque::new(),
            visible,
            durable: Lsn(0),
            is_syncing: false,
            failure: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if somebody's commit waits for a sync.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().pending.is_empty()
    }

    /// Enters a commit, in the order in which they were appended, and publishes what may be seen.
    pub(crate) fn push(&self, pending: Pending, publish: &dyn Fn(CountedArc<CommitState>)) {
        let mut state = self.state();
        state.pending.push_back(pending);
        state.publish_ready(publish);
    }

    /// Waits until the goal is reached. `sync` syncs what was appended before it is called, and
    /// returns where that ends.
    ///
    /// # Errors
    /// What the sync said; from then on nothing more is published.
    pub(crate) fn settle(
        &self,
        goal: Goal,
        sync: &dyn Fn() -> io::Result<Lsn>,
        publish: &dyn Fn(CountedArc<CommitState>),
    ) -> io::Result<()> {
        let mut state = self.state();
        while !state.has_reached(goal) {
            if let Some((kind, message)) = &state.failure {
                return Err(io::Error::new(*kind, message.clone()));
            }
            if state.is_syncing {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_syncing = true;
            drop(state);
            let leading = Leading(self);
            let outcome = sync();
            std::mem::forget(leading);
            state = self.state();
            state.is_syncing = false;
            match outcome {
                Ok(upto) => state.durable = state.durable.max(upto),
                Err(error) => state.failure = Some((error.kind(), error.to_string())),
            }
            state.publish_ready(publish);
            self.changed.notify_all();
        }
        Ok(())
    }
}

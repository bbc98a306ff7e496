//! What the committing threads and the background thread tell each other.

use crate::error::Result;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    started: bool,
    due: bool,
    stop: bool,
    last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a checkpoint. `start` starts the thread that does them, the first time; false if it
    /// could not.
    pub(crate) fn request(&self, start: impl FnOnce() -> bool) -> bool {
        let mut state = self.state();
        state.started = state.started || start();
        state.due = true;
        self.changed.notify_all();
        state.started
    }

    /// Waits for a request; false when it is time to stop.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.state();
        loop {
            if state.stop {
                return false;
            }
            if std::mem::take(&mut state.due) {
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the thread after what it is doing.
    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.changed.notify_all();
    }

    /// Keeps what a checkpoint that nobody waited for said.
    pub(crate) fn record(&self, outcome: Result<()>) {
        self.state().last_error = outcome.err().map(|error| error.to_string());
    }

    /// What the last checkpoint that nobody waited for said, if it failed.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }
}

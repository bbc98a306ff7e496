//! The thread that checkpoints in the background, one a store, started with its first need.

use crate::engine::Engine;
use crate::error::Result;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;

#[derive(Debug, Default)]
struct State {
    started: bool,
    due: bool,
    stop: bool,
    last_error: Option<String>,
}

/// What the committing threads and the background thread tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

impl Signal {
    /// Asks for a checkpoint; false if there is no thread to do it.
    pub(crate) fn request(self: &Arc<Self>, engine: &Arc<Engine>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.started {
            let (signal, engine) = (Arc::clone(self), Arc::downgrade(engine));
            let spawned = thread::Builder::new()
                .name("any-store checkpoint".to_owned())
                .spawn(move || signal.run(&engine));
            if spawned.is_err() {
                return false;
            }
            state.started = true;
        }
        state.due = true;
        self.changed.notify_all();
        true
    }

    /// Ends the thread after what it is doing.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.changed.notify_all();
    }

    /// What the last background checkpoint that failed said.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last_error.clone()
    }

    fn run(&self, engine: &Weak<Engine>) {
        while self.wait() {
            let Some(engine) = engine.upgrade() else { return };
            self.record(engine.checkpoint_if_due(engine.options.busy_timeout));
        }
    }

    /// Keeps what a checkpoint that nobody waited for said.
    pub(crate) fn record(&self, outcome: Result<()>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_error = outcome.err().map(|error| error.to_string());
    }

    /// Waits for a request; false when it is time to stop.
    fn wait(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
}

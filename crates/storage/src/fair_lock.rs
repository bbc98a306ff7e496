//! A lock for long work: first come first served, with a timeout, and void after close.
//!
//! It is a flag and not a guard, since a write transaction may move from thread to thread. Each
//! waiting thread has a condition variable of its own, so that a release wakes one thread and not
//! the whole queue.

use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct State {
    held: bool,
    closed: bool,
    waiting: VecDeque<Arc<Condvar>>,
}

#[derive(Debug, Default)]
pub(crate) struct FairLock {
    state: Mutex<State>,
}

impl State {
    fn wake_next(&self) {
        if let Some(next) = self.waiting.front().filter(|_| !self.held) {
            next.notify_one();
        }
    }

    fn leave(&mut self, turn: &Arc<Condvar>) {
        self.waiting.retain(|waiting| !Arc::ptr_eq(waiting, turn));
    }
}

impl FairLock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the lock; `None` waits without limit.
    ///
    /// # Errors
    /// `Busy` when the time is over, `Closed` after [`FairLock::close`].
    pub(crate) fn acquire(&self, timeout: Option<Duration>) -> Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::Closed);
        }
        if !state.held && state.waiting.is_empty() {
            state.held = true;
            return Ok(());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let turn = Arc::new(Condvar::new());
        state.waiting.push_back(Arc::clone(&turn));
        let outcome = loop {
            if state.closed {
                break Err(Error::Closed);
            }
            if !state.held && state.waiting.front().is_some_and(|first| Arc::ptr_eq(first, &turn)) {
                state.held = true;
                break Ok(());
            }
            state = match deadline {
                None => turn.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break Err(Error::Busy);
                    }
                    turn.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.leave(&turn);
        // The turn of whoever stood behind may have come while this one was at the front.
        state.wake_next();
        outcome
    }

    /// Runs `action` under the lock, which is free again however that ends.
    ///
    /// # Errors
    /// As [`FairLock::acquire`], and what `action` returned.
    pub(crate) fn with<R>(
        &self,
        timeout: Option<Duration>,
        action: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        struct Held<'l>(&'l FairLock);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.release();
            }
        }
        self.acquire(timeout)?;
        let _held = Held(self);
        action()
    }

    pub(crate) fn release(&self) {
        let mut state = self.state();
        state.held = false;
        state.wake_next();
    }

    /// Wakes everybody who waits, with `Closed`.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        for turn in &state.waiting {
            turn.notify_one();
        }
    }
}

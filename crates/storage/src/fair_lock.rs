//! A lock for long work: fair to those who wait, with a timeout, and void after close.
//!
//! It is a flag and not a guard, since a write transaction may move from thread to thread. Each
//! waiting thread has a condition variable of its own, so that a release wakes one thread and not
//! the whole queue. A thread that is running may go before one that has yet to wake up, which keeps
//! the lock busy; but only so many may before the first in the queue gets its turn.

use crate::error::{Error, Result};
use crate::sync::{Arc, Condvar, Instant, Mutex, MutexGuard, PoisonError};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Default)]
struct State {
    held: bool,
    closed: bool,
    waiting: VecDeque<Arc<Condvar>>,
    /// The first one that waits was woken and has not looked yet.
    is_first_awake: bool,
    /// How many went before the first one that waits.
    passed: u32,
}

/// So many may go before one that waits.
const MAX_PASSED: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct FairLock {
    state: Mutex<State>,
}

impl State {
    fn is_first(&self, turn: &Arc<Condvar>) -> bool {
        self.waiting.front().is_some_and(|first| Arc::ptr_eq(first, turn))
    }

    fn wake_first(&mut self) {
        if let Some(first) = self.waiting.front().filter(|_| !self.held && !self.is_first_awake) {
            first.notify_one();
            self.is_first_awake = true;
        }
    }

    fn leave(&mut self, turn: &Arc<Condvar>) {
        if self.is_first(turn) {
            self.is_first_awake = false;
            self.passed = 0;
        }
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
        if !state.held && (state.waiting.is_empty() || state.passed < MAX_PASSED) {
            state.held = true;
            state.passed += u32::from(!state.waiting.is_empty());
            return Ok(());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let turn = Arc::new(Condvar::new());
        state.waiting.push_back(Arc::clone(&turn));
        let outcome = loop {
            if state.closed {
                break Err(Error::Closed);
            }
            if state.is_first(&turn) {
                state.is_first_awake = false;
                if !state.held {
                    state.held = true;
                    break Ok(());
                }
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
        state.wake_first();
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
        state.wake_first();
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

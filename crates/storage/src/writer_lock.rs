//! The writer's lock: one holder, first come first served, with a timeout, and void after close.
//!
//! It is a flag and not a guard, since a write transaction may move from thread to thread.

use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct State {
    held: bool,
    closed: bool,
    next_ticket: u64,
    waiting: VecDeque<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct WriterLock {
    state: Mutex<State>,
    changed: Condvar,
}

impl WriterLock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the lock; `None` waits without limit.
    ///
    /// # Errors
    /// `Busy` when the time is over, `Closed` after [`WriterLock::close`].
    pub(crate) fn acquire(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            if state.closed {
                state.waiting.retain(|&waiting| waiting != ticket);
                return Err(Error::Closed);
            }
            if !state.held && state.waiting.front() == Some(&ticket) {
                state.waiting.pop_front();
                state.held = true;
                return Ok(());
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.waiting.retain(|&waiting| waiting != ticket);
                        // The next in line may have been waiting behind this ticket.
                        self.changed.notify_all();
                        return Err(Error::Busy);
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Runs `action` under the lock, which is free again however that ends.
    ///
    /// # Errors
    /// As [`WriterLock::acquire`], and what `action` returned.
    pub(crate) fn with<R>(
        &self,
        timeout: Option<Duration>,
        action: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        struct Held<'l>(&'l WriterLock);
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
        self.state().held = false;
        self.changed.notify_all();
    }

    /// Wakes everybody who waits, with `Closed`.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }
}

//! What threads wait on, so that a file system with a clock of its own can move that clock.

use crate::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes who waits for something to change.
///
/// Nothing is missed by whoever asks [`Bell::ring_count`], then looks at what it waits for, and only
/// then waits with that count: a ring in between ends the wait at once. Wait through
/// [`Vfs::wait`](super::Vfs::wait), not here.
#[derive(Debug, Default)]
pub struct Bell {
    ring_count: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// How often it has rung.
    #[must_use]
    pub fn ring_count(&self) -> u64 {
        *self.ring_count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody.
    pub fn ring(&self) {
        let mut count = self.ring_count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.wrapping_add(1);
        self.rung.notify_all();
    }

    /// Waits until it has rung since it had rung `seen` times, for up to `timeout` by the system's
    /// clock; false if it did not ring.
    pub fn wait(&self, seen: u64, timeout: Option<Duration>) -> bool {
        let count = self.ring_count.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent = |count: &mut u64| *count == seen;
        match timeout {
            None => {
                drop(
                    self.rung.wait_while(count, is_silent).unwrap_or_else(PoisonError::into_inner),
                );
                true
            }
            Some(timeout) => {
                let waited = self.rung.wait_timeout_while(count, timeout, is_silent);
                !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
            }
        }
    }
}

//! The number of this process, remembered until a fork.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// No process has this number.
const UNKNOWN: u32 = 0;

static REMEMBERED: AtomicU32 = AtomicU32::new(UNKNOWN);

/// The number of this process; a forked child has another.
///
/// The system is asked once in each process: a system call here would cost a third of reading a page
/// from the page cache. A child that was made past the C library, by a bare `clone`, goes unnoticed.
#[must_use]
pub fn process_id() -> u32 {
    match REMEMBERED.load(Ordering::Relaxed) {
        UNKNOWN => ask(),
        id => id,
    }
}

/// No lock and no `OnceLock` here: a fork on another thread would leave it held in the child.
#[cold]
fn ask() -> u32 {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    let id = std::process::id();
    // Two threads may both come to register the handler; running it twice does no harm.
    if !IS_WATCHED.load(Ordering::Acquire) && watch_for_forks() {
        IS_WATCHED.store(true, Ordering::Release);
    }
    if IS_WATCHED.load(Ordering::Acquire) {
        REMEMBERED.store(id, Ordering::Relaxed);
    }
    id
}

/// False if the system has no room for the handler.
fn watch_for_forks() -> bool {
    // SAFETY: the handler is a function of this program and stores to an atomic, which is all that a
    // handler that runs in a forked child may do.
    unsafe { libc::pthread_atfork(None, None, Some(forget)) == 0 }
}

extern "C" fn forget() {
    REMEMBERED.store(UNKNOWN, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_systems_also_when_remembered_and_when_forgotten() {
        for _ in 0..3 {
            assert_eq!(process_id(), std::process::id());
            assert_eq!(process_id(), std::process::id());
            forget();
        }
    }
}

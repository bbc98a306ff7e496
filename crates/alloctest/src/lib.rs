//! An allocator that counts, for tests of what code allocates.
//!
//! The counters are global, so a test that reads them must be alone in its process while it does:
//! each file in `tests/` has one test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Requests of this many bytes are large ones.
static LARGE_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);
/// How many large requests come until one is refused; 0 once it was.
static LARGE_UNTIL_REFUSAL: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with every call counted.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counting;

/// Whether this request is the one to refuse.
fn is_refused(bytes: usize) -> bool {
    if bytes < LARGE_BYTES.load(Ordering::Relaxed) {
        return false;
    }
    let fewer = |left: usize| left.checked_sub(1);
    LARGE_UNTIL_REFUSAL.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer) == Ok(1)
}

fn grown(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let live = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
}

fn shrunk(bytes: usize) {
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

#[allow(unsafe_code)]
// SAFETY: every method hands its arguments on to `System`, which keeps the trait's promises, and
// gives back what that gives, or null, by which the trait lets an allocator refuse and after which the
// memory of a reallocation is as it was; the counters are atomics and allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return std::ptr::null_mut();
        }
        grown(layout.size());
        // SAFETY: the caller keeps the promises of `alloc`, which are the same for `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        shrunk(layout.size());
        // SAFETY: `place` came from `System`, by `alloc` or `realloc` above, with this layout.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if is_refused(new_size) {
            return std::ptr::null_mut();
        }
        grown(new_size);
        shrunk(layout.size());
        // SAFETY: `place` came from `System` with this layout; the caller checked `new_size`.
        unsafe { System.realloc(place, layout, new_size) }
    }
}

/// What happened while some code ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How often memory was asked for.
    pub allocation_count: usize,
    /// By how much the memory in use rose above what it was before, at its highest.
    pub peak_bytes: usize,
}

/// From now on, the `request`-th request for at least `large_bytes` is refused, and no other.
pub fn refuse(request: usize, large_bytes: usize) {
    LARGE_UNTIL_REFUSAL.store(request, Ordering::Relaxed);
    LARGE_BYTES.store(large_bytes, Ordering::Relaxed);
}

/// Runs some code and says what it allocated, if [`Counting`] is the allocator of the process. A
/// measurement may enclose others.
pub fn measure<T>(code: impl FnOnce() -> T) -> (T, Usage) {
    let count = ALLOCATIONS.load(Ordering::Relaxed);
    let live = LIVE_BYTES.load(Ordering::Relaxed);
    let enclosing_peak = PEAK_BYTES.swap(live, Ordering::Relaxed);
    let result = code();
    let peak = PEAK_BYTES.fetch_max(enclosing_peak, Ordering::Relaxed);
    let usage = Usage {
        allocation_count: ALLOCATIONS.load(Ordering::Relaxed) - count,
        peak_bytes: peak.saturating_sub(live),
    };
    (result, usage)
}

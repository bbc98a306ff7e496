//! The model checker's counterparts, and thin equivalents of what it lacks.
//!
//! Each equivalent allows at least what the real thing allows, as far as the engine could notice: a
//! wait with a timeout may end at any time, and a pointer that is being loaded counts only later.

pub(crate) use loom::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};

use atomic::{AtomicBool, AtomicUsize, Ordering};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, PoisonError, Weak};
use std::time::Duration;

/// A mutex whose guard knows it, so that a condition variable can give it up and take it again.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: loom::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { mutex: self, guard })
    }

    pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
        Ok(self.0.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A condition variable with waits that end by themselves.
#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

/// Whether a wait ended by itself.
#[derive(Debug)]
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

type Waited<'a, T> = (MutexGuard<'a, T>, WaitTimeoutResult);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let MutexGuard { mutex, guard } = guard;
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { mutex, guard })
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Ends by itself, after whatever others do meanwhile.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<Waited<'a, T>> {
        let mutex = guard.mutex;
        drop(guard);
        let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((guard, WaitTimeoutResult(true)))
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<Waited<'a, T>> {
        if condition(&mut guard) {
            guard = self.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0;
        }
        let has_timed_out = condition(&mut guard);
        Ok((guard, WaitTimeoutResult(has_timed_out)))
    }
}

/// A value that is set once.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: AtomicBool,
    setting: Mutex<()>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        let (value, is_set) = (std::sync::OnceLock::new(), AtomicBool::new(false));
        Self { value, is_set, setting: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _setting = self.setting.lock();
        self.value.set(value)?;
        self.is_set.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _setting = self.setting.lock();
        let value = self.value.get_or_init(init);
        self.is_set.store(true, Ordering::Release);
        value
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// An `Arc` whose count is seen by the model checker.
#[derive(Debug)]
pub(crate) struct CountedArc<T> {
    value: Arc<T>,
    count: Arc<AtomicUsize>,
}

/// The weak side of a [`CountedArc`].
#[derive(Debug)]
pub(crate) struct CountedWeak<T> {
    value: Weak<T>,
    count: Arc<AtomicUsize>,
}

impl<T> CountedArc<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Arc::new(value), count: Arc::new(AtomicUsize::new(1)) }
    }

    pub(crate) fn downgrade(this: &Self) -> CountedWeak<T> {
        CountedWeak { value: Arc::downgrade(&this.value), count: Arc::clone(&this.count) }
    }

    pub(crate) fn strong_count(this: &Self) -> usize {
        this.count.load(Ordering::Relaxed)
    }

    /// Another share, which whoever asks for it counts.
    fn uncounted(&self) -> Self {
        Self { value: Arc::clone(&self.value), count: Arc::clone(&self.count) }
    }
}

impl<T> Clone for CountedArc<T> {
    fn clone(&self) -> Self {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.uncounted()
    }
}

impl<T> Drop for CountedArc<T> {
    fn drop(&mut self) {
        // A model that failed unwinds without a scheduler.
        if !std::thread::panicking() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl<T> Deref for CountedArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> CountedWeak<T> {
    pub(crate) fn strong_count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn upgrade(&self) -> Option<CountedArc<T>> {
        let one_more = |count: usize| (count > 0).then(|| count + 1);
        self.count.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        let value = self.value.upgrade().expect("what is counted is there");
        Some(CountedArc { value, count: Arc::clone(&self.count) })
    }
}

/// A published pointer. As with the real one, a load takes the pointer first and counts it later, and
/// who exchanges it counts for the loads under way before giving up the old one.
#[derive(Debug)]
pub(crate) struct ArcSwap<T>(Mutex<Published<T>>);

#[derive(Debug)]
struct Published<T> {
    current: CountedArc<T>,
    /// Loads under way: a number for each, what it took, and whether that was counted for it.
    loads: Vec<(usize, CountedArc<T>, bool)>,
    load_count: usize,
}

impl<T> ArcSwap<T> {
    pub(crate) fn new(current: CountedArc<T>) -> Self {
        Self(Mutex::new(Published { current, loads: Vec::new(), load_count: 0 }))
    }

    fn published(&self) -> MutexGuard<'_, Published<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn load_full(&self) -> CountedArc<T> {
        let mut published = self.published();
        let number = published.load_count;
        published.load_count += 1;
        let taken = published.current.uncounted();
        published.loads.push((number, taken, false));
        drop(published);
        let mut published = self.published();
        let at = published.loads.iter().position(|load| load.0 == number);
        let (_, taken, is_counted) = published.loads.swap_remove(at.expect("this load"));
        if !is_counted {
            taken.count.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    pub(crate) fn store(&self, next: CountedArc<T>) {
        let old = std::mem::replace(&mut self.published().current, next);
        for (_, taken, is_counted) in &mut self.published().loads {
            if !*is_counted && Arc::ptr_eq(&taken.value, &old.value) {
                taken.count.fetch_add(1, Ordering::Relaxed);
                *is_counted = true;
            }
        }
        drop(old);
    }
}

/// A clock that goes on by a second whenever somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        // Only differences are used, so it may go on from one execution to the next.
        static SECONDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        Self(Duration::from_secs(SECONDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Threads, which sleep by giving way.
pub(crate) mod thread {
    pub(crate) use loom::thread::yield_now;

    /// Makes threads with a stack that a checkpoint fits on; loom's own are too small.
    pub(crate) struct Builder;

    impl Builder {
        #[expect(clippy::new_ret_no_self, reason = "it stands for loom's, with another default")]
        pub(crate) fn new() -> loom::thread::Builder {
            const STACK_WORDS: usize = 1 << 15;
            loom::thread::Builder::new().stack_size(STACK_WORDS)
        }
    }

    pub(crate) fn sleep(_: std::time::Duration) {
        yield_now();
    }
}

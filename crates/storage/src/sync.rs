//! What threads share: the standard library's, or under `--cfg loom` what the model checker runs.
//!
//! Engine code takes its locks, atomics, counted pointers and threads from here and from nowhere
//! else, so that the models in `loom_models` run the code that is shipped. Three things stay the
//! standard library's in both builds: statics, since the model checker's objects live for one
//! execution; the locks of the file systems, which stand for the device; and scoped threads with what
//! they count, which no model runs.

#[cfg(loom)]
mod model;

#[cfg(loom)]
pub(crate) use model::{
    ArcSwap, Condvar, CountedArc, CountedWeak, Instant, Mutex, MutexGuard, OnceLock, RwLock,
    RwLockReadGuard, RwLockWriteGuard, atomic, thread,
};

#[cfg(not(loom))]
pub(crate) use {
    arc_swap::ArcSwap,
    std::sync::{
        Condvar, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic,
    },
    std::thread,
    std::time::Instant,
};

/// An `Arc` whose count decides something: whoever reads the count and whoever holds a share race.
#[cfg(not(loom))]
pub(crate) type CountedArc<T> = std::sync::Arc<T>;
/// The weak side of a [`CountedArc`].
#[cfg(not(loom))]
pub(crate) type CountedWeak<T> = std::sync::Weak<T>;

pub(crate) use std::sync::{Arc, PoisonError, Weak};

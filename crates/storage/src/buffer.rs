//! How much memory pages may take: by one database, or by several that share a [`PageBuffer`].
//!
//! Bytes are reserved before a page is kept, so the bound holds at every moment. Who finds it reached
//! puts pages out first: its own, or those of the member that is furthest above its fair share while
//! it is below its own. So a scan of one database takes what the others leave unused, and gives it
//! back as soon as one of them asks.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::fmt;

/// An upper bound on the memory that the page caches of several databases take together.
///
/// It is given to each of them at open; clones stand for the same buffer. Memory is allocated as
/// pages come in and freed as they go: nothing is set aside in advance, pages of all sizes are served,
/// and what no database uses belongs to the rest of the program. When the bound is reached, pages
/// make room for others; one for which there is no room is read and not kept. So an exhausted buffer
/// costs speed, never an error.
///
/// The bound covers pages kept for later reads. Pages that a caller or a cursor still holds, and the
/// changes of an open write transaction, come on top.
///
/// ```
/// use any_store_storage::{MemVfs, PageBuffer, Store, StoreOptions};
/// use std::{path::Path, sync::Arc};
/// let buffer = PageBuffer::new(4096, 5000);
/// let options = StoreOptions { page_buffer: Some(buffer.clone()), ..StoreOptions::default() };
/// let a = Store::open(Arc::new(MemVfs::new()), Path::new("a"), options.clone())?;
/// let b = Store::open(Arc::new(MemVfs::new()), Path::new("b"), options)?;
/// assert!(buffer.used_bytes() <= buffer.limit_bytes());
/// # Ok::<(), any_store_storage::Error>(())
/// ```
#[derive(Clone)]
pub struct PageBuffer(Arc<Pool>);

struct Pool {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    members: Mutex<Vec<Weak<dyn Member>>>,
    /// Length of `members`, to be read without its lock.
    member_count: AtomicUsize,
}

/// A cache that draws on a buffer.
pub(crate) trait Member: Send + Sync {
    /// Bytes that it has reserved.
    fn reserved_bytes(&self) -> u64;

    /// Puts pages out of memory until `wanted` bytes are free or nothing is left to put out; returns
    /// how many are. Called without any lock.
    fn evict(&self, wanted: u64) -> u64;
}

impl PageBuffer {
    /// A buffer for `page_count` pages of `page_bytes` bytes. The two only count as their product.
    #[must_use]
    #[doc(alias = "InitPageBuffer")]
    pub fn new(page_bytes: u64, page_count: u64) -> Self {
        Self::with_limit(page_bytes.saturating_mul(page_count))
    }

    /// A buffer of `limit_bytes` bytes.
    #[must_use]
    pub fn with_limit(limit_bytes: u64) -> Self {
        Self(Arc::new(Pool {
            limit_bytes,
            used_bytes: AtomicU64::new(0),
            members: Mutex::default(),
            member_count: AtomicUsize::new(0),
        }))
    }

    /// The most bytes that its databases keep together.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }

    /// The bytes that its databases keep together now.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// How many databases draw on it.
    #[must_use]
    pub fn database_count(&self) -> usize {
        self.0.member_count.load(Ordering::Relaxed)
    }

    fn members(&self) -> MutexGuard<'_, Vec<Weak<dyn Member>>> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, member: Weak<dyn Member>) {
        let mut members = self.members();
        members.push(member);
        self.0.member_count.store(members.len(), Ordering::Relaxed);
    }

    fn leave(&self, member: *const ()) {
        let mut members = self.members();
        members.retain(|other| other.as_ptr().cast() != member);
        self.0.member_count.store(members.len(), Ordering::Relaxed);
    }

    /// What each member may keep when all of them want more.
    fn fair_bytes(&self) -> u64 {
        self.0.limit_bytes / (self.database_count().max(1) as u64)
    }

    /// The member that is furthest above its fair share.
    fn greediest(&self) -> Option<Arc<dyn Member>> {
        let fair = self.fair_bytes();
        let members: Vec<Arc<dyn Member>> =
            self.members().iter().filter_map(Weak::upgrade).collect();
        let most = members.into_iter().max_by_key(|member| member.reserved_bytes())?;
        (most.reserved_bytes() > fair).then_some(most)
    }
}

impl fmt::Debug for PageBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBuffer")
            .field("limit_bytes", &self.limit_bytes())
            .field("used_bytes", &self.used_bytes())
            .field("database_count", &self.database_count())
            .finish()
    }
}

/// Who has to put pages out before a reservation can succeed.
pub(crate) enum Yielder {
    /// The cache that asks.
    Asker,
    /// Another one, which has more than its share.
    Other(Arc<dyn Member>),
}

/// What one cache has reserved.
#[derive(Debug)]
pub(crate) struct Share {
    buffer: PageBuffer,
    limit_bytes: u64,
    reserved_bytes: AtomicU64,
}

impl Share {
    /// A share of at most `limit_bytes` bytes of `buffer`.
    pub(crate) fn new(limit_bytes: u64, buffer: PageBuffer) -> Self {
        let limit_bytes = limit_bytes.min(buffer.limit_bytes());
        Self { buffer, limit_bytes, reserved_bytes: AtomicU64::new(0) }
    }

    pub(crate) fn enter(&self, member: Weak<dyn Member>) {
        self.buffer.enter(member);
    }

    /// Ends the membership of the cache at this address.
    pub(crate) fn leave(&self, member: *const ()) {
        self.buffer.leave(member);
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn buffer(&self) -> &PageBuffer {
        &self.buffer
    }

    /// The bytes that this cache can count on, whatever the others do.
    pub(crate) fn assured_bytes(&self) -> u64 {
        self.limit_bytes.min(self.buffer.fair_bytes())
    }

    /// Reserves bytes, if neither bound stands in the way.
    pub(crate) fn try_reserve(&self, bytes: u64) -> bool {
        if !add_within(&self.reserved_bytes, bytes, self.limit_bytes) {
            return false;
        }
        let is_reserved = add_within(&self.buffer.0.used_bytes, bytes, self.buffer.limit_bytes());
        if !is_reserved {
            self.reserved_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_reserved
    }

    /// Gives back what was reserved.
    pub(crate) fn release(&self, bytes: u64) {
        if bytes > 0 {
            self.reserved_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.buffer.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Who makes room for `bytes` more.
    pub(crate) fn yielder(&self, bytes: u64) -> Yielder {
        let wanted = self.reserved_bytes().saturating_add(bytes);
        let other = if wanted > self.assured_bytes() { None } else { self.buffer.greediest() };
        other.map_or(Yielder::Asker, Yielder::Other)
    }
}

/// Adds, unless the sum would exceed `limit`.
fn add_within(counter: &AtomicU64, bytes: u64, limit: u64) -> bool {
    let add = |present: u64| present.checked_add(bytes).filter(|&sum| sum <= limit);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

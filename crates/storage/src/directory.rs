//! The page directory: which versions of a page exist, newest first, and where each one is.
//!
//! It is the log's index and the shared cache in one look-up. A version never changes, so a
//! resident one is never wrong, only unused. Its life:
//!
//! ```text
//!   WRITE SET --commit--> RESIDENT, IN LOG --evict--> IN LOG --checkpoint--> IN FILE (no entry)
//! ```
//!
//! Invariants:
//!  1. Bytes read from disk become visible only after their check was verified.
//!  2. There is at most one entry for a page and a version.
//!  3. A version that some snapshot can see is never forgotten; only its bytes may be evicted.
//!  4. A page without an entry that the snapshot can see is in the file.
//!
//! No lock here is held over I/O.

mod evict;
mod versions;

use crate::buffer::{Member, PageBuffer, Share, Yielder};
use crate::page::{CommitNo, Page, PageNo};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use evict::Queues;
use versions::{Entry, EntryNo, Versions};

/// Where the bytes of a version are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the page's own place in the file.
    File,
    /// At this position in the log.
    Log(u64),
    /// Nowhere: as of this version the page is free.
    Freed,
}

/// The answer to a look-up.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// In memory.
    Resident(Page),
    /// To be read from this place; the version is known for places in the log.
    At(Place, CommitNo),
    /// The snapshot cannot reach this page: it was freed.
    Freed,
}

/// A version that a checkpoint has to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LoggedPage {
    pub(crate) page_no: PageNo,
    pub(crate) block_count: u16,
    pub(crate) version: CommitNo,
    pub(crate) position: u64,
}

/// The versions of some of the pages. Shards stand on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    versions: Versions,
    queues: Queues,
    hit_count: u64,
    miss_count: u64,
}

/// The directory of one store.
#[derive(Debug)]
pub(crate) struct Directory {
    shards: Box<[Mutex<Shard>]>,
    share: Share,
    pinned_bytes: AtomicU64,
}

/// What the directory holds and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// The most bytes of pages that this store keeps in memory.
    pub limit_bytes: u64,
    /// Bytes of pages in memory, those of `pinned_bytes` among them.
    pub resident_bytes: u64,
    /// Bytes of inner pages that snapshots keep at hand.
    pub pinned_bytes: u64,
    /// Page versions known: resident, or in the log.
    pub entry_count: u64,
    /// Bytes that knowing them takes, apart from the pages.
    pub entry_bytes: u64,
    /// Look-ups answered from memory. Pages that a snapshot keeps at hand need none.
    pub hit_count: u64,
    /// Look-ups that had to read.
    pub miss_count: u64,
    /// Pages put out of memory to keep the budget.
    pub eviction_count: u64,
    /// The most bytes that all databases on the same page buffer keep together.
    pub buffer_limit_bytes: u64,
    /// The bytes that they keep now.
    pub buffer_used_bytes: u64,
}

impl Directory {
    /// A directory that keeps at most `cache_bytes` of pages in memory, and no more than `buffer`
    /// allows all of its databases together.
    pub(crate) fn new(cache_bytes: u64, buffer: Option<PageBuffer>) -> Arc<Self> {
        /// Below this a shard holds too few pages to choose a victim well.
        const SHARD_BYTES: u64 = 1 << 20;
        const MAX_SHARDS: u64 = 16;
        let is_shared = buffer.is_some();
        let share = Share::new(cache_bytes, buffer.unwrap_or(PageBuffer::with_limit(cache_bytes)));
        let count = (share.limit_bytes() / SHARD_BYTES).clamp(1, MAX_SHARDS).next_power_of_two();
        let shards = (0..count).map(|_| Mutex::default()).collect();
        let directory = Arc::new(Self { shards, share, pinned_bytes: AtomicU64::new(0) });
        if is_shared {
            let member: Weak<Self> = Arc::downgrade(&directory);
            directory.share.enter(member);
        }
        directory
    }

    fn shard_index(&self, page_no: PageNo) -> usize {
        // Pages of several blocks have numbers of one residue, so the number is mixed first
        // (Fibonacci hashing, Knuth 6.4).
        let mixed = page_no.0.wrapping_mul(0x9E37_79B1) >> 16;
        mixed as usize & (self.shards.len() - 1)
    }

    fn shard_at(&self, index: usize) -> MutexGuard<'_, Shard> {
        let shard = self.shards.get(index).or(self.shards.first());
        let shard = shard.expect("a directory has at least one shard");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, page_no: PageNo) -> MutexGuard<'_, Shard> {
        self.shard_at(self.shard_index(page_no))
    }

    /// The newest version of a page that is not newer than `snapshot`.
    pub(crate) fn look_up(&self, page_no: PageNo, snapshot: CommitNo) -> Lookup {
        let mut shard = self.shard(page_no);
        let found = shard.look_up(page_no, snapshot);
        if matches!(found, Lookup::Resident(_)) {
            shard.hit_count += 1;
        } else {
            shard.miss_count += 1;
        }
        found
    }

    /// Keeps a page that was read from `place`, if that is still where it is and there is room.
    pub(crate) fn keep(&self, page: &Page, place: Place) {
        let index = self.shard_index(page.page_no());
        let len = page.bytes().len() as u64;
        if self.reserve(len, index) && !self.shard_at(index).keep(page, place) {
            self.share.release(len);
        }
    }

    /// Enters a version that a commit appended at `position`. Versions that no snapshot from
    /// `oldest` on can see are dropped.
    pub(crate) fn install(&self, page: &Page, position: u64, oldest: CommitNo) {
        let (page_no, version) = (page.page_no(), page.version());
        let index = self.shard_index(page_no);
        let has_room = self.reserve(page.bytes().len() as u64, index);
        let mut entry = Entry::new(version, Place::Log(position), page.block_count());
        entry.page = has_room.then(|| page.clone());
        let gone = self.shard_at(index).push(page_no, entry, oldest);
        self.share.release(gone);
    }

    /// Enters a version that is in the log alone: spilled before its commit, or found by recovery.
    pub(crate) fn install_logged(&self, logged: LoggedPage, oldest: CommitNo) {
        let LoggedPage { page_no, block_count, version, position } = logged;
        let entry = Entry::new(version, Place::Log(position), block_count);
        let gone = self.shard(page_no).push(page_no, entry, oldest);
        self.share.release(gone);
    }

    /// Enters that a version in the log now stands at another position of it.
    pub(crate) fn relocate(&self, page_no: PageNo, version: CommitNo, position: u64) {
        let mut shard = self.shard(page_no);
        let no = shard.versions.exactly(page_no, version).map(|(no, _)| no);
        let entry = no.and_then(|no| shard.versions.get_mut(no));
        if let Some(entry) = entry.filter(|entry| matches!(entry.place(), Place::Log(_))) {
            entry.set_place(Place::Log(position));
        }
    }

    /// Enters that a page is free as of `version`.
    pub(crate) fn install_freed(&self, page_no: PageNo, version: CommitNo, oldest: CommitNo) {
        let entry = Entry::new(version, Place::Freed, 0);
        let gone = self.shard(page_no).push(page_no, entry, oldest);
        self.share.release(gone);
    }

    /// The versions that a checkpoint up to `target` copies, in page order: of each page the newest
    /// one not newer than `target`, where that is in the log.
    pub(crate) fn logged_upto(&self, target: CommitNo) -> Vec<LoggedPage> {
        let mut logged = Vec::new();
        for index in 0..self.shards.len() {
            let shard = self.shard_at(index);
            logged.extend(shard.versions.page_nos().filter_map(|page_no| {
                let (_, entry) = shard.versions.newest_upto(page_no, target)?;
                let Place::Log(position) = entry.place() else { return None };
                let (block_count, version) = (entry.block_count, entry.version);
                Some(LoggedPage { page_no, block_count, version, position })
            }));
        }
        logged.sort_unstable();
        logged
    }

    /// Records that a checkpoint has copied everything up to `target`.
    pub(crate) fn checkpointed(&self, target: CommitNo) {
        const PAGES_AT_ONCE: usize = 16;
        for index in 0..self.shards.len() {
            let page_nos: Vec<PageNo> = self.shard_at(index).versions.page_nos().collect();
            // A few at a time: whoever reads or commits waits for no more than those.
            for some in page_nos.chunks(PAGES_AT_ONCE) {
                let gone = self.shard_at(index).checkpointed(some, target);
                self.share.release(gone);
            }
            self.shard_at(index).shrink();
        }
    }

    /// Bytes of the resident version at exactly this page and version.
    pub(crate) fn resident(&self, page_no: PageNo, version: CommitNo) -> Option<Page> {
        self.shard(page_no).versions.exactly(page_no, version)?.1.page.clone()
    }

    /// The size of the page that `snapshot` sees, where the directory knows it.
    pub(crate) fn block_count_of(&self, page_no: PageNo, snapshot: CommitNo) -> Option<u16> {
        let shard = self.shard(page_no);
        let (_, entry) = shard.versions.newest_upto(page_no, snapshot)?;
        (entry.place() != Place::Freed).then_some(entry.block_count)
    }

    /// Where the bytes of exactly this version are.
    pub(crate) fn place_of(&self, page_no: PageNo, version: CommitNo) -> Option<Place> {
        let shard = self.shard(page_no);
        shard.versions.exactly(page_no, version).map(|(_, entry)| entry.place())
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats {
            limit_bytes: self.share.limit_bytes(),
            resident_bytes: self.share.reserved_bytes(),
            pinned_bytes: self.pinned_bytes.load(Ordering::Relaxed),
            buffer_limit_bytes: self.share.buffer().limit_bytes(),
            buffer_used_bytes: self.share.buffer().used_bytes(),
            ..CacheStats::default()
        };
        for index in 0..self.shards.len() {
            let shard = self.shard_at(index);
            stats.entry_count += shard.entry_count() as u64;
            stats.entry_bytes += shard.heap_bytes() as u64;
            stats.hit_count += shard.hit_count;
            stats.miss_count += shard.miss_count;
            stats.eviction_count += shard.queues.eviction_count();
        }
        stats
    }

    /// Puts all pages out of memory.
    pub(crate) fn clear(&self) {
        self.evict_from(0, u64::MAX);
    }
}

/// The budget.
impl Directory {
    /// Reserves room for a page, putting others out, at first from the shard at `near`; false if it
    /// is not to be had.
    fn reserve(&self, len: u64, near: usize) -> bool {
        /// Others may take the room that was made; then the page is simply not kept.
        const ATTEMPTS: usize = 16;
        if !self.is_cacheable(len) {
            return false;
        }
        for _ in 0..ATTEMPTS {
            if self.share.try_reserve(len) {
                return true;
            }
            let gone = match self.share.yielder(len) {
                Yielder::Other(other) => other.evict(len),
                Yielder::Asker => 0,
            };
            if gone == 0 && self.evict_from(near, len) == 0 {
                return false;
            }
        }
        false
    }

    /// A page that takes much of the cache would cost more hits than it can bring. Pages of trees
    /// are kept as long as they fit at all.
    fn is_cacheable(&self, len: u64) -> bool {
        const TREE_PAGE_BYTES: u64 = 16 << 10;
        let limit = self.share.assured_bytes();
        len <= limit && (len <= TREE_PAGE_BYTES || len <= limit / 8)
    }

    /// Puts pages out until `wanted` bytes are free or nothing is left; returns how many are. No
    /// lock may be held.
    fn evict_from(&self, first: usize, wanted: u64) -> u64 {
        let mut gone = 0u64;
        for step in 0..self.shards.len() {
            if gone >= wanted {
                break;
            }
            let mut shard = self.shard_at((first + step) & (self.shards.len() - 1));
            let Shard { versions, queues, .. } = &mut *shard;
            let from_shard = queues.evict(versions, wanted - gone);
            drop(shard);
            self.share.release(from_shard);
            gone += from_shard;
        }
        gone
    }

    /// Reserves room for an inner page that a snapshot keeps at hand; false if that would leave too
    /// little for the others.
    pub(crate) fn reserve_pin(&self, page: &Page) -> bool {
        let len = page.bytes().len() as u64;
        let limit = self.share.assured_bytes() / 8;
        let add = |pinned: u64| pinned.checked_add(len).filter(|&sum| sum <= limit);
        if self.pinned_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
            return false;
        }
        let is_reserved = self.reserve(len, self.shard_index(page.page_no()));
        if !is_reserved {
            self.pinned_bytes.fetch_sub(len, Ordering::Relaxed);
        }
        is_reserved
    }

    /// Gives back what pins took.
    pub(crate) fn release_pins(&self, bytes: u64) {
        self.pinned_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.share.release(bytes);
    }
}

impl Member for Directory {
    fn reserved_bytes(&self) -> u64 {
        self.share.reserved_bytes()
    }

    fn evict(&self, wanted: u64) -> u64 {
        /// Where the next eviction for another database begins, so that no shard gives all.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let first = NEXT.fetch_add(1, Ordering::Relaxed) % self.shards.len() as u64;
        self.evict_from(usize::try_from(first).unwrap_or(0), wanted)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.share.leave(std::ptr::from_ref(self).cast());
        self.share.release(self.share.reserved_bytes());
    }
}

impl Shard {
    fn look_up(&mut self, page_no: PageNo, snapshot: CommitNo) -> Lookup {
        let Some((no, entry)) = self.versions.newest_upto(page_no, snapshot) else {
            return Lookup::At(Place::File, CommitNo(0));
        };
        let (place, version) = (entry.place(), entry.version);
        match entry.page.clone() {
            _ if place == Place::Freed => Lookup::Freed,
            Some(page) => {
                if let Some(entry) = self.versions.get_mut(no) {
                    entry.hits = (entry.hits + 1).min(3);
                }
                Lookup::Resident(page)
            }
            None => Lookup::At(place, version),
        }
    }

    /// Keeps a page that was read; false if it is there already, or not there any more.
    fn keep(&mut self, page: &Page, place: Place) -> bool {
        let (page_no, version) = (page.page_no(), page.version());
        let no = match self.versions.exactly(page_no, version) {
            Some((_, entry)) if entry.page.is_some() || entry.place() == Place::Freed => {
                return false;
            }
            Some((no, _)) => no,
            // A place in the log without an entry: a checkpoint has just moved the version.
            None if place != Place::File => return false,
            None => self.versions.insert(page_no, Entry::new(version, place, page.block_count())),
        };
        if let Some(entry) = self.versions.get_mut(no) {
            entry.page = Some(page.clone());
        }
        self.queues.admit(&mut self.versions, page_no, no);
        true
    }

    /// Enters a version and drops those that no snapshot from `oldest` on can see; returns the bytes
    /// that left memory with them.
    fn push(&mut self, page_no: PageNo, entry: Entry, oldest: CommitNo) -> u64 {
        let is_resident = entry.page.is_some();
        // A page freed and used again by one commit: the later news replaces the earlier.
        let replaced = self.versions.exactly(page_no, entry.version).map(|(no, _)| no);
        let mut gone = replaced.map_or(0, |no| self.remove(page_no, no));
        let no = self.versions.insert(page_no, entry);
        if is_resident {
            self.queues.admit(&mut self.versions, page_no, no);
        }
        gone += self.remove_older(page_no, oldest);
        self.queues.sweep(&mut self.versions);
        gone
    }

    fn remove(&mut self, page_no: PageNo, no: EntryNo) -> u64 {
        self.queues.remove(&mut self.versions, page_no, no)
    }

    /// Removes what is older than the newest version that is not newer than `oldest`.
    fn remove_older(&mut self, page_no: PageNo, oldest: CommitNo) -> u64 {
        let mut gone = 0;
        while let Some((no, _)) =
            self.versions.chain(page_no).filter(|(_, entry)| entry.version <= oldest).nth(1)
        {
            gone += self.remove(page_no, no);
        }
        gone
    }

    fn checkpointed(&mut self, page_nos: &[PageNo], target: CommitNo) -> u64 {
        let mut gone = 0;
        for &page_no in page_nos {
            gone += self.remove_older(page_no, target);
            let Some((no, entry)) = self.versions.newest_upto(page_no, target) else { continue };
            if entry.place() == Place::Freed || entry.page.is_none() {
                gone += self.remove(page_no, no);
            } else if let Some(entry) = self.versions.get_mut(no) {
                entry.set_place(Place::File);
            }
        }
        gone
    }

    fn shrink(&mut self) {
        self.queues.shrink(&mut self.versions);
    }

    fn entry_count(&self) -> usize {
        self.versions.len() - self.queues.removed_count()
    }

    fn heap_bytes(&self) -> usize {
        size_of::<Mutex<Self>>() + self.versions.heap_bytes() + self.queues.heap_bytes()
    }
}

#[cfg(test)]
mod tests;

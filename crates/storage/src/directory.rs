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

use crate::page::{CommitNo, Page, PageNo};
use evict::{Budget, Evicted};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

#[derive(Debug)]
struct Version {
    version: CommitNo,
    place: Place,
    block_count: u16,
    /// How often it was asked for since it came in, up to 3.
    hits: u8,
    page: Option<Page>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Newest first. An empty list is never kept.
    chains: HashMap<PageNo, Vec<Version>, FixedState>,
    budget: Budget,
}

/// The directory of one store.
#[derive(Debug)]
pub(crate) struct Directory {
    shards: Box<[Mutex<Shard>]>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What the directory holds and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Bytes of pages in memory.
    pub resident_bytes: u64,
    /// Page versions known: resident, or in the log.
    pub entry_count: u64,
    /// Look-ups answered from memory.
    pub hit_count: u64,
    /// Look-ups that had to read.
    pub miss_count: u64,
    /// Pages put out of memory to keep the budget.
    pub eviction_count: u64,
}

impl Directory {
    /// A directory that keeps at most about `cache_bytes` of pages in memory.
    pub(crate) fn new(cache_bytes: u64) -> Self {
        /// Below this a shard holds too few pages to choose a victim well.
        const SHARD_BYTES: u64 = 1 << 20;
        const MAX_SHARDS: u64 = 16;
        let count = (cache_bytes / SHARD_BYTES).clamp(1, MAX_SHARDS).next_power_of_two();
        let budget = cache_bytes / count;
        let shards = (0..count)
            .map(|_| Mutex::new(Shard { budget: Budget::new(budget), ..Shard::default() }))
            .collect();
        Self { shards, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    fn shard(&self, page_no: PageNo) -> MutexGuard<'_, Shard> {
        // Pages of several blocks have numbers of one residue, so the number is mixed first
        // (Fibonacci hashing, Knuth 6.4).
        let mixed = page_no.0.wrapping_mul(0x9E37_79B1) >> 16;
        let index = mixed as usize & (self.shards.len() - 1);
        let shard = self.shards.get(index).or(self.shards.first());
        let shard = shard.expect("a directory has at least one shard");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest version of a page that is not newer than `snapshot`.
    pub(crate) fn look_up(&self, page_no: PageNo, snapshot: CommitNo) -> Lookup {
        let mut shard = self.shard(page_no);
        let version = shard
            .chains
            .get_mut(&page_no)
            .and_then(|chain| chain.iter_mut().find(|version| version.version <= snapshot));
        let found = match version {
            None => Lookup::At(Place::File, CommitNo(0)),
            Some(Version { place: Place::Freed, .. }) => Lookup::Freed,
            Some(Version { page: Some(page), hits, .. }) => {
                *hits = (*hits + 1).min(3);
                Lookup::Resident(page.clone())
            }
            Some(version) => Lookup::At(version.place, version.version),
        };
        drop(shard);
        let counter = if matches!(found, Lookup::Resident(_)) { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a page that was read from `place`, if that is still where it is.
    pub(crate) fn keep(&self, page: &Page, place: Place) {
        let (page_no, version) = (page.page_no(), page.version());
        let mut shard = self.shard(page_no);
        let shard = &mut *shard;
        let chain = shard.chains.entry(page_no).or_default();
        let at = chain.partition_point(|entry| entry.version > version);
        match chain.get_mut(at) {
            Some(entry) if entry.version == version => {
                if entry.page.is_some() || entry.place == Place::Freed {
                    return;
                }
                entry.page = Some(page.clone());
            }
            _ if place == Place::File => {
                let page = Some(page.clone());
                let block_count = page.as_ref().map_or(1, Page::block_count);
                chain.insert(at, Version { version, place, block_count, hits: 0, page });
            }
            // A place in the log without an entry: a checkpoint has just moved the version.
            _ => {
                if chain.is_empty() {
                    shard.chains.remove(&page_no);
                }
                return;
            }
        }
        shard.admit(page_no, version, page.bytes().len());
    }

    /// Enters a version that a commit appended at `position`. Versions that no snapshot from
    /// `oldest` on can see are dropped.
    pub(crate) fn install(&self, page: &Page, position: u64, oldest: CommitNo) {
        let (page_no, version) = (page.page_no(), page.version());
        let entry = Version {
            version,
            place: Place::Log(position),
            block_count: page.block_count(),
            hits: 0,
            page: Some(page.clone()),
        };
        let mut shard = self.shard(page_no);
        shard.push(page_no, entry, oldest);
        shard.admit(page_no, version, page.bytes().len());
    }

    /// Enters a version that is in the log alone: spilled before its commit, or found by recovery.
    pub(crate) fn install_logged(&self, logged: LoggedPage, oldest: CommitNo) {
        let entry = Version {
            version: logged.version,
            place: Place::Log(logged.position),
            block_count: logged.block_count,
            hits: 0,
            page: None,
        };
        self.shard(logged.page_no).push(logged.page_no, entry, oldest);
    }

    /// Enters that a version in the log now stands at another position of it.
    pub(crate) fn relocate(&self, page_no: PageNo, version: CommitNo, position: u64) {
        let mut shard = self.shard(page_no);
        let chain = shard.chains.get_mut(&page_no).into_iter().flatten();
        for entry in chain.filter(|entry| entry.version == version) {
            if let Place::Log(place) = &mut entry.place {
                *place = position;
            }
        }
    }

    /// Enters that a page is free as of `version`.
    pub(crate) fn install_freed(&self, page_no: PageNo, version: CommitNo, oldest: CommitNo) {
        let entry = Version { version, place: Place::Freed, block_count: 0, hits: 0, page: None };
        self.shard(page_no).push(page_no, entry, oldest);
    }

    /// The versions that a checkpoint up to `target` copies, in page order: of each page the newest
    /// one not newer than `target`, where that is in the log.
    pub(crate) fn logged_upto(&self, target: CommitNo) -> Vec<LoggedPage> {
        let mut logged = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (&page_no, chain) in &shard.chains {
                let newest = chain.iter().find(|version| version.version <= target);
                if let Some(Version { place: Place::Log(position), version, block_count, .. }) =
                    newest
                {
                    logged.push(LoggedPage {
                        page_no,
                        block_count: *block_count,
                        version: *version,
                        position: *position,
                    });
                }
            }
        }
        logged.sort_unstable();
        logged
    }

    /// Records that a checkpoint has copied everything up to `target`.
    pub(crate) fn checkpointed(&self, target: CommitNo) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.checkpointed(target);
        }
    }

    /// Bytes of the resident version at exactly this page and version.
    pub(crate) fn resident(&self, page_no: PageNo, version: CommitNo) -> Option<Page> {
        let shard = self.shard(page_no);
        let chain = shard.chains.get(&page_no)?;
        chain.iter().find(|entry| entry.version == version)?.page.clone()
    }

    /// The size of the page that `snapshot` sees, where the directory knows it.
    pub(crate) fn block_count_of(&self, page_no: PageNo, snapshot: CommitNo) -> Option<u16> {
        let shard = self.shard(page_no);
        let chain = shard.chains.get(&page_no)?;
        let version = chain.iter().find(|entry| entry.version <= snapshot)?;
        (version.place != Place::Freed).then_some(version.block_count)
    }

    /// Where the bytes of exactly this version are.
    pub(crate) fn place_of(&self, page_no: PageNo, version: CommitNo) -> Option<Place> {
        let shard = self.shard(page_no);
        let chain = shard.chains.get(&page_no)?;
        chain.iter().find(|entry| entry.version == version).map(|entry| entry.place)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats {
            hit_count: self.hits.load(Ordering::Relaxed),
            miss_count: self.misses.load(Ordering::Relaxed),
            ..CacheStats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            stats.resident_bytes += shard.budget.used_bytes();
            stats.eviction_count += shard.budget.eviction_count();
            stats.entry_count += shard.chains.values().map(|c| c.len() as u64).sum::<u64>();
        }
        stats
    }
}

impl Shard {
    fn push(&mut self, page_no: PageNo, entry: Version, oldest: CommitNo) {
        let chain = self.chains.entry(page_no).or_default();
        let at = chain.partition_point(|present| present.version > entry.version);
        // A page freed and used again by one commit: the later news replaces the earlier.
        if chain.get(at).is_some_and(|present| present.version == entry.version) {
            if let Some(present) = chain.get_mut(at) {
                *present = entry;
            }
        } else {
            chain.insert(at, entry);
        }
        let visible = chain.iter().position(|present| present.version <= oldest);
        if let Some(last_needed) = visible {
            self.budget.release(page_no, chain.drain(last_needed + 1..));
        }
    }

    fn checkpointed(&mut self, target: CommitNo) {
        let budget = &mut self.budget;
        self.chains.retain(|&page_no, chain| {
            let Some(at) = chain.iter().position(|version| version.version <= target) else {
                return true;
            };
            budget.release(page_no, chain.drain(at + 1..));
            if let Some(newest) = chain.get_mut(at) {
                match newest.place {
                    Place::Log(_) | Place::File if newest.page.is_some() => {
                        newest.place = Place::File;
                    }
                    _ => {
                        chain.remove(at);
                    }
                }
            }
            !chain.is_empty()
        });
    }

    /// Counts a page that came into memory, and puts others out until the budget holds.
    fn admit(&mut self, page_no: PageNo, version: CommitNo, len: usize) {
        self.budget.admit(page_no, version, len);
        while let Some((page_no, version)) = self.budget.next_victim() {
            let Some(chain) = self.chains.get_mut(&page_no) else {
                self.budget.settle(Evicted::Stale);
                continue;
            };
            let Some(at) = chain.iter().position(|entry| entry.version == version) else {
                self.budget.settle(Evicted::Stale);
                continue;
            };
            let Some(entry) = chain.get_mut(at) else { continue };
            let outcome = match (&entry.page, entry.hits) {
                (None, _) => Evicted::Stale,
                (Some(_), 0) => Evicted::Out,
                (Some(_), hits) => {
                    entry.hits = hits - 1;
                    Evicted::Kept
                }
            };
            if outcome == Evicted::Out {
                entry.page = None;
                if entry.place == Place::File {
                    chain.remove(at);
                    if chain.is_empty() {
                        self.chains.remove(&page_no);
                    }
                }
            }
            self.budget.settle(outcome);
        }
    }
}

impl evict::Resident for Version {
    fn resident(&self) -> Option<(CommitNo, usize)> {
        self.page.as_ref().map(|page| (self.version, page.bytes().len()))
    }
}

#[cfg(test)]
mod tests;

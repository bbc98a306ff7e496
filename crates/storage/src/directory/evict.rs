//! Which page leaves memory: S3-FIFO (Yang et al., SOSP 2023), counted in bytes.
//!
//! New pages enter a small queue with a tenth of the budget. Those asked for again before they
//! reach its end move to the main queue, the others leave and are remembered by name for a while;
//! a page that comes back while it is remembered enters the main queue at once. So a scan, which
//! asks for each page once, washes through the small queue and leaves the main one alone.

use crate::page::{CommitNo, PageNo};
use std::collections::{HashSet, VecDeque};

#[derive(Clone, Copy, Debug)]
struct Queued {
    page_no: PageNo,
    version: CommitNo,
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Small,
    Main,
}

/// What became of a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evicted {
    /// Put out of memory.
    Out,
    /// It was asked for since; it stays.
    Kept,
    /// It had left before.
    Stale,
}

/// Something that may have a page in memory.
pub(super) trait Resident {
    fn resident(&self) -> Option<(CommitNo, usize)>;
}

/// The bytes in memory, and the order in which they may leave.
#[derive(Debug, Default)]
pub(super) struct Budget {
    limit: u64,
    used: u64,
    /// Bytes that stand in the small queue, released ones included.
    small_used: u64,
    small: VecDeque<Queued>,
    main: VecDeque<Queued>,
    /// Pages that left the small queue, oldest first.
    remembered: VecDeque<PageNo>,
    remembered_set: HashSet<PageNo, foldhash::fast::FixedState>,
    /// Released pages that still stand in a queue.
    stale: HashSet<(PageNo, CommitNo), foldhash::fast::FixedState>,
    at_hand: Option<(Queue, Queued)>,
    evictions: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used
    }

    pub(super) fn eviction_count(&self) -> u64 {
        self.evictions
    }

    pub(super) fn admit(&mut self, page_no: PageNo, version: CommitNo, len: usize) {
        let queued = Queued { page_no, version, len };
        // A version that was released and read again stands in a queue already.
        self.used += len as u64;
        if self.stale.remove(&(page_no, version)) {
            return;
        }
        if self.remembered_set.remove(&page_no) {
            self.main.push_back(queued);
        } else {
            self.small_used += len as u64;
            self.small.push_back(queued);
        }
    }

    /// The page to put out next; `None` while the budget holds. Answer with [`Budget::settle`].
    pub(super) fn next_victim(&mut self) -> Option<(PageNo, CommitNo)> {
        if self.used <= self.limit {
            return None;
        }
        let small_first = self.small_used > self.limit / 10 || self.main.is_empty();
        let from_small = if small_first { self.small.pop_front() } else { None };
        let (queue, queued) = match from_small {
            Some(queued) => (Queue::Small, queued),
            None => (Queue::Main, self.main.pop_front()?),
        };
        self.at_hand = Some((queue, queued));
        Some((queued.page_no, queued.version))
    }

    pub(super) fn settle(&mut self, outcome: Evicted) {
        let Some((queue, queued)) = self.at_hand.take() else { return };
        let len = queued.len as u64;
        if queue == Queue::Small {
            self.small_used = self.small_used.saturating_sub(len);
        }
        if self.stale.remove(&(queued.page_no, queued.version)) || outcome == Evicted::Stale {
            return;
        }
        if outcome == Evicted::Kept {
            self.main.push_back(queued);
            return;
        }
        self.used = self.used.saturating_sub(len);
        self.evictions += 1;
        if queue == Queue::Small {
            self.remember(queued.page_no);
        }
    }

    /// Gives back the bytes of versions that nobody can ask for any more.
    pub(super) fn release<V: Resident>(
        &mut self,
        page_no: PageNo,
        versions: impl Iterator<Item = V>,
    ) {
        for (version, len) in versions.filter_map(|version| version.resident()) {
            self.used = self.used.saturating_sub(len as u64);
            self.stale.insert((page_no, version));
        }
        self.sweep_stale();
    }

    /// Takes the released pages out of the queues before they outnumber the others.
    fn sweep_stale(&mut self) {
        if self.stale.len() <= 64 + (self.small.len() + self.main.len()) / 2 {
            return;
        }
        let stale = std::mem::take(&mut self.stale);
        let live = |q: &Queued| !stale.contains(&(q.page_no, q.version));
        self.small.retain(live);
        self.main.retain(live);
        self.small_used = self.small.iter().map(|q| q.len as u64).sum();
    }

    fn remember(&mut self, page_no: PageNo) {
        if self.remembered_set.insert(page_no) {
            self.remembered.push_back(page_no);
        }
        while self.remembered.len() > self.main.len().max(64) {
            let Some(oldest) = self.remembered.pop_front() else { break };
            self.remembered_set.remove(&oldest);
        }
    }
}

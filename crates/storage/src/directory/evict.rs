//! Which page leaves memory: S3-FIFO (Yang et al., SOSP 2023), counted in bytes.
//!
//! New pages enter a small queue with a tenth of the bytes. Those asked for again before they reach
//! its end move to the main queue, the others leave and are remembered by name for a while; a page
//! that comes back while it is remembered enters the main queue at once. So a scan, which asks for
//! each page once, washes through the small queue and leaves the main one alone.

use super::versions::{EntryNo, Standing, Versions};
use crate::page::PageNo;
use foldhash::fast::FixedState;
use std::collections::{HashSet, VecDeque};

/// The pages in memory, in the order in which they may leave.
#[derive(Debug, Default)]
pub(super) struct Queues {
    small: VecDeque<EntryNo>,
    main: VecDeque<EntryNo>,
    /// Entries of `small` and `main` that were removed from the directory.
    removed_count: usize,
    resident_bytes: u64,
    /// Of which in the small queue.
    small_bytes: u64,
    /// Pages that left the small queue, oldest first.
    remembered: VecDeque<PageNo>,
    remembered_set: HashSet<PageNo, FixedState>,
    evictions: u64,
}

impl Queues {
    /// Entries that were removed and wait here for their turn.
    pub(super) fn removed_count(&self) -> usize {
        self.removed_count
    }

    pub(super) fn eviction_count(&self) -> u64 {
        self.evictions
    }

    /// Counts a page that came into memory.
    pub(super) fn admit(&mut self, versions: &mut Versions, page_no: PageNo, no: EntryNo) {
        let Some(entry) = versions.get_mut(no) else { return };
        let len = entry.resident_bytes();
        if entry.standing == Standing::Nowhere {
            // Not twice for one return: the next time it starts in the small queue again.
            let is_known = self.remembered_set.remove(&page_no);
            entry.standing = if is_known { Standing::Main } else { Standing::Small };
            let queue = if is_known { &mut self.main } else { &mut self.small };
            queue.push_back(no);
        }
        self.resident_bytes += len;
        if entry.standing == Standing::Small {
            self.small_bytes += len;
        }
    }

    /// Puts the bytes of a version out of memory; returns how many.
    pub(super) fn drop_page(&mut self, versions: &mut Versions, no: EntryNo) -> u64 {
        let Some(entry) = versions.get_mut(no) else { return 0 };
        let len = entry.resident_bytes();
        entry.page = None;
        self.resident_bytes = self.resident_bytes.saturating_sub(len);
        if entry.standing == Standing::Small {
            self.small_bytes = self.small_bytes.saturating_sub(len);
        }
        len
    }

    /// Forgets a version; returns how many bytes left memory with it.
    pub(super) fn remove(&mut self, versions: &mut Versions, page_no: PageNo, no: EntryNo) -> u64 {
        let len = self.drop_page(versions, no);
        versions.unlink(page_no, no);
        let Some(entry) = versions.get_mut(no) else { return len };
        if entry.standing == Standing::Nowhere {
            versions.release(no);
        } else {
            entry.standing = Standing::Removed;
            self.removed_count += 1;
        }
        len
    }

    /// Puts pages out of memory until `wanted` bytes are gone or nothing is left; returns how many
    /// went.
    pub(super) fn evict(&mut self, versions: &mut Versions, wanted: u64) -> u64 {
        let mut gone = 0;
        while gone < wanted {
            let Some(no) = self.pop() else { break };
            gone += self.settle(versions, no);
        }
        gone
    }

    fn pop(&mut self) -> Option<EntryNo> {
        let is_small_full = self.small_bytes > self.resident_bytes / 10;
        let from_small = is_small_full || self.main.is_empty();
        let small = if from_small { self.small.pop_front() } else { None };
        small.or_else(|| self.main.pop_front())
    }

    /// Decides about the entry at the end of a queue; returns the bytes that it gave up.
    fn settle(&mut self, versions: &mut Versions, no: EntryNo) -> u64 {
        let Some(entry) = versions.get_mut(no) else { return 0 };
        let from = std::mem::take(&mut entry.standing);
        let len = entry.resident_bytes();
        if from == Standing::Small {
            self.small_bytes = self.small_bytes.saturating_sub(len);
        }
        let Some(page) = &entry.page else {
            if from == Standing::Removed {
                self.removed_count -= 1;
                versions.release(no);
            }
            return 0;
        };
        if entry.hits > 0 {
            entry.hits -= 1;
            entry.standing = Standing::Main;
            self.main.push_back(no);
            return 0;
        }
        let page_no = page.page_no();
        self.evictions += 1;
        if from == Standing::Small {
            self.remember(page_no);
        }
        if entry.place() == super::Place::File {
            self.remove(versions, page_no, no)
        } else {
            self.drop_page(versions, no)
        }
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

    /// Takes the removed entries out of the queues before they outnumber the others.
    pub(super) fn sweep(&mut self, versions: &mut Versions) {
        if self.removed_count > 64 + (self.small.len() + self.main.len()) / 2 {
            self.sweep_all(versions);
        }
    }

    /// Gives back what is not needed any more, where that is much.
    pub(super) fn shrink(&mut self, versions: &mut Versions) {
        self.sweep_all(versions);
        if versions.is_sparse() {
            let moved = versions.compact();
            for no in self.small.iter_mut().chain(&mut self.main) {
                *no = moved.get(no).copied().unwrap_or(*no);
            }
            self.small.shrink_to_fit();
            self.main.shrink_to_fit();
        }
    }

    fn sweep_all(&mut self, versions: &mut Versions) {
        let mut is_live = |no: &EntryNo| {
            let is_removed =
                versions.get(*no).is_none_or(|entry| entry.standing == Standing::Removed);
            if is_removed {
                versions.release(*no);
            }
            !is_removed
        };
        self.small.retain(&mut is_live);
        self.main.retain(&mut is_live);
        self.removed_count = 0;
    }

    /// Bytes that the queues take.
    pub(super) fn heap_bytes(&self) -> usize {
        let queued = self.small.capacity() + self.main.capacity();
        let places = (self.remembered_set.capacity() * 8).div_ceil(7).next_power_of_two();
        queued * size_of::<EntryNo>()
            + self.remembered.capacity() * size_of::<PageNo>()
            + places * (size_of::<PageNo>() + 1)
    }
}

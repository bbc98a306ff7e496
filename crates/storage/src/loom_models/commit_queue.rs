//! Group commit: what is acknowledged is synced and visible, and nobody waits for ever.

use super::{Bound, explore, join, spawn};
use crate::commit_queue::{CommitQueue, Goal, Pending};
use crate::ids::{Counters, Lsn, TREE_ZERO};
use crate::options::Sync;
use crate::page::{CommitNo, PageNo};
use crate::state::CommitState;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{CountedArc, Mutex};
use crate::tree::TreeDescriptor;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

pub(super) fn state(commit: u64) -> CountedArc<CommitState> {
    let counters = Counters {
        commit: CommitNo(commit),
        block_count: 4,
        free_blocks: 0,
        next_tree: 1,
        catalog_version: 0,
    };
    let tree_zero = TreeDescriptor {
        id: TREE_ZERO,
        root: PageNo(3),
        page_blocks: 1,
        entry_count: 0,
        key_bytes: 0,
        value_bytes: 0,
        block_count: 1,
        page_count: 1,
    };
    CountedArc::new(CommitState::new(counters, tree_zero, BTreeMap::new()))
}

/// A log whose records are one byte long, so that a place in it is a commit number, and its readers.
struct Log {
    queue: CommitQueue,
    end: Mutex<u64>,
    /// What the device holds.
    synced: AtomicU64,
    syncs: AtomicU64,
    visible: AtomicU64,
    is_broken: bool,
}

impl Log {
    fn new(is_broken: bool) -> Arc<Self> {
        Arc::new(Self {
            queue: CommitQueue::new(CommitNo(0)),
            end: Mutex::new(0),
            synced: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            visible: AtomicU64::new(0),
            is_broken,
        })
    }

    fn append(&self, sync: Sync) -> u64 {
        let mut end = self.end.lock().unwrap();
        *end += 1;
        let pending = Pending { state: state(*end), upto: Lsn(*end), sync };
        self.queue.push(pending, &|state| self.publish(state, sync));
        *end
    }

    fn sync(&self) -> io::Result<Lsn> {
        if self.is_broken {
            return Err(io::Error::other("broken"));
        }
        let upto = *self.end.lock().unwrap();
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.synced.fetch_max(upto, Ordering::AcqRel);
        Ok(Lsn(upto))
    }

    fn publish(&self, state: CountedArc<CommitState>, sync: Sync) {
        let commit = state.commit().0;
        let is_synced = self.synced.load(Ordering::Acquire) >= commit;
        assert!(is_synced || sync == Sync::Normal, "{commit} is seen before it is safe");
        let before = self.visible.swap(commit, Ordering::AcqRel);
        assert_eq!(before + 1, commit, "commits become visible in their order");
    }

    fn settle(&self, goal: Goal, sync: Sync) -> io::Result<()> {
        self.queue.settle(goal, &|| self.sync(), &|state| self.publish(state, sync))
    }

    fn commit(&self, sync: Sync) -> io::Result<()> {
        let commit = self.append(sync);
        self.settle(Goal::Visible(CommitNo(commit)), sync)?;
        assert!(self.visible.load(Ordering::Acquire) >= commit, "acknowledged and not visible");
        let is_synced = self.synced.load(Ordering::Acquire) >= commit;
        assert!(is_synced || sync == Sync::Normal, "acknowledged and not safe");
        Ok(())
    }
}

#[test]
fn what_is_acknowledged_is_safe_and_visible() {
    explore("group_commit", Bound { preemptions: 3, least: 3_000 }, || {
        let log = Log::new(false);
        let committers: Vec<_> = (0..2)
            .map(|_| Arc::clone(&log))
            .map(|log| spawn(move || log.commit(Sync::Full).unwrap()))
            .collect();
        let first = log.visible.load(Ordering::Acquire);
        assert!(log.visible.load(Ordering::Acquire) >= first, "what is seen never goes back");
        committers.into_iter().for_each(join);
        assert!(log.queue.is_empty());
        assert!(log.syncs.load(Ordering::Relaxed) <= 2);
    });
}

#[test]
fn a_checkpoint_and_a_commit_share_the_sync() {
    explore("group_commit_checkpoint", Bound { preemptions: 3, least: 6_000 }, || {
        let log = Log::new(false);
        let (committer, checkpointer) = (Arc::clone(&log), Arc::clone(&log));
        let committer = spawn(move || committer.commit(Sync::Full).unwrap());
        let checkpointer = spawn(move || {
            let upto = *checkpointer.end.lock().unwrap();
            checkpointer.settle(Goal::Durable(Lsn(upto)), Sync::Full).unwrap();
            assert!(checkpointer.synced.load(Ordering::Acquire) >= upto);
        });
        log.commit(Sync::Full).unwrap();
        join(committer);
        join(checkpointer);
        assert!(log.queue.is_empty());
    });
}

#[test]
fn nobody_is_acknowledged_after_a_sync_that_failed() {
    explore("group_commit_failure", Bound { preemptions: 3, least: 90 }, || {
        let log = Log::new(true);
        let committers: Vec<_> = (0..2)
            .map(|_| Arc::clone(&log))
            .map(|log| spawn(move || log.commit(Sync::Full)))
            .collect();
        for committer in committers {
            assert!(join(committer).is_err());
        }
        assert_eq!(log.visible.load(Ordering::Acquire), 0);
    });
}

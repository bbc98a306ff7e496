//! What an open store consists of, and who may do what with it.
//!
//! Locks are taken in this order: checkpoint, writer, sentinel, log, header, commit queue, retired
//! states, directory shard. No I/O happens under the last three.

use crate::commit_queue::CommitQueue;
use crate::error::{Error, Result};
use crate::fair_lock::FairLock;
use crate::header_slots::HeaderSlots;
use crate::log::Log;
use crate::log::recovery::Recovered;
use crate::options::StoreOptions;
use crate::page::{CommitNo, PageNo};
use crate::pager::Pager;
use crate::planted::is_planted;
use crate::salvage::Salvaged;
use crate::sentinel::Sentinel;
use crate::signal::Signal;
use crate::snapshot::SnapshotInfo;
use crate::state::CommitState;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, ArcSwap, CountedArc, CountedWeak, Mutex, MutexGuard, PoisonError};
use crate::vfs::{SyncKind, Vfs, VfsFile};
use crate::write_set::AllocationHint;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Blocks that a commit gave back and no checkpoint has wiped yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreedBlocks {
    pub(crate) version: CommitNo,
    pub(crate) page_no: PageNo,
    pub(crate) block_count: u16,
}

impl FreedBlocks {
    /// The numbers of the blocks.
    fn blocks(&self) -> Range<u32> {
        self.page_no.0..self.page_no.0.saturating_add(self.block_count.into())
    }

    /// The blocks of all of them as ranges, ascending and apart.
    pub(crate) fn ranges<'f>(freed: impl Iterator<Item = &'f Self>) -> Vec<Range<u32>> {
        let mut all: Vec<Range<u32>> = freed.map(Self::blocks).collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut apart: Vec<Range<u32>> = Vec::new();
        for range in all {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }
}

/// What the log holds.
#[derive(Debug)]
pub(crate) enum LogState {
    /// Nothing: the file alone is the database.
    Clean,
    /// Commits that were recovered and not yet made safe for new ones to build on.
    Recovered(Box<Recovered>),
    /// Open for appending.
    Open(Box<Log>),
}

/// What only the holder of the log's lock touches.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) log: LogState,
    /// The newest state; readers may not see it yet.
    pub(crate) newest: CountedArc<CommitState>,
    /// Oldest first.
    pub(crate) freed: Vec<FreedBlocks>,
    pub(crate) hint: AllocationHint,
}

/// What happened since open.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) commits: AtomicU64,
    pub(crate) log_syncs: AtomicU64,
    pub(crate) logged_bytes: AtomicU64,
    /// How often the row of records went on elsewhere in the log file.
    pub(crate) log_jumps: AtomicU64,
    pub(crate) spilled_pages: AtomicU64,
    /// Page frames appended to the log.
    pub(crate) frames: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) pages_copied: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) path: PathBuf,
    pub(crate) options: StoreOptions,
    pub(crate) pager: Arc<Pager>,
    published: ArcSwap<CommitState>,
    /// States that are no longer the newest and may still be somebody's snapshot, oldest first.
    retired: Mutex<Vec<CountedWeak<CommitState>>>,
    pub(crate) checkpointing: FairLock,
    pub(crate) writer: FairLock,
    header: Mutex<HeaderSlots>,
    tail: Mutex<Tail>,
    pub(crate) queue: CommitQueue,
    /// The commit that the header in force names.
    pub(crate) checkpointed: AtomicU64,
    closed: AtomicBool,
    failed: AtomicBool,
    pub(crate) counts: Counts,
    /// Wakes the thread that works in the background.
    pub(crate) signal: Arc<Signal>,
    pub(crate) sentinel: Sentinel,
    /// What was given up at open.
    pub(crate) salvaged: Option<Salvaged>,
}

/// The store's, a transaction's or a cursor's share of an engine. When the last one goes, the engine
/// closes, whatever the background thread is doing.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Engine>);

impl std::ops::Deref for Shared {
    type Target = Arc<Engine>;

    fn deref(&self) -> &Arc<Engine> {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whoever wants to know calls `Store::close`.
        let _ = self.0.close();
    }
}

/// What opening found in the files.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) header: HeaderSlots,
    pub(crate) log: LogState,
    pub(crate) state: CommitState,
    pub(crate) freed: Vec<FreedBlocks>,
    pub(crate) salvaged: Option<Salvaged>,
}

impl Engine {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        options: StoreOptions,
        pager: Pager,
        parts: Parts,
    ) -> Self {
        let newest = CountedArc::new(parts.state);
        let commit = newest.commit();
        Self {
            vfs,
            path: path.to_owned(),
            options,
            pager: Arc::new(pager),
            published: ArcSwap::new(CountedArc::clone(&newest)),
            retired: Mutex::default(),
            checkpointing: FairLock::default(),
            writer: FairLock::default(),
            checkpointed: AtomicU64::new(parts.header.in_force().commit.0),
            header: Mutex::new(parts.header),
            tail: Mutex::new(Tail {
                log: parts.log,
                newest,
                freed: parts.freed,
                hint: AllocationHint::default(),
            }),
            queue: CommitQueue::new(commit),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            counts: Counts::default(),
            signal: Arc::default(),
            sentinel: Sentinel::default(),
            salvaged: parts.salvaged,
        }
    }

    /// The lock on the log. A panic of whoever held it may have left the log and the newest state
    /// at odds, so nothing is written afterwards.
    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(|poisoned| {
            self.set_failed();
            PoisonError::into_inner(poisoned)
        })
    }

    /// The lock on the header slots.
    pub(crate) fn header(&self) -> MutexGuard<'_, HeaderSlots> {
        self.header.lock().unwrap_or_else(|poisoned| {
            self.set_failed();
            PoisonError::into_inner(poisoned)
        })
    }

    /// Refuses everything once the store is closed.
    pub(crate) fn expect_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Closes for everybody but the close itself; false if somebody did so before.
    pub(crate) fn set_closed(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// The last published state. Holding it registers the snapshot.
    pub(crate) fn snapshot(&self) -> Result<CountedArc<CommitState>> {
        self.expect_open()?;
        let state = self.published.load_full();
        state.touch(|| self.vfs.monotonic());
        Ok(state)
    }

    /// The last published state, for a planted bug that takes it for the oldest one.
    pub(crate) fn published(&self) -> CountedArc<CommitState> {
        self.published.load_full()
    }

    /// Makes a state the one that readers begin with.
    pub(crate) fn publish(&self, state: CountedArc<CommitState>) {
        // `before` is held over the exchange: whoever finds its count at zero afterwards knows that
        // no reader took it while it was being replaced.
        let before = self.published.load_full();
        let mut retired = self.retired();
        retired.retain(|state| state.strong_count() > 0);
        retired.push(CountedArc::downgrade(&before));
        drop(retired);
        self.published.store(state);
    }

    fn retired(&self) -> MutexGuard<'_, Vec<CountedWeak<CommitState>>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest state that anybody may still read.
    pub(crate) fn oldest_state(&self) -> CountedArc<CommitState> {
        let retired = self.retired();
        let published = self.published.load_full();
        let held = retired.iter().filter_map(CountedWeak::upgrade);
        held.fold(
            published,
            |oldest, state| {
                if state.commit() < oldest.commit() { state } else { oldest }
            },
        )
    }

    /// The oldest commit that anybody may still read.
    pub(crate) fn oldest_snapshot(&self) -> CommitNo {
        self.oldest_state().commit()
    }

    /// Everything that is being read, oldest first.
    pub(crate) fn snapshots(&self) -> Vec<SnapshotInfo> {
        /// The engine's own shares of the published state.
        const OWN: usize = 3;
        let now = self.vfs.monotonic();
        let retired = self.retired();
        let older = retired.iter().filter_map(|state| {
            let reader_count = state.strong_count();
            state.upgrade()?.info(reader_count, now)
        });
        let mut all: Vec<SnapshotInfo> = older.collect();
        drop(retired);
        let published = self.published.load_full();
        all.extend(published.info(CountedArc::strong_count(&published).saturating_sub(OWN), now));
        all
    }

    /// From now on the store only reads.
    pub(crate) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Refuses writes that cannot succeed.
    pub(crate) fn expect_writable(&self) -> Result<()> {
        self.expect_same_process()?;
        self.expect_open()?;
        if self.options.read_only { Err(Error::ReadOnly) } else { self.expect_unfailed() }
    }

    /// Refuses to build on what an earlier failure left: a sync that failed is never tried again,
    /// since the system may have dropped what it could not write and say so only once.
    pub(crate) fn expect_unfailed(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) { Err(Error::Failed) } else { Ok(()) }
    }

    /// Syncs the database file; a failure is final for writing, since the system may have dropped
    /// what it could not write.
    pub(crate) fn sync_main(&self, main: &dyn VfsFile) -> Result<()> {
        main.sync(SyncKind::Data)
            .inspect_err(|_| self.set_failed())
            .map_err(Error::io("sync the database file"))
    }

    pub(crate) fn new_salt(&self) -> Result<[u8; 16]> {
        let mut salt = [0; 16];
        if is_planted("reuse_salt") {
            return Ok(salt);
        }
        self.vfs.random(&mut salt).map_err(Error::io("draw random bytes"))?;
        Ok(salt)
    }

    pub(crate) fn sync_directory(&self) -> Result<()> {
        if is_planted("skip_directory_sync") {
            return Ok(());
        }
        self.vfs
            .sync_dir(directory_of(&self.path))
            .inspect_err(|_| self.set_failed())
            .map_err(Error::io("sync the directory"))
    }
}

/// The log's path: the database's with `-wal` behind.
pub(crate) fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// The folder a file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

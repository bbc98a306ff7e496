//! The parts of an open store and the order in which they act: begin, commit, publish.
//!
//! A commit is appended and, if asked, synced under the lock on the log; then its pages enter the
//! directory and its state is published. Locks are taken in this order: checkpoint, writer, log,
//! retired states, directory shard. No I/O happens under the last two.

use crate::error::{Error, Result};
use crate::header::{self, Header, SLOT_COUNT};
use crate::log::Log;
use crate::log::record::{DescriptorUpdate, FrameHeader, FrameKind, RecordHeader};
use crate::log::recovery::{Counters, Recovered};
use crate::options::{StoreOptions, Sync};
use crate::page::{CommitNo, PageNo};
use crate::pager::Pager;
use crate::signal::Signal;
use crate::state::CommitState;
use crate::vfs::{SyncKind, Vfs, VfsFile};
use crate::write_set::{AllocationHint, Dirty, Freed, WriteSet};
use crate::writer_lock::WriterLock;
use arc_swap::ArcSwap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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

/// What the log holds at open.
#[derive(Debug)]
pub(crate) enum LogState {
    /// Nothing: the file alone is the database.
    Clean,
    /// Commits that were recovered and not yet made safe for new ones to build on.
    Recovered(Box<Recovered>),
    /// Open for appending.
    Open(Log),
}

/// What only the holder of the log's lock touches.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) log: LogState,
    /// The header in force.
    pub(crate) header: Header,
    /// It was synced by this process.
    header_is_durable: bool,
    /// The newest state; equal to the published one between commits.
    pub(crate) newest: Arc<CommitState>,
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
    retired: Mutex<Vec<Weak<CommitState>>>,
    pub(crate) writer: WriterLock,
    tail: Mutex<Tail>,
    pub(crate) checkpointing: Mutex<()>,
    closed: AtomicBool,
    failed: AtomicBool,
    pub(crate) counts: Counts,
    /// Wakes the thread that checkpoints in the background.
    pub(crate) signal: Arc<Signal>,
}

/// The store's, a transaction's or a cursor's share of an engine. When the last one goes, the engine
/// closes, whatever the background thread is doing.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Engine>);

impl std::ops::Deref for Shared {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whoever wants to know calls `Store::close`.
        let _ = self.0.close();
    }
}

impl Engine {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        options: StoreOptions,
        pager: Pager,
        state: CommitState,
        tail: (LogState, Header, Vec<FreedBlocks>),
    ) -> Self {
        let newest = Arc::new(state);
        let (log, header, freed) = tail;
        Self {
            vfs,
            path: path.to_owned(),
            options,
            pager: Arc::new(pager),
            published: ArcSwap::new(Arc::clone(&newest)),
            retired: Mutex::default(),
            writer: WriterLock::default(),
            tail: Mutex::new(Tail {
                log,
                header,
                header_is_durable: false,
                newest,
                freed,
                hint: AllocationHint::default(),
            }),
            checkpointing: Mutex::default(),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            counts: Counts::default(),
            signal: Arc::default(),
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

    /// Refuses everything once the store is closed.
    pub(crate) fn expect_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Closes for everybody but the close itself; false if somebody did so before.
    pub(crate) fn set_closed(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// The last published state. Holding it registers the snapshot.
    pub(crate) fn snapshot(&self) -> Result<Arc<CommitState>> {
        self.expect_open()?;
        Ok(self.published.load_full())
    }

    /// The oldest commit that anybody may still read.
    pub(crate) fn oldest_snapshot(&self) -> CommitNo {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = self.published.load().commit();
        retired.iter().filter_map(Weak::upgrade).map(|state| state.commit()).fold(oldest, Ord::min)
    }

    /// Number of states that somebody still reads, the newest aside.
    pub(crate) fn held_snapshot_count(&self) -> usize {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.iter().filter(|state| state.strong_count() > 0).count()
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

    /// Makes a transaction's work the newest state.
    ///
    /// # Errors
    /// `CommitUnknown` when the log could not be synced, or a failed append not be undone; with every
    /// other error the commit is certainly not applied.
    pub(crate) fn commit(&self, set: WriteSet, sync: Sync, origin: Origin) -> Result<CommitNo> {
        if !set.is_changed() {
            return Ok(set.base().commit());
        }
        // Before the lock, which a thread of the parent may have held at the fork.
        self.expect_same_process()?;
        let mut tail = self.tail();
        match origin {
            Origin::Transaction => self.expect_writable()?,
            Origin::Fold => self.expect_unfailed()?,
        }
        let prepared = self.prepare(set, origin == Origin::Fold)?;
        let position = self.append(&mut tail, &prepared)?;
        if sync == Sync::Full {
            self.sync_log(&mut tail).map_err(|source| Error::CommitUnknown { source })?;
        }
        tail.hint = prepared.hint;
        let commit = prepared.state.commit();
        self.publish(&mut tail, prepared, position);
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        Ok(commit)
    }

    /// Stamps and seals the pages, and works out the state after the commit.
    fn prepare(&self, mut set: WriteSet, folded: bool) -> Result<Prepared> {
        let base = Arc::clone(set.base());
        let commit = base.commit().0.checked_add(1).map(CommitNo);
        set.counters.commit = commit.ok_or(Error::LimitExceeded("commit numbers"))?;
        let counters = set.counters;
        let updates: Vec<DescriptorUpdate> = std::mem::take(&mut set.trees).into_iter().collect();
        let hint = set.hint;
        let (mut pages, freed) = set.into_pages();
        for (_, dirty) in &mut pages {
            dirty.page.set_version(counters.commit);
            self.pager.codec.seal(dirty.page.make_mut());
        }
        let state = Arc::new(base.next(counters, &updates, folded));
        Ok(Prepared { state, updates, pages, freed, hint })
    }

    fn append(&self, tail: &mut Tail, prepared: &Prepared) -> Result<u64> {
        let LogState::Open(log) = &mut tail.log else {
            return Err(Error::Internal("the log is not open"));
        };
        let counters = prepared.state.counters;
        let header = RecordHeader {
            commit: counters.commit,
            catalog_version: counters.catalog_version,
            block_count: counters.block_count,
            free_blocks: counters.free_blocks,
            next_tree: counters.next_tree,
            ..RecordHeader::default()
        };
        let frames: Vec<FrameHeader> = prepared.frames().collect();
        let images: Vec<&[u8]> = prepared.pages.iter().map(|(_, d)| d.page.bytes()).collect();
        let before = log.end();
        match log.append(header, &prepared.updates, &frames, &images) {
            Ok(position) => {
                let bytes = log.end().saturating_sub(before);
                self.counts.logged_bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(position)
            }
            Err(error) => {
                if matches!(error, Error::CommitUnknown { .. }) {
                    self.set_failed();
                }
                Err(error)
            }
        }
    }

    /// Makes the log durable; a failure is final for writing.
    pub(crate) fn sync_log(&self, tail: &mut Tail) -> std::io::Result<()> {
        let LogState::Open(log) = &mut tail.log else { return Ok(()) };
        self.counts.log_syncs.fetch_add(1, Ordering::Relaxed);
        log.sync().inspect_err(|_| self.set_failed())
    }

    fn publish(&self, tail: &mut Tail, prepared: Prepared, mut position: u64) {
        let commit = prepared.state.commit();
        let oldest = self.oldest_snapshot();
        for freed in &prepared.freed {
            self.pager.directory.install_freed(freed.page_no, commit, oldest);
            tail.freed.push(FreedBlocks {
                version: commit,
                page_no: freed.page_no,
                block_count: freed.block_count,
            });
        }
        for (_, dirty) in &prepared.pages {
            self.pager.directory.install(&dirty.page, position, oldest);
            position += dirty.page.bytes().len() as u64;
        }
        tail.newest = Arc::clone(&prepared.state);
        // `before` is held over the exchange: whoever finds its count at zero afterwards knows that
        // no reader took it while it was being replaced.
        let before = self.published.load_full();
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|state| state.strong_count() > 0);
        retired.push(Arc::downgrade(&before));
        drop(retired);
        self.published.store(prepared.state);
    }

    /// Puts another header in force: writes it under the next sequence number and syncs it.
    pub(crate) fn write_header(&self, tail: &mut Tail, header: Header) -> Result<()> {
        self.secure_header(tail)?;
        self.pager.with_files(|files| {
            let main = &*files.main;
            let sequence = tail.header.next(1)?.sequence;
            let header = Header { sequence, ..header };
            if let Err(error) = header::write(main, &header) {
                self.undo_header(main, sequence, &tail.header);
                return Err(error);
            }
            self.sync_main(main)?;
            tail.header = header;
            Ok(())
        })
    }

    /// Makes sure, once, that the header in force is durable.
    ///
    /// It may be in the page cache alone, left there by a process that died before its sync; then the
    /// one before it counts. So it is written once more, to the slot behind it: torn, that harms
    /// neither of the two. With that one synced, the other slots are written too, so that none stays
    /// as a crash may have left it.
    pub(crate) fn secure_header(&self, tail: &mut Tail) -> Result<()> {
        if tail.header_is_durable {
            return Ok(());
        }
        self.pager.with_files(|files| {
            let main = &*files.main;
            let again = tail.header.next(1)?;
            header::write(main, &again)?;
            self.sync_main(main)?;
            tail.header = again;
            for step in 1..SLOT_COUNT as u64 - 1 {
                header::write(main, &tail.header.next(step)?)?;
            }
            tail.header = tail.header.next(SLOT_COUNT as u64 - 2)?;
            tail.header_is_durable = true;
            Ok(())
        })
    }

    /// Puts the header in force into the slot where the write of a new one failed. Of that write
    /// anything may have arrived; if all of it did, the header would end the log's generation, and
    /// the commits that follow in it would be lost.
    fn undo_header(&self, main: &dyn VfsFile, sequence: u64, in_force: &Header) {
        let undone = header::write_at_slot_of(main, sequence, in_force);
        if undone.and_then(|()| self.sync_main(main)).is_err() {
            self.set_failed();
        }
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
        self.vfs.random(&mut salt).map_err(Error::io("draw random bytes"))?;
        Ok(salt)
    }

    pub(crate) fn sync_directory(&self) -> Result<()> {
        self.vfs
            .sync_dir(directory_of(&self.path))
            .inspect_err(|_| self.set_failed())
            .map_err(Error::io("sync the directory"))
    }
}

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Transaction,
    /// A checkpoint, which has brought the descriptor tree up to date.
    Fold,
}

/// A commit that is ready to be appended.
struct Prepared {
    state: Arc<CommitState>,
    updates: Vec<DescriptorUpdate>,
    pages: Vec<(PageNo, Dirty)>,
    freed: Vec<Freed>,
    hint: AllocationHint,
}

impl Prepared {
    /// Freed pages first: one that is used again in the same commit has its image behind.
    fn frames(&self) -> impl Iterator<Item = FrameHeader> + '_ {
        let freed = self.freed.iter().map(|freed| FrameHeader {
            kind: FrameKind::Freed,
            page_no: freed.page_no,
            block_count: freed.block_count,
            replaces: CommitNo(0),
        });
        let images = self.pages.iter().map(|(page_no, dirty)| FrameHeader {
            kind: FrameKind::Image,
            page_no: *page_no,
            block_count: dirty.page.block_count(),
            replaces: dirty.replaces,
        });
        freed.chain(images)
    }
}

/// The state a header describes.
pub(crate) fn state_of(header: &Header) -> Counters {
    Counters {
        commit: header.commit,
        block_count: header.block_count,
        free_blocks: header.free_blocks,
        next_tree: header.next_tree,
        catalog_version: header.catalog_version,
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

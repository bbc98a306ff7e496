//! The store: one file with its log, opened, read, written, checked and closed.

use crate::check::{self, CheckOptions, CheckReport, VerifyOptions, VerifyReport};
use crate::checkpoint::{CheckpointMode, CheckpointReport};
use crate::codec::{Checksum, Codec};
use crate::directory::LoggedPage;
use crate::engine::{Engine, FreedBlocks, LogState, Parts, Shared, directory_of};
use crate::error::{Error, Result};
use crate::header::{self, HEADER_BLOCKS, Header};
use crate::ids::TREE_ZERO;
use crate::log::record::{FrameHeader, FrameKind};
use crate::log::recovery::Recovered;
use crate::open::{self, Opened};
use crate::options::StoreOptions;
use crate::page::{BLOCK_BYTES, PageNo};
use crate::pager::{Files, Pager};
use crate::salvage::{self, OpenedLog, Place, Salvaged};
use crate::sentinel::Found;
use crate::state::CommitState;
use crate::stats::StoreStats;
use crate::txn::{ReadTx, WriteTx};
use crate::vfs::{Vfs, VfsFile};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An open database file. Clones share it.
///
/// The store closes itself when the last clone and the last transaction and cursor are gone; errors
/// of that close are lost, so call [`Store::close`] to see them.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Arc<Shared>,
}

impl Store {
    /// Opens a database, or makes one.
    ///
    /// A clean open reads the header slots. After a crash the log is read to its end, and the
    /// first write transaction makes what was recovered durable before it begins. Nothing is
    /// written before the first write transaction, unless [`StoreOptions::sentinel`] is found to
    /// stand.
    ///
    /// # Errors
    /// `NotFound` without `create`; `Locked` at once when this process has the file open, and after
    /// `lock_timeout` when another one has; `ReadOnly` when the file can be read and not be written;
    /// `NotADatabase`, `UnsupportedFormat`, `Corrupt` when all header slots are damaged,
    /// `LogDamaged`, `QuickCheckFailed`, `Io`. A failed open changes nothing and holds nothing.
    pub fn open(vfs: Arc<dyn Vfs>, path: &Path, options: StoreOptions) -> Result<Self> {
        let Opened { path, main, claim } = open::open_main(&vfs, path, &options)?;
        let path = path.as_path();
        let header = header::current(header::read_slots(&*main)?)?;
        let codec: Box<dyn Codec> = Box::new(Checksum::new(header.database_id));
        if !options.read_only {
            header.expect_writable()?;
        }
        expect_blocks(&*main, HEADER_BLOCKS + 1)?;
        let place = Place { vfs: &*vfs, path, main: &*main, codec: &*codec, options: &options };
        let OpenedLog { header, log, recovered, salvaged } = salvage::open_log(place, header)?;
        expect_blocks(&*main, least_block_count(header.in_force(), recovered.as_ref()))?;
        let files = Files { main, log };
        let pager = Pager::open(codec, &options, files).claimed(claim);
        let freed = recovered.as_ref().map(|r| install(&pager, r)).unwrap_or_default();
        let state = opened_state(header.in_force(), recovered.as_ref());
        let log = match recovered {
            Some(recovered) => LogState::Recovered(Box::new(recovered)),
            None => LogState::Clean,
        };
        let parts = Parts { header, log, state, freed, salvaged };
        let engine = Engine::new(vfs, path, options, pager, parts);
        let store = Self { engine: Arc::new(Shared(Arc::new(engine))) };
        if let Err(refused) = heed_sentinel(&store.engine) {
            // The end of the engine then writes nothing.
            store.engine.set_closed();
            return Err(refused);
        }
        Ok(store)
    }

    /// What was given up at open; `None` if the log was whole.
    #[must_use]
    pub fn salvaged(&self) -> Option<&Salvaged> {
        self.engine.salvaged.as_ref()
    }

    /// A snapshot of the last commit. Takes no lock and makes no system call.
    ///
    /// # Errors
    /// `Closed`.
    pub fn begin_read(&self) -> Result<ReadTx> {
        Ok(ReadTx::new(Arc::clone(&self.engine), self.engine.snapshot()?))
    }

    /// Begins a write transaction, after the one that is open.
    ///
    /// # Errors
    /// `ReadOnly`, `Failed`, `Closed`; `Io` and `NoSpace` when the log cannot be made ready.
    pub fn begin_write(&self) -> Result<WriteTx> {
        WriteTx::begin(&self.engine, None)
    }

    /// Begins a write transaction, if the open one ends in time.
    ///
    /// # Errors
    /// `Busy` when it does not; else as [`Store::begin_write`].
    pub fn begin_write_timeout(&self, timeout: Duration) -> Result<WriteTx> {
        WriteTx::begin(&self.engine, Some(timeout))
    }

    /// Copies the log into the file, as far and as thoroughly as `mode` says. Every commit before it
    /// is durable when it returns, copied or not. Waits for [`StoreOptions::busy_timeout`] where the mode waits.
    ///
    /// # Errors
    /// `Busy` when another checkpoint is under way, or when a stronger mode than `Passive` could not
    /// have its way: then what a passive one does was done. `NoSpace`, `Io`: the log is kept and
    /// nothing is lost.
    pub fn checkpoint(&self, mode: CheckpointMode) -> Result<CheckpointReport> {
        self.checkpoint_timeout(mode, self.engine.options.busy_timeout)
    }

    /// As [`Store::checkpoint`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`Store::checkpoint`].
    pub fn checkpoint_timeout(
        &self,
        mode: CheckpointMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        self.engine.flush(mode, timeout)
    }

    /// The same as [`Store::checkpoint`], under the name of what it is for: to have everything that
    /// was committed on stable storage, for instance before a mobile system suspends the program.
    ///
    /// # Errors
    /// As [`Store::checkpoint`].
    pub fn flush(&self, mode: CheckpointMode) -> Result<CheckpointReport> {
        self.checkpoint(mode)
    }

    /// Waits until no commit has changed data for `quiet`, and flushes. Reading is quiet; a store
    /// that was not written to since open is. There is no limit to the wait.
    ///
    /// # Errors
    /// `Closed` as soon as the store is closed; else as [`Store::flush`].
    pub fn flush_when_idle(
        &self,
        quiet: Duration,
        mode: CheckpointMode,
    ) -> Result<CheckpointReport> {
        self.engine.await_quiet(quiet, None)?;
        self.flush(mode)
    }

    /// As [`Store::flush_when_idle`], waiting no longer than `timeout` for the quiet.
    ///
    /// # Errors
    /// `Busy` when the quiet did not come in time; else as [`Store::flush_when_idle`].
    pub fn flush_when_idle_timeout(
        &self,
        quiet: Duration,
        mode: CheckpointMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        self.engine.await_quiet(quiet, Some(timeout))?;
        self.flush(mode)
    }

    /// Looks at what is cheap to look at: the header slots, the length of the file, the ends of the
    /// descriptor tree, every root, the free-space map, and a random sample of pages.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn quick_check(&self) -> Result<()> {
        check::quick_check(&self.engine)
    }

    /// Walks every tree of a snapshot and compares what it reaches with the free-space map.
    ///
    /// # Errors
    /// `Io` and `Closed`; damage is in the report.
    pub fn integrity_check(&self) -> Result<CheckReport> {
        check::integrity_check(&self.engine, &CheckOptions::default())
    }

    /// Reads every byte of the file: header slots, pages, free space, and the head of the log.
    ///
    /// # Errors
    /// `Io` and `Closed`; damage is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        check::verify(&self.engine, &VerifyOptions::default())
    }

    /// Sizes and counters.
    ///
    /// # Errors
    /// `Closed`, `Io`.
    pub fn stats(&self) -> Result<StoreStats> {
        StoreStats::of(&self.engine)
    }

    /// A file without a name beside the database, for what does not fit into memory.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`.
    pub fn open_temporary(&self) -> Result<Arc<dyn VfsFile>> {
        let directory = directory_of(&self.engine.path);
        self.engine.vfs.open_temporary(directory).map_err(Error::io("make a temporary file"))
    }

    /// Ends all work, copies the log into the file and gives up the lock. Open transactions and
    /// cursors answer `Closed` from now on; a write transaction that was open is rolled back.
    ///
    /// # Errors
    /// `Closed` if it is closed already. With every other error the store is closed too, and the
    /// next open recovers what the file lacks from the log; `Failed` when an earlier failure keeps
    /// the close from making it durable.
    pub fn close(&self) -> Result<()> {
        self.engine.expect_open()?;
        self.engine.close()
    }
}

impl Engine {
    /// Closes, once.
    pub(crate) fn close(&self) -> Result<()> {
        // First: whatever a forked child waited for might never come.
        self.expect_same_process()?;
        self.signal.stop();
        // Before the wait for the checkpoint, which may itself wait for an open write transaction.
        self.writer.close();
        self.checkpointing.with(None, || {
            {
                // Under the log's lock, so that no commit is half done.
                let _tail = self.tail();
                if !self.set_closed() {
                    return Ok(());
                }
            }
            let outcome = self.write_back().and_then(|()| self.remove_sentinel());
            self.tail().log = LogState::Clean;
            // Waits for the reads in flight; the lock goes with the file.
            self.pager.close_files();
            outcome
        })
    }

    /// Leaves the file alone to hold everything, and removes the log.
    fn write_back(&self) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        let was_written = self.pager.with_files(|files| Ok(files.log.is_some()))?;
        if !was_written {
            return self.expect_unfailed();
        }
        self.expect_files_in_place()?;
        self.expect_unfailed()?;
        self.resume_log()?;
        self.close_log()?;
        self.expect_files_in_place()?;
        self.remove_log()
    }
}

/// Checks a database that was left with commits which were not flushed, and flushes it.
fn heed_sentinel(engine: &Arc<Shared>) -> Result<()> {
    if !(engine.options.sentinel && engine.find_sentinel()?) {
        return Ok(());
    }
    if engine.options.read_only {
        engine.sentinel.set_found(Found { quick_check: None });
        return Ok(());
    }
    let began = engine.vfs.monotonic();
    check::quick_check(engine)
        .map_err(|source| Error::QuickCheckFailed { source: Box::new(source) })?;
    let took = engine.vfs.monotonic().saturating_sub(began);
    engine.sentinel.set_found(Found { quick_check: Some(took) });
    // What was read back may be in the page cache alone, and a sentinel that goes before it is
    // durable would be missing after the next power loss. If that fails, say for a full disk, the
    // sentinel stays, and the next write meets the reason.
    if let Err(error) = engine.flush(CheckpointMode::Passive, Duration::ZERO) {
        engine.signal.change_outcomes(|outcomes| outcomes.last_error = Some(error.to_string()));
    }
    Ok(())
}

/// The file is never shorter than its header in force says, unless a later commit gave blocks back:
/// a close cuts the file before it writes the header that says so.
fn least_block_count(header: &Header, recovered: Option<&Recovered>) -> u32 {
    let commits = recovered.into_iter().flat_map(|recovered| &recovered.commits);
    let logged = commits.map(|commit| commit.counters.block_count);
    logged.fold(header.block_count, u32::min)
}

/// Refuses a file that was cut.
fn expect_blocks(main: &dyn VfsFile, block_count: u32) -> Result<()> {
    let len = main.len().map_err(Error::io("read the length of the database file"))?;
    if len < u64::from(block_count) * BLOCK_BYTES as u64 {
        return Err(Error::corrupt(PageNo(0), "the file is shorter than its header says"));
    }
    Ok(())
}

/// Enters what recovery found into the directory; returns the freed blocks.
fn install(pager: &Pager, recovered: &Recovered) -> Vec<FreedBlocks> {
    let mut freed = Vec::new();
    for commit in &recovered.commits {
        let version = commit.counters.commit;
        for (frame, position) in commit.placed() {
            let FrameHeader { page_no, block_count, .. } = frame;
            match frame.kind {
                FrameKind::Image | FrameKind::Placed(_) => {
                    let logged = LoggedPage { page_no, block_count, version, position };
                    pager.directory.install_logged(logged, version);
                }
                FrameKind::Freed => {
                    pager.directory.install_freed(page_no, version, version);
                    freed.push(FreedBlocks { version, page_no, block_count });
                }
            }
        }
    }
    freed
}

fn opened_state(header: &Header, recovered: Option<&Recovered>) -> CommitState {
    let counters = recovered.and_then(Recovered::counters).unwrap_or(header.counters());
    let mut changed = recovered.map(Recovered::descriptors).unwrap_or_default();
    let tree_zero = changed.remove(&TREE_ZERO).flatten().unwrap_or(header.tree_zero);
    CommitState::new(counters, tree_zero, changed)
}

/// The store and its snapshots may be shared between threads.
const _: () = {
    const fn shared<T: Send + Sync + 'static>() {}
    const fn sendable<T: Send + 'static>() {}
    shared::<Store>();
    shared::<ReadTx>();
    sendable::<WriteTx>();
};

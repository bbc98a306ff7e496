//! Sizes and counters of a store.

use crate::bitmap;
use crate::directory::CacheStats;
use crate::engine::{Engine, LogState};
use crate::error::{Error, Result};
use crate::header::HEADER_BLOCKS;
use crate::page::{BLOCK_BYTES, CommitNo};
use crate::snapshot::SnapshotInfo;
use crate::sync::atomic::Ordering;
use std::time::Duration;

/// Sizes and counters of a store, as of the call. Counters start at open.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of records in the log that no checkpoint has passed.
    pub log_bytes: u64,
    /// Bytes of the log file.
    pub log_file_bytes: u64,
    /// Bytes of a block.
    pub block_bytes: u64,
    /// Blocks of the file, header slots and free ones included.
    pub block_count: u64,
    /// Free blocks among them.
    pub free_block_count: u64,
    /// Bytes of the blocks in use, header and bitmaps among them.
    pub used_bytes: u64,
    /// Bytes of the free blocks.
    pub free_bytes: u64,
    /// Bytes of the blocks that hold trees: keys, values, and what it takes to find them.
    pub data_bytes: u64,
    /// The last commit.
    pub commit: CommitNo,
    /// The oldest commit that a snapshot still reads.
    pub oldest_snapshot: CommitNo,
    /// What is being read, oldest first.
    pub snapshots: Vec<SnapshotInfo>,
    /// Pages in memory.
    pub cache: CacheStats,
    /// Pages read from the file or the log.
    pub page_read_count: u64,
    /// How often a page was read that was not what had been written.
    pub integrity_error_count: u64,
    /// Commits that wrote something.
    pub commit_count: u64,
    /// Syncs of the log.
    pub log_sync_count: u64,
    /// Bytes appended to the log.
    pub logged_bytes: u64,
    /// How often the log went on in another part of its file, mostly one that a checkpoint had given
    /// back.
    pub log_jump_count: u64,
    /// Pages that transactions larger than their share of the cache put into the log before they
    /// committed.
    pub spilled_page_count: u64,
    /// Checkpoints, partial ones included.
    pub checkpoint_count: u64,
    /// Pages that checkpoints copied.
    pub pages_copied: u64,
    /// What the last automatic checkpoint or idle flush said, if it failed.
    pub last_checkpoint_error: Option<String>,
    /// Automatic checkpoints and idle flushes that failed.
    pub background_failure_count: u64,
    /// Idle flushes.
    pub idle_flush_count: u64,
    /// Idle flushes that failed.
    pub idle_flush_failure_count: u64,
    /// The sentinel stood at open: the session before left commits that it had not flushed.
    pub dirty_on_open: bool,
    /// How long the check took that the sentinel made necessary.
    pub dirty_quick_check: Option<Duration>,
    /// The database was not closed cleanly before, and nothing was written since.
    pub is_recovered: bool,
}

impl StoreStats {
    pub(crate) fn of(engine: &Engine) -> Result<Self> {
        let snapshots = engine.snapshots();
        let state = engine.snapshot()?;
        let file_bytes = engine.pager.with_files(|files| {
            files.main.len().map_err(Error::io("read the length of the database file"))
        })?;
        let (log_file_bytes, is_recovered) = match &engine.tail().log {
            LogState::Clean => (0, false),
            LogState::Recovered(_) => (0, true),
            LogState::Open(log) => (log.file_bytes(), false),
        };
        let background = engine.signal.outcomes();
        let dirt = engine.sentinel.found();
        let counters = state.counters;
        let in_use = counters.block_count.saturating_sub(counters.free_blocks);
        let overhead = HEADER_BLOCKS.saturating_add(bitmap::group_count(counters.block_count));
        let bytes = |blocks: u32| u64::from(blocks) * BLOCK_BYTES as u64;
        let count = |counter: &crate::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Self {
            file_bytes,
            log_bytes: engine.log_used_bytes(),
            log_file_bytes,
            block_bytes: BLOCK_BYTES as u64,
            block_count: counters.block_count.into(),
            free_block_count: counters.free_blocks.into(),
            used_bytes: bytes(in_use),
            free_bytes: bytes(counters.free_blocks),
            data_bytes: bytes(in_use.saturating_sub(overhead)),
            commit: state.commit(),
            oldest_snapshot: engine.oldest_snapshot(),
            snapshots,
            cache: engine.pager.directory.stats(),
            page_read_count: engine.pager.page_read_count(),
            integrity_error_count: engine.pager.damaged_read_count(),
            commit_count: count(&engine.counts.commits),
            log_sync_count: count(&engine.counts.log_syncs),
            logged_bytes: count(&engine.counts.logged_bytes),
            log_jump_count: count(&engine.counts.log_jumps),
            spilled_page_count: count(&engine.counts.spilled_pages),
            checkpoint_count: count(&engine.counts.checkpoints),
            pages_copied: count(&engine.counts.pages_copied),
            last_checkpoint_error: background.last_error,
            background_failure_count: background.failure_count,
            idle_flush_count: background.idle_flush_count,
            idle_flush_failure_count: background.idle_flush_failure_count,
            dirty_on_open: dirt.is_some(),
            dirty_quick_check: dirt.and_then(|dirt| dirt.quick_check),
            is_recovered,
        })
    }
}

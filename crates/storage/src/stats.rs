//! Sizes and counters of a store.

use crate::bitmap;
use crate::directory::CacheStats;
use crate::engine::{Engine, LogState};
use crate::error::{Error, Result};
use crate::header::HEADER_BLOCKS;
use crate::page::{BLOCK_BYTES, CommitNo};
use std::sync::atomic::Ordering;

/// Sizes and counters of a store, as of the call. Counters start at open.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of records in the log.
    pub log_bytes: u64,
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
    /// Earlier commits that are still read.
    pub held_snapshot_count: u64,
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
    /// Checkpoints, partial ones included.
    pub checkpoint_count: u64,
    /// Pages that checkpoints copied.
    pub pages_copied: u64,
    /// What the last checkpoint in the background said, if it failed.
    pub last_checkpoint_error: Option<String>,
    /// The database was not closed cleanly before, and nothing was written since.
    pub is_recovered: bool,
}

impl StoreStats {
    pub(crate) fn of(engine: &Engine) -> Result<Self> {
        let state = engine.snapshot()?;
        let file_bytes = engine.pager.with_files(|files| {
            files.main.len().map_err(Error::io("read the length of the database file"))
        })?;
        let (log_bytes, is_recovered) = match &engine.tail().log {
            LogState::Clean => (0, false),
            LogState::Recovered(recovered) => (recovered.end, true),
            LogState::Open(log) => (log.used_bytes(), false),
        };
        let counters = state.counters;
        let in_use = counters.block_count.saturating_sub(counters.free_blocks);
        let overhead = HEADER_BLOCKS.saturating_add(bitmap::group_count(counters.block_count));
        let bytes = |blocks: u32| u64::from(blocks) * BLOCK_BYTES as u64;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Self {
            file_bytes,
            log_bytes,
            block_bytes: BLOCK_BYTES as u64,
            block_count: counters.block_count.into(),
            free_block_count: counters.free_blocks.into(),
            used_bytes: bytes(in_use),
            free_bytes: bytes(counters.free_blocks),
            data_bytes: bytes(in_use.saturating_sub(overhead)),
            commit: state.commit(),
            oldest_snapshot: engine.oldest_snapshot(),
            held_snapshot_count: engine.held_snapshot_count() as u64,
            cache: engine.pager.directory.stats(),
            page_read_count: engine.pager.page_read_count(),
            integrity_error_count: engine.pager.damaged_read_count(),
            commit_count: count(&engine.counts.commits),
            log_sync_count: count(&engine.counts.log_syncs),
            logged_bytes: count(&engine.counts.logged_bytes),
            checkpoint_count: count(&engine.counts.checkpoints),
            pages_copied: count(&engine.counts.pages_copied),
            last_checkpoint_error: engine.signal.last_error(),
            is_recovered,
        })
    }
}

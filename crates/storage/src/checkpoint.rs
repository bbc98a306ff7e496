//! Checkpoints: the log copied into the file, and the log started anew.
//!
//! The order is what makes a crash harmless at every step: the log is synced; of each page the
//! newest version that every snapshot sees or has passed is written to its place, freed blocks are
//! wiped; the file is synced; only then does a header under a new salt end the log's generation,
//! and only when that header is synced are the log's positions used again. A crash before that
//! replays the log over pages that may or may not have been copied, which comes to the same.

use crate::bitmap;
use crate::engine::{Engine, FreedBlocks, LogState, Origin};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::log::FIRST_RECORD;
use crate::options::{AutoCheckpoint, Sync};
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageNo};
use crate::state::{TREE_ZERO, descriptor_key};
use crate::tree;
use crate::vfs::{VfsFile, write_all_vectored};
use crate::write_set::WriteSet;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

/// Neighbouring pages are written together up to this.
const WRITE_BYTES: usize = 1 << 20;

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointReport {
    /// Pages written to the file.
    pub pages_copied: u64,
    /// Everything committed is in the file, and the log starts anew.
    pub log_restarted: bool,
    /// Commits up to this one are in the file.
    pub upto: CommitNo,
}

/// What follows a restart of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// More commits.
    Continue,
    /// The close of the store: free blocks at the end are cut off, and the header says clean.
    Close,
}

impl Engine {
    /// Copies what every snapshot allows; then, unless a writer or a snapshot stands in the way for
    /// longer than the options say, starts the log anew.
    pub(crate) fn checkpoint(&self) -> Result<CheckpointReport> {
        self.expect_writable()?;
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        self.checkpoint_locked(self.options.busy_timeout)
    }

    /// A checkpoint that nobody asked for, if one is due and none is under way. It queues behind the
    /// open write transaction for up to `wait`.
    pub(crate) fn checkpoint_if_due(&self, wait: Duration) -> Result<()> {
        if !self.is_checkpoint_due() {
            return Ok(());
        }
        let _checkpointing = match self.checkpointing.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        self.checkpoint_locked(wait).map(|_| ())
    }

    /// True if the log has grown enough.
    pub(crate) fn is_checkpoint_due(&self) -> bool {
        const LEAST: u64 = 40 << 20;
        const MOST: u64 = 1 << 30;
        let tail = self.tail();
        let LogState::Open(log) = &tail.log else { return false };
        let file_bytes =
            u64::from(tail.newest.counters.block_count).saturating_mul(BLOCK_BYTES as u64);
        let limit = match self.options.auto_checkpoint {
            AutoCheckpoint::Off => return false,
            AutoCheckpoint::Adaptive => (file_bytes / 4).clamp(LEAST, MOST),
            AutoCheckpoint::Background { after_bytes } | AutoCheckpoint::Inline { after_bytes } => {
                after_bytes
            }
        };
        log.used_bytes() >= limit
    }

    fn checkpoint_locked(&self, wait: Duration) -> Result<CheckpointReport> {
        self.resume_log()?;
        if !matches!(self.tail().log, LogState::Open(_)) {
            let upto = self.snapshot()?.commit();
            return Ok(CheckpointReport { pages_copied: 0, log_restarted: true, upto });
        }
        let first = self.copy_upto(self.oldest_snapshot(), None)?;
        match self.writer.acquire(Some(wait)) {
            Ok(()) => {}
            Err(Error::Busy) => return Ok(first),
            Err(error) => return Err(error),
        }
        let restarted = self.restart_log(Ending::Continue);
        self.writer.release();
        let second = restarted?;
        Ok(CheckpointReport { pages_copied: first.pages_copied + second.pages_copied, ..second })
    }

    /// Copies everything and starts the log anew. The caller holds the checkpoint's and the
    /// writer's locks.
    pub(crate) fn restart_log(&self, ending: Ending) -> Result<CheckpointReport> {
        self.fold_descriptors(ending)?;
        let newest = self.tail().newest.clone();
        let target = newest.commit();
        let oldest = if ending == Ending::Close { target } else { self.wait_for_readers(target) };
        if oldest < target {
            return self.copy_upto(oldest, None);
        }
        let mut report = self.copy_upto(target, Some(newest.counters.block_count))?;
        let mut tail = self.tail();
        let header = Header {
            clean: ending == Ending::Close,
            commit: target,
            block_count: newest.counters.block_count,
            free_blocks: newest.counters.free_blocks,
            next_tree: newest.counters.next_tree,
            catalog_version: newest.counters.catalog_version,
            salt: self.new_salt()?,
            tree_zero: newest.tree_zero,
            log_start: FIRST_RECORD,
            ..tail.header.clone()
        };
        self.write_header(&mut tail, header)?;
        let salt = tail.header.salt;
        if let LogState::Open(log) = &mut tail.log {
            log.restart(salt);
        }
        report.log_restarted = true;
        Ok(report)
    }

    /// Gives readers that are about to end the time to do so; returns the oldest snapshot.
    fn wait_for_readers(&self, target: CommitNo) -> CommitNo {
        const TURNS: usize = 1000;
        for _ in 0..TURNS {
            if self.oldest_snapshot() >= target {
                break;
            }
            std::thread::yield_now();
        }
        self.oldest_snapshot()
    }

    /// Brings the descriptor tree up to date by a commit of its own, so that the header's one
    /// descriptor leads to all others.
    fn fold_descriptors(&self, ending: Ending) -> Result<()> {
        let (newest, hint) = {
            let tail = self.tail();
            (tail.newest.clone(), tail.hint)
        };
        let mut set = WriteSet::new(self.pager.clone(), newest.clone(), hint);
        let mut tree_zero = newest.tree_zero;
        for (&id, descriptor) in &newest.changed {
            let key = descriptor_key(id);
            match descriptor {
                Some(descriptor) => {
                    tree::put(&mut set, &mut tree_zero, &key, &descriptor.encode())?;
                }
                None => {
                    tree::remove(&mut set, &mut tree_zero, &key)?;
                }
            }
        }
        if tree_zero != newest.tree_zero {
            set.trees.insert(TREE_ZERO, Some(tree_zero));
        }
        if ending == Ending::Close {
            set.trim()?;
        }
        self.commit(set, Sync::Normal, Origin::Fold).map(|_| ())
    }

    /// Copies the pages as of `target` into the file, makes it `block_count` blocks long if asked,
    /// and syncs it.
    fn copy_upto(&self, target: CommitNo, block_count: Option<u32>) -> Result<CheckpointReport> {
        let freed = {
            let mut tail = self.tail();
            self.sync_log(&mut tail).map_err(Error::io("sync the log"))?;
            tail.freed.iter().filter(|freed| freed.version <= target).copied().collect::<Vec<_>>()
        };
        let logged = self.pager.directory.logged_upto(target);
        let images = logged.iter().map(|page| (page.page_no, page.block_count));
        let wiped = uncovered(&freed, images);
        self.pager.with_files(|files| {
            let main = &*files.main;
            wipe(main, &wiped)?;
            let mut batch = Batch::default();
            for page in &logged {
                batch.add(main, self.pager.logged(files, page)?)?;
            }
            batch.write(main)?;
            if let Some(blocks) = block_count {
                set_block_count(main, blocks)?;
            }
            if cfg!(planted = "skip_file_sync") { Ok(()) } else { self.sync_main(main) }
        })?;
        self.pager.directory.checkpointed(target);
        self.tail().freed.retain(|freed| freed.version > target);
        self.counts.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.counts.pages_copied.fetch_add(logged.len() as u64, Ordering::Relaxed);
        Ok(CheckpointReport {
            pages_copied: logged.len() as u64,
            log_restarted: false,
            upto: target,
        })
    }
}

/// The freed blocks that no image takes, as ascending block ranges.
fn uncovered(
    freed: &[FreedBlocks],
    images: impl Iterator<Item = (PageNo, u16)>,
) -> Vec<(u32, u32)> {
    let mut blocks: BTreeSet<u32> = freed.iter().flat_map(FreedBlocks::blocks).collect();
    if blocks.is_empty() {
        return Vec::new();
    }
    for (page_no, count) in images {
        for block in page_no.0..page_no.0.saturating_add(count.into()) {
            blocks.remove(&block);
        }
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for block in blocks {
        match ranges.last_mut() {
            Some((_, end)) if *end == block => *end += 1,
            _ => ranges.push((block, block + 1)),
        }
    }
    ranges
}

fn wipe(main: &dyn VfsFile, ranges: &[(u32, u32)]) -> Result<()> {
    let len = main.len().map_err(Error::io("read the length of the database file"))?;
    for &(from, until) in ranges {
        let from = u64::from(from) * BLOCK_BYTES as u64;
        let until = (u64::from(until) * BLOCK_BYTES as u64).min(len);
        if from < until {
            main.punch(from, until - from).map_err(Error::io("wipe freed pages"))?;
        }
    }
    Ok(())
}

/// The length is set even where it is right already: an earlier process may have set it and died
/// before a sync.
fn set_block_count(main: &dyn VfsFile, blocks: u32) -> Result<()> {
    let len = u64::from(blocks) * BLOCK_BYTES as u64;
    main.set_len(len).map_err(Error::io("set the length of the database file"))
}

/// Neighbouring pages on their way to the file.
#[derive(Default)]
struct Batch {
    start: u64,
    len: usize,
    pages: Vec<Page>,
}

impl Batch {
    fn add(&mut self, main: &dyn VfsFile, page: Page) -> Result<()> {
        let at = u64::from(page.page_no().0) * BLOCK_BYTES as u64;
        if self.len >= WRITE_BYTES || at != self.start + self.len as u64 {
            self.write(main)?;
            self.start = at;
        }
        self.len += page.bytes().len();
        self.pages.push(page);
        Ok(())
    }

    fn write(&mut self, main: &dyn VfsFile) -> Result<()> {
        let parts: Vec<&[u8]> = self.pages.iter().map(Page::bytes).collect();
        write_all_vectored(main, &parts, self.start)
            .map_err(Error::io("copy pages to the file"))?;
        self.pages.clear();
        self.len = 0;
        Ok(())
    }
}

/// The bitmap pages of a file of `block_count` blocks.
pub(crate) fn bitmap_pages(block_count: u32) -> impl Iterator<Item = PageNo> {
    (0..bitmap::group_count(block_count)).filter_map(bitmap::bitmap_page)
}

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
use crate::ids::TREE_ZERO;
use crate::log::FIRST_RECORD;
use crate::options::{AutoCheckpoint, Sync};
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageNo};
use crate::state::descriptor_key;
use crate::tree;
use crate::vfs::{VfsFile, write_all_vectored};
use crate::write_set::WriteSet;
use std::ops::Range;
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
        self.expect_same_process()?;
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
        let second = match self.writer.with(Some(wait), || self.restart_log(Ending::Continue)) {
            Err(Error::Busy) => return Ok(first),
            restarted => restarted?,
        };
        Ok(CheckpointReport { pages_copied: first.pages_copied + second.pages_copied, ..second })
    }

    /// Copies everything and starts the log anew. The caller holds the checkpoint's and the
    /// writer's locks.
    pub(crate) fn restart_log(&self, ending: Ending) -> Result<CheckpointReport> {
        if ending == Ending::Continue {
            // Under a long reader the log cannot be restarted, and a commit that only prepares that
            // would make it longer.
            let newest = self.tail().newest.commit();
            let oldest = self.wait_for_readers(newest);
            if oldest < newest {
                return Ok(CheckpointReport { upto: oldest, ..CheckpointReport::default() });
            }
        }
        self.fold_descriptors(ending)?;
        let newest = self.tail().newest.clone();
        let target = newest.commit();
        let oldest = if ending == Ending::Close { target } else { self.wait_for_readers(target) };
        if oldest < target {
            return self.copy_upto(oldest, None);
        }
        let mut report = self.copy_upto(target, Some(newest.counters.block_count))?;
        self.expect_files_in_place()?;
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
        self.expect_files_in_place()?;
        let freed = {
            let mut tail = self.tail();
            self.expect_unfailed()?;
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

/// The freed blocks that no image takes, as ascending ranges. The images ascend too.
fn uncovered(
    freed: &[FreedBlocks],
    images: impl Iterator<Item = (PageNo, u16)>,
) -> Vec<Range<u32>> {
    let mut images =
        images.map(|(page_no, count)| page_no.0..page_no.0.saturating_add(count.into()));
    let mut image = images.next();
    let mut bare = Vec::new();
    for range in FreedBlocks::ranges(freed.iter()) {
        let mut from = range.start;
        while let Some(covered) = image.clone().filter(|image| image.start < range.end) {
            if from < covered.start {
                bare.push(from..covered.start);
            }
            from = from.max(covered.end);
            if covered.end > range.end {
                break;
            }
            image = images.next();
        }
        if from < range.end {
            bare.push(from..range.end);
        }
    }
    bare
}

fn wipe(main: &dyn VfsFile, ranges: &[Range<u32>]) -> Result<()> {
    let len = main.len().map_err(Error::io("read the length of the database file"))?;
    for range in ranges {
        let from = u64::from(range.start) * BLOCK_BYTES as u64;
        let until = (u64::from(range.end) * BLOCK_BYTES as u64).min(len);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_wiped_is_what_was_freed_and_is_no_image() {
        let mut state = 3u64;
        let mut draw = move |n: u32| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32 % n
        };
        for _ in 0..2000 {
            let freed: Vec<FreedBlocks> = (0..draw(8))
                .map(|_| FreedBlocks {
                    version: CommitNo(1),
                    page_no: PageNo(draw(60)),
                    block_count: draw(9) as u16 + 1,
                })
                .collect();
            let mut images: Vec<(PageNo, u16)> = Vec::new();
            let mut at = 0;
            for _ in 0..draw(8) {
                let (from, count) = (at + draw(10), draw(9) + 1);
                images.push((PageNo(from), count as u16));
                at = from + count;
            }
            let mut want = BTreeSet::new();
            for freed in &freed {
                want.extend(freed.page_no.0..freed.page_no.0 + u32::from(freed.block_count));
            }
            for (page_no, count) in &images {
                want.retain(|b| !(page_no.0..page_no.0 + u32::from(*count)).contains(b));
            }
            let got = uncovered(&freed, images.iter().copied());
            assert!(got.is_sorted_by(|a, b| a.end <= b.start), "{got:?}");
            let got: BTreeSet<u32> = got.into_iter().flatten().collect();
            assert_eq!(got, want, "{freed:?} without {images:?}");
        }
    }
}

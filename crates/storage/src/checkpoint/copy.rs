//! Copying logged pages to their places in the file, and wiping what was freed.

use crate::engine::{Engine, FreedBlocks};
use crate::error::{Error, Result};
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageNo};
use crate::planted::is_planted;
use crate::sync::atomic::Ordering;
use crate::vfs::{VfsFile, write_all_vectored};
use std::ops::Range;
use std::time::Duration;

/// Neighbouring pages are written together up to this.
const WRITE_BYTES: usize = 1 << 20;

/// How long the file is to be afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) enum FileBlocks {
    /// So many blocks, or what it is if that is more.
    AtLeast(u32),
    /// So many blocks.
    Exactly(u32),
}

impl Engine {
    /// Copies the pages as of `target` into the file, which no snapshot older than that reads any
    /// more, and syncs it. The log is synced beyond the records of `target`. Returns the number of
    /// pages.
    pub(super) fn copy_upto(&self, target: CommitNo, blocks: FileBlocks) -> Result<u64> {
        self.expect_unfailed()?;
        self.expect_files_in_place()?;
        let freed: Vec<FreedBlocks> =
            self.tail().freed.iter().filter(|freed| freed.version <= target).copied().collect();
        let logged = self.pager.directory.logged_upto(target);
        let images = logged.iter().map(|page| (page.page_no, page.block_count));
        let wiped = uncovered(&freed, images);
        self.pager.with_files(|files| {
            let main = &*files.main;
            wipe(main, &wiped)?;
            let mut batch = Batch::default();
            let mut pace = Pace::new(self, blocks);
            for page in &logged {
                let page = self.pager.logged(files, page)?;
                let bytes = page.bytes().len();
                batch.add(main, page)?;
                pace.copied(main, bytes)?;
            }
            batch.write(main)?;
            set_block_count(main, blocks)?;
            if is_planted("skip_file_sync") { Ok(()) } else { self.sync_main(main) }
        })?;
        self.pager.directory.checkpointed(target);
        self.tail().freed.retain(|freed| freed.version > target);
        let pages = logged.len() as u64;
        self.counts.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.counts.pages_copied.fetch_add(pages, Ordering::Relaxed);
        Ok(pages)
    }
}

/// Leaves the processors and the device to those who commit for as long as it takes them itself.
/// Pages go to the device bit by bit, so that the last sync is short.
struct Pace<'e> {
    engine: &'e Engine,
    /// While writers are kept out, the work had better be done soon.
    is_hurried: bool,
    bytes: usize,
    steps: u64,
    began: Duration,
}

impl<'e> Pace<'e> {
    fn new(engine: &'e Engine, blocks: FileBlocks) -> Self {
        let is_hurried = matches!(blocks, FileBlocks::Exactly(_));
        Self { engine, is_hurried, bytes: 0, steps: 0, began: engine.vfs.monotonic() }
    }

    fn copied(&mut self, main: &dyn VfsFile, bytes: usize) -> Result<()> {
        const STEPS_A_SYNC: u64 = 4;
        const LONGEST_PAUSE: Duration = Duration::from_millis(10);
        self.bytes += bytes;
        if self.is_hurried || self.bytes < WRITE_BYTES {
            return Ok(());
        }
        self.bytes = 0;
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_A_SYNC) {
            self.engine.sync_main(main)?;
        }
        let vfs = &self.engine.vfs;
        let took = vfs.monotonic().saturating_sub(self.began);
        // A close waits for this checkpoint, and nobody commits any more.
        if !self.engine.signal.is_stopped() {
            vfs.pause(took.min(LONGEST_PAUSE));
        }
        self.began = vfs.monotonic();
        Ok(())
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
fn set_block_count(main: &dyn VfsFile, blocks: FileBlocks) -> Result<()> {
    let bytes = |blocks: u32| u64::from(blocks) * BLOCK_BYTES as u64;
    let len = match blocks {
        FileBlocks::Exactly(blocks) => bytes(blocks),
        FileBlocks::AtLeast(blocks) => {
            let len = main.len().map_err(Error::io("read the length of the database file"))?;
            len.max(bytes(blocks))
        }
    };
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

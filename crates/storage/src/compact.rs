//! Compaction: every tree built anew, in key order, in a new file.
//!
//! The new file grows block by block. A page is written once, as soon as it is complete; only the
//! root of the tree under construction waits until the end. So memory holds a megabyte of pages,
//! and the blocks of a tree follow each other in the order of its keys.

use crate::backup::{BackupOptions, BackupReport, Identity};
use crate::bitmap::{self, GROUP_BLOCKS, SPACE};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::header::{self, HEADER_BLOCKS};
use crate::ids::{Counters, TREE_ZERO};
use crate::page::{
    BLOCK_BYTES, CommitNo, Page, PageKind, PageNo, ReadPages, TreeId, WritePages, expect_page,
};
use crate::pager::{Files, Pager};
use crate::progress::Task;
use crate::state::descriptor_key;
use crate::tree::{self, BulkLoad, INDEX_PAGE_BLOCKS, TreeCursor, TreeDescriptor};
use crate::txn::ReadTx;
use crate::vfs::{VfsFile, write_all, write_all_vectored};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Complete pages are written together, about this many bytes at once.
const WRITE_BYTES: usize = 1 << 20;

/// Writes the newest state of a store into an empty file.
pub(crate) fn write(
    engine: &Arc<Shared>,
    file: &Arc<dyn VfsFile>,
    options: &BackupOptions,
) -> Result<BackupReport> {
    let snapshot = ReadTx::new(Arc::clone(engine), engine.snapshot()?);
    let counters = snapshot.state().counters;
    let trees = snapshot.state().descriptors(&snapshot)?;
    let total_blocks = trees.iter().map(|tree| tree.block_count).fold(0, u64::saturating_add);
    let task = options.task(total_blocks);
    let identity = Identity::new(&*engine.vfs)?;
    let mut pages = FilePages::new(file, &identity, counters.commit);
    let mut descriptors = Vec::with_capacity(trees.len());
    for tree in &trees {
        descriptors.push(copy_tree(&snapshot, tree, &mut pages, &task)?);
    }
    let tree_zero = write_descriptors(&mut pages, &descriptors)?;
    let (block_count, free_blocks) = pages.finish()?;
    let header = identity.header(Counters { block_count, free_blocks, ..counters }, tree_zero);
    let blocks = header::encode_blocks(&header)?;
    write_all(&**file, &blocks, 0).map_err(Error::io("write the header"))?;
    task.finish();
    let file_bytes = u64::from(block_count) * BLOCK_BYTES as u64;
    Ok(BackupReport { commit: counters.commit, file_bytes })
}

fn copy_tree(
    snapshot: &ReadTx,
    tree: &TreeDescriptor,
    pages: &mut FilePages,
    task: &Task<'_>,
) -> Result<TreeDescriptor> {
    let mut load = pages.begin_tree(tree.id, tree.page_blocks)?;
    let mut cursor = TreeCursor::new(*tree);
    let mut on_entry = cursor.first(snapshot)?;
    let (mut entries, mut blocks) = (0u64, 0u64);
    while on_entry {
        let value = cursor.value(snapshot)?.ok_or(Error::Internal("a cursor without an entry"))?;
        load.push(pages, cursor.key(), &value).map_err(|error| damaged_order(tree, error))?;
        entries += 1;
        // The counts are those of the descriptor, true or not: they only measure progress.
        let done = u128::from(tree.block_count) * u128::from(entries);
        let done = done.checked_div(tree.entry_count.into()).unwrap_or(0);
        let done = u64::try_from(done).unwrap_or(u64::MAX).min(tree.block_count);
        task.advance(done.saturating_sub(blocks))?;
        blocks = done;
        on_entry = cursor.next(snapshot)?;
    }
    load.finish(pages)
}

/// Keys that do not ascend are damage here and no mistake of a caller's.
fn damaged_order(tree: &TreeDescriptor, error: Error) -> Error {
    match error {
        Error::InvalidLoad(_) => Error::corrupt(tree.root, "is the root of a tree without order"),
        other => other,
    }
}

/// The descriptor tree, which is the last one since it holds what the others became.
fn write_descriptors(
    pages: &mut FilePages,
    descriptors: &[TreeDescriptor],
) -> Result<TreeDescriptor> {
    let mut load = pages.begin_tree(TREE_ZERO, INDEX_PAGE_BLOCKS)?;
    for descriptor in descriptors {
        load.push(pages, &descriptor_key(descriptor.id), &descriptor.encode())?;
    }
    load.finish(pages)
}

/// The pages of a file that grows.
struct FilePages {
    file: Arc<dyn VfsFile>,
    /// Seals pages, and reads back those that were written.
    pager: Pager,
    commit: CommitNo,
    next: u32,
    free_blocks: u32,
    /// The bitmap of the group that grows.
    bitmap: Option<Page>,
    /// Not written yet.
    pending: BTreeMap<PageNo, Page>,
    pending_bytes: usize,
    /// The root of the tree under construction, which is completed last.
    root: PageNo,
}

impl FilePages {
    fn new(file: &Arc<dyn VfsFile>, identity: &Identity, commit: CommitNo) -> Self {
        let files = Files { main: Arc::clone(file), log: None };
        Self {
            file: Arc::clone(file),
            pager: Pager::new(Box::new(identity.codec()), 0, files),
            commit,
            next: HEADER_BLOCKS,
            free_blocks: 0,
            bitmap: None,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            root: PageNo(0),
        }
    }

    fn begin_tree(&mut self, id: TreeId, page_blocks: u8) -> Result<BulkLoad> {
        let tree = tree::create(self, id, page_blocks, PageNo(0))?;
        self.root = tree.root;
        BulkLoad::new(self, tree)
    }

    /// Takes the next blocks; a group that has too few left ends with free ones.
    fn take(&mut self, blocks: u16) -> Result<PageNo> {
        const FULL: Error = Error::LimitExceeded("block numbers: the database is full");
        let wanted = u32::from(blocks);
        if wanted >= GROUP_BLOCKS {
            return Err(Error::LimitExceeded("a page larger than a group of blocks"));
        }
        let index = bitmap::index_in_group(PageNo(self.next));
        if index != 0 && index + wanted > GROUP_BLOCKS {
            let rest = GROUP_BLOCKS - index;
            self.free_blocks = self.free_blocks.saturating_add(rest);
            self.next = self.next.checked_add(rest).ok_or(FULL)?;
        }
        if bitmap::index_in_group(PageNo(self.next)) == 0 {
            self.begin_group()?;
        }
        let page_no = PageNo(self.next);
        self.next = self.next.checked_add(wanted).ok_or(FULL)?;
        let bits = self.bitmap.as_mut().ok_or(Error::Internal("a group without a bitmap"))?;
        bitmap::mark(bits.make_mut(), bitmap::index_in_group(page_no), wanted, true);
        Ok(page_no)
    }

    fn begin_group(&mut self) -> Result<()> {
        self.end_group()?;
        let mut page = Page::new(PageKind::Bitmap, SPACE, PageNo(self.next), 1);
        bitmap::mark(page.make_mut(), 0, 1, true);
        self.bitmap = Some(page);
        self.next += 1;
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        match self.bitmap.take() {
            Some(page) => self.write(&mut [page]),
            None => Ok(()),
        }
    }

    /// Writes everything but the root of the tree under construction.
    fn flush(&mut self) -> Result<()> {
        let root = self.pending.remove(&self.root);
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let mut run: Vec<Page> = Vec::new();
        for page in pending.into_values() {
            if run.last().is_some_and(|last| !follows(last, &page)) {
                self.write(&mut run)?;
                run.clear();
            }
            run.push(page);
        }
        self.write(&mut run)?;
        self.pending.extend(root.map(|page| (page.page_no(), page)));
        Ok(())
    }

    /// Writes pages that follow each other.
    fn write(&self, pages: &mut [Page]) -> Result<()> {
        let Some(first) = pages.first().map(Page::page_no) else { return Ok(()) };
        for page in pages.iter_mut() {
            page.set_version(self.commit);
            self.pager.codec.seal(page.make_mut());
        }
        let parts: Vec<&[u8]> = pages.iter().map(Page::bytes).collect();
        let at = u64::from(first.0) * BLOCK_BYTES as u64;
        write_all_vectored(&*self.file, &parts, at).map_err(Error::io("write the new file"))
    }

    /// Writes what is left; returns how many blocks there are and how many of them are free.
    fn finish(mut self) -> Result<(u32, u32)> {
        self.root = PageNo(0);
        self.flush()?;
        self.end_group()?;
        Ok((self.next, self.free_blocks))
    }
}

fn follows(page: &Page, next: &Page) -> bool {
    page.page_no().0.saturating_add(page.block_count().into()) == next.page_no().0
}

impl ReadPages for FilePages {
    fn page(&self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<Page> {
        match self.pending.get(&page_no) {
            Some(page) => {
                expect_page(page, page_no, tree, blocks)?;
                Ok(page.clone())
            }
            None => self.pager.read(page_no, tree, blocks, self.commit),
        }
    }
}

impl WritePages for FilePages {
    fn page_mut(&mut self, page_no: PageNo, tree: TreeId, blocks: u16) -> Result<&mut [u8]> {
        let page = self.pending.get_mut(&page_no);
        let page = page.ok_or(Error::Internal("a complete page of a new file is changed"))?;
        expect_page(page, page_no, tree, blocks)?;
        Ok(page.make_mut())
    }

    fn allocate(
        &mut self,
        kind: PageKind,
        tree: TreeId,
        blocks: u16,
        _near: PageNo,
    ) -> Result<PageNo> {
        // What was allocated before is complete by now.
        if self.pending_bytes >= WRITE_BYTES {
            self.flush()?;
        }
        let page_no = self.take(blocks)?;
        let page = Page::new(kind, tree, page_no, blocks);
        self.pending_bytes += page.bytes().len();
        self.pending.insert(page_no, page);
        Ok(page_no)
    }

    fn free(&mut self, _: PageNo, _: TreeId, _: u16) -> Result<()> {
        Err(Error::Internal("a page of a new file is freed"))
    }
}

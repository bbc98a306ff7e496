//! Write sets over files in memory, with a log that takes spilled pages and can be told to fail.

use super::*;
use crate::bitmap;
use crate::codec::{Checksum, Codec};
use crate::directory::LoggedPage;
use crate::header::HEADER_BLOCKS;
use crate::page::{BLOCK_BYTES, TAIL_BYTES};
use crate::pager::Files;
use crate::tree;
use crate::vfs::{MemVfs, OpenMode, Vfs, VfsFile, write_all};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

mod choice;
mod model;

/// Trees of the base state, by the blocks of their pages.
const PAGE_BLOCKS: [u8; 3] = [1, 2, 4];

/// A log of spilled pages alone.
#[derive(Debug)]
struct TestLog {
    file: Arc<dyn VfsFile>,
    codec: Checksum,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    end: u64,
    /// The page numbers and bytes of each call.
    calls: Vec<Vec<(PageNo, u64)>>,
    /// So many calls succeed, the next one fails.
    calls_left: u64,
}

impl SpillLog for TestLog {
    fn spill(&self, commit: CommitNo, pages: &[Page]) -> Result<Vec<u64>> {
        let mut taken = self.taken.lock().unwrap();
        match taken.calls_left.checked_sub(1) {
            Some(left) => taken.calls_left = left,
            None => {
                taken.calls_left = u64::MAX;
                return Err(Error::NoSpace { what: "spill" });
            }
        }
        let mut positions = Vec::new();
        for page in pages {
            assert_eq!(page.version(), commit);
            assert!(self.codec.open(page.bytes()), "not sealed");
            write_all(&*self.file, page.bytes(), taken.end).unwrap();
            positions.push(taken.end);
            // Images need not stand on block boundaries.
            taken.end += page.bytes().len() as u64 + 8;
        }
        taken.calls.push(pages.iter().map(|p| (p.page_no(), p.bytes().len() as u64)).collect());
        Ok(positions)
    }
}

impl TestLog {
    fn call_count(&self) -> usize {
        self.taken.lock().unwrap().calls.len()
    }

    fn calls(&self) -> Vec<Vec<(PageNo, u64)>> {
        self.taken.lock().unwrap().calls.clone()
    }

    fn fail_after(&self, calls: u64) {
        self.taken.lock().unwrap().calls_left = calls;
    }
}

/// A database in memory whose commit 1 has a tree with some entries for each page size.
struct Rig {
    pager: Arc<Pager>,
    base: CountedArc<CommitState>,
    trees: Vec<TreeDescriptor>,
    log: Arc<TestLog>,
}

impl Rig {
    fn new() -> Self {
        Self::with_entries(200)
    }

    fn with_entries(entry_count: u32) -> Self {
        let vfs = MemVfs::new();
        let open = |name| vfs.open(Path::new(name), OpenMode::Create).unwrap();
        let (main, log_file) = (open("main"), open("log"));
        let files = Files { main: Arc::clone(&main), log: Some(Arc::clone(&log_file)) };
        let pager = Arc::new(Pager::new(Box::new(Checksum::new([3; 16])), 1 << 20, files));
        let counters = Counters {
            commit: CommitNo(0),
            block_count: HEADER_BLOCKS,
            free_blocks: 0,
            next_tree: 9,
            catalog_version: 0,
        };
        let mut set = new_set(&pager, &state(counters));
        let mut trees = Vec::new();
        for (i, page_blocks) in PAGE_BLOCKS.into_iter().enumerate() {
            let id = TreeId(i as u32 + 1);
            let mut tree = tree::create(&mut set, id, page_blocks, PageNo(0)).unwrap();
            for key in 0..entry_count {
                tree::put(&mut set, &mut tree, &(key * 7).to_be_bytes(), &[7; 90]).unwrap();
            }
            trees.push(tree);
        }
        let counters = Counters { commit: CommitNo(1), ..set.counters };
        for (page_no, mut page) in resident_pages(set) {
            page.set_version(CommitNo(1));
            pager.codec.seal(page.make_mut());
            write_all(&*main, page.bytes(), u64::from(page_no.0) * BLOCK_BYTES as u64).unwrap();
        }
        let taken = Taken { end: 4104, calls: Vec::new(), calls_left: u64::MAX };
        let (codec, taken) = (Checksum::new([3; 16]), Mutex::new(taken));
        let log = Arc::new(TestLog { file: log_file, codec, taken });
        Self { pager, base: state(counters), trees, log }
    }

    fn unlimited(&self) -> WriteSet {
        new_set(&self.pager, &self.base)
    }

    fn spilling(&self, budget_bytes: u64) -> WriteSet {
        let log: Arc<dyn SpillLog> = Arc::clone(&self.log) as _;
        self.unlimited().with_spill(log, budget_bytes)
    }

    /// The pages of a set as they would be logged, without version and check.
    fn images(&self, set: WriteSet) -> Vec<(PageNo, CommitNo, Vec<u8>)> {
        let version = CommitNo(self.base.commit().0 + 1);
        let image = |page_no, content| match content {
            Content::Resident(page) => page,
            Content::Spilled { position, block_count } => {
                let logged = LoggedPage { page_no, block_count, version, position };
                self.pager.with_files(|files| self.pager.logged(files, &logged)).unwrap()
            }
        };
        let pages = set.into_pages().0.into_iter();
        pages
            .map(|(page_no, dirty)| {
                let mut page: Page = image(page_no, dirty.content);
                page.set_version(CommitNo(0));
                let body = page.bytes().len() - TAIL_BYTES;
                (page_no, dirty.replaces, page.bytes()[..body].to_vec())
            })
            .collect()
    }
}

fn new_set(pager: &Arc<Pager>, base: &CountedArc<CommitState>) -> WriteSet {
    WriteSet::new(Arc::clone(pager), CountedArc::clone(base), AllocationHint::default())
}

fn state(counters: Counters) -> CountedArc<CommitState> {
    let tree_zero = TreeDescriptor {
        id: TreeId(0),
        root: PageNo(0),
        page_blocks: 1,
        entry_count: 0,
        key_bytes: 0,
        value_bytes: 0,
        block_count: 0,
        page_count: 0,
    };
    CountedArc::new(CommitState::new(counters, tree_zero, BTreeMap::new()))
}

fn resident_pages(set: WriteSet) -> Vec<(PageNo, Page)> {
    let page = |(page_no, dirty): (PageNo, Dirty)| match dirty.content {
        Content::Resident(page) => (page_no, page),
        Content::Spilled { .. } => panic!("page {page_no} was spilled"),
    };
    set.into_pages().0.into_iter().map(page).collect()
}

/// Bytes of pages that the set keeps in memory.
fn held_bytes(set: &WriteSet) -> u64 {
    let changed = set.pages.resident_bytes() + set.savepoints.resident_bytes();
    changed + set.spill.as_deref().map_or(0, spill::clean_bytes)
}

/// Checks every tree, and that the blocks in use are those of the trees and the bitmaps.
fn assert_sound(set: &WriteSet, trees: &[TreeDescriptor]) {
    let mut in_use = BTreeSet::new();
    for tree in trees {
        let mut visit = |page_no: PageNo, blocks: u16| {
            for block in page_no.0..page_no.0 + u32::from(blocks) {
                assert!(in_use.insert(block), "block {block} is in use twice");
            }
            Ok(None)
        };
        let mut findings = |page_no: PageNo, what: &'static str| panic!("page {page_no} {what}");
        tree::check(set, tree, &mut visit, &mut findings).unwrap();
    }
    let mut marked = BTreeSet::new();
    for group in 0..bitmap::group_count(set.counters.block_count) {
        let first = bitmap::bitmap_page(group).unwrap();
        in_use.insert(first.0);
        let page = set.page(first, bitmap::SPACE, 1).unwrap();
        let until = set.counters.block_count - first.0;
        let bits = bitmap::Bits(page.bytes());
        marked.extend((0..until).filter(|i| bits.is_used(*i)).map(|i| first.0 + i));
    }
    assert!(in_use == marked, "a leak, or blocks in use that are marked as free");
    let free = set.counters.block_count - HEADER_BLOCKS - marked.len() as u32;
    assert_eq!(set.counters.free_blocks, free);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

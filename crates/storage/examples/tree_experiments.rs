//! The two experiments on trees that settle page sizes and node layout; see
//! `docs/decisions/0002-page-size-and-node-layout.md`.
//!
//! `cargo run --release -p any-store-storage --example tree_experiments [pages|heads]`
//!
//! Trees over pages in memory, without log, cache or checks: what is measured is the tree alone.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "the engine's modules, used in part"
)]

// Trees are private to the crate, so their sources are compiled into this program once more.
#[path = "../src"]
mod engine {
    pub mod error;
    pub mod ids;
    pub mod page;
    pub mod tree;
}
pub use engine::{error, ids, page};

use engine::tree::{self, TreeCursor, TreeDescriptor};
use error::Result;
use page::{Page, PageKind, PageNo, ReadPages, TreeId, WritePages};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let which = std::env::args().nth(1).unwrap_or_default();
    if which != "heads" {
        page_sizes();
    }
    if which != "pages" {
        key_shapes();
    }
}

/// Pages by number. Free numbers are reused, lowest last.
#[derive(Default)]
struct MemPages {
    pages: Vec<Option<Page>>,
    free: Vec<(u32, u16)>,
    /// Blocks of pages changed since the last commit; of what a commit would log.
    dirty: Vec<(PageNo, u16)>,
    counts_dirty: bool,
}

impl ReadPages for MemPages {
    #[inline]
    fn page(&self, page_no: PageNo, _: TreeId, _: u16) -> Result<Page> {
        let page = self.pages.get(page_no.0 as usize).and_then(Option::as_ref);
        page.cloned().ok_or(error::Error::Internal("no such page"))
    }
}

impl WritePages for MemPages {
    #[inline]
    fn page_mut(&mut self, page_no: PageNo, _: TreeId, blocks: u16) -> Result<&mut [u8]> {
        if self.counts_dirty && !self.dirty.contains(&(page_no, blocks)) {
            self.dirty.push((page_no, blocks));
        }
        let page = self.pages.get_mut(page_no.0 as usize).and_then(Option::as_mut);
        page.map(Page::make_mut).ok_or(error::Error::Internal("no such page"))
    }

    fn allocate(&mut self, kind: PageKind, tree: TreeId, blocks: u16, _: PageNo) -> Result<PageNo> {
        let reused = self.free.iter().rposition(|(_, free)| *free == blocks);
        let number = match reused {
            Some(at) => self.free.swap_remove(at).0,
            None => self.pages.len() as u32,
        };
        let page_no = PageNo(number);
        self.pages.resize(self.pages.len().max(number as usize + usize::from(blocks)), None);
        self.pages[number as usize] = Some(Page::new(kind, tree, page_no, blocks));
        Ok(page_no)
    }

    fn free(&mut self, page_no: PageNo, _: TreeId, blocks: u16) -> Result<()> {
        self.pages[page_no.0 as usize] = None;
        self.free.push((page_no.0, blocks));
        Ok(())
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 1;
    for i in (1..count).rev() {
        order.swap(i, random(&mut state) as usize % (i + 1));
    }
    order
}

/// Nanoseconds for each of `count` calls, the best of three rounds.
fn time<T>(count: usize, mut round: impl FnMut() -> T) -> (f64, T) {
    let mut best = f64::INFINITY;
    let mut last = None;
    for _ in 0..3 {
        last = None;
        let start = Instant::now();
        let result = round();
        best = best.min(start.elapsed().as_nanos() as f64 / count as f64);
        last = last.or(Some(result));
    }
    (best, last.expect("three rounds were run"))
}

fn build(page_blocks: u8, keys: &[Vec<u8>], value: &[u8]) -> (MemPages, TreeDescriptor) {
    let mut pages = MemPages::default();
    let mut tree = tree::create(&mut pages, TreeId(1), page_blocks, PageNo(0)).expect("memory");
    for key in keys {
        black_box(tree::insert(&mut pages, &mut tree, key, value).expect("memory"));
    }
    (pages, tree)
}

fn get_all(pages: &MemPages, tree: &TreeDescriptor, keys: &[Vec<u8>]) -> usize {
    let value = |key: &Vec<u8>| tree::get(pages, tree, key).expect("memory").expect("inserted");
    keys.iter().map(|key| value(key).len()).sum()
}

fn scan(pages: &MemPages, tree: &TreeDescriptor) -> usize {
    let mut cursor = TreeCursor::new(*tree);
    let mut bytes = 0;
    while cursor.next(pages).expect("memory") {
        bytes += cursor.key().len();
        bytes += match cursor.inline_value() {
            Some(value) => value.len(),
            None => cursor.value(pages).expect("memory").map_or(0, |value| value.len()),
        };
    }
    bytes
}

/// Bytes of the pages that single random inserts change, on average.
fn dirty_bytes(pages: &mut MemPages, tree: &mut TreeDescriptor, value: &[u8]) -> f64 {
    const INSERTS: u64 = 2000;
    pages.counts_dirty = true;
    let mut blocks = 0u64;
    let mut state = 99;
    for _ in 0..INSERTS {
        pages.dirty.clear();
        let key = random(&mut state).to_be_bytes();
        tree::insert(pages, tree, &key, value).expect("memory");
        blocks += pages.dirty.iter().map(|(_, blocks)| u64::from(*blocks)).sum::<u64>();
    }
    (blocks * 4096) as f64 / INSERTS as f64
}

/// Bytes of pages for each byte of keys and values.
fn factor(tree: &TreeDescriptor) -> f64 {
    (tree.block_count * 4096) as f64 / (tree.key_bytes + tree.value_bytes) as f64
}

fn page_sizes() {
    println!(
        "Experiment 1: page size x value size, 8-byte keys, 48 MB of values each, ns per call"
    );
    println!(
        "blocks  value  batch insert  random insert  get  scan  space  space random  dirty KB"
    );
    for value_len in [16, 100, 400, 1500, 3000, 9000] {
        let count = (48_000_000 / value_len).min(400_000);
        let value = vec![7u8; value_len];
        let mut state = 3;
        let ascending: Vec<_> =
            (0..count as u64).map(|i| (i << 20).to_be_bytes().to_vec()).collect();
        let random_keys: Vec<_> =
            (0..count).map(|_| random(&mut state).to_be_bytes().to_vec()).collect();
        let shuffled: Vec<_> = shuffled(count).into_iter().map(|i| ascending[i].clone()).collect();
        for page_blocks in [1, 2, 4] {
            let (batch, (pages, tree)) = time(count, || build(page_blocks, &ascending, &value));
            let (get, _) = time(count, || get_all(&pages, &tree, &shuffled));
            let (scan, _) = time(count, || scan(&pages, &tree));
            let space = factor(&tree);
            drop(pages);
            let (single, (mut pages, mut tree)) =
                time(count, || build(page_blocks, &random_keys, &value));
            let space_random = factor(&tree);
            let dirty = dirty_bytes(&mut pages, &mut tree, &value) / 1024.0;
            println!(
                "{page_blocks:6} {value_len:6} {batch:13.0} {single:14.0} {get:4.0} {scan:5.0} \
                 {space:6.2} {space_random:13.2} {dirty:9.1}"
            );
        }
    }
}

fn key_shapes() {
    println!(
        "Experiment 2: keys of real shapes, value of one byte, 300,000 random keys, ns per call"
    );
    println!("shape            bytes  blocks  random insert  get  bytes/entry");
    const COUNT: usize = 300_000;
    type Shape = fn(u64) -> Vec<u8>;
    let shapes: [(&str, Shape); 5] = [
        ("integer", integer_key),
        ("objectid", object_id_key),
        ("uuid text", uuid_key),
        ("long prefix", long_prefix_key),
        ("random 16", random_key),
    ];
    for (name, shape) in shapes {
        let keys: Vec<_> = shuffled(COUNT).into_iter().map(|i| shape(i as u64)).collect();
        for page_blocks in [1, 2, 4] {
            let (insert, (pages, tree)) = time(COUNT, || build(page_blocks, &keys, b"f"));
            let (get, _) = time(COUNT, || get_all(&pages, &tree, &keys));
            let entry = (tree.block_count * 4096) as f64 / COUNT as f64;
            let len = tree.key_bytes / tree.entry_count;
            println!("{name:15} {len:6} {page_blocks:7} {insert:14.0} {get:4.0} {entry:12.1}");
        }
    }
}

/// A tag, then ordered 64 bits and a residual in groups of seven bits with a continuation bit.
fn integer_key(i: u64) -> Vec<u8> {
    let bits = ((i + 1_000_000) as f64).to_bits() | 1 << 63;
    let mut key = vec![0x30];
    let mut rest = u128::from(bits) << 64;
    loop {
        let group = (rest >> 121) as u8;
        rest <<= 7;
        key.push(group << 1 | u8::from(rest != 0));
        if rest == 0 {
            return key;
        }
    }
}

fn object_id_key(i: u64) -> Vec<u8> {
    let mut key = vec![0x50];
    key.extend_from_slice(&(1_700_000_000 + (i / 50) as u32).to_be_bytes());
    key.extend_from_slice(&[0xa1, 0xb2, 0xc3, 0xd4, 0xe5]);
    key.extend_from_slice(&((i % 0x0100_0000) as u32).to_be_bytes()[1..]);
    key
}

fn uuid_key(i: u64) -> Vec<u8> {
    let mut state = i;
    let (a, b) = (random(&mut state), random(&mut state));
    let text = format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    );
    let mut key = vec![0x38];
    key.extend_from_slice(text.as_bytes());
    key.extend_from_slice(&[0, 0]);
    key
}

fn long_prefix_key(i: u64) -> Vec<u8> {
    let mut state = i;
    let path = format!(
        "https://example.org/api/v1/customers/{:06}/orders/{:08}",
        random(&mut state) % 2000,
        i
    );
    let mut key = vec![0x38];
    key.extend_from_slice(path.as_bytes());
    key.extend_from_slice(&[0, 0]);
    key
}

fn random_key(i: u64) -> Vec<u8> {
    let mut state = i;
    [random(&mut state), random(&mut state)].iter().flat_map(|part| part.to_be_bytes()).collect()
}

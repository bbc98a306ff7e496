//! The two experiments on trees that settle page sizes and node layout; see
//! `docs/decisions/0002-page-size-and-node-layout.md`.
//!
//! `cargo run --release -p any-store-storage --example tree_experiments [pages|heads]`
//!
//! Trees over pages in memory, without log, cache or checks: what is measured is the tree alone.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    reason = "the engine's modules, used in part"
)]

// Trees are private to the crate, so their sources are compiled into this program once more.
#[path = "../src"]
mod engine {
    pub mod error;
    pub mod ids;
    pub mod page;
    pub mod planted;
    pub mod snapshot;
    pub mod tree;
}
pub use engine::{error, ids, page, planted, snapshot};

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

/// Rounds of every measurement. All variants take turns, and the best round of each counts, so that
/// what else the machine does disturbs them alike.
const ROUNDS: usize = 5;

/// Nanoseconds for each of `count` calls; keeps the best round in `best`.
fn time<T>(best: &mut f64, count: usize, round: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = round();
    *best = best.min(start.elapsed().as_nanos() as f64 / count as f64);
    result
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

/// What one page size does with one value size.
#[derive(Clone, Copy)]
struct PageSizeRow {
    batch: f64,
    single: f64,
    get: f64,
    scan: f64,
    space: f64,
    space_random: f64,
    dirty_kib: f64,
}

fn page_sizes() {
    println!(
        "Experiment 1: page size x value size, 8-byte keys; ns for one entry, best of {ROUNDS}"
    );
    println!(
        "blocks  value  batch insert  random insert  get  scan  space  space random  dirty KiB"
    );
    const NOTHING: PageSizeRow = PageSizeRow {
        batch: f64::INFINITY,
        single: f64::INFINITY,
        get: f64::INFINITY,
        scan: f64::INFINITY,
        space: 0.0,
        space_random: 0.0,
        dirty_kib: 0.0,
    };
    for value_len in [16, 100, 400, 1500, 3000, 9000] {
        let mut rows = [NOTHING; 3];
        for _ in 0..ROUNDS {
            for (row, page_blocks) in rows.iter_mut().zip([1, 2, 4]) {
                measure_page_size(row, page_blocks, value_len);
            }
        }
        for (row, page_blocks) in rows.iter().zip([1, 2, 4]) {
            let PageSizeRow { batch, single, get, scan, space, space_random, dirty_kib } = row;
            println!(
                "{page_blocks:6} {value_len:6} {batch:13.0} {single:14.0} {get:4.0} {scan:5.0} \
                 {space:6.2} {space_random:13.2} {dirty_kib:10.1}"
            );
        }
    }
}

fn measure_page_size(row: &mut PageSizeRow, page_blocks: u8, value_len: usize) {
    let count = (24_000_000 / value_len).min(200_000);
    let value = vec![7u8; value_len];
    let mut state = 3;
    let ascending: Vec<_> = (0..count as u64).map(|i| (i << 20).to_be_bytes().to_vec()).collect();
    let random_keys: Vec<_> =
        (0..count).map(|_| random(&mut state).to_be_bytes().to_vec()).collect();
    let in_disorder: Vec<_> = shuffled(count).into_iter().map(|i| ascending[i].clone()).collect();
    let (pages, tree) = time(&mut row.batch, count, || build(page_blocks, &ascending, &value));
    black_box(time(&mut row.get, count, || get_all(&pages, &tree, &in_disorder)));
    black_box(time(&mut row.scan, count, || scan(&pages, &tree)));
    row.space = factor(&tree);
    drop(pages);
    let (mut pages, mut tree) =
        time(&mut row.single, count, || build(page_blocks, &random_keys, &value));
    row.space_random = factor(&tree);
    row.dirty_kib = dirty_bytes(&mut pages, &mut tree, &value) / 1024.0;
}

type Shape = fn(u64) -> Vec<u8>;
const SHAPES: [(&str, Shape); 5] = [
    ("integer", integer_key),
    ("object id", object_id_key),
    ("uuid text", uuid_key),
    ("long prefix", long_prefix_key),
    ("16 random bytes", random_key),
];

fn key_shapes() {
    const COUNT: usize = 200_000;
    println!(
        "Experiment 2a: searching a page of 128 keys; ns for one search, best of {ROUNDS}, and"
    );
    println!("the share of searches that must compare whole keys more than once");
    println!(
        "shape             whole keys  heads  heads behind prefix    ties  ties behind prefix"
    );
    for (name, shape) in SHAPES {
        let mut keys: Vec<_> = (0..COUNT as u64).map(shape).collect();
        keys.sort();
        let pages: Vec<HeadPage> = keys.chunks(128).map(HeadPage::new).collect();
        let mut best = [f64::INFINITY; 3];
        let mut ties = [0.0; 3];
        for _ in 0..ROUNDS {
            for (variant, (best, ties)) in best.iter_mut().zip(&mut ties).enumerate() {
                let order = shuffled(COUNT);
                let compared: usize = time(best, COUNT, || {
                    order.iter().map(|i| pages[i / 128].search(&keys[*i], variant, *i % 128)).sum()
                });
                *ties = compared as f64 / COUNT as f64;
            }
        }
        println!(
            "{name:15} {:12.0} {:6.0} {:20.0} {:6.0}% {:18.0}%",
            best[0],
            best[1],
            best[2],
            ties[1] * 100.0,
            ties[2] * 100.0
        );
    }
    println!("Experiment 2b: trees of {COUNT} such keys with values of one byte");
    println!("shape            key bytes  blocks  random insert  get  bytes/entry");
    for (name, shape) in SHAPES {
        let keys: Vec<_> = shuffled(COUNT).into_iter().map(|i| shape(i as u64)).collect();
        let mut best = [(f64::INFINITY, f64::INFINITY, 0.0); 3];
        let len = keys.iter().map(Vec::len).sum::<usize>() / COUNT;
        for _ in 0..ROUNDS {
            for (best, page_blocks) in best.iter_mut().zip([1, 2, 4]) {
                let (pages, tree) = time(&mut best.0, COUNT, || build(page_blocks, &keys, b"f"));
                black_box(time(&mut best.1, COUNT, || get_all(&pages, &tree, &keys)));
                best.2 = (tree.block_count * 4096) as f64 / COUNT as f64;
            }
        }
        for ((insert, get, entry), blocks) in best.iter().zip([1, 2, 4]) {
            println!("{name:15} {len:10} {blocks:7} {insert:14.0} {get:4.0} {entry:12.1}");
        }
    }
}

/// A page's keys, searched in three ways.
struct HeadPage {
    keys: Vec<u8>,
    ends: Vec<u32>,
    prefix_len: usize,
    heads: [Vec<u32>; 2],
}

impl HeadPage {
    fn new(keys: &[Vec<u8>]) -> Self {
        let (first, last) = (&keys[0], &keys[keys.len() - 1]);
        let prefix_len = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let heads = |skip: usize| keys.iter().map(|key| head_of(&key[skip..])).collect();
        let end = |end: &mut u32, key: &Vec<u8>| {
            *end += key.len() as u32;
            Some(*end)
        };
        Self {
            keys: keys.concat(),
            ends: keys.iter().scan(0, end).collect(),
            prefix_len,
            heads: [heads(0), heads(prefix_len)],
        }
    }

    fn key(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.keys[start..self.ends[i] as usize]
    }

    /// Whether more than one whole key had to be compared. Variant 0 compares whole keys, 1 heads
    /// of whole keys, 2 heads behind the common prefix.
    fn search(&self, key: &[u8], variant: usize, expected: usize) -> usize {
        if variant == 0 {
            let found = search_by(0, self.ends.len(), |i| self.key(i) < key);
            assert_eq!(found, expected);
            return 1;
        }
        let skip = if variant == 1 { 0 } else { self.prefix_len };
        if variant == 2 && !key.starts_with(&self.key(0)[..skip]) {
            return 0;
        }
        let heads = &self.heads[variant - 1];
        let head = head_of(&key[skip..]);
        let low = heads.partition_point(|other| *other < head);
        let ties = heads[low..].partition_point(|other| *other == head);
        let found = search_by(low, low + ties, |i| self.key(i)[skip..] < key[skip..]);
        assert_eq!(found, expected);
        usize::from(ties > 1)
    }
}

fn search_by(mut low: usize, mut high: usize, is_below: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low.midpoint(high);
        if is_below(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

fn head_of(bytes: &[u8]) -> u32 {
    let mut head = [0; 4];
    let len = bytes.len().min(4);
    head[..len].copy_from_slice(&bytes[..len]);
    u32::from_be_bytes(head)
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

//! What a point read costs; see `docs/decisions/0004-page-directory.md`.
//!
//! `cargo run --release -p any-store-storage --example cached_reads`
//!
//! A tree of 100,000 entries of 100 bytes is read at random keys, by one thread and by two: from a
//! cache that holds all of it, with one snapshot for all reads and with one for each; then without a
//! cache, by system calls and through a memory map.
#![allow(clippy::unwrap_used, reason = "a measurement that fails is stopped")]

use any_store_storage::{CheckpointMode, OsVfs, ReadTx, Store, StoreOptions, TreeId, TreeOptions};
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const ENTRY_COUNT: u64 = 100_000;
const READ_COUNT: u64 = 50_000;
/// Without a cache.
const UNCACHED_READ_COUNT: u64 = 2_000;
/// Short and many, so that some meet no other load of the machine; the best one counts.
const ROUND_COUNT: usize = 60;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reads.any");
    let options = StoreOptions { cache_bytes: 64 << 20, ..StoreOptions::default() };
    let store = Store::open(Arc::new(OsVfs), &path, options).unwrap();
    let tree = fill(&store);
    warm(&store, tree);
    measure("one snapshot", &store, READ_COUNT, |store, seed| {
        let txn = store.begin_read().unwrap();
        Box::new(move || read(&txn, tree, seed, READ_COUNT))
    });
    measure("a snapshot for each read", &store, READ_COUNT, |store, seed| {
        let store = store.clone();
        Box::new(move || {
            for step in 0..READ_COUNT {
                read(&store.begin_read().unwrap(), tree, seed + step, 1);
            }
        })
    });
    println!("{:?}", store.stats().unwrap().cache);
    drop(store);
    without_cache(&path, tree, 0, "without a cache");
    without_cache(&path, tree, 1 << 30, "without a cache, mapped");
    println!("file: {} bytes", Path::new(&path).metadata().unwrap().len());
}

fn without_cache(path: &Path, tree: TreeId, mmap_bytes: u64, what: &str) {
    let options = StoreOptions { cache_bytes: 0, mmap_bytes, ..StoreOptions::default() };
    let store = Store::open(Arc::new(OsVfs), path, options).unwrap();
    measure(what, &store, UNCACHED_READ_COUNT, |store, seed| {
        let txn = store.begin_read().unwrap();
        Box::new(move || read(&txn, tree, seed, UNCACHED_READ_COUNT))
    });
}

fn fill(store: &Store) -> TreeId {
    let mut txn = store.begin_write().unwrap();
    let tree = txn.create_tree(TreeOptions::default()).unwrap();
    for key in 0..ENTRY_COUNT {
        txn.insert(tree, &key.to_be_bytes(), &[key as u8; 100]).unwrap();
    }
    txn.commit().unwrap();
    store.checkpoint(CheckpointMode::Restart).unwrap();
    tree
}

fn warm(store: &Store, tree: TreeId) {
    let mut cursor = store.begin_read().unwrap().cursor(tree).unwrap();
    while cursor.next().unwrap() {}
}

fn read(txn: &ReadTx, tree: TreeId, seed: u64, count: u64) {
    for step in 0..count {
        let key = mix(seed.wrapping_mul(READ_COUNT).wrapping_add(step)) % ENTRY_COUNT;
        black_box(txn.get(tree, &key.to_be_bytes()).unwrap());
    }
}

/// The output function of splitmix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

type Work = Box<dyn FnOnce() + Send>;

fn measure(what: &str, store: &Store, read_count: u64, work: impl Fn(&Store, u64) -> Work) {
    let mut best = [f64::MAX; 3];
    for round in 0..ROUND_COUNT {
        for threads in [1usize, 2] {
            let works = (0..threads).map(|t| work(store, (round * 2 + t) as u64)).collect();
            let elapsed = run(works);
            let reads = read_count * threads as u64;
            best[threads] = best[threads].min(elapsed.as_nanos() as f64 / reads as f64);
        }
    }
    let [_, one, two] = best;
    println!(
        "{what}: {one:.0} ns a read with one thread, {:.0} with two at once: {:.2} times the rate",
        two * 2.0,
        one / two
    );
}

fn run(works: Vec<Work>) -> Duration {
    let barrier = Barrier::new(works.len() + 1);
    std::thread::scope(|scope| {
        let handles: Vec<_> = works
            .into_iter()
            .map(|work| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    work();
                })
            })
            .collect();
        let start = Instant::now();
        barrier.wait();
        for handle in handles {
            handle.join().unwrap();
        }
        start.elapsed()
    })
}

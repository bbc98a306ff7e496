//! Bytes of the file for each byte of keys and values, and how full pages become.

use any_store_bench::dataset::Rng;
use any_store_bench::measure::{Arguments, WorkDir, noise, verdict};
use any_store_storage::{
    AutoCheckpoint, BLOCK_BYTES, CheckpointMode, OsVfs, Store, StoreOptions, TreeId, TreeOptions,
};
use serde_json::json;
use std::sync::Arc;

const MOST_SPACE: f64 = 1.35;
const LEAST_ASCENDING_FILL: f64 = 0.90;
const LEAST_RANDOM_FILL: f64 = 0.65;
const BATCH: u64 = 1000;

fn create(dir: &WorkDir, name: &str, page_blocks: Option<u8>) -> (Store, TreeId) {
    let auto_checkpoint = AutoCheckpoint::Background { after_bytes: 64 << 20 };
    let options =
        StoreOptions { cache_bytes: 128 << 20, auto_checkpoint, ..StoreOptions::default() };
    let store = Store::open(Arc::new(OsVfs), &dir.join(name), options).expect("open");
    let mut tx = store.begin_write().expect("begin");
    let tree = tx.create_tree(TreeOptions { page_blocks }).expect("create");
    tx.commit().expect("commit");
    (store, tree)
}

/// Puts values of one length below 8-byte keys.
fn fill(store: &Store, tree: TreeId, keys: impl Iterator<Item = u64>, value: &[u8]) {
    let keys: Vec<u64> = keys.collect();
    for some in keys.chunks(BATCH as usize) {
        let mut tx = store.begin_write().expect("begin");
        for key in some {
            tx.put(tree, &key.to_be_bytes(), value).expect("put");
        }
        tx.commit().expect("commit");
    }
    store.checkpoint(CheckpointMode::Truncate).expect("checkpoint");
}

/// Bytes of the file and of the tree's pages, for each byte of keys and values.
fn ratios(store: &Store, tree: TreeId) -> (f64, f64) {
    let sizes = store.begin_read().expect("begin").tree_stats(tree).expect("stats").expect("it");
    let data = (sizes.key_bytes + sizes.value_bytes) as f64;
    let file = store.stats().expect("stats").file_bytes as f64;
    (file / data, (sizes.block_count * BLOCK_BYTES as u64) as f64 / data)
}

fn values(dir: &WorkDir, total_bytes: u64) {
    println!("value bytes    file/data   (at most {MOST_SPACE})");
    let lengths = (6..=16).flat_map(|power| [1usize << power, (1 << power) * 3 / 2]);
    for len in lengths.filter(|&len| len <= 1 << 16) {
        let (store, tree) = create(dir, &format!("value-{len}.any"), None);
        fill(&store, tree, 0..total_bytes / (len as u64 + 8), &noise(1, len));
        let (file, _) = ratios(&store, tree);
        println!("{len:11} {file:12.3}   {}", verdict(file <= MOST_SPACE));
        println!("{}", json!({"bench": "space", "value_bytes": len, "file_per_data": file}));
        store.close().expect("close");
    }
}

fn fills(dir: &WorkDir) {
    println!("fill: keys and values in the pages of the tree, values of 100 bytes");
    const COUNT: u64 = 300_000;
    for (name, least) in [("ascending", LEAST_ASCENDING_FILL), ("random", LEAST_RANDOM_FILL)] {
        for page_blocks in [1, 4] {
            let (store, tree) =
                create(dir, &format!("{name}-{page_blocks}.any"), Some(page_blocks));
            let is_random = name == "random";
            let keys = (0..COUNT)
                .map(|index| if is_random { Rng::derived(index).next_u64() } else { index });
            fill(&store, tree, keys, &noise(1, 100));
            let fill = 1.0 / ratios(&store, tree).1;
            println!("  {name:10} pages of {page_blocks}: {fill:.3}   {}", verdict(fill > least));
            println!(
                "{}",
                json!({"bench": "fill", "order": name, "page_blocks": page_blocks, "fill": fill})
            );
            store.close().expect("close");
        }
    }
}

/// Inserts at the end, deletes at the front: the file after many rounds against an early one.
fn queue(dir: &WorkDir) {
    const LENGTH: u64 = 20_000;
    const ROUNDS: u64 = 200;
    let (store, tree) = create(dir, "queue.any", None);
    let value = noise(1, 200);
    fill(&store, tree, 0..LENGTH, &value);
    let mut sizes = Vec::new();
    for round in 0..ROUNDS {
        let mut tx = store.begin_write().expect("begin");
        for index in round * BATCH..(round + 1) * BATCH {
            tx.put(tree, &(LENGTH + index).to_be_bytes(), &value).expect("put");
            assert!(tx.remove(tree, &index.to_be_bytes()).expect("remove"), "it was put");
        }
        tx.commit().expect("commit");
        if round % 20 == 19 {
            store.checkpoint(CheckpointMode::Full).expect("checkpoint");
            sizes.push(store.stats().expect("stats").file_bytes);
        }
    }
    let (early, late) = (sizes[0], sizes[sizes.len() - 1]);
    println!("queue of {LENGTH}: {sizes:?}   {}", verdict(late <= early * 21 / 20));
    println!("{}", json!({"bench": "queue", "early_bytes": early, "late_bytes": late}));
}

fn main() {
    let arguments = Arguments::read();
    let dir = arguments.work_dir();
    values(&dir, arguments.number("mib", 48) << 20);
    fills(&dir);
    queue(&dir);
}

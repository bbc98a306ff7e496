//! What an open costs: clean, of a large file against a small one, and after a kill, with a
//! megabyte of log.

use any_store_bench::measure::{Arguments, Order, key, median, noise, quantile, time, verdict};
use any_store_storage::{AutoCheckpoint, OsVfs, Store, StoreOptions, Sync, TreeId, TreeOptions};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MOST_RATIO: f64 = 2.0;
const MOST_RECOVERY_MS: f64 = 5.0;
const MIB: u64 = 1 << 20;

fn open(path: &Path) -> Store {
    let options = StoreOptions { auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() };
    Store::open(Arc::new(OsVfs), path, options).expect("open")
}

/// A closed file of about so many bytes.
fn make(path: &Path, bytes: u64) -> TreeId {
    let store = open(path);
    let value = noise(1, 1000);
    let mut tx = store.begin_write().expect("begin");
    let tree = tx.create_tree(TreeOptions::default()).expect("create");
    for index in 0..bytes / 1032 {
        tx.put(tree, &key(Order::Ascending, index), &value).expect("put");
    }
    tx.commit().expect("commit");
    store.close().expect("close");
    tree
}

/// Milliseconds for an open and the first read.
fn open_ms(path: &Path, tree: TreeId) -> f64 {
    let mut store = None;
    let open = time(|| {
        let opened = open(path);
        let snapshot = opened.begin_read().expect("begin");
        snapshot.get(tree, &key(Order::Ascending, 0)).expect("get").expect("it is there");
        store = Some(opened);
    });
    drop(store);
    open.as_secs_f64() * 1000.0
}

fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// A database and its log.
fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).expect("copy");
    fs::copy(log_path(from), log_path(to)).expect("copy");
}

/// Commits until the log has a megabyte, and copies both files as a kill would leave them.
fn kill(path: &Path, tree: TreeId, killed: &Path) -> u64 {
    let store = open(path);
    let value = noise(2, 1000);
    let mut index = 0;
    while store.stats().expect("stats").log_bytes < MIB {
        let mut tx = store.begin_write().expect("begin");
        tx.set_sync(Sync::Normal);
        tx.put(tree, &key(Order::Ascending, index), &value).expect("put");
        tx.commit().expect("commit");
        index += 1;
    }
    copy(path, killed);
    store.stats().expect("stats").log_bytes
}

fn main() {
    let arguments = Arguments::read();
    let dir = arguments.work_dir();
    let rounds = arguments.number("rounds", 200);
    let (large, small) = (dir.join("large.any"), dir.join("small.any"));
    let large_tree = make(&large, arguments.number("mib", 1024) * MIB);
    let small_tree = make(&small, MIB);
    let (mut of_large, mut of_small) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        of_large.push(open_ms(&large, large_tree));
        of_small.push(open_ms(&small, small_tree));
    }
    let (l, s) = (median(&of_large), median(&of_small));
    println!(
        "clean open and one read: {l:.3} ms of {} MiB, {s:.3} ms of {} KiB: {:.2} times ({})",
        fs::metadata(&large).expect("it").len() / MIB,
        fs::metadata(&small).expect("it").len() / 1024,
        l / s,
        verdict(l / s <= MOST_RATIO)
    );
    println!("{}", json!({"bench": "open", "large_ms": l, "small_ms": s, "ratio": l / s}));

    let (killed, victim) = (dir.join("killed.any"), dir.join("victim.any"));
    let log_bytes = kill(&small, small_tree, &killed);
    // Dropping the store closes it, which ends the recovery: so every round has its own copy.
    let recover = || {
        copy(&killed, &victim);
        open_ms(&victim, small_tree)
    };
    let recoveries: Vec<f64> = (0..rounds).map(|_| recover()).collect();
    let p99 = quantile(&recoveries, 0.99);
    println!(
        "open after a kill, {log_bytes} bytes of log: p50 {:.2} ms, p99 {p99:.2} ms ({})",
        median(&recoveries),
        verdict(p99 < MOST_RECOVERY_MS)
    );
    println!(
        "{}",
        json!({"bench": "recovery", "log_bytes": log_bytes, "p50_ms": median(&recoveries), "p99_ms": p99})
    );
}

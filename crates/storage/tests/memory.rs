//! The cache as a user of the store sees it: within its budget, kept from scans, shared, mapped.

use any_store_storage::vfs::{OpenMode, OsVfs, Vfs};
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, MemVfs, PageBuffer, Store, StoreOptions, TreeId, TreeOptions,
};
use std::path::Path;
use std::sync::Arc;

const TREE: TreeId = TreeId(1);

fn options(cache_bytes: u64) -> StoreOptions {
    StoreOptions { cache_bytes, auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() }
}

fn open(options: StoreOptions) -> Store {
    Store::open(Arc::new(MemVfs::new()), Path::new("db"), options).unwrap()
}

fn fill(store: &Store, entries: u64, value: &[u8]) {
    let mut txn = store.begin_write().unwrap();
    assert_eq!(txn.create_tree(TreeOptions::default()).unwrap(), TREE);
    for key in 0..entries {
        txn.insert(TREE, &key.to_be_bytes(), value).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn a_hot_set_stays_in_memory_through_a_scan() {
    const HOT: u64 = 100;
    let store = open(options(4 << 20));
    fill(&store, 20_000, &[7; 1000]);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    let txn = store.begin_read().unwrap();
    // One key in each of a hundred leaves, two fifths of the cache.
    let read_hot = |turn: u64| {
        let before = store.stats().unwrap().page_read_count;
        txn.get(TREE, &((turn % HOT) * 150).to_be_bytes()).unwrap().unwrap();
        store.stats().unwrap().page_read_count - before
    };
    (0..4 * HOT).for_each(|turn| {
        read_hot(turn);
    });
    let mut scan = txn.cursor(TREE).unwrap();
    let (mut turns, mut misses, mut scanned) = (0, 0, 0);
    while scan.next().unwrap() {
        scanned += 1;
        if scanned % 15 == 0 {
            misses += read_hot(turns);
            turns += 1;
        }
    }
    assert_eq!(scanned, 20_000);
    assert!(misses * 20 <= turns, "{misses} of {turns} reads of the hot set missed");
}

#[test]
fn readers_of_one_snapshot_pass_the_upper_pages_without_look_ups() {
    let store = open(options(64 << 20));
    fill(&store, 100_000, &[7; 100]);
    let txn = store.begin_read().unwrap();
    txn.get(TREE, &1u64.to_be_bytes()).unwrap();
    let before = store.stats().unwrap().cache;
    assert!(before.pinned_bytes > 0);
    for key in 0..1000u64 {
        assert!(txn.clone().get(TREE, &(key * 99).to_be_bytes()).unwrap().is_some());
    }
    let after = store.stats().unwrap().cache;
    let look_ups = after.hit_count + after.miss_count - before.hit_count - before.miss_count;
    assert_eq!(look_ups, 1000, "one for each leaf");
    // What the newest state has pinned is not what an older one reads.
    let mut writer = store.begin_write().unwrap();
    for key in 0..100_000u64 {
        writer.remove(TREE, &key.to_be_bytes()).unwrap();
    }
    writer.commit().unwrap();
    assert!(txn.get(TREE, &5u64.to_be_bytes()).unwrap().is_some());
    assert!(store.begin_read().unwrap().get(TREE, &5u64.to_be_bytes()).unwrap().is_none());
    drop(txn);
    assert!(store.stats().unwrap().cache.resident_bytes <= 64 << 20);
}

#[test]
fn pinned_pages_are_part_of_the_budget() {
    for cache_bytes in [0, 20_000, 200_000, 2_000_000] {
        let store = open(options(cache_bytes));
        let mut txn = store.begin_write().unwrap();
        let tree = txn.create_tree(TreeOptions { page_blocks: Some(1) }).unwrap();
        for key in 0..30_000u64 {
            txn.insert(tree, &key.to_be_bytes(), &[3; 60]).unwrap();
        }
        txn.commit().unwrap();
        let mut snapshots = Vec::new();
        for round in 0..20u64 {
            let mut txn = store.begin_write().unwrap();
            txn.put(tree, &round.to_be_bytes(), b"new").unwrap();
            txn.commit().unwrap();
            let snapshot = store.begin_read().unwrap();
            for key in (0..30_000u64).step_by(301) {
                assert!(snapshot.get(tree, &key.to_be_bytes()).unwrap().is_some());
                let cache = store.stats().unwrap().cache;
                assert!(cache.resident_bytes <= cache_bytes, "{cache:?}");
                assert!(cache.pinned_bytes <= cache_bytes / 8, "{cache:?}");
            }
            snapshots.push(snapshot);
        }
    }
}

#[test]
fn a_scan_of_one_store_leaves_another_its_share_of_the_buffer() {
    let buffer = PageBuffer::with_limit(4 << 20);
    let open = || open(StoreOptions { page_buffer: Some(buffer.clone()), ..options(u64::MAX) });
    let (scanned, hot) = (open(), open());
    fill(&scanned, 20_000, &[7; 1000]);
    fill(&hot, 1000, &[7; 1000]);
    for store in [&scanned, &hot] {
        store.checkpoint(CheckpointMode::Restart).unwrap();
    }
    let read_hot = || {
        let txn = hot.begin_read().unwrap();
        for key in 0..1000u64 {
            assert!(txn.get(TREE, &key.to_be_bytes()).unwrap().is_some());
        }
    };
    let scan = || {
        let mut cursor = scanned.begin_read().unwrap().cursor(TREE).unwrap();
        while cursor.next().unwrap() {}
    };
    scan();
    read_hot();
    let before = hot.stats().unwrap().page_read_count;
    for _ in 0..3 {
        scan();
        read_hot();
        assert!(buffer.used_bytes() <= buffer.limit_bytes());
    }
    assert_eq!(hot.stats().unwrap().page_read_count, before, "all of it is in memory");
}

#[test]
fn damage_under_a_map_is_found_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mapped = || StoreOptions { mmap_bytes: 1 << 30, ..options(0) };
    let store = Store::open(Arc::new(OsVfs), &path, mapped()).unwrap();
    fill(&store, 5000, &[7; 100]);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    let txn = store.begin_read().unwrap();
    assert!(txn.get(TREE, &1u64.to_be_bytes()).unwrap().is_some());
    assert_eq!(store.verify().unwrap().finding_count, 0);
    // What another process does to the file is seen, and never believed.
    let mut bytes = std::fs::read(&path).unwrap();
    for block in bytes.chunks_mut(4096).skip(3) {
        block[100] ^= 1;
    }
    let file = OsVfs.open(&path, OpenMode::Write).unwrap();
    any_store_storage::vfs::write_all(&*file, &bytes, 0).unwrap();
    let error = txn.get(TREE, &1u64.to_be_bytes()).unwrap_err();
    assert!(matches!(error, any_store_storage::Error::Corrupt { .. }), "{error}");
}

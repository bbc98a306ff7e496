//! Files of more than one group of blocks.

mod support;

use any_store_storage::vfs::{MemVfs, Vfs};
use any_store_storage::{BLOCK_BYTES, BackupOptions, CheckpointMode, Store, Sync as CommitSync};
use std::path::Path;
use std::sync::Arc;
use support::*;

const GROUP_BLOCKS: u64 = 32_384;
/// Four of them do not fill a group, and a fifth does not fit its rest.
const LARGE: usize = 7_000 * BLOCK_BYTES;

/// A backup and a compacted copy are sound and hold the same.
fn expect_copies(store: &Store, vfs: &HookedVfs) {
    let options = BackupOptions { overwrite: true, verify: true, ..BackupOptions::default() };
    let path = Path::new("/copy");
    for compact in [false, true] {
        match compact {
            true => store.compact_to(path, &options).unwrap(),
            false => store.backup(path, &options).unwrap(),
        };
        let copy = Store::open(Arc::new(vfs.clone()), path, support::options()).unwrap();
        assert!(contents_of(&copy) == contents_of(store));
        put(&copy, [300], &vec![1; LARGE], CommitSync::Normal);
        expect_sound(&copy);
    }
    vfs.mem.remove(path).unwrap();
}

#[test]
fn runs_that_do_not_fit_a_group_leave_its_rest_free() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..1, b"small", CommitSync::Normal);
    for n in 1..7 {
        put(&store, [n], &vec![n as u8; LARGE], CommitSync::Normal);
    }
    let stats = store.stats().unwrap();
    assert!(stats.block_count > GROUP_BLOCKS + 2, "{} blocks", stats.block_count);
    assert!(stats.free_block_count > 4000, "the rest of the first group is free");
    expect_sound(&store);
    expect_copies(&store, &vfs);

    // What is free before the boundary is found again.
    put(&store, [100], &vec![7; 4000 * BLOCK_BYTES], CommitSync::Normal);
    assert!(store.stats().unwrap().free_block_count < stats.free_block_count);
    assert_eq!(store.stats().unwrap().block_count, stats.block_count);
    assert!(store.checkpoint(CheckpointMode::Restart).unwrap().log_restarted);
    expect_sound(&store);

    let mut txn = store.begin_write().unwrap();
    let savepoint = txn.savepoint().unwrap();
    for n in 10..16 {
        txn.put(TREE, &key(n), &vec![8; LARGE]).unwrap();
    }
    txn.rollback_to(savepoint).unwrap();
    txn.remove(TREE, &key(6)).unwrap();
    txn.remove(TREE, &key(5)).unwrap();
    txn.commit().unwrap();
    let want = contents_of(&store);
    expect_sound(&store);
    store.close().unwrap();

    let store = open(&vfs);
    let blocks = store.stats().unwrap().block_count;
    assert!(blocks < GROUP_BLOCKS, "the second group went with its last page: {blocks} blocks");
    assert!(contents_of(&store) == want);
    expect_sound(&store);
    // The second group comes again.
    put(&store, [200], &vec![9; LARGE], CommitSync::Normal);
    expect_sound(&store);
    expect_copies(&store, &vfs);
    store.close().unwrap();
    let store = open(&vfs);
    assert_eq!(contents_of(&store).len(), want.len() + 1);
    expect_sound(&store);
}

//! A process that forks with a store open: the parent's store is the parent's alone.
#![cfg(unix)]

use any_store_forktest::{close_standard_streams, fork};
use any_store_storage::{
    AutoCheckpoint, BLOCK_BYTES, CheckpointMode, Error, LockHolder, OsVfs, Store, StoreOptions,
    Sync, TreeId, TreeOptions,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const TREE: TreeId = TreeId(1);
const ENTRIES: u64 = 2000;

/// One test at a time: a fork beside another test would copy that one's locks in whatever state.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cache too small for the data, so that reading means reading from the file.
fn options() -> StoreOptions {
    StoreOptions {
        cache_bytes: 8 * BLOCK_BYTES as u64,
        auto_checkpoint: AutoCheckpoint::Off,
        lock_timeout: Some(Duration::ZERO),
        ..StoreOptions::default()
    }
}

fn open(path: &Path) -> Result<Store, Error> {
    Store::open(Arc::new(OsVfs), path, options())
}

fn put(store: &Store, keys: std::ops::Range<u64>) -> Result<(), Error> {
    let mut txn = store.begin_write()?;
    if txn.tree_stats(TREE)?.is_none() {
        assert_eq!(txn.create_tree(TreeOptions::default())?, TREE);
    }
    for key in keys {
        txn.put(TREE, &key.to_be_bytes(), &[7; 300])?;
    }
    txn.set_sync(Sync::Full);
    txn.commit().map(|_| ())
}

fn count(store: &Store) -> Result<u64, Error> {
    let mut cursor = store.begin_read()?.cursor(TREE)?;
    let mut count = 0;
    let mut on_entry = cursor.first()?;
    while on_entry {
        count += 1;
        on_entry = cursor.next()?;
    }
    Ok(count)
}

fn files_of(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

#[track_caller]
fn expect_forked<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    assert!(matches!(outcome, Err(Error::Forked)), "{outcome:?}");
}

#[test]
fn a_child_can_do_nothing_with_the_store_and_dropping_it_changes_nothing() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let store = open(&path).unwrap();
    put(&store, 0..ENTRIES).unwrap();
    store.checkpoint(CheckpointMode::Restart).unwrap();
    put(&store, 0..10).unwrap();
    let mut txn = store.begin_write().unwrap();
    txn.put(TREE, &0u64.to_be_bytes(), b"never committed").unwrap();
    let before = files_of(dir.path());
    let snapshot = store.begin_read().unwrap();
    let mut in_child = Some((store.clone(), txn, snapshot.clone()));
    fork(|| {
        let (store, txn, snapshot) = in_child.take().unwrap();
        expect_forked(count(&store));
        expect_forked(store.begin_write());
        expect_forked(store.begin_write_timeout(Duration::ZERO));
        expect_forked(txn.commit());
        expect_forked(store.checkpoint(CheckpointMode::Restart));
        expect_forked(store.verify());
        expect_forked(store.stats());
        expect_forked(store.close());
        drop((store, snapshot));
    })
    .join();
    assert_eq!(files_of(dir.path()), before, "the child touched the files");

    fork(|| assert!(matches!(open(&path), Err(Error::Locked { .. })), "the lock is gone")).join();
    drop(in_child);
    put(&store, ENTRIES..ENTRIES + 10).unwrap();
    assert_eq!(count(&store).unwrap(), ENTRIES + 10);
    drop(snapshot);
    store.close().unwrap();
    let store = open(&path).unwrap();
    assert_eq!(count(&store).unwrap(), ENTRIES + 10);
    assert_eq!(store.integrity_check().unwrap().findings, []);
}

#[test]
fn a_drop_in_the_child_waits_for_no_thread_of_the_parent() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let background = AutoCheckpoint::Background { after_bytes: 1 };
    let options = StoreOptions { auto_checkpoint: background, ..options() };
    let store = Store::open(Arc::new(OsVfs), &path, options).unwrap();
    put(&store, 0..ENTRIES).unwrap();
    for round in 0..20 {
        // The background thread is anywhere in a checkpoint, with whatever locks it has.
        put(&store, round..round + 1).unwrap();
        let mut in_child = Some(store.clone());
        fork(|| {
            let store = in_child.take().unwrap();
            expect_forked(store.begin_write());
            expect_forked(store.checkpoint(CheckpointMode::Restart));
            expect_forked(store.close());
            drop(store);
        })
        .join();
    }
    store.close().unwrap();
    let store = open(&path).unwrap();
    assert_eq!(count(&store).unwrap(), ENTRIES);
    assert_eq!(store.integrity_check().unwrap().findings, []);
}

#[test]
fn a_child_that_lives_on_does_not_keep_the_file_locked() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let store = open(&path).unwrap();
    put(&store, 0..10).unwrap();
    let (mut gate, opened) = std::io::pipe().unwrap();
    let child = fork(|| {
        // Until the parent writes, the child has the files open, and with them the lock.
        gate.read_exact(&mut [0]).unwrap();
        drop(store.clone());
        let store = open(&path).expect("the parent has closed it");
        assert_eq!(count(&store).unwrap(), 20);
        put(&store, 20..30).unwrap();
        store.close().unwrap();
    });
    store.close().unwrap();
    let store = open(&path).unwrap();
    put(&store, 10..20).unwrap();
    let refused = fork(|| match open(&path) {
        Err(Error::Locked { holder: LockHolder::Process(holder) }) => {
            assert_eq!(Some(holder), std::os::unix::process::parent_id().into());
        }
        Err(Error::Locked { holder: LockHolder::Unknown }) => {}
        other => panic!("{other:?}"),
    });
    refused.join();
    store.close().unwrap();
    (&opened).write_all(&[1]).unwrap();
    child.join();
    assert_eq!(count(&open(&path).unwrap()).unwrap(), 30);
}

#[test]
fn a_child_and_its_child_have_numbers_of_their_own() {
    let _alone = alone();
    assert_eq!(any_store_os::process_id(), std::process::id());
    fork(|| {
        assert_eq!(any_store_os::process_id(), std::process::id());
        fork(|| assert_eq!(any_store_os::process_id(), std::process::id())).join();
    })
    .join();
    assert_eq!(any_store_os::process_id(), std::process::id());
}

#[test]
fn no_file_takes_the_place_of_a_standard_stream() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    fork(|| {
        close_standard_streams();
        let store = open(&path).unwrap();
        put(&store, 0..10).unwrap();
        let lowest = fs::File::open("/dev/null").unwrap();
        assert_eq!(lowest.as_raw_fd(), 0, "the store is on a standard stream");
        drop(store);
    })
    .join();
    assert_eq!(count(&open(&path).unwrap()).unwrap(), 10);
}

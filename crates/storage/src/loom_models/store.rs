//! Whole stores in memory: readers, commits, checkpoints and closes against each other.

use super::{Bound, explore, join, spawn};
use crate::checkpoint::CheckpointMode;
use crate::error::{Error, Result};
use crate::ids::TreeId;
use crate::options::{AutoCheckpoint, StoreOptions, Sync};
use crate::store::Store;
use crate::txn::{ReadTx, TreeOptions};
use crate::vfs::MemVfs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const TREE: TreeId = TreeId(1);
/// Never changes, so that its descriptor has to be looked up in the descriptor tree.
const STILL: TreeId = TreeId(2);
const KEY: &[u8] = b"number of the commit";

/// A file system with a database of two trees, which hold [`KEY`] with 1.
pub(super) fn create() -> MemVfs {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let mut tx = store.begin_write().unwrap();
    assert_eq!(tx.create_tree(TreeOptions::default()).unwrap(), TREE);
    assert_eq!(tx.create_tree(TreeOptions::default()).unwrap(), STILL);
    tx.put(TREE, KEY, &[1]).unwrap();
    tx.put(STILL, KEY, &[1]).unwrap();
    tx.commit().unwrap();
    store.close().unwrap();
    vfs
}

/// Opens it so that every page is read where it is, and nothing happens unasked.
pub(super) fn open(vfs: &MemVfs) -> Store {
    open_with(vfs, options())
}

fn open_with(vfs: &MemVfs, options: StoreOptions) -> Store {
    Store::open(Arc::new(vfs.clone()), Path::new("db"), options).unwrap()
}

fn options() -> StoreOptions {
    StoreOptions {
        create: true,
        cache_bytes: 0,
        auto_checkpoint: AutoCheckpoint::Off,
        auto_flush: false,
        busy_timeout: Duration::from_secs(1),
        ..StoreOptions::default()
    }
}

fn commit(store: &Store, number: u8, sync: Sync) -> Result<()> {
    let mut tx = store.begin_write()?;
    tx.set_sync(sync);
    // Of another length, so that the tree's descriptor changes too.
    tx.put(TREE, KEY, &vec![number; number.into()])?;
    tx.commit().map(drop)
}

fn number_in(tx: &ReadTx, tree: TreeId) -> Result<u8> {
    let value = tx.get(tree, KEY)?.expect("the key is never removed");
    Ok(value[0])
}

fn number(store: &Store) -> Result<u8> {
    number_in(&store.begin_read()?, TREE)
}

/// A snapshot's number, which stays what it is.
fn steady_number(store: &Store) -> Result<u8> {
    let tx = store.begin_read()?;
    let first = number_in(&tx, TREE)?;
    assert_eq!(number_in(&tx, STILL)?, 1);
    assert_eq!(number_in(&tx, TREE)?, first, "a snapshot has changed");
    Ok(first)
}

#[test]
fn a_reader_sees_its_snapshot_while_the_log_is_copied_and_used_again() {
    explore("reuse", Bound { preemptions: 3, least: 15_000 }, || {
        let store = open(&create());
        commit(&store, 2, Sync::Normal).unwrap();
        let reader = store.clone();
        let reader = spawn(move || {
            let first = steady_number(&reader).unwrap();
            assert!((2..=3).contains(&first));
        });
        match store.checkpoint(CheckpointMode::Restart) {
            Ok(_) | Err(Error::Busy) => {}
            Err(error) => panic!("{error}"),
        }
        commit(&store, 3, Sync::Normal).unwrap();
        join(reader);
        assert_eq!(number(&store).unwrap(), 3);
        store.close().unwrap();
    });
}

#[test]
fn a_checkpoint_beside_a_commit_loses_neither() {
    explore("checkpoint", Bound { preemptions: 2, least: 6_000 }, || {
        let vfs = create();
        let store = open(&vfs);
        commit(&store, 2, Sync::Normal).unwrap();
        let (writer, reader) = (store.clone(), store.clone());
        let writer = spawn(move || commit(&writer, 3, Sync::Full).unwrap());
        let reader = spawn(move || steady_number(&reader).unwrap());
        store.checkpoint(CheckpointMode::Passive).unwrap();
        assert!((2..=3).contains(&join(reader)));
        join(writer);
        assert_eq!(number(&store).unwrap(), 3);
        store.close().unwrap();
        assert_eq!(number(&open(&vfs)).unwrap(), 3);
    });
}

#[test]
fn two_writers_build_on_each_other() {
    explore("writers", Bound { preemptions: 3, least: 9_000 }, || {
        let store = open(&create());
        let add = |store: Store, sync| {
            move || {
                let mut tx = store.begin_write().unwrap();
                tx.set_sync(sync);
                let number = tx.get(TREE, KEY).unwrap().expect("the key is never removed")[0];
                tx.put(TREE, KEY, &[number + 1]).unwrap();
                tx.commit().unwrap();
                assert!(self::number(&store).unwrap() > number, "an ack that nobody sees");
            }
        };
        let other = spawn(add(store.clone(), Sync::Full));
        add(store.clone(), Sync::Normal)();
        join(other);
        assert_eq!(number(&store).unwrap(), 3);
    });
}

#[test]
fn a_close_against_everything_keeps_what_was_acknowledged() {
    explore("close", Bound { preemptions: 2, least: 25_000 }, || {
        let vfs = create();
        let store = open(&vfs);
        commit(&store, 2, Sync::Normal).unwrap();
        let (writer, reader, checkpointer) = (store.clone(), store.clone(), store.clone());
        let writer = spawn(move || match commit(&writer, 3, Sync::Full) {
            Ok(()) => true,
            Err(Error::Closed) => false,
            Err(error) => panic!("{error}"),
        });
        let reader = spawn(move || match steady_number(&reader) {
            Ok(number) => assert!((2..=3).contains(&number)),
            Err(error) => assert!(matches!(error, Error::Closed), "{error}"),
        });
        let checkpointer = spawn(move || match checkpointer.checkpoint(CheckpointMode::Passive) {
            Ok(_) | Err(Error::Closed | Error::Busy) => {}
            Err(error) => panic!("{error}"),
        });
        store.close().unwrap();
        let is_acknowledged = join(writer);
        join(reader);
        join(checkpointer);
        drop(store);
        assert_eq!(number(&open(&vfs)).unwrap(), 2 + u8::from(is_acknowledged));
    });
}

#[test]
fn a_close_ends_the_background_thread_whatever_it_is_doing() {
    let flush_count = Arc::new(AtomicU64::new(0));
    let flushes = Arc::clone(&flush_count);
    explore("background", Bound { preemptions: 2, least: 2_000 }, move || {
        let vfs = create();
        let idle_after = Duration::from_micros(1);
        let store = open_with(&vfs, StoreOptions { auto_flush: true, idle_after, ..options() });
        commit(&store, 2, Sync::Normal).unwrap();
        commit(&store, 3, Sync::Normal).unwrap();
        let stats = store.stats().unwrap();
        flushes.fetch_add(stats.idle_flush_count, Ordering::Relaxed);
        store.close().unwrap();
        drop(store);
        assert_eq!(number(&open(&vfs)).unwrap(), 3);
    });
    assert!(flush_count.load(Ordering::Relaxed) > 100, "the thread has hardly worked");
}

#[test]
fn a_close_does_not_wait_for_the_end_of_a_transaction() {
    explore("close_waiting", Bound { preemptions: 3, least: 3_000 }, || {
        let store = open(&create());
        let mut tx = store.begin_write().unwrap();
        tx.put(TREE, KEY, &[2]).unwrap();
        let (writer, checkpointer) = (store.clone(), store.clone());
        let writer = spawn(move || writer.begin_write().map(drop));
        let checkpointer = spawn(move || checkpointer.checkpoint(CheckpointMode::Restart));
        store.close().unwrap();
        // Both end while the transaction is there, which nobody can commit any more.
        assert!(matches!(join(writer), Err(Error::Closed)));
        assert!(matches!(join(checkpointer), Ok(_) | Err(Error::Closed | Error::Busy)));
        assert!(tx.commit().is_err());
    });
}

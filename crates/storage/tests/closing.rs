//! Close against everything else at once, on threads.

mod support;

use any_store_storage::vfs::MemVfs;
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Error, Store, StoreOptions, Sync as CommitSync,
};
use std::sync::{Arc, Barrier};
use support::*;

/// Repeats until the store is closed, and allows no other error.
fn until_closed(store: &Store, mut step: impl FnMut(&Store) -> Result<(), Error>) -> u64 {
    let mut done = 0;
    loop {
        match step(store) {
            Ok(()) => done += 1,
            Err(Error::Closed) => return done,
            Err(other) => panic!("while closing: {other}"),
        }
    }
}

fn read_all(store: &Store) -> Result<(), Error> {
    let snapshot = store.begin_read()?;
    let mut cursor = snapshot.cursor(TREE)?;
    let mut on_entry = cursor.first()?;
    let mut first = None;
    while on_entry {
        let value = cursor.value()?.to_vec();
        assert_eq!(*first.get_or_insert_with(|| value.clone()), value, "one commit");
        on_entry = cursor.next()?;
    }
    Ok(())
}

#[test]
fn close_meets_commits_reads_and_checkpoints_at_any_moment() {
    for round in 0..40u64 {
        let vfs = HookedVfs::new(MemVfs::new());
        let small = StoreOptions {
            cache_bytes: 16 * 4096,
            auto_checkpoint: AutoCheckpoint::Background { after_bytes: 100_000 },
            ..StoreOptions::default()
        };
        let store = open_with(&vfs, small).unwrap();
        put(&store, 0..60, &[0; 700], CommitSync::Normal);
        let start = Arc::new(Barrier::new(4));
        let acked = std::thread::scope(|scope| {
            let (reader, writer, checkpointer) = (store.clone(), store.clone(), store.clone());
            let at = Arc::clone(&start);
            scope.spawn(move || {
                at.wait();
                until_closed(&reader, read_all)
            });
            let at = Arc::clone(&start);
            let writer = scope.spawn(move || {
                at.wait();
                let mut next = 0u8;
                until_closed(&writer, |store| {
                    next = next.wrapping_add(1);
                    try_put(store, 0..60, &[next; 700], CommitSync::Normal)
                })
            });
            let at = Arc::clone(&start);
            scope.spawn(move || {
                at.wait();
                until_closed(&checkpointer, |store| {
                    store.checkpoint(CheckpointMode::Passive).map(|_| ())
                })
            });
            start.wait();
            for _ in 0..round * 3 {
                store.stats().unwrap();
                std::thread::yield_now();
            }
            store.close().unwrap();
            writer.join().unwrap()
        });
        let store = open(&vfs);
        let all = contents_of(&store);
        assert_eq!(all.len(), 60);
        let last = acked as u8;
        assert!(all.values().all(|value| value.iter().all(|&byte| byte == last)), "round {round}");
        expect_sound(&store);
    }
}

#[test]
fn the_last_share_closes_the_store_on_whatever_thread() {
    for _ in 0..20 {
        let vfs = HookedVfs::new(MemVfs::new());
        let store = open_with(
            &vfs,
            StoreOptions {
                auto_checkpoint: AutoCheckpoint::Background { after_bytes: 1 },
                ..StoreOptions::default()
            },
        )
        .unwrap();
        put(&store, 0..20, &[1; 700], CommitSync::Normal);
        let snapshot = store.begin_read().unwrap();
        let cursor = snapshot.cursor(TREE).unwrap();
        let txn = store.begin_write().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(store));
            scope.spawn(move || drop(snapshot));
            scope.spawn(move || drop(cursor));
            scope.spawn(move || drop(txn));
        });
        let store = open(&vfs);
        assert_eq!(contents_of(&store).len(), 20);
        expect_sound(&store);
    }
}

//! What single failing calls do, and what they must not do.

mod support;

use any_store_storage::vfs::{MemVfs, Vfs};
use any_store_storage::{
    CheckpointMode, Error, StoreOptions, Sync as CommitSync, TreeId, TreeOptions,
};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use support::*;

fn hooked() -> HookedVfs {
    HookedVfs::new(MemVfs::new())
}

/// Fails the calls that match, the first time only.
fn fail_once(vfs: &HookedVfs, matches: impl Fn(&Call) -> bool + Send + Sync + 'static) {
    let armed = AtomicBool::new(true);
    vfs.set_hook(move |call| {
        if matches(call) && armed.swap(false, Ordering::SeqCst) { Err(eio()) } else { Ok(()) }
    });
}

#[test]
fn a_close_that_ends_between_cutting_the_file_and_its_header_loses_nothing() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..500, &[1; 4000], CommitSync::Normal);
    assert!(store.checkpoint(CheckpointMode::Restart).unwrap().log_restarted);
    let mut txn = store.begin_write().unwrap();
    for n in 1..500 {
        txn.remove(TREE, &key(n)).unwrap();
    }
    txn.commit().unwrap();
    let want = contents_of(&store);
    let cut = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&cut);
    vfs.set_hook(move |call| {
        if call.done && call.is(Kind::SetLen, PATH) {
            seen.store(true, Ordering::SeqCst);
        }
        let is_header = call.begins(Kind::Write, PATH) && call.offset < 8192;
        if is_header && seen.load(Ordering::SeqCst) { Err(eio()) } else { Ok(()) }
    });
    assert!(store.close().is_err());
    vfs.clear_hook();
    assert!(cut.load(Ordering::SeqCst), "the close cut the file");

    // The file grows again in the log alone, and the process dies once more.
    let recovered = open(&vfs);
    assert_eq!(contents_of(&recovered), want);
    expect_sound(&recovered);
    let held = recovered.begin_read().unwrap();
    put(&recovered, 1..500, &[2; 4000], CommitSync::Normal);
    let again = open_mem(&image(&vfs.mem)).unwrap();
    assert_eq!(contents_of(&again).len(), 500);
    expect_sound(&again);
    drop(held);
}

#[test]
fn close_does_not_wait_for_a_writer_that_a_checkpoint_waits_for() {
    let vfs = hooked();
    let store = Arc::new(
        open_with(&vfs, StoreOptions { busy_timeout: Duration::MAX, ..options() }).unwrap(),
    );
    put(&store, 0..10, b"x", CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    txn.put(TREE, b"never committed", b"").unwrap();
    let (copied, has_copied) = mpsc::channel();
    vfs.set_hook(move |call| {
        if call.done && call.is(Kind::Sync, PATH) {
            let _ = copied.send(());
        }
        Ok(())
    });
    let checkpointer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || store.checkpoint(CheckpointMode::Restart))
    };
    has_copied.recv().unwrap();
    let (closed, has_closed) = mpsc::channel();
    let closer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            store.close().unwrap();
            closed.send(()).unwrap();
        })
    };
    // A hang is the failure; a minute stands for it.
    let in_time = has_closed.recv_timeout(Duration::from_secs(60));
    assert!(in_time.is_ok(), "close waits for the open write transaction");
    closer.join().unwrap();
    assert!(matches!(checkpointer.join().unwrap(), Err(Error::Closed)));
    assert!(matches!(txn.commit(), Err(Error::Closed)));
    assert_eq!(contents_of(&open(&vfs)).len(), 10);
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let vfs = hooked();
    let store = Arc::new(open(&vfs));
    put(&store, 0..50, &[1; 500], CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    txn.put(TREE, &key(100), &[2; 5000]).unwrap();
    txn.set_sync(CommitSync::Full);
    let (copied, has_copied) = mpsc::channel();
    vfs.set_hook(move |call| {
        if call.done && call.is(Kind::Sync, PATH) {
            let _ = copied.send(());
        }
        Ok(())
    });
    let checkpointer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || store.checkpoint(CheckpointMode::Restart))
    };
    has_copied.recv().unwrap();
    let failed = Arc::new(AtomicBool::new(false));
    let calls_after = Arc::new(AtomicU64::new(0));
    let (seen, after) = (Arc::clone(&failed), Arc::clone(&calls_after));
    vfs.set_hook(move |call| {
        if call.begins(Kind::Sync, LOG) && !seen.swap(true, Ordering::SeqCst) {
            return Err(eio());
        }
        let changes = matches!(call.kind, Kind::Write | Kind::Sync | Kind::SetLen);
        if !call.done && changes && seen.load(Ordering::SeqCst) {
            after.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    assert!(matches!(txn.commit(), Err(Error::CommitUnknown { .. })));
    let refused = checkpointer.join().unwrap();
    assert!(matches!(refused, Err(Error::Failed | Error::Io { .. })), "{refused:?}");
    assert!(matches!(store.begin_write(), Err(Error::Failed)));
    assert!(matches!(store.checkpoint(CheckpointMode::Restart), Err(Error::Failed)));
    assert_eq!(contents_of(&store).len(), 50, "readers stay at the last published state");
    assert!(matches!(store.close(), Err(Error::Failed)), "a close that secured nothing says so");
    assert_eq!(calls_after.load(Ordering::SeqCst), 0, "nothing is written after a failed sync");
    vfs.clear_hook();
    let reopened = open(&vfs);
    assert!(contents_of(&reopened).len() >= 50);
    expect_sound(&reopened);
}

#[test]
fn interrupted_calls_are_made_again() {
    let vfs = hooked();
    let (last, count) = (Mutex::new(None), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&count);
    vfs.set_hook(move |call| {
        let retried = matches!(call.kind, Kind::Read | Kind::Write | Kind::Lock);
        if !retried || call.done {
            return Ok(());
        }
        // Every call is interrupted, and its repetition is not.
        let mut last = last.lock().unwrap();
        let this = (call.kind, call.path.clone(), call.offset);
        if last.as_ref() == Some(&this) {
            *last = None;
            return Ok(());
        }
        *last = Some(this);
        counted.fetch_add(1, Ordering::SeqCst);
        Err(io::ErrorKind::Interrupted.into())
    });
    let store = open(&vfs);
    put(&store, 0..100, &[3; 500], CommitSync::Full);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    put(&store, 100..200, &[3; 500], CommitSync::Full);
    store.close().unwrap();
    let store = open(&vfs);
    assert_eq!(contents_of(&store).len(), 200);
    expect_sound(&store);
    assert!(count.load(Ordering::SeqCst) > 50);
}

#[test]
fn an_empty_file_is_replaced_only_while_it_is_ours() {
    let vfs = hooked();
    set_bytes(&vfs.mem, PATH, b"");
    let (armed, mem) = (AtomicBool::new(true), vfs.mem.clone());
    let (give, other) = mpsc::channel();
    vfs.set_hook(move |call| {
        // Somebody else is between our opening of the empty file and our claim to it.
        if call.done && call.is(Kind::Open, PATH) && armed.swap(false, Ordering::SeqCst) {
            let store = open_mem(&mem).expect("the other one is first");
            put(&store, 0..10, b"x", CommitSync::Full);
            give.send(store).unwrap();
        }
        Ok(())
    });
    assert!(matches!(open_with(&vfs, options()), Err(Error::Locked { .. })));
    drop(other.recv().unwrap());
    assert_eq!(contents_of(&open_mem(&vfs.mem).unwrap()).len(), 10);
}

#[test]
fn a_commit_that_cannot_be_taken_back_is_of_unknown_outcome() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    // The whole record arrives, and the system says that it did not; so does the undoing.
    let mut txn = store.begin_write().unwrap();
    txn.put(TREE, &key(10), b"y").unwrap();
    vfs.set_hook({
        let writes = AtomicU64::new(0);
        move |call| {
            let first = call.is(Kind::Write, LOG) && writes.fetch_add(1, Ordering::SeqCst) < 2;
            let fails = if first { call.done } else { call.is(Kind::Write, LOG) };
            if fails { Err(eio()) } else { Ok(()) }
        }
    });
    assert!(matches!(txn.commit(), Err(Error::CommitUnknown { .. })));
    assert!(matches!(store.begin_write(), Err(Error::Failed)));
    vfs.clear_hook();
    assert_eq!(contents_of(&store).len(), 10);
    drop(store);
    expect_sound(&open(&vfs));
}

#[test]
fn a_header_whose_write_failed_does_not_come_into_force() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    // The header arrives whole, and the system says that it did not.
    fail_once(&vfs, |call| call.done && call.is(Kind::Write, PATH) && call.offset < 8192);
    assert!(matches!(store.checkpoint(CheckpointMode::Restart), Err(Error::Io { .. })));
    vfs.clear_hook();
    put(&store, 10..20, b"y", CommitSync::Full);
    let killed = open_mem(&image(&vfs.mem)).unwrap();
    assert_eq!(contents_of(&killed).len(), 20, "commits after the failure are not lost");
    expect_sound(&killed);
    assert!(store.checkpoint(CheckpointMode::Restart).unwrap().log_restarted);
    store.close().unwrap();
    assert_eq!(contents_of(&open(&vfs)).len(), 20);
}

#[test]
fn a_failure_to_take_up_a_recovered_log_is_not_final() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    let killed = HookedVfs::new(image(&vfs.mem));
    for failing in [Kind::Read, Kind::Write] {
        let store = open(&killed);
        fail_once(&killed, move |call| call.begins(failing, LOG));
        assert!(matches!(store.begin_write(), Err(Error::Io { .. })), "{failing:?}");
        put(&store, 10..20, b"y", CommitSync::Normal);
        killed.clear_hook();
        assert_eq!(contents_of(&store).len(), 20);
        let next = image(&killed.mem);
        drop(store);
        for entry in killed.mem.list(Path::new("/")).unwrap() {
            killed.mem.remove(&entry.path).unwrap();
        }
        for entry in next.list(Path::new("/")).unwrap() {
            set_bytes(&killed.mem, &entry.path, &bytes_of(&next, &entry.path));
        }
    }
    let store = open(&killed);
    fail_once(&killed, |call| call.begins(Kind::Sync, LOG));
    assert!(matches!(store.begin_write(), Err(Error::Io { .. })));
    assert!(matches!(store.begin_write(), Err(Error::Failed)), "a failed sync is final");
    killed.clear_hook();
    assert_eq!(contents_of(&store).len(), 20);
}

#[test]
fn a_panic_in_the_middle_of_a_commit_is_final_and_loses_nothing() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    vfs.set_hook(|call| {
        assert!(!call.begins(Kind::Sync, LOG), "a panic of the file system");
        Ok(())
    });
    let panicked =
        catch_unwind(AssertUnwindSafe(|| try_put(&store, 10..20, b"y", CommitSync::Full)));
    assert!(panicked.is_err());
    vfs.clear_hook();
    let refused = store.begin_write_timeout(Duration::ZERO);
    assert!(matches!(refused, Err(Error::Failed)), "{refused:?}");
    assert_eq!(contents_of(&store).len(), 10);
    drop(store);
    expect_sound(&open(&vfs));
}

#[test]
fn a_panic_in_the_middle_of_a_checkpoint_keeps_nobody_out() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    vfs.set_hook(|call| {
        assert!(call.offset >= 8192 || !call.begins(Kind::Write, PATH), "a panic");
        Ok(())
    });
    assert!(catch_unwind(AssertUnwindSafe(|| store.checkpoint(CheckpointMode::Restart))).is_err());
    vfs.clear_hook();
    let next = store.begin_write_timeout(Duration::ZERO);
    assert!(matches!(next, Ok(_) | Err(Error::Failed)), "{next:?}");
    drop(next);
    drop(store);
    let store = open(&vfs);
    assert_eq!(contents_of(&store).len(), 10);
    expect_sound(&store);
}

#[test]
fn a_write_transaction_that_reads_during_the_close_is_told_so() {
    let vfs = hooked();
    let no_cache = StoreOptions { cache_bytes: 0, ..options() };
    let store = Arc::new(open_with(&vfs, no_cache).unwrap());
    put(&store, 0..200, &[1; 500], CommitSync::Normal);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    put(&store, 0..200, &[2; 500], CommitSync::Normal);
    // The closing checkpoint rewrites the descriptor tree, which is in the file.
    let txn = store.begin_write().unwrap();
    let (begin_close, may_close) = mpsc::channel::<()>();
    let (closing, is_closing) = mpsc::channel::<()>();
    let is_closing = std::sync::Mutex::new(is_closing);
    let armed = AtomicBool::new(true);
    let reader = std::thread::current().id();
    vfs.set_hook(move |call| {
        let by_reader = std::thread::current().id() == reader;
        if by_reader && call.begins(Kind::Read, PATH) && armed.swap(false, Ordering::SeqCst) {
            begin_close.send(()).unwrap();
            is_closing.lock().unwrap().recv().unwrap();
        }
        if !by_reader && call.done && call.is(Kind::Sync, PATH) {
            let _ = closing.send(());
        }
        Ok(())
    });
    let closer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            may_close.recv().unwrap();
            store.close()
        })
    };
    let answer = txn.tree_stats(TreeId(99));
    assert!(matches!(answer, Err(Error::Closed)), "{answer:?}");
    closer.join().unwrap().unwrap();
}

#[test]
fn a_full_disk_fails_one_transaction_and_no_more() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    vfs.set_hook(|call| match call.kind {
        Kind::Write | Kind::Allocate | Kind::SetLen if !call.done => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    });
    let refused = try_put(&store, 10..2000, &[1; 4000], CommitSync::Full);
    assert!(matches!(refused, Err(Error::NoSpace { .. })));
    assert!(store.checkpoint(CheckpointMode::Restart).is_err());
    assert_eq!(contents_of(&store).len(), 10);
    vfs.clear_hook();
    put(&store, 10..20, b"y", CommitSync::Full);
    store.close().unwrap();
    let store = open(&vfs);
    assert_eq!(contents_of(&store).len(), 20);
    expect_sound(&store);
}

#[test]
fn dropping_a_write_transaction_while_unwinding_frees_the_lock() {
    let store = open(&hooked());
    put(&store, 0..10, b"x", CommitSync::Normal);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut txn = store.begin_write().unwrap();
        txn.put(TREE, &key(3), b"lost").unwrap();
        txn.create_tree(TreeOptions::default()).unwrap();
        panic!("in user code");
    }));
    assert!(panicked.is_err());
    let txn = store.begin_write_timeout(Duration::ZERO).unwrap();
    assert_eq!(txn.get(TREE, &key(3)).unwrap().as_deref(), Some(&b"x"[..]));
}

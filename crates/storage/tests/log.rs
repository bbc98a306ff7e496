//! The log and its checkpoints as a user meets them: modes and who they wait for, limits, shared
//! syncs, the use of space.

mod support;

use any_store_storage::vfs::{MemVfs, OpenMode, Vfs};
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, CheckpointReport, Error, Store, StoreOptions,
    Sync as CommitSync,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;
use support::*;

const STRONG: [CheckpointMode; 3] =
    [CheckpointMode::Full, CheckpointMode::Restart, CheckpointMode::Truncate];

fn log_len(vfs: &HookedVfs) -> usize {
    bytes_of(&vfs.mem, LOG).len()
}

fn at_once(store: &Store, mode: CheckpointMode) -> Result<CheckpointReport, Error> {
    store.checkpoint_timeout(mode, Duration::ZERO)
}

fn expect_busy(outcome: Result<CheckpointReport, Error>) {
    assert!(matches!(outcome, Err(Error::Busy)), "{outcome:?}");
}

#[test]
fn with_nothing_in_the_way_each_mode_does_what_it_says() {
    for mode in [CheckpointMode::Passive].into_iter().chain(STRONG) {
        let vfs = HookedVfs::new(MemVfs::new());
        let store = open(&vfs);
        put(&store, 0..100, &[1; 900], CommitSync::Normal);
        let report = store.checkpoint(mode).unwrap();
        assert!(report.is_complete && report.pages_copied > 0 && report.frames_copied > 0);
        assert_eq!(report.mode, mode);
        assert_eq!(report.log_truncated, mode == CheckpointMode::Truncate);
        assert_eq!(log_len(&vfs) == 0, mode == CheckpointMode::Truncate);
        assert_eq!(store.stats().unwrap().log_bytes, 0);
        put(&store, 100..200, &[2; 900], CommitSync::Full);
        assert_eq!(contents_of(&open_mem(&image(&vfs.mem)).unwrap()).len(), 200, "{mode}");
        store.close().unwrap();
        assert!(vfs.mem.open(Path::new(LOG), OpenMode::Read).is_err(), "the file alone is left");
        assert_eq!(contents_of(&open(&vfs)).len(), 200);
    }
}

#[test]
fn a_reader_of_an_older_snapshot_stops_the_stronger_modes_and_them_alone() {
    for mode in STRONG {
        let vfs = HookedVfs::new(MemVfs::new());
        let store = open(&vfs);
        put(&store, 0..100, &[1; 900], CommitSync::Normal);
        let snapshot = store.begin_read().unwrap();
        put(&store, 50..150, &[2; 900], CommitSync::Normal);
        let passive = store.checkpoint(CheckpointMode::Passive).unwrap();
        assert!(!passive.is_complete);
        assert_eq!(passive.upto, snapshot.commit_no(), "as far as the reader");
        expect_busy(at_once(&store, mode));
        assert_eq!(contents(&snapshot).len(), 100);
        drop(snapshot);
        assert!(at_once(&store, mode).unwrap().is_complete);
    }
}

#[test]
fn a_reader_of_the_newest_snapshot_stops_only_what_starts_the_log_anew() {
    for mode in [CheckpointMode::Restart, CheckpointMode::Truncate] {
        let vfs = HookedVfs::new(MemVfs::new());
        let no_cache = StoreOptions { cache_bytes: 0, ..options() };
        let store = open_with(&vfs, no_cache).unwrap();
        put(&store, 0..100, &[1; 900], CommitSync::Normal);
        // It reads from the log, and goes on in the file.
        let newest = store.begin_read().unwrap();
        assert_eq!(contents(&newest).len(), 100);
        assert!(at_once(&store, CheckpointMode::Full).unwrap().is_complete);
        expect_busy(at_once(&store, mode));
        put(&store, 0..100, &[2; 900], CommitSync::Normal);
        assert!(contents(&newest).values().all(|value| value.as_slice() == [1; 900]));
        drop(newest);
        assert!(at_once(&store, mode).unwrap().log_restarted);
    }
}

#[test]
fn an_open_write_transaction_stops_the_stronger_modes_and_them_alone() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..100, &[1; 900], CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    txn.put(TREE, &key(7), b"of the open one").unwrap();
    assert!(store.checkpoint(CheckpointMode::Passive).unwrap().is_complete);
    for mode in STRONG {
        expect_busy(at_once(&store, mode));
    }
    txn.commit().unwrap();
    assert_eq!(
        contents_of(&store).get(&key(7)[..]).map(Vec::as_slice),
        Some(&b"of the open one"[..])
    );
    assert!(at_once(&store, CheckpointMode::Truncate).unwrap().log_truncated);
}

#[test]
fn a_truncation_after_a_restart_empties_the_file() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..100, &[1; 900], CommitSync::Normal);
    assert!(store.checkpoint(CheckpointMode::Restart).unwrap().log_restarted);
    assert!(log_len(&vfs) > 0, "the file keeps its length");
    assert!(store.checkpoint(CheckpointMode::Truncate).unwrap().log_truncated);
    assert_eq!(log_len(&vfs), 0);
    expect_sound(&store);
}

#[test]
fn no_commit_waits_for_a_reader_that_holds_the_log() {
    let vfs = HookedVfs::new(MemVfs::new());
    let soft = 200_000;
    let store = open_with(
        &vfs,
        StoreOptions {
            auto_checkpoint: AutoCheckpoint::Inline { after_bytes: soft / 4 },
            log_soft_limit_bytes: Some(soft),
            ..StoreOptions::default()
        },
    )
    .unwrap();
    put(&store, 0..20, &[0; 700], CommitSync::Normal);
    let snapshot = store.begin_read().unwrap();
    while store.stats().unwrap().log_bytes < 3 * soft {
        put(&store, 0..20, &[1; 700], CommitSync::Normal);
    }
    let stats = store.stats().unwrap();
    assert_eq!(stats.snapshots.first().map(|held| held.commit), Some(snapshot.commit_no()));
    assert!(stats.snapshots[0].age > Duration::ZERO);
    let copied = stats.pages_copied;
    put(&store, 0..20, &[2; 700], CommitSync::Normal);
    assert_eq!(store.stats().unwrap().pages_copied, copied, "what is in vain is not tried");
    drop(snapshot);
    put(&store, 0..20, &[3; 700], CommitSync::Normal);
    assert!(store.stats().unwrap().log_bytes < soft, "the next commit finds the way free");
}

#[test]
fn a_hard_limit_names_the_reader_and_lifts_when_it_is_gone() {
    let vfs = HookedVfs::new(MemVfs::new());
    let limit = 500_000;
    let store =
        open_with(&vfs, StoreOptions { log_limit_bytes: Some(limit), ..options() }).unwrap();
    put(&store, 0..20, &[0; 700], CommitSync::Normal);
    let snapshot = store.begin_read().unwrap();
    let refused = loop {
        if let Err(refused) = try_put(&store, 0..20, &[1; 700], CommitSync::Normal) {
            break refused;
        }
        assert!(store.stats().unwrap().log_bytes < limit + 200_000);
    };
    let Error::LogFull { limit_bytes, oldest: Some(oldest) } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((*limit_bytes, oldest.commit), (limit, snapshot.commit_no()));
    assert!(oldest.reader_count >= 1);
    assert!(refused.to_string().contains(&snapshot.commit_no().to_string()), "{refused}");
    let before = contents_of(&store);
    drop(snapshot);
    put(&store, 0..20, &[2; 700], CommitSync::Normal);
    assert_ne!(contents_of(&store), before);
}

#[test]
fn what_a_transaction_spilled_and_gave_up_counts_for_no_limit() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open_with(
        &vfs,
        StoreOptions { cache_bytes: 64 * 4096, log_limit_bytes: Some(1 << 20), ..options() },
    )
    .unwrap();
    put(&store, 0..20, &[0; 700], CommitSync::Normal);
    store.checkpoint(CheckpointMode::Passive).unwrap();
    for _ in 0..2 {
        let mut txn = store.begin_write().unwrap();
        for n in 0..6000 {
            txn.put(TREE, &key(n), &[1; 900]).unwrap();
        }
        txn.rollback();
        assert!(store.stats().unwrap().log_bytes > 2 << 20);
        put(&store, 0..20, &[2; 700], CommitSync::Normal);
    }
    store.checkpoint(CheckpointMode::Passive).unwrap();
    assert_eq!(store.stats().unwrap().log_bytes, 0);
    expect_sound(&store);
}

#[test]
fn a_failed_record_does_not_hide_the_commits_behind_it() {
    let vfs = HookedVfs::new(MemVfs::new());
    let inline = AutoCheckpoint::Inline { after_bytes: 1 };
    let store = open_with(&vfs, StoreOptions { auto_checkpoint: inline, ..options() }).unwrap();
    put(&store, 0..20, &[0; 100], CommitSync::Normal);
    // One put is so many writes, the last of them the record of the checkpoint behind it.
    let writes = Arc::new(AtomicU64::new(0));
    let (counter, last) = (Arc::clone(&writes), Arc::new(AtomicU64::new(u64::MAX)));
    let from = Arc::clone(&last);
    // From that one on they arrive, and are said to have failed.
    vfs.set_hook(move |call| {
        let is_written = call.done && call.is(Kind::Write, LOG);
        let fails =
            is_written && counter.fetch_add(1, Ordering::SeqCst) + 1 >= from.load(Ordering::SeqCst);
        if fails { Err(eio()) } else { Ok(()) }
    });
    put(&store, 0..20, &[1; 100], CommitSync::Normal);
    last.store(writes.swap(0, Ordering::SeqCst), Ordering::SeqCst);
    put(&store, 0..20, &[1; 100], CommitSync::Normal);
    vfs.clear_hook();
    // Behind this sync the next record stands at another place than the failed one.
    store.checkpoint(CheckpointMode::Passive).unwrap();
    put(&store, 0..20, &[2; 100], CommitSync::Full);
    let killed = open_mem(&image(&vfs.mem)).unwrap();
    assert_eq!(contents_of(&killed), contents_of(&store));
    expect_sound(&store);
}

/// A gate that lets nobody pass until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

#[test]
fn one_sync_serves_all_who_wait() {
    const THREADS: u64 = 12;
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..20, &[0; 100], CommitSync::Full);
    let (gate, syncs) = (Arc::new(Gate::default()), Arc::new(AtomicU64::new(0)));
    let (at_gate, counter) = (Arc::clone(&gate), Arc::clone(&syncs));
    vfs.set_hook(move |call| {
        if call.begins(Kind::Sync, LOG) && counter.fetch_add(1, Ordering::SeqCst) == 0 {
            at_gate.pass();
        }
        Ok(())
    });
    let before = store.stats().unwrap();
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let store = &store;
            scope.spawn(move || put(store, [n], &[n as u8 + 1; 100], CommitSync::Full));
        }
        // All have appended while the first of them syncs: the writer's lock does not wait for it.
        while store.stats().unwrap().commit_count < before.commit_count + THREADS {
            std::thread::yield_now();
        }
        let seen = store.begin_read().unwrap().commit_no();
        assert_eq!(seen, before.commit, "nobody sees what is not durable yet");
        gate.open();
    });
    assert_eq!(syncs.load(Ordering::SeqCst), 2, "one for the first, one for all others");
    vfs.clear_hook();
    let all = contents_of(&store);
    assert!((0..THREADS).all(|n| all[&key(n)[..]][..] == [n as u8 + 1; 100]));
}

#[test]
fn a_commit_that_need_not_be_durable_waits_for_those_before_it() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..20, &[0; 100], CommitSync::Full);
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    vfs.set_hook(move |call| {
        if call.begins(Kind::Sync, LOG) {
            at_gate.pass();
        }
        Ok(())
    });
    let (start, is_acked) = (Barrier::new(2), AtomicBool::new(false));
    let before = store.stats().unwrap().commit_count;
    std::thread::scope(|scope| {
        scope.spawn(|| put(&store, [1], b"durable", CommitSync::Full));
        scope.spawn(|| {
            while store.stats().unwrap().commit_count < before + 1 {
                std::thread::yield_now();
            }
            start.wait();
            put(&store, [2], b"not", CommitSync::Normal);
            is_acked.store(true, Ordering::SeqCst);
        });
        start.wait();
        while store.stats().unwrap().commit_count < before + 2 {
            std::thread::yield_now();
        }
        assert!(!is_acked.load(Ordering::SeqCst), "readers would see it without the one before");
        gate.open();
    });
    let all = contents_of(&store);
    assert_eq!((&all[&key(1)[..]][..], &all[&key(2)[..]][..]), (&b"durable"[..], &b"not"[..]));
}

#[test]
fn a_failed_sync_fails_all_who_wait_for_it() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..20, &[0; 100], CommitSync::Full);
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    vfs.set_hook(move |call| {
        if call.begins(Kind::Sync, LOG) {
            at_gate.pass();
            return Err(eio());
        }
        Ok(())
    });
    let before = store.stats().unwrap();
    let unknown = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (store, unknown) = (&store, &unknown);
            let sync = if n % 2 == 0 { CommitSync::Full } else { CommitSync::Normal };
            scope.spawn(move || match try_put(store, [n], b"lost", sync) {
                Err(Error::CommitUnknown { .. }) => unknown.fetch_add(1, Ordering::SeqCst),
                // Without a durable one before it, it is visible at once, and safe from the sync.
                Ok(()) if sync == CommitSync::Normal => 0,
                other => panic!("{other:?}"),
            });
        }
        while store.stats().unwrap().commit_count < before.commit_count + 6 {
            std::thread::yield_now();
        }
        gate.open();
    });
    assert!(unknown.load(Ordering::SeqCst) >= 3);
    assert!(matches!(store.begin_write(), Err(Error::Failed)));
    assert!(store.begin_read().unwrap().commit_no().0 <= before.commit.0 + 3);
    vfs.clear_hook();
}

#[test]
fn the_log_file_is_used_again_while_commits_go_on() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..50, &[0; 900], CommitSync::Normal);
    let mut longest = 0;
    for round in 0..400u64 {
        // A reader that ends in the next round: the log is never empty when a checkpoint ends.
        let snapshot = store.begin_read().unwrap();
        put(&store, 0..50, &[round as u8; 900], CommitSync::Normal);
        store.checkpoint(CheckpointMode::Passive).unwrap();
        drop(snapshot);
        longest = longest.max(store.stats().unwrap().log_file_bytes);
    }
    let logged = store.stats().unwrap().logged_bytes;
    assert!(logged > 4 * longest, "{logged} bytes went through a file of {longest}");
    let killed = open_mem(&image(&vfs.mem)).unwrap();
    assert_eq!(contents_of(&killed), contents_of(&store));
    expect_sound(&killed);
    expect_sound(&store);
}

#[test]
fn a_transaction_larger_than_memory_commits_rolls_back_and_survives_a_kill() {
    let vfs = HookedVfs::new(MemVfs::new());
    let small = StoreOptions { cache_bytes: 64 * 4096, ..options() };
    let store = open_with(&vfs, small.clone()).unwrap();
    put(&store, 0..100, &[1; 900], CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    for n in 0..6000 {
        txn.put(TREE, &key(n), &[2; 900]).unwrap();
    }
    let savepoint = txn.savepoint().unwrap();
    for n in 0..6000 {
        txn.put(TREE, &key(n), &[3; 1200]).unwrap();
    }
    txn.rollback_to(savepoint).unwrap();
    assert_eq!(txn.get(TREE, &key(5999)).unwrap().as_deref(), Some(&[2; 900][..]));
    let logged = store.stats().unwrap().log_bytes;
    assert!(logged > 6_000_000, "pages went to the log before the commit: {logged}");
    let killed = open_mem(&image(&vfs.mem)).unwrap();
    assert_eq!(contents_of(&killed).len(), 100, "what was spilled is not committed");
    expect_sound(&killed);
    put(&killed, [7], b"after the kill", CommitSync::Full);
    expect_sound(&killed);
    drop(killed);
    txn.commit().unwrap();
    let want = contents_of(&store);
    assert_eq!(want.len(), 6000);
    let killed = open_mem(&image(&vfs.mem)).unwrap();
    assert_eq!(contents_of(&killed), want);
    put(&killed, [6000], b"and one more", CommitSync::Full);
    assert_eq!(contents_of(&killed).len(), 6001);
    let killed_again = contents_of(&killed);
    killed.close().unwrap();
    drop(killed);
    assert_eq!(killed_again.len(), 6001);
    let mut undone = store.begin_write().unwrap();
    for n in 0..6000 {
        undone.put(TREE, &key(n), &[4; 900]).unwrap();
    }
    undone.rollback();
    assert_eq!(contents_of(&store), want);
    put(&store, [6000], b"behind what was given up", CommitSync::Normal);
    assert_eq!(contents_of(&open_mem(&image(&vfs.mem)).unwrap()).len(), 6001);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    expect_sound(&store);
}

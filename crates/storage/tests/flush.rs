//! Flushes: asked for, after a quiet time, and by themselves; and what else the background does.

mod support;

use any_store_storage::vfs::MemVfs;
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Error, ErrorCallback, Store, StoreOptions, Sync as CommitSync,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use support::clock::ClockVfs;
use support::*;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn clocked() -> ClockVfs {
    ClockVfs::new(HookedVfs::new(MemVfs::new()))
}

fn open_clocked(vfs: &ClockVfs, options: StoreOptions) -> Store {
    Store::open(Arc::new(vfs.clone()), Path::new(PATH), options).expect("the store opens")
}

/// Flushes after a quiet minute.
fn flushing() -> StoreOptions {
    StoreOptions { auto_flush: true, idle_after: MINUTE, ..options() }
}

fn write(store: &Store, n: u64) {
    put(store, [n], b"value", CommitSync::Normal);
}

/// Keeps the texts of what the background reports.
fn reporting(options: StoreOptions) -> (StoreOptions, Arc<Mutex<Vec<String>>>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&reports);
    let callback = ErrorCallback::new(move |error| kept.lock().unwrap().push(error.to_string()));
    (StoreOptions { on_background_error: Some(callback), ..options }, reports)
}

#[test]
fn an_idle_flush_happens_once_after_each_quiet_time() {
    let vfs = clocked();
    let store = open_clocked(&vfs, flushing());
    for round in 0..3 {
        let flushes = || store.stats().unwrap().idle_flush_count;
        let began = MINUTE * 100 * round;
        write(&store, 1);
        vfs.until_somebody_waits(Some(began + MINUTE));
        vfs.turn(MINUTE - SECOND);
        vfs.until_somebody_waits(Some(began + MINUTE));
        // Reading is quiet, and so is a transaction that changes nothing.
        assert!(!contents_of(&store).is_empty());
        store.begin_write().unwrap().commit().unwrap();
        write(&store, 2);
        vfs.turn(SECOND);
        vfs.until_somebody_waits(Some(began + MINUTE * 2 - SECOND));
        assert_eq!(flushes(), u64::from(round), "a commit a second ago");
        vfs.turn(MINUTE - SECOND);
        vfs.until_somebody_waits(None);
        assert_eq!(flushes(), u64::from(round) + 1);
        assert_eq!(store.stats().unwrap().log_bytes, 0);
        vfs.turn(MINUTE * 98 + SECOND);
        vfs.until_somebody_waits(None);
        assert_eq!(flushes(), u64::from(round) + 1, "without a commit there is nothing to flush");
    }
    store.close().unwrap();
    vfs.until_nobody_waits();
}

#[test]
fn an_idle_flush_that_failed_is_tried_again_after_the_next_quiet_time() {
    let vfs = clocked();
    let (options, reports) = reporting(flushing());
    let store = open_clocked(&vfs, options);
    write(&store, 1);
    vfs.until_somebody_waits(Some(MINUTE));
    vfs.files.set_hook(|call| {
        let is_page = call.begins(Kind::Write, PATH) && call.offset >= 8192;
        if is_page { Err(eio()) } else { Ok(()) }
    });
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(Some(MINUTE * 2));
    let stats = store.stats().unwrap();
    assert_eq!((stats.idle_flush_count, stats.idle_flush_failure_count), (0, 1));
    assert_eq!(stats.background_failure_count, 1);
    assert_eq!(reports.lock().unwrap().as_slice(), [stats.last_checkpoint_error.unwrap()]);
    vfs.files.clear_hook();
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(None);
    let stats = store.stats().unwrap();
    assert_eq!((stats.idle_flush_count, stats.idle_flush_failure_count), (1, 1));
    assert_eq!(stats.last_checkpoint_error, None);
    assert_eq!(stats.log_bytes, 0);
}

#[test]
fn after_a_failed_sync_the_idle_flush_gives_up_and_the_close_says_so() {
    let vfs = clocked();
    let (options, reports) = reporting(flushing());
    let store = open_clocked(&vfs, options);
    write(&store, 1);
    vfs.until_somebody_waits(Some(MINUTE));
    let armed = AtomicBool::new(true);
    vfs.files.set_hook(move |call| {
        let fails = call.begins(Kind::Sync, LOG) && armed.swap(false, Ordering::SeqCst);
        if fails { Err(eio()) } else { Ok(()) }
    });
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(Some(MINUTE * 2));
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(None);
    let reports = reports.lock().unwrap().clone();
    let [first, second] = reports.as_slice() else { panic!("{reports:?}") };
    assert!(first.contains("injected"), "{first}");
    assert_eq!(*second, Error::Failed.to_string());
    assert_eq!(store.stats().unwrap().idle_flush_failure_count, 2);
    assert!(matches!(store.close(), Err(Error::Failed)));
}

#[test]
fn a_reader_that_holds_the_log_brings_about_one_idle_flush_and_another_when_it_is_gone() {
    let vfs = clocked();
    let store = open_clocked(&vfs, flushing());
    write(&store, 1);
    let snapshot = store.begin_read().unwrap();
    write(&store, 2);
    vfs.until_somebody_waits(Some(MINUTE));
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(Some(MINUTE * 2));
    let before = store.stats().unwrap();
    assert_eq!(before.idle_flush_count, 1);
    assert!(before.log_bytes > 0, "the reader holds the log");
    for minute in 3..6 {
        vfs.turn(MINUTE);
        vfs.until_somebody_waits(Some(MINUTE * minute));
    }
    let after = store.stats().unwrap();
    assert_eq!(after.checkpoint_count, before.checkpoint_count, "no vain attempt");
    drop(snapshot);
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(None);
    let stats = store.stats().unwrap();
    assert_eq!((stats.idle_flush_count, stats.log_bytes), (2, 0));
}

#[test]
fn panics_of_the_callback_and_of_the_work_end_nothing() {
    let vfs = clocked();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let callback = ErrorCallback::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("in the callback");
    });
    let options = StoreOptions { on_background_error: Some(callback), ..flushing() };
    let store = open_clocked(&vfs, options);
    write(&store, 1);
    vfs.until_somebody_waits(Some(MINUTE));
    vfs.files.set_hook(|call| {
        assert!(call.offset < 8192 || !call.begins(Kind::Write, PATH), "in the file system");
        Ok(())
    });
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(Some(MINUTE * 2));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let last_error = store.stats().unwrap().last_checkpoint_error.unwrap();
    assert!(last_error.contains("a checkpoint in the background panicked"), "{last_error}");
    assert!(last_error.contains("the callback told of it panicked"), "{last_error}");
    vfs.files.clear_hook();
    vfs.turn(MINUTE);
    vfs.until_somebody_waits(None);
    assert_eq!(store.stats().unwrap().idle_flush_count, 1);
    store.close().unwrap();
    assert_eq!(contents_of(&open_mem(&vfs.files.mem).unwrap()).len(), 1);
}

#[test]
fn a_callback_may_use_and_close_the_store() {
    let vfs = clocked();
    let slot: Arc<Mutex<Option<Store>>> = Arc::default();
    let inside = Arc::clone(&slot);
    let (closed, is_closed) = mpsc::channel();
    let closed = Mutex::new(closed);
    let callback = ErrorCallback::new(move |_| {
        let store = inside.lock().unwrap().take().unwrap();
        write(&store, 2);
        assert_eq!(contents_of(&store).len(), 2);
        closed.lock().unwrap().send(store.close()).unwrap();
    });
    let options = StoreOptions { on_background_error: Some(callback), ..flushing() };
    let store = open_clocked(&vfs, options);
    *slot.lock().unwrap() = Some(store.clone());
    write(&store, 1);
    vfs.until_somebody_waits(Some(MINUTE));
    let armed = AtomicBool::new(true);
    vfs.files.set_hook(move |call| {
        let is_page = call.begins(Kind::Write, PATH) && call.offset >= 8192;
        if is_page && armed.swap(false, Ordering::SeqCst) { Err(eio()) } else { Ok(()) }
    });
    vfs.turn(MINUTE);
    is_closed.recv().unwrap().unwrap();
    vfs.until_nobody_waits();
    assert!(matches!(store.stats(), Err(Error::Closed)));
    assert_eq!(contents_of(&open_mem(&vfs.files.mem).unwrap()).len(), 2);
}

#[test]
fn a_close_waits_for_the_idle_flush_under_way_and_the_thread_ends() {
    let vfs = clocked();
    let store = open_clocked(&vfs, flushing());
    write(&store, 1);
    vfs.until_somebody_waits(Some(MINUTE));
    let (flushing, is_flushing) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let held = Mutex::new(Some((flushing, may_go_on)));
    vfs.files.set_hook(move |call| {
        if call.begins(Kind::Sync, PATH)
            && let Some((flushing, may_go_on)) = held.lock().unwrap().take()
        {
            flushing.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
        Ok(())
    });
    vfs.turn(MINUTE);
    is_flushing.recv().unwrap();
    let closer = thread::spawn({
        let store = store.clone();
        move || store.close()
    });
    // The close has begun when nobody can begin a write any more.
    while !matches!(store.begin_write_timeout(Duration::ZERO), Err(Error::Closed)) {
        thread::yield_now();
    }
    assert!(!closer.is_finished(), "the flush is under way");
    go_on.send(()).unwrap();
    closer.join().unwrap().unwrap();
    vfs.until_nobody_waits();
    assert_eq!(contents_of(&open_mem(&vfs.files.mem).unwrap()).len(), 1);
}

#[test]
fn the_thread_ends_with_the_last_handle_and_does_not_keep_the_store_open() {
    let vfs = clocked();
    let store = open_clocked(&vfs, flushing());
    write(&store, 1);
    vfs.until_somebody_waits(Some(MINUTE));
    drop(store);
    vfs.until_nobody_waits();
    assert_eq!(contents_of(&open_mem(&vfs.files.mem).unwrap()).len(), 1);
}

#[test]
fn flush_when_idle_waits_for_quiet() {
    let vfs = clocked();
    let store = open_clocked(&vfs, options());
    let report = store.flush_when_idle(MINUTE, CheckpointMode::Passive).unwrap();
    assert!(report.is_complete, "a store that was not written to is quiet");
    vfs.turn(SECOND);
    write(&store, 1);
    let flusher = thread::spawn({
        let store = store.clone();
        move || store.flush_when_idle(MINUTE, CheckpointMode::Full)
    });
    vfs.until_somebody_waits(Some(SECOND + MINUTE));
    vfs.turn(MINUTE / 2);
    vfs.until_somebody_waits(Some(SECOND + MINUTE));
    write(&store, 2);
    vfs.turn(MINUTE / 2);
    vfs.until_somebody_waits(Some(SECOND + MINUTE / 2 * 3));
    assert!(store.stats().unwrap().log_bytes > 0);
    vfs.turn(MINUTE / 2);
    assert!(flusher.join().unwrap().unwrap().is_complete);
    assert_eq!(contents_of(&open_mem(&image(&vfs.files.mem)).unwrap()).len(), 2);
}

#[test]
fn a_wait_for_quiet_ends_with_the_store_and_with_its_patience() {
    let vfs = clocked();
    let store = open_clocked(&vfs, options());
    write(&store, 1);
    let flush = |patience: Option<Duration>| {
        let store = store.clone();
        thread::spawn(move || match patience {
            Some(patience) => {
                store.flush_when_idle_timeout(MINUTE, CheckpointMode::Passive, patience)
            }
            None => store.flush_when_idle(MINUTE, CheckpointMode::Passive),
        })
    };
    let impatient = flush(Some(SECOND));
    vfs.until_somebody_waits(Some(SECOND));
    vfs.turn(SECOND);
    assert!(matches!(impatient.join().unwrap(), Err(Error::Busy)));
    let patient = flush(None);
    vfs.until_somebody_waits(Some(MINUTE));
    store.close().unwrap();
    assert!(matches!(patient.join().unwrap(), Err(Error::Closed)));
    assert!(matches!(store.flush(CheckpointMode::Passive), Err(Error::Closed)));
}

#[test]
fn a_mode_does_what_it_says_or_is_busy() {
    let vfs = HookedVfs::new(MemVfs::new());
    let store = open(&vfs);
    put(&store, 0..200, &[1; 500], CommitSync::Normal);
    let snapshot = store.begin_read().unwrap();
    put(&store, 0..200, &[2; 500], CommitSync::Normal);
    let newest = store.stats().unwrap().commit;
    let passive = store.flush(CheckpointMode::Passive).unwrap();
    assert_eq!(passive.upto, snapshot.commit_no());
    assert!(!passive.is_complete && !passive.log_restarted);
    assert!((1..=passive.log_frames).contains(&passive.frames_copied), "{passive:?}");
    for mode in [CheckpointMode::Full, CheckpointMode::Restart, CheckpointMode::Truncate] {
        let refused = store.checkpoint_timeout(mode, Duration::ZERO);
        assert!(matches!(refused, Err(Error::Busy)), "{mode}: {refused:?}");
    }
    drop(snapshot);
    let full = store.flush(CheckpointMode::Full).unwrap();
    assert!(full.is_complete && full.upto >= newest, "{full:?}");
    assert_eq!(full.frames_copied, full.log_frames);
    put(&store, [1], b"x", CommitSync::Normal);
    assert!(store.flush(CheckpointMode::Restart).unwrap().log_restarted);
    let nothing = store.flush(CheckpointMode::Full).unwrap();
    assert_eq!((nothing.is_complete, nothing.pages_copied), (true, 0));
    let txn = store.begin_write().unwrap();
    assert!(store.flush(CheckpointMode::Passive).unwrap().is_complete, "passive waits for nobody");
    drop(txn);
    store.close().unwrap();
    let read_only = StoreOptions { read_only: true, ..options() };
    let reader = open_with(&vfs, read_only).unwrap();
    assert!(matches!(reader.flush(CheckpointMode::Passive), Err(Error::ReadOnly)));
}

#[test]
fn modes_are_written_as_everywhere() {
    for (text, mode) in [
        ("", CheckpointMode::Passive),
        ("passive", CheckpointMode::Passive),
        ("CHECKPOINT_PASSIVE", CheckpointMode::Passive),
        ("CHECKPOINT_FULL", CheckpointMode::Full),
        ("CHECKPOINT_RESTART", CheckpointMode::Restart),
        ("CHECKPOINT_TRUNCATE", CheckpointMode::Truncate),
    ] {
        assert_eq!(text.parse::<CheckpointMode>().unwrap(), mode);
        assert_eq!(mode.to_string().parse::<CheckpointMode>().unwrap(), mode);
    }
    for text in ["checkpoint", "CHECKPOINT_", "passive ", "checkpoint_checkpoint_full"] {
        assert!(matches!(text.parse::<CheckpointMode>(), Err(Error::InvalidOptions(_))), "{text}");
    }
}

#[test]
fn under_a_long_reader_automatic_checkpoints_are_not_repeated_in_vain() {
    let vfs = HookedVfs::new(MemVfs::new());
    let inline = AutoCheckpoint::Inline { after_bytes: 100_000 };
    let store = open_with(&vfs, StoreOptions { auto_checkpoint: inline, ..options() }).unwrap();
    put(&store, 0..20, &[0; 700], CommitSync::Normal);
    let snapshot = store.begin_read().unwrap();
    for round in 0..200u8 {
        put(&store, 0..20, &[round; 700], CommitSync::Normal);
    }
    let stats = store.stats().unwrap();
    assert!(stats.log_bytes > 2_000_000, "the reader holds the log: {}", stats.log_bytes);
    // Each attempt waits for a quarter more of log.
    assert!((1..40).contains(&stats.checkpoint_count), "{}", stats.checkpoint_count);
    drop(snapshot);
    put(&store, 0..20, &[0; 700], CommitSync::Normal);
    let stats = store.stats().unwrap();
    assert!(stats.log_bytes < 100_000, "the log is short again: {}", stats.log_bytes);
}

#[test]
fn an_automatic_checkpoint_that_fails_is_reported_and_not_repeated_at_each_commit() {
    let vfs = HookedVfs::new(MemVfs::new());
    let inline = AutoCheckpoint::Inline { after_bytes: 100_000 };
    let (options, reports) =
        reporting(StoreOptions { auto_checkpoint: inline, ..StoreOptions::default() });
    let store = open_with(&vfs, options).unwrap();
    put(&store, 0..20, &[0; 700], CommitSync::Normal);
    vfs.set_hook(|call| {
        let is_page = call.begins(Kind::Write, PATH) && call.offset >= 8192;
        if is_page { Err(eio()) } else { Ok(()) }
    });
    for round in 0..100u8 {
        put(&store, 0..20, &[round; 700], CommitSync::Normal);
    }
    let stats = store.stats().unwrap();
    assert_eq!(stats.background_failure_count, reports.lock().unwrap().len() as u64);
    assert!((1..20).contains(&stats.background_failure_count), "{stats:?}");
    assert!(stats.last_checkpoint_error.unwrap().contains("injected"));
    assert!(store.close().is_err(), "the close meets it again and says so");
    vfs.clear_hook();
    assert_eq!(contents_of(&open(&vfs)).len(), 20);
}

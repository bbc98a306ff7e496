//! The sentinel: when it is there, what open does about it, and what failures leave.

mod support;

use any_store_storage::vfs::{MemVfs, OpenMode, Vfs};
use any_store_storage::{CheckpointMode, Error, Store, StoreOptions, Sync as CommitSync};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;

const SENTINEL: &str = "/db.lock";

fn guarded() -> StoreOptions {
    StoreOptions { sentinel: true, ..options() }
}

fn hooked() -> HookedVfs {
    HookedVfs::new(MemVfs::new())
}

fn stands(vfs: &MemVfs) -> bool {
    vfs.open(Path::new(SENTINEL), OpenMode::Read).is_ok()
}

fn write(store: &Store, n: u64) {
    put(store, [n], b"value", CommitSync::Normal);
}

fn all_bytes(vfs: &MemVfs) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = vfs.list(Path::new("/")).unwrap();
    entries.into_iter().map(|entry| (entry.path.clone(), bytes_of(vfs, entry.path))).collect()
}

/// What a process that was killed with unflushed commits leaves.
fn left_dirty() -> HookedVfs {
    let vfs = hooked();
    let store = open_with(&vfs, guarded()).unwrap();
    put(&store, 0..50, &[1; 500], CommitSync::Normal);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    put(&store, 0..50, &[2; 500], CommitSync::Normal);
    HookedVfs::new(image(&vfs.mem))
}

#[test]
fn it_stands_from_the_first_commit_to_the_flush() {
    let vfs = hooked();
    let store = open_with(&vfs, guarded()).unwrap();
    store.begin_write().unwrap().commit().unwrap();
    assert!(contents_of(&store).is_empty());
    assert!(!stands(&vfs.mem), "nothing was committed");
    for round in 0..3 {
        write(&store, round);
        assert!(stands(&vfs.mem));
        write(&store, round);
        assert!(store.flush(CheckpointMode::Passive).unwrap().is_complete);
        assert!(!stands(&vfs.mem));
    }
    // What a reader keeps in the log is durable there.
    let snapshot = store.begin_read().unwrap();
    write(&store, 3);
    assert!(!store.flush(CheckpointMode::Passive).unwrap().is_complete);
    assert!(!stands(&vfs.mem));
    drop(snapshot);
    write(&store, 4);
    assert!(stands(&vfs.mem));
    store.close().unwrap();
    assert!(!stands(&vfs.mem));
    let store = open_with(&vfs, guarded()).unwrap();
    assert!(!store.stats().unwrap().dirty_on_open);
}

#[test]
fn it_stands_before_the_first_frame_is_written() {
    let vfs = hooked();
    let store = open_with(&vfs, guarded()).unwrap();
    let (files, seen) = (vfs.mem.clone(), Arc::new(AtomicBool::new(false)));
    let has_written = Arc::clone(&seen);
    vfs.set_hook(move |call| {
        // Byte 4096 of the log is where frames begin.
        if call.begins(Kind::Write, LOG) && call.offset >= 4096 {
            assert!(stands(&files), "a frame without the sentinel");
            has_written.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    for round in 0..3 {
        seen.store(false, Ordering::SeqCst);
        write(&store, round);
        assert!(seen.load(Ordering::SeqCst));
        store.flush(CheckpointMode::Restart).unwrap();
    }
}

#[test]
fn it_says_whose_it_is() {
    let vfs = hooked();
    let store = open_with(&vfs, guarded()).unwrap();
    write(&store, 1);
    let content = bytes_of(&vfs.mem, SENTINEL);
    assert_eq!(content.len(), 64);
    assert!(content.starts_with(b"any-store use\r\n\n"));
    assert_eq!(content[16..32], bytes_of(&vfs.mem, PATH)[24..40], "the database id");
    assert_eq!(content[56..60], vfs.process_id().to_le_bytes());
}

#[test]
fn a_commit_during_a_flush_keeps_it() {
    let vfs = hooked();
    let store = open_with(&vfs, guarded()).unwrap();
    write(&store, 1);
    let (other, armed) = (store.clone(), AtomicBool::new(true));
    vfs.set_hook(move |call| {
        // The log is synced; what is committed now is not.
        let is_later = call.begins(Kind::Write, PATH) && call.offset >= 8192;
        if is_later && armed.swap(false, Ordering::SeqCst) {
            write(&other, 2);
        }
        Ok(())
    });
    store.flush(CheckpointMode::Passive).unwrap();
    vfs.clear_hook();
    let is_durable = store.stats().unwrap().log_bytes == 0;
    assert!(stands(&vfs.mem) || is_durable);
    store.flush(CheckpointMode::Full).unwrap();
    assert!(!stands(&vfs.mem));
}

#[test]
fn found_at_open_it_brings_about_a_check_and_goes() {
    let vfs = left_dirty();
    let ignoring = open_with(&HookedVfs::new(image(&vfs.mem)), options()).unwrap();
    assert!(!ignoring.stats().unwrap().dirty_on_open, "nobody asked for it");

    let store = open_with(&vfs, guarded()).unwrap();
    let stats = store.stats().unwrap();
    assert!(stats.dirty_on_open);
    assert!(stats.dirty_quick_check.is_some());
    assert!(!stats.is_recovered, "what was recovered is durable");
    assert!(!stands(&vfs.mem));
    assert_eq!(contents_of(&store).len(), 50);
    expect_sound(&store);
    write(&store, 1);
    assert!(stands(&vfs.mem));
    store.close().unwrap();
    let store = open_with(&vfs, guarded()).unwrap();
    assert!(!store.stats().unwrap().dirty_on_open);
    assert_eq!(store.stats().unwrap().dirty_quick_check, None);
}

#[test]
fn a_database_that_fails_the_check_is_not_opened_and_not_changed() {
    let vfs = left_dirty();
    // Every page of the file; those of the log make up for some of them only.
    let mut bytes = bytes_of(&vfs.mem, PATH);
    for page in bytes.chunks_mut(4096).skip(2) {
        page[100] ^= 1;
    }
    set_bytes(&vfs.mem, PATH, &bytes);
    let before = all_bytes(&vfs.mem);
    let refused = open_with(&vfs, guarded());
    assert!(matches!(refused, Err(Error::QuickCheckFailed { .. })), "{refused:?}");
    assert!(all_bytes(&vfs.mem) == before);
    let again = open_with(&vfs, guarded());
    assert!(matches!(again, Err(Error::QuickCheckFailed { .. })), "and not locked: {again:?}");
}

#[test]
fn a_reader_reports_it_and_writes_nothing() {
    let vfs = left_dirty();
    let before = all_bytes(&vfs.mem);
    let store = open_with(&vfs, StoreOptions { read_only: true, ..guarded() }).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.dirty_on_open, stats.dirty_quick_check), (true, None));
    store.close().unwrap();
    assert!(all_bytes(&vfs.mem) == before);
}

#[test]
fn torn_ones_count_and_files_of_others_are_left_alone() {
    for (content, is_ours) in [
        (&b""[..], true),
        (b"any-store", true),
        (&[0; 40], true),
        (&[0; 64], true),
        (&[0xFF; 64], true),
        (b"4711\n", false),
        (&[0; 65], false),
    ] {
        let vfs = hooked();
        open(&vfs).close().unwrap();
        set_bytes(&vfs.mem, SENTINEL, content);
        match open_with(&vfs, guarded()) {
            Ok(store) => {
                assert!(is_ours, "{content:?}");
                assert!(store.stats().unwrap().dirty_on_open);
                assert!(!stands(&vfs.mem));
            }
            Err(error) => {
                assert!(!is_ours, "{content:?}: {error}");
                assert!(matches!(error, Error::Io { .. }), "{error}");
                assert_eq!(bytes_of(&vfs.mem, SENTINEL), content);
            }
        }
    }
}

#[test]
fn an_error_of_the_look_is_not_taken_for_absence() {
    let vfs = left_dirty();
    let before = all_bytes(&vfs.mem);
    for kind in [Kind::Open, Kind::Len, Kind::Read] {
        vfs.set_hook(move |call| if call.begins(kind, SENTINEL) { Err(eio()) } else { Ok(()) });
        let refused = open_with(&vfs, guarded());
        assert!(matches!(refused, Err(Error::Io { .. })), "{kind:?}: {refused:?}");
    }
    assert!(all_bytes(&vfs.mem) == before);
}

#[test]
fn a_commit_that_cannot_have_it_is_not_applied() {
    for (kind, is_final) in [(Kind::Open, false), (Kind::Write, false), (Kind::Sync, true)] {
        let vfs = hooked();
        let store = open_with(&vfs, guarded()).unwrap();
        vfs.set_hook(move |call| if call.begins(kind, SENTINEL) { Err(eio()) } else { Ok(()) });
        let refused = try_put(&store, [1], b"value", CommitSync::Normal);
        assert!(matches!(refused, Err(Error::Io { .. })), "{kind:?}: {refused:?}");
        assert!(contents_of(&store).is_empty());
        vfs.clear_hook();
        let next = try_put(&store, [1], b"value", CommitSync::Normal);
        assert_eq!(matches!(next, Err(Error::Failed)), is_final, "{kind:?}: {next:?}");
        assert!(is_final || stands(&vfs.mem), "{kind:?}");
    }
}

#[test]
fn a_removal_that_failed_half_way_is_made_good_by_the_next_commit() {
    for done in [false, true] {
        let vfs = hooked();
        let store = open_with(&vfs, guarded()).unwrap();
        write(&store, 1);
        vfs.set_hook(move |call| {
            let fails = call.is(Kind::Remove, SENTINEL) && call.done == done;
            if fails { Err(eio()) } else { Ok(()) }
        });
        let refused = store.flush(CheckpointMode::Passive);
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
        vfs.clear_hook();
        assert_eq!(stands(&vfs.mem), !done);
        write(&store, 2);
        assert!(stands(&vfs.mem));
        store.close().unwrap();
        assert!(!stands(&vfs.mem));
    }
}

#[test]
fn a_close_that_secured_nothing_leaves_it() {
    let vfs = hooked();
    let store = open_with(&vfs, guarded()).unwrap();
    write(&store, 1);
    vfs.set_hook(|call| if call.begins(Kind::Sync, PATH) { Err(eio()) } else { Ok(()) });
    assert!(store.close().is_err());
    vfs.clear_hook();
    assert!(stands(&vfs.mem));
    let store = open_with(&vfs, guarded()).unwrap();
    assert!(store.stats().unwrap().dirty_on_open);
    assert_eq!(contents_of(&store).len(), 1);
}

#[test]
fn a_full_disk_at_a_dirty_open_leaves_it_and_reads_on() {
    let vfs = left_dirty();
    vfs.set_hook(|call| match call.kind {
        Kind::Write | Kind::Allocate | Kind::SetLen if !call.done => {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    });
    let store = open_with(&vfs, guarded()).unwrap();
    let stats = store.stats().unwrap();
    assert!(stats.dirty_on_open && stats.last_checkpoint_error.is_some());
    assert!(stands(&vfs.mem));
    assert_eq!(contents_of(&store).len(), 50);
    vfs.clear_hook();
    write(&store, 1);
    store.close().unwrap();
    assert!(!stands(&vfs.mem));
}

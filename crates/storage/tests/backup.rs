//! Backups and compaction: what they hold, what they leave alone, and what their failures leave.

mod support;

use any_store_storage::vfs::{MemVfs, OpenMode, OsVfs, Vfs};
use any_store_storage::{
    BackupOptions, Cancel, CheckpointMode, Error, OnProgress, Store, StoreOptions,
    Sync as CommitSync, TreeId, TreeOptions,
};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use support::*;

const COPY: &str = "/copy";
const COPY_LOG: &str = "/copy-wal";

fn hooked() -> HookedVfs {
    HookedVfs::new(MemVfs::new())
}

fn overwrite() -> BackupOptions {
    BackupOptions { overwrite: true, ..BackupOptions::default() }
}

fn open_copy(vfs: &HookedVfs) -> Store {
    let no_new = StoreOptions { create: false, ..options() };
    Store::open(Arc::new(vfs.clone()), Path::new(COPY), no_new).unwrap()
}

/// All trees of a store with their entries.
fn everything(store: &Store) -> BTreeMap<u32, Contents> {
    let snapshot = store.begin_read().unwrap();
    let mut all = BTreeMap::new();
    for tree in 1..40 {
        if snapshot.tree_stats(TreeId(tree)).unwrap().is_none() {
            continue;
        }
        let entries: &mut Contents = all.entry(tree).or_default();
        let mut cursor = snapshot.cursor(TreeId(tree)).unwrap();
        let mut on_entry = cursor.first().unwrap();
        while on_entry {
            entries.insert(cursor.key().to_vec(), cursor.value().unwrap().to_vec());
            on_entry = cursor.next().unwrap();
        }
    }
    all
}

/// Trees of all page sizes, large values, long keys, freed blocks, a dropped tree; part of it in the
/// file and part in the log.
fn fill(store: &Store) {
    put(store, 0..400, &[1; 700], CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    for page_blocks in [1, 2, 4, 1] {
        let tree = txn.create_tree(TreeOptions { page_blocks: Some(page_blocks) }).unwrap();
        for n in 0..60u64 {
            let key = [&key(n)[..], &vec![b'k'; (n as usize * 97) % 3000]].concat();
            txn.put(tree, &key, &vec![n as u8; (n as usize * 1013) % 30_000]).unwrap();
        }
    }
    txn.commit().unwrap();
    store.checkpoint(CheckpointMode::Passive).unwrap();
    let mut txn = store.begin_write().unwrap();
    txn.drop_tree(TreeId(5)).unwrap();
    for n in 50..350 {
        txn.remove(TREE, &key(n)).unwrap();
    }
    let late = txn.create_tree(TreeOptions::default()).unwrap();
    txn.put(late, b"late", &[9; 50_000]).unwrap();
    txn.bump_catalog_version().unwrap();
    txn.commit().unwrap();
}

/// The same in small.
fn fill_a_little(store: &Store) {
    put(store, 0..60, &[1; 700], CommitSync::Normal);
    store.checkpoint(CheckpointMode::Passive).unwrap();
    put(store, 20..25, &[2; 20_000], CommitSync::Normal);
    let mut txn = store.begin_write().unwrap();
    for n in 30..50 {
        txn.remove(TREE, &key(n)).unwrap();
    }
    txn.commit().unwrap();
}

/// One file, closed, sound, and with the same content; also after it was written to.
fn expect_copy_of(store: &Store, vfs: &HookedVfs) {
    assert!(vfs.mem.open(Path::new(COPY_LOG), OpenMode::Read).is_err(), "a copy has no log");
    let copy = open_copy(vfs);
    expect_sound(&copy);
    assert!(everything(&copy) == everything(store), "the copy holds something else");
    let snapshots = (copy.begin_read().unwrap(), store.begin_read().unwrap());
    assert_eq!(snapshots.0.commit_no(), snapshots.1.commit_no());
    assert_eq!(snapshots.0.catalog_version(), snapshots.1.catalog_version());
    drop(snapshots);
    let bytes = bytes_of(&vfs.mem, COPY);
    let mut txn = copy.begin_write().unwrap();
    let next = txn.create_tree(TreeOptions::default()).unwrap();
    assert_eq!(next, TreeId(7), "numbers of trees are not used again");
    for n in 0..500 {
        txn.put(TREE, &key(n), &[7; 3000]).unwrap();
    }
    txn.commit().unwrap();
    expect_sound(&copy);
    copy.close().unwrap();
    expect_sound(&open_copy(vfs));
    set_bytes(&vfs.mem, COPY, &bytes);
}

#[test]
fn a_backup_holds_what_the_store_holds() {
    let vfs = hooked();
    let store = open(&vfs);
    fill(&store);
    let verified = BackupOptions { verify: true, ..BackupOptions::default() };
    let report = store.backup(Path::new(COPY), &verified).unwrap();
    assert_eq!(report.commit, store.stats().unwrap().commit);
    assert_eq!(report.file_bytes, bytes_of(&vfs.mem, COPY).len() as u64);
    expect_copy_of(&store, &vfs);
    store.checkpoint(CheckpointMode::Passive).unwrap();
    store.backup(Path::new(COPY), &overwrite()).unwrap();
    expect_copy_of(&store, &vfs);
}

#[test]
fn a_backup_to_a_writer_is_the_same_file() {
    let vfs = hooked();
    let store = open(&vfs);
    fill(&store);
    let mut bytes = Vec::new();
    let report = store.backup_to(&mut bytes, &BackupOptions::default()).unwrap();
    assert_eq!(report.file_bytes, bytes.len() as u64);
    vfs.mem.put_file(COPY, bytes);
    expect_copy_of(&store, &vfs);
}

#[test]
fn a_compacted_copy_holds_what_the_store_holds() {
    let vfs = hooked();
    let store = open(&vfs);
    fill(&store);
    let verified = BackupOptions { verify: true, ..BackupOptions::default() };
    let report = store.compact_to(Path::new(COPY), &verified).unwrap();
    assert_eq!(report.file_bytes, bytes_of(&vfs.mem, COPY).len() as u64);
    expect_copy_of(&store, &vfs);
}

#[test]
fn an_empty_store_is_copied_too() {
    for compact in [false, true] {
        let vfs = hooked();
        let store = open(&vfs);
        let verified = BackupOptions { verify: true, ..BackupOptions::default() };
        match compact {
            true => store.compact_to(Path::new(COPY), &verified).unwrap(),
            false => store.backup(Path::new(COPY), &verified).unwrap(),
        };
        expect_sound(&open_copy(&vfs));
        assert!(everything(&open_copy(&vfs)).is_empty());
    }
}

#[test]
fn a_log_of_the_source_is_refused_by_the_copy() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    store.backup(Path::new(COPY), &BackupOptions::default()).unwrap();
    let log = bytes_of(&vfs.mem, LOG);
    set_bytes(&vfs.mem, COPY_LOG, &log);
    let copy = open_copy(&vfs);
    assert_eq!(contents_of(&copy).len(), 10);
    assert!(matches!(copy.begin_write(), Err(Error::LogDamaged { .. })));
    assert!(bytes_of(&vfs.mem, COPY_LOG) == log, "it may be needed elsewhere");
}

#[test]
fn a_store_in_memory_is_backed_up_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.any");
    let store = open(&hooked());
    fill(&store);
    let to_disk = BackupOptions { vfs: Some(Arc::new(OsVfs)), ..BackupOptions::default() };
    store.backup(&path, &to_disk).unwrap();
    let copy = Store::open(Arc::new(OsVfs), &path, StoreOptions::default()).unwrap();
    assert!(everything(&copy) == everything(&store));
    expect_sound(&copy);
    copy.close().unwrap();
    let names: Vec<_> = OsVfs.list(dir.path()).unwrap().into_iter().map(|e| e.path).collect();
    assert_eq!(names, std::slice::from_ref(&path));
    // And the way back.
    let memory = MemVfs::new();
    memory.put_file(PATH, std::fs::read(&path).unwrap());
    assert!(everything(&open_mem(&memory).unwrap()) == everything(&store));
}

#[test]
fn a_target_that_is_taken_or_in_use_is_refused() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    for options in [BackupOptions::default(), overwrite()] {
        let onto_itself = store.backup(Path::new(PATH), &options);
        assert!(matches!(onto_itself, Err(Error::Locked { .. })), "{onto_itself:?}");
    }
    let other = Store::open(Arc::new(vfs.clone()), Path::new(COPY), options()).unwrap();
    put(&other, 0..3, b"other", CommitSync::Normal);
    let refused = store.backup(Path::new(COPY), &overwrite());
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    other.close().unwrap();
    drop(other);
    let refused = store.backup(Path::new(COPY), &BackupOptions::default());
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    assert!(matches!(&refused, Err(Error::Io { source, .. }) if is_taken(source)), "{refused:?}");
    assert_eq!(contents_of(&open_copy(&vfs)).len(), 3);
    store.backup(Path::new(COPY), &overwrite()).unwrap();
    assert_eq!(contents_of(&open_copy(&vfs)).len(), 10);

    set_bytes(&vfs.mem, COPY, b"a letter to a friend");
    let refused = store.backup(Path::new(COPY), &overwrite());
    assert!(matches!(refused, Err(Error::NotADatabase)), "{refused:?}");
    assert_eq!(bytes_of(&vfs.mem, COPY), b"a letter to a friend");
    let nowhere = store.backup(Path::new(COPY_LOG), &overwrite());
    assert!(nowhere.is_ok(), "any free name will do");
    expect_no_leftovers(&vfs);
}

#[test]
fn a_log_beside_the_target_does_not_spoil_the_copy() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..10, b"x", CommitSync::Normal);
    // A killed process left its database with its log.
    let killed = Store::open(Arc::new(vfs.clone()), Path::new(COPY), options()).unwrap();
    put(&killed, 0..3, b"other", CommitSync::Normal);
    let (main, log) = (bytes_of(&vfs.mem, COPY), bytes_of(&vfs.mem, COPY_LOG));
    drop(killed);
    vfs.mem.put_file(COPY_LOG, log.clone());
    let refused = store.backup(Path::new(COPY), &BackupOptions::default());
    assert!(refused.is_err());
    vfs.mem.put_file(COPY, main);
    vfs.mem.put_file(COPY_LOG, log.clone());
    store.backup(Path::new(COPY), &overwrite()).unwrap();
    let copy = open_copy(&vfs);
    put(&copy, 10..12, b"y", CommitSync::Full);
    assert_eq!(contents_of(&copy).len(), 12);
    copy.close().unwrap();
    vfs.mem.remove(Path::new(COPY)).unwrap();
    vfs.mem.put_file(COPY_LOG, log);
    let refused = store.backup(Path::new(COPY), &BackupOptions::default());
    assert!(refused.is_err(), "the log would be in the way of the copy: {refused:?}");
}

fn expect_no_leftovers(vfs: &HookedVfs) {
    let names = vfs.mem.list(Path::new("/")).unwrap();
    let left: Vec<_> =
        names.iter().filter(|e| e.path.to_string_lossy().contains(".new-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..3000, &[1; 4000], CommitSync::Normal);
    for compact in [false, true] {
        let cancel = Cancel::new();
        let by_callback = cancel.clone();
        let options = BackupOptions {
            cancel,
            on_progress: Some(OnProgress::new(move |progress| {
                assert!(progress.done_blocks < progress.total_blocks);
                by_callback.cancel();
            })),
            ..BackupOptions::default()
        };
        let ended = match compact {
            true => store.compact_to(Path::new(COPY), &options),
            false => store.backup(Path::new(COPY), &options),
        };
        assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
        assert!(vfs.mem.open(Path::new(COPY), OpenMode::Read).is_err());
        expect_no_leftovers(&vfs);
    }
}

#[test]
fn progress_grows_up_to_the_whole() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..6000, &[1; 4000], CommitSync::Normal);
    for compact in [false, true] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let options = BackupOptions {
            on_progress: Some(OnProgress::new(move |progress| sink.lock().unwrap().push(progress))),
            ..overwrite()
        };
        match compact {
            true => store.compact_to(Path::new(COPY), &options).unwrap(),
            false => store.backup(Path::new(COPY), &options).unwrap(),
        };
        let seen = seen.lock().unwrap();
        assert!(seen.len() > 4, "{seen:?}");
        assert!(seen.is_sorted_by_key(|progress| progress.done_blocks), "{seen:?}");
        assert!(seen.last().is_some_and(|last| last.done_blocks == last.total_blocks));
    }
}

/// Runs a copy with each call on the target failing in turn, before or after it took effect. Ends
/// when the copy makes fewer calls than that.
fn fail_each_call(vfs: &HookedVfs, copy: &dyn Fn() -> bool, check: &dyn Fn(bool)) {
    for done in [false, true] {
        for failing in 0.. {
            let count = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&count);
            vfs.set_hook(move |call| {
                let is_ours = call.path.to_string_lossy().contains("/copy")
                    || matches!(call.kind, Kind::SyncDir | Kind::Random);
                let hit = is_ours
                    && call.done == done
                    && counted.fetch_add(1, Ordering::SeqCst) == failing;
                if hit { Err(eio()) } else { Ok(()) }
            });
            let is_copied = copy();
            vfs.clear_hook();
            check(is_copied);
            if count.load(Ordering::SeqCst) <= failing {
                assert!(is_copied && failing > 8, "{failing} calls");
                break;
            }
        }
    }
}

#[test]
fn whatever_fails_the_target_is_the_old_one_or_the_new_one() {
    for compact in [false, true] {
        for is_there in [false, true] {
            let vfs = hooked();
            let store = open(&vfs);
            fill_a_little(&store);
            let old = {
                let other = Store::open(Arc::new(vfs.clone()), Path::new(COPY), options()).unwrap();
                put(&other, 0..3, b"other", CommitSync::Normal);
                other.close().unwrap();
                bytes_of(&vfs.mem, COPY)
            };
            let reset = || match is_there {
                true => vfs.mem.put_file(COPY, old.clone()),
                false => drop(vfs.mem.remove(Path::new(COPY))),
            };
            reset();
            let copy = || {
                let options = BackupOptions { verify: true, overwrite: is_there, ..overwrite() };
                match compact {
                    true => store.compact_to(Path::new(COPY), &options).is_ok(),
                    false => store.backup(Path::new(COPY), &options).is_ok(),
                }
            };
            let (new_count, old_count) = (contents_of(&store).len(), 3);
            let check = |is_copied: bool| {
                let exists = vfs.mem.open(Path::new(COPY), OpenMode::Read).is_ok();
                assert!(exists || !is_there && !is_copied, "the target is gone");
                if exists {
                    let copy = open_copy(&vfs);
                    let count = contents_of(&copy).len();
                    assert!(count == new_count || is_there && !is_copied && count == old_count);
                    expect_sound(&copy);
                }
                reset();
            };
            fail_each_call(&vfs, &copy, &check);
            assert_eq!(contents_of(&store).len(), new_count, "the source has not noticed");
            expect_sound(&store);
        }
    }
}

#[test]
fn a_writer_that_fails_fails_the_backup() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.0);
            self.0 -= len;
            if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let store = open(&hooked());
    fill(&store);
    let mut bytes = Vec::new();
    store.backup_to(&mut bytes, &BackupOptions::default()).unwrap();
    for room in [0, 1, 8192, bytes.len() / 2, bytes.len() - 1] {
        let ended = store.backup_to(&mut Full(room), &BackupOptions::default());
        assert!(matches!(ended, Err(Error::NoSpace { .. })), "{room}: {ended:?}");
    }
    assert!(store.backup_to(&mut Full(bytes.len()), &BackupOptions::default()).is_ok());
}

#[test]
fn damage_in_the_source_is_never_copied() {
    let vfs = hooked();
    let store = open(&vfs);
    fill(&store);
    store.close().unwrap();
    let good = bytes_of(&vfs.mem, PATH);
    let used: Vec<usize> = (2..good.len() / 4096)
        .filter(|b| good[b * 4096..][..4096].iter().any(|&x| x != 0))
        .collect();
    for block in used.into_iter().step_by(7) {
        let mut bad = good.clone();
        bad[block * 4096 + 1000] ^= 1;
        set_bytes(&vfs.mem, PATH, &bad);
        let store = open(&vfs);
        for ended in [
            store.backup(Path::new(COPY), &BackupOptions::default()),
            store.backup_to(&mut io::sink(), &BackupOptions::default()),
            store.compact_to(Path::new(COPY), &BackupOptions::default()),
        ] {
            // A compaction reads no bitmaps.
            let is_bitmap = block == 2 && ended.is_ok();
            assert!(is_bitmap || matches!(ended, Err(Error::Corrupt { .. })), "{block}: {ended:?}");
        }
        let _ = vfs.mem.remove(Path::new(COPY));
    }
    expect_no_leftovers(&vfs);
}

const ACCOUNTS: u64 = 200;

fn balance(contents: &Contents) -> u64 {
    contents.values().map(|value| u64::from_be_bytes(value[..8].try_into().unwrap())).sum()
}

#[test]
fn a_backup_under_writes_is_one_instant() {
    let vfs = hooked();
    let store = open(&vfs);
    let mut txn = store.begin_write().unwrap();
    assert_eq!(txn.create_tree(TreeOptions { page_blocks: Some(1) }).unwrap(), TREE);
    let entry = |amount: u64| [&amount.to_be_bytes()[..], &[3; 900]].concat();
    for account in 0..ACCOUNTS {
        txn.put(TREE, &key(account), &entry(1000)).unwrap();
    }
    txn.commit().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let transfers = Arc::new(AtomicU64::new(0));
    let writer = {
        let (store, stop, transfers) = (store.clone(), stop.clone(), transfers.clone());
        std::thread::spawn(move || {
            let mut n = 1u64;
            while !stop.load(Ordering::SeqCst) {
                let mut txn = store.begin_write().unwrap();
                let mut amounts = [0, 0];
                let accounts = [n * 7 % ACCOUNTS, (n * 13 + 1) % ACCOUNTS];
                for (amount, account) in amounts.iter_mut().zip(accounts) {
                    let value = txn.get(TREE, &key(account)).unwrap().unwrap();
                    *amount = u64::from_be_bytes(value[..8].try_into().unwrap());
                }
                if accounts[0] != accounts[1] && amounts[0] > 0 {
                    txn.put(TREE, &key(accounts[0]), &entry(amounts[0] - 1)).unwrap();
                    txn.put(TREE, &key(accounts[1]), &entry(amounts[1] + 1)).unwrap();
                    txn.commit().unwrap();
                }
                if n.is_multiple_of(50) {
                    store.checkpoint(CheckpointMode::Passive).unwrap();
                }
                n += 1;
                transfers.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    for round in 0..40 {
        // Somebody writes between any two backups.
        let before = transfers.load(Ordering::SeqCst);
        while transfers.load(Ordering::SeqCst) < before + 3 {
            std::thread::yield_now();
        }
        let copied = match round % 2 {
            0 => store.backup(Path::new(COPY), &overwrite()).unwrap(),
            _ => store.compact_to(Path::new(COPY), &overwrite()).unwrap(),
        };
        let copy = open_copy(&vfs);
        let contents = contents_of(&copy);
        assert_eq!((contents.len() as u64, balance(&contents)), (ACCOUNTS, ACCOUNTS * 1000));
        assert_eq!(copy.begin_read().unwrap().commit_no(), copied.commit);
        expect_sound(&copy);
        assert_eq!(store.verify().unwrap().findings, [], "the sweep works under writes");
        assert_eq!(store.integrity_check().unwrap().findings, []);
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn compaction_in_place_shrinks_the_file() {
    let vfs = hooked();
    let store = open(&vfs);
    put(&store, 0..5000, &[1; 2000], CommitSync::Normal);
    store.checkpoint(CheckpointMode::Passive).unwrap();
    let mut txn = store.begin_write().unwrap();
    for n in (0..5000).filter(|n| n % 10 != 0) {
        txn.remove(TREE, &key(n)).unwrap();
    }
    txn.commit().unwrap();
    let want = contents_of(&store);
    let in_use = Store::compact(Arc::new(vfs.clone()), Path::new(PATH), &overwrite());
    assert!(matches!(in_use, Err(Error::Locked { .. })));
    // Killed: what it needs is in its log.
    let killed = HookedVfs::new(image(&vfs.mem));
    let report = Store::compact(Arc::new(killed.clone()), Path::new(PATH), &overwrite()).unwrap();
    let bytes = bytes_of(&killed.mem, PATH).len() as u64;
    assert_eq!(report.file_bytes, bytes);
    let payload = 500 * (2000 + 8);
    assert!(bytes < payload * 135 / 100 + 65_536, "{bytes} bytes for {payload}");
    assert!(killed.mem.open(Path::new(LOG), OpenMode::Read).is_err());
    let compacted = open(&killed);
    assert!(contents_of(&compacted) == want);
    expect_sound(&compacted);
    put(&compacted, 0..100, b"z", CommitSync::Full);
    expect_sound(&compacted);
}

#[test]
fn whatever_fails_a_compaction_in_place_loses_nothing() {
    let vfs = hooked();
    let store = open(&vfs);
    fill_a_little(&store);
    let want = everything(&store);
    let start = image(&vfs.mem);
    drop(store);
    for done in [false, true] {
        for failing in 0.. {
            let vfs = HookedVfs::new(image(&start));
            let count = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&count);
            vfs.set_hook(move |call| {
                let hit = call.done == done && counted.fetch_add(1, Ordering::SeqCst) == failing;
                if hit { Err(eio()) } else { Ok(()) }
            });
            let compacted = Store::compact(Arc::new(vfs.clone()), Path::new(PATH), &overwrite());
            vfs.clear_hook();
            let after = open(&vfs);
            assert!(everything(&after) == want, "call {failing}");
            expect_sound(&after);
            put(&after, 0..3, b"goes on", CommitSync::Full);
            expect_no_leftovers(&vfs);
            if count.load(Ordering::SeqCst) <= failing {
                compacted.unwrap();
                break;
            }
        }
    }
}

#[test]
fn a_close_ends_copies_and_checks_with_its_own_error() {
    for round in 0..12 {
        let vfs = hooked();
        let store = open(&vfs);
        put(&store, 0..2000, &[1; 3000], CommitSync::Normal);
        store.checkpoint(CheckpointMode::Passive).unwrap();
        put(&store, (0..2000).step_by(3), &[2; 2000], CommitSync::Normal);
        // The close begins at some read of the work.
        let armed = Arc::new(AtomicU64::new(2 + round * 5));
        let (closing, hooked_store) = (Arc::new(Mutex::new(None)), store.clone());
        let started = Arc::clone(&closing);
        vfs.set_hook(move |call| {
            let is_read = call.begins(Kind::Read, PATH);
            if is_read && armed.fetch_sub(1, Ordering::SeqCst) == 1 {
                let store = hooked_store.clone();
                *started.lock().unwrap() = Some(std::thread::spawn(move || store.close()));
            }
            Ok(())
        });
        let outcome = match round % 3 {
            0 => store.verify().map(|report| assert_eq!(report.findings, [])),
            1 => store.backup_to(&mut io::sink(), &BackupOptions::default()).map(drop),
            _ => store.compact_to(Path::new(COPY), &BackupOptions::default()).map(drop),
        };
        assert!(matches!(outcome, Ok(()) | Err(Error::Closed)), "{round}: {outcome:?}");
        vfs.clear_hook();
        if let Some(closing) = closing.lock().unwrap().take() {
            closing.join().unwrap().unwrap();
        }
        expect_no_leftovers(&vfs);
        drop(store);
        expect_sound(&open(&vfs));
    }
}

//! What a user of the store sees: transactions, snapshots, savepoints, open and close.

use any_store_storage::vfs::{MemVfs, OpenMode, OsVfs, Vfs, read_full, write_all};
use any_store_storage::{
    AutoCheckpoint, BLOCK_BYTES, CheckpointMode, Error, ReadTx, Store, StoreOptions, Sync, TreeId,
    TreeOptions,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATH: &str = "/db";
const TREE: TreeId = TreeId(1);

fn options() -> StoreOptions {
    StoreOptions { auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() }
}

fn open_with(vfs: &MemVfs, options: StoreOptions) -> Result<Store, Error> {
    Store::open(Arc::new(vfs.clone()), Path::new(PATH), options)
}

fn open(vfs: &MemVfs) -> Store {
    open_with(vfs, options()).expect("the store opens")
}

/// A copy of the files as a killed process leaves them.
fn image(vfs: &MemVfs) -> MemVfs {
    let copy = MemVfs::new();
    for entry in vfs.list(Path::new("/")).unwrap() {
        let from = vfs.open(&entry.path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; entry.len as usize];
        read_full(&*from, &mut bytes, 0).unwrap();
        let to = copy.open(&entry.path, OpenMode::CreateNew).unwrap();
        write_all(&*to, &bytes, 0).unwrap();
    }
    copy
}

fn flip(vfs: &MemVfs, path: &str, at: u64, bit: u8) {
    let file = vfs.open(Path::new(path), OpenMode::Write).unwrap();
    let mut byte = [0];
    read_full(&*file, &mut byte, at).unwrap();
    write_all(&*file, &[byte[0] ^ (1 << bit)], at).unwrap();
}

fn len(vfs: &MemVfs, path: &str) -> u64 {
    vfs.open(Path::new(path), OpenMode::Read).unwrap().len().unwrap()
}

fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// Commits one transaction that puts `value` under each key.
fn put(store: &Store, keys: impl IntoIterator<Item = u64>, value: &[u8], sync: Sync) {
    let mut txn = store.begin_write().unwrap();
    if txn.tree_stats(TREE).unwrap().is_none() {
        assert_eq!(txn.create_tree(TreeOptions::default()).unwrap(), TREE);
    }
    for n in keys {
        txn.put(TREE, &key(n), value).unwrap();
    }
    txn.set_sync(sync);
    txn.commit().unwrap();
}

fn contents(snapshot: &ReadTx) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    if snapshot.tree_stats(TREE).unwrap().is_none() {
        return all;
    }
    let mut cursor = snapshot.cursor(TREE).unwrap();
    let mut on_entry = cursor.first().unwrap();
    while on_entry {
        all.insert(cursor.key().to_vec(), cursor.value().unwrap().to_vec());
        on_entry = cursor.next().unwrap();
    }
    all
}

fn expect_sound(store: &Store) {
    let check = store.integrity_check().unwrap();
    assert_eq!(check.findings, []);
    let verify = store.verify().unwrap();
    assert_eq!(verify.findings, []);
    store.quick_check().unwrap();
}

#[test]
fn what_was_committed_is_there_after_close_and_after_a_kill() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..500, b"first", Sync::Normal);
    put(&store, 250..300, b"second", Sync::Full);
    let want = contents(&store.begin_read().unwrap());
    assert_eq!(want.len(), 500);

    let killed = open(&image(&vfs));
    assert_eq!(contents(&killed.begin_read().unwrap()), want);
    expect_sound(&killed);

    store.close().unwrap();
    let names: Vec<_> = vfs.list(Path::new("/")).unwrap().into_iter().map(|e| e.path).collect();
    assert_eq!(names, [Path::new(PATH)], "a closed database is one file");
    let reopened = open(&vfs);
    assert_eq!(contents(&reopened.begin_read().unwrap()), want);
    expect_sound(&reopened);
}

#[test]
fn what_was_recovered_is_one_clean_file_after_a_close_or_a_checkpoint() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..50, b"x", Sync::Normal);
    let killed = image(&vfs);
    let read_only = StoreOptions { read_only: true, ..options() };
    open_with(&killed, read_only).unwrap().close().unwrap();
    assert_eq!(killed.list(Path::new("/")).unwrap().len(), 2, "a reader leaves the log alone");
    let checkpointed = open(&killed);
    assert!(checkpointed.checkpoint(CheckpointMode::Restart).unwrap().log_restarted);
    assert!(!checkpointed.stats().unwrap().is_recovered);
    expect_sound(&checkpointed);
    drop(checkpointed);
    assert_eq!(killed.list(Path::new("/")).unwrap().len(), 1);

    let killed = image(&vfs);
    open(&killed).close().unwrap();
    assert_eq!(killed.list(Path::new("/")).unwrap().len(), 1);
    assert_eq!(contents(&open(&killed).begin_read().unwrap()).len(), 50);
}

#[test]
fn a_clean_open_writes_nothing() {
    let vfs = MemVfs::new();
    drop(open(&vfs));
    let before = image(&vfs);
    let store = open(&vfs);
    assert_eq!(contents(&store.begin_read().unwrap()).len(), 0);
    store.begin_write().unwrap().rollback();
    drop(store);
    let store = open_with(&before, StoreOptions { read_only: true, ..options() }).unwrap();
    assert!(matches!(store.begin_write(), Err(Error::ReadOnly)));
    expect_sound(&store);
    assert_eq!(before.list(Path::new("/")).unwrap().len(), 1);
}

#[test]
fn a_snapshot_never_moves_and_checkpoints_do_not_pass_it() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..2000, &[7; 300], Sync::Normal);
    let snapshot = store.begin_read().unwrap();
    let want = contents(&snapshot);
    assert!(store.checkpoint(CheckpointMode::Passive).unwrap().is_complete);
    for round in 0..20u8 {
        put(&store, (0..2000).step_by(3), &[round; 500], Sync::Normal);
        let before = store.stats().unwrap().logged_bytes;
        let report = store.checkpoint(CheckpointMode::Passive).unwrap();
        assert!(!report.is_complete, "the old snapshot holds the log");
        assert_eq!(store.stats().unwrap().logged_bytes, before, "a vain attempt logs nothing");
        assert_eq!(contents(&snapshot), want);
    }
    assert_eq!(store.stats().unwrap().snapshots.len(), 1);
    drop(snapshot);
    assert!(store.checkpoint(CheckpointMode::Restart).unwrap().log_restarted);
    assert_eq!(store.stats().unwrap().log_bytes, 0);
    expect_sound(&store);
}

#[test]
fn pages_freed_and_used_again_leave_old_snapshots_alone() {
    let vfs = MemVfs::new();
    let small_cache = StoreOptions { cache_bytes: 16 * BLOCK_BYTES as u64, ..options() };
    let store = open_with(&vfs, small_cache).unwrap();
    put(&store, 0..300, &[1; 9000], Sync::Normal);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    let snapshot = store.begin_read().unwrap();
    let want = contents(&snapshot);
    for round in 0..6u8 {
        let mut txn = store.begin_write().unwrap();
        for n in 0..300 {
            assert!(txn.remove(TREE, &key(n)).unwrap());
        }
        for n in 0..300 {
            txn.put(TREE, &key(n + 1000), &vec![round; 100 + 97 * n as usize]).unwrap();
        }
        for n in 0..300 {
            txn.remove(TREE, &key(n + 1000)).unwrap();
            txn.put(TREE, &key(n), &[round; 5000]).unwrap();
        }
        txn.commit().unwrap();
        store.checkpoint(CheckpointMode::Passive).unwrap();
        assert_eq!(contents(&snapshot), want);
    }
    drop(snapshot);
    expect_sound(&store);
    let killed = open(&image(&vfs));
    assert_eq!(contents(&killed.begin_read().unwrap()).len(), 300);
    expect_sound(&killed);
}

#[test]
fn dropping_a_write_transaction_undoes_it_and_frees_the_lock() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..10, b"kept", Sync::Normal);
    let mut txn = store.begin_write().unwrap();
    txn.put(TREE, &key(5), b"lost").unwrap();
    let other = txn.create_tree(TreeOptions::default()).unwrap();
    assert!(matches!(store.begin_write_timeout(Duration::ZERO), Err(Error::Busy)));
    drop(txn);
    let txn = store.begin_write_timeout(Duration::ZERO).unwrap();
    assert_eq!(txn.get(TREE, &key(5)).unwrap().as_deref(), Some(&b"kept"[..]));
    assert!(matches!(txn.get(other, b""), Err(Error::TreeNotFound(_))));
}

#[test]
fn savepoints_bring_back_exactly_what_was() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..200, &[3; 2000], Sync::Normal);
    let mut state = 11u64;
    let mut draw = move |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    let mut txn = store.begin_write().unwrap();
    let mut model: BTreeMap<u64, Vec<u8>> = (0..200).map(|n| (n, vec![3; 2000])).collect();
    let mut stack = Vec::new();
    for _ in 0..3000 {
        match draw(20) {
            0 => stack.push((txn.savepoint().unwrap(), model.clone())),
            1 if !stack.is_empty() => {
                let at = draw(stack.len() as u64) as usize;
                stack.truncate(at + 1);
                let (savepoint, before) = &stack[at];
                txn.rollback_to(*savepoint).unwrap();
                model = before.clone();
            }
            2 if !stack.is_empty() => {
                let at = draw(stack.len() as u64) as usize;
                txn.release(stack[at].0).unwrap();
                stack.truncate(at);
            }
            3..10 => {
                let n = draw(400);
                assert_eq!(txn.remove(TREE, &key(n)).unwrap(), model.remove(&n).is_some());
            }
            _ => {
                let (n, value) = (draw(400), vec![draw(256) as u8; draw(9000) as usize]);
                txn.put(TREE, &key(n), &value).unwrap();
                model.insert(n, value);
            }
        }
    }
    for (n, value) in &model {
        assert_eq!(txn.get(TREE, &key(*n)).unwrap().as_deref(), Some(&value[..]));
    }
    assert_eq!(txn.tree_stats(TREE).unwrap().unwrap().entry_count, model.len() as u64);
    txn.commit().unwrap();
    let want: BTreeMap<_, _> = model.into_iter().map(|(n, v)| (key(n).to_vec(), v)).collect();
    assert_eq!(contents(&store.begin_read().unwrap()), want);
    expect_sound(&store);
    store.close().unwrap();
    expect_sound(&open(&vfs));
}

#[test]
fn a_savepoint_of_another_transaction_is_refused() {
    let (one, other) = (open(&MemVfs::new()), open(&MemVfs::new()));
    let mut txn = one.begin_write().unwrap();
    let stale = txn.savepoint().unwrap();
    txn.rollback();
    for store in [&one, &other] {
        let mut txn = store.begin_write().unwrap();
        let own = txn.savepoint().unwrap();
        assert!(txn.rollback_to(stale).is_err(), "the same depth and place in another transaction");
        assert!(txn.release(stale).is_err());
        txn.rollback_to(own).unwrap();
    }
}

#[test]
fn a_key_that_is_too_long_is_refused_and_the_transaction_goes_on() {
    let store = open(&MemVfs::new());
    let mut txn = store.begin_write().unwrap();
    let tree = txn.create_tree(TreeOptions::default()).unwrap();
    txn.put(tree, b"a", b"1").unwrap();
    let too_long = vec![7; 64 << 20];
    assert!(matches!(txn.put(tree, &too_long, b""), Err(Error::LimitExceeded(_))));
    assert!(matches!(txn.insert(tree, &too_long, b""), Err(Error::LimitExceeded(_))));
    assert!(txn.get(tree, &too_long).unwrap().is_none());
    txn.put(tree, b"b", b"2").unwrap();
    txn.commit().unwrap();
    let read = store.begin_read().unwrap();
    assert_eq!(read.tree_stats(tree).unwrap().unwrap().entry_count, 2);
}

#[test]
fn a_savepoint_that_is_not_open_is_refused() {
    let store = open(&MemVfs::new());
    let mut txn = store.begin_write().unwrap();
    let outer = txn.savepoint().unwrap();
    let inner = txn.savepoint().unwrap();
    txn.rollback_to(outer).unwrap();
    assert!(txn.rollback_to(inner).is_err());
    let second = txn.savepoint().unwrap();
    assert!(txn.release(inner).is_err(), "same depth, another savepoint");
    txn.release(second).unwrap();
    txn.release(outer).unwrap();
    assert!(txn.release(outer).is_err());
}

#[test]
fn many_trees_are_found_again_and_dropped_ones_are_not() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let mut txn = store.begin_write().unwrap();
    let trees: Vec<TreeId> =
        (0..700).map(|_| txn.create_tree(TreeOptions { page_blocks: Some(1) }).unwrap()).collect();
    for &tree in &trees {
        txn.put(tree, b"own number", &tree.0.to_le_bytes()).unwrap();
    }
    txn.commit().unwrap();
    let mut txn = store.begin_write().unwrap();
    for &tree in trees.iter().filter(|tree| tree.0 % 3 == 0) {
        txn.drop_tree(tree).unwrap();
    }
    txn.commit().unwrap();
    let expect = |store: &Store| {
        let snapshot = store.begin_read().unwrap();
        for &tree in &trees {
            let stored = snapshot.get(tree, b"own number");
            if tree.0 % 3 == 0 {
                assert!(matches!(stored, Err(Error::TreeNotFound(_))));
            } else {
                assert_eq!(stored.unwrap().as_deref(), Some(&tree.0.to_le_bytes()[..]));
            }
        }
        expect_sound(store);
    };
    expect(&store);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    expect(&store);
    expect(&open(&image(&vfs)));
    store.close().unwrap();
    expect(&open(&vfs));
}

#[test]
fn close_gives_back_the_free_end_of_the_file_and_ends_everything() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..2000, &[9; 4000], Sync::Normal);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    let full = len(&vfs, PATH);
    let mut txn = store.begin_write().unwrap();
    for n in 1..2000 {
        txn.remove(TREE, &key(n)).unwrap();
    }
    txn.commit().unwrap();
    let snapshot = store.begin_read().unwrap();
    let mut cursor = snapshot.cursor(TREE).unwrap();
    assert!(cursor.first().unwrap());
    let open_txn = store.begin_write().unwrap();
    store.close().unwrap();
    assert!(len(&vfs, PATH) < full / 20, "{} of {full} bytes are left", len(&vfs, PATH));
    assert!(matches!(cursor.next(), Err(Error::Closed)));
    assert!(matches!(snapshot.get(TREE, &key(0)), Err(Error::Closed)));
    assert!(matches!(open_txn.commit(), Err(Error::Closed)));
    assert!(matches!(store.begin_read(), Err(Error::Closed)));
    assert!(matches!(store.begin_write(), Err(Error::Closed)));
    assert!(matches!(store.close(), Err(Error::Closed)));
    expect_sound(&open(&vfs));
}

#[test]
fn a_second_open_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let store = Store::open(Arc::new(OsVfs), &path, options()).unwrap();
    put(&store, 0..10, b"x", Sync::Full);
    for second in [options(), StoreOptions { read_only: true, ..options() }] {
        let refused = Store::open(Arc::new(OsVfs), &path, second);
        assert!(matches!(refused, Err(Error::Locked { .. })));
    }
    put(&store, 10..20, b"x", Sync::Full);
    drop(store);
    let readers: Vec<Store> = (0..2)
        .map(|_| {
            let read_only = StoreOptions { read_only: true, ..options() };
            Store::open(Arc::new(OsVfs), &path, read_only).unwrap()
        })
        .collect();
    assert_eq!(contents(&readers[1].begin_read().unwrap()).len(), 20);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, create: bool| {
        Store::open(Arc::new(OsVfs), &dir.path().join(name), StoreOptions { create, ..options() })
    };
    assert!(matches!(open("absent", false), Err(Error::NotFound)));
    std::fs::write(dir.path().join("text"), "some notes, long enough".repeat(1000)).unwrap();
    assert!(matches!(open("text", true), Err(Error::NotADatabase)));
    std::fs::write(dir.path().join("short"), "x").unwrap();
    assert!(matches!(open("short", true), Err(Error::NotADatabase)));
    assert_eq!(std::fs::read(dir.path().join("short")).unwrap(), b"x");
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    assert!(matches!(open("folder", true), Err(Error::Io { .. })));
    std::fs::write(dir.path().join("empty"), "").unwrap();
    open("empty", true).unwrap().close().unwrap();
    open("empty", false).unwrap();
}

#[test]
fn a_torn_tail_is_dropped_and_damage_below_a_durable_commit_is_reported() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    for n in 0..10 {
        put(&store, n..n + 1, &[n as u8; 100], Sync::Full);
    }
    let log = format!("{PATH}-wal");
    let used = 4096 + store.stats().unwrap().log_bytes;
    let mut reported = 0;
    let mut at = 4096;
    while at < used {
        let damaged = image(&vfs);
        flip(&damaged, &log, at, (at % 8) as u8);
        match open_with(&damaged, options()) {
            Err(Error::LogDamaged { first_bad, last_commit_seen, .. }) => {
                assert!(first_bad <= at && at < used, "flip at {at}, reported at {first_bad}");
                assert!(last_commit_seen.0 > 1);
                reported += 1;
            }
            Err(other) => panic!("flip at {at}: {other}"),
            // The last record has no durable one behind it, and padding carries nothing.
            Ok(store) => assert!(contents(&store.begin_read().unwrap()).len() >= 9),
        }
        at += 131;
    }
    assert!(reported > 100, "only {reported} flips were reported");
}

#[test]
fn without_a_sync_a_bad_record_ends_the_log_quietly() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..1, b"x", Sync::Full);
    for n in 1..10 {
        put(&store, n..n + 1, &[n as u8; 100], Sync::Normal);
    }
    let used = 4096 + store.stats().unwrap().log_bytes;
    for at in (4096..used).step_by(997).skip(30) {
        let damaged = image(&vfs);
        flip(&damaged, &format!("{PATH}-wal"), at, 3);
        let store = open(&damaged);
        let present = contents(&store.begin_read().unwrap());
        let prefix: Vec<_> = (0..present.len() as u64).map(|n| key(n).to_vec()).collect();
        assert_eq!(present.into_keys().collect::<Vec<_>>(), prefix);
        put(&store, 100..110, b"after", Sync::Full);
        expect_sound(&store);
    }
}

#[test]
fn a_missing_or_foreign_log_is_reported() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..10, b"x", Sync::Full);
    let log = format!("{PATH}-wal");
    let missing = image(&vfs);
    missing.remove(Path::new(&log)).unwrap();
    assert!(matches!(open_with(&missing, options()), Err(Error::LogDamaged { .. })));

    let other = MemVfs::new();
    // A different history of random numbers gives another database id.
    other.random(&mut [0; 64]).unwrap();
    let other_store = open(&other);
    put(&other_store, 0..10, b"y", Sync::Full);
    let foreign = image(&vfs);
    foreign.remove(Path::new(&log)).unwrap();
    let file = foreign.open(Path::new(&log), OpenMode::CreateNew).unwrap();
    let mut bytes = vec![0; len(&other, &log) as usize];
    read_full(&*other.open(Path::new(&log), OpenMode::Read).unwrap(), &mut bytes, 0).unwrap();
    write_all(&*file, &bytes, 0).unwrap();
    drop(file);
    assert!(matches!(open_with(&foreign, options()), Err(Error::LogDamaged { .. })));
    assert_eq!(len(&foreign, &log), bytes.len() as u64, "the file is kept");
}

#[test]
fn every_flipped_byte_of_a_closed_file_is_found() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..60, &[5; 6000], Sync::Normal);
    let mut txn = store.begin_write().unwrap();
    for n in 10..20 {
        txn.remove(TREE, &key(n)).unwrap();
    }
    txn.commit().unwrap();
    store.close().unwrap();
    let total = len(&vfs, PATH);
    for at in (0..total).step_by(61) {
        let damaged = image(&vfs);
        flip(&damaged, PATH, at, (at % 8) as u8);
        let found = match open_with(&damaged, options()) {
            Err(_) => true,
            Ok(store) => store.verify().map_or(true, |report| report.finding_count > 0),
        };
        assert!(found, "a flip at byte {at} of {total} went unnoticed");
    }
}

#[test]
fn a_cut_file_is_refused() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..100, &[5; 3000], Sync::Normal);
    store.close().unwrap();
    let total = len(&vfs, PATH);
    for kept in [1, 16, 4095, 4096, 5000, 8192, total / 2, total - 1] {
        let cut = image(&vfs);
        cut.open(Path::new(PATH), OpenMode::Write).unwrap().set_len(kept).unwrap();
        let refused = open_with(&cut, options());
        assert!(
            matches!(refused, Err(Error::Corrupt { .. } | Error::NotADatabase)),
            "{kept} bytes"
        );
        assert_eq!(len(&cut, PATH), kept);
    }
}

#[test]
fn a_damaged_page_is_an_error_and_the_others_stay_readable() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    put(&store, 0..400, &[5; 1000], Sync::Normal);
    store.close().unwrap();
    let total = len(&vfs, PATH);
    let mut damaged_reads = 0;
    for block in 4..total / BLOCK_BYTES as u64 {
        let damaged = image(&vfs);
        flip(&damaged, PATH, block * BLOCK_BYTES as u64 + 1000, 1);
        let store = open(&damaged);
        let snapshot = store.begin_read().unwrap();
        let mut readable = 0;
        for n in 0..400 {
            match snapshot.get(TREE, &key(n)) {
                Ok(value) => {
                    assert_eq!(value.as_deref(), Some(&[5; 1000][..]));
                    readable += 1;
                }
                Err(Error::Corrupt { .. }) => damaged_reads += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(readable > 0 || block < 8, "block {block} takes everything with it");
    }
    assert!(damaged_reads > 0);
}

#[test]
fn an_inline_checkpoint_keeps_the_log_short_and_reuses_it() {
    let vfs = MemVfs::new();
    let inline = StoreOptions {
        auto_checkpoint: AutoCheckpoint::Inline { after_bytes: 200_000 },
        ..options()
    };
    let store = open_with(&vfs, inline).unwrap();
    for n in 0..300u64 {
        put(&store, [n, n / 2], &[n as u8; 900], Sync::Normal);
        assert!(store.stats().unwrap().log_bytes < 300_000);
    }
    assert!(store.stats().unwrap().checkpoint_count > 5);
    assert!(len(&vfs, &format!("{PATH}-wal")) <= 8 << 20);
    let killed = open(&image(&vfs));
    let want = contents(&store.begin_read().unwrap());
    assert_eq!(contents(&killed.begin_read().unwrap()), want);
    expect_sound(&killed);
}

#[test]
fn a_queue_does_not_grow() {
    let vfs = MemVfs::new();
    let inline = StoreOptions {
        auto_checkpoint: AutoCheckpoint::Inline { after_bytes: 1 << 20 },
        ..options()
    };
    let store = open_with(&vfs, inline).unwrap();
    put(&store, 0..500, &[1; 400], Sync::Normal);
    let mut sizes = Vec::new();
    for round in 0..60u64 {
        let mut txn = store.begin_write().unwrap();
        for n in 0..100 {
            txn.put(TREE, &key(500 + round * 100 + n), &[1; 400]).unwrap();
            assert!(txn.remove(TREE, &key(round * 100 + n)).unwrap());
        }
        txn.commit().unwrap();
        sizes.push(store.stats().unwrap().block_count);
    }
    assert!(sizes[59] <= sizes[10] + sizes[10] / 4, "blocks over time: {sizes:?}");
    expect_sound(&store);
}

#[test]
fn readers_on_other_threads_always_see_one_commit() {
    let vfs = MemVfs::new();
    let small = StoreOptions {
        cache_bytes: 64 * BLOCK_BYTES as u64,
        auto_checkpoint: AutoCheckpoint::Background { after_bytes: 1 << 20 },
        ..StoreOptions::default()
    };
    let store = open_with(&vfs, small).unwrap();
    put(&store, 0..300, &[0; 700], Sync::Normal);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut reads, mut last) = (0, 0);
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let snapshot = store.begin_read().unwrap();
                        assert!(snapshot.commit_no().0 >= last);
                        last = snapshot.commit_no().0;
                        let all = contents(&snapshot);
                        assert_eq!(all.len(), 300);
                        let first = all.values().next().unwrap().clone();
                        assert!(all.values().all(|value| *value == first));
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for round in 0..200u64 {
            put(&store, 0..300, &[round as u8; 700], Sync::Normal);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let reads: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(reads > 0);
    });
    expect_sound(&store);
    store.close().unwrap();
}

//! Crashes during a backup and a compaction: at every call, in every way.

use any_store_sim::{Crash, Image, Rng, SimVfs};
use any_store_storage::{
    AutoCheckpoint, BackupOptions, CheckpointMode, Error, FindingKind, Store, StoreOptions,
    Sync as CommitSync, TreeId, TreeOptions,
};
use std::path::Path;
use std::sync::Arc;

const SOURCE: &str = "/d/source";
const TARGET: &str = "/d/target";
const TREE: TreeId = TreeId(1);

fn open(vfs: &SimVfs, path: &str) -> Result<Store, Error> {
    let options = StoreOptions {
        create: false,
        auto_checkpoint: AutoCheckpoint::Off,
        ..StoreOptions::default()
    };
    Store::open(Arc::new(vfs.clone()), Path::new(path), options)
}

/// A database of `count` entries, its last commit in the log.
fn create(vfs: &SimVfs, path: &str, count: u64) -> Store {
    let options = StoreOptions { auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() };
    let store = Store::open(Arc::new(vfs.clone()), Path::new(path), options).unwrap();
    for half in 0..2 {
        let mut txn = store.begin_write().unwrap();
        if half == 0 {
            assert_eq!(txn.create_tree(TreeOptions::default()).unwrap(), TREE);
        }
        for n in (0..count).filter(|n| n % 2 == half) {
            txn.put(TREE, &n.to_be_bytes(), &[n as u8; 1500]).unwrap();
        }
        txn.set_sync(CommitSync::Full);
        txn.commit().unwrap();
        if half == 0 {
            store.checkpoint(CheckpointMode::Passive).unwrap();
        }
    }
    store
}

/// The number of entries of a database that must be whole.
fn count(vfs: &SimVfs, path: &str) -> Result<u64, Error> {
    let store = open(vfs, path)?;
    assert_eq!(store.integrity_check()?.findings, []);
    let mut findings = store.verify()?.findings;
    // The crash may have torn a slot of the header; the first write repairs it.
    findings.retain(|finding| finding.kind != FindingKind::Header);
    assert_eq!(findings, []);
    let count = store.begin_read()?.tree_stats(TREE)?.map_or(0, |tree| tree.entry_count);
    // And it can be written to, by whoever finds it there.
    let mut txn = store.begin_write()?;
    txn.put(TREE, b"more", b"")?;
    txn.commit()?;
    store.close()?;
    Ok(count)
}

/// Runs `copy` on a computer with these files, and again with every crash after every call; `check`
/// looks at what is left.
fn crash_everywhere(
    start: &Image,
    copy: &dyn Fn(&SimVfs) -> Result<(), Error>,
    check: &dyn Fn(&SimVfs, &str),
) {
    let vfs = SimVfs::from_image(start, 1);
    vfs.start_recording();
    copy(&vfs).unwrap();
    let recording = vfs.take_recording().unwrap();
    assert!(recording.call_count() > 5);
    for call in 0..=recording.call_count() {
        let disk = recording.disk_after(call);
        for crash in Crash::ALL {
            let mut rng = Rng::new(call * 100 + crash.number());
            let left = SimVfs::from_image(&crash.image(&disk, &mut rng), call + 7);
            check(&left, &format!("{crash} after call {call}"));
        }
    }
}

#[test]
fn a_crash_during_a_copy_leaves_the_old_target_or_the_new_one() {
    for compact in [false, true] {
        for is_there in [false, true] {
            let vfs = SimVfs::new(5);
            let store = create(&vfs, SOURCE, 20);
            if is_there {
                create(&vfs, TARGET, 6).close().unwrap();
            }
            drop(store);
            let start = vfs.crash(Crash::KeepAll, &mut Rng::new(0));
            let copy = |vfs: &SimVfs| {
                let store = open(vfs, SOURCE)?;
                let options = BackupOptions { overwrite: is_there, ..BackupOptions::default() };
                match compact {
                    true => store.compact_to(Path::new(TARGET), &options)?,
                    false => store.backup(Path::new(TARGET), &options)?,
                };
                Ok(())
            };
            let check = |left: &SimVfs, when: &str| {
                match count(left, TARGET) {
                    Ok(count) => assert!(count == 20 || is_there && count == 6, "{when}: {count}"),
                    Err(Error::NotFound) => assert!(!is_there, "{when}: the target is gone"),
                    Err(error) => panic!("{when}: {error}"),
                }
                assert_eq!(count(left, SOURCE).unwrap(), 20, "{when}: the source");
            };
            crash_everywhere(&start, &copy, &check);
        }
    }
}

#[test]
fn a_crash_during_a_compaction_in_place_loses_nothing() {
    let vfs = SimVfs::new(6);
    let store = create(&vfs, SOURCE, 20);
    let start = vfs.crash(Crash::KeepAll, &mut Rng::new(0));
    vfs.unplug();
    drop(store);
    let copy = |vfs: &SimVfs| {
        let vfs = Arc::new(vfs.clone());
        Store::compact(vfs, Path::new(SOURCE), &BackupOptions::default()).map(|_| ())
    };
    let check = |left: &SimVfs, when: &str| match count(left, SOURCE) {
        Ok(count) => assert_eq!(count, 20, "{when}"),
        Err(error) => panic!("{when}: {error}"),
    };
    crash_everywhere(&start, &copy, &check);
}

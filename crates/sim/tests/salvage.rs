//! Crashes at every call of a salvage: it can be done again, gives the same state, and the damaged log
//! is there byte for byte under one name or another.

use any_store_sim::engine::database_path;
use any_store_sim::{Crash, Image, Recording, Rng, SimVfs};
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Error, Store, StoreOptions, Sync, TreeId, TreeOptions,
};
use std::path::PathBuf;
use std::sync::Arc;

const TREE: TreeId = TreeId(1);
/// What is there before the damage, and what is lost behind it.
const KEPT: u8 = 4;
const COMMITS: u8 = 7;
const FURTHER: u8 = 100;

fn open(vfs: &SimVfs, salvage: bool) -> Result<Store, Error> {
    let auto_checkpoint = AutoCheckpoint::Off;
    let options = StoreOptions { auto_checkpoint, salvage, ..StoreOptions::default() };
    Store::open(Arc::new(vfs.clone()), database_path(), options)
}

fn log_path() -> PathBuf {
    let mut name = database_path().as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn commit(store: &Store, key: u8) {
    let mut txn = store.begin_write().unwrap();
    if key == 0 {
        assert_eq!(txn.create_tree(TreeOptions::default()).unwrap(), TREE);
    }
    txn.put(TREE, &[key], &[key; 5000]).unwrap();
    txn.set_sync(Sync::Full);
    txn.commit().unwrap();
}

/// The files after some durable commits, with a byte of the first lost one changed; and the bytes of
/// the damaged log.
fn damaged() -> (Image, Vec<u8>) {
    let vfs = SimVfs::new(1);
    let store = open(&vfs, false).unwrap();
    commit(&store, 0);
    store.checkpoint(CheckpointMode::Restart).unwrap();
    (1..KEPT).for_each(|key| commit(&store, key));
    let mut image = vfs.crash(Crash::DropAll, &mut Rng::new(1));
    let whole = image.get(log_path()).unwrap();
    (KEPT..COMMITS).for_each(|key| commit(&store, key));
    image = vfs.crash(Crash::DropAll, &mut Rng::new(1));
    let mut log = image.get(log_path()).unwrap();
    let first_new = log.iter().zip(&whole).position(|(new, old)| new != old);
    log[first_new.expect("the log holds more") + 200] ^= 1;
    image.put(log_path(), &log);
    (image, log)
}

/// The calls of a salvage and of a commit after it; from which call on the commit was acknowledged.
fn salvage(image: &Image) -> (Recording, u64) {
    let vfs = SimVfs::from_image(image, 2);
    vfs.start_recording();
    let store = open(&vfs, true).unwrap();
    assert!(store.salvaged().is_some());
    commit(&store, FURTHER);
    (vfs.take_recording().unwrap(), vfs.change_count())
}

fn expect_kept(store: &Store, place: &str) -> bool {
    let snapshot = store.begin_read().unwrap();
    for key in 0..COMMITS {
        let value = snapshot.get(TREE, &[key]).unwrap();
        let expected = &[key; 5000][..];
        assert_eq!(value.as_deref(), Some(expected).filter(|_| key < KEPT), "{place}: {key}");
    }
    snapshot.get(TREE, &[FURTHER]).unwrap().is_some()
}

#[test]
fn a_salvage_that_crashes_loses_neither_what_is_whole_nor_the_damaged_log() {
    let (image, log) = damaged();
    let first = open(&SimVfs::from_image(&image, 2), false);
    assert!(matches!(first, Err(Error::LogDamaged { .. })));
    let (recording, acknowledged_at) = salvage(&image);
    assert!(recording.call_count() > 10);
    let mut rng = Rng::for_parts(&[0x5A1]);
    for call in 0..=recording.call_count() {
        for crash in Crash::ALL {
            let left = crash.image(&recording.disk_after(call), &mut rng);
            let place = format!("{call} {crash}");
            let kept = left.files().any(|(path, _)| left.get(path).is_some_and(|b| b == log));
            assert!(kept, "{place}: the damaged log is gone");
            match open(&SimVfs::from_image(&left, 3), false) {
                Ok(store) => {
                    let further = expect_kept(&store, &place);
                    assert!(further || call < acknowledged_at, "{place}: a commit is lost");
                }
                Err(Error::LogDamaged { .. }) => {
                    assert!(call < acknowledged_at, "{place}: it is damaged again");
                }
                Err(other) => panic!("{place}: {other}"),
            }
            let store = open(&SimVfs::from_image(&left, 4), true).unwrap();
            expect_kept(&store, &place);
            commit(&store, FURTHER + 1);
            store.close().unwrap();
        }
    }
}

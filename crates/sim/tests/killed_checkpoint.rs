//! A kill inside a checkpoint, and a power loss inside the recovery that follows: the header that the
//! recovery reads may never have reached the disk, and what the one before it needs must be there.

use any_store_sim::engine::database_path;
use any_store_sim::{Crash, Disk, Image, Recording, Rng, SimVfs};
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Store, StoreOptions, Sync, TreeId, TreeOptions,
};
use std::sync::Arc;

const TREE: TreeId = TreeId(1);
const COMMITS: u8 = 6;

fn open(vfs: &SimVfs) -> Store {
    let options = StoreOptions { auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() };
    Store::open(Arc::new(vfs.clone()), database_path(), options).expect("the store opens")
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

/// The calls of a checkpoint, after commits that are durable. With `behind`, one of them is behind
/// what it copies.
fn checkpoint(mode: CheckpointMode, behind: bool) -> (Recording, u64) {
    let vfs = SimVfs::new(1);
    vfs.start_recording();
    let store = open(&vfs);
    (0..COMMITS - 1).for_each(|key| commit(&store, key));
    let reader = behind.then(|| store.begin_read().unwrap());
    commit(&store, COMMITS - 1);
    let durable_at = vfs.change_count();
    store.checkpoint(mode).unwrap();
    drop(reader);
    (vfs.take_recording().unwrap(), durable_at)
}

/// The calls of an open and of the first commit after it.
fn recover(disk: Disk) -> Recording {
    let vfs = SimVfs::from_disk(disk, 2);
    vfs.start_recording();
    commit(&open(&vfs), COMMITS);
    vfs.take_recording().unwrap()
}

fn expect_commits(image: &Image, place: &str) {
    let vfs = SimVfs::from_image(image, 3);
    let snapshot = open(&vfs).begin_read().unwrap();
    for key in 0..COMMITS {
        let value = snapshot.get(TREE, &[key]).unwrap();
        assert_eq!(value.as_deref(), Some(&[key; 5000][..]), "{place}: commit {key}");
    }
}

#[test]
fn a_power_loss_in_the_recovery_after_a_killed_checkpoint_loses_no_durable_commit() {
    let modes = [
        (CheckpointMode::Passive, false),
        (CheckpointMode::Passive, true),
        (CheckpointMode::Full, false),
        (CheckpointMode::Restart, false),
        (CheckpointMode::Truncate, false),
    ];
    let mut rng = Rng::for_parts(&[7]);
    for (mode, behind) in modes {
        let (recording, durable_at) = checkpoint(mode, behind);
        for call in durable_at..=recording.call_count() {
            let left = Crash::Kill.leave(&recording.disk_after(call), &mut rng);
            let recovery = recover(left.disk());
            for again in 0..=recovery.call_count() {
                for crash in [Crash::DropAll, Crash::Prefix, Crash::OneFile] {
                    let image = crash.image(&recovery.disk_after(again), &mut rng);
                    expect_commits(&image, &format!("{mode}: {call}, then {again} {crash}"));
                }
            }
        }
    }
}

#[test]
fn records_of_an_emptied_log_do_not_come_back_under_the_head_of_the_next_one() {
    let vfs = SimVfs::new(1);
    vfs.start_recording();
    let store = open(&vfs);
    (0..COMMITS).for_each(|key| commit(&store, key));
    store.checkpoint(CheckpointMode::Truncate).unwrap();
    let emptied_at = vfs.change_count();
    commit(&store, COMMITS);
    let recording = vfs.take_recording().unwrap();
    let mut rng = Rng::for_parts(&[8]);
    for call in emptied_at..=recording.call_count() {
        for round in 0..40 {
            let image = Crash::Sectors { percent: 50 }.image(&recording.disk_after(call), &mut rng);
            expect_commits(&image, &format!("call {call}, round {round}"));
        }
    }
}

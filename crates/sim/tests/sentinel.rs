//! The sentinel under crashes: after any call, in any way, it is found at the next open, or every
//! commit that was acknowledged is on the disk. The same inside the recovery that follows a kill.

use any_store_sim::engine::database_path;
use any_store_sim::{Crash, Disk, Image, Rng, SimVfs};
use any_store_storage::{
    AutoCheckpoint, CheckpointMode, Store, StoreOptions, Sync, TreeId, TreeOptions,
};
use std::path::Path;
use std::sync::Arc;

const TREE: TreeId = TreeId(1);
const SENTINEL: &str = "/sim/data.db.lock";

fn open(vfs: &SimVfs, sentinel: bool) -> Store {
    let options =
        StoreOptions { sentinel, auto_checkpoint: AutoCheckpoint::Off, ..StoreOptions::default() };
    Store::open(Arc::new(vfs.clone()), database_path(), options).expect("the store opens")
}

/// A program, and what it knew: after so many calls so many commits were acknowledged.
struct Program {
    vfs: SimVfs,
    store: Store,
    acked: Vec<(u64, u64)>,
    count: u64,
}

impl Program {
    fn commit(&mut self, sync: Sync) {
        let mut txn = self.store.begin_write().unwrap();
        if self.count == 0 {
            assert_eq!(txn.create_tree(TreeOptions::default()).unwrap(), TREE);
        }
        self.count += 1;
        txn.put(TREE, &self.count.to_be_bytes(), &[7; 900]).unwrap();
        txn.set_sync(sync);
        txn.commit().unwrap();
        self.acked.push((self.vfs.change_count(), self.count));
    }

    fn flush(&self, mode: CheckpointMode) {
        self.store.flush(mode).unwrap();
    }
}

/// Commits, flushes past a reader and without one, and closes: the calls and what was known.
fn run() -> (any_store_sim::Recording, Vec<(u64, u64)>) {
    let vfs = SimVfs::new(1);
    vfs.start_recording();
    let store = open(&vfs, true);
    let mut program = Program { vfs: vfs.clone(), store, acked: Vec::new(), count: 0 };
    program.commit(Sync::Normal);
    program.commit(Sync::Normal);
    program.flush(CheckpointMode::Passive);
    program.commit(Sync::Normal);
    let snapshot = program.store.begin_read().unwrap();
    program.commit(Sync::Normal);
    program.flush(CheckpointMode::Passive);
    program.commit(Sync::Full);
    program.commit(Sync::Normal);
    drop(snapshot);
    program.flush(CheckpointMode::Restart);
    program.flush(CheckpointMode::Passive);
    program.commit(Sync::Normal);
    program.store.close().unwrap();
    program.store = open(&vfs, true);
    program.commit(Sync::Normal);
    program.flush(CheckpointMode::Full);
    program.commit(Sync::Normal);
    program.store.close().unwrap();
    (vfs.take_recording().unwrap(), program.acked)
}

/// How many commits are on the disk, once the power is back.
fn commits_in(image: &Image) -> u64 {
    if !image.contains(database_path()) {
        return 0;
    }
    let snapshot = open(&SimVfs::from_image(image, 2), false).begin_read().unwrap();
    snapshot.tree_stats(TREE).unwrap().map_or(0, |stats| stats.entry_count)
}

/// Holds what a crash left against the promise; true if the sentinel was there.
fn expect_told(image: &Image, safe: &Image, acked: u64, place: &str) -> bool {
    let stands = image.contains(Path::new(SENTINEL));
    if !stands {
        let found = commits_in(safe);
        assert!(found >= acked, "{place}: no sentinel, and {found} of {acked} commits");
    }
    stands
}

/// Crashes at each call of what an open after a kill does.
fn crash_again(disk: Disk, acked: u64, rng: &mut Rng, place: &str) {
    let vfs = SimVfs::from_disk(disk, 3);
    vfs.start_recording();
    drop(open(&vfs, true));
    let recording = vfs.take_recording().unwrap();
    for call in 0..=recording.call_count() {
        let disk = recording.disk_after(call);
        for crash in [Crash::DropAll, Crash::NamesOnly, Crash::NamesLost, Crash::Prefix] {
            let image = crash.image(&disk, rng);
            expect_told(&image, &image, acked, &format!("{place}, then call {call}, {crash}"));
        }
    }
}

#[test]
fn after_any_crash_it_stands_or_everything_acknowledged_is_on_the_disk() {
    let (recording, acked) = run();
    let mut rng = Rng::for_parts(&[5]);
    let (mut with, mut without) = (0, 0);
    for call in 0..=recording.call_count() {
        let known = acked.iter().take_while(|(at, _)| *at <= call).last();
        let acked = known.map_or(0, |(_, count)| *count);
        let disk = recording.disk_after(call);
        for crash in Crash::ALL {
            let place = format!("call {call}, {crash}");
            let left = crash.leave(&disk, &mut rng);
            // A kill leaves what it leaves to a power loss.
            let safe = Crash::DropAll.image(&left.disk(), &mut rng);
            let safe = if crash == Crash::Kill { &safe } else { left.image() };
            match expect_told(left.image(), safe, acked, &place) {
                true => with += 1,
                false => without += 1,
            }
            if crash == Crash::Kill && left.image().contains(database_path()) {
                crash_again(left.disk(), acked, &mut rng, &place);
            }
        }
    }
    assert!(with > 100 && without > 100, "both cases are tried: {with} and {without}");
}

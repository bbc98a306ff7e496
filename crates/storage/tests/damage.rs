//! Bits that rot in the header slots and in the log: reported, never taken for a torn write.

mod support;

use any_store_storage::vfs::MemVfs;
use any_store_storage::{CheckpointMode, Error, Store, Sync as CommitSync};
use support::*;

const SLOT_BYTES: usize = 2048;

fn last_commit(store: &Store) -> u64 {
    store.stats().unwrap().commit.0
}

/// Opens with one byte changed in the middle of each header slot.
fn expect_newest_or_report(vfs: &MemVfs, newest: u64) {
    let file = bytes_of(vfs, PATH);
    for slot in 0..4 {
        let mut damaged = file.clone();
        damaged[slot * SLOT_BYTES + 50] ^= 4;
        let files = image(vfs);
        set_bytes(&files, PATH, &damaged);
        match open_mem(&files) {
            Ok(store) => assert_eq!(last_commit(&store), newest, "slot {slot}"),
            Err(Error::LogDamaged { last_commit_seen, .. }) => {
                assert!(last_commit_seen.0 <= newest, "slot {slot}");
            }
            Err(other) => panic!("slot {slot}: {other}"),
        }
    }
}

#[test]
fn a_header_slot_that_rots_costs_no_commit_unnoticed() {
    for mode in [CheckpointMode::Passive, CheckpointMode::Restart, CheckpointMode::Truncate] {
        for (sync, commits) in [(CommitSync::Full, 1), (CommitSync::Full, 3), (CommitSync::Normal, 2)] {
            let vfs = HookedVfs::new(MemVfs::new());
            let store = open(&vfs);
            put(&store, 0..40, &[1; 600], CommitSync::Full);
            store.checkpoint(mode).unwrap();
            put(&store, 5..20, &[2; 900], CommitSync::Full);
            store.checkpoint(mode).unwrap();
            expect_newest_or_report(&image(&vfs.mem), last_commit(&store));
            for n in 0..commits {
                put(&store, n..n + 1, &[3; 700], sync);
                expect_newest_or_report(&image(&vfs.mem), last_commit(&store));
            }
        }
    }
}

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
        for (sync, commits) in
            [(CommitSync::Full, 1), (CommitSync::Full, 3), (CommitSync::Normal, 2)]
        {
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

mod salvage {
    use super::*;
    use any_store_storage::StoreOptions;
    use any_store_storage::vfs::Vfs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const ASIDE: &str = "/db-wal.damaged-1";

    fn salvaging() -> StoreOptions {
        StoreOptions { salvage: true, ..options() }
    }

    fn open_salvaging(vfs: &MemVfs, read_only: bool) -> Result<Store, Error> {
        let options = StoreOptions { read_only, ..salvaging() };
        Store::open(Arc::new(vfs.clone()), Path::new(PATH), options)
    }

    /// A log of durable commits behind a restart: the files, what there was after each commit, and
    /// where its record ends.
    struct Victim {
        files: MemVfs,
        states: Vec<Contents>,
        ends: Vec<u64>,
    }

    fn victim() -> Victim {
        let vfs = HookedVfs::new(MemVfs::new());
        let (_store, states, ends) = fill(&vfs);
        Victim { files: image(&vfs.mem), states, ends }
    }

    fn fill(vfs: &HookedVfs) -> (Store, Vec<Contents>, Vec<u64>) {
        let store = open(vfs);
        put(&store, 0..40, &[1; 600], CommitSync::Full);
        store.checkpoint(CheckpointMode::Restart).unwrap();
        let mut states = vec![contents_of(&store)];
        let mut ends = vec![4096];
        for n in 0..8 {
            put(&store, n..n + 3, &[n as u8; 1500], CommitSync::Full);
            states.push(contents_of(&store));
            ends.push(ends[n as usize] + last_record_bytes(&vfs.mem, ends[n as usize]));
        }
        (store, states, ends)
    }

    /// Bytes from the end of a record to that of the next one.
    fn last_record_bytes(files: &MemVfs, end: u64) -> u64 {
        let at = end.next_multiple_of(4096);
        let log = bytes_of(files, LOG);
        let length = log[at as usize + 64..at as usize + 72].try_into().unwrap();
        at - end + u64::from_le_bytes(length)
    }

    impl Victim {
        /// The files with a byte of the record of this commit changed.
        fn damaged(&self, commit: usize) -> MemVfs {
            let files = image(&self.files);
            let mut log = bytes_of(&files, LOG);
            log[self.ends[commit] as usize - 100] ^= 1;
            set_bytes(&files, LOG, &log);
            files
        }
    }

    fn all_files(vfs: &MemVfs) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = vfs.list(Path::new("/")).unwrap();
        entries.into_iter().map(|e| (e.path.clone(), bytes_of(vfs, &e.path))).collect()
    }

    #[test]
    fn what_was_committed_before_the_damage_is_there_and_the_damaged_log_is_kept() {
        let victim = victim();
        for commit in 1..=7 {
            let files = victim.damaged(commit);
            let before = all_files(&files);
            let log = bytes_of(&files, LOG);
            for read_only in [false, true] {
                let options = StoreOptions { read_only, ..options() };
                let refused = Store::open(Arc::new(files.clone()), Path::new(PATH), options);
                assert!(matches!(refused, Err(Error::LogDamaged { .. })));
            }
            let store = open_salvaging(&files, true).unwrap();
            assert!(contents_of(&store) == victim.states[commit - 1]);
            drop(store);
            assert!(all_files(&files) == before, "reading changes nothing");

            let store = open_salvaging(&files, false).unwrap();
            let salvaged = store.salvaged().unwrap().clone();
            assert_eq!(salvaged.damaged_log.as_deref(), Some(Path::new(ASIDE)));
            assert!(salvaged.last_commit_seen > salvaged.kept);
            assert!(contents_of(&store) == victim.states[commit - 1]);
            assert!(bytes_of(&files, ASIDE) == log);
            expect_sound(&store);
            put(&store, 100..110, &[9; 700], CommitSync::Full);
            let after = contents_of(&store);
            // A crash, and a close: the salvage is not done again.
            let crashed = open_mem(&image(&files)).unwrap();
            assert!(contents_of(&crashed) == after);
            store.close().unwrap();
            let store = open_salvaging(&files, false).unwrap();
            assert_eq!(store.salvaged(), None);
            assert!(contents_of(&store) == after);
            assert!(bytes_of(&files, ASIDE) == log, "the damaged log stays");
        }
    }

    #[test]
    fn a_second_salvage_keeps_both_logs() {
        let victim = victim();
        let files = victim.damaged(3);
        let first = bytes_of(&files, LOG);
        let once = open_salvaging(&files, false).unwrap();
        // As if the process had died now, and the log had rotted once more.
        let files = image(&files);
        drop(once);
        let second = bytes_of(&victim.damaged(2), LOG);
        set_bytes(&files, LOG, &second);
        let store = open_salvaging(&files, false).unwrap();
        assert!(contents_of(&store) == victim.states[1]);
        assert!(bytes_of(&files, ASIDE) == first);
        assert!(bytes_of(&files, "/db-wal.damaged-2") == second);
        expect_sound(&store);
    }

    #[test]
    fn a_salvage_that_is_cut_short_anywhere_can_be_done_again() {
        let victim = victim();
        let mut cut_short = 0;
        for call in 0.. {
            let files = victim.damaged(4);
            let log = bytes_of(&files, LOG);
            let vfs = HookedVfs::new(files);
            let left = Arc::new(AtomicU64::new(call));
            vfs.set_hook(move |asked| {
                let changes = [Kind::Write, Kind::SetLen, Kind::Sync, Kind::SyncDir, Kind::Rename];
                let counts = changes.contains(&asked.kind) && !asked.done;
                let spent = counts
                    && left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_err();
                if spent { Err(eio()) } else { Ok(()) }
            });
            let opened = open_with(&vfs, salvaging());
            let is_whole = opened.is_ok();
            // What a crash right now would leave.
            let files = image(&vfs.mem);
            drop(opened);
            match open_mem(&files) {
                Ok(store) => assert!(contents_of(&store) == victim.states[3]),
                Err(Error::LogDamaged { .. }) => cut_short += 1,
                Err(other) => panic!("call {call}: {other}"),
            }
            let files = image(&files);
            let store = open_salvaging(&files, false).unwrap();
            assert!(contents_of(&store) == victim.states[3], "call {call}");
            put(&store, 100..101, &[9], CommitSync::Full);
            store.close().unwrap();
            let kept = all_files(&files).into_iter().any(|(_, bytes)| bytes == log);
            assert!(kept, "call {call}: the damaged log is gone");
            if is_whole {
                break;
            }
        }
        assert!(cut_short > 5, "{cut_short}");
    }

    #[test]
    fn without_any_log_the_state_of_the_file_is_left() {
        let victim = victim();
        let other = self::victim();
        for replace in [false, true] {
            let files = image(&victim.files);
            files.remove(Path::new(LOG)).unwrap();
            if replace {
                set_bytes(&files, LOG, &bytes_of(&other.files, LOG));
            }
            assert!(matches!(open_mem(&files), Err(Error::LogDamaged { .. })));
            let read = open_salvaging(&files, true).unwrap();
            assert!(contents_of(&read) == victim.states[0]);
            drop(read);
            let store = open_salvaging(&files, false).unwrap();
            assert!(contents_of(&store) == victim.states[0]);
            assert_eq!(store.salvaged().unwrap().damaged_log.is_some(), replace);
            put(&store, 100..101, &[9], CommitSync::Full);
            store.close().unwrap();
            expect_sound(&open_mem(&files).unwrap());
        }
    }

    #[test]
    fn a_closed_database_beside_a_foreign_log_is_salvaged_for_writing() {
        let victim = victim();
        let files = image(&victim.files);
        open_mem(&files).unwrap().close().unwrap();
        for foreign in [bytes_of(&self::victim().files, LOG), vec![7; 10_000]] {
            set_bytes(&files, LOG, &foreign);
            let store = open_mem(&files).unwrap();
            assert!(matches!(store.begin_write(), Err(Error::LogDamaged { .. })));
            drop(store);
            let store = open_salvaging(&files, false).unwrap();
            let aside = store.salvaged().unwrap().damaged_log.clone().unwrap();
            assert!(bytes_of(&files, aside) == foreign);
            put(&store, 100..101, &[9], CommitSync::Full);
            assert!(contents_of(&store).len() > victim.states[8].len());
            store.close().unwrap();
        }
    }

    #[test]
    fn a_file_that_holds_pages_of_lost_commits_is_only_read() {
        let vfs = HookedVfs::new(MemVfs::new());
        let (store, states, ends) = fill(&vfs);
        // The pages are copied, and the header that says so is not written.
        vfs.set_hook(|call| {
            let is_header = call.begins(Kind::Write, PATH) && call.offset < 8192;
            if is_header { Err(eio()) } else { Ok(()) }
        });
        store.checkpoint(CheckpointMode::Passive).unwrap_err();
        let victim = Victim { files: image(&vfs.mem), states, ends };
        let files = victim.damaged(1);
        let before = all_files(&files);
        match open_salvaging(&files, false) {
            Err(Error::LogDamaged { reason, .. }) => {
                assert!(reason.contains("only be read"), "{reason}");
            }
            other => panic!("opened: {}", other.is_ok()),
        }
        assert!(all_files(&files) == before);
        let store = open_salvaging(&files, true).unwrap();
        assert!(store.salvaged().is_some());
        let report = store.integrity_check().unwrap();
        assert!(report.finding_count > 0, "pages of lost commits are not taken for these");
    }
}

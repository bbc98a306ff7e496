use super::*;
use crate::crash::Safety;
use crate::fault::AfterEffect;
use any_store_storage::vfs::{read_full, write_all, write_all_vectored};

const DIR: &str = "/d";
const PATH: &str = "/d/f";

fn file_with(vfs: &SimVfs, bytes: &[u8]) -> Arc<dyn VfsFile> {
    let file = vfs.open(Path::new(PATH), OpenMode::Create).expect("no fault is planned");
    write_all(&*file, bytes, 0).expect("no fault is planned");
    file
}

fn read_all(file: &dyn VfsFile) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    let count = read_full(file, &mut bytes, 0).expect("no fault is planned");
    bytes.truncate(count);
    bytes
}

/// What a power loss that drops all pending changes leaves of the file.
fn dropped(vfs: &SimVfs) -> Option<Vec<u8>> {
    vfs.crash(Crash::DropAll, &mut Rng::new(0)).get(PATH)
}

#[test]
fn names_and_bytes_become_durable_by_their_own_syncs() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"one");
    file.sync(SyncKind::Data).expect("no fault is planned");
    assert_eq!(dropped(&vfs), None);
    vfs.sync_dir(Path::new(DIR)).expect("no fault is planned");
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"one"[..]));
    write_all(&*file, b"two", 0).expect("no fault is planned");
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"one"[..]));
    assert_eq!(read_all(&*file), b"two");
}

#[test]
fn open_modes_and_names_behave_as_the_trait_says() {
    let vfs = SimVfs::new(1);
    let path = Path::new(PATH);
    let kind = |result: io::Result<Arc<dyn VfsFile>>| result.err().map(|e| e.kind());
    assert_eq!(kind(vfs.open(path, OpenMode::Read)), Some(io::ErrorKind::NotFound));
    assert_eq!(kind(vfs.open(path, OpenMode::Write)), Some(io::ErrorKind::NotFound));
    drop(file_with(&vfs, b"x"));
    assert_eq!(kind(vfs.open(path, OpenMode::CreateNew)), Some(io::ErrorKind::AlreadyExists));
    let reader = vfs.open(path, OpenMode::Read).expect("the file is there");
    let refused = reader.write_at(b"y", 0).err().map(|e| e.kind());
    assert_eq!(refused, Some(io::ErrorKind::PermissionDenied));
    let other = Path::new("/d/g");
    drop(vfs.open(other, OpenMode::CreateNew).expect("the name is free"));
    let taken = vfs.rename_noreplace(path, other).err().map(|e| e.kind());
    assert_eq!(taken, Some(io::ErrorKind::AlreadyExists));
    vfs.remove(other).expect("the file is there");
    vfs.rename_noreplace(path, other).expect("the name is free");
    assert_eq!(vfs.remove(path).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    let listed = vfs.list(Path::new(DIR)).expect("no fault is planned");
    assert_eq!(listed, [DirEntry { path: other.to_owned(), len: 1 }]);
    assert_eq!(read_all(&*reader), b"x");
}

#[test]
fn locks_exclude_each_other_and_end_with_their_handle() {
    let vfs = SimVfs::new(1);
    let first = file_with(&vfs, b"");
    let second = file_with(&vfs, b"");
    let lock = |file: &Arc<dyn VfsFile>, mode| file.try_lock(mode).expect("no fault is planned");
    assert!(lock(&first, LockMode::Exclusive));
    assert!(!lock(&second, LockMode::Shared));
    assert!(lock(&first, LockMode::Shared));
    assert!(lock(&second, LockMode::Shared));
    assert!(!lock(&second, LockMode::Exclusive));
    drop(first);
    assert!(lock(&second, LockMode::Exclusive));
}

#[test]
fn edits_are_seen_by_reads() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"abcdef");
    file.punch(4, 100).expect("no fault is planned");
    assert_eq!(read_all(&*file), b"abcd\0\0");
    file.allocate(8).expect("no fault is planned");
    file.set_len(7).expect("no fault is planned");
    assert_eq!(file.len().ok(), Some(7));
    write_all_vectored(&*file, &[b"12", b"", b"3"], 1).expect("no fault is planned");
    assert_eq!(read_all(&*file), b"a123\0\0\0");
    assert_eq!(vfs.calls(CallKind::Write), 2);
    assert_eq!(file.set_len(u64::MAX).map_err(|e| e.kind()), Err(io::ErrorKind::StorageFull));
    let far = file.write_at(b"x", u64::MAX).map_err(|e| e.kind());
    assert_eq!(far, Err(io::ErrorKind::StorageFull));
}

#[test]
fn the_kth_call_fails_once_and_nothing_is_done() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"abc");
    vfs.plan(Fault::once(2, Failure::NoSpace).of(CallKind::Write));
    assert_eq!(file.write_at(b"1", 0).ok(), Some(1));
    let full = file.write_at(b"2", 1).map_err(|e| e.kind());
    assert_eq!(full, Err(io::ErrorKind::StorageFull));
    assert_eq!(file.write_at(b"3", 2).ok(), Some(1));
    assert_eq!(read_all(&*file), b"1b3");
    assert_eq!(vfs.faults_fired(), 1);
}

#[test]
fn a_lasting_fault_hits_every_later_call_until_it_is_cleared() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"abc");
    vfs.plan(Fault::once(1, Failure::Io).from_then_on());
    assert!(file.len().is_err());
    assert!(vfs.list(Path::new(DIR)).is_err());
    assert!(vfs.open(Path::new(PATH), OpenMode::Read).is_err());
    vfs.clear_faults();
    assert_eq!(file.len().ok(), Some(3));
}

#[test]
fn a_full_disk_does_not_disturb_reads() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"abc");
    vfs.plan(Fault::once(1, Failure::NoSpace).from_then_on());
    assert_eq!(read_all(&*file), b"abc");
    assert_eq!(file.len().ok(), Some(3));
    assert_eq!(file.allocate(9).map_err(|e| e.kind()), Err(io::ErrorKind::StorageFull));
    assert_eq!(file.len().ok(), Some(3));
}

#[test]
fn interruptions_and_short_counts_are_absorbed_by_the_loops() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"");
    vfs.plan(Fault::once(1, Failure::Short).of(CallKind::Write));
    vfs.plan(Fault::once(2, Failure::Interrupted).of(CallKind::Write));
    vfs.plan(Fault::once(1, Failure::Short).of(CallKind::Read));
    write_all(&*file, b"abcde", 0).expect("the loop goes on");
    assert_eq!(read_all(&*file), b"abcde");
    assert_eq!(vfs.calls(CallKind::Write), 3);
    assert_eq!(vfs.faults_fired(), 3);
    vfs.plan(Fault::once(1, Failure::Short).of(CallKind::Write));
    assert_eq!(file.write_at(b"vwxyz", 0).ok(), Some(3));
    assert_eq!(read_all(&*file), b"vwxde");
}

/// A durable `old`, then `new` written and a sync that meets `failure`.
fn after_sync(failure: Failure) -> (SimVfs, Arc<dyn VfsFile>, io::Result<()>) {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"old");
    file.sync(SyncKind::Full).expect("no fault is planned");
    vfs.sync_dir(Path::new(DIR)).expect("no fault is planned");
    write_all(&*file, b"new", 0).expect("no fault is planned");
    vfs.plan(Fault::once(1, failure).of(CallKind::Sync));
    let told = file.sync(SyncKind::Data);
    (vfs, file, told)
}

#[test]
fn a_failed_sync_loses_the_data_while_reads_return_it() {
    let (vfs, file, told) = after_sync(Failure::SyncFails(AfterEffect::CleanAndNew));
    assert!(told.is_err());
    assert_eq!(read_all(&*file), b"new");
    file.sync(SyncKind::Data).expect("the fault is over");
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"old"[..]));
}

#[test]
fn a_failed_sync_may_bring_the_old_data_back() {
    let (vfs, file, told) = after_sync(Failure::SyncFails(AfterEffect::CleanAndOld));
    assert!(told.is_err());
    assert_eq!(read_all(&*file), b"old");
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"old"[..]));
}

#[test]
fn a_failed_sync_may_tell_only_at_the_next_call() {
    let (vfs, file, told) = after_sync(Failure::SyncFails(AfterEffect::ToldLater));
    assert!(told.is_ok());
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"old"[..]));
    assert!(file.write_at(b"x", 0).is_err());
    assert!(file.write_at(b"x", 0).is_ok());
    assert!(file.sync(SyncKind::Data).is_ok());
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"xld"[..]));
}

#[test]
fn a_sync_that_lies_persists_nothing_until_an_honest_one() {
    let (vfs, file, told) = after_sync(Failure::SyncLies);
    assert!(told.is_ok());
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"old"[..]));
    file.sync(SyncKind::Data).expect("the fault is over");
    assert_eq!(dropped(&vfs).as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_directory_sync_can_lie_and_fail() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"x");
    file.sync(SyncKind::Full).expect("no fault is planned");
    vfs.plan(Fault::once(1, Failure::SyncLies).of(CallKind::SyncDir));
    assert!(vfs.sync_dir(Path::new(DIR)).is_ok());
    assert_eq!(dropped(&vfs), None);
    vfs.plan(Fault::once(1, Failure::Io).of(CallKind::SyncDir));
    assert!(vfs.sync_dir(Path::new(DIR)).is_err());
    assert!(vfs.sync_dir(Path::new(DIR)).is_ok());
    assert_eq!(dropped(&vfs), None);
}

#[test]
fn a_limit_on_calls_ends_an_endless_loop() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"x");
    vfs.limit_calls(3);
    let done = (0..10).filter(|_| file.len().is_ok()).count();
    assert_eq!(done, 3);
}

/// A program of a hundred random calls, some of which fail.
fn busy(seed: u64) -> SimVfs {
    let vfs = SimVfs::new(seed);
    vfs.plan(Fault::once(40, Failure::Io));
    let mut rng = Rng::new(seed);
    let file = file_with(&vfs, b"begin");
    for _ in 0..100 {
        let mut drawn = [0; 5];
        let _ = vfs.random(&mut drawn);
        let _ = match rng.below(5) {
            0 => file.write_at(&drawn, rng.below(4000)).map(drop),
            1 => file.set_len(rng.below(4000)),
            2 => file.sync(SyncKind::Data),
            3 => vfs.sync_dir(Path::new(DIR)),
            _ => file.read_at(&mut drawn, vfs.monotonic().as_micros() as u64).map(drop),
        };
    }
    vfs
}

#[test]
fn the_same_seed_makes_the_same_calls_and_the_same_disk() {
    let (first, second, other) = (busy(1), busy(1), busy(2));
    assert_eq!(first.trace_hash(), second.trace_hash());
    assert_ne!(first.trace_hash(), other.trace_hash());
    for crash in Crash::ALL {
        let image = |vfs: &SimVfs| vfs.crash(crash, &mut Rng::new(9)).hash();
        assert_eq!(image(&first), image(&second), "{crash}");
    }
    assert_eq!(first.call_count(), second.call_count());
    assert_eq!(first.faults_fired(), 1);
}

#[test]
fn a_recording_replayed_gives_the_state_after_any_call() {
    let vfs = SimVfs::new(1);
    vfs.start_recording();
    let file = file_with(&vfs, b"first");
    file.sync(SyncKind::Data).expect("no fault is planned");
    vfs.sync_dir(Path::new(DIR)).expect("no fault is planned");
    write_all(&*file, b"again", 0).expect("no fault is planned");
    assert_eq!(vfs.change_count(), 5);
    let recording = vfs.take_recording().expect("a recording was started");
    assert_eq!(recording.call_count(), 5);
    let dropped = |call| Crash::DropAll.image(&recording.disk_after(call), &mut Rng::new(1));
    let left: Vec<_> = (0..=5).map(|call| dropped(call).get(PATH)).collect();
    let first = Some(b"first".to_vec());
    assert_eq!(left, [None, None, None, None, first.clone(), first]);
    assert_eq!(recording.disk_after(5).after_kill(), vfs.crash(Crash::Kill, &mut Rng::new(1)));
}

#[test]
fn a_restart_keeps_the_image_and_forgets_the_locks() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"kept");
    assert!(file.try_lock(LockMode::Exclusive).expect("no fault is planned"));
    let image = vfs.crash(Crash::Kill, &mut Rng::new(1));
    let restarted = SimVfs::from_image(&image, 2);
    let again = restarted.open(Path::new(PATH), OpenMode::Write).expect("the file is there");
    assert!(again.try_lock(LockMode::Exclusive).expect("no fault is planned"));
    assert_eq!(read_all(&*again), b"kept");
}

#[test]
fn a_kill_leaves_changes_that_a_later_power_loss_may_take() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"old");
    file.sync(SyncKind::Data).expect("no fault is planned");
    vfs.sync_dir(Path::new(DIR)).expect("no fault is planned");
    write_all(&*file, b"new", 0).expect("no fault is planned");
    let killed = vfs.leave(Crash::Kill, &mut Rng::new(1));
    assert_eq!(killed.safety(), Safety::Pending);
    let next = SimVfs::from_disk(killed.disk(), 2);
    let file = next.open(Path::new(PATH), OpenMode::Write).expect("the file is there");
    assert_eq!(read_all(&*file), b"new");
    assert_eq!(dropped(&next).as_deref(), Some(&b"old"[..]));
    file.sync(SyncKind::Data).expect("no fault is planned");
    assert_eq!(dropped(&next).as_deref(), Some(&b"new"[..]));
    let kept = vfs.leave(Crash::KeepAll, &mut Rng::new(1));
    assert_eq!(kept.safety(), Safety::AtRest);
    let lost = vfs.leave(Crash::KillUnwritten, &mut Rng::new(1));
    assert_eq!(lost.safety(), Safety::Lost);
    let next = SimVfs::from_disk(lost.disk(), 2);
    let file = next.open(Path::new(PATH), OpenMode::Write).expect("the file is there");
    assert_eq!(read_all(&*file), b"new");
    file.sync(SyncKind::Data).expect("no fault is planned");
    assert_eq!(dropped(&next).as_deref(), Some(&b"old"[..]));
    write_all(&*file, b"new", 0).expect("no fault is planned");
    file.sync(SyncKind::Data).expect("no fault is planned");
    assert_eq!(dropped(&next).as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_temporary_file_has_no_name() {
    let vfs = SimVfs::new(1);
    let file = vfs.open_temporary(Path::new(DIR)).expect("no fault is planned");
    write_all(&*file, b"secret", 0).expect("no fault is planned");
    assert_eq!(read_all(&*file), b"secret");
    assert!(vfs.list(Path::new(DIR)).expect("no fault is planned").is_empty());
}

#[test]
fn a_fork_goes_on_alike_and_apart() {
    let first = SimVfs::new(5);
    let file = first.open(Path::new("/a"), OpenMode::Create).unwrap();
    file.write_at(b"one", 0).unwrap();
    assert!(file.try_lock(LockMode::Exclusive).unwrap());
    let second = first.fork();
    let forked = second.open(Path::new("/a"), OpenMode::Write).unwrap();
    assert!(forked.try_lock(LockMode::Exclusive).unwrap(), "no lock came along");
    let drawn = |vfs: &SimVfs| {
        let mut bytes = [0; 8];
        vfs.random(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(drawn(&first), drawn(&second));
    forked.write_at(b"two", 0).unwrap();
    let mut bytes = [0; 3];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"one");
    second.start_call_log();
    forked.sync(SyncKind::Data).unwrap();
    assert_eq!(second.take_call_log(), [CallKind::Sync]);
}

#[test]
fn a_full_disk_may_leave_alone_what_has_its_space() {
    let vfs = SimVfs::new(1);
    let file = file_with(&vfs, b"0123456789");
    vfs.plan(Fault::once(1, Failure::Full).from_then_on());
    assert_eq!(file.write_at(b"ab", 3).unwrap(), 2);
    assert_eq!(file.write_at(b"ab", 9).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.set_len(11).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.allocate(20).unwrap_err().kind(), io::ErrorKind::StorageFull);
    let made = vfs.open(Path::new("/d/new"), OpenMode::Create);
    assert_eq!(made.err().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
    file.set_len(9).unwrap();
    file.sync(SyncKind::Full).unwrap();
    assert_eq!(read_all(&*file), b"012ab5678");
}

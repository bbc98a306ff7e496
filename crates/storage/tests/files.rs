//! Files of the operating system: opened twice, replaced, cut, missing, forbidden, or no files.
#![cfg(unix)]

use any_store_storage::vfs::{OpenMode, Vfs};
use any_store_storage::{
    AutoCheckpoint, BLOCK_BYTES, CheckpointMode, Error, LockHolder, OsVfs, Store, StoreOptions,
    Sync, TreeId, TreeOptions,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const TREE: TreeId = TreeId(1);

fn options() -> StoreOptions {
    StoreOptions {
        auto_checkpoint: AutoCheckpoint::Off,
        lock_timeout: Some(Duration::ZERO),
        ..StoreOptions::default()
    }
}

fn read_only() -> StoreOptions {
    StoreOptions { read_only: true, ..options() }
}

fn open_with(path: &Path, options: StoreOptions) -> Result<Store, Error> {
    Store::open(Arc::new(OsVfs), path, options)
}

fn open(path: &Path) -> Result<Store, Error> {
    open_with(path, options())
}

fn put(store: &Store, keys: std::ops::Range<u64>) -> Result<(), Error> {
    let mut txn = store.begin_write()?;
    if txn.tree_stats(TREE)?.is_none() {
        assert_eq!(txn.create_tree(TreeOptions::default())?, TREE);
    }
    for key in keys {
        txn.put(TREE, &key.to_be_bytes(), &[7; 300])?;
    }
    txn.set_sync(Sync::Full);
    txn.commit().map(|_| ())
}

fn count(store: &Store) -> Result<u64, Error> {
    let mut cursor = store.begin_read()?.cursor(TREE)?;
    let mut count = 0;
    let mut on_entry = cursor.first()?;
    while on_entry {
        count += 1;
        on_entry = cursor.next()?;
    }
    Ok(count)
}

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    (dir, path)
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Bytes and times of all files, those in folders included.
type Files = BTreeMap<OsString, (Vec<u8>, SystemTime)>;

fn files_of(dir: &Path) -> Files {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| {
            let changed = entry.metadata().unwrap().modified().unwrap();
            (entry.file_name(), (fs::read(entry.path()).unwrap(), changed))
        })
        .collect()
}

/// A database with 100 entries in a folder, and its log, as a killed process leaves them.
fn killed(dir: &Path) -> PathBuf {
    let (live, from) = folder();
    let store = open(&from).unwrap();
    put(&store, 0..100).unwrap();
    let path = dir.join("a.any");
    fs::copy(&from, &path).unwrap();
    fs::copy(log_of(&from), log_of(&path)).unwrap();
    drop((store, live));
    path
}

fn closed(path: &Path, entries: u64) {
    let store = open(path).unwrap();
    put(&store, 0..entries).unwrap();
    store.close().unwrap();
}

mod twice {
    use super::*;

    #[test]
    fn no_spelling_of_a_path_opens_a_file_twice() {
        let (dir, path) = folder();
        let store = open(&path).unwrap();
        put(&store, 0..10).unwrap();
        let (link, second_name, folder_link) =
            (dir.path().join("link"), dir.path().join("hard"), dir.path().join("folder"));
        symlink("a.any", &link).unwrap();
        fs::hard_link(&path, &second_name).unwrap();
        symlink(dir.path(), &folder_link).unwrap();
        let up_and_down = dir.path().join("folder/../").join(dir.path().file_name().unwrap());
        let spellings = [
            path.clone(),
            dir.path().join(".//./a.any"),
            link,
            second_name,
            folder_link.join("a.any"),
            up_and_down.join("a.any"),
        ];
        let before = files_of(dir.path());
        for spelling in &spellings {
            for options in [options(), read_only()] {
                let refused = open_with(spelling, options).map(|_| ());
                let here = LockHolder::ThisProcess;
                assert!(
                    matches!(refused, Err(Error::Locked { holder }) if holder == here),
                    "{spelling:?}: {refused:?}"
                );
            }
        }
        assert_eq!(files_of(dir.path()), before, "a refused open changed something");
        put(&store, 10..20).unwrap();
        assert_eq!(count(&store).unwrap(), 20);
        store.close().unwrap();
        for spelling in &spellings {
            let store = open(spelling).unwrap();
            assert_eq!(count(&store).unwrap(), 20);
            store.close().unwrap();
        }
    }

    #[test]
    fn one_of_many_that_create_a_path_at_once_gets_it() {
        const THREADS: usize = 8;
        for round in 0..30 {
            let (dir, path) = folder();
            if round % 2 == 1 {
                fs::write(&path, b"").unwrap();
            }
            let start = Barrier::new(THREADS);
            let stores: Vec<Store> = std::thread::scope(|scope| {
                let open_at_once = || {
                    start.wait();
                    open(&path)
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open_at_once)).collect();
                let opened = threads.into_iter().map(|thread| thread.join().unwrap());
                opened
                    .filter_map(|opened| match opened {
                        Ok(store) => Some(store),
                        Err(Error::Locked { .. }) => None,
                        Err(other) => panic!("{other}"),
                    })
                    .collect()
            });
            let [store] = &stores[..] else { panic!("{} of {THREADS} got it", stores.len()) };
            put(store, 0..10).unwrap();
            drop(stores);
            assert_eq!(count(&open(&path).unwrap()).unwrap(), 10);
            assert_eq!(files_of(dir.path()).len(), 1, "nothing else is left");
        }
    }

    #[test]
    fn a_failed_open_holds_nothing() {
        let (dir, path) = folder();
        closed(&path, 10);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..BLOCK_BYTES]).unwrap();
        for _ in 0..3 {
            assert!(matches!(open(&path), Err(Error::Corrupt { .. })));
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(count(&open(&path).unwrap()).unwrap(), 10);
        assert_eq!(files_of(dir.path()).len(), 1);
    }

    #[test]
    fn the_log_stands_beside_the_file_that_a_link_leads_to() {
        let (dir, _) = folder();
        fs::create_dir(dir.path().join("data")).unwrap();
        let (link, file) = (dir.path().join("link"), dir.path().join("data/a.any"));
        symlink("data/a.any", &link).unwrap();
        let store = open(&link).unwrap();
        put(&store, 0..10).unwrap();
        assert!(file.exists() && log_of(&file).exists());
        assert!(!log_of(&link).exists());
        let circle = dir.path().join("circle");
        symlink(&circle, &circle).unwrap();
        assert!(matches!(open(&circle), Err(Error::Io { .. })));
    }
}

mod replaced {
    use super::*;

    /// What may happen to a name while the store is open.
    #[derive(Clone, Copy, Debug)]
    enum Loss {
        Removed,
        Renamed,
        Replaced,
    }

    const LOSSES: [Loss; 3] = [Loss::Removed, Loss::Renamed, Loss::Replaced];

    fn lose(path: &Path, loss: Loss) {
        match loss {
            Loss::Removed => fs::remove_file(path).unwrap(),
            Loss::Renamed => fs::rename(path, path.with_extension("elsewhere")).unwrap(),
            Loss::Replaced => {
                let other = path.with_extension("other");
                fs::write(&other, b"somebody else's bytes").unwrap();
                fs::rename(&other, path).unwrap();
            }
        }
    }

    #[track_caller]
    fn expect_replaced<T: std::fmt::Debug>(outcome: Result<T, Error>, path: &Path) {
        match outcome {
            Err(Error::FileReplaced { path: named }) => {
                assert_eq!(
                    named,
                    fs::canonicalize(path.parent().unwrap())
                        .unwrap()
                        .join(path.file_name().unwrap())
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_checkpoint_and_a_close_leave_all_files_as_they_are() {
        for loss in LOSSES {
            for log_is_lost in [false, true] {
                let (dir, path) = folder();
                let store = open(&path).unwrap();
                put(&store, 0..100).unwrap();
                let lost = if log_is_lost { log_of(&path) } else { path.clone() };
                lose(&lost, loss);
                let before = files_of(dir.path());
                expect_replaced(store.checkpoint(CheckpointMode::Restart), &lost);
                assert_eq!(count(&store).unwrap(), 100, "reading goes on");
                assert!(matches!(store.begin_write(), Err(Error::Failed)));
                expect_replaced(store.close(), &lost);
                assert_eq!(files_of(dir.path()), before, "{loss:?}, log: {log_is_lost}");
            }
        }
    }

    #[test]
    fn a_close_alone_notices_too() {
        for loss in LOSSES {
            let (dir, path) = folder();
            let store = open(&path).unwrap();
            put(&store, 0..100).unwrap();
            lose(&path, loss);
            let before = files_of(dir.path());
            expect_replaced(store.close(), &path);
            assert_eq!(files_of(dir.path()), before, "{loss:?}");
        }
    }

    #[test]
    fn the_first_write_makes_no_log_beside_another_file() {
        for loss in LOSSES {
            let (dir, path) = folder();
            closed(&path, 10);
            let store = open(&path).unwrap();
            lose(&path, loss);
            let before = files_of(dir.path());
            expect_replaced(store.begin_write(), &path);
            store.close().unwrap_err();
            assert_eq!(files_of(dir.path()), before, "{loss:?}");
        }
    }

    #[test]
    fn a_file_that_was_moved_away_holds_everything_once_its_log_follows() {
        let (dir, path) = folder();
        let store = open(&path).unwrap();
        put(&store, 0..100).unwrap();
        let moved = dir.path().join("moved.any");
        fs::rename(&path, &moved).unwrap();
        expect_replaced(store.close(), &path);
        fs::rename(log_of(&path), log_of(&moved)).unwrap();
        assert_eq!(count(&open(&moved).unwrap()).unwrap(), 100);
    }

    #[test]
    fn what_was_cut_off_is_an_error_and_what_was_put_on_is_none() {
        let (_dir, path) = folder();
        closed(&path, 2000);
        let len = fs::metadata(&path).unwrap().len();
        let small_cache = StoreOptions { cache_bytes: 4 * BLOCK_BYTES as u64, ..options() };
        let store = open_with(&path, small_cache).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(len + 12_345).unwrap();
        assert_eq!(count(&store).unwrap(), 2000);
        file.set_len(len / 2 + 100).unwrap();
        assert!(matches!(count(&store), Err(Error::Corrupt { .. })));
        assert!(
            store.begin_read().unwrap().get(TREE, &0u64.to_be_bytes()).is_ok_and(|v| v.is_some())
        );
        assert!(!store.verify().unwrap().findings.is_empty());
    }

    #[test]
    fn a_log_that_was_cut_is_an_error_or_held_in_memory() {
        let (_dir, path) = folder();
        let small_cache = StoreOptions { cache_bytes: 4 * BLOCK_BYTES as u64, ..options() };
        let store = open_with(&path, small_cache).unwrap();
        put(&store, 0..2000).unwrap();
        let log = fs::OpenOptions::new().write(true).open(log_of(&path)).unwrap();
        log.set_len(BLOCK_BYTES as u64).unwrap();
        assert!(matches!(count(&store), Err(Error::Corrupt { .. })));
        assert!(matches!(store.checkpoint(CheckpointMode::Restart), Err(Error::Corrupt { .. })));
        assert!(matches!(store.close(), Err(Error::Corrupt { .. })));
        assert!(log_of(&path).exists(), "it was not taken for copied");
    }
}

mod log_at_open {
    use super::*;

    #[test]
    fn a_log_of_another_database_is_refused_and_kept() {
        let (dir, path) = folder();
        closed(&path, 10);
        let (other_dir, _) = folder();
        let other = killed(other_dir.path());
        fs::copy(log_of(&other), log_of(&path)).unwrap();
        let before = files_of(dir.path());
        let store = open(&path).unwrap();
        assert_eq!(count(&store).unwrap(), 10, "a clean file needs no log");
        assert!(matches!(store.begin_write(), Err(Error::LogDamaged { .. })));
        store.close().unwrap();
        assert_eq!(files_of(dir.path()), before);

        let (dir, _) = folder();
        let path = killed(dir.path());
        fs::copy(log_of(&other), log_of(&path)).unwrap();
        let before = files_of(dir.path());
        assert!(matches!(open(&path), Err(Error::LogDamaged { .. })));
        assert_eq!(files_of(dir.path()), before);
    }

    #[test]
    fn an_older_copy_of_the_file_does_not_cost_the_commits_in_the_log() {
        for later_sessions in [0, 3] {
            let (dir, path) = folder();
            closed(&path, 10);
            let older = fs::read(&path).unwrap();
            for _ in 0..later_sessions {
                closed(&path, 20);
            }
            let store = open(&path).unwrap();
            put(&store, 0..100).unwrap();
            let (file, log) = (fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap());
            drop(store);
            fs::write(&path, &older).unwrap();
            fs::write(log_of(&path), &log).unwrap();
            let before = files_of(dir.path());
            for options in [options(), read_only()] {
                assert!(matches!(open_with(&path, options), Err(Error::LogDamaged { .. })));
            }
            assert_eq!(files_of(dir.path()), before);
            fs::write(&path, &file).unwrap();
            assert_eq!(count(&open(&path).unwrap()).unwrap(), 100, "both are whole");
        }
    }

    #[test]
    fn a_newer_log_beside_an_older_unclean_file_is_refused() {
        let (dir, _) = folder();
        let path = killed(dir.path());
        let older = fs::read(&path).unwrap();
        open(&path).unwrap().close().unwrap();
        let store = open(&path).unwrap();
        put(&store, 0..200).unwrap();
        let log = fs::read(log_of(&path)).unwrap();
        drop(store);
        fs::write(&path, &older).unwrap();
        fs::write(log_of(&path), &log).unwrap();
        let before = files_of(dir.path());
        assert!(matches!(open(&path), Err(Error::LogDamaged { .. })));
        assert_eq!(files_of(dir.path()), before);
    }

    #[test]
    fn a_log_that_a_close_left_behind_is_used_again() {
        let (_dir, path) = folder();
        let store = open(&path).unwrap();
        put(&store, 0..100).unwrap();
        let log = fs::read(log_of(&path)).unwrap();
        store.close().unwrap();
        // As if the process had died before it removed the log.
        fs::write(log_of(&path), &log).unwrap();
        let store = open(&path).unwrap();
        put(&store, 100..150).unwrap();
        assert_eq!(count(&store).unwrap(), 150);
        store.close().unwrap();
        assert_eq!(count(&open(&path).unwrap()).unwrap(), 150);
        assert!(!log_of(&path).exists());
    }

    #[test]
    fn a_missing_log_that_the_file_counts_on_is_reported() {
        let (dir, _) = folder();
        let path = killed(dir.path());
        fs::remove_file(log_of(&path)).unwrap();
        let before = files_of(dir.path());
        for options in [options(), read_only()] {
            assert!(matches!(open_with(&path, options), Err(Error::LogDamaged { .. })));
        }
        assert_eq!(files_of(dir.path()), before);
    }
}

mod versions {
    use super::*;
    use twox_hash::XxHash3_128;

    const READ_VERSION_AT: usize = 16;
    const WRITE_VERSION_AT: usize = 20;
    const SLOT_BYTES: usize = BLOCK_BYTES / 2;

    /// Gives every header slot a version of the future, and the check that goes with it.
    fn set_version(path: &Path, at: usize) {
        let mut bytes = fs::read(path).unwrap();
        for slot in bytes[..4 * SLOT_BYTES].chunks_exact_mut(SLOT_BYTES) {
            slot[at..at + 4].copy_from_slice(&9u32.to_le_bytes());
            let (body, check) = slot.split_at_mut(SLOT_BYTES - 16);
            check.copy_from_slice(&XxHash3_128::oneshot(body).to_le_bytes());
        }
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_file_of_the_future_is_refused_and_not_one_byte_changes() {
        for unclean in [false, true] {
            let (dir, path) = folder();
            if unclean {
                killed(dir.path());
            } else {
                closed(&path, 100);
            }
            set_version(&path, READ_VERSION_AT);
            let before = files_of(dir.path());
            for options in [options(), read_only()] {
                let refused = open_with(&path, options);
                assert!(matches!(refused, Err(Error::UnsupportedFormat { found: 9, .. })));
            }
            assert_eq!(files_of(dir.path()), before);
        }
    }

    #[test]
    fn a_file_that_only_the_future_can_write_is_read_and_not_one_byte_changes() {
        for unclean in [false, true] {
            let (dir, path) = folder();
            if unclean {
                killed(dir.path());
            } else {
                closed(&path, 100);
            }
            set_version(&path, WRITE_VERSION_AT);
            let before = files_of(dir.path());
            let refused = open(&path);
            assert!(matches!(refused, Err(Error::UnsupportedFormat { found: 9, .. })));
            let store = open_with(&path, read_only()).unwrap();
            assert_eq!(count(&store).unwrap(), 100);
            assert!(matches!(store.begin_write(), Err(Error::ReadOnly)));
            store.close().unwrap();
            assert_eq!(files_of(dir.path()), before);
        }
    }
}

mod no_files {
    use super::*;

    /// What it is, and how it is put under a name.
    type Impostor = (&'static str, Box<dyn Fn(&Path)>);

    /// Things that are no private files; the last two lead to `target`.
    fn impostors(target: &Path) -> [Impostor; 5] {
        let (target, second) = (target.to_owned(), target.to_owned());
        [
            ("a folder", Box::new(|path| fs::create_dir(path).unwrap())),
            ("a pipe", Box::new(make_pipe)),
            ("a device", Box::new(|path| symlink("/dev/zero", path).unwrap())),
            ("a link", Box::new(move |path| symlink(&target, path).unwrap())),
            ("a second name", Box::new(move |path| fs::hard_link(&second, path).unwrap())),
        ]
    }

    fn make_pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    fn remove(path: &Path) {
        if path.symlink_metadata().unwrap().is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn nothing_but_a_file_is_opened_as_a_database() {
        let (_dir, path) = folder();
        for (name, make) in &impostors(&path)[..3] {
            make(&path);
            for options in [options(), read_only()] {
                let refused = open_with(&path, options);
                assert!(matches!(refused, Err(Error::Io { .. })), "{name}: {refused:?}");
            }
            remove(&path);
        }
    }

    #[test]
    fn nothing_but_a_private_file_is_taken_for_a_log() {
        let (dir, path) = folder();
        closed(&path, 10);
        let victim = dir.path().join("victim");
        fs::write(&victim, b"").unwrap();
        let log = log_of(&path);
        for (name, make) in impostors(&victim) {
            make(&log);
            let store = open(&path).unwrap();
            let refused = store.begin_write().map(|_| ());
            assert!(matches!(refused, Err(Error::Io { .. })), "{name}: {refused:?}");
            assert_eq!(count(&store).unwrap(), 10);
            store.close().unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"", "{name}");
            remove(&log);
        }
    }

    #[test]
    fn a_log_to_recover_from_is_a_private_file_too() {
        let (dir, _) = folder();
        let path = killed(dir.path());
        let log = log_of(&path);
        let away = dir.path().join("away");
        fs::rename(&log, &away).unwrap();
        let before = fs::read(&away).unwrap();
        for (name, make) in impostors(&away) {
            make(&log);
            let refused = open(&path).map(|_| ());
            assert!(matches!(refused, Err(Error::Io { .. })), "{name}: {refused:?}");
            assert_eq!(fs::read(&away).unwrap(), before, "{name}");
            remove(&log);
        }
        fs::rename(&away, &log).unwrap();
        assert_eq!(count(&open(&path).unwrap()).unwrap(), 100);
    }

    #[test]
    fn every_file_beside_a_database_is_opened_like_that() {
        let (dir, path) = folder();
        closed(&path, 10);
        let victim = dir.path().join("victim");
        fs::write(&victim, b"").unwrap();
        let sentinel = dir.path().join("a.any.lock");
        for (name, make) in impostors(&victim) {
            make(&sentinel);
            for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create, OpenMode::CreateNew] {
                assert!(OsVfs.open_beside(&path, &sentinel, mode).is_err(), "{name}, {mode:?}");
            }
            remove(&sentinel);
        }
        OsVfs.open_beside(&path, &sentinel, OpenMode::Create).unwrap();
        assert_eq!(fs::metadata(&sentinel).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&sentinel).unwrap().uid(), fs::metadata(&path).unwrap().uid());
    }
}

//! Several processes: who gets the file, who is told what, and what a kill leaves behind.
//!
//! A child is this test binary again, with a role in its environment.
#![cfg(unix)]

use any_store_storage::{
    AutoCheckpoint, Error, LockHolder, OsVfs, Store, StoreOptions, Sync, TreeId, TreeOptions,
};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TREE: TreeId = TreeId(1);
const ROLE: &str = "ANY_STORE_TEST_ROLE";
const FILE: &str = "ANY_STORE_TEST_FILE";
/// Starts each line that a child says to its parent; the test harness prints others.
const SAID: &str = "child: ";
/// Longer than any test runs.
const PATIENCE: Duration = Duration::from_secs(600);

fn options() -> StoreOptions {
    StoreOptions {
        auto_checkpoint: AutoCheckpoint::Off,
        lock_timeout: Some(Duration::ZERO),
        ..StoreOptions::default()
    }
}

fn open_with(path: &Path, options: StoreOptions) -> Result<Store, Error> {
    Store::open(Arc::new(OsVfs), path, options)
}

fn put(store: &Store, key: u64) -> Result<(), Error> {
    let mut txn = store.begin_write()?;
    if txn.tree_stats(TREE)?.is_none() {
        assert_eq!(txn.create_tree(TreeOptions::default())?, TREE);
    }
    txn.put(TREE, &key.to_be_bytes(), &[7; 300])?;
    txn.set_sync(Sync::Normal);
    txn.commit().map(|_| ())
}

fn count(store: &Store) -> u64 {
    let snapshot = store.begin_read().unwrap();
    snapshot.tree_stats(TREE).unwrap().map_or(0, |tree| tree.entry_count)
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn files_of(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

/// What a child does; not a test in a process that has no role.
#[test]
fn child() {
    let (Some(role), Some(path)) = (std::env::var_os(ROLE), std::env::var_os(FILE)) else { return };
    let path = Path::new(&path);
    match role.to_str() {
        Some("hold") => hold(path),
        Some("create") => create_and_write(path),
        Some("forbidden") => meet_what_is_forbidden(path),
        other => panic!("role {other:?}"),
    }
}

/// A command that becomes a child with `role`.
fn command(program: &Path, role: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "child", "--nocapture"]);
    command.env(ROLE, role).env(FILE, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn start(role: &str, path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = command(&std::env::current_exe().unwrap(), role, path).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

fn say(what: &str) {
    println!("{SAID}{what}");
}

/// The next thing a child says; `None` at its end.
fn heard(from: &mut BufReader<ChildStdout>) -> Option<String> {
    let lines = from.lines().map_while(Result::ok);
    // The harness leaves its own line unfinished.
    let mut said = lines.filter_map(|line| line.split_once(SAID).map(|(_, what)| what.to_owned()));
    said.next()
}

/// Opens, commits once and keeps the store until its input ends.
fn hold(path: &Path) {
    let store = open_with(path, options()).unwrap();
    put(&store, 1).unwrap();
    say("held");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    store.close().unwrap();
}

#[test]
fn the_second_process_is_told_who_has_the_file_and_gets_it_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let (mut first, mut said) = start("hold", &path);
    assert_eq!(heard(&mut said).as_deref(), Some("held"));
    let before = files_of(dir.path());
    let brief = Some(Duration::from_millis(5));
    for options in [
        options(),
        StoreOptions { read_only: true, ..options() },
        StoreOptions { lock_timeout: brief, ..options() },
    ] {
        match open_with(&path, options) {
            Err(Error::Locked { holder: LockHolder::Process(id) }) => assert_eq!(id, first.id()),
            // Some file systems do not say, or say it of a device that has no name here.
            Err(Error::Locked { holder: LockHolder::Unknown }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(files_of(dir.path()), before);
    first.kill().unwrap();
    first.wait().unwrap();
    let store = open_with(&path, options()).unwrap();
    assert_eq!(count(&store), 1, "the first process was unharmed until its end");
    assert_eq!(store.integrity_check().unwrap().findings, []);
}

#[test]
fn a_process_that_waits_gets_the_file_when_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let (mut first, mut said) = start("hold", &path);
    assert_eq!(heard(&mut said).as_deref(), Some("held"));
    let patient = StoreOptions { lock_timeout: Some(PATIENCE), ..options() };
    let store = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| open_with(&path, patient));
        drop(first.stdin.take());
        waiting.join().unwrap().unwrap()
    });
    assert_eq!(count(&store), 1);
    assert!(first.wait().unwrap().success());
}

/// Creates a database, commits, closes and opens it again, on and on.
fn create_and_write(path: &Path) {
    say("ready");
    for key in 0.. {
        let store = open_with(path, options()).unwrap();
        put(&store, key).unwrap();
        say(&key.to_string());
        if key % 2 == 0 {
            store.close().unwrap();
        }
    }
}

fn kill_at(child: &mut Child, moment: Instant) {
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_kill_during_creation_opening_or_closing_leaves_a_database_or_none() {
    const ROUNDS: u64 = 50;
    let (mut absent, mut acked_total) = (0, 0);
    for round in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.any");
        let (mut child, mut said) = start("create", &path);
        assert_eq!(heard(&mut said).as_deref(), Some("ready"));
        // From the middle of the creation to some openings and closings later.
        kill_at(&mut child, Instant::now() + Duration::from_micros(round * round * 4));
        let acked = std::iter::from_fn(|| heard(&mut said)).count() as u64;
        acked_total += acked;
        match open_with(&path, StoreOptions { create: false, ..options() }) {
            Ok(store) => expect_acked(&store, acked),
            Err(Error::NotFound) => {
                assert_eq!(acked, 0, "round {round}: it was there");
                absent += 1;
            }
            Err(other) => panic!("round {round}: {other}"),
        }
        let store = open_with(&path, options()).unwrap();
        put(&store, u64::MAX).unwrap();
        store.close().unwrap();
    }
    println!("{absent} of {ROUNDS} were absent, {acked_total} commits were acknowledged");
    assert!(acked_total > 0, "every child was killed before it did anything");
}

fn expect_acked(store: &Store, acked: u64) {
    let found = count(store);
    assert!(found == acked || found == acked + 1, "{acked} acknowledged, {found} there");
    assert_eq!(store.integrity_check().unwrap().findings, []);
}

/// What a process meets that may read the database and not write it. The parent looks at the files.
fn meet_what_is_forbidden(path: &Path) {
    let read_only = || StoreOptions { read_only: true, ..options() };
    let dir = path.parent().unwrap();
    for (name, entries) in [("clean.any", 1), ("crashed.any", 1)] {
        let path = dir.join(name);
        let store = open_with(&path, read_only()).unwrap();
        assert_eq!(count(&store), entries, "{name}");
        assert!(matches!(store.begin_write(), Err(Error::ReadOnly)));
        store.close().unwrap();
        let refused = open_with(&path, options());
        assert!(matches!(refused, Err(Error::ReadOnly)), "{name}: {refused:?}");
    }
    // A file that may be written, in a folder that may not: there is no place for a log.
    let store = open_with(&dir.join("writable.any"), options()).unwrap();
    assert_eq!(count(&store), 1);
    let refused = store.begin_write().map(|_| ());
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    store.close().unwrap();
    let refused = open_with(&dir.join("new.any"), options()).map(|_| ());
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    assert!(matches!(open_with(&dir.join("new.any"), read_only()), Err(Error::NotFound)));
    let unreadable = open_with(&dir.join("unreadable.any"), options()).map(|_| ());
    assert!(matches!(unreadable, Err(Error::Io { .. })), "{unreadable:?}");
    say("met");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_and_folders_that_may_not_be_written_are_read_and_nothing_is_made() {
    const NOBODY: u32 = 65534;
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    let (clean, crashed) = (files.join("clean.any"), files.join("crashed.any"));
    let store = open_with(&clean, options()).unwrap();
    put(&store, 1).unwrap();
    fs::copy(&clean, &crashed).unwrap();
    fs::copy(log_of(&clean), log_of(&crashed)).unwrap();
    store.close().unwrap();
    for name in ["writable.any", "unreadable.any"] {
        fs::copy(&clean, files.join(name)).unwrap();
    }
    // A copy, since whoever runs as nobody may not reach this one.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [&clean, &crashed, &log_of(&crashed)] {
        set_mode(path, 0o444);
    }
    set_mode(&files.join("writable.any"), 0o666);
    set_mode(&files.join("unreadable.any"), 0o000);
    let before = files_of_root(&files);
    set_mode(&files, 0o555);
    set_mode(dir.path(), 0o755);
    let mut command = command(&program, "forbidden", &files.join("any"));
    if rustix::process::geteuid().is_root() {
        // No mode forbids anything to this user.
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.stderr(Stdio::piped()).output().unwrap();
    set_mode(&files, 0o755);
    set_mode(&files.join("unreadable.any"), 0o600);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("child: met"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files_of_root(&files), before);
}

/// As [`files_of`], without the one that cannot be read.
fn files_of_root(dir: &Path) -> BTreeMap<OsString, Option<Vec<u8>>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let bytes =
        |path: PathBuf| (!path.ends_with("unreadable.any")).then(|| fs::read(path).unwrap());
    entries.map(|entry| (entry.file_name(), bytes(entry.path()))).collect()
}

#[test]
fn a_log_that_belongs_to_somebody_else_is_refused() {
    const SOMEBODY: u32 = 4242;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let store = open_with(&path, options()).unwrap();
    put(&store, 1).unwrap();
    let crashed = dir.path().join("crashed.any");
    fs::copy(&path, &crashed).unwrap();
    fs::copy(log_of(&path), log_of(&crashed)).unwrap();
    if chown(log_of(&crashed), Some(SOMEBODY), None).is_ok() {
        let refused = open_with(&crashed, options()).map(|_| ());
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
        // Whose database it is, his log it may be.
        chown(&crashed, Some(SOMEBODY), None).unwrap();
    }
    assert_eq!(count(&open_with(&crashed, options()).unwrap()), 1);
}

//! Flushes and the sentinel as a user meets them, with a process that is really killed.

use any_store::{
    CollectionOptions, Database, Document, Durability, ErrorKind, FlushMode, Sync, doc,
};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The process to be killed is this test's binary; this tells it where to write.
const VICTIM: &str = "ANY_STORE_TEST_VICTIM";

fn guarded(path: &Path) -> Database {
    let durability = Durability { sentinel: true, ..Durability::default() };
    Database::options().durability(durability).open(path).unwrap()
}

fn insert(db: &Database, id: i64) {
    let docs = db.get_or_create_collection("docs", CollectionOptions::new()).unwrap();
    docs.insert_one(&doc! { "id": id }).unwrap();
}

fn sentinel_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Commits, says so, and waits for the end.
fn be_killed(path: &Path) {
    let db = guarded(path);
    insert(&db, 1);
    println!("\ncommitted");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_killed_process_leaves_the_sentinel_and_the_next_open_sees_it() {
    if let Some(path) = env::var_os(VICTIM) {
        return be_killed(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.any");
    let this = "a_killed_process_leaves_the_sentinel_and_the_next_open_sees_it";
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", this, "--nocapture"])
        .env(VICTIM, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "committed"), "the victim lives until it is killed");
    victim.kill().unwrap();
    victim.wait().unwrap();

    let content = fs::read(sentinel_of(&path)).unwrap();
    assert_eq!(content[56..60], victim.id().to_le_bytes(), "it names the process");
    let db = guarded(&path);
    let stats = db.stats().unwrap().storage;
    assert!(stats.dirty_on_open && stats.dirty_quick_check.is_some());
    assert!(!sentinel_of(&path).exists(), "what was left is durable");
    assert_eq!(db.collection::<Document>("docs").count().unwrap(), 1);
    insert(&db, 2);
    assert!(sentinel_of(&path).exists());
    db.close().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a closed database is one file");
    assert!(!guarded(&path).stats().unwrap().storage.dirty_on_open);
}

#[cfg(unix)]
#[test]
fn the_sentinel_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.any");
    let db = guarded(&path);
    insert(&db, 1);
    let mode = fs::metadata(sentinel_of(&path)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(db.flush("CHECKPOINT_FULL".parse().unwrap()).unwrap().is_complete);
    assert!(!sentinel_of(&path).exists());
}

#[test]
fn an_idle_database_flushes_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.any");
    let idle_after = Duration::from_millis(1);
    let durability = Durability { auto_flush: true, idle_after, ..Durability::default() };
    let db = Database::options().durability(durability).open(&path).unwrap();
    insert(&db, 1);
    // No limit: it happens, or the test hangs and says where.
    while db.stats().unwrap().storage.idle_flush_count == 0 {
        std::thread::yield_now();
    }
    let quiet = db.flush_when_idle(Duration::from_millis(1), FlushMode::Passive).unwrap();
    assert!(quiet.is_complete);
}

#[test]
fn a_flush_in_the_way_of_a_reader_is_busy_and_one_of_a_closed_database_is_told_so() {
    let db = Database::options()
        .vfs(std::sync::Arc::new(any_store::MemVfs::new()))
        .busy_timeout(Duration::ZERO)
        .open("memory.any")
        .unwrap();
    insert(&db, 1);
    let snapshot = db.begin_read().unwrap();
    insert(&db, 2);
    assert!(!db.flush(FlushMode::Passive).unwrap().is_complete);
    assert_eq!(db.flush(FlushMode::Full).unwrap_err().kind(), ErrorKind::Busy);
    drop(snapshot);
    assert!(db.flush(FlushMode::Full).unwrap().is_complete);
    assert_eq!("idle".parse::<FlushMode>().map_err(any_store::Error::from).unwrap_err().kind(), {
        ErrorKind::InvalidOptions
    });
    let mut tx = db.begin_write().unwrap();
    tx.set_sync(Sync::Full);
    tx.commit().unwrap();
    db.close().unwrap();
    let refused = db.flush_when_idle(Duration::ZERO, FlushMode::Passive).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[test]
fn a_database_in_memory_may_be_idle_too() {
    let db = Database::in_memory().unwrap();
    insert(&db, 1);
    let quiet = Duration::from_millis(20);
    assert!(db.flush_when_idle(quiet, FlushMode::Passive).unwrap().is_complete);
}

#[test]
fn errors_of_the_background_reach_the_callback() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.any");
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let db = Database::options()
        .durability(Durability {
            auto_flush: true,
            idle_after: Duration::ZERO,
            flush_mode: FlushMode::Full,
            ..Durability::default()
        })
        .busy_timeout(Duration::ZERO)
        .on_background_error(move |error| {
            let _ = tell.lock().unwrap().send(error.kind());
        })
        .open(&path)
        .unwrap();
    insert(&db, 1);
    let _snapshot = db.begin_read().unwrap();
    insert(&db, 2);
    assert_eq!(told.recv().unwrap(), ErrorKind::Busy);
    let stats = db.stats().unwrap().storage;
    assert!(stats.idle_flush_failure_count > 0 && stats.background_failure_count > 0);
}

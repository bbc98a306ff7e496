//! Sorts and updates that do not fit their budget go on in a temporary file and come out the same.

mod common;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use any_store::vfs::{DirEntry, OpenMode};
use any_store::{
    Collection, CollectionOptions, Database, Document, ErrorKind, MemVfs, Result, Vfs, VfsFile, doc,
};
use common::{Random, assert_kind};

/// A file system that counts temporary files, and can refuse them.
#[derive(Debug)]
struct Counting {
    files: MemVfs,
    temporary: AtomicUsize,
    is_full: AtomicBool,
}

impl Vfs for Counting {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.files.open(path, mode)
    }

    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        assert_eq!(dir, Path::new("folder"), "beside the database");
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.temporary.fetch_add(1, Ordering::Relaxed);
        self.files.open_temporary(dir)
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename_noreplace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.files.list(dir)
    }

    fn monotonic(&self) -> Duration {
        self.files.monotonic()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.files.wall_clock_ms()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.files.random(buf)
    }

    fn process_id(&self) -> u32 {
        self.files.process_id()
    }
}

fn open(sort_bytes: u64) -> (Arc<Counting>, Collection) {
    let vfs = Arc::new(Counting {
        files: MemVfs::new(),
        temporary: AtomicUsize::new(0),
        is_full: AtomicBool::new(false),
    });
    let options = Database::options().vfs(vfs.clone()).sort_bytes(sort_bytes);
    let db = options.open("folder/x.any").unwrap();
    let numbers = db.create_collection("numbers", CollectionOptions::new()).unwrap();
    (vfs, numbers)
}

fn fill(numbers: &Collection, count: i64) {
    let random = &mut Random::new(7);
    let documents = (0..count).map(|id| {
        let text = "x".repeat(random.below(200) as usize);
        doc! { "id": id, "n": (random.below(50) as i64), "text": text }
    });
    numbers.insert_many(documents).unwrap();
}

fn sorted(numbers: &Collection, limit: u64) -> Vec<Document> {
    numbers.find(()).sort(["-n", "text"]).limit(limit).run().unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_spilling_sort_equals_one_in_memory() {
    let (roomy_vfs, roomy) = open(64 << 20);
    fill(&roomy, 3_000);
    for budget in [0, 1_000, 20_000, 200_000] {
        let (tight_vfs, tight) = open(budget);
        fill(&tight, 3_000);
        for limit in [0, 1, 17, 1_500, 10_000] {
            assert_eq!(sorted(&tight, limit), sorted(&roomy, limit), "{budget} bytes, {limit}");
        }
        assert!(tight_vfs.temporary.load(Ordering::Relaxed) >= 2, "{budget}");
    }
    assert_eq!(roomy_vfs.temporary.load(Ordering::Relaxed), 0, "what fits makes no file");
}

#[test]
fn a_sort_makes_one_file_however_many_runs_it_has() {
    let (vfs, numbers) = open(500);
    fill(&numbers, 2_000);
    assert_eq!(sorted(&numbers, 0).len(), 2_000);
    assert_eq!(vfs.temporary.load(Ordering::Relaxed), 1);
    let top = numbers.find(()).sort("n").limit(1).first().unwrap();
    assert!(top.is_some());
    assert_eq!(vfs.temporary.load(Ordering::Relaxed), 1, "one row fits the heap");
}

#[test]
fn updates_and_deletes_with_more_targets_than_the_budget_reach_each_once() {
    let (vfs, numbers) = open(100);
    fill(&numbers, 2_000);
    let updated = numbers.update_many((), doc! { "$inc": { "n": 100 } }).unwrap();
    assert_eq!((updated.matched, updated.modified), (2_000, 2_000));
    assert_eq!(numbers.find(doc! { "n": { "$gte": 150 } }).count().unwrap(), 0);
    assert_eq!(numbers.find(doc! { "n": { "$gte": 100 } }).count().unwrap(), 2_000);
    let deleted = numbers.find(()).sort("-n").skip(500).limit(1_000).delete().unwrap();
    assert_eq!(deleted.deleted, 1_000);
    assert_eq!(numbers.count().unwrap(), 1_000);
    assert_eq!(vfs.temporary.load(Ordering::Relaxed), 3, "targets; sort and targets");
}

#[test]
fn a_full_disk_fails_the_statement_and_nothing_else() {
    let (vfs, numbers) = open(1_000);
    fill(&numbers, 500);
    vfs.is_full.store(true, Ordering::Relaxed);
    let mut cursor = numbers.find(()).sort("n").run().unwrap();
    assert_kind(cursor.next().unwrap(), ErrorKind::NoSpace);
    assert!(cursor.next().is_none(), "the cursor has ended");
    assert_kind(numbers.update_many((), doc! { "$inc": { "n": 1 } }), ErrorKind::NoSpace);
    assert_kind(numbers.find(()).sort("n").delete(), ErrorKind::NoSpace);
    vfs.is_full.store(false, Ordering::Relaxed);
    assert_eq!(numbers.find(()).sort("n").count().unwrap(), 500);
}

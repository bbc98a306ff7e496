//! Sorts and updates that do not fit their budget go on in a temporary file and come out the same.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use any_store::{
    Collection, CollectionOptions, Database, Document, ErrorKind, MemVfs, Result, doc,
};
use common::faulty::{Faults, FaultyVfs};
use common::{Random, assert_kind};

fn open(sort_bytes: u64) -> (Arc<Faults>, Collection) {
    let faults = Arc::new(Faults::default());
    let vfs = FaultyVfs { files: MemVfs::new(), faults: Arc::clone(&faults) };
    let options = Database::options().vfs(Arc::new(vfs)).sort_bytes(sort_bytes);
    let db = options.open("folder/x.any").unwrap();
    (faults, db.create_collection("numbers", CollectionOptions::new()).unwrap())
}

fn temporary(faults: &Faults) -> usize {
    faults.temporary_count.load(Ordering::Relaxed)
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
    let (roomy_faults, roomy) = open(64 << 20);
    fill(&roomy, 3_000);
    for budget in [0, 1_000, 20_000, 200_000] {
        let (tight_faults, tight) = open(budget);
        fill(&tight, 3_000);
        for limit in [0, 1, 17, 1_500, 10_000] {
            assert_eq!(sorted(&tight, limit), sorted(&roomy, limit), "{budget} bytes, {limit}");
        }
        assert!(temporary(&tight_faults) >= 2, "{budget}");
    }
    assert_eq!(temporary(&roomy_faults), 0, "what fits makes no file");
}

#[test]
fn a_sort_makes_one_file_however_many_runs_it_has() {
    let (faults, numbers) = open(500);
    fill(&numbers, 2_000);
    assert_eq!(sorted(&numbers, 0).len(), 2_000);
    assert_eq!(temporary(&faults), 1);
    let top = numbers.find(()).sort("n").limit(1).first().unwrap();
    assert!(top.is_some());
    assert_eq!(temporary(&faults), 1, "one row fits the heap");
}

#[test]
fn updates_and_deletes_with_more_targets_than_the_budget_reach_each_once() {
    let (faults, numbers) = open(100);
    fill(&numbers, 2_000);
    let updated = numbers.update_many((), doc! { "$inc": { "n": 100 } }).unwrap();
    assert_eq!((updated.matched, updated.modified), (2_000, 2_000));
    assert_eq!(numbers.find(doc! { "n": { "$gte": 150 } }).count().unwrap(), 0);
    assert_eq!(numbers.find(doc! { "n": { "$gte": 100 } }).count().unwrap(), 2_000);
    let deleted = numbers.find(()).sort("-n").skip(500).limit(1_000).delete().unwrap();
    assert_eq!(deleted.deleted, 1_000);
    assert_eq!(numbers.count().unwrap(), 1_000);
    assert_eq!(temporary(&faults), 3, "targets; sort and targets");
}

#[test]
fn a_full_disk_fails_the_statement_and_nothing_else() {
    let (faults, numbers) = open(1_000);
    fill(&numbers, 500);
    faults.temporary.store(true, Ordering::Relaxed);
    let mut cursor = numbers.find(()).sort("n").run().unwrap();
    assert_kind(cursor.next().unwrap(), ErrorKind::NoSpace);
    assert!(cursor.next().is_none(), "the cursor has ended");
    assert_kind(numbers.update_many((), doc! { "$inc": { "n": 1 } }), ErrorKind::NoSpace);
    assert_kind(numbers.find(()).sort("n").delete(), ErrorKind::NoSpace);
    faults.temporary.store(false, Ordering::Relaxed);
    assert_eq!(numbers.find(()).sort("n").count().unwrap(), 500);
}

//! A file system that fails: what was not acknowledged is not there, and the error says so.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use any_store::{
    Collection, CollectionOptions, Database, Document, Error, ErrorKind, MemVfs, Outcome, Sync, doc,
};
use common::faulty::{Faults, FaultyVfs};
use common::{assert_kind, numbered};

struct Rig {
    files: MemVfs,
    faults: Arc<Faults>,
}

impl Rig {
    fn new() -> Self {
        let rig = Rig { files: MemVfs::new(), faults: Arc::default() };
        let db = rig.open();
        let users = db.create_collection("users", CollectionOptions::new()).unwrap();
        users.insert_many(numbered([(1, 1), (2, 2), (3, 3)])).unwrap();
        db.close().unwrap();
        rig
    }

    fn open(&self) -> Database {
        let vfs = FaultyVfs { files: self.files.clone(), faults: Arc::clone(&self.faults) };
        // Looking for what may expire would bring the catalog into the cache.
        Database::options()
            .expire_every(None)
            .vfs(Arc::new(vfs))
            .sort_bytes(0)
            .open("x.any")
            .unwrap()
    }

    fn set(&self, fault: impl Fn(&Faults) -> &AtomicBool, fails: bool) {
        fault(&self.faults).store(fails, Ordering::Relaxed);
    }
}

fn users(db: &Database) -> Collection {
    db.collection("users")
}

fn all(db: &Database) -> Vec<Document> {
    users(db).find(()).into_iter().map(Result::unwrap).collect()
}

/// Lesson 161: only "not there" means not there.
#[test]
fn a_read_that_fails_is_never_taken_for_absence() {
    let rig = Rig::new();
    let db = rig.open();
    // Known to the catalog's cache; the documents' pages are not in memory.
    users(&db).primary_key().unwrap();
    rig.set(|faults| &faults.reads, true);
    let other = doc! { "id": 2, "n": "other" };
    assert_kind(users(&db).insert_one(&other), ErrorKind::Io);
    assert_kind(users(&db).upsert(&other), ErrorKind::Io);
    assert_kind(users(&db).upsert_id(2, doc! { "$set": { "n": 9 } }), ErrorKind::Io);
    assert_kind(users(&db).get(2), ErrorKind::Io);
    assert_kind(users(&db).delete_id(2), ErrorKind::Io);
    assert_kind(users(&db).find(doc! { "id": 2 }).count(), ErrorKind::Io);
    assert_kind(users(&db).update_many((), doc! { "$set": { "n": 9 } }), ErrorKind::Io);
    rig.set(|faults| &faults.reads, false);
    assert_eq!(all(&db), numbered([(1, 1), (2, 2), (3, 3)]));
    users(&db).delete_id(2).unwrap();
}

#[test]
fn a_catalog_that_cannot_be_read_is_no_empty_catalog() {
    let rig = Rig::new();
    let db = rig.open();
    rig.set(|faults| &faults.reads, true);
    assert_kind(users(&db).count(), ErrorKind::Io);
    assert_kind(db.collection_names(), ErrorKind::Io);
    assert_kind(db.get_or_create_collection("users", CollectionOptions::new()), ErrorKind::Io);
    rig.set(|faults| &faults.reads, false);
    assert_eq!(db.collection_names().unwrap(), ["users"]);
    assert_eq!(users(&db).count().unwrap(), 3);
}

/// A transaction that deletes everything, and fails to commit by the fault.
fn fail_to_commit(rig: &Rig, db: &Database, fault: impl Fn(&Faults) -> &AtomicBool) -> Error {
    let mut tx = db.begin_write().unwrap();
    tx.collection(&users(db)).delete_many(()).unwrap();
    tx.create_collection("other", CollectionOptions::new()).unwrap();
    rig.set(fault, true);
    tx.commit().unwrap_err()
}

#[test]
fn a_commit_that_cannot_be_written_leaves_nothing_and_says_so() {
    let rig = Rig::new();
    let db = rig.open();
    users(&db).insert_one(&doc! { "id": 4, "n": 4 }).unwrap();
    let error = fail_to_commit(&rig, &db, |faults| &faults.next_write);
    assert_eq!(error.outcome(), Some(Outcome::Aborted), "{error}");
    let expected = numbered([(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(all(&db), expected);
    assert_eq!(db.collection_names().unwrap(), ["users"]);
    users(&db).replace(&doc! { "id": 4, "n": 4 }).unwrap();
    drop(db);
    assert_eq!(all(&rig.open()), expected);
}

/// What was half written could not be made void, so nobody knows what a reopening will find.
#[test]
fn a_commit_that_can_neither_be_written_nor_taken_back_is_unknown() {
    let rig = Rig::new();
    let db = rig.open();
    users(&db).insert_one(&doc! { "id": 4, "n": 4 }).unwrap();
    let error = fail_to_commit(&rig, &db, |faults| &faults.writes);
    assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error}");
    rig.set(|faults| &faults.writes, false);
    let expected = numbered([(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(all(&db), expected);
    assert_kind(users(&db).insert_one(&doc! { "id": 5 }), ErrorKind::Failed);
    drop(db);
    assert_eq!(all(&rig.open()), expected, "not one byte of it was written");
}

#[test]
fn a_commit_that_cannot_be_synced_is_unknown_and_the_database_reads_on() {
    let rig = Rig::new();
    let db = rig.open();
    users(&db).insert_one(&doc! { "id": 4, "n": 4 }).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.set_sync(Sync::Full);
    tx.collection(&users(&db)).delete_id(4).unwrap();
    rig.set(|faults| &faults.syncs, true);
    let error = assert_kind(tx.commit(), ErrorKind::CommitUnknown);
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    assert_eq!(users(&db).count().unwrap(), 4, "readers keep the last published state");
    assert_kind(users(&db).insert_one(&doc! { "id": 5 }), ErrorKind::Failed);
    rig.set(|faults| &faults.syncs, false);
    drop(db);
    let found = all(&rig.open()).len();
    assert!(found == 3 || found == 4, "{found}");
}

#[test]
fn a_temporary_file_that_cannot_be_used_fails_its_statement_alone() {
    let rig = Rig::new();
    let db = rig.open();
    assert_eq!(all(&db).len(), 3);
    rig.set(|faults| &faults.writes, true);
    let error = assert_kind(users(&db).find(()).sort("-n").first(), ErrorKind::Io);
    assert!(std::error::Error::source(&error).is_some(), "what the system said is kept");
    rig.set(|faults| &faults.writes, false);
    let last = users(&db).find(()).sort("-n").run().unwrap().next().unwrap().unwrap();
    assert_eq!(last, doc! { "id": 3, "n": 3 });
}

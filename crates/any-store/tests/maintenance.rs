//! Backups, compaction and checks of whole databases.

mod common;

use any_store::{
    BackupOptions, Cancel, CheckOptions, CollectionOptions, Database, Document, ErrorKind, MemVfs,
    Result, VerifyOptions, doc,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

fn filled(db: Database) -> Database {
    let options = CollectionOptions::new().primary_key("_id").auto_id(true);
    let users = db.create_collection("users", options).unwrap();
    let text = "a text that is long enough to be compressed; ".repeat(20);
    users
        .insert_many(
            (0..500).map(|n| doc! { "_id": n, "name": format!("user {n}"), "text": &*text }),
        )
        .unwrap();
    users.delete_many(doc! { "_id": { "$gte": 100, "$lt": 400 } }).unwrap();
    db.create_collection("empty", CollectionOptions::new()).unwrap();
    db
}

/// All documents with their collections.
fn content(db: &Database) -> Vec<(String, Vec<Document>)> {
    let names = db.collection_names().unwrap();
    let documents = |name: &str| {
        let found = db.collection::<Document>(name).find(doc! {}).run().unwrap();
        found.collect::<Result<Vec<_>>>().unwrap()
    };
    names.into_iter().map(|name| (name.clone(), documents(&name))).collect()
}

#[test]
fn a_copy_holds_every_collection_and_takes_more() {
    let dir = tempfile::tempdir().unwrap();
    let on_disk = Database::open(dir.path().join("source.any")).unwrap();
    for (number, db) in [Database::in_memory().unwrap(), on_disk].into_iter().enumerate() {
        let db = filled(db);
        let backup = dir.path().join(format!("backup{number}.any"));
        let compacted = dir.path().join(format!("compacted{number}.any"));
        let verified = || BackupOptions::new().verify(true);
        db.backup_to(&backup, verified()).unwrap();
        let report = db.compact_to(&compacted, verified()).unwrap();
        assert_eq!(report.file_bytes, std::fs::metadata(&compacted).unwrap().len());
        let mut bytes = Vec::new();
        db.backup_to_writer(&mut bytes, BackupOptions::new()).unwrap();
        for copy in [
            Database::open(&backup).unwrap(),
            Database::open(&compacted).unwrap(),
            Database::from_bytes(bytes).unwrap(),
        ] {
            assert!(content(&copy) == content(&db));
            assert_eq!(copy.collection_infos().unwrap().len(), 2);
            assert!(copy.integrity_check().unwrap().is_ok());
            assert_eq!(copy.verify().unwrap().finding_count, 0);
            copy.quick_check().unwrap();
            let users = copy.open_collection("users").unwrap();
            users.insert_one(&doc! { "name": "new" }).unwrap();
            copy.create_collection("more", CollectionOptions::new()).unwrap();
            copy.close().unwrap();
        }
        assert!(Database::open(&backup).unwrap().integrity_check().unwrap().is_ok());
        assert_eq!(db.open_collection("users").unwrap().count().unwrap(), 200, "the source stays");
    }
}

#[test]
fn a_database_is_compacted_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let db = filled(Database::open(&path).unwrap());
    let want = content(&db);
    let in_use = Database::compact(&path, BackupOptions::new()).unwrap_err();
    assert_eq!(in_use.kind(), ErrorKind::Locked);
    assert!(in_use.to_string().contains("a.any"), "{in_use}");
    db.close().unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    let report = Database::compact(&path, BackupOptions::new().verify(true)).unwrap();
    assert!(report.file_bytes <= before, "{report:?} was {before}");
    assert!(content(&Database::open(&path).unwrap()) == want);
    let missing = Database::compact(dir.path().join("b.any"), BackupOptions::new()).unwrap_err();
    assert!(missing.is_not_found());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no other file is left");
}

#[test]
fn refusals_have_their_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.any");
    let db = filled(Database::open(&path).unwrap());
    let kind = |outcome: Result<any_store::BackupReport>| outcome.unwrap_err().kind();
    assert_eq!(kind(db.backup_to(&path, BackupOptions::new().overwrite(true))), ErrorKind::Locked);
    let letter = dir.path().join("letter.txt");
    std::fs::write(&letter, "dear").unwrap();
    assert_eq!(kind(db.backup_to(&letter, BackupOptions::new())), ErrorKind::Io);
    let overwriting = db.backup_to(&letter, BackupOptions::new().overwrite(true));
    assert_eq!(kind(overwriting), ErrorKind::UnsupportedFormat);
    assert_eq!(std::fs::read(&letter).unwrap(), b"dear");
    let cancel = Cancel::new();
    cancel.cancel();
    let target = dir.path().join("never.any");
    let cancelled = || BackupOptions::new().cancel(cancel.clone());
    assert_eq!(kind(db.backup_to(&target, cancelled())), ErrorKind::Cancelled);
    assert_eq!(kind(db.compact_to(&target, cancelled())), ErrorKind::Cancelled);
    assert!(!target.exists());
    let check = db.integrity_check_with(CheckOptions::new().cancel(cancel.clone()));
    assert_eq!(check.unwrap_err().kind(), ErrorKind::Cancelled);
    let verify = db.verify_with(VerifyOptions::new().cancel(cancel));
    assert_eq!(verify.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(Database::from_bytes(*b"dear").unwrap_err().kind(), ErrorKind::UnsupportedFormat);
}

#[test]
fn the_check_of_documents_can_be_ended_too() {
    let db = filled(Database::in_memory().unwrap());
    let cancel = Cancel::new();
    let by_callback = cancel.clone();
    let reports = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reports);
    // The walk over the pages reports at its end at the latest; the documents come after it.
    let options = CheckOptions::new().cancel(cancel).on_progress(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        by_callback.cancel();
    });
    assert_eq!(db.integrity_check_with(options).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(reports.load(Ordering::SeqCst), 1);
}

#[test]
fn progress_is_reported_to_the_end() {
    let db = filled(Database::in_memory().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let reporter = || {
        let seen = Arc::clone(&seen);
        move |progress: any_store::Progress| seen.lock().unwrap().push(progress)
    };
    db.integrity_check_with(CheckOptions::new().on_progress(reporter())).unwrap();
    db.verify_with(VerifyOptions::new().threads(2).on_progress(reporter())).unwrap();
    let memory = Arc::new(MemVfs::new());
    let to_memory = BackupOptions::new().vfs(memory).on_progress(reporter());
    db.backup_to("copy.any", to_memory).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() >= 3);
    let ends = seen.iter().filter(|progress| progress.done_blocks == progress.total_blocks);
    assert_eq!(ends.count(), 3, "{seen:?}");
}

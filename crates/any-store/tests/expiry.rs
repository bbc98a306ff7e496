//! Indexes with a time to live.

use std::time::Duration;

use any_store::{
    Collection, CollectionOptions, Database, DateTime, Document, IndexSpec, Options, Value, doc,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A date so many hours from now.
fn hours_from_now(hours: i64) -> DateTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    DateTime::from_ms(i64::try_from(now.as_millis()).unwrap() + hours * 3_600_000)
}

fn sessions(db: &Database, spec: IndexSpec) -> Collection {
    let made = db.create_collection("sessions", CollectionOptions::new()).unwrap();
    made.create_index(spec).unwrap();
    made
}

fn ids(of: &Collection) -> Vec<Value> {
    let documents = of.find(()).sort("id").run().unwrap();
    documents
        .map(|document: any_store::Result<Document>| document.unwrap().get("id").unwrap().clone())
        .collect()
}

fn dated(id: i64, at: impl Into<Value>) -> Document {
    let mut document = doc! { "id": id };
    document.insert("at", at.into());
    document
}

#[test]
fn what_is_old_enough_goes_and_nothing_else() {
    for field in ["at", "-at"] {
        let db = Database::in_memory().unwrap();
        let made = sessions(&db, IndexSpec::new(field).expire_after(HOUR));
        made.insert_many([
            dated(1, hours_from_now(-2)),
            dated(2, hours_from_now(0)),
            dated(3, hours_from_now(5)),
            dated(4, "not a date"),
            dated(5, 0),
            doc! { "id": 6 },
            dated(7, vec![Value::from(hours_from_now(5)), Value::from(hours_from_now(-3))]),
            dated(8, vec![Value::from(hours_from_now(5)), Value::from("text")]),
            dated(9, Vec::<Value>::new()),
        ])
        .unwrap();
        assert_eq!(
            made.count().unwrap(),
            9,
            "expired documents are visible until they are removed"
        );
        assert_eq!(made.expire_now().unwrap(), 2);
        assert_eq!(ids(&made), [2, 3, 4, 5, 6, 8, 9].map(Value::from));
        assert_eq!(made.expire_now().unwrap(), 0);
        assert!(db.integrity_check().unwrap().is_ok());
    }
}

#[test]
fn a_partial_index_lets_only_its_own_documents_expire() {
    let db = Database::in_memory().unwrap();
    let spec = IndexSpec::new("at").partial(doc! { "guest": true }).expire_after(HOUR);
    let made = sessions(&db, spec);
    let old = hours_from_now(-2);
    made.insert_many([
        doc! { "id": 1, "at": old, "guest": true },
        doc! { "id": 2, "at": old, "guest": false },
        doc! { "id": 3, "at": old },
    ])
    .unwrap();
    assert_eq!(made.expire_now().unwrap(), 1);
    assert_eq!(ids(&made), [2, 3].map(Value::from));
}

#[test]
fn many_go_in_batches_and_a_transaction_takes_all_or_none() {
    let db = Database::in_memory().unwrap();
    let made = sessions(&db, IndexSpec::new("at").expire_after(HOUR));
    let fill = || made.insert_many((0..2_500).map(|id| dated(id, hours_from_now(-2)))).unwrap();
    fill();
    let mut tx = db.begin_write().unwrap();
    assert_eq!(tx.collection(&made).expire_now().unwrap(), 2_500);
    tx.rollback();
    assert_eq!(made.count().unwrap(), 2_500);
    assert_eq!(made.expire_now().unwrap(), 2_500);
    assert_eq!(made.count().unwrap(), 0);
}

/// Looks until the thread in the background has removed everything.
fn wait_until_empty(made: &Collection) {
    for _ in 0..50_000_000u64 {
        if made.count().unwrap() == 0 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{} documents were not removed", made.count().unwrap());
}

fn often() -> Options {
    Options::new().expire_every(Duration::from_millis(1))
}

#[test]
fn a_thread_removes_what_expires_after_the_index_is_made_and_after_an_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.any");
    let db = often().open(&path).unwrap();
    let made = sessions(&db, IndexSpec::new("at").expire_after(HOUR));
    made.insert_many((0..1_500).map(|id| dated(id, hours_from_now(-2)))).unwrap();
    wait_until_empty(&made);
    assert_eq!(db.stats().unwrap().expiry_error, None);
    db.close().unwrap();

    let db = Options::new().expire_every(None).open(&path).unwrap();
    let made: Collection = db.collection("sessions");
    made.insert_one(&dated(1, hours_from_now(-2))).unwrap();
    db.close().unwrap();

    let db = often().read_only(true).open(&path).unwrap();
    assert_eq!(db.collection::<Document>("sessions").count().unwrap(), 1);
    db.close().unwrap();

    let db = often().open(&path).unwrap();
    wait_until_empty(&db.collection("sessions"));
    assert!(db.integrity_check().unwrap().is_ok());
    drop(db);
    assert!(Options::new().open(&path).is_ok(), "the thread does not keep the database open");
}

#[test]
fn dropping_a_collection_under_the_thread_is_no_error_of_it() {
    let db = often().open_in_memory().unwrap();
    for _ in 0..20 {
        let made = sessions(&db, IndexSpec::new("at").expire_after(HOUR));
        made.insert_many((0..50).map(|id| dated(id, hours_from_now(-2)))).unwrap();
        db.drop_collection("sessions").unwrap();
    }
    assert_eq!(db.stats().unwrap().expiry_error, None);
}

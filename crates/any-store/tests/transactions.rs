//! Transactions: atomic statements, savepoints, panics, and everything that must be undone.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use any_store::{Collection, CollectionOptions, Database, Document, ErrorKind, Sync, Value, doc};
use common::{assert_kind, everywhere, json, numbered, on, snapshot};

fn filled() -> (Database, Collection) {
    let db = Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.insert_many(numbered([(1, 1), (2, 2), (3, 3)])).unwrap();
    (db, users)
}

#[test]
fn a_transaction_sees_its_own_writes_and_others_see_them_after_commit() {
    let (db, users) = filled();
    let mut tx = db.begin_write().unwrap();
    tx.collection(&users).delete_id(1).unwrap();
    tx.collection(&users).insert_one(&doc! { "id": 4, "n": 4 }).unwrap();
    assert_eq!(tx.collection(&users).count().unwrap(), 3);
    assert_eq!(tx.collection(&users).find(doc! { "n": { "$gt": 2 } }).count().unwrap(), 2);
    assert_eq!(tx.collection(&users).get(1).unwrap(), None);
    assert_eq!(users.find(doc! { "n": { "$gt": 2 } }).count().unwrap(), 1);
    assert!(users.get(1).unwrap().is_some());
    tx.commit().unwrap();
    assert_eq!(users.get(1).unwrap(), None);
    assert_eq!(users.count().unwrap(), 3);
}

#[test]
fn rollback_and_drop_undo_everything() {
    let (db, users) = filled();
    let before = snapshot(&db);
    for explicit in [true, false] {
        let mut tx = db.begin_write().unwrap();
        tx.collection(&users).update_many((), doc! { "$inc": { "n": 9 } }).unwrap();
        tx.create_collection("other", CollectionOptions::new()).unwrap();
        if explicit {
            tx.rollback();
        } else {
            drop(tx);
        }
        assert_eq!(snapshot(&db), before);
    }
}

/// Each verb fails at its second element; the first is undone, what the transaction did before stays.
#[test]
fn a_failing_statement_undoes_itself_and_leaves_the_transaction_usable() {
    everywhere(|world| {
        let users = world.users();
        let start = [
            doc! { "id": 1, "n": 1 },
            doc! { "id": 2, "n": "two" },
            doc! { "id": 3, "n": [1], "m": [1] },
        ];
        on!(world, users, users => users.insert_many(&start)).unwrap();
        let inserts = [doc! { "id": 9 }, doc! { "id": 2 }];
        assert_kind(
            on!(world, users, users => users.insert_many(&inserts)),
            ErrorKind::DocumentExists,
        );
        let no_id = [doc! { "id": 9 }, doc! { "n": 2 }];
        let error = assert_kind(
            on!(world, users, users => users.insert_many(&no_id)),
            ErrorKind::MissingId,
        );
        assert_eq!(error.item(), Some(1));
        let inc = doc! { "$inc": { "n": 1 } };
        assert_kind(on!(world, users, users => users.update_many((), &inc)), ErrorKind::Apply);
        assert_kind(
            on!(world, users, users => users.find(()).sort("id").limit(2).update(&inc)),
            ErrorKind::Apply,
        );
        let id = doc! { "$set": { "id": 1, "touched": true } };
        assert_kind(
            on!(world, users, users => users.update_many((), &id)),
            ErrorKind::PrimaryKeyModification,
        );
        let sorted = on!(world, users, users => users.find(()).sort(["n", "m"]).delete());
        assert_kind(sorted, ErrorKind::ParallelArrays);
        let replace =
            on!(world, users, users => users.replace_one(doc! { "id": 1 }, &doc! { "id": 2 }));
        assert_kind(replace, ErrorKind::PrimaryKeyModification);
        world.assert_all(&users, &start);
        on!(world, users, users => users.insert_one(&doc! { "id": 4 })).unwrap();
        assert_eq!(on!(world, users, users => users.count()).unwrap(), 4);
    });
}

#[test]
fn savepoints_nest_and_undo_alone() {
    let (db, users) = filled();
    let mut tx = db.begin_write().unwrap();
    tx.collection(&users).insert_one(&doc! { "id": 10 }).unwrap();
    {
        let mut outer = tx.savepoint().unwrap();
        outer.collection(&users).insert_one(&doc! { "id": 11 }).unwrap();
        {
            let mut inner = outer.savepoint().unwrap();
            inner.collection(&users).insert_one(&doc! { "id": 12 }).unwrap();
            assert_eq!(inner.view(&users).count().unwrap(), 6);
            inner.rollback();
        }
        {
            let mut inner = outer.savepoint().unwrap();
            inner.collection(&users).insert_one(&doc! { "id": 13 }).unwrap();
            inner.commit().unwrap();
        }
        outer.commit().unwrap();
    }
    {
        let mut dropped = tx.savepoint().unwrap();
        dropped.collection(&users).insert_one(&doc! { "id": 14 }).unwrap();
        let mut inner = dropped.savepoint().unwrap();
        inner.collection(&users).insert_one(&doc! { "id": 15 }).unwrap();
        inner.commit().unwrap();
    }
    tx.commit().unwrap();
    let ids: Vec<_> = users
        .find(doc! { "id": { "$gte": 10 } })
        .into_iter()
        .map(|user| user.unwrap().get("id").unwrap().as_i64().unwrap())
        .collect();
    assert_eq!(ids, [10, 11, 13], "an inner commit does not survive an outer rollback");
}

#[test]
fn a_savepoint_undoes_ddl_too() {
    let (db, users) = filled();
    let mut tx = db.begin_write().unwrap();
    let orphan = {
        let mut savepoint = tx.savepoint().unwrap();
        savepoint.drop_collection("users").unwrap();
        let orphan = savepoint.create_collection("users", CollectionOptions::new()).unwrap();
        savepoint.rename_collection("users", "people").unwrap();
        assert_kind(savepoint.collection(&users).count(), ErrorKind::CollectionClosed);
        savepoint.collection(&orphan).insert_one(&doc! { "id": 1 }).unwrap();
        orphan
    };
    assert_eq!(tx.collection_names().unwrap(), ["users"]);
    assert_eq!(tx.collection(&users).count().unwrap(), 3);
    assert_kind(tx.collection(&orphan).insert_one(&doc! { "id": 1 }), ErrorKind::CollectionClosed);
    tx.commit().unwrap();
    assert_eq!(users.count().unwrap(), 3);
}

#[test]
fn write_commits_on_ok_and_rolls_back_on_err() {
    let (db, users) = filled();
    let id = db.write(|tx| tx.collection(&users).insert_one(&doc! { "id": 4 })).unwrap();
    assert_eq!(id, Value::from(4));
    let failed = db.write(|tx| {
        tx.collection(&users).delete_many(())?;
        tx.collection(&users).update_id(99, doc! { "$inc": { "n": 1 } })
    });
    assert_kind(failed, ErrorKind::NotFound);
    assert_eq!(users.count().unwrap(), 4);
}

/// Lessons 105 and 106: a panic rolls back, resumes, and frees the lock.
#[test]
fn a_panic_in_write_rolls_back_resumes_and_frees_the_writer() {
    let (db, users) = filled();
    let before = snapshot(&db);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        db.write::<()>(|tx| {
            tx.collection(&users).delete_many(())?;
            tx.create_collection("other", CollectionOptions::new())?;
            panic!("planned")
        })
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"planned"));
    assert_eq!(snapshot(&db), before);
    let mut tx = db.begin_write_timeout(Duration::ZERO).unwrap();
    tx.collection(&users).delete_id(1).unwrap();
    tx.commit().unwrap();
    assert_eq!(users.count().unwrap(), 2);
}

#[test]
fn a_panic_in_the_callers_iterator_undoes_its_statement_alone() {
    let (db, users) = filled();
    let poisoned = || {
        (10..).map(|id| {
            if id == 12 {
                panic!("planned")
            } else {
                doc! { "id": id }
            }
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(|| users.insert_many(poisoned()))).is_err());
    assert_eq!(users.count().unwrap(), 3);

    let mut tx = db.begin_write().unwrap();
    tx.collection(&users).insert_one(&doc! { "id": 4 }).unwrap();
    let statement = AssertUnwindSafe(|| tx.collection(&users).insert_many(poisoned()));
    assert!(catch_unwind(statement).is_err());
    tx.commit().unwrap();
    assert_eq!(users.count().unwrap(), 4);
}

#[test]
fn a_panic_while_serialising_or_deserialising_leaves_nothing() {
    struct Bomb;
    impl serde::Serialize for Bomb {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("planned")
        }
    }
    impl<'de> serde::Deserialize<'de> for Bomb {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("planned")
        }
    }
    let (db, users) = filled();
    let bombs = users.with_type::<Bomb>();
    assert!(catch_unwind(AssertUnwindSafe(|| bombs.insert_one(&Bomb))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| bombs.insert_many([Bomb, Bomb]))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| bombs.upsert(&Bomb))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| bombs.get(1).map(drop))).is_err());
    assert_eq!(users.count().unwrap(), 3);
    drop(db.begin_write_timeout(Duration::ZERO).unwrap());
}

#[test]
fn a_second_writer_waits_no_longer_than_it_is_told() {
    let (db, users) = filled();
    let tx = db.begin_write().unwrap();
    let busy = db.begin_write_timeout(Duration::from_millis(1));
    let busy = assert_kind(busy, ErrorKind::Busy);
    assert!(busy.is_retryable());
    drop(tx);
    drop(db.begin_write_timeout(Duration::ZERO).unwrap());
    let patient = Database::options().busy_timeout(Duration::ZERO);
    let patient = patient.vfs(std::sync::Arc::new(any_store::MemVfs::new())).open("x").unwrap();
    let other = patient.create_collection("users", CollectionOptions::new()).unwrap();
    let _tx = patient.begin_write().unwrap();
    assert_kind(other.insert_one(&doc! { "id": 1 }), ErrorKind::Busy);
    assert_eq!(users.count().unwrap(), 3);
}

#[test]
fn a_request_that_cannot_be_read_does_not_wait_for_the_writer() {
    let (db, users) = filled();
    let _tx = db.begin_write().unwrap();
    let bad = doc! { "$sett": { "n": 1 } };
    assert_kind(users.update_id(1, &bad), ErrorKind::Parse);
    assert_kind(users.upsert_id(1, &bad), ErrorKind::Parse);
    assert_kind(users.update_many((), &bad), ErrorKind::Parse);
    assert_kind(users.delete_many("{"), ErrorKind::Parse);
    assert_kind(users.find(()).sort(doc! { "a": 3 }).delete(), ErrorKind::Parse);
    assert_kind(users.replace_one("{", &doc! { "id": 1 }), ErrorKind::Parse);
    let ghosts = db.collection::<Document>("ghosts");
    assert_kind(ghosts.update_id(1, &bad), ErrorKind::CollectionNotFound);
    assert_kind(ghosts.delete_many("{"), ErrorKind::CollectionNotFound);
}

#[test]
fn writers_take_turns_across_threads() {
    let (db, users) = filled();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    db.write(|tx| {
                        let n = tx.collection(&users).get(1)?.unwrap();
                        let n = n.get("n").unwrap().as_i64().unwrap();
                        tx.collection(&users).update_id(1, doc! { "$set": { "n": (n + 1) } })
                    })
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(users.get(1).unwrap(), Some(doc! { "id": 1, "n": 101 }));
}

#[test]
fn a_transaction_refuses_collections_of_another_database() {
    let (db, users) = filled();
    let (other_db, others) = filled();
    let kind = ErrorKind::TxOtherInstance;
    let mut tx = db.begin_write().unwrap();
    assert_kind(tx.collection(&others).get(1), kind);
    assert_kind(tx.collection(&others).insert_one(&doc! { "id": 9 }), kind);
    assert_kind(tx.collection(&others).find(()).delete(), kind);
    assert_kind(tx.collection(&others).find(()).count(), kind);
    assert_kind(tx.collection(&others).drop_collection(), kind);
    assert_kind(tx.collection(&others).rename("x"), kind);
    assert_kind(tx.view(&others).count(), kind);
    assert_kind(db.begin_read().unwrap().collection(&others).get(1), kind);
    let by_name = other_db.collection::<Document>("users");
    assert_kind(tx.collection(&by_name).count(), kind);
    let clone = db.clone().collection::<Document>("users");
    assert_eq!(tx.collection(&clone).count().unwrap(), 3, "clones are the same database");
    tx.commit().unwrap();
    assert_eq!((users.count().unwrap(), others.count().unwrap()), (3, 3));
}

#[test]
fn transactions_move_between_threads() {
    let (db, users) = filled();
    let mut tx = db.begin_write().unwrap();
    tx.set_sync(Sync::Full);
    let tx = std::thread::spawn({
        let users = users.clone();
        move || {
            tx.collection(&users).delete_id(1).unwrap();
            tx
        }
    })
    .join()
    .unwrap();
    tx.commit().unwrap();
    assert_eq!(users.count().unwrap(), 2);
}

#[test]
fn everything_fails_with_closed_after_close() {
    let (db, users) = filled();
    let read = db.begin_read().unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.collection(&users).delete_id(1).unwrap();
    db.close().unwrap();
    let kind = ErrorKind::Closed;
    assert_kind(read.collection(&users).get(1), kind);
    assert_kind(read.collection(&users).find(()).first(), kind);
    assert_kind(tx.collection(&users).delete_id(2), kind);
    assert_kind(tx.commit(), kind);
    assert_kind(db.begin_read().map(drop), kind);
    assert_kind(db.begin_write().map(drop), kind);
    assert_kind(users.insert_one(&doc! { "id": 9 }), kind);
    assert_kind(users.find("{").count(), kind);
    assert_kind(db.collection_names(), kind);
    assert_kind(db.quick_check(), kind);
    assert_kind(db.close(), kind);
}

#[test]
fn a_statement_that_changes_nothing_commits_nothing() {
    let (db, users) = filled();
    let version = |db: &Database| format!("{:?}", db.begin_read().unwrap().commit_no());
    let before = version(&db);
    users.replace(&doc! { "id": 1, "n": 1 }).unwrap();
    users.update_many((), doc! { "$inc": { "n": 0 } }).unwrap();
    users.delete_many(doc! { "n": 99 }).unwrap();
    db.begin_write().unwrap().commit().unwrap();
    assert_eq!(version(&db), before);
    users.update_id(1, doc! { "$inc": { "n": 1 } }).unwrap();
    assert_ne!(version(&db), before);
    assert_eq!(json(&[users.get(1).unwrap().unwrap()]), [r#"{"id":1,"n":2}"#]);
}

//! Cursors: snapshots that later writes do not move, and how they end.

mod common;

use any_store::{Collection, CollectionOptions, Database, Document, ErrorKind, Result, Value, doc};
use common::{assert_kind, everywhere, numbered, on};
use serde::{Deserialize, Serialize};

fn filled() -> (Database, Collection) {
    let db = Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.insert_many((0..300).map(|id| doc! { "id": id, "n": id })).unwrap();
    (db, users)
}

#[test]
fn later_writes_do_not_move_a_cursor() {
    let (_db, users) = filled();
    let mut cursor = users.find(()).run().unwrap();
    let mut seen = vec![cursor.next().unwrap().unwrap()];
    users.delete_many(doc! { "n": { "$gte": 100 } }).unwrap();
    users.update_many((), doc! { "$inc": { "n": 1000 } }).unwrap();
    users.insert_one(&doc! { "id": 0.5 }).unwrap();
    seen.extend(cursor.map(Result::unwrap));
    let expected: Vec<_> = (0..300).map(|id| doc! { "id": id, "n": id }).collect();
    assert_eq!(seen, expected);
    assert_eq!(users.count().unwrap(), 101);
}

#[test]
fn dropping_and_renaming_a_collection_leaves_open_cursors_alone() {
    let (db, users) = filled();
    let mut renamed_under = users.find(()).run().unwrap();
    renamed_under.next().unwrap().unwrap();
    users.rename("people").unwrap();
    let mut dropped_under = users.find(()).sort("-n").run().unwrap();
    dropped_under.next().unwrap().unwrap();
    db.drop_collection("people").unwrap();
    db.create_collection("people", CollectionOptions::new()).unwrap();
    assert_eq!(renamed_under.map(Result::unwrap).count(), 299);
    assert_eq!(dropped_under.map(Result::unwrap).count(), 299);
}

#[test]
fn cursors_cross_threads_while_others_write_and_drop() {
    let (db, users) = filled();
    let cursors: Vec<_> = (0..4).map(|_| users.find(()).run().unwrap()).collect();
    std::thread::scope(|scope| {
        let readers: Vec<_> = cursors
            .into_iter()
            .map(|cursor| scope.spawn(move || cursor.map(Result::unwrap).count()))
            .collect();
        users.update_many((), doc! { "$set": { "n": "x" } }).unwrap();
        db.drop_collection("users").unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), 300);
        }
    });
    assert_kind(users.count(), ErrorKind::CollectionClosed);
}

#[test]
fn a_cursor_outlives_the_handles_it_came_from() {
    let (db, users) = filled();
    let cursor = users.find(doc! { "n": { "$lt": 10 } }).run().unwrap();
    drop((db, users));
    assert_eq!(cursor.map(Result::unwrap).count(), 10);
}

#[test]
fn a_closed_database_ends_a_cursor_with_one_error() {
    let (db, users) = filled();
    let mut cursor = users.find(()).run().unwrap();
    cursor.next().unwrap().unwrap();
    db.close().unwrap();
    // What lies in the page that the cursor holds may still come; then the error, then nothing.
    let rest: Vec<Result<Document>> = cursor.by_ref().collect();
    let (last, before) = rest.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Closed);
    assert!(before.iter().all(Result::is_ok) && before.len() < 300);
    assert!(cursor.next().is_none());
    assert_kind(users.count(), ErrorKind::Closed);
}

#[test]
fn a_document_of_another_type_does_not_end_the_cursor() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Number {
        id: i64,
        n: i64,
    }
    everywhere(|world| {
        let users = world.users();
        let documents =
            [doc! { "id": 1, "n": 1 }, doc! { "id": 2, "n": "two" }, doc! { "id": 3, "n": 3 }];
        on!(world, users, users => users.insert_many(&documents)).unwrap();
        let numbers = users.with_type::<Number>();
        let items =
            on!(world, numbers, numbers => numbers.find(()).run().unwrap().collect::<Vec<_>>());
        assert_eq!(items.len(), 3);
        assert_eq!(items[0].as_ref().unwrap(), &Number { id: 1, n: 1 });
        let error = items[1].as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deserialize);
        assert_eq!(error.document_id(), Some(&Value::from(2)));
        assert_eq!(
            error.to_string(),
            "a stored document is not of the type that was asked for: expected i64 (at field \"n\")",
            "what was found is not in messages"
        );
        assert_eq!(error.field_path(), Some("n"));
        assert_eq!(items[2].as_ref().unwrap(), &Number { id: 3, n: 3 });
        let one = on!(world, numbers, numbers => numbers.get(2));
        assert_kind(one, ErrorKind::Deserialize);
    });
}

#[test]
fn several_cursors_of_one_write_transaction_at_once() {
    let (db, users) = filled();
    let mut tx = db.begin_write().unwrap();
    tx.collection(&users).delete_many(doc! { "n": { "$gte": 20 } }).unwrap();
    let mut pairs = 0;
    for left in tx.view(&users).find(()).run().unwrap() {
        let left = left.unwrap();
        let same = doc! { "n": left.get("n").unwrap() };
        pairs += tx.view(&users).find(same).run().unwrap().map(Result::unwrap).count();
    }
    assert_eq!(pairs, 20);
    tx.rollback();
    assert_eq!(users.count().unwrap(), 300);
}

#[test]
fn read_transactions_see_one_instant_in_all_collections() {
    let (db, users) = filled();
    let read = db.begin_read().unwrap();
    let other = db.create_collection("other", CollectionOptions::new()).unwrap();
    users.delete_many(()).unwrap();
    assert_eq!(read.collection(&users).count().unwrap(), 300);
    assert_eq!(read.collection_names().unwrap(), ["users"]);
    assert_kind(read.collection(&other).count(), ErrorKind::CollectionClosed);
    assert_kind(
        read.collection(&db.collection::<Document>("other")).count(),
        ErrorKind::CollectionNotFound,
    );
    let clone = read.clone();
    drop(read);
    assert_eq!(clone.collection(&users).find(doc! { "n": 7 }).count().unwrap(), 1);
    assert_eq!(db.read(|read| read.collection(&users).count()).unwrap(), 0);
}

#[test]
fn documents_that_were_returned_do_not_change_later() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 1), (2, 2), (3, 3)]))).unwrap();
        let kept =
            on!(world, users, users => users.find(()).run().unwrap().collect::<Result<Vec<_>>>())
                .unwrap();
        on!(world, users, users => users.update_many((), doc! { "$inc": { "n": 5 } })).unwrap();
        assert_eq!(kept, numbered([(1, 1), (2, 2), (3, 3)]));
    });
}

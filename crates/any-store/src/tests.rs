//! Stored bytes that nobody wrote: every verb answers with an error, and none panics.

use any_store_storage::TreeId;

use crate::catalog::Target;
use crate::{
    Collection, CollectionOptions, Compression, Database, Document, Error, ErrorKind, Result, doc,
};

/// The tree of the documents of `collection`.
fn tree_of(db: &Database, collection: &Collection) -> TreeId {
    let source = db.begin_read().unwrap().source();
    let target: &Target = collection.target();
    db.resolve(&source, target).unwrap().tree
}

fn put(db: &Database, tree: TreeId, key: &[u8], value: &[u8]) {
    let mut tx = db.store().begin_write().unwrap();
    tx.put(tree, key, value).unwrap();
    tx.commit().unwrap();
}

fn filled(compression: Compression) -> (Database, Collection, TreeId, Vec<u8>, Vec<u8>) {
    let db = Database::in_memory().unwrap();
    let options = CollectionOptions::new().compression(compression);
    let users = db.create_collection("users", options).unwrap();
    let document = doc! { "id": 1, "n": 5, "t": "text ".repeat(100), "a": [{ "b": 1 }, 2.5, null] };
    users.insert_one(&document).unwrap();
    let tree = tree_of(&db, &users);
    let read = db.store().begin_read().unwrap();
    let mut cursor = read.cursor(tree).unwrap();
    assert!(cursor.first().unwrap());
    let (key, value) = (cursor.key().to_vec(), cursor.value().unwrap().to_vec());
    (db, users, tree, key, value)
}

/// Runs verbs that look at the document; gives what each said.
fn run_all(users: &Collection) -> Vec<Result<(), Error>> {
    let update = doc! { "$inc": { "n": 1 }, "$push": { "a": 3 } };
    vec![
        users.get(1).map(drop),
        users.find(()).run().and_then(|found| found.collect::<Result<Vec<_>>>()).map(drop),
        users.find(doc! { "a.b": 1 }).count().map(drop),
        users.find(doc! { "t": { "$gt": "" } }).sort("-n").first().map(drop),
        users.find(()).sort(["a", "t"]).exists().map(drop),
        users.find(doc! { "id": 1 }).project(doc! { "a.b": 1 }).first().map(drop),
        users.stats_full().map(drop),
        users.database().begin_write().and_then(|mut tx| {
            tx.collection(users).find(doc! { "n": 5 }).delete()?;
            tx.collection(users).update_id(1, &update).map(drop)
        }),
        users.database().begin_write().and_then(|mut tx| {
            tx.collection(users).find(()).update(&update)?;
            tx.collection(users).replace(&doc! { "id": 1 })?;
            tx.collection(users).upsert_id(1, &update)?;
            tx.collection(users).delete_id(1)
        }),
    ]
}

#[test]
fn every_cut_of_a_stored_document_is_corruption() {
    for compression in [Compression::None, Compression::default()] {
        let (db, users, tree, key, value) = filled(compression);
        for cut in 0..value.len() {
            put(&db, tree, &key, &value[..cut]);
            assert_eq!(users.get(1).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
            let mut cursor = users.find(()).run().unwrap();
            let error = cursor.next().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(error.collection(), Some("users"));
            assert!(cursor.next().is_none(), "corruption ends the cursor");
            let update = users.update_id(1, doc! { "$set": { "n": 1 } });
            assert_eq!(update.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_another_document_but_no_panic() {
    for compression in [Compression::None, Compression::default()] {
        let (db, users, tree, key, value) = filled(compression);
        for at in 0..value.len() {
            let mut flipped = value.clone();
            flipped[at] ^= 1 << (at % 8);
            put(&db, tree, &key, &flipped);
            for result in run_all(&users) {
                if let Err(error) = result {
                    assert!(is_expected(error.kind()), "byte {at}: {error:?}");
                }
            }
        }
    }
}

/// A changed document may be damaged, or whole and merely another one.
fn is_expected(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Corrupt
            | ErrorKind::UnsupportedFormat
            | ErrorKind::Apply
            | ErrorKind::Overflow
            | ErrorKind::NotFound
            | ErrorKind::PrimaryKeyModification
            | ErrorKind::ParallelArrays
            | ErrorKind::Deserialize
            | ErrorKind::LimitExceeded
            | ErrorKind::Parse
    )
}

#[test]
fn damage_in_one_document_leaves_the_others_reachable() {
    let (db, users, tree, key, value) = filled(Compression::None);
    users.insert_one(&doc! { "id": 2, "n": 6 }).unwrap();
    put(&db, tree, &key, &value[..value.len() - 3]);
    assert_eq!(users.get(2).unwrap(), Some(doc! { "id": 2, "n": 6 }));
    assert_eq!(users.count().unwrap(), 2, "counting reads no document");
    assert_eq!(users.find(doc! { "id": 2 }).count().unwrap(), 1);
    let read_all: Result<Vec<Document>> = users.find(()).into_iter().collect();
    assert_eq!(read_all.unwrap_err().kind(), ErrorKind::Corrupt);
    users.delete_id(1).unwrap();
    assert_eq!(users.find(()).into_iter().count(), 1, "what is damaged can be deleted");
}

//! What only the inside can show: when the catalog changes, and what a damaged index does.

use std::sync::Arc;

use crate::catalog::CollectionMeta;
use crate::{Collection, CollectionOptions, Database, Document, ErrorKind, IndexSpec, doc};

fn new() -> (Database, Collection) {
    let db = Database::in_memory().unwrap();
    let collection = db.create_collection("c", CollectionOptions::new()).unwrap();
    (db, collection)
}

fn meta(db: &Database, collection: &Collection) -> Arc<CollectionMeta> {
    let source = db.begin_read().unwrap().source();
    db.resolve(&source, collection.target()).unwrap()
}

fn catalog_version(db: &Database) -> u64 {
    db.begin_read().unwrap().source().committed_catalog_version().unwrap()
}

fn multikey(db: &Database, collection: &Collection) -> Vec<u64> {
    meta(db, collection).indexes.iter().map(|index| index.multikey).collect()
}

#[test]
fn the_catalog_notes_the_first_several_keys_of_a_field_and_no_more() {
    let (db, c) = new();
    c.create_indexes([IndexSpec::new("a"), IndexSpec::new(["b", "a"])]).unwrap();
    let version = catalog_version(&db);
    let insert = |id: i64, fields: Document| {
        let mut document = doc! { "id": id };
        document.extend(fields);
        c.insert_one(&document).map(drop)
    };
    insert(1, doc! { "a": [5], "b": [] }).unwrap_err();
    insert(1, doc! { "a": [5, 5], "b": 1 }).unwrap();
    insert(2, doc! { "a": 5 }).unwrap();
    assert_eq!((catalog_version(&db), multikey(&db, &c)), (version, vec![0, 0]));
    insert(3, doc! { "a": [5, 6] }).unwrap();
    assert_eq!((catalog_version(&db), multikey(&db, &c)), (version + 1, vec![1, 2]));
    insert(4, doc! { "a": [7, 8] }).unwrap();
    assert_eq!(catalog_version(&db), version + 1, "known already");
    c.update_many(doc! { "id": 2 }, doc! { "$set": { "b": [1, 2] } }).unwrap();
    assert_eq!((catalog_version(&db), multikey(&db, &c)), (version + 2, vec![1, 3]));
    c.delete_many(()).unwrap();
    assert_eq!((catalog_version(&db), multikey(&db, &c)), (version + 2, vec![1, 3]), "for good");
    c.drop_index("a").unwrap();
    c.create_index("a").unwrap();
    assert_eq!(multikey(&db, &c), [3, 0], "a new index begins anew");
}

#[test]
fn several_keys_are_forgotten_with_what_brought_them() {
    let (db, c) = new();
    c.create_index("a").unwrap();
    let several = |id: i64| doc! { "id": id, "a": [1, 2] };
    let mut tx = db.begin_write().unwrap();
    tx.collection(&c).insert_one(&several(1)).unwrap();
    tx.rollback();
    assert_eq!(multikey(&db, &c), [0]);
    let twice = c.insert_many([several(1), several(1)]).unwrap_err();
    assert_eq!((twice.kind(), multikey(&db, &c)), (ErrorKind::DocumentExists, vec![0]));
    let mut tx = db.begin_write().unwrap();
    let mut part = tx.savepoint().unwrap();
    part.collection(&c).insert_one(&several(1)).unwrap();
    part.rollback();
    tx.collection(&c).insert_one(&doc! { "id": 1 }).unwrap();
    assert_eq!(tx.resolve(c.target()).unwrap().indexes[0].multikey, 0);
    tx.collection(&c).insert_one(&several(2)).unwrap();
    assert_eq!(tx.resolve(c.target()).unwrap().indexes[0].multikey, 1, "the memo is not kept");
    tx.collection(&c).insert_one(&several(3)).unwrap();
    tx.commit().unwrap();
    assert_eq!(multikey(&db, &c), [1]);
    assert!(db.integrity_check().unwrap().is_ok());
}

#[test]
fn a_build_notes_several_keys() {
    let (db, c) = new();
    c.insert_many([doc! { "id": 1, "a": [1, 2], "b": 1 }, doc! { "id": 2, "b": [1] }]).unwrap();
    c.create_indexes([["b", "a"], ["b", "id"]]).unwrap();
    assert_eq!(multikey(&db, &c), [2, 0]);
}

#[test]
fn a_number_of_an_index_is_not_used_again() {
    let (db, c) = new();
    c.create_indexes(["a", "b"]).unwrap();
    let ids = || meta(&db, &c).indexes.iter().map(|index| index.id.0).collect::<Vec<_>>();
    assert_eq!(ids(), [1, 2]);
    c.drop_index("b").unwrap();
    c.create_index("b").unwrap();
    assert_eq!(ids(), [1, 3]);
    c.drop_index("a").unwrap();
    c.drop_index("b").unwrap();
    c.create_index("a").unwrap();
    assert_eq!(ids(), [4]);
}

#[test]
fn dropping_leaves_no_tree_behind() {
    let (db, c) = new();
    c.insert_many((0..100).map(|id| doc! { "id": id, "a": id })).unwrap();
    c.create_indexes(["a", "-a"]).unwrap();
    let before = meta(&db, &c);
    c.drop_index("a").unwrap();
    db.drop_collection("c").unwrap();
    let read = db.store().begin_read().unwrap();
    for tree in before.indexes.iter().map(|index| index.tree) {
        assert!(read.tree_stats(tree).unwrap().is_none());
    }
    assert!(db.integrity_check().unwrap().is_ok());
}

#[test]
fn a_damaged_index_is_met_as_damage() {
    let (db, c) = new();
    c.create_index("a").unwrap();
    c.insert_many([doc! { "id": 1, "a": 1 }, doc! { "id": 2, "a": 2 }]).unwrap();
    let tree = meta(&db, &c).indexes[0].tree;
    let mut tx = db.store().begin_write().unwrap();
    let mut cursor = tx.cursor(tree).unwrap();
    assert!(cursor.first().unwrap());
    let key = cursor.key().to_vec();
    drop(cursor);
    tx.remove(tree, &key).unwrap();
    tx.commit().unwrap();
    let error = c.delete_id(1).unwrap_err();
    assert_eq!((error.kind(), error.index_name()), (ErrorKind::Corrupt, Some("a")));
    assert_eq!(c.count().unwrap(), 2, "and undone");
    let mut tx = db.store().begin_write().unwrap();
    tx.put(tree, &key, &[0]).unwrap();
    tx.remove(meta(&db, &c).tree, &crate::document::id_key(&1.into()).unwrap()).unwrap();
    tx.commit().unwrap();
    let error = c.insert_one(&doc! { "id": 1, "a": 1 }).unwrap_err();
    assert_eq!((error.kind(), error.index_name()), (ErrorKind::Corrupt, Some("a")));
    c.drop_index("a").unwrap();
    c.create_index("a").unwrap();
    c.insert_one(&doc! { "id": 1, "a": 1 }).unwrap();
    assert!(db.integrity_check().unwrap().is_ok());
}

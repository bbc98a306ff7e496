//! Planted damage: each kind is found, named, and nothing else is.

use std::sync::Arc;

use super::*;
use crate::check::Problem;
use crate::{CheckOptions, CollectionOptions, Database, IndexSpec, Value, doc};

struct Planted {
    db: Database,
    meta: Arc<CollectionMeta>,
}

fn filled() -> Planted {
    let db = Database::in_memory().unwrap();
    let c = db.create_collection("c", CollectionOptions::new()).unwrap();
    c.create_indexes([IndexSpec::new(["a", "-b"]), IndexSpec::new("u").unique()]).unwrap();
    let documents = (0..20).map(|id| doc! { "id": id, "a": [id, 100], "b": "x", "u": id });
    c.insert_many(documents).unwrap();
    let source = db.begin_read().unwrap().source();
    let meta = db.resolve(&source, c.target()).unwrap();
    Planted { db, meta }
}

impl Planted {
    fn change(&self, change: impl FnOnce(&mut storage::WriteTx)) -> &Self {
        let mut tx = self.db.store().begin_write().unwrap();
        change(&mut tx);
        tx.commit().unwrap();
        self
    }

    fn key(&self, index: usize, values: &[Value], id: i64) -> Vec<u8> {
        let mut key = Vec::new();
        for (value, direction) in values.iter().zip(&self.meta.indexes[index].directions) {
            key::encode_key_value(value, *direction, &mut key);
        }
        key::encode_key_value(&Value::from(id), key::Direction::Ascending, &mut key);
        key
    }

    #[track_caller]
    fn expect(&self, wanted: &[(&str, Option<i64>, &str)]) {
        let report = self.db.integrity_check().unwrap();
        let problem = |(index, id, reason): &(&str, Option<i64>, &str)| Problem {
            collection: Some("c".into()),
            index: Some((*index).into()),
            document_id: id.map(Value::from),
            reason: (*reason).into(),
        };
        let wanted: Vec<Problem> = wanted.iter().map(problem).collect();
        assert_eq!(report.problems, wanted);
        assert_eq!(report.problem_count, wanted.len() as u64);
        let without = CheckOptions::new().cross(false);
        assert!(self.db.integrity_check_with(without).unwrap().is_ok());
    }
}

#[test]
fn sound_indexes_have_no_problems() {
    let planted = filled();
    planted.expect(&[]);
    let report = planted.db.integrity_check().unwrap();
    assert_eq!((report.indexes, report.entries), (2, 60));
    let without = planted.db.integrity_check_with(CheckOptions::new().cross(false)).unwrap();
    assert_eq!((without.indexes, without.entries), (0, 0));
}

#[test]
fn a_missing_entry() {
    let planted = filled();
    let tree = planted.meta.indexes[0].tree;
    let key = planted.key(0, &[100.into(), "x".into()], 7);
    planted.change(|tx| assert!(tx.remove(tree, &key).unwrap()));
    planted.expect(&[("a,-b", Some(7), "the index lacks an entry of this document")]);
}

#[test]
fn an_entry_that_its_document_does_not_make() {
    let planted = filled();
    let key = planted.key(0, &[8.into(), "x".into()], 7);
    planted.change(|tx| tx.put(planted.meta.indexes[0].tree, &key, &[3]).unwrap());
    planted.expect(&[("a,-b", Some(7), "an entry is none of its document")]);
}

#[test]
fn an_entry_in_the_place_of_another_one() {
    let planted = filled();
    let tree = planted.meta.indexes[1].tree;
    let (right, wrong) = (planted.key(1, &[7.into()], 7), planted.key(1, &[70.into()], 7));
    planted.change(|tx| {
        assert!(tx.remove(tree, &right).unwrap());
        tx.put(tree, &wrong, &[0]).unwrap();
    });
    planted.expect(&[
        ("u", Some(7), "the index lacks an entry of this document"),
        ("u", Some(7), "an entry is none of its document"),
    ]);
}

#[test]
fn wrong_flags() {
    let planted = filled();
    let key = planted.key(1, &[7.into()], 7);
    planted.change(|tx| tx.put(planted.meta.indexes[1].tree, &key, &[2]).unwrap());
    planted.expect(&[("u", Some(7), "an entry of this document has wrong flags")]);
    planted.change(|tx| tx.put(planted.meta.indexes[1].tree, &key, &[4]).unwrap());
    planted.expect(&[
        ("u", None, "an index entry has unknown flags"),
        ("u", Some(7), "an entry of this document has wrong flags"),
    ]);
}

#[test]
fn an_entry_of_a_document_that_is_not_there() {
    let planted = filled();
    let id = crate::document::id_key(&7.into()).unwrap();
    planted.change(|tx| assert!(tx.remove(planted.meta.tree, &id).unwrap()));
    let gone = "an entry is of a document that is not there";
    planted.expect(&[("a,-b", Some(7), gone), ("a,-b", Some(7), gone), ("u", Some(7), gone)]);
}

#[test]
fn two_documents_of_one_key() {
    let planted = filled();
    let document = crate::document::encode(&doc! { "id": 7, "a": [7, 100], "b": "x", "u": 8 });
    let mut stored = vec![0];
    stored.extend_from_slice(document.unwrap().as_bytes());
    let id = crate::document::id_key(&7.into()).unwrap();
    let tree = planted.meta.indexes[1].tree;
    let (old, new) = (planted.key(1, &[7.into()], 7), planted.key(1, &[8.into()], 7));
    planted.change(|tx| {
        tx.put(planted.meta.tree, &id, &stored).unwrap();
        assert!(tx.remove(tree, &old).unwrap());
        tx.put(tree, &new, &[0]).unwrap();
    });
    planted.expect(&[("u", Some(8), "another document has the same key")]);
}

#[test]
fn a_key_that_means_nothing() {
    let planted = filled();
    planted.change(|tx| tx.put(planted.meta.indexes[1].tree, b"\x20", &[0]).unwrap());
    planted.expect(&[("u", None, "the key of an entry means nothing")]);
}

#[test]
fn several_keys_that_the_catalog_does_not_know_of() {
    let planted = filled();
    planted.change(|tx| {
        let mut meta = (*planted.meta).clone();
        Arc::make_mut(&mut meta.indexes[0]).multikey = 0;
        crate::catalog::add_multikey(tx, &meta, &[0, 0]).unwrap();
    });
    let report = planted.db.integrity_check().unwrap();
    assert_eq!(report.problem_count, 20);
    let reason = "the index does not know that a document has several keys";
    assert_eq!(report.problems[0].reason, reason);
}

#[test]
fn an_index_without_a_tree() {
    let planted = filled();
    planted.change(|tx| tx.drop_tree(planted.meta.indexes[0].tree).unwrap());
    planted.expect(&[("a,-b", None, "the index has no tree")]);
}

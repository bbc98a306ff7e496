//! Indexes as a user meets them: made, kept, listed, dropped, undone; unique or not.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use any_store::{
    Cancel, Collection, CollectionOptions, Database, Document, ErrorKind, IndexBuildOptions,
    IndexSpec, MemVfs, Value, doc, value,
};
use anyenc::key::Direction::Ascending;
use anyenc::key::encode_key_value;
use common::faulty::{Faults, FaultyVfs};
use common::{Random, assert_kind};

fn new() -> (Database, Collection) {
    let db = Database::in_memory().unwrap();
    let collection = db.create_collection("c", CollectionOptions::new()).unwrap();
    (db, collection)
}

fn with(documents: &[Document]) -> (Database, Collection) {
    let (db, collection) = new();
    collection.insert_many(documents).unwrap();
    (db, collection)
}

fn names(collection: &Collection) -> Vec<String> {
    collection.indexes().unwrap().into_iter().map(|index| index.name).collect()
}

fn entries(collection: &Collection) -> Vec<u64> {
    collection.indexes().unwrap().iter().map(|index| index.entries).collect()
}

#[track_caller]
fn assert_whole(db: &Database) {
    let report = db.integrity_check().unwrap();
    assert!(report.is_ok(), "{:?} {:?}", report.problems, report.pages.findings);
}

#[test]
fn an_index_is_made_over_what_is_there_and_what_comes() {
    let (db, c) = with(&[doc! { "id": 1, "a": [1, 2, 2], "b": [3, 4] }, doc! { "id": 2 }]);
    assert_eq!(c.create_index("a").unwrap(), "a");
    assert_eq!(c.create_index(IndexSpec::new(["-b", "c"]).sparse()).unwrap(), "-b,c");
    assert_eq!(entries(&c), [3, 2]);
    c.insert_one(&doc! { "id": 3, "a": [], "b": 1 }).unwrap();
    c.insert_one(&doc! { "id": 4, "a": { "x": 1 } }).unwrap();
    assert_eq!(entries(&c), [5, 3]);
    c.delete_id(1).unwrap();
    assert_eq!(entries(&c), [3, 1]);
    let infos = c.indexes().unwrap();
    assert_eq!(infos[1].spec, IndexSpec::new(["-b", "c"]).sparse().name("-b,c"));
    assert_whole(&db);
}

/// Documents with arrays, missing fields, whole doubles and fields in any order.
fn random_document(random: &mut Random, id: i64) -> Document {
    let mut document = Document::new();
    let id_first = random.below(4) > 0;
    if id_first {
        document.insert("id", id);
    }
    for _ in 0..random.below(4) {
        let field = ["a", "b", "c"][random.below(3) as usize];
        let number = random.below(6) as i64;
        let value = match random.below(9) {
            0 => Value::Null,
            1 => Value::from(number as f64 / 2.0),
            2 => Value::from(format!("s{number}")),
            3 => value!([number, (random.below(6) as i64)]),
            4 => value!([{ "x": number }, { "x": (number + 1), "y": 1 }, 3]),
            5 => Value::Array(Vec::new()),
            6 => value!({ "x": number }),
            _ => Value::from(number),
        };
        document.insert(field, value);
    }
    if !id_first {
        document.insert("id", id);
    }
    document
}

/// One verb; it may fail, and undoes itself then.
fn random_change(random: &mut Random, c: &mut any_store::WriteView<'_>) -> Result<(), ErrorKind> {
    let id = random.below(40) as i64;
    let number = random.below(6) as i64;
    let field = ["a", "b", "a.x", "c"][random.below(4) as usize];
    let done = match random.below(12) {
        0..=2 => c.insert_one(&random_document(random, id)).map(drop),
        3 => c.replace(&random_document(random, id)).map(drop),
        4 => c.upsert(&random_document(random, id)).map(drop),
        5 => c.update_id(id, doc! { "$set": { (field): number } }).map(drop),
        6 => c.upsert_id(id, doc! { "$push": { "c": number } }).map(drop),
        7 => c.update_many(doc! { "a": number }, doc! { "$unset": { (field): 1 } }).map(drop),
        8 => c.update_many(doc! { "id": { "$gt": id } }, doc! { "$inc": { "b": 1 } }).map(drop),
        9 => c.delete_id(id).map(drop),
        10 => c.delete_many(doc! { "a": number, "id": { "$gt": id } }).map(drop),
        _ => {
            let documents: Vec<Document> =
                (0..3).map(|more| random_document(random, id + more)).collect();
            c.insert_many(&documents).map(drop)
        }
    };
    done.map_err(|error| error.kind())
}

#[test]
fn indexes_stay_exact_through_every_verb_failures_and_rollbacks() {
    let mut kinds = std::collections::HashSet::new();
    for seed in 0..60 {
        let random = &mut Random::new(seed);
        let (db, c) = new();
        let specs = [
            IndexSpec::new("a"),
            IndexSpec::new(["-a", "b"]),
            IndexSpec::new("a.x").sparse(),
            IndexSpec::new(["a.x", "-a.y"]).partial(doc! { "id": { "$gt": 10 } }),
            IndexSpec::new("b").unique().partial(doc! { "b": { "$gt": 2 } }),
            IndexSpec::new(["c", "id"]).unique().sparse(),
        ];
        let (before, after) = specs.split_at(random.below(6) as usize);
        c.create_indexes(before.to_vec()).unwrap();
        for _ in 0..12 {
            let mut tx = db.begin_write().unwrap();
            for _ in 0..random.below(6) {
                let done = random_change(random, &mut tx.collection(&c));
                kinds.extend(done.err());
            }
            if random.below(3) == 0 {
                let mut part = tx.savepoint().unwrap();
                let _ = random_change(random, &mut part.collection(&c));
                part.rollback();
            }
            if random.below(4) == 0 {
                tx.rollback()
            } else {
                tx.commit().unwrap()
            }
            assert_whole(&db);
        }
        let made = c.create_indexes(after.to_vec());
        kinds.extend(made.err().map(|error| error.kind()));
        assert_whole(&db);
    }
    for kind in [ErrorKind::UniqueViolation, ErrorKind::DocumentExists, ErrorKind::ParallelArrays] {
        assert!(kinds.contains(&kind), "{kind:?} was not met");
    }
}

#[test]
fn a_violation_names_the_index_the_key_and_both_documents() {
    let (db, c) = with(&[doc! { "id": 1, "a": "x", "b": [1, 2] }]);
    c.create_index(IndexSpec::new(["a", "-b"]).unique().name("ab")).unwrap();
    let error = c.insert_one(&doc! { "id": "new", "a": "x", "b": 2.0 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert!(error.is_duplicate_key());
    assert_eq!(error.to_string(), "index \"ab\" already holds this key");
    assert_eq!((error.collection(), error.index_name()), (Some("c"), Some("ab")));
    assert_eq!(error.key(), Some(&["x".into(), 2.into()][..]));
    assert_eq!(error.document_id(), Some(&1.into()));
    assert_eq!(error.refused_document_id(), Some(&"new".into()));
    let debug = format!("{error:?}");
    assert!(debug.contains("\"ab\"") && !debug.contains("\"x\""), "keys are data: {debug}");
    let documents = [doc! { "id": 5, "a": 5 }, doc! { "id": 6, "a": "x", "b": 1 }];
    let error = c.insert_many(&documents).unwrap_err();
    assert_eq!((error.item(), error.document_id()), (Some(1), Some(&1.into())));
    assert_eq!(c.count().unwrap(), 1, "a failing statement undoes itself");
    assert_whole(&db);
}

#[test]
fn a_build_over_equal_keys_names_both_documents_and_leaves_nothing() {
    let (db, c) = with(&[
        doc! { "id": 1, "a": 5 },
        doc! { "id": 2, "a": [3, 4] },
        doc! { "id": 3, "a": 4 },
        doc! { "id": 4, "a": 7 },
    ]);
    let pages = db.integrity_check().unwrap().pages.page_count;
    let error = c.create_indexes([IndexSpec::new("a").name("plain"), IndexSpec::new("a").unique()]);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert_eq!((error.collection(), error.index_name()), (Some("c"), Some("a")));
    assert_eq!(error.key(), Some(&[4.into()][..]));
    assert_eq!(error.document_id(), Some(&2.into()));
    assert_eq!(error.refused_document_id(), Some(&3.into()));
    assert_eq!(names(&c), [""; 0]);
    assert_eq!(db.integrity_check().unwrap().pages.page_count, pages);
    let mut tx = db.begin_write().unwrap();
    assert_kind(
        tx.collection(&c).create_index(IndexSpec::new("a").unique()),
        ErrorKind::UniqueViolation,
    );
    tx.collection(&c).delete_id(3).unwrap();
    tx.collection(&c).create_index(IndexSpec::new("a").unique()).unwrap();
    tx.commit().unwrap();
    assert_eq!(entries(&c), [4]);
    assert_whole(&db);
}

#[test]
fn a_document_never_conflicts_with_itself() {
    let (db, c) = new();
    c.create_index(IndexSpec::new("a").unique()).unwrap();
    c.insert_one(&doc! { "id": 1, "a": [3, 3] }).unwrap();
    c.update_id(1, doc! { "$set": { "a": [3, 4] } }).unwrap();
    c.update_id(1, doc! { "$set": { "a": [4, 3, 4] } }).unwrap();
    c.replace(&doc! { "id": 1, "a": 4 }).unwrap();
    c.upsert(&doc! { "id": 1, "a": 4, "b": 1 }).unwrap();
    c.delete_id(1).unwrap();
    c.insert_one(&doc! { "id": 2, "a": 4 }).unwrap();
    assert_whole(&db);
}

#[test]
fn what_conflicts_in_a_unique_index() {
    let conflict = |spec: IndexSpec, one: Document, other: Document| {
        let (_db, c) = new();
        c.create_index(spec.unique()).unwrap();
        let with_id = |id: i64, fields: Document| {
            let mut document = doc! { "id": id };
            document.extend(fields);
            document
        };
        c.insert_one(&with_id(1, one)).unwrap();
        match c.insert_one(&with_id(2, other)) {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::UniqueViolation => true,
            Err(error) => panic!("{error}"),
        }
    };
    let a = || IndexSpec::new("a");
    assert!(conflict(a(), doc! {}, doc! { "a": null }));
    assert!(conflict(a(), doc! {}, doc! {}));
    assert!(!conflict(a().sparse(), doc! {}, doc! {}));
    assert!(conflict(a().sparse(), doc! { "a": null }, doc! { "a": null }));
    assert!(conflict(a(), doc! { "a": [1, 2] }, doc! { "a": 2 }));
    assert!(!conflict(a(), doc! { "a": [1, 2] }, doc! { "a": [4, [1, 2]] }));
    assert!(conflict(a(), doc! { "a": [] }, doc! { "a": [] }));
    assert!(!conflict(a(), doc! { "a": [] }, doc! { "a": [[]] }));
    assert!(!conflict(a(), doc! { "a": [] }, doc! {}));
    assert!(conflict(a(), doc! { "a": 5.0 }, doc! { "a": 5 }));
    assert!(!conflict(a(), doc! { "a": { "x": 1, "y": 2 } }, doc! { "a": { "y": 2, "x": 1 } }));
    assert!(!conflict(a(), doc! { "a": "s" }, doc! { "a": "s\0" }));
    assert!(conflict(IndexSpec::new("-a"), doc! { "a": "s" }, doc! { "a": "s" }));
    assert!(!conflict(
        IndexSpec::new(["a", "-b"]),
        doc! { "a": 1, "b": 1 },
        doc! { "a": 1, "b": 2 }
    ));
    assert!(conflict(IndexSpec::new(["a", "b"]), doc! { "a": 1 }, doc! { "a": 1, "b": null }));
    let partial = || a().partial(doc! { "b": 1 });
    assert!(!conflict(partial(), doc! { "a": 1, "b": 1 }, doc! { "a": 1, "b": 2 }));
    assert!(conflict(partial(), doc! { "a": 1, "b": 1 }, doc! { "a": 1, "b": [1] }));
}

#[test]
fn inside_a_transaction_only_the_failing_statement_is_undone() {
    let (db, c) = new();
    c.create_index(IndexSpec::new("a").unique()).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.collection(&c).insert_one(&doc! { "id": 1, "a": 1 }).unwrap();
    let two = [doc! { "id": 2, "a": [7, 8] }, doc! { "id": 3, "a": 1 }];
    assert_kind(tx.collection(&c).insert_many(&two), ErrorKind::UniqueViolation);
    tx.collection(&c).insert_one(&doc! { "id": 4, "a": 7 }).unwrap();
    let all = tx.collection(&c).update_many((), doc! { "$set": { "a": 9 } });
    assert_kind(all, ErrorKind::UniqueViolation);
    tx.commit().unwrap();
    assert_eq!(c.distinct("id", ()).unwrap(), [1.into(), 4.into()]);
    assert_eq!(c.distinct("a", ()).unwrap(), [1.into(), 7.into()]);
    assert_whole(&db);
}

#[test]
fn create_and_ensure_differ_in_what_an_equal_index_is() {
    let filter = || doc! { "b": { "$gt": 1 } };
    let specs = [
        IndexSpec::new("a"),
        IndexSpec::new("-a"),
        IndexSpec::new(["a", "b"]),
        IndexSpec::new("a").unique(),
        IndexSpec::new("a").sparse(),
        IndexSpec::new("a").partial(filter()),
        IndexSpec::new("a").expire_after(Duration::from_secs(1)),
    ];
    for (place, spec) in specs.iter().enumerate() {
        let (_db, c) = new();
        c.create_index(spec.clone().name("n")).unwrap();
        for (other_place, other) in specs.iter().enumerate() {
            let other = other.clone().name("n");
            if place == other_place {
                assert_kind(c.create_index(other.clone()), ErrorKind::IndexExists);
                assert_eq!(c.ensure_index(other).unwrap(), "n");
            } else {
                assert_kind(c.create_index(other.clone()), ErrorKind::IndexMismatch);
                let error = c.ensure_index(other).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::IndexMismatch);
                assert_eq!((error.collection(), error.index_name()), (Some("c"), Some("n")));
            }
        }
        c.create_index(spec.clone().name("m")).unwrap();
        assert_eq!(names(&c), ["n", "m"], "another name is another index");
    }
}

#[test]
fn several_indexes_are_made_all_or_none() {
    let (db, c) = with(&[doc! { "id": 1, "a": 1 }, doc! { "id": 2, "a": 1 }]);
    assert_kind(c.create_indexes(["a", "a"]), ErrorKind::IndexExists);
    assert_kind(c.create_indexes(["b", "$c"]), ErrorKind::InvalidIndex);
    let clash = [IndexSpec::new("b").name("x"), IndexSpec::new("c").name("x")];
    assert_kind(c.ensure_indexes(clash), ErrorKind::IndexMismatch);
    assert_eq!(names(&c), [""; 0]);
    assert_eq!(c.ensure_indexes(["a", "b", "a"]).unwrap(), ["a", "b", "a"]);
    assert_eq!(names(&c), ["a", "b"]);
    assert_kind(c.create_indexes(["c", "b"]), ErrorKind::IndexExists);
    assert_eq!(c.ensure_indexes(["c", "b"]).unwrap(), ["c", "b"]);
    assert_eq!(names(&c), ["a", "b", "c"]);
    assert_eq!(c.ensure_indexes(Vec::<&str>::new()).unwrap(), [""; 0]);
    assert_whole(&db);
}

#[test]
fn a_collection_has_at_most_64_indexes() {
    let (_db, c) = new();
    let fields: Vec<String> = (0..64).map(|field| format!("f{field}")).collect();
    c.create_indexes(&fields).unwrap();
    assert_kind(c.create_index("one_more"), ErrorKind::LimitExceeded);
    assert_eq!(c.ensure_index("f63").unwrap(), "f63");
    c.drop_index("f0").unwrap();
    c.create_index("one_more").unwrap();
}

#[test]
fn what_a_document_cannot_be_in_refuses_it() {
    let (db, c) = with(&[doc! { "id": 1, "a": [1], "b": [2] }, doc! { "id": 2, "a": 1 }]);
    let error = c.create_index(["a", "b"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ParallelArrays);
    assert_eq!((error.index_name(), error.document_id()), (Some("a,b"), Some(&1.into())));
    c.delete_id(1).unwrap();
    c.create_index(["a", "b"]).unwrap();
    let many: Vec<i64> = (0..10_001).collect();
    for (update, kind) in [
        (doc! { "a": [1], "b": [2] }, ErrorKind::ParallelArrays),
        (doc! { "a": many }, ErrorKind::LimitExceeded),
    ] {
        let error = c.update_id(2, doc! { "$set": update }).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!((error.index_name(), error.document_id()), (Some("a,b"), Some(&2.into())));
    }
    assert_eq!(c.get(2).unwrap(), Some(doc! { "id": 2, "a": 1 }));
    assert_whole(&db);
}

#[test]
fn every_change_of_indexes_is_undone_with_its_transaction() {
    let (db, c) = with(&[doc! { "id": 1, "a": 1 }]);
    c.create_index("a").unwrap();
    let mut tx = db.begin_write().unwrap();
    {
        let mut view = tx.collection(&c);
        view.create_index("b").unwrap();
        view.drop_index("a").unwrap();
        view.insert_one(&doc! { "id": 2, "a": [1, 2], "b": 3 }).unwrap();
        assert_eq!(view.indexes().unwrap().len(), 1, "visible in the transaction at once");
        assert_eq!(names(&c), ["a"], "and to nobody else");
    }
    tx.rollback();
    assert_eq!((names(&c), entries(&c)), (vec!["a".to_owned()], vec![1]));
    assert_kind(c.drop_index("b"), ErrorKind::IndexNotFound);
    c.insert_one(&doc! { "id": 3, "a": 5 }).unwrap();
    assert_eq!(entries(&c), [2], "an index whose drop was undone is maintained");
    let mut tx = db.begin_write().unwrap();
    let mut part = tx.savepoint().unwrap();
    part.collection(&c).ensure_index("b").unwrap();
    part.rollback();
    tx.collection(&c).insert_one(&doc! { "id": 4, "b": 5 }).unwrap();
    tx.collection(&c).ensure_index("b").unwrap();
    tx.commit().unwrap();
    assert_eq!((names(&c), entries(&c)), (vec!["a".to_owned(), "b".to_owned()], vec![3, 3]));
    let mut tx = db.begin_write().unwrap();
    tx.collection(&c).drop_collection().unwrap();
    tx.rollback();
    c.insert_one(&doc! { "id": 5 }).unwrap();
    assert_eq!(entries(&c), [4, 4]);
    assert_whole(&db);
}

#[test]
fn definitions_survive_a_rename_and_a_new_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.any");
    let specs = [
        IndexSpec::new(["a", "-b.c"]).name("one"),
        IndexSpec::new("u").unique().name("two"),
        IndexSpec::new("s").sparse().name("three"),
        IndexSpec::new("p").partial(doc! { "x": { "$in": [1, 2] } }).name("four"),
        IndexSpec::new("at").expire_after(Duration::from_millis(1_500)).name("five"),
    ];
    {
        let db = Database::open(&path).unwrap();
        let c = db.create_collection("c", CollectionOptions::new()).unwrap();
        c.create_indexes(specs.clone()).unwrap();
        c.rename("d").unwrap();
        c.insert_one(&doc! { "id": 1, "a": [1, 2], "u": 1, "x": 1 }).unwrap();
        db.close().unwrap();
    }
    let db = Database::open(&path).unwrap();
    let d = db.open_collection("d").unwrap();
    let found: Vec<IndexSpec> = d.indexes().unwrap().into_iter().map(|index| index.spec).collect();
    assert_eq!(found, specs);
    assert_eq!(entries(&d), [2, 1, 0, 1, 1]);
    d.insert_one(&doc! { "id": 2, "s": 1, "x": 3 }).unwrap();
    assert_kind(d.insert_one(&doc! { "id": 3, "u": 1 }), ErrorKind::UniqueViolation);
    assert_kind(d.insert_one(&doc! { "id": 3 }), ErrorKind::UniqueViolation);
    d.rename("c").unwrap();
    assert_eq!(entries(&d), [3, 2, 1, 1, 2]);
    assert_whole(&db);
    d.drop_index("two").unwrap();
    d.insert_one(&doc! { "id": 3, "u": 1 }).unwrap();
    d.drop_collection().unwrap();
    let again = db.create_collection("c", CollectionOptions::new()).unwrap();
    assert_eq!(names(&again), [""; 0]);
    assert_kind(d.create_index("a"), ErrorKind::CollectionClosed);
    assert_whole(&db);
}

#[test]
fn a_reader_sees_the_indexes_of_its_snapshot() {
    let (db, c) = with(&[doc! { "id": 1 }]);
    let before = db.begin_read().unwrap();
    c.create_index("a").unwrap();
    let between = db.begin_read().unwrap();
    c.drop_index("a").unwrap();
    c.create_index("b").unwrap();
    let names = |tx: &any_store::ReadTx| -> Vec<String> {
        tx.collection(&c).indexes().unwrap().into_iter().map(|index| index.name).collect()
    };
    assert_eq!(names(&before), [""; 0]);
    assert_eq!(names(&between), ["a"]);
    assert_eq!(names(&db.begin_read().unwrap()), ["b"]);
    assert_eq!(names(&between), ["a"], "whoever asked in between");
    assert_eq!(between.collection(&c).find(doc! { "a": null }).count().unwrap(), 1);
}

#[test]
fn names_of_indexes_and_collections_do_not_meet() {
    let db = Database::in_memory().unwrap();
    let collections = ["a", "a:b", "ix:a", "\0"];
    let indexes = ["b:c", "c", "b", "a", "ix:a", "\0", "a\0b"];
    for collection in collections {
        let collection = db.create_collection(collection, CollectionOptions::new()).unwrap();
        for name in indexes {
            collection.create_index(IndexSpec::new("x").name(name)).unwrap();
        }
        collection.insert_one(&doc! { "id": 1, "x": 1 }).unwrap();
        assert_eq!(names(&collection), indexes);
        assert_eq!(entries(&collection), [1; 7]);
    }
    assert_whole(&db);
}

#[test]
fn what_is_there_already_needs_no_writer() {
    let files = MemVfs::new();
    let options = || Database::options().vfs(Arc::new(files.clone()));
    {
        let db = options().open("a.any").unwrap();
        let c = db.create_collection("c", CollectionOptions::new()).unwrap();
        c.create_index("a").unwrap();
        let _writer = db.begin_write().unwrap();
        assert_eq!(c.ensure_index("a").unwrap(), "a", "while somebody writes");
        assert_kind(c.create_index("a"), ErrorKind::IndexExists);
        assert_kind(c.create_index(""), ErrorKind::InvalidIndex);
    }
    let db = options().read_only(true).open("a.any").unwrap();
    let c = db.open_collection("c").unwrap();
    assert_eq!(c.ensure_index("a").unwrap(), "a");
    assert_kind(c.ensure_index("b"), ErrorKind::ReadOnly);
    assert_kind(c.drop_index("a"), ErrorKind::ReadOnly);
}

fn fill(c: &Collection, count: i64) {
    let random = &mut Random::new(3);
    let documents = (0..count).map(|id| {
        let text = "prefix ".repeat(3) + &random.below(1_000_000).to_string();
        doc! { "id": id, "t": text, "n": [(random.below(500) as i64), id], "u": id }
    });
    c.insert_many(documents).unwrap();
}

#[test]
fn a_build_that_spills_gives_what_one_in_memory_gives() {
    let specs = || [IndexSpec::new(["t", "-n"]), IndexSpec::new("n"), IndexSpec::new("u").unique()];
    let open = |sort_bytes| {
        let faults = Arc::new(Faults::default());
        let vfs = FaultyVfs { files: MemVfs::new(), faults: Arc::clone(&faults) };
        let options = Database::options().vfs(Arc::new(vfs)).sort_bytes(sort_bytes);
        let db = options.open("folder/x.any").unwrap();
        let c = db.create_collection("c", CollectionOptions::new()).unwrap();
        fill(&c, 3_000);
        (faults, db, c)
    };
    for (sort_bytes, files) in [(0, 3), (100_000, 3), (64 << 20, 0)] {
        let (faults, db, c) = open(sort_bytes);
        c.create_indexes(specs()).unwrap();
        assert_eq!(faults.temporary_count.load(Ordering::Relaxed), files, "{sort_bytes}");
        assert_eq!(entries(&c)[2], 3_000);
        assert_whole(&db);
        c.insert_one(&doc! { "id": -1, "u": 3_001, "n": 3 }).unwrap();
        assert_kind(c.insert_one(&doc! { "id": -2, "u": 2_999 }), ErrorKind::UniqueViolation);
        assert_whole(&db);
    }
    let (faults, db, c) = open(1_000);
    faults.temporary.store(true, Ordering::Relaxed);
    assert_kind(c.create_indexes(specs()), ErrorKind::NoSpace);
    assert_eq!(names(&c), [""; 0]);
    faults.temporary.store(false, Ordering::Relaxed);
    c.create_indexes(specs()).unwrap();
    assert_whole(&db);
}

#[test]
fn a_build_tells_how_far_it_is_and_ends_on_demand() {
    let (db, c) = new();
    fill(&c, 3_000);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let options = IndexBuildOptions::new().on_progress(move |at| kept.lock().unwrap().push(at));
    c.create_indexes_with(["t", "n"], options).unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let last = seen.last().unwrap();
    assert_eq!((last.done_documents, last.total_documents), (3_000, 3_000));
    assert_eq!((last.done_entries, last.total_entries), (last.total_entries, last.done_entries));
    assert!(last.total_entries > 8_000);
    assert!(seen.len() > 5);
    assert!(seen.is_sorted_by_key(|at| (at.done_documents, at.done_entries)));
    for end_at in [1, 7] {
        let (cancel, count) = (Cancel::new(), std::sync::atomic::AtomicU32::new(0));
        let ending = cancel.clone();
        let options = IndexBuildOptions::new().cancel(cancel).on_progress(move |_| {
            if count.fetch_add(1, Ordering::Relaxed) + 1 == end_at {
                ending.cancel();
            }
        });
        assert_kind(c.create_indexes_with(["u", "-n"], options), ErrorKind::Cancelled);
        assert_eq!(names(&c), ["t", "n"]);
        assert_whole(&db);
    }
}

#[test]
fn indexes_of_other_keys_than_id_and_of_the_id_itself() {
    let db = Database::in_memory().unwrap();
    let options = CollectionOptions::new().primary_key("_id").auto_id(true);
    let c = db.create_collection("c", options).unwrap();
    c.create_indexes([IndexSpec::new("_id").unique(), IndexSpec::new(["a", "-_id"])]).unwrap();
    c.insert_one(&doc! { "a": 1 }).unwrap();
    c.insert_one(&doc! { "_id": 1.0, "a": [1, 2] }).unwrap();
    c.insert_one(&doc! { "_id": { "x": 1 } }).unwrap();
    assert_kind(c.insert_one(&doc! { "_id": 1 }), ErrorKind::DocumentExists);
    c.replace(&doc! { "_id": 1, "a": 2 }).unwrap();
    assert_eq!(entries(&c), [3, 3]);
    assert_whole(&db);
}

#[test]
fn indexes_go_along_with_copies() {
    let (db, c) = with(&[doc! { "id": 1, "a": [1, 2] }, doc! { "id": 2 }]);
    c.create_index(IndexSpec::new("a").unique()).unwrap();
    let mut bytes = Vec::new();
    db.backup_to_writer(&mut bytes, any_store::BackupOptions::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.any");
    db.compact_to(&path, any_store::BackupOptions::new()).unwrap();
    for copy in [Database::from_bytes(bytes).unwrap(), Database::open(&path).unwrap()] {
        let c = copy.open_collection("c").unwrap();
        assert_eq!(entries(&c), [3]);
        assert_kind(c.insert_one(&doc! { "id": 3, "a": 2 }), ErrorKind::UniqueViolation);
        assert_whole(&copy);
    }
}

#[test]
fn the_figures_of_indexes_are_exact() {
    let (db, c) = with(&[doc! { "id": 1, "a": [1, 2] }, doc! { "id": 2 }]);
    let before = c.stats().unwrap();
    assert_eq!((before.indexes_size_bytes, before.total_size_bytes), (0, before.size_bytes));
    c.create_indexes([IndexSpec::new("a"), IndexSpec::new("-b").name("n").sparse()]).unwrap();
    let stats = c.stats_full().unwrap();
    let [a, n] = &stats.indexes[..] else { panic!("two indexes") };
    assert_eq!((a.name.as_str(), a.entries, n.entries), ("a", 3, 0));
    assert_eq!(n.spec, IndexSpec::new("-b").sparse().name("n"));
    let key = |values: &[i64]| {
        let mut key = Vec::new();
        values.iter().for_each(|value| encode_key_value(&(*value).into(), Ascending, &mut key));
        key.len() as u64
    };
    let null = 1;
    assert_eq!(a.key_bytes, key(&[1, 1]) + key(&[2, 1]) + null + key(&[2]));
    assert!(a.size_bytes >= 4096 && a.size_bytes.is_multiple_of(4096));
    assert_eq!(stats.indexes_size_bytes, a.size_bytes + n.size_bytes);
    assert_eq!(stats.total_size_bytes, stats.size_bytes + stats.indexes_size_bytes);
    assert_eq!(stats.size_bytes, before.size_bytes);
    assert_eq!((db.stats().unwrap().collections, db.stats().unwrap().indexes), (1, 2));
}

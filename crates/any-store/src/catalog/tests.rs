use super::*;
use crate::{CollectionOptions, Database, ErrorKind, doc};

fn with_users() -> Database {
    let db = Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.insert_one(&doc! { "id": 1 }).unwrap();
    db
}

fn put_in_catalog(db: &Database, key: &[u8], value: &[u8]) {
    let mut tx = db.store().begin_write().unwrap();
    tx.put(CATALOG_TREE, key, value).unwrap();
    tx.bump_catalog_version().unwrap();
    tx.commit().unwrap();
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let meta = CollectionMeta {
        id: CollectionId(7),
        generation: Generation(i64::MIN),
        name: "a\0b".into(),
        tree: storage::TreeId(u32::MAX),
        primary_key: "_id".into(),
        compression: crate::Compression::None,
        auto_id: true,
        indexes: Vec::new(),
        next_index: FIRST_INDEX,
    };
    assert_eq!(CollectionMeta::decode(meta.id, &meta.encode().unwrap()).unwrap(), meta);
    let full = IndexSpec::new(["a", "-b.c"]).name("n").unique().sparse();
    let expiring = IndexSpec::new("at").expire_after(std::time::Duration::from_millis(1500));
    let specs = [full.partial(doc! { "x": { "$gt": 1 } }), expiring, IndexSpec::new("-_id")];
    let index = |(id, spec): (u32, IndexSpec)| {
        let definition = Definition::check(spec, "_id").unwrap();
        let multikey = u64::MAX - u64::from(id);
        let tree = storage::TreeId(id + 5);
        Arc::new(IndexMeta { multikey, ..IndexMeta::new(IndexId(id), tree, definition, "_id") })
    };
    let indexes = (7..).zip(specs).map(index).collect();
    let indexed = CollectionMeta { indexes, next_index: IndexId(10), ..meta };
    let back = CollectionMeta::decode(indexed.id, &indexed.encode().unwrap()).unwrap();
    assert_eq!(back, indexed);
    for (index, was) in back.indexes.iter().zip(&indexed.indexes) {
        assert!(index.means(&Definition::check(was.spec.clone(), "_id").unwrap()));
        assert_eq!(index.name, was.name);
    }
    let emptied = CollectionMeta { indexes: Vec::new(), ..indexed };
    let back = CollectionMeta::decode(emptied.id, &emptied.encode().unwrap()).unwrap();
    assert_eq!(back.next_index, IndexId(10), "no number is used again");
}

#[test]
fn the_first_collection_makes_the_catalog_even_after_a_rollback() {
    let db = Database::in_memory().unwrap();
    for _ in 0..3 {
        let mut tx = db.begin_write().unwrap();
        tx.create_collection("gone", CollectionOptions::new()).unwrap();
        tx.rollback();
    }
    db.create_collection("a", CollectionOptions::new()).unwrap();
    assert_eq!(db.collection_names().unwrap(), ["a"]);
}

#[test]
fn renaming_rewrites_one_record_and_moves_one_name() {
    let db = with_users();
    let documents_before = db.collection::<crate::Document>("users").stats().unwrap();
    db.rename_collection("users", "people").unwrap();
    let read = db.store().begin_read().unwrap();
    assert_eq!(read.tree_stats(CATALOG_TREE).unwrap().unwrap().entry_count, 2);
    let documents_after = db.collection::<crate::Document>("people").stats().unwrap();
    assert_eq!(documents_after.stored_bytes, documents_before.stored_bytes);
}

#[test]
fn dropping_leaves_nothing_behind() {
    let db = with_users();
    let tree = {
        let source = db.begin_read().unwrap().source();
        find_by_name(&source, "users").unwrap().unwrap().tree
    };
    db.drop_collection("users").unwrap();
    let read = db.store().begin_read().unwrap();
    assert_eq!(read.tree_stats(CATALOG_TREE).unwrap().unwrap().entry_count, 0);
    assert!(read.tree_stats(tree).unwrap().is_none());
}

#[test]
fn damaged_entries_are_corruption_not_absence() {
    let good = {
        let db = with_users();
        let source = db.begin_read().unwrap().source();
        source.get(CATALOG_TREE, &record_key(CollectionId(1))).unwrap().unwrap().to_vec()
    };
    let named_otherwise = {
        let mut meta = CollectionMeta::decode(CollectionId(1), &good).unwrap();
        meta.name = "people".into();
        meta.encode().unwrap()
    };
    let empty_document = crate::RawDocumentBuf::default().into_bytes();
    let cases: [(&[u8], &[u8]); 6] = [
        (&record_key(CollectionId(1)), b""),
        (&record_key(CollectionId(1)), &good[..good.len() - 1]),
        (&record_key(CollectionId(1)), &empty_document),
        (&record_key(CollectionId(1)), &named_otherwise),
        (&name_key("users"), b"\0\0\x01"),
        (&name_key("users"), b"\0\0\0\x09"),
    ];
    for (key, value) in cases {
        let db = with_users();
        put_in_catalog(&db, key, value);
        let users = db.collection::<crate::Document>("users");
        assert_eq!(users.count().unwrap_err().kind(), ErrorKind::Corrupt, "{key:?}");
        assert_eq!(users.insert_one(&doc! { "id": 2 }).unwrap_err().kind(), ErrorKind::Corrupt);
        let again = db.get_or_create_collection("users", CollectionOptions::new());
        assert_eq!(again.unwrap_err().kind(), ErrorKind::Corrupt, "never made anew");
        assert_eq!(db.collection_infos().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn names_that_are_not_utf8_and_unknown_kinds_are_corruption() {
    let db = with_users();
    put_in_catalog(&db, &[KIND_NAME, 0xFF], b"\0\0\0\x01");
    assert_eq!(db.collection_names().unwrap_err().kind(), ErrorKind::Corrupt);
    let db = with_users();
    put_in_catalog(&db, &[KIND_COLLECTION, 0xFF, 0xFF, 0xFF, 0xFF], b"");
    let full = db.create_collection("b", CollectionOptions::new());
    assert_eq!(full.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn the_cache_answers_for_its_version_alone() {
    let db = with_users();
    let old = db.begin_read().unwrap().source();
    let target = Target::Named("users".into());
    let cache = Cache::default();
    let version = old.committed_catalog_version().unwrap();
    let first = cache.find(&old, version, &target).unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &cache.find(&old, version, &target).unwrap().unwrap()));
    db.drop_collection("users").unwrap();
    let new = db.begin_read().unwrap().source();
    let new_version = new.committed_catalog_version().unwrap();
    assert!(new_version > version);
    assert!(cache.find(&new, new_version, &target).unwrap().is_none());
    db.create_collection("users", CollectionOptions::new()).unwrap();
    let newest = db.begin_read().unwrap().source();
    let newest_version = newest.committed_catalog_version().unwrap();
    let second = cache.find(&newest, newest_version, &target).unwrap().unwrap();
    assert_ne!(second.generation, first.generation);
    let late = cache.find(&old, version, &target).unwrap().unwrap();
    assert_eq!(late.generation, first.generation, "an old reader does not take the new one's");
    let still = cache.find(&newest, newest_version, &target).unwrap().unwrap();
    assert!(Arc::ptr_eq(&still, &second), "nor does it evict it");
}

#[test]
fn definitions_mean_the_same_whatever_their_names() {
    let specs = [
        IndexSpec::new("a"),
        IndexSpec::new("-a"),
        IndexSpec::new("b"),
        IndexSpec::new(["a", "b"]),
        IndexSpec::new(["b", "a"]),
        IndexSpec::new("a").unique(),
        IndexSpec::new("a").sparse(),
        IndexSpec::new("a").partial(doc! { "b": 1 }),
        IndexSpec::new("a").partial(doc! { "b": 2 }),
        IndexSpec::new("a").expire_after(std::time::Duration::ZERO),
        IndexSpec::new("a").expire_after(std::time::Duration::from_secs(1)),
    ];
    let check = |spec: IndexSpec| Definition::check(spec, "id").unwrap();
    for (place, one) in specs.iter().enumerate() {
        let index = IndexMeta::new(IndexId(1), storage::TreeId(9), check(one.clone()), "id");
        for (other_place, other) in specs.iter().enumerate() {
            let same = index.means(&check(other.clone().name("x")));
            assert_eq!(same, place == other_place, "{one:?} {other:?}");
        }
    }
}

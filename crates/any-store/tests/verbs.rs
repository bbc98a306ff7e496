//! The verbs of a collection, each alone and in a transaction, on disk and in memory.

mod common;

use any_store::{
    CollectionOptions, Document, ErrorKind, ObjectId, RawDocumentBuf, Result, Value, doc,
};
use common::{assert_kind, everywhere, numbered, on};

#[test]
fn insert_one_returns_the_id_and_stores_the_document() {
    everywhere(|world| {
        let users = world.users();
        let id = on!(world, users, users => users.insert_one(&doc! { "a": 1, "id": "x" })).unwrap();
        assert_eq!(id, Value::from("x"));
        let found = on!(world, users, users => users.get("x")).unwrap();
        assert_eq!(found, Some(doc! { "a": 1, "id": "x" }));
        assert_eq!(on!(world, users, users => users.get("y")).unwrap(), None);
        assert_eq!(on!(world, users, users => users.count()).unwrap(), 1);
    });
}

#[test]
fn insert_refuses_a_missing_a_taken_and_an_impossible_id() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_one(&doc! { "id": 1 })).unwrap();
        let missing = on!(world, users, users => users.insert_one(&doc! { "a": 1 }));
        assert_eq!(assert_kind(missing, ErrorKind::MissingId).field_path(), Some("id"));
        let taken = on!(world, users, users => users.insert_one(&doc! { "id": 1.0 }));
        let taken = assert_kind(taken, ErrorKind::DocumentExists);
        assert_eq!(taken.document_id(), Some(&Value::from(1)));
        assert_eq!(taken.collection(), Some("users"));
        let array = on!(world, users, users => users.insert_one(&doc! { "id": [1] }));
        assert_kind(array, ErrorKind::InvalidId);
        let vector = doc! { "id": Value::Vector(vec![1.0]) };
        assert_kind(on!(world, users, users => users.insert_one(&vector)), ErrorKind::InvalidId);
        world.assert_all(&users, &[doc! { "id": 1 }]);
    });
}

#[test]
fn every_other_type_is_an_id_that_is_found_again() {
    everywhere(|world| {
        let users = world.users();
        let ids = [
            Value::Null,
            Value::from(-7),
            Value::from(0.5),
            Value::from(f64::NAN),
            Value::from(""),
            Value::from("a\0b"),
            Value::from(doc! { "a": [1, { "b": null }] }),
            Value::from(true),
            Value::ObjectId(ObjectId::new()),
            Value::DateTime(any_store::DateTime::from_ms(-1)),
            Value::Binary(any_store::Binary { subtype: 4, bytes: vec![0; 16] }),
        ];
        for id in &ids {
            let inserted =
                on!(world, users, users => users.insert_one(&doc! { "id": id })).unwrap();
            assert_eq!(&inserted, id);
        }
        for id in &ids {
            let expected = doc! { "id": id };
            assert_eq!(on!(world, users, users => users.get(id)).unwrap(), Some(expected.clone()));
            let filter = doc! { "id": { "$eq": id } };
            let found = on!(world, users, users => users.find_one(&filter)).unwrap();
            assert_eq!(found, Some(expected), "{id:?}");
        }
        for id in ids {
            on!(world, users, users => users.delete_id(id)).unwrap();
        }
        world.assert_all(&users, &[]);
    });
}

#[test]
fn insert_many_is_all_or_nothing_and_keeps_the_order_of_ids() {
    everywhere(|world| {
        let users = world.users();
        let ids =
            on!(world, users, users => users.insert_many(numbered([(2, 0), (1, 0)]))).unwrap();
        assert_eq!(ids, [Value::from(2), Value::from(1)]);
        let none: [Document; 0] = [];
        assert!(on!(world, users, users => users.insert_many(none)).unwrap().is_empty());
        let twice =
            on!(world, users, users => users.insert_many(numbered([(3, 0), (4, 0), (3, 0)])));
        let twice = assert_kind(twice, ErrorKind::DocumentExists);
        assert_eq!(twice.item(), Some(2));
        world.assert_all(&users, &numbered([(1, 0), (2, 0)]));
    });
}

#[test]
fn insert_many_takes_references_and_encoded_documents() {
    everywhere(|world| {
        let users = world.users();
        let documents = numbered([(1, 1), (2, 2)]);
        on!(world, users, users => users.insert_many(&documents)).unwrap();
        let raw = users.with_type::<RawDocumentBuf>();
        let encoded = RawDocumentBuf::from_document(&doc! { "id": 3, "n": 3.0 }).unwrap();
        on!(world, raw, raw => raw.insert_many([&encoded])).unwrap();
        assert_eq!(on!(world, raw, raw => raw.get(3)).unwrap(), Some(encoded.clone()));
        assert_eq!(on!(world, users, users => users.get_raw(3)).unwrap(), Some(encoded));
        assert_eq!(on!(world, users, users => users.get_raw(4)).unwrap(), None);
        world.assert_all(
            &users,
            &[documents[0].clone(), documents[1].clone(), doc! { "id": 3, "n": 3.0 }],
        );
    });
}

#[test]
fn insert_json_reads_extended_json_and_says_where_it_is_wrong() {
    everywhere(|world| {
        let users = world.users();
        let text = r#"{"id": {"$oid": "0123456789abcdef01234567"}, "n": {"$numberLong": "5"}}"#;
        let id = on!(world, users, users => users.insert_json(text)).unwrap();
        assert!(matches!(id, Value::ObjectId(_)));
        let wrong = on!(world, users, users => users.insert_json("{\"id\": 1,\n \"a\": nul}"));
        let wrong = assert_kind(wrong, ErrorKind::Parse);
        assert_eq!(wrong.json_error().map(|error| error.line), Some(2));
        assert_eq!(on!(world, users, users => users.count()).unwrap(), 1);
    });
}

#[test]
fn auto_id_puts_an_object_id_first() {
    everywhere(|world| {
        let options = CollectionOptions::new().primary_key("_id").auto_id(true);
        let users = world.create("users", options).unwrap();
        let id = on!(world, users, users => users.insert_one(&doc! { "a": 1 })).unwrap();
        assert!(matches!(id, Value::ObjectId(_)));
        let found = on!(world, users, users => users.get(&id)).unwrap().unwrap();
        let fields: Vec<_> = found.iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(fields, ["_id", "a"]);
        let upserted = on!(world, users, users => users.upsert(&doc! { "a": 2 })).unwrap();
        assert!(matches!(upserted.upserted, Some(Value::ObjectId(_))));
        on!(world, users, users => users.insert_one(&doc! { "a": 3, "_id": 5 })).unwrap();
        let fields: Vec<_> = on!(world, users, users => users.get(5))
            .unwrap()
            .unwrap()
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(fields, ["a", "_id"], "a given id keeps its place");
        assert_kind(
            on!(world, users, users => users.replace(&doc! { "a": 1 })),
            ErrorKind::MissingId,
        );
    });
}

#[test]
fn replace_needs_the_document_and_equal_bytes_change_nothing() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_one(&doc! { "id": 1, "a": 1, "b": 2 })).unwrap();
        let missing = on!(world, users, users => users.replace(&doc! { "id": 2 }));
        assert_eq!(assert_kind(missing, ErrorKind::NotFound).document_id(), Some(&Value::from(2)));
        let same =
            on!(world, users, users => users.replace(&doc! { "id": 1, "a": 1, "b": 2 })).unwrap();
        assert_eq!((same.matched, same.modified), (1, 0));
        let reordered =
            on!(world, users, users => users.replace(&doc! { "id": 1, "b": 2, "a": 1 })).unwrap();
        assert_eq!((reordered.matched, reordered.modified), (1, 1), "field order counts");
        let retyped =
            on!(world, users, users => users.replace(&doc! { "id": 1, "b": 2.0, "a": 1 })).unwrap();
        assert_eq!((retyped.matched, retyped.modified), (1, 1), "1 to 1.0 is a change");
        assert_kind(
            on!(world, users, users => users.replace(&doc! { "b": 2 })),
            ErrorKind::MissingId,
        );
        world.assert_all(&users, &[doc! { "id": 1, "b": 2.0, "a": 1 }]);
    });
}

#[test]
fn upsert_inserts_or_replaces() {
    everywhere(|world| {
        let users = world.users();
        let first = on!(world, users, users => users.upsert(&doc! { "id": 1, "a": 1 })).unwrap();
        assert_eq!((first.matched, first.modified, first.upserted), (0, 0, Some(Value::from(1))));
        let second = on!(world, users, users => users.upsert(&doc! { "id": 1, "a": 2 })).unwrap();
        assert_eq!((second.matched, second.modified, second.upserted), (1, 1, None));
        let third = on!(world, users, users => users.upsert(&doc! { "id": 1, "a": 2 })).unwrap();
        assert_eq!((third.matched, third.modified), (1, 0));
        assert_kind(
            on!(world, users, users => users.upsert(&doc! { "a": 2 })),
            ErrorKind::MissingId,
        );
        world.assert_all(&users, &[doc! { "id": 1, "a": 2 }]);
    });
}

#[test]
fn update_id_counts_bytes_that_changed() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_one(&doc! { "id": 1, "n": 1 })).unwrap();
        let inc =
            on!(world, users, users => users.update_id(1, doc! { "$inc": { "n": 2 } })).unwrap();
        assert_eq!((inc.matched, inc.modified), (1, 1));
        let zero = on!(world, users, users => users.update_id(1, r#"{"$inc": {"n": 0}}"#)).unwrap();
        assert_eq!((zero.matched, zero.modified), (1, 0));
        let missing = on!(world, users, users => users.update_id(2, doc! { "$inc": { "n": 2 } }));
        assert_kind(missing, ErrorKind::NotFound);
        world.assert_all(&users, &numbered([(1, 3)]));
    });
}

#[test]
fn no_update_changes_the_id() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 0), (2, 0)]))).unwrap();
        for update in [
            r#"{"$set": {"id": 3}}"#,
            r#"{"$inc": {"id": 1}}"#,
            r#"{"$unset": {"id": ""}}"#,
            r#"{"$set": {"id.x": 1}}"#,
        ] {
            let by_id = on!(world, users, users => users.update_id(1, update));
            let kind = by_id.as_ref().unwrap_err().kind();
            assert!(
                matches!(kind, ErrorKind::PrimaryKeyModification | ErrorKind::Apply),
                "{update}: {by_id:?}"
            );
            let many = on!(world, users, users => users.update_many((), update));
            assert_eq!(many.unwrap_err().kind(), kind, "{update}");
            let upsert = on!(world, users, users => users.upsert_id(9, update));
            assert_eq!(upsert.unwrap_err().kind(), kind, "{update}");
        }
        let same =
            on!(world, users, users => users.update_id(1, doc! { "$set": { "id": 1 } })).unwrap();
        assert_eq!((same.matched, same.modified), (1, 0));
        world.assert_all(&users, &numbered([(1, 0), (2, 0)]));
    });
}

#[test]
fn upsert_id_inserts_whatever_the_operators_do() {
    everywhere(|world| {
        let users = world.users();
        let update = doc! { "$inc": { "n": 2 }, "$setOnInsert": { "new": true } };
        let first = on!(world, users, users => users.upsert_id("k", &update)).unwrap();
        assert_eq!((first.matched, first.modified, first.upserted), (0, 0, Some(Value::from("k"))));
        let second = on!(world, users, users => users.upsert_id("k", &update)).unwrap();
        assert_eq!((second.matched, second.modified, second.upserted), (1, 1, None));
        let unset = on!(world, users, users => users.upsert_id("m", doc! { "$unset": { "x": 1 } }))
            .unwrap();
        assert_eq!(unset.upserted, Some(Value::from("m")));
        let array = on!(world, users, users => users.upsert_id(Value::Array(vec![]), &update));
        assert_kind(array, ErrorKind::InvalidId);
        world.assert_all(&users, &[doc! { "id": "k", "n": 4, "new": true }, doc! { "id": "m" }]);
    });
}

#[test]
fn delete_id_needs_the_document() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 0), (2, 0)]))).unwrap();
        on!(world, users, users => users.delete_id(1.0)).unwrap();
        assert_kind(on!(world, users, users => users.delete_id(1)), ErrorKind::NotFound);
        assert_kind(on!(world, users, users => users.delete_id("1")), ErrorKind::NotFound);
        world.assert_all(&users, &numbered([(2, 0)]));
    });
}

#[test]
fn update_one_and_many_and_replace_one_by_filter() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 5), (2, 5), (3, 6)]))).unwrap();
        let one = on!(world, users, users => users.update_one(doc! { "n": 5 }, doc! { "$set": { "n": 7 } })).unwrap();
        assert_eq!((one.matched, one.modified), (1, 1));
        let many = on!(world, users, users => users.update_many(doc! { "n": { "$gte": 5 } }, doc! { "$set": { "n": 7 } })).unwrap();
        assert_eq!((many.matched, many.modified), (3, 2));
        let replaced =
            on!(world, users, users => users.replace_one(doc! { "id": 2 }, &doc! { "n": "new" }))
                .unwrap();
        assert_eq!((replaced.matched, replaced.modified), (1, 1));
        let moved =
            on!(world, users, users => users.replace_one(doc! { "id": 2 }, &doc! { "id": 9 }));
        assert_kind(moved, ErrorKind::PrimaryKeyModification);
        let none =
            on!(world, users, users => users.replace_one(doc! { "id": 8 }, &doc! { "a": 1 }))
                .unwrap();
        assert_eq!((none.matched, none.modified, none.upserted), (0, 0, None));
        world.assert_all(
            &users,
            &[doc! { "id": 1, "n": 7 }, doc! { "id": 2, "n": "new" }, doc! { "id": 3, "n": 7 }],
        );
    });
}

#[test]
fn an_update_never_meets_its_own_results() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 1), (2, 2), (3, 3)]))).unwrap();
        let update = doc! { "$inc": { "n": 10 } };
        let result =
            on!(world, users, users => users.update_many(doc! { "n": { "$gte": 0 } }, &update))
                .unwrap();
        assert_eq!((result.matched, result.modified), (3, 3));
        world.assert_all(&users, &numbered([(1, 11), (2, 12), (3, 13)]));
    });
}

#[test]
fn delete_one_and_many() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 5), (2, 5), (3, 5), (4, 6)])))
            .unwrap();
        assert_eq!(
            on!(world, users, users => users.delete_one(doc! { "n": 5 })).unwrap().deleted,
            1
        );
        assert_eq!(
            on!(world, users, users => users.delete_many(doc! { "n": 5 })).unwrap().deleted,
            2
        );
        assert_eq!(
            on!(world, users, users => users.delete_many(doc! { "n": 5 })).unwrap().deleted,
            0
        );
        assert_eq!(on!(world, users, users => users.delete_many(())).unwrap().deleted, 1);
        world.assert_all(&users, &[]);
        assert_eq!(on!(world, users, users => users.count()).unwrap(), 0);
    });
}

#[test]
fn updates_that_do_not_apply_name_the_field() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_one(&doc! { "id": 1, "n": i64::MAX, "s": "x" }))
            .unwrap();
        let overflow = on!(world, users, users => users.update_id(1, doc! { "$inc": { "n": 1 } }));
        let overflow = assert_kind(overflow, ErrorKind::Overflow);
        assert_eq!(overflow.field_path(), Some("n"));
        assert_eq!(overflow.document_id(), Some(&Value::from(1)));
        let apply = on!(world, users, users => users.update_id(1, doc! { "$inc": { "s": 1 } }));
        assert_eq!(assert_kind(apply, ErrorKind::Apply).field_path(), Some("s"));
        let conflict = doc! { "$set": { "n": 1 }, "$inc": { "n": 1 } };
        assert_kind(on!(world, users, users => users.update_id(1, conflict)), ErrorKind::Conflict);
        world.assert_all(&users, &[doc! { "id": 1, "n": i64::MAX, "s": "x" }]);
    });
}

#[test]
fn another_primary_key_takes_the_place_of_id() {
    everywhere(|world| {
        let users = world.create("users", CollectionOptions::new().primary_key("cca3")).unwrap();
        on!(world, users, users => users.insert_one(&doc! { "name": "Chile", "cca3": "CHL" }))
            .unwrap();
        assert_kind(
            on!(world, users, users => users.insert_one(&doc! { "id": 1 })),
            ErrorKind::MissingId,
        );
        assert!(on!(world, users, users => users.get("CHL")).unwrap().is_some());
        let shift =
            on!(world, users, users => users.update_id("CHL", doc! { "$set": { "id": 9 } }))
                .unwrap();
        assert_eq!(shift.modified, 1);
        let moved =
            on!(world, users, users => users.update_id("CHL", doc! { "$set": { "cca3": "X" } }));
        assert_kind(moved, ErrorKind::PrimaryKeyModification);
        let projected =
            on!(world, users, users => users.find(()).project(doc! { "id": 1 }).first());
        assert_eq!(projected.unwrap(), Some(doc! { "cca3": "CHL", "id": 9 }));
    });
}

#[test]
fn absent_collections_are_not_made_by_verbs() {
    everywhere(|world| {
        let ghosts = world.db.collection::<Document>("ghosts");
        let kind = ErrorKind::CollectionNotFound;
        assert_kind(on!(world, ghosts, ghosts => ghosts.insert_one(&doc! { "id": 1 })), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.insert_many([doc! { "id": 1 }])), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.upsert(&doc! { "id": 1 })), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.upsert_id(1, doc! { "$set": {} })), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.get(1)), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.count()), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.find(()).run().map(drop)), kind);
        assert_kind(on!(world, ghosts, ghosts => ghosts.find(()).delete()), kind);
        let error = assert_kind(on!(world, ghosts, ghosts => ghosts.delete_id(1)), kind);
        assert!(error.is_not_found());
        assert_eq!(error.collection(), Some("ghosts"));
        assert_eq!(world.names(), Vec::<String>::new());
    });
}

#[test]
fn stats_count_documents_and_bytes() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many((0..50).map(|id| doc! { "id": id, "text": "again ".repeat(100) }))).unwrap();
        let stats = on!(world, users, users => users.stats()).unwrap();
        assert_eq!(stats.documents, 50);
        assert!(stats.stored_bytes > 0 && stats.size_bytes > 0 && stats.key_bytes > 0);
        assert_eq!(stats.document_bytes, None);
        let full: Result<_> = match &world.tx {
            Some(tx) => tx.view(&users).stats_full(),
            None => users.stats_full(),
        };
        let full = full.unwrap();
        assert!(full.document_bytes.unwrap() > 50 * 600);
        let ratio = full.compression_ratio().unwrap();
        // A plain document is stored with one byte in front.
        let expected = if cfg!(feature = "compression") { 4.0..100.0 } else { 0.9..1.0 };
        assert!(expected.contains(&ratio), "{full:?}");
    });
}

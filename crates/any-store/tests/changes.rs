//! Updates by their conditions: upserts, array filters, images, functions; each all or nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use any_store::{
    Collection, CollectionOptions, Database, Document, ErrorKind, ReturnDocument, Update, Value,
    doc,
};

fn with(documents: &[Document]) -> (Database, Collection) {
    let db = Database::in_memory().unwrap();
    let collection = db.create_collection("c", CollectionOptions::new()).unwrap();
    collection.insert_many(documents).unwrap();
    (db, collection)
}

fn all(collection: &Collection) -> Vec<Document> {
    collection.find(()).run().unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_upsert_takes_the_filters_equalities_and_no_more() {
    let (_db, c) = with(&[]);
    let find = || c.find(doc! { "id": 7, "a": { "$eq": 1 }, "b": { "$gt": 2 } }).upsert(true);
    let made = find().update(doc! { "$setOnInsert": { "c": 3 }, "$inc": { "n": 1 } }).unwrap();
    assert_eq!((made.matched, made.modified, made.upserted), (0, 0, Some(7.into())));
    assert_eq!(all(&c), [doc! { "a": 1, "id": 7, "c": 3, "n": 1 }]);
    // The id is there now, but the rest of the filter does not match it.
    let error = find().update_one(doc! { "$inc": { "n": 1 } }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DocumentExists);
    let error =
        c.find(doc! { "a": 5 }).upsert(true).update(doc! { "$set": { "b": 1 } }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingId);
    let error =
        c.find(doc! { "id": 9 }).upsert(true).update(doc! { "$set": { "id": 8 } }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PrimaryKeyModification);
    let twice = doc! { "$and": [doc! { "a": 1 }, doc! { "a": 1 }], "id": 9 };
    let error = c.find(twice).upsert(true).update(doc! { "$set": { "b": 1 } }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(c.count().unwrap(), 1);
}

#[test]
fn an_upsert_makes_an_id_where_the_collection_does() {
    let db = Database::in_memory().unwrap();
    let c = db.create_collection("c", CollectionOptions::new().auto_id(true)).unwrap();
    let made =
        c.find(doc! { "a": 1 }).upsert(true).update_one(doc! { "$set": { "b": 2 } }).unwrap();
    let id = made.upserted.unwrap();
    assert!(matches!(id, Value::ObjectId(_)));
    assert_eq!(c.get(id).unwrap().unwrap().get("b"), Some(&2.into()));
}

#[test]
fn a_replacement_keeps_the_id_or_takes_the_filters() {
    let (_db, c) = with(&[doc! { "id": 1, "a": 1 }, doc! { "id": 2, "a": 2 }]);
    let before = c.find(()).sort("-a").find_one_and_replace(&doc! { "b": 1 }).unwrap();
    assert_eq!(before, Some(doc! { "id": 2, "a": 2 }));
    assert_eq!(c.get(2).unwrap(), Some(doc! { "id": 2, "b": 1 }));
    let made = c
        .find(doc! { "id": 3 })
        .upsert(true)
        .return_document(ReturnDocument::After)
        .find_one_and_replace(&doc! { "b": 3 })
        .unwrap();
    assert_eq!(made, Some(doc! { "id": 3, "b": 3 }));
    let error = c.find(doc! { "id": 4 }).upsert(true).replace_one(&doc! { "id": 5 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PrimaryKeyModification);
    assert_eq!(c.replace_one(doc! { "id": 4 }, &doc! { "id": 4 }).unwrap().matched, 0);
    assert_eq!(c.count().unwrap(), 3);
}

#[test]
fn images_show_the_document_before_or_after_through_the_projection() {
    let (_db, c) = with(&[doc! { "id": 1, "n": 5, "x": 0 }, doc! { "id": 2, "n": 3, "x": 0 }]);
    let find = || c.find(()).sort("n").project(doc! { "n": 1 });
    let add = || doc! { "$inc": { "n": 10 } };
    assert_eq!(find().find_one_and_update(add()).unwrap(), Some(doc! { "id": 2, "n": 3 }));
    let after = find().return_document(ReturnDocument::After).find_one_and_update(add()).unwrap();
    assert_eq!(after, Some(doc! { "id": 1, "n": 15 }));
    assert_eq!(find().skip(1).find_one_and_delete().unwrap(), Some(doc! { "id": 1, "n": 15 }));
    assert_eq!(c.find_one_and_delete(doc! { "id": 9 }).unwrap(), None);
    assert_eq!(c.find_one_and_update(doc! { "id": 9 }, add()).unwrap(), None);
    assert_eq!(all(&c), [doc! { "id": 2, "n": 13, "x": 0 }]);
}

#[test]
fn a_document_that_is_not_of_the_type_stays() {
    #[derive(Debug, serde::Deserialize)]
    struct Named {
        #[expect(dead_code, reason = "only asked for")]
        name: String,
    }
    let (_db, c) = with(&[doc! { "id": 1 }]);
    let typed: Collection<Named> = c.with_type();
    let error = typed.find_one_and_delete(()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deserialize);
    let error = typed.find_one_and_update((), doc! { "$set": { "a": 1 } }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deserialize);
    assert_eq!(all(&c), [doc! { "id": 1 }]);
}

#[test]
fn positional_parts_mean_elements_of_each_document() {
    let (_db, c) = with(&[
        doc! { "id": 1, "a": [1, 7, 2] },
        doc! { "id": 2, "a": [9, 8] },
        doc! { "id": 3, "a": [0] },
    ]);
    let updated = c.update_many(doc! { "a": { "$gt": 5 } }, doc! { "$set": { "a.$": 5 } }).unwrap();
    assert_eq!((updated.matched, updated.modified), (2, 2));
    assert_eq!(c.get(1).unwrap().unwrap().get("a"), Some(&vec![1, 5, 2].into()));
    assert_eq!(c.get(2).unwrap().unwrap().get("a"), Some(&vec![5, 8].into()));
    let find = || c.find(()).array_filters(r#"[{"x": {"$lt": 2}}]"#);
    assert_eq!(find().update(doc! { "$inc": { "a.$[x]": 100 } }).unwrap().modified, 2);
    assert_eq!(c.find(doc! { "a": { "$in": [101, 100] } }).count().unwrap(), 2);

    let update = doc! { "$inc": { "a.$[x]": 1 } };
    for error in [
        c.update_many((), &update).unwrap_err(),
        c.update_id(1, &update).unwrap_err(),
        c.find(()).array_filters([doc! { "y": 1 }]).update(&update).unwrap_err(),
        c.find(()).array_filters(Value::from(1)).update(&update).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Parse, "{error}");
    }
}

#[test]
fn a_failing_document_undoes_the_statement_and_leaves_the_transaction_usable() {
    let (db, c) = with(&[doc! { "id": 1, "a": 1 }, doc! { "id": 2, "a": i64::MAX }]);
    let mut tx = db.begin_write().unwrap();
    tx.collection(&c).insert_one(&doc! { "id": 3, "a": 3 }).unwrap();
    for update in [doc! { "$inc": { "a": 1 } }, doc! { "$push": { "a": 1 } }] {
        assert!(tx.collection(&c).update_many((), update).is_err());
    }
    let after = |tx: &any_store::WriteTx| tx.view(&c).find(doc! { "id": 1 }).first().unwrap();
    assert_eq!(after(&tx), Some(doc! { "id": 1, "a": 1 }));
    assert!(
        tx.collection(&c)
            .find(())
            .sort("a")
            .find_one_and_update(doc! { "$inc": { "id": 1 } })
            .is_err()
    );
    tx.commit().unwrap();
    assert_eq!(c.count().unwrap(), 3);
    let error = c.update_id(2, doc! { "$inc": { "a": 1 } }).unwrap_err();
    assert_eq!((error.kind(), error.field_path()), (ErrorKind::Overflow, Some("a")));
}

#[test]
fn a_function_changes_documents_and_its_panic_undoes_the_statement_alone() {
    let (db, c) = with(&[doc! { "id": 1, "a": 1 }, doc! { "id": 2, "a": 2 }]);
    let double = Update::from_fn(|document| {
        let a = document.get("a").and_then(Value::as_i64).ok_or("no number in a")?;
        document.insert("a", a * 2);
        Ok(())
    });
    assert_eq!(c.update_many((), &double).unwrap().modified, 2);
    assert_eq!(c.get(2).unwrap(), Some(doc! { "id": 2, "a": 4 }));
    c.insert_one(&doc! { "id": 3 }).unwrap();
    let error = c.update_many((), &double).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Apply);
    let error = c
        .update_id(
            1,
            Update::from_fn(|d| {
                d.insert("id", 9);
                Ok(())
            }),
        )
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PrimaryKeyModification);

    for position in 1..=3 {
        let panics = Update::from_fn(move |document| {
            assert_ne!(document.get("id"), Some(&position.into()), "this is the one");
            document.insert("touched", true);
            Ok(())
        });
        assert!(catch_unwind(AssertUnwindSafe(|| c.update_many((), &panics))).is_err());
        let mut tx = db.begin_write().unwrap();
        tx.collection(&c).update_id(3, doc! { "$set": { "n": position } }).unwrap();
        let panicked =
            catch_unwind(AssertUnwindSafe(|| tx.collection(&c).update_many((), &panics)));
        assert!(panicked.is_err());
        assert_eq!(tx.view(&c).find(doc! { "touched": true }).count().unwrap(), 0);
        tx.commit().unwrap();
        assert_eq!(c.get(3).unwrap(), Some(doc! { "id": 3, "n": position }));
        assert_eq!(c.find(doc! { "touched": true }).count().unwrap(), 0);
    }
}

#[test]
fn distinct_values_come_from_the_selected_documents() {
    let (db, c) = with(&[
        doc! { "id": 1, "a": [3, 1], "o": [doc! { "x": 1 }, doc! { "x": [2, 3] }] },
        doc! { "id": 2, "a": 1.0, "o": doc! { "x": null } },
        doc! { "id": 3, "a": "s" },
    ]);
    assert_eq!(c.distinct("a", ()).unwrap(), [1.into(), 3.into(), "s".into()]);
    assert_eq!(c.distinct("o.x", ()).unwrap(), [Value::Null, 1.into(), 2.into(), 3.into()]);
    assert_eq!(c.find(()).sort("-id").limit(1).distinct("a").unwrap(), ["s".into()]);
    assert_eq!(c.distinct("zz", ()).unwrap(), []);
    let tx = db.begin_read().unwrap();
    assert_eq!(tx.collection(&c).distinct("a", doc! { "id": 3 }).unwrap(), ["s".into()]);
}

#[test]
fn the_current_date_in_memory_is_that_of_the_system() {
    let db = Database::in_memory().unwrap();
    let made = db.create_collection("c", CollectionOptions::new()).unwrap();
    made.insert_one(&doc! { "id": 1 }).unwrap();
    made.update_id(1, doc! { "$currentDate": { "at": true } }).unwrap();
    let year_2020 = any_store::DateTime::from_ms(1_577_836_800_000);
    assert_eq!(made.find(doc! { "at": { "$gt": year_2020 } }).count().unwrap(), 1);
}

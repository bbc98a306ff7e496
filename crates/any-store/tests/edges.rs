//! What lies at the limits: numbers, strings, keys, depth and size, in and out unchanged.

mod common;

use any_store::{
    CollectionOptions, Compression, Document, ErrorKind, RawDocumentBuf, Value, doc, json,
};
use common::{Random, assert_kind, everywhere, on};

/// Extended JSON tells `1` from `1.0` and keeps every digit.
fn text(document: &Document) -> String {
    document.to_string()
}

#[test]
fn extreme_values_come_back_the_same() {
    everywhere(|world| {
        let users = world.users();
        let documents = [
            doc! { "id": 1, "min": i64::MIN, "max": i64::MAX, "past": ((1i64 << 53) + 1) },
            doc! { "id": i64::MAX, "a": -0.0, "b": f64::MIN_POSITIVE, "c": f64::MAX, "d": 1.0 },
            doc! { "id": (i64::MAX - 1), "nan": f64::NAN, "inf": f64::NEG_INFINITY },
            doc! { "id": "nul\0in\0string", "s": "\0", "emoji": "\u{1F600}\u{1F468}\u{200D}\u{1F469}" },
            doc! { "id": "", "": 1, "a.b": 2, "$c": 3, "\0": { "": { "": [] } } },
            doc! { "id": { "a": 1 }, "empty": {}, "list": [[], {}, null] },
        ];
        on!(world, users, users => users.insert_many(&documents)).unwrap();
        for document in &documents {
            let id = document.get("id").unwrap();
            let found = on!(world, users, users => users.get(id)).unwrap().unwrap();
            assert_eq!(text(&found), text(document));
        }
        let raw = users.with_type::<RawDocumentBuf>();
        let found = on!(world, raw, raw => raw.get(i64::MAX)).unwrap().unwrap();
        assert_eq!(found, RawDocumentBuf::from_document(&documents[1]).unwrap(), "bit by bit");
        let past =
            on!(world, users, users => users.find(doc! { "past": ((1i64 << 53) as f64) }).count());
        assert_eq!(past.unwrap(), 0, "2^53 + 1 is not 2^53");
    });
}

fn nested(depth: usize) -> String {
    // The document itself is one container.
    let arrays = depth - 1;
    format!(r#"{{"id": 1, "deep": {}1{}}}"#, "[".repeat(arrays), "]".repeat(arrays))
}

#[test]
fn three_hundred_levels_go_in_and_out_and_one_more_does_not() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_json(&nested(300))).unwrap();
        let found = on!(world, users, users => users.get(1)).unwrap().unwrap();
        assert_eq!(text(&found), nested(300).replace(' ', ""));
        let filtered =
            on!(world, users, users => users.find(doc! { "deep": { "$exists": true } }).count());
        assert_eq!(filtered.unwrap(), 1);
        let touched =
            on!(world, users, users => users.update_id(1, doc! { "$set": { "a": 1 } })).unwrap();
        assert_eq!(touched.modified, 1);
        let deeper = doc! { "$set": { "deep": (found.get("deep").unwrap().clone()), "b": { "c": (found.get("deep").unwrap().clone()) } } };
        assert_kind(
            on!(world, users, users => users.update_id(1, deeper)),
            ErrorKind::LimitExceeded,
        );
        on!(world, users, users => users.delete_id(1)).unwrap();
        let too_deep = on!(world, users, users => users.insert_json(&nested(301)));
        assert_kind(too_deep, ErrorKind::LimitExceeded);
        let mut value = Value::from(1);
        for _ in 0..300 {
            value = Value::Array(vec![value]);
        }
        let too_deep = doc! { "id": 1, "deep": value };
        assert_kind(
            on!(world, users, users => users.insert_one(&too_deep)),
            ErrorKind::LimitExceeded,
        );
        world.assert_all(&users, &[]);
    });
}

fn noise(bytes: usize) -> Vec<u8> {
    let random = &mut Random::new(11);
    (0..bytes).map(|_| random.next() as u8).collect()
}

#[test]
fn fifteen_mebibytes_go_in_and_out_and_seventeen_do_not() {
    for compression in [Compression::None, Compression::default()] {
        let db = any_store::Database::in_memory().unwrap();
        let options = CollectionOptions::new().compression(compression);
        let blobs = db.create_collection("blobs", options).unwrap();
        let small = doc! { "id": 0 };
        let noisy = doc! { "id": 1, "b": Value::Binary(noise(15 << 20).into()) };
        let plain = doc! { "id": 2, "t": "text ".repeat(3 << 20) };
        blobs.insert_many([&small, &noisy, &plain]).unwrap();
        assert!(blobs.get(1).unwrap() == Some(noisy.clone()));
        assert!(blobs.get(2).unwrap() == Some(plain.clone()));
        let all: Vec<Document> = blobs.find(()).into_iter().map(Result::unwrap).collect();
        assert!(all == [small.clone(), noisy.clone(), plain]);
        let updated = blobs.update_id(1, doc! { "$set": { "a": 1 } }).unwrap();
        assert_eq!(updated.modified, 1);
        let grown = blobs.update_id(2, doc! { "$set": { "u": ("u".repeat(2 << 20)) } });
        assert_kind(grown, ErrorKind::LimitExceeded);
        let too_large = doc! { "id": 3, "b": Value::Binary(vec![0; 17 << 20].into()) };
        assert_kind(blobs.insert_one(&too_large), ErrorKind::LimitExceeded);
        let text = format!(r#"{{"id": 3, "t": "{}"}}"#, "x".repeat(17 << 20));
        assert_kind(blobs.insert_json(&text), ErrorKind::LimitExceeded);
        assert_eq!(blobs.count().unwrap(), 3);
        blobs.delete_many(()).unwrap();
        assert_eq!(blobs.count().unwrap(), 0);
    }
}

#[test]
fn documents_of_every_size_around_the_compression_threshold() {
    everywhere(|world| {
        for (name, compression) in
            [("plain", Compression::None), ("packed", Compression::default())]
        {
            let options = CollectionOptions::new().compression(compression);
            let c = world.create(name, options).unwrap();
            let documents: Vec<Document> = (0..400)
                .map(|n| doc! { "id": (n as i64), "t": ("ab".repeat(n / 2)), "r": Value::Binary(noise(n % 100).into()) })
                .collect();
            on!(world, c, c => c.insert_many(&documents)).unwrap();
            world.assert_all(&c, &documents);
        }
    });
}

#[test]
fn json_that_is_not_a_document_is_refused_with_the_place() {
    everywhere(|world| {
        let users = world.users();
        for text in [
            "",
            "{",
            "[]",
            "1",
            r#"{"id": 1, "id": 2}"#,
            r#"{"id": 1} x"#,
            r#"{"id": "\ud800"}"#,
            r#"{"id": 1e999}"#,
        ] {
            let error =
                assert_kind(on!(world, users, users => users.insert_json(text)), ErrorKind::Parse);
            let json = error.json_error().unwrap();
            assert!(json.offset <= text.len() && json.line == 1, "{text}: {json:?}");
        }
        assert!(json::parse_document(b"\xff").is_err());
        world.assert_all(&users, &[]);
    });
}

#[test]
fn what_json_out_could_not_bring_back_is_refused() {
    everywhere(|world| {
        let users = world.users();
        let wrapper = doc! { "id": 1, "a": { "$oid": "x" } };
        assert_kind(on!(world, users, users => users.insert_one(&wrapper)), ErrorKind::Parse);
        on!(world, users, users => users.insert_one(&doc! { "id": 1 })).unwrap();
        let set = doc! { "$set": { "a.$oid": "x" } };
        let error = on!(world, users, users => users.update_id(1, set)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Parse | ErrorKind::Apply), "{error:?}");
        world.assert_all(&users, &[doc! { "id": 1 }]);
    });
}

#[test]
fn types_that_do_not_fit_are_refused_by_name() {
    #[derive(serde::Serialize)]
    struct Big {
        id: u64,
        n: u64,
    }
    everywhere(|world| {
        let users = world.users();
        let bigs = users.with_type::<Big>();
        let error = on!(world, bigs, bigs => bigs.insert_one(&Big { id: 1, n: u64::MAX }));
        let error = assert_kind(error, ErrorKind::Overflow);
        assert_eq!(error.field_path(), Some("n"));
        on!(world, bigs, bigs => bigs.insert_one(&Big { id: 1, n: i64::MAX as u64 })).unwrap();
        let numbers = users.with_type::<i32>();
        assert_kind(on!(world, numbers, numbers => numbers.insert_one(&5)), ErrorKind::Parse);
        world.assert_all(&users, &[doc! { "id": 1, "n": i64::MAX }]);
    });
}

#[test]
fn ids_too_deep_to_be_stored_are_errors_where_they_are_asked_for() {
    let db = any_store::Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    let mut id = Value::from(1);
    for _ in 0..400 {
        id = Value::from(doc! { "a": id });
    }
    assert_kind(users.get(&id), ErrorKind::LimitExceeded);
    assert_kind(users.delete_id(&id), ErrorKind::LimitExceeded);
    assert_kind(users.upsert_id(&id, doc! { "$set": {} }), ErrorKind::LimitExceeded);
    assert_eq!(users.get(Value::Array(vec![])).unwrap(), None, "no document has such an id");
}

#[test]
fn long_ids_and_long_names_work() {
    everywhere(|world| {
        let users =
            world.create("u", CollectionOptions::new().primary_key("k".repeat(255))).unwrap();
        let id = "long ".repeat(20_000);
        let document: Document =
            [("k".repeat(255), Value::from(id.as_str()))].into_iter().collect();
        on!(world, users, users => users.insert_one(&document)).unwrap();
        assert_eq!(on!(world, users, users => users.get(&id)).unwrap(), Some(document));
        on!(world, users, users => users.delete_id(&id)).unwrap();
        assert_eq!(on!(world, users, users => users.count()).unwrap(), 0);
    });
}

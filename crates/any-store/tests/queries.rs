//! Queries: every verb on every selection, requests that cannot be read, and what a cursor sees.

mod common;

use any_store::{
    CollectionOptions, Database, Document, ErrorKind, Filter, RawValue, Result, Sort, Value, doc,
};
use common::{World, assert_kind, everywhere, json, numbered, on};

fn films(world: &mut World) -> any_store::Collection {
    let films = world.users();
    let documents = [
        doc! { "id": 1, "t": "Alien", "y": 1979, "g": ["horror", "space"] },
        doc! { "id": 2, "t": "Brazil", "y": 1985, "g": [] },
        doc! { "id": 3, "t": "Cube", "y": 1997 },
        doc! { "id": 4, "t": "Dune", "y": 1984, "g": ["space"] },
        doc! { "id": 5, "t": "Eraserhead", "y": null },
    ];
    on!(world, films, films => films.insert_many(documents)).unwrap();
    films
}

fn ids(documents: Vec<Document>) -> Vec<i64> {
    documents.iter().map(|document| document.get("id").unwrap().as_i64().unwrap()).collect()
}

macro_rules! find_ids {
    ($world:expr, $films:expr, $films_view:ident => $find:expr) => {
        ids(on!($world, $films, $films_view => $find.run().unwrap().collect::<Result<Vec<_>>>().unwrap()))
    };
}

#[test]
fn a_filter_is_a_document_a_text_a_value_a_ready_filter_or_nothing() {
    everywhere(|world| {
        let films = films(world);
        let ready = Filter::from_json(r#"{"y": 1985}"#).unwrap();
        assert_eq!(find_ids!(world, films, films => films.find(doc! { "y": 1985 })), [2]);
        assert_eq!(find_ids!(world, films, films => films.find(&doc! { "y": 1985 })), [2]);
        assert_eq!(find_ids!(world, films, films => films.find(r#"{"y": 1985}"#)), [2]);
        assert_eq!(find_ids!(world, films, films => films.find(&ready)), [2]);
        assert_eq!(
            find_ids!(world, films, films => films.find(Value::from(doc! { "y": 1985 }))),
            [2]
        );
        assert_eq!(find_ids!(world, films, films => films.find(())), [1, 2, 3, 4, 5]);
        assert_eq!(find_ids!(world, films, films => films.find("{}")), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn comparison_logic_and_arrays() {
    everywhere(|world| {
        let films = films(world);
        for (filter, expected) in [
            (r#"{"y": {"$gt": 1984}}"#, vec![2, 3]),
            (r#"{"y": {"$gte": 1984, "$lt": 1997}}"#, vec![2, 4]),
            (r#"{"y": {"$ne": 1985}}"#, vec![1, 3, 4, 5]),
            (r#"{"y": null}"#, vec![5]),
            (r#"{"g": null}"#, vec![3, 5]),
            (r#"{"g": {"$exists": true}}"#, vec![1, 2, 4]),
            (r#"{"g": "space"}"#, vec![1, 4]),
            (r#"{"g": {"$in": ["horror", "x"]}}"#, vec![1]),
            (r#"{"$or": [{"id": 5}, {"t": "Cube"}]}"#, vec![3, 5]),
            (r#"{"$nor": [{"id": 5}, {"t": "Cube"}]}"#, vec![1, 2, 4]),
            (r#"{"$and": [{"g": "space"}, {"y": 1984}]}"#, vec![4]),
            (r#"{"y": {"$not": {"$gt": 1984}}}"#, vec![1, 4, 5]),
        ] {
            assert_eq!(find_ids!(world, films, films => films.find(filter)), expected, "{filter}");
            let count = on!(world, films, films => films.find(filter).count()).unwrap();
            assert_eq!(count, expected.len() as u64, "{filter}");
        }
    });
}

#[test]
fn filters_on_the_primary_key_are_look_ups_that_check_the_rest() {
    everywhere(|world| {
        let films = films(world);
        for (filter, expected) in [
            (r#"{"id": 3}"#, vec![3]),
            (r#"{"id": 3.0}"#, vec![3]),
            (r#"{"id": "3"}"#, vec![]),
            (r#"{"id": {"$in": [5, 1, 9, 1.0]}}"#, vec![1, 5]),
            (r#"{"id": {"$in": []}}"#, vec![]),
            (r#"{"id": 3, "t": "Alien"}"#, vec![]),
            (r#"{"id": {"$in": [1, 2, 3]}, "y": {"$lt": 1990}}"#, vec![1, 2]),
            (r#"{"id": {"$gte": 4}}"#, vec![4, 5]),
            (r#"{"id": null}"#, vec![]),
            (r#"{"$or": [{"id": 2}, {"id": 4}]}"#, vec![2, 4]),
        ] {
            assert_eq!(find_ids!(world, films, films => films.find(filter)), expected, "{filter}");
            let count = on!(world, films, films => films.find(filter).count()).unwrap();
            assert_eq!(count, expected.len() as u64, "{filter}");
        }
        assert_eq!(
            find_ids!(world, films, films => films.find(r#"{"id": {"$in": [1, 4, 2]}}"#).sort("-y").limit(2)),
            [2, 4]
        );
    });
}

#[test]
fn sort_forms_ties_skip_and_limit() {
    everywhere(|world| {
        let films = films(world);
        assert_eq!(find_ids!(world, films, films => films.find(()).sort("-y")), [3, 2, 4, 1, 5]);
        assert_eq!(
            find_ids!(world, films, films => films.find(()).sort(["g", "-id"])),
            [2, 5, 3, 1, 4]
        );
        assert_eq!(
            find_ids!(world, films, films => films.find(()).sort(doc! { "g": -1, "y": 1 })),
            [1, 4, 5, 3, 2]
        );
        assert_eq!(
            find_ids!(world, films, films => films.find(()).sort(vec!["t"]).skip(1).limit(2)),
            [2, 3]
        );
        assert_eq!(
            find_ids!(world, films, films => films.find(()).sort(Sort::by("missing").unwrap())),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(
            find_ids!(world, films, films => films.find(()).sort("-missing").limit(2)),
            [1, 2],
            "ties ascend"
        );
        assert_eq!(find_ids!(world, films, films => films.find(()).skip(3)), [4, 5]);
        assert_eq!(find_ids!(world, films, films => films.find(()).skip(9)), [0i64; 0]);
        assert_eq!(
            find_ids!(world, films, films => films.find(()).limit(0)),
            [1, 2, 3, 4, 5],
            "0 is no limit"
        );
        assert_eq!(
            find_ids!(world, films, films => films.find(()).limit(1).limit(3)),
            [1, 2, 3],
            "the last call counts"
        );
        assert_eq!(
            find_ids!(world, films, films => films.find(()).sort("y").skip(u64::MAX).limit(u64::MAX)),
            [0i64; 0]
        );
        assert_eq!(on!(world, films, films => films.find(()).skip(2).limit(2).count()).unwrap(), 2);
        assert_eq!(on!(world, films, films => films.find(()).skip(4).limit(2).count()).unwrap(), 1);
        assert_eq!(on!(world, films, films => films.find(()).skip(7).count()).unwrap(), 0);
    });
}

#[test]
fn parallel_arrays_in_a_sort_are_an_error_of_every_verb() {
    everywhere(|world| {
        let films = world.users();
        on!(world, films, films => films.insert_one(&doc! { "id": 1, "a": [1], "b": [2] }))
            .unwrap();
        let sort = ["a", "b"];
        let kind = ErrorKind::ParallelArrays;
        assert_kind(on!(world, films, films => films.find(()).sort(sort).first()), kind);
        assert_kind(on!(world, films, films => films.find(()).sort(sort).count()), kind);
        assert_kind(on!(world, films, films => films.find(()).sort(sort).exists()), kind);
        assert_kind(on!(world, films, films => films.find(()).sort(sort).delete()), kind);
        assert_kind(
            on!(world, films, films => films.find(()).sort(sort).update(doc! { "$inc": { "c": 1 } })),
            kind,
        );
        let mut all = on!(world, films, films => films.find(()).sort(sort).run().unwrap().map(|r| r.map_err(|e| e.kind())).collect::<Vec<_>>());
        assert_eq!(all.pop(), Some(Err(kind)));
        assert!(all.is_empty());
    });
}

#[test]
fn first_exists_and_find_one() {
    everywhere(|world| {
        let films = films(world);
        let first = on!(world, films, films => films.find(()).sort("-t").first()).unwrap();
        assert_eq!(first.unwrap().get("id"), Some(&Value::from(5)));
        assert_eq!(on!(world, films, films => films.find(doc! { "id": 9 }).first()).unwrap(), None);
        let second = on!(world, films, films => films.find(()).skip(1).limit(3).first()).unwrap();
        assert_eq!(second.unwrap().get("id"), Some(&Value::from(2)));
        assert!(on!(world, films, films => films.find(doc! { "y": 1984 }).exists()).unwrap());
        assert!(
            !on!(world, films, films => films.find(doc! { "y": 1984 }).skip(1).exists()).unwrap()
        );
        assert!(!on!(world, films, films => films.find(()).skip(5).exists()).unwrap());
        let one = on!(world, films, films => films.find_one(doc! { "g": "space" })).unwrap();
        assert_eq!(one.unwrap().get("id"), Some(&Value::from(1)));
    });
}

#[test]
fn projections_keep_the_id_unless_told_otherwise() {
    everywhere(|world| {
        let films = films(world);
        let name = on!(world, films, films => films.find(doc! { "id": 1 }).project(doc! { "t": 1 }).first());
        assert_eq!(name.unwrap(), Some(doc! { "id": 1, "t": "Alien" }));
        let bare = on!(world, films, films => films.find(doc! { "id": 1 }).project(r#"{"t": 1, "id": 0}"#).first());
        assert_eq!(bare.unwrap(), Some(doc! { "t": "Alien" }));
        let without = on!(world, films, films => films.find(doc! { "id": 2 }).project(doc! { "g": 0, "y": 0 }).first());
        assert_eq!(without.unwrap(), Some(doc! { "id": 2, "t": "Brazil" }));
        let sorted = on!(world, films, films => films.find(()).sort("-y").limit(2).project(doc! { "t": 1, "id": 0 }).run().unwrap().collect::<Result<Vec<_>>>());
        assert_eq!(json(&sorted.unwrap()), [r#"{"t":"Cube"}"#, r#"{"t":"Brazil"}"#]);
    });
}

#[test]
fn update_and_delete_honour_sort_skip_and_limit() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 3), (2, 1), (3, 2), (4, 5)])))
            .unwrap();
        let updated = on!(world, users, users => users.find(()).sort("-n").skip(1).limit(2).update(doc! { "$set": { "n": 0 } })).unwrap();
        assert_eq!((updated.matched, updated.modified), (2, 2));
        world.assert_all(&users, &numbered([(1, 0), (2, 1), (3, 0), (4, 5)]));
        let deleted =
            on!(world, users, users => users.find(()).sort("-id").limit(1).delete()).unwrap();
        assert_eq!(deleted.deleted, 1);
        let deleted =
            on!(world, users, users => users.find(doc! { "n": 0 }).skip(1).delete()).unwrap();
        assert_eq!(deleted.deleted, 1);
        world.assert_all(&users, &numbered([(1, 0), (2, 1)]));
    });
}

/// Lessons 147 and 148: a request that cannot be read is reported by every verb, whatever it could
/// match.
#[test]
fn requests_that_cannot_be_read_are_errors_of_every_verb() {
    everywhere(|world| {
        let films = films(world);
        let update = doc! { "$set": { "a": 1 } };
        macro_rules! every_verb_fails {
            ($films:ident => $find:expr) => {
                assert_kind(on!(world, films, $films => $find.run().map(drop)), ErrorKind::Parse);
                assert_kind(on!(world, films, $films => $find.first()), ErrorKind::Parse);
                assert_kind(on!(world, films, $films => $find.count()), ErrorKind::Parse);
                assert_kind(on!(world, films, $films => $find.exists()), ErrorKind::Parse);
                assert_kind(on!(world, films, $films => $find.update(&update)), ErrorKind::Parse);
                assert_kind(on!(world, films, $films => $find.delete()), ErrorKind::Parse);
            };
        }
        every_verb_fails!(films => films.find(r#"{"y": {"$gtt": 1}}"#));
        every_verb_fails!(films => films.find("{"));
        every_verb_fails!(films => films.find(doc! { "id": { "$in": [] }, "y": { "$foo": 1 } }));
        every_verb_fails!(films => films.find(()).sort(doc! { "a": 5 }));
        every_verb_fails!(films => films.find(doc! { "id": 99 }).project(doc! { "a": 1, "b": 0 }));
        let bad = on!(world, films, films => films.update_many(doc! { "id": 99 }, doc! { "$sett": { "a": 1 } }));
        assert_kind(bad, ErrorKind::Parse);
        let bad = on!(world, films, films => films.update_id(99, "{}}"));
        assert_kind(bad, ErrorKind::Parse);
        assert_kind(on!(world, films, films => films.find_one("[]")), ErrorKind::Parse);
        assert_eq!(on!(world, films, films => films.count()).unwrap(), 5);
    });
}

#[test]
fn a_parse_error_tells_the_place() {
    everywhere(|world| {
        let films = films(world);
        let text = r#"{"$and": [{"a": 1}, {"b": {"$gtt": 1}}]}"#;
        let error = on!(world, films, films => films.find(text).count()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"parse filter: unknown operator "$gtt" (at $and.1.b.$gtt); did you mean "$gt"?"#
        );
        let parse = error.parse_error().unwrap();
        assert_eq!(parse.offset, text.find("\"$gtt\""));
        assert_eq!(error.field_path(), Some("$and.1.b.$gtt"));
        assert_eq!(error.collection(), Some("users"));
    });
}

#[test]
fn raw_documents_are_lent() {
    everywhere(|world| {
        let films = films(world);
        let years = on!(world, films, films => {
            let mut find = films.find(doc! { "y": { "$gt": 1980 } }).run().unwrap();
            let mut years = Vec::new();
            while let Some(raw) = find.next_raw().unwrap() {
                match raw.get("y").unwrap() {
                    Some(RawValue::Int64(year)) => years.push(year),
                    other => panic!("{other:?}"),
                }
            }
            assert!(find.next_raw().unwrap().is_none(), "it stays ended");
            years
        });
        assert_eq!(years, [1985, 1997, 1984]);
    });
}

#[test]
fn queries_on_a_collection_are_reusable_and_iterable() {
    let db = any_store::Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.insert_many(numbered([(1, 1), (2, 2)])).unwrap();
    let find = users.find(()).sort("-n");
    assert_eq!(find.clone().count().unwrap(), 2);
    let mut seen = Vec::new();
    for user in find {
        seen.push(user.unwrap());
    }
    assert_eq!(ids(seen), [2, 1]);
    let mut bad = users.find("{").into_iter();
    assert_eq!(bad.next().unwrap().unwrap_err().kind(), ErrorKind::Parse);
    assert!(bad.next().is_none());
}

#[test]
fn a_hint_that_names_no_index_is_an_error_even_where_nothing_can_match() {
    let db = Database::in_memory().unwrap();
    let made = db.create_collection("c", CollectionOptions::new()).unwrap();
    made.create_index("a").unwrap();
    let nothing = || made.find(doc! { "a": doc! { "$in": Vec::<Value>::new() } });
    for hint in ["a", "$natural"] {
        assert_eq!(nothing().hint(hint).count().unwrap(), 0);
    }
    assert_eq!(nothing().hint("b").count().unwrap_err().kind(), ErrorKind::IndexNotFound);
}

#[test]
fn parallel_arrays_behind_the_primary_key_of_a_sort_are_an_error_in_every_plan() {
    let db = Database::in_memory().unwrap();
    let made = db.create_collection("c", CollectionOptions::new()).unwrap();
    made.create_index("n").unwrap();
    made.insert_many([doc! { "id": 1, "n": 1, "a": [1], "b": [2] }, doc! { "id": 2 }]).unwrap();
    for sort in [doc! { "id": -1, "a": 1, "b": 1 }, doc! { "n": 1, "id": 1, "a": 1, "b": 1 }] {
        for hint in ["$natural", "n"] {
            let found = made.find(()).sort(sort.clone()).hint(hint).count();
            assert_eq!(found.unwrap_err().kind(), ErrorKind::ParallelArrays, "{hint} {sort}");
        }
    }
}

//! Collections as things that are made, renamed and dropped, and what their handles say then.

mod common;

use any_store::{
    Collection, CollectionOptions, Compression, Database, Document, ErrorKind, MemVfs, doc,
};
use common::{World, assert_kind, everywhere, numbered, on, snapshot};
use std::sync::Arc;

fn drop_by_name(world: &mut World, name: &str) -> any_store::Result<()> {
    match &mut world.tx {
        Some(tx) => tx.drop_collection(name),
        None => world.db.drop_collection(name),
    }
}

fn rename(world: &mut World, from: &str, to: &str) -> any_store::Result<()> {
    match &mut world.tx {
        Some(tx) => tx.rename_collection(from, to),
        None => world.db.rename_collection(from, to),
    }
}

fn open(world: &mut World, name: &str) -> any_store::Result<Collection> {
    match &mut world.tx {
        Some(tx) => tx.open_collection(name),
        None => world.db.open_collection(name),
    }
}

fn get_or_create(
    world: &mut World,
    name: &str,
    options: CollectionOptions,
) -> any_store::Result<Collection> {
    match &mut world.tx {
        Some(tx) => tx.get_or_create_collection(name, options),
        None => world.db.get_or_create_collection(name, options),
    }
}

#[test]
fn create_open_and_list() {
    everywhere(|world| {
        assert_eq!(world.names(), Vec::<String>::new());
        assert_kind(open(world, "a"), ErrorKind::CollectionNotFound);
        for name in ["b", "a", "\u{e9}", "a\0x", "$weird.name", "01"] {
            world.create(name, CollectionOptions::new()).unwrap();
        }
        assert_eq!(world.names(), ["$weird.name", "01", "a", "a\0x", "b", "\u{e9}"]);
        let taken =
            assert_kind(world.create("a", CollectionOptions::new()), ErrorKind::CollectionExists);
        assert_eq!(taken.collection(), Some("a"));
        assert_eq!(open(world, "a\0x").unwrap().name(), "a\0x");
    });
}

#[test]
fn names_have_1_to_255_bytes() {
    everywhere(|world| {
        assert_kind(world.create("", CollectionOptions::new()), ErrorKind::InvalidName);
        assert_kind(
            world.create(&"x".repeat(256), CollectionOptions::new()),
            ErrorKind::InvalidName,
        );
        world.create(&"x".repeat(255), CollectionOptions::new()).unwrap();
        assert_kind(rename(world, &"x".repeat(255), ""), ErrorKind::InvalidName);
        assert_kind(get_or_create(world, "", CollectionOptions::new()), ErrorKind::InvalidName);
        assert_eq!(world.names().len(), 1);
    });
}

#[test]
fn primary_keys_are_top_level_fields() {
    everywhere(|world| {
        for bad in ["", "a.b", "$id", &"x".repeat(256)] {
            let options = CollectionOptions::new().primary_key(bad);
            assert_kind(world.create("c", options), ErrorKind::InvalidOptions);
        }
        assert_eq!(world.names(), Vec::<String>::new());
    });
}

#[test]
fn get_or_create_takes_what_is_there_and_refuses_other_options() {
    everywhere(|world| {
        let options =
            CollectionOptions::new().primary_key("k").auto_id(true).compression(Compression::None);
        let made = get_or_create(world, "c", options.clone()).unwrap();
        on!(world, made, made => made.insert_one(&doc! { "k": 1 })).unwrap();
        let same = get_or_create(world, "c", options).unwrap();
        let plain = get_or_create(world, "c", CollectionOptions::new()).unwrap();
        for handle in [&same, &plain] {
            assert_eq!(on!(world, handle, handle => handle.count()).unwrap(), 1);
        }
        for other in [
            CollectionOptions::new().primary_key("id"),
            CollectionOptions::new().auto_id(false),
            CollectionOptions::new().compression(Compression::Lz4),
        ] {
            let error = assert_kind(get_or_create(world, "c", other), ErrorKind::InvalidOptions);
            assert_eq!(error.collection(), Some("c"));
        }
        let infos = match &world.tx {
            Some(tx) => tx.collection_infos(),
            None => world.db.collection_infos(),
        };
        let [info] = &infos.unwrap()[..] else { panic!("one collection") };
        assert_eq!((info.name.as_str(), info.primary_key.as_str()), ("c", "k"));
        assert_eq!((info.compression, info.auto_id), (Compression::None, true));
    });
}

#[test]
fn drop_takes_the_documents_and_closes_bound_handles() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 1), (2, 2)]))).unwrap();
        let by_name = world.db.collection::<Document>("users");
        drop_by_name(world, "users").unwrap();
        assert_kind(drop_by_name(world, "users"), ErrorKind::CollectionNotFound);
        let closed = on!(world, users, users => users.count());
        assert!(assert_kind(closed, ErrorKind::CollectionClosed).is_not_found());
        assert_kind(on!(world, by_name, users => users.count()), ErrorKind::CollectionNotFound);
        assert_kind(
            on!(world, users, users => users.drop_collection()),
            ErrorKind::CollectionClosed,
        );
        assert_kind(on!(world, users, users => users.rename("x")), ErrorKind::CollectionClosed);

        let again = world.users();
        assert_eq!(on!(world, again, users => users.count()).unwrap(), 0);
        assert_kind(
            on!(world, users, users => users.insert_one(&doc! { "id": 1 })),
            ErrorKind::CollectionClosed,
        );
        on!(world, by_name, users => users.insert_one(&doc! { "id": 3, "n": 3 })).unwrap();
        world.assert_all(&again, &numbered([(3, 3)]));
        assert_eq!(world.names(), ["users"]);
    });
}

#[test]
fn rename_moves_the_name_and_bound_handles_follow() {
    everywhere(|world| {
        let users = world.users();
        on!(world, users, users => users.insert_many(numbered([(1, 1)]))).unwrap();
        world.create("taken", CollectionOptions::new()).unwrap();
        let by_name = world.db.collection::<Document>("users");
        assert_kind(rename(world, "users", "taken"), ErrorKind::CollectionExists);
        assert_kind(rename(world, "ghost", "x"), ErrorKind::CollectionNotFound);
        rename(world, "users", "users").unwrap();
        rename(world, "users", "people").unwrap();
        assert_eq!(world.names(), ["people", "taken"]);
        assert_eq!(on!(world, users, users => users.count()).unwrap(), 1);
        assert_kind(on!(world, by_name, users => users.count()), ErrorKind::CollectionNotFound);
        let new = world.users();
        on!(world, users, users => users.insert_one(&doc! { "id": 2, "n": 2 })).unwrap();
        world.assert_all(&new, &[]);
        world.assert_all(&users, &numbered([(1, 1), (2, 2)]));
        on!(world, users, users => users.rename("folk")).unwrap();
        assert_eq!(world.names(), ["folk", "taken", "users"]);
    });
}

#[test]
fn a_renamed_collection_is_whole_after_reopening() {
    let vfs = Arc::new(MemVfs::new());
    let options = Database::options().vfs(vfs);
    {
        let db = options.clone().open("x").unwrap();
        let a = db
            .create_collection("a", CollectionOptions::new().primary_key("k").auto_id(true))
            .unwrap();
        a.insert_one(&doc! { "k": 1 }).unwrap();
        a.rename("b").unwrap();
        assert_eq!(a.name(), "b");
        db.close().unwrap();
    }
    let db = options.open("x").unwrap();
    assert_eq!(db.collection_names().unwrap(), ["b"]);
    let b = db.open_collection("b").unwrap();
    assert_eq!(b.primary_key().unwrap(), "k");
    b.insert_one(&doc! { "n": 1 }).unwrap();
    assert_eq!(b.count().unwrap(), 2);
    b.rename("a").unwrap();
    b.drop_collection().unwrap();
    assert_eq!(db.collection_names().unwrap(), Vec::<String>::new());
}

/// Lesson 114: a handle from a rolled-back creation must not reach what is made afterwards.
#[test]
fn rolled_back_creation_leaves_dead_handles() {
    let db = Database::in_memory().unwrap();
    let mut tx = db.begin_write().unwrap();
    let ghost = tx.create_collection("ghost", CollectionOptions::new()).unwrap();
    tx.collection(&ghost).insert_one(&doc! { "id": 1 }).unwrap();
    assert_eq!(tx.collection_names().unwrap(), ["ghost"]);
    tx.rollback();
    assert_eq!(db.collection_names().unwrap(), Vec::<String>::new());
    assert_kind(ghost.insert_one(&doc! { "id": 2 }), ErrorKind::CollectionClosed);

    // Made next, so it gets the number that the rolled-back one had.
    let real = db.create_collection("ghost", CollectionOptions::new()).unwrap();
    assert_kind(ghost.insert_one(&doc! { "id": 2 }), ErrorKind::CollectionClosed);
    assert_kind(ghost.find(()).count(), ErrorKind::CollectionClosed);
    assert_eq!(real.count().unwrap(), 0);
}

#[test]
fn rolled_back_drop_leaves_living_handles() {
    let db = Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.insert_many(numbered([(1, 1)])).unwrap();
    let before = snapshot(&db);
    let mut tx = db.begin_write().unwrap();
    tx.drop_collection("users").unwrap();
    assert_kind(tx.collection(&users).count(), ErrorKind::CollectionClosed);
    let usurper = tx.create_collection("users", CollectionOptions::new()).unwrap();
    tx.collection(&usurper).insert_one(&doc! { "id": 7 }).unwrap();
    assert_eq!(users.count().unwrap(), 1, "others see it until the commit");
    tx.rollback();
    assert_eq!(snapshot(&db), before);
    users.insert_one(&doc! { "id": 2, "n": 2 }).unwrap();
    assert_kind(usurper.count(), ErrorKind::CollectionClosed);
    assert_eq!(db.collection::<Document>("users").count().unwrap(), 2);
}

#[test]
fn rolled_back_rename_gives_the_names_back() {
    let db = Database::in_memory().unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.rename_collection("users", "people").unwrap();
    tx.create_collection("users", CollectionOptions::new()).unwrap();
    assert_eq!(tx.view(&users).primary_key().unwrap(), "id");
    drop(tx);
    assert_eq!(db.collection_names().unwrap(), ["users"]);
    assert_eq!(users.name(), "users");
    users.insert_one(&doc! { "id": 1 }).unwrap();
    assert_kind(db.open_collection("people"), ErrorKind::CollectionNotFound);
}

#[test]
fn failing_ddl_leaves_the_transaction_usable() {
    let db = Database::in_memory().unwrap();
    db.create_collection("a", CollectionOptions::new()).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.create_collection("b", CollectionOptions::new()).unwrap();
    assert_kind(tx.create_collection("a", CollectionOptions::new()), ErrorKind::CollectionExists);
    assert_kind(tx.rename_collection("a", "b"), ErrorKind::CollectionExists);
    assert_kind(tx.drop_collection("c"), ErrorKind::CollectionNotFound);
    tx.create_collection("c", CollectionOptions::new()).unwrap();
    tx.commit().unwrap();
    assert_eq!(db.collection_names().unwrap(), ["a", "b", "c"]);
}

/// Lessons 118 to 121: what exists is decided by the reader's snapshot, in whatever order readers of
/// different ages ask.
#[test]
fn old_readers_and_new_readers_do_not_confuse_each_other() {
    let db = Database::in_memory().unwrap();
    let a = db.create_collection("a", CollectionOptions::new()).unwrap();
    a.insert_one(&doc! { "id": 1 }).unwrap();
    let old = db.begin_read().unwrap();
    a.rename("b").unwrap();
    let new_a = db.create_collection("a", CollectionOptions::new()).unwrap();
    let new = db.begin_read().unwrap();
    let named = |name: &str| db.collection::<Document>(name);
    for _ in 0..2 {
        assert_eq!(new.collection(&named("a")).count().unwrap(), 0);
        assert_eq!(old.collection(&named("a")).count().unwrap(), 1);
        assert_kind(old.collection(&named("b")).count(), ErrorKind::CollectionNotFound);
        assert_eq!(new.collection(&named("b")).count().unwrap(), 1);
        assert_kind(old.collection(&new_a).count(), ErrorKind::CollectionClosed);
        assert_eq!(new.collection(&new_a).count().unwrap(), 0);
        assert_eq!(old.collection(&a).count().unwrap(), 1);
    }
}

#[test]
fn uncommitted_ddl_is_invisible_to_others() {
    let db = Database::in_memory().unwrap();
    let a = db.create_collection("a", CollectionOptions::new()).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.rename_collection("a", "z").unwrap();
    tx.create_collection("a", CollectionOptions::new().primary_key("k")).unwrap();
    let named = db.collection::<Document>("a");
    assert_eq!(tx.collection(&named).insert_one(&doc! { "k": 1 }).unwrap(), 1.into());
    assert_eq!(named.primary_key().unwrap(), "id");
    assert_eq!(a.name(), "a");
    tx.rollback();
    // The next transaction's catalog gets the same version number with other contents.
    db.create_collection("b", CollectionOptions::new()).unwrap();
    assert_eq!(named.primary_key().unwrap(), "id");
    named.insert_one(&doc! { "id": 1 }).unwrap();
}

#[test]
fn many_collections_are_made_found_and_listed() {
    let db = Database::in_memory().unwrap();
    db.write(|tx| {
        for n in 0..2_000 {
            let made = tx.create_collection(&format!("c{n:05}"), CollectionOptions::new())?;
            tx.collection(&made).insert_one(&doc! { "id": n })?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(db.collection_names().unwrap().len(), 2_000);
    assert_eq!(db.stats().unwrap().collections, 2_000);
    for n in (0..2_000).step_by(97) {
        let one = db.collection::<Document>(&format!("c{n:05}"));
        assert!(one.get(n).unwrap().is_some());
        one.drop_collection().unwrap();
    }
    assert_eq!(db.collection_names().unwrap().len(), 2_000 - 21);
}

/// What a commit writes depends on what it changes, not on how many collections there are.
#[test]
fn ten_thousand_collections_do_not_make_a_commit_larger() {
    let logged_for_one_insert = |collections: i64| {
        let db = Database::options().vfs(Arc::new(MemVfs::new())).open("x").unwrap();
        db.write(|tx| {
            let options = CollectionOptions::new();
            (0..collections)
                .try_for_each(|n| tx.create_collection(&format!("c{n}"), options.clone()).map(drop))
        })
        .unwrap();
        let one = db.open_collection("c0").unwrap();
        one.insert_one(&doc! { "id": 1 }).unwrap();
        let before = db.stats().unwrap().storage.logged_bytes;
        one.insert_one(&doc! { "id": 2 }).unwrap();
        db.stats().unwrap().storage.logged_bytes - before
    };
    let few = logged_for_one_insert(1);
    let many = logged_for_one_insert(10_000);
    assert!(few > 0 && many <= few * 2, "{few} bytes with one collection, {many} with 10,000");
}

/// Lessons 117 to 121 and 126: names change hands while others use them; each use meets a whole
/// collection or an error that says it is gone.
#[test]
fn names_change_hands_under_use() {
    let db = Database::in_memory().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let db = &db;
            scope.spawn(move || change_names(db, thread + 1));
            scope.spawn(move || use_names(db, thread + 7));
        }
    });
    assert!(db.integrity_check().unwrap().is_ok());
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::CollectionNotFound | ErrorKind::CollectionClosed)
}

fn change_names(db: &Database, seed: u64) {
    let random = &mut common::Random::new(seed);
    for n in 0..300 {
        let (from, to) = (*random.pick(&NAMES), *random.pick(&NAMES));
        let done = match random.below(3) {
            0 => db.drop_collection(from),
            1 => db.rename_collection(from, to),
            _ => db
                .create_collection(from, CollectionOptions::new())
                .and_then(|made| made.insert_many([doc! { "id": n }, doc! { "id": -1 }]))
                .map(drop),
        };
        if let Err(error) = done {
            let kind = error.kind();
            assert!(is_gone(kind) || kind == ErrorKind::CollectionExists, "{error}");
        }
    }
}

fn use_names(db: &Database, seed: u64) {
    let random = &mut common::Random::new(seed);
    let mut bound = Vec::new();
    for _ in 0..600 {
        let name = *random.pick(&NAMES);
        bound.extend(db.open_collection(name));
        let by_name = bound.is_empty() || random.one_in(2);
        let handle = if by_name { db.collection(name) } else { random.pick(&bound).clone() };
        let read = db.begin_read().unwrap();
        let view = read.collection(&handle);
        match view.count() {
            Ok(count) => {
                assert!(count == 0 || count == 2, "made empty, then filled with two at once");
                assert_eq!(view.find(()).into_iter().count() as u64, count);
            }
            Err(error) => assert!(is_gone(error.kind()), "{error}"),
        }
    }
}

#[test]
fn two_threads_that_get_or_create_agree() {
    let db = Database::in_memory().unwrap();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let db = &db;
            scope.spawn(move || {
                let made = db.get_or_create_collection("c", CollectionOptions::new()).unwrap();
                made.insert_one(&doc! { "id": n }).unwrap();
            });
        }
    });
    assert_eq!(db.collection::<Document>("c").count().unwrap(), 4);
}

/// The files as they are while the database is open are what is left after the process dies.
#[test]
fn files_copied_without_a_close_hold_every_commit() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path().join("x.any")).unwrap();
    let users = db.create_collection("users", CollectionOptions::new()).unwrap();
    users.insert_many((0..500).map(|id| doc! { "id": id, "t": "text ".repeat(80) })).unwrap();
    users.rename("people").unwrap();
    users.delete_many(doc! { "id": { "$lt": 100 } }).unwrap();
    let mut open = db.begin_write().unwrap();
    open.collection(&users).delete_many(()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for file in ["x.any", "x.any-wal"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let copied = Database::open(copy.path().join("x.any")).unwrap();
    drop(open);
    assert_eq!(snapshot(&copied), snapshot(&db));
    assert_eq!(copied.open_collection("people").unwrap().count().unwrap(), 400);
    assert!(copied.integrity_check().unwrap().is_ok());
}

#[test]
fn a_read_only_database_reads_and_refuses_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.any");
    {
        let db = Database::open(&path).unwrap();
        let a = db.create_collection("a", CollectionOptions::new()).unwrap();
        a.insert_one(&doc! { "id": 1 }).unwrap();
        db.close().unwrap();
    }
    let db = Database::options().read_only(true).open(&path).unwrap();
    let a = db.get_or_create_collection("a", CollectionOptions::new()).unwrap();
    assert_eq!(a.count().unwrap(), 1);
    assert_kind(a.insert_one(&doc! { "id": 2 }), ErrorKind::ReadOnly);
    assert_kind(db.create_collection("b", CollectionOptions::new()), ErrorKind::ReadOnly);
    assert_kind(db.begin_write().map(drop), ErrorKind::ReadOnly);
}

#[test]
fn opening_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.any");
    let absent = Database::options().create(false).open(&path);
    let absent = assert_kind(absent, ErrorKind::NotFound);
    assert_eq!(absent.path(), Some(path.as_path()));
    assert!(absent.to_string().contains("none.any"));
    assert!(!path.exists());
    let text = dir.path().join("text.any");
    std::fs::write(&text, "this is no database ".repeat(1000)).unwrap();
    assert_kind(Database::open(&text), ErrorKind::UnsupportedFormat);
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "this is no database ".repeat(1000));
}

//! What a database keeps in memory: its cache, alone or shared, and databases that live there.

use any_store::{
    CollectionOptions, Compression, Database, Document, ErrorKind, FlushMode, Options, PageBuffer,
    doc, init_page_buffer,
};

fn fill(db: &Database, documents: i64) {
    let users = db.get_or_create_collection("users", CollectionOptions::new()).unwrap();
    let text = "x".repeat(200);
    let documents = (0..documents).map(|id| doc! { "id": id, "text": (text.as_str()), "n": id });
    users.insert_many(documents.collect::<Vec<_>>()).unwrap();
}

fn cache(db: &Database) -> any_store::CacheStats {
    db.stats().unwrap().storage.cache
}

#[test]
fn the_cache_counts_in_bytes_or_in_pages_of_the_reference() {
    let limit = |options: Options| cache(&options.open_in_memory().unwrap()).limit_bytes;
    assert_eq!(limit(Options::new()), 5000 * 4096);
    assert_eq!(limit(Options::new().cache_pages(100)), 100 * 4096);
    assert_eq!(limit(Options::new().cache_bytes(100)), 100);
}

#[test]
fn a_database_works_with_next_to_no_cache() {
    for bytes in [0, 1, 4096, 16 << 10, 100_000] {
        let db = Options::new().cache_bytes(bytes).open_in_memory().unwrap();
        fill(&db, 2000);
        let users = db.collection::<Document>("users");
        assert_eq!(users.find(doc! { "n": { "$gte": 1000 } }).count().unwrap(), 1000);
        db.checkpoint(FlushMode::Restart).unwrap();
        assert_eq!(users.find(doc! {}).sort("-n").run().unwrap().count(), 2000);
        assert!(cache(&db).resident_bytes <= bytes, "{:?}", cache(&db));
    }
}

#[test]
fn databases_with_one_buffer_stay_within_it_together() {
    let buffer = PageBuffer::new(4096, 200);
    let dbs: Vec<Database> = (0..3)
        .map(|_| Options::new().page_buffer(buffer.clone()).open_in_memory().unwrap())
        .collect();
    for db in &dbs {
        fill(db, 5000);
        assert!(buffer.used_bytes() <= buffer.limit_bytes());
    }
    assert_eq!(buffer.database_count(), 3);
    assert_eq!(cache(&dbs[0]).buffer_limit_bytes, 200 * 4096);
    assert_eq!(cache(&dbs[0]).buffer_used_bytes, buffer.used_bytes());
    let together: u64 = dbs.iter().map(|db| cache(db).resident_bytes).sum();
    assert_eq!(together, buffer.used_bytes());
    // Who reads gets its share, though the others came first.
    let users = dbs[0].collection::<Document>("users");
    assert_eq!(users.find(doc! { "n": { "$gte": 0 } }).count().unwrap(), 5000);
    assert!(cache(&dbs[0]).resident_bytes >= buffer.limit_bytes() / 3 - (16 << 10));
    drop((users, dbs));
    assert_eq!((buffer.used_bytes(), buffer.database_count()), (0, 0));
}

#[test]
fn a_closed_database_gives_its_pages_back() {
    let buffer = PageBuffer::with_limit(1 << 20);
    let db = Options::new().page_buffer(buffer.clone()).open_in_memory().unwrap();
    fill(&db, 1000);
    assert!(buffer.used_bytes() > 0);
    db.close().unwrap();
    assert_eq!(buffer.used_bytes(), 0);
}

#[test]
fn the_global_buffer_is_asked_for_before_and_after_it_is_made() {
    let open = || Options::new().global_page_buffer(true).open_in_memory();
    assert_eq!(open().unwrap_err().kind(), ErrorKind::PageBufferNotInitialized);
    assert!(init_page_buffer(4096, 100));
    assert!(!init_page_buffer(4096, 7), "the second call is ignored");
    assert_eq!(cache(&open().unwrap()).buffer_limit_bytes, 100 * 4096);
    // A buffer given by hand is meant.
    let own = PageBuffer::new(4096, 50);
    let db = Options::new().global_page_buffer(true).page_buffer(own).open_in_memory().unwrap();
    assert_eq!(cache(&db).buffer_limit_bytes, 50 * 4096);
}

#[test]
fn databases_in_memory_are_apart_and_ignore_what_concerns_files() {
    let options = Options::new().create(false).read_only(true).mmap_bytes(1 << 30);
    let (a, b) = (options.clone().open_in_memory().unwrap(), options.open_in_memory().unwrap());
    fill(&a, 1000);
    assert!(b.collection_names().unwrap().is_empty());
    a.checkpoint(FlushMode::Restart).unwrap();
    assert!(a.stats().unwrap().storage.file_bytes > 100_000);
    assert!(a.integrity_check().unwrap().is_ok());
}

#[test]
fn a_mapped_file_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mapped.any");
    for (round, mmap_bytes) in [0, 64 << 10, 1 << 30].into_iter().enumerate() {
        // No cache, so that every page is read each time.
        let db = Options::new().cache_bytes(0).mmap_bytes(mmap_bytes).open(&path).unwrap();
        let name = format!("c{round}");
        let options = CollectionOptions::new().compression(Compression::None);
        let users = db.create_collection(&name, options).unwrap();
        users.insert_many((0..3000).map(|n| doc! { "id": n, "n": n })).unwrap();
        db.checkpoint(FlushMode::Restart).unwrap();
        for round in 0..=round {
            let documents = db.collection::<Document>(&format!("c{round}"));
            assert_eq!(documents.find(doc! { "n": { "$lt": 1500 } }).count().unwrap(), 1500);
        }
        assert!(db.integrity_check().unwrap().is_ok());
        // So that the close cuts the file, which is mapped.
        let last = users.find(doc! { "n": { "$gte": 1500 } }).delete().unwrap();
        assert_eq!(last.deleted, 1500);
        let reader = db.begin_read().unwrap();
        db.close().unwrap();
        assert_eq!(reader.collection(&users).get(0).unwrap_err().kind(), ErrorKind::Closed);
    }
}

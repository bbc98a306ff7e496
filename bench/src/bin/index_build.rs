//! An index on a string field over many documents: built here, built by SQLite, and kept while the
//! documents come in.

use any_store::vfs::OsVfs;
use any_store::{
    AutoCheckpoint, CollectionOptions, Database, FlushMode, IndexSpec, RawDocumentBuf,
};
use any_store_bench::dataset::Dataset;
use any_store_bench::measure::{Arguments, WorkDir, median, time, verdict};
use rusqlite::Connection;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Building takes at most this part of what inserting with the index present takes.
const MOST_OF_INSERT: f64 = 0.2;
const BATCH: u64 = 1000;
const CACHE_BYTES: u64 = 64 << 20;
const LOG_BYTES: u64 = 64 << 20;

struct Work {
    dir: WorkDir,
    count: u64,
    field: String,
}

impl Work {
    fn open(&self, name: &str) -> Database {
        let options = Database::options()
            .vfs(Arc::new(OsVfs))
            .cache_bytes(CACHE_BYTES)
            .auto_checkpoint(AutoCheckpoint::Background { after_bytes: LOG_BYTES });
        options.open(self.dir.join(name)).expect("open")
    }

    /// Inserts all documents; seconds.
    fn insert(&self, database: &Database, indexes: &[IndexSpec]) -> f64 {
        let made = database.create_collection("docs", CollectionOptions::new()).expect("create");
        let docs = made.with_type::<RawDocumentBuf>();
        docs.create_indexes(indexes.to_vec()).expect("index");
        let dataset = Dataset::new();
        let mut seconds = 0.0;
        for start in (0..self.count).step_by(BATCH as usize) {
            let batch: Vec<RawDocumentBuf> = (start..self.count.min(start + BATCH))
                .map(|i| anyenc::parse_document(dataset.document(i).as_bytes()).expect("JSON"))
                .collect();
            seconds += time(|| drop(docs.insert_many(&batch).expect("insert"))).as_secs_f64();
        }
        seconds + time(|| drop(database.flush(FlushMode::Full).expect("flush"))).as_secs_f64()
    }

    /// Builds the index, and drops it again; seconds.
    fn build(&self, database: &Database) -> f64 {
        let docs = database.open_collection("docs").expect("open");
        let seconds = time(|| {
            docs.create_index(self.field.as_str()).expect("build");
            database.flush(FlushMode::Full).expect("flush");
        });
        assert!(docs.indexes().expect("indexes")[0].entries >= self.count);
        docs.drop_index(&self.field).expect("drop");
        database.flush(FlushMode::Full).expect("flush");
        seconds.as_secs_f64()
    }
}

/// The documents as JSON text in a table of SQLite.
struct Sqlite(Connection);

impl Sqlite {
    fn filled(path: &Path, count: u64) -> Self {
        let connection = Connection::open(path).expect("open");
        let set = |name: &str, value: &dyn rusqlite::ToSql| {
            connection.pragma_update(None, name, value).expect("set a pragma");
        };
        set("journal_mode", &"WAL");
        set("synchronous", &"NORMAL");
        set("cache_size", &-((CACHE_BYTES / 1024) as i64));
        set("wal_autocheckpoint", &((LOG_BYTES / 4096) as i64));
        let table = "CREATE TABLE docs (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID";
        connection.execute(table, []).expect("create");
        let sqlite = Self(connection);
        let dataset = Dataset::new();
        for start in (0..count).step_by(BATCH as usize) {
            sqlite.run("BEGIN");
            let mut insert = sqlite.0.prepare_cached("INSERT INTO docs VALUES (?1, ?2)");
            let insert = insert.as_mut().expect("prepare");
            for i in start..count.min(start + BATCH) {
                insert.execute([Dataset::id(i), dataset.document(i)]).expect("insert");
            }
            sqlite.run("COMMIT");
        }
        sqlite.run("PRAGMA wal_checkpoint(FULL)");
        sqlite
    }

    fn run(&self, statement: &str) {
        self.0.execute_batch(statement).expect("run");
    }

    fn build(&self, field: &str) -> f64 {
        let create = format!("CREATE INDEX by_field ON docs (json_extract(body, '$.{field}'))");
        let seconds = time(|| {
            self.run(&create);
            self.run("PRAGMA wal_checkpoint(FULL)");
        });
        self.run("DROP INDEX by_field");
        self.run("PRAGMA wal_checkpoint(FULL)");
        seconds.as_secs_f64()
    }
}

fn main() {
    let arguments = Arguments::read();
    let work = Work {
        dir: arguments.work_dir(),
        count: arguments.number("count", 1_000_000),
        field: arguments.text("field", "email").to_owned(),
    };
    let runs = arguments.number("runs", 3);
    let plain = work.open("plain.any");
    let insert = work.insert(&plain, &[]);
    println!("{} documents, field \"{}\"", work.count, work.field);
    println!("insert without the index {insert:7.2} s");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The engines take turns, so that what else the machine does meets both.
    let sqlite = Sqlite::filled(&work.dir.join("sqlite.db"), work.count);
    for _ in 0..runs {
        ours.push(work.build(&plain));
        theirs.push(sqlite.build(&work.field));
        println!(
            "build {:7.2} s   sqlite {:7.2} s",
            ours[ours.len() - 1],
            theirs[theirs.len() - 1]
        );
    }
    let (build, sqlite_build) = (median(&ours), median(&theirs));
    let indexed = work.open("indexed.any");
    let with_index = work.insert(&indexed, &[IndexSpec::new(work.field.as_str())]);
    println!("insert with the index    {with_index:7.2} s");
    let (part, ratio) = (build / with_index, build / sqlite_build);
    println!(
        "build / insert   {part:6.3}   (at most {MOST_OF_INSERT})   {}",
        verdict(part <= MOST_OF_INSERT)
    );
    println!("build / sqlite   {ratio:6.3}   (at most 1)     {}", verdict(ratio <= 1.0));
    println!(
        "{}",
        json!({"bench": "index_build", "count": work.count, "field": work.field,
            "insert_s": insert, "insert_with_index_s": with_index, "build_s": build,
            "sqlite_build_s": sqlite_build, "build_per_insert": part, "build_per_sqlite": ratio})
    );
}

//! SQLite: a table without row ids, in WAL mode.

use super::{Durability, KeyValue, Reader, Writer, file_bytes, touch};
use crate::measure::Key;
use rusqlite::{Connection, Statement};
use std::path::{Path, PathBuf};

/// A file; each reader and writer has a connection of its own.
pub struct Sqlite {
    path: PathBuf,
    cache_bytes: u64,
    /// Pages of log that make a commit copy them.
    checkpoint_after_pages: u64,
}

impl Sqlite {
    /// A new file with one table.
    ///
    /// # Panics
    /// When it cannot be made, as everything here does on an error.
    pub fn create(path: &Path, cache_bytes: u64, checkpoint_after_pages: u64) -> Self {
        let sqlite = Self { path: path.to_owned(), cache_bytes, checkpoint_after_pages };
        let connection = sqlite.connect(Durability::Synced);
        let table = "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID";
        connection.execute(table, []).expect("create the table");
        sqlite
    }

    fn connect(&self, durability: Durability) -> Connection {
        let connection = Connection::open(&self.path).expect("open");
        let set = |name: &str, value: &dyn rusqlite::ToSql| {
            connection.pragma_update(None, name, value).expect("set a pragma");
        };
        set("journal_mode", &"WAL");
        set("wal_autocheckpoint", &(self.checkpoint_after_pages as i64));
        // Negative: kilobytes, not pages.
        set("cache_size", &-((self.cache_bytes / 1024) as i64));
        set(
            "synchronous",
            match durability {
                Durability::Buffered => &"NORMAL",
                Durability::Synced => &"FULL",
            },
        );
        connection
    }
}

impl KeyValue for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn read(&self, work: &mut dyn FnMut(&mut dyn Reader)) {
        let connection = self.connect(Durability::Buffered);
        connection.execute_batch("BEGIN").expect("begin");
        let get = connection.prepare("SELECT v FROM kv WHERE k = ?1").expect("prepare");
        let scan = "SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2";
        let scan = connection.prepare(scan).expect("prepare");
        let mut reader = SqliteReader { get, scan };
        work(&mut reader);
        drop(reader);
        connection.execute_batch("COMMIT").expect("end");
    }

    fn write(&self, durability: Durability, work: &mut dyn FnMut(&mut dyn Writer)) {
        let connection = self.connect(durability);
        let prepare = |text: &str| connection.prepare(text).expect("prepare");
        work(&mut SqliteWriter {
            begin: prepare("BEGIN IMMEDIATE"),
            put: prepare("INSERT OR REPLACE INTO kv (k, v) VALUES (?1, ?2)"),
            commit: prepare("COMMIT"),
        });
    }

    fn finish(&self) {
        let connection = self.connect(Durability::Synced);
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 = connection.query_row(checkpoint, [], |row| row.get(0)).expect("checkpoint");
        assert_eq!(busy, 0, "nobody else is there");
    }

    fn disk_bytes(&self) -> u64 {
        file_bytes(&self.path)
    }
}

struct SqliteReader<'c> {
    get: Statement<'c>,
    scan: Statement<'c>,
}

impl Reader for SqliteReader<'_> {
    fn get(&mut self, key: &[u8]) -> Option<u64> {
        let mut rows = self.get.query([key]).expect("get");
        let row = rows.next().expect("get")?;
        Some(touch(row.get_ref(0).expect("a value").as_blob().expect("a blob")))
    }

    fn scan(&mut self, key: &[u8], count: usize) -> u64 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut rows = self.scan.query((key, count)).expect("scan");
        let mut sum = 0;
        while let Some(row) = rows.next().expect("step") {
            row.get_ref(0).expect("a key");
            sum += touch(row.get_ref(1).expect("a value").as_blob().expect("a blob"));
        }
        sum
    }
}

struct SqliteWriter<'c> {
    begin: Statement<'c>,
    put: Statement<'c>,
    commit: Statement<'c>,
}

impl Writer for SqliteWriter<'_> {
    fn put(&mut self, entries: &mut dyn Iterator<Item = (Key, &[u8])>) {
        self.begin.execute([]).expect("begin");
        for (key, value) in entries {
            self.put.execute((&key[..], value)).expect("put");
        }
        self.commit.execute([]).expect("commit");
    }
}

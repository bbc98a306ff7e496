//! redb.

use super::{Durability, KeyValue, Reader, Writer, file_bytes, touch};
use crate::measure::Key;
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::path::{Path, PathBuf};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("kv");

/// A file with one table.
pub struct Redb {
    database: Database,
    path: PathBuf,
}

impl Redb {
    /// A new file with one table.
    ///
    /// # Panics
    /// When it cannot be made, as everything here does on an error.
    pub fn create(path: &Path, cache_bytes: u64) -> Self {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(usize::try_from(cache_bytes).expect("a size in memory"));
        let database = builder.create(path).expect("open");
        let tx = database.begin_write().expect("begin");
        tx.open_table(TABLE).expect("create the table");
        tx.commit().expect("commit");
        Self { database, path: path.to_owned() }
    }
}

impl KeyValue for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn read(&self, work: &mut dyn FnMut(&mut dyn Reader)) {
        let snapshot = self.database.begin_read().expect("begin");
        let table = snapshot.open_table(TABLE).expect("open the table");
        work(&mut RedbReader(table));
    }

    fn write(&self, durability: Durability, work: &mut dyn FnMut(&mut dyn Writer)) {
        let durability = match durability {
            Durability::Buffered => redb::Durability::None,
            Durability::Synced => redb::Durability::Immediate,
        };
        work(&mut RedbWriter { database: &self.database, durability });
    }

    fn finish(&self) {
        let tx = self.database.begin_write().expect("begin");
        tx.commit().expect("commit");
    }

    fn disk_bytes(&self) -> u64 {
        file_bytes(&self.path)
    }
}

struct RedbReader(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Reader for RedbReader {
    fn get(&mut self, key: &[u8]) -> Option<u64> {
        Some(touch(self.0.get(key).expect("get")?.value()))
    }

    fn scan(&mut self, key: &[u8], count: usize) -> u64 {
        let entries = self.0.range(key..).expect("range");
        let touched = entries.take(count).map(|entry| {
            let (_, value) = entry.expect("next");
            touch(value.value())
        });
        touched.sum()
    }
}

struct RedbWriter<'d> {
    database: &'d Database,
    durability: redb::Durability,
}

impl Writer for RedbWriter<'_> {
    fn put(&mut self, entries: &mut dyn Iterator<Item = (Key, &[u8])>) {
        let mut tx = self.database.begin_write().expect("begin");
        tx.set_durability(self.durability).expect("no savepoints");
        let mut table = tx.open_table(TABLE).expect("open the table");
        for (key, value) in entries {
            table.insert(&key[..], value).expect("put");
        }
        drop(table);
        tx.commit().expect("commit");
    }
}

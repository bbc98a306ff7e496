//! LMDB, through heed.

use super::{Durability, KeyValue, Reader, Writer, file_bytes, touch};
use crate::measure::Key;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, FlagSetMode, RoTxn};
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// The most that the map may hold.
const MAP_BYTES: usize = 16 << 30;

/// A folder with one unnamed table.
pub struct Lmdb {
    env: Env,
    table: Database<'static, Bytes, Bytes>,
    path: PathBuf,
}

impl Lmdb {
    /// A new folder with one table.
    ///
    /// # Panics
    /// When it cannot be made, as everything here does on an error.
    #[expect(unsafe_code, reason = "heed asks for a promise about the file")]
    pub fn create(path: &Path) -> Self {
        fs::create_dir_all(path).expect("make the folder");
        // SAFETY: nobody else touches the file while it is mapped.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).open(path) }.expect("open");
        let tx = env.write_txn().expect("begin");
        let table = env
            .create_databases_and_commit(tx, |opener, tx| {
                opener.create_database(tx, None).map(CommitOrAbort::<_, ()>::Commit)
            })
            .expect("create the table")
            .unwrap_commit();
        Self { env, table, path: path.join("data.mdb") }
    }
}

impl KeyValue for Lmdb {
    fn name(&self) -> &'static str {
        "lmdb"
    }

    fn read(&self, work: &mut dyn FnMut(&mut dyn Reader)) {
        let snapshot = self.env.read_txn().expect("begin");
        work(&mut LmdbReader { snapshot: &snapshot, table: self.table });
    }

    #[expect(unsafe_code, reason = "heed asks for a promise about threads")]
    fn write(&self, durability: Durability, work: &mut dyn FnMut(&mut dyn Writer)) {
        let mode = match durability {
            Durability::Buffered => FlagSetMode::Enable,
            Durability::Synced => FlagSetMode::Disable,
        };
        // SAFETY: one thread at a time sets flags.
        unsafe { self.env.set_flags(EnvFlags::NO_SYNC, mode) }.expect("set a flag");
        work(&mut LmdbWriter { env: &self.env, table: self.table });
    }

    fn finish(&self) {
        self.env.force_sync().expect("sync");
    }

    fn disk_bytes(&self) -> u64 {
        file_bytes(&self.path)
    }
}

struct LmdbReader<'t, 'e> {
    snapshot: &'t RoTxn<'e>,
    table: Database<'static, Bytes, Bytes>,
}

impl Reader for LmdbReader<'_, '_> {
    fn get(&mut self, key: &[u8]) -> Option<u64> {
        self.table.get(self.snapshot, key).expect("get").map(touch)
    }

    fn scan(&mut self, key: &[u8], count: usize) -> u64 {
        let entries = self
            .table
            .range(self.snapshot, &(Bound::Included(key), Bound::Unbounded))
            .expect("range");
        entries.take(count).map(|entry| touch(entry.expect("next").1)).sum()
    }
}

struct LmdbWriter<'e> {
    env: &'e Env,
    table: Database<'static, Bytes, Bytes>,
}

impl Writer for LmdbWriter<'_> {
    fn put(&mut self, entries: &mut dyn Iterator<Item = (Key, &[u8])>) {
        let mut tx = self.env.write_txn().expect("begin");
        for (key, value) in entries {
            self.table.put(&mut tx, &key, value).expect("put");
        }
        tx.commit().expect("commit");
    }
}

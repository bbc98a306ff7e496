//! Any Store's storage crate.

use super::{Durability, KeyValue, Reader, Writer, touch};
use crate::measure::Key;
use any_store_storage::{
    CheckpointMode, Cursor, OsVfs, ReadTx, Store, StoreOptions, Sync, TreeId, TreeOptions,
};
use std::path::Path;
use std::sync::Arc;

/// One tree of a store.
pub struct Ours {
    name: &'static str,
    store: Store,
    tree: TreeId,
}

impl Ours {
    /// A new file, with pages of `page_blocks` blocks.
    ///
    /// # Panics
    /// When it cannot be made, as everything here does on an error.
    pub fn create(name: &'static str, path: &Path, page_blocks: u8, options: StoreOptions) -> Self {
        let store = Store::open(Arc::new(OsVfs), path, options).expect("open");
        let mut tx = store.begin_write().expect("begin");
        let tree = tx.create_tree(TreeOptions { page_blocks: Some(page_blocks) }).expect("create");
        tx.commit().expect("commit");
        Self { name, store, tree }
    }

    /// The store itself.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The tree of the entries.
    pub fn tree(&self) -> TreeId {
        self.tree
    }
}

impl KeyValue for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&self, work: &mut dyn FnMut(&mut dyn Reader)) {
        let snapshot = self.store.begin_read().expect("begin");
        let cursor = snapshot.cursor(self.tree).expect("cursor");
        work(&mut OursReader { snapshot, cursor, tree: self.tree });
    }

    fn write(&self, durability: Durability, work: &mut dyn FnMut(&mut dyn Writer)) {
        let sync = match durability {
            Durability::Buffered => Sync::Normal,
            Durability::Synced => Sync::Full,
        };
        work(&mut OursWriter { store: &self.store, tree: self.tree, sync });
    }

    fn finish(&self) {
        self.store.checkpoint(CheckpointMode::Restart).expect("checkpoint");
    }

    fn disk_bytes(&self) -> u64 {
        self.store.stats().expect("stats").file_bytes
    }
}

struct OursReader {
    snapshot: ReadTx,
    cursor: Cursor<'static>,
    tree: TreeId,
}

impl Reader for OursReader {
    fn get(&mut self, key: &[u8]) -> Option<u64> {
        let value = self.snapshot.get(self.tree, key).expect("get")?;
        Some(touch(&value))
    }

    fn scan(&mut self, key: &[u8], count: usize) -> u64 {
        let cursor = &mut self.cursor;
        let (mut sum, mut left) = (0, count);
        let mut is_there = cursor.seek(key).expect("seek");
        while is_there && left > 0 {
            sum += match cursor.inline_value() {
                Some(value) => touch(value),
                None => touch(&cursor.value().expect("value")),
            };
            left -= 1;
            is_there = left > 0 && cursor.next().expect("next");
        }
        sum
    }
}

struct OursWriter<'s> {
    store: &'s Store,
    tree: TreeId,
    sync: Sync,
}

impl Writer for OursWriter<'_> {
    fn put(&mut self, entries: &mut dyn Iterator<Item = (Key, &[u8])>) {
        let mut tx = self.store.begin_write().expect("begin");
        tx.set_sync(self.sync);
        for (key, value) in entries {
            tx.put(self.tree, &key, value).expect("put");
        }
        tx.commit().expect("commit");
    }
}

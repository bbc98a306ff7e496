//! The stores to compare, each behind the same two traits, so that the same code drives them all.

mod lmdb;
mod ours;
mod redb;
mod sqlite;

pub use lmdb::Lmdb;
pub use ours::Ours;
pub use redb::Redb;
pub use sqlite::Sqlite;

use std::fs;
use std::path::Path;

/// What a commit has behind it when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process loses nothing; a power loss may take the last commits.
    Buffered,
    /// It is on stable storage.
    Synced,
}

/// A store with one table of bytes.
pub trait KeyValue: Sync {
    /// Its name in results.
    fn name(&self) -> &'static str;

    /// Runs `work` on one snapshot.
    fn read(&self, work: &mut dyn FnMut(&mut dyn Reader));

    /// Runs `work` with transactions of a durability.
    fn write(&self, durability: Durability, work: &mut dyn FnMut(&mut dyn Writer));

    /// Makes everything durable and brings it where it stays: the last step of every bulk load.
    fn finish(&self);

    /// Bytes of all files.
    fn disk_bytes(&self) -> u64;
}

/// Reads of one snapshot.
pub trait Reader {
    /// The value's length and first byte added up, so that every store touches the value; `None`
    /// when the key is not there.
    fn get(&mut self, key: &[u8]) -> Option<u64>;

    /// The same, added up over up to `count` entries from `key` on.
    fn scan(&mut self, key: &[u8], count: usize) -> u64;
}

/// Transactions.
pub trait Writer {
    /// Puts entries in one transaction.
    fn put(&mut self, entries: &mut dyn Iterator<Item = (crate::measure::Key, &[u8])>);
}

/// What a reader does to a value.
fn touch(value: &[u8]) -> u64 {
    value.len() as u64 + u64::from(value.first().copied().unwrap_or(0))
}

/// What a file takes; 0 when there is none.
fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

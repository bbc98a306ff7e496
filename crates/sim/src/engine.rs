//! The face that the rigs give to an engine under test.
//!
//! A script, the crash sweep and the model know an engine only through these traits. So the same
//! sweep runs over the storage engine and over the toy engines, right and wrong, that keep the sweep
//! itself honest.

use crate::vfs::SimVfs;
use std::collections::BTreeMap;
use std::path::Path;

mod store;

pub use store::StoreEngine;

/// What an engine answers; an error is its text, for the report.
pub type Outcome<T> = Result<T, String>;

/// The directory of the simulated database.
#[must_use]
pub fn database_dir() -> &'static Path {
    Path::new("/sim")
}

/// The path of the simulated database.
#[must_use]
pub fn database_path() -> &'static Path {
    Path::new("/sim/data.db")
}

/// The attribute that is a tree's name; a tree without one is known by its number.
pub const NAME: &str = "name";

/// What the attributes that are indexes begin with; the rest is the index's name. The value is the
/// list of fields, each with a minus for a descending one, behind `unique:` or `sparse:`.
pub const INDEX: &str = "index ";

/// When a commit is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// With some later sync.
    Normal,
    /// When it is acknowledged.
    Full,
}

/// When the engine checkpoints by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Automatic {
    /// Never.
    Off,
    /// Within the commit that makes the log longer than this.
    AfterBytes(u64),
}

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Creates the database if there is none; else that is an error.
    pub create: bool,
    /// The bound of the page cache.
    pub cache_bytes: u64,
    /// When the engine checkpoints by itself.
    pub automatic: Automatic,
}

/// An engine under test.
pub trait Engine {
    /// Opens the database at [`database_path`].
    ///
    /// # Errors
    /// What the engine says.
    fn open(&self, vfs: &SimVfs, setup: Setup) -> Outcome<Box<dyn Database>>;
}

/// An open database with at most one write transaction.
pub trait Database {
    /// Begins the write transaction.
    ///
    /// # Errors
    /// What the engine says; so for all methods.
    fn begin(&mut self, durability: Durability) -> Outcome<()>;

    /// Adds a tree; its number.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn create_tree(&mut self) -> Outcome<u32>;

    /// Removes a tree.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn drop_tree(&mut self, tree: u32) -> Outcome<()>;

    /// Sets an entry.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn put(&mut self, tree: u32, key: &[u8], value: &[u8]) -> Outcome<()>;

    /// Removes an entry; true if it was there, `None` from an engine that does not tell before the
    /// commit.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn remove(&mut self, tree: u32, key: &[u8]) -> Outcome<Option<bool>>;

    /// Sets what a tree has besides entries, or takes it away: see [`Snapshot::attributes`].
    ///
    /// # Errors
    /// The engine's trees have no attributes; else as [`Database::begin`].
    fn set_attribute(&mut self, _tree: u32, name: &str, _value: Option<&str>) -> Outcome<()> {
        Err(format!("trees of this engine have no attribute {name:?}"))
    }

    /// Sets a savepoint inside the last one.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn savepoint(&mut self) -> Outcome<()>;

    /// Undoes everything since the last savepoint, which stays.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn rollback_to(&mut self) -> Outcome<()>;

    /// Forgets the last savepoint and keeps what was done since.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn release(&mut self) -> Outcome<()>;

    /// Commits the write transaction.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn commit(&mut self) -> Outcome<()>;

    /// Gives the write transaction up.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn rollback(&mut self) -> Outcome<()>;

    /// Copies the log to the file; false if readers kept it from doing all that the mode says. All
    /// commits so far are durable when it succeeds.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn checkpoint(&mut self, mode: Mode) -> Outcome<bool>;

    /// Closes; all commits so far are durable when it succeeds.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn close(&mut self) -> Outcome<()>;

    /// The state as of the last commit, for as long as it is held.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn snapshot(&self) -> Outcome<Box<dyn Snapshot>>;

    /// Everything the engine can check about its own files.
    ///
    /// # Errors
    /// What it found.
    fn check(&self, when: When) -> Outcome<()>;

    /// What the engine did inside since it was opened; `None` if it has nothing of the kind.
    ///
    /// # Errors
    /// As [`Database::begin`].
    fn work(&self) -> Outcome<Option<Work>>;
}

/// How thorough a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As far as readers allow.
    Passive,
    /// Everything.
    Full,
    /// Everything, and the log starts anew.
    Restart,
    /// Everything, and the log is emptied.
    Truncate,
}

/// What an engine did inside, which a script can only bring about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How often the log went on in another part of its file.
    pub log_jumps: u64,
    /// Pages of transactions larger than memory that were put into the log early.
    pub spilled_pages: u64,
}

impl Work {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            log_jumps: self.log_jumps + other.log_jumps,
            spilled_pages: self.spilled_pages + other.spilled_pages,
        }
    }

    /// True if there is as much of everything as in `least`.
    #[must_use]
    pub fn covers(self, least: Self) -> bool {
        self.log_jumps >= least.log_jumps && self.spilled_pages >= least.spilled_pages
    }
}

/// When an engine is asked to check its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After a crash, before anything was written. A header slot may be torn: there are two for
    /// that reason, and nothing has had the occasion to write it anew.
    BeforeWriting,
    /// Any other time: nothing at all may be wrong.
    InUse,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Keys ascend.
    Forward,
    /// Keys descend.
    Backward,
}

/// Is shown a key and its value; an error ends the scan.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> Outcome<()> + 'v;

/// One committed state.
pub trait Snapshot {
    /// The engine's own count of a tree's entries; `None` if there is no such tree.
    ///
    /// # Errors
    /// What the engine says.
    fn entry_count(&self, tree: u32) -> Outcome<Option<u64>>;

    /// The value of a key.
    ///
    /// # Errors
    /// What the engine says.
    fn get(&self, tree: u32, key: &[u8]) -> Outcome<Option<Vec<u8>>>;

    /// What a tree has besides its entries: a name of its own, indexes. Each is whole or absent.
    ///
    /// # Errors
    /// What the engine says.
    fn attributes(&self, _tree: u32) -> Outcome<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    /// Shows each entry in order, until the visitor finds fault with one.
    ///
    /// # Errors
    /// What the engine or the visitor says.
    fn scan(&self, tree: u32, direction: Direction, visit: &mut Visitor<'_>) -> Outcome<()>;
}

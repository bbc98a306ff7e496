//! Scripts: what a program does to a database, as data that a seed determines.
//!
//! A script is a flat list of [`Step`]s. It names trees by slot, because the engine gives out their
//! numbers; slot 0 is the ledger. Every commit also sets the ledger's marker (see [`crate::model`]),
//! which the runner adds.

use crate::engine::{Automatic, Durability, Setup};
use crate::rng::Rng;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

mod author;

use author::Author;

/// One thing a script does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opens the database, which must then hold what the model says.
    Open(Setup),
    /// Begins the write transaction.
    Begin(Durability),
    /// Adds a tree and gives it this slot.
    CreateTree(usize),
    /// Removes a tree.
    DropTree(usize),
    /// Sets an entry.
    Put(usize, Vec<u8>, Arc<[u8]>),
    /// Removes an entry, which may be absent.
    Remove(usize, Vec<u8>),
    /// Sets a savepoint.
    Savepoint,
    /// Undoes everything since the last savepoint.
    RollbackTo,
    /// Forgets the last savepoint.
    Release,
    /// Commits.
    Commit,
    /// Gives the write transaction up.
    Rollback,
    /// Checkpoints.
    Checkpoint,
    /// Begins a read transaction and holds it.
    Pin,
    /// Compares the oldest held read transaction with its state, and ends it.
    Unpin,
    /// Closes the database.
    Close,
}

/// The scripts of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Script {
    /// A database comes into being, and gets its first commits.
    Create,
    /// Trees grow, split, are overwritten, shrink, merge and are dropped.
    Grow,
    /// Checkpoints of every kind between commits, restarts of the log, closing and reopening.
    Checkpoint,
}

impl Script {
    /// All scripts.
    pub const ALL: [Self; 3] = [Self::Create, Self::Grow, Self::Checkpoint];

    /// Fewer mutating calls than this mean that the script did not do its work.
    #[must_use]
    pub fn least_calls(self) -> u64 {
        match self {
            Self::Create => 8,
            Self::Grow => 30,
            Self::Checkpoint => 40,
        }
    }

    /// The steps for a seed.
    #[must_use]
    pub fn steps(self, seed: u64) -> Vec<Step> {
        let mut author = Author::new(Rng::for_parts(&[seed, self as u64]));
        match self {
            Self::Create => create(&mut author),
            Self::Grow => grow(&mut author),
            Self::Checkpoint => checkpoint(&mut author),
        }
        author.into_steps()
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Grow => "grow",
            Self::Checkpoint => "checkpoint",
        })
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|script| script.to_string() == name)
            .ok_or_else(|| format!("no script is called {name:?}"))
    }
}

fn create(author: &mut Author) {
    author.open(Automatic::Off);
    if author.chance(30) {
        author.close();
        author.open(Automatic::Off);
    }
    author.first_commit(2);
    for _ in 0..author.between(1, 4) {
        author.transaction(6);
    }
    if author.chance(70) {
        author.close();
    }
}

fn grow(author: &mut Author) {
    author.open(Automatic::Off);
    author.first_commit(3);
    for _ in 0..8 {
        author.growing_transaction();
    }
    author.nested_savepoints();
    author.rolled_back_transaction();
    author.tree_made_and_undone();
    for _ in 0..6 {
        author.transaction(15);
    }
    author.growing_transaction();
    for _ in 0..4 {
        author.shrinking_transaction();
    }
    author.dropped_tree();
    author.transaction(8);
    if author.chance(50) {
        author.close();
    }
}

fn checkpoint(author: &mut Author) {
    let threshold = author.between(20_000, 120_000);
    author.open(Automatic::AfterBytes(threshold));
    author.first_commit(3);
    for _ in 0..6 {
        author.growing_transaction();
    }
    author.held_reader_over_a_checkpoint();
    author.close();
    author.open(Automatic::Off);
    for _ in 0..3 {
        author.transaction(10);
    }
    author.checkpoint();
    for _ in 0..4 {
        author.shrinking_transaction();
    }
    author.checkpoint();
    author.checkpoint();
    author.transaction(5);
    author.close();
    author.open(Automatic::AfterBytes(threshold / 2));
    for _ in 0..4 {
        author.growing_transaction();
    }
}

#[cfg(test)]
mod tests;

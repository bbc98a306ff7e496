//! Scripts: what a program does to a database, as data that a seed determines.
//!
//! A script is a flat list of [`Step`]s. It names trees by slot, because the engine gives out their
//! numbers; slot 0 is the ledger. Every commit also sets the ledger's marker (see [`crate::model`]),
//! which the runner adds.

use crate::engine::{Automatic, Durability, Mode, Setup, Work};
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
    /// Sets what a tree has besides its entries, or takes it away.
    SetAttribute(usize, String, Option<String>),
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
    Checkpoint(Mode),
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
    /// Transactions larger than memory, with savepoints, given up and committed.
    Spill,
    /// The log goes on in space that checkpoints have given back, under readers that come and go.
    Wrap,
    /// Every mode of checkpoint after every other one.
    Modes,
    /// Values that do not fit a page come, change, shrink and go.
    Overflow,
    /// Many entries at once, and then every attribute at once.
    Build,
    /// Trees are emptied and dropped, and others grow in their space.
    Reuse,
    /// Trees get and lose attributes, filled and empty, alone and among other changes.
    Attributes,
}

impl Script {
    /// The scripts of the sweep over the storage engine.
    pub const ALL: [Self; 6] =
        [Self::Create, Self::Grow, Self::Checkpoint, Self::Spill, Self::Wrap, Self::Modes];

    /// The scripts for an engine whose trees are collections, with attributes.
    pub const OF_COLLECTIONS: [Self; 7] = [
        Self::Create,
        Self::Grow,
        Self::Overflow,
        Self::Build,
        Self::Reuse,
        Self::Modes,
        Self::Attributes,
    ];

    /// Fewer mutating calls than this mean that the script did not do its work.
    #[must_use]
    pub fn least_calls(self) -> u64 {
        match self {
            Self::Create => 5,
            Self::Build => 10,
            Self::Grow | Self::Overflow | Self::Reuse | Self::Attributes => 30,
            Self::Checkpoint => 40,
            // An engine that does not spill makes few.
            Self::Spill => 15,
            Self::Wrap => 60,
            Self::Modes => 40,
        }
    }

    /// What an engine that counts it has to have done inside in every run, or the script was in vain.
    #[must_use]
    pub fn least_work(self) -> Work {
        match self {
            Self::Spill => Work { spilled_pages: 100, ..Work::default() },
            Self::Wrap => Work { log_jumps: 3, ..Work::default() },
            _ => Work::default(),
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
            Self::Spill => spill(&mut author),
            Self::Wrap => wrap(&mut author),
            Self::Modes => modes(&mut author),
            Self::Overflow => overflow(&mut author),
            Self::Build => build(&mut author),
            Self::Reuse => reuse(&mut author),
            Self::Attributes => attributes(&mut author),
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
            Self::Spill => "spill",
            Self::Wrap => "wrap",
            Self::Modes => "modes",
            Self::Overflow => "overflow",
            Self::Build => "build",
            Self::Reuse => "reuse",
            Self::Attributes => "attributes",
        })
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .chain(Self::OF_COLLECTIONS)
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
    author.checkpoint(Mode::Passive);
    for _ in 0..4 {
        author.shrinking_transaction();
    }
    author.checkpoint(Mode::Passive);
    author.checkpoint(Mode::Passive);
    author.transaction(5);
    author.close();
    author.open(Automatic::AfterBytes(threshold / 2));
    for _ in 0..4 {
        author.growing_transaction();
    }
}

/// What a transaction has to change so that it does not fit the least memory an engine gives it.
const BULKY_BYTES: u64 = 190_000;

fn spill(author: &mut Author) {
    author.open_small(Automatic::Off);
    author.first_commit(3);
    author.bulky_transaction(BULKY_BYTES);
    author.bulky_rolled_back(BULKY_BYTES);
    // Gets the number that the spilled pages before it carry.
    author.transaction(5);
    author.bulky_savepoints(BULKY_BYTES / 2);
    if author.chance(50) {
        author.checkpoint(Mode::Passive);
    }
    author.shrinking_transaction();
    if author.chance(50) {
        author.bulky_rolled_back(BULKY_BYTES);
        author.bulky_transaction(BULKY_BYTES);
    } else {
        author.close();
        author.open_small(Automatic::AfterBytes(BULKY_BYTES));
        author.bulky_transaction(BULKY_BYTES);
        author.bulky_rolled_back(BULKY_BYTES);
    }
    author.transaction(3);
}

fn wrap(author: &mut Author) {
    author.open(Automatic::Off);
    author.first_commit(3);
    for cycle in 0..24 {
        let slab_bytes = author.between(60_000, 180_000);
        author.slab(slab_bytes);
        match cycle % 6 {
            2 => author.pin(),
            4 => author.unpin(),
            5 => author.short_reader(),
            _ => author.transaction(3),
        }
        author.checkpoint(Mode::Passive);
        if author.chance(50) {
            author.transaction(4);
        }
    }
}

/// Each of four is followed by each of four, itself among them.
const EVERY_PAIR: [usize; 17] = [0, 0, 1, 0, 2, 0, 3, 1, 1, 2, 1, 3, 2, 2, 3, 3, 0];

fn modes(author: &mut Author) {
    let modes = author.shuffled([Mode::Passive, Mode::Full, Mode::Restart, Mode::Truncate]);
    author.open(Automatic::Off);
    author.first_commit(3);
    author.growing_transaction();
    for index in EVERY_PAIR {
        let mode = modes[index];
        if author.chance(20) {
            author.held_reader_in_the_way(mode);
        }
        author.checkpoint(mode);
        if mode == Mode::Truncate && author.chance(50) {
            author.close();
            author.open(Automatic::Off);
        }
        if author.chance(70) {
            author.transaction(5);
        }
    }
}

fn overflow(author: &mut Author) {
    author.open(Automatic::Off);
    author.first_commit(3);
    for _ in 0..4 {
        author.large_values(3);
    }
    author.checkpoint(Mode::Passive);
    for _ in 0..3 {
        author.large_values(2);
        author.shrinking_transaction();
    }
    author.large_values_undone(2);
    author.close();
    author.open(Automatic::AfterBytes(150_000));
    for _ in 0..4 {
        author.large_values(2);
    }
    author.shrinking_transaction();
    author.transaction(6);
}

fn build(author: &mut Author) {
    author.open_small(Automatic::Off);
    author.first_commit(3);
    author.close();
    author.open_small(Automatic::Off);
    let slot = author.any_data_slot();
    author.many_entries(slot, BUILD_ENTRIES);
    author.close();
    author.open_small(Automatic::Off);
    author.every_attribute(slot);
    author.transaction(5);
    author.checkpoint(Mode::Restart);
    author.close();
    author.open_small(Automatic::Off);
    author.transaction(5);
}

/// How many entries the building script puts in one transaction.
const BUILD_ENTRIES: usize = 400;

fn reuse(author: &mut Author) {
    author.open(Automatic::Off);
    author.first_commit(4);
    for _ in 0..3 {
        for _ in 0..3 {
            author.growing_transaction();
        }
        author.emptying_transaction();
        author.checkpoint(Mode::Passive);
        author.growing_transaction();
        author.shrinking_transaction();
        author.shrinking_transaction();
    }
    author.dropped_tree();
    author.checkpoint(Mode::Truncate);
    author.close();
    author.open(Automatic::AfterBytes(60_000));
    for _ in 0..3 {
        author.growing_transaction();
        author.shrinking_transaction();
    }
    author.dropped_tree();
    author.growing_transaction();
}

fn attributes(author: &mut Author) {
    author.open(Automatic::Off);
    author.first_commit(3);
    author.attribute_alone();
    for _ in 0..3 {
        author.growing_transaction();
        author.attribute_alone();
        author.attribute_among_changes();
    }
    author.checkpoint(Mode::Passive);
    author.attribute_undone();
    for _ in 0..4 {
        author.attribute_among_changes();
        author.shrinking_transaction();
        author.attribute_alone();
    }
    author.close();
    author.open(Automatic::AfterBytes(40_000));
    author.dropped_tree();
    for _ in 0..4 {
        author.attribute_alone();
        author.transaction(5);
    }
}

#[cfg(test)]
mod tests;

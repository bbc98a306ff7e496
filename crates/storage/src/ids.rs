//! The numbers by which pages, commits and trees are known. They are never mixed.

use std::fmt;

/// Number of a block of the file; a page has the number of its first block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageNo(pub u32);

/// Number of a commit; the version of a page is the commit that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitNo(pub u64);

/// Number of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(pub u32);

/// The tree of descriptors: tree number, big-endian, to descriptor.
pub(crate) const TREE_ZERO: TreeId = TreeId(0);

macro_rules! display_as_number {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_as_number!(PageNo, CommitNo, TreeId);

/// A place in the endless row of log records, in bytes: what all records before it take, wherever in
/// the log they stand. It never goes back, not even where the log starts anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(pub(crate) u64);

/// Value of a record's check, and the chain value of the record behind it.
pub(crate) type Check = [u8; 16];

/// The place between two records, and all it takes to go on reading or writing there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPoint {
    /// Where in the log the record before ends.
    pub(crate) position: u64,
    pub(crate) lsn: Lsn,
    /// Check of the record before; at the start of a generation, a value made from its salt.
    pub(crate) chain: Check,
}

/// The numbers that ride in every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) commit: CommitNo,
    pub(crate) block_count: u32,
    pub(crate) free_blocks: u32,
    pub(crate) next_tree: u32,
    pub(crate) catalog_version: u64,
}

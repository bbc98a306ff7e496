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

//! What there is to say of a snapshot that is being read.

use crate::ids::CommitNo;
use std::fmt;
use std::time::Duration;

/// A commit that somebody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The commit whose state it is.
    pub commit: CommitNo,
    /// How many read transactions and cursors hold it, about.
    pub reader_count: u64,
    /// Time since the first of its readers took it.
    pub age: Duration,
}

impl fmt::Display for SnapshotInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, reader_count, age } = self;
        write!(f, "commit {commit}, read by {reader_count} for {:.1} s", age.as_secs_f64())
    }
}

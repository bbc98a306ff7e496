//! What can go wrong below the database, as data: which page, which file, what the system said.

use crate::ids::{CommitNo, PageNo, TreeId};
use std::fmt;
use std::io;

/// The result of a storage operation.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the storage engine.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A page, a header slot or a tree is not what was written.
    Corrupt {
        /// The page at fault.
        page: PageNo,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The log is damaged below a durable commit, missing, or belongs to another database.
    LogDamaged {
        /// Position in the log of the first bad byte.
        first_bad: u64,
        /// The newest commit seen, damaged or behind the damage.
        last_commit_seen: CommitNo,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The disk is full, or a quota is used up.
    NoSpace {
        /// What was being done.
        what: &'static str,
    },
    /// The operating system refused.
    Io {
        /// What was being done.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// No database at this path, and none was to be created.
    NotFound,
    /// The file is no database of ours.
    NotADatabase,
    /// The file was written by a newer version.
    UnsupportedFormat {
        /// The version in the file.
        found: u32,
        /// The newest version this library reads.
        supported: u32,
    },
    /// Another process, or this one, has the database open.
    Locked,
    /// The wait for the writer, or for a checkpoint, timed out.
    Busy,
    /// The store was closed.
    Closed,
    /// A write to a store that was opened for reading.
    ReadOnly,
    /// There is no such tree.
    TreeNotFound(TreeId),
    /// A key, value or number of pages beyond what the format holds.
    LimitExceeded(&'static str),
    /// The commit may or may not survive; the store only reads from now on.
    CommitUnknown {
        /// Why.
        source: io::Error,
    },
    /// An earlier failure made the store, or this transaction, unusable for writing.
    Failed,
    /// An invariant of the engine does not hold.
    Internal(&'static str),
    /// The caller ended the operation by its [`Cancel`](crate::Cancel).
    Cancelled,
    /// A bulk load into a tree that is not empty, or of keys that do not ascend.
    InvalidLoad(&'static str),
}

impl Error {
    pub(crate) fn corrupt(page: PageNo, reason: &'static str) -> Self {
        Self::Corrupt { page, reason }
    }

    /// Wraps what the system said, telling a full disk apart.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace { what },
            _ => Self::Io { what, source },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { page, reason } => write!(f, "page {page} is damaged: {reason}"),
            Self::LogDamaged { first_bad, last_commit_seen, reason } => write!(
                f,
                "the log is damaged at byte {first_bad}: {reason} (last commit seen: {last_commit_seen})"
            ),
            Self::NoSpace { what } => write!(f, "no space left to {what}"),
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Self::NotFound => f.write_str("no such database"),
            Self::NotADatabase => f.write_str("not an any-store database"),
            Self::UnsupportedFormat { found, supported } => {
                write!(f, "format version {found} is newer than {supported}")
            }
            Self::Locked => f.write_str("the database is open elsewhere"),
            Self::Busy => f.write_str("timed out waiting for another transaction"),
            Self::Closed => f.write_str("the database is closed"),
            Self::ReadOnly => f.write_str("the database is open for reading only"),
            Self::TreeNotFound(tree) => write!(f, "there is no tree {tree}"),
            Self::LimitExceeded(what) => write!(f, "limit exceeded: {what}"),
            Self::CommitUnknown { source } => {
                write!(f, "the outcome of the commit is unknown: {source}")
            }
            Self::Failed => f.write_str("an earlier failure made the database read-only"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::InvalidLoad(what) => write!(f, "bulk load refused: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::CommitUnknown { source } => Some(source),
            _ => None,
        }
    }
}

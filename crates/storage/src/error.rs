//! What can go wrong below the database, as data: which page, which file, what the system said.

use crate::ids::{CommitNo, PageNo, TreeId};
use crate::snapshot::SnapshotInfo;
use std::fmt;
use std::io;
use std::path::PathBuf;

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
    Locked {
        /// Who.
        holder: LockHolder,
    },
    /// The wait for the writer, or for a checkpoint, timed out.
    Busy,
    /// The store was closed.
    Closed,
    /// A write to a store that was opened for reading, or whose file or folder may not be written.
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
    /// The log is as long as it may become, and nothing of it can be given back.
    LogFull {
        /// How long the log may become.
        limit_bytes: u64,
        /// Who reads the oldest state, and so keeps the checkpoint from passing it.
        oldest: Option<SnapshotInfo>,
    },
    /// The database was left with commits that were not flushed, and the check at open failed.
    QuickCheckFailed {
        /// What it found.
        source: Box<Error>,
    },
    /// Options contradict each other, or one is not what it may be.
    InvalidOptions(&'static str),
    /// The process was forked after the store was opened; only the parent may use it.
    Forked,
    /// A file of the database was removed, renamed or replaced while it was open. The store only
    /// reads from now on, and leaves alone whatever has the name.
    FileReplaced {
        /// The path that no longer names the open file.
        path: PathBuf,
    },
    /// The caller ended the operation by its [`Cancel`](crate::Cancel).
    Cancelled,
    /// A bulk load into a tree that is not empty, or of keys that do not ascend.
    InvalidLoad(&'static str),
}

/// Who has a database open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// This process, by another handle.
    ThisProcess,
    /// Another process, with this number.
    Process(u32),
    /// Another process.
    Unknown,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisProcess => f.write_str("open already in this process"),
            Self::Process(id) => write!(f, "locked by process {id}"),
            Self::Unknown => f.write_str("open in another process"),
        }
    }
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

    /// As [`Error::io`], for a file that is to be written: one that must not be is `ReadOnly`.
    pub(crate) fn io_of_writing(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if is_refusal_to_write(&source) { Self::ReadOnly } else { Self::io(what)(source) }
        }
    }
}

/// True if the file, its folder or its medium may not be written.
pub(crate) fn is_refusal_to_write(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
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
            Self::Locked { holder } => write!(f, "the database is {holder}"),
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
            Self::LogFull { limit_bytes, oldest: Some(oldest) } => write!(
                f,
                "the log has reached its limit of {limit_bytes} bytes and is held by a snapshot ({oldest})"
            ),
            Self::LogFull { limit_bytes, oldest: None } => {
                write!(f, "the log has reached its limit of {limit_bytes} bytes")
            }
            Self::QuickCheckFailed { source } => write!(f, "quick check failed on open: {source}"),
            Self::InvalidOptions(what) => write!(f, "invalid options: {what}"),
            Self::Forked => f.write_str("the database was opened before this process was forked"),
            Self::FileReplaced { path } => {
                write!(f, "{} was removed or replaced while it was open", path.display())
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::InvalidLoad(what) => write!(f, "bulk load refused: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::CommitUnknown { source } => Some(source),
            Self::QuickCheckFailed { source } => Some(&**source),
            _ => None,
        }
    }
}

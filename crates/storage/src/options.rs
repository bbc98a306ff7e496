//! How a store is opened, and how safe a commit is.

use std::time::Duration;

/// When a commit is on stable storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Not at once: a crash of the process loses nothing, a power loss may take the last commits
    /// and leaves a consistent earlier state.
    #[default]
    Normal,
    /// Before `commit` returns.
    Full,
}

/// When the log is copied into the file without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCheckpoint {
    /// On a background thread, once the log holds a quarter of the file's size, at least 40 MiB and
    /// at most 1 GiB.
    #[default]
    Adaptive,
    /// On a background thread, once the log holds this many bytes.
    Background {
        /// Bytes of log.
        after_bytes: u64,
    },
    /// On the committing thread, after a commit, once the log holds this many bytes.
    Inline {
        /// Bytes of log.
        after_bytes: u64,
    },
    /// Only when asked, and at close.
    Off,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Make a new database when there is none.
    pub create: bool,
    /// Write nothing, not even a log.
    pub read_only: bool,
    /// Bytes of pages kept in memory.
    pub cache_bytes: u64,
    /// How safe commits are unless their transaction says otherwise.
    pub sync: Sync,
    /// When the log is copied into the file.
    pub auto_checkpoint: AutoCheckpoint,
    /// How long an explicit checkpoint waits for the open write transaction.
    pub busy_timeout: Duration,
    /// How long an open waits for another process that has the file open; `None` as long as
    /// `busy_timeout` says.
    pub lock_timeout: Option<Duration>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            cache_bytes: 5000 * 4096,
            sync: Sync::default(),
            auto_checkpoint: AutoCheckpoint::default(),
            busy_timeout: Duration::from_secs(5),
            lock_timeout: None,
        }
    }
}

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
    /// While the log is longer than this, a write waits a little for the checkpoint; not where a
    /// reader keeps it from making room. `None` is four times what starts a checkpoint.
    pub log_soft_limit_bytes: Option<u64>,
    /// A commit that finds the log as long as this, and no checkpoint can help, fails with
    /// `LogFull`. One transaction may go beyond it. `None` is no limit.
    pub log_limit_bytes: Option<u64>,
    /// How long an explicit checkpoint waits for the open write transaction.
    pub busy_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            cache_bytes: 5000 * 4096,
            sync: Sync::default(),
            auto_checkpoint: AutoCheckpoint::default(),
            log_soft_limit_bytes: None,
            log_limit_bytes: None,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

//! How a store is opened, and how safe a commit is.

use crate::buffer::PageBuffer;
use crate::checkpoint::CheckpointMode;
use crate::error::Error;
use std::fmt;
use std::sync::Arc;
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

/// Is told of errors that no caller is there to receive: those of automatic checkpoints and of idle
/// flushes.
///
/// It runs on the thread that met the error, under no lock, and may use the store. A panic in it is
/// caught. If it holds a handle of the store, the store stays open until it is closed.
#[derive(Clone)]
pub struct ErrorCallback(Arc<dyn Fn(&Error) + Send + std::marker::Sync>);

impl ErrorCallback {
    /// Calls `callback` with each error.
    pub fn new(callback: impl Fn(&Error) + Send + std::marker::Sync + 'static) -> Self {
        Self(Arc::new(callback))
    }

    pub(crate) fn call(&self, error: &Error) {
        (self.0)(error);
    }
}

impl fmt::Debug for ErrorCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorCallback")
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Make a new database when there is none.
    pub create: bool,
    /// Write nothing, not even a log.
    pub read_only: bool,
    /// Open a database whose log is damaged below a durable commit, missing or another's with what
    /// is left: the state after the last commit before the damage.
    ///
    /// The commits behind it are given up, so this is for a person to ask for. The damaged log is
    /// renamed to the first free name of `X-wal.damaged-1`, `-2` and so on, and never deleted; with
    /// `read_only` nothing is changed. [`Store::salvaged`](crate::Store::salvaged) says what was
    /// lost. Without damage it does nothing. Refused with `LogDamaged`, but for reading, when the file
    /// already holds pages of the lost commits.
    pub salvage: bool,
    /// The most bytes of pages kept in memory; 0 keeps none. Pages that callers hold and the changes
    /// of an open write transaction come on top.
    pub cache_bytes: u64,
    /// The memory that the pages of this and other stores share; it bounds all of them together, as
    /// `cache_bytes` bounds each.
    pub page_buffer: Option<PageBuffer>,
    /// The database file is read through a memory map up to this position; 0, the default, reads it by
    /// ordinary calls. Without effect where the file layer or the system has no maps.
    ///
    /// **Only for files that nothing but this process changes, on a local disk.** When a mapped file
    /// becomes shorter, its device disappears or a read of it fails, the system ends the process with
    /// a bus error instead of returning one: so never on network file systems, folders that a cloud
    /// service synchronises, or devices that can be unplugged. Mapped pages count against the memory
    /// limits of mobile systems. Pages are copied out of the map and verified like all others; the log
    /// is never mapped.
    pub mmap_bytes: u64,
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
    /// Checkpoint in the background once nothing was committed for `idle_after`.
    pub auto_flush: bool,
    /// How long the quiet before an automatic flush is.
    pub idle_after: Duration,
    /// How an automatic flush checkpoints.
    pub flush_mode: CheckpointMode,
    /// Keep a file `X.lock` beside the database `X` while it has commits that no flush and no close
    /// made durable, and check the database when the file is found at open.
    pub sentinel: bool,
    /// Is told of errors that no caller is there to receive.
    pub on_background_error: Option<ErrorCallback>,
    /// How long an open waits for another process that has the file open; `None` as long as
    /// `busy_timeout` says.
    pub lock_timeout: Option<Duration>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            salvage: false,
            cache_bytes: 5000 * 4096,
            page_buffer: None,
            mmap_bytes: 0,
            sync: Sync::default(),
            auto_checkpoint: AutoCheckpoint::default(),
            log_soft_limit_bytes: None,
            log_limit_bytes: None,
            busy_timeout: Duration::from_secs(5),
            auto_flush: false,
            idle_after: Duration::from_secs(20),
            flush_mode: CheckpointMode::default(),
            sentinel: false,
            on_background_error: None,
            lock_timeout: None,
        }
    }
}

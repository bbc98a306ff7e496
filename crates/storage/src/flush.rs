//! Flush: a checkpoint that somebody asked for, after which everything acknowledged is durable.
//!
//! What the checkpoint could not copy past a reader is durable in the log. Then, and only then, the
//! sentinel goes.

use crate::checkpoint::{CheckpointMode, CheckpointReport};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::page::CommitNo;
use crate::store::Store;
use std::time::Duration;

impl Store {
    /// Copies the log into the file as far as `mode` says. Whatever the mode, everything that was
    /// committed before the call is durable when it returns, in the file or in the log. Waits for
    /// [`StoreOptions::busy_timeout`](crate::StoreOptions::busy_timeout) at most.
    ///
    /// # Errors
    /// `Busy` when a writer or a reader kept a mode other than `Passive` from what it says;
    /// `ReadOnly`, `Failed`, `Closed`; `NoSpace`, `Io`: the log is kept and nothing is lost.
    pub fn checkpoint(&self, mode: CheckpointMode) -> Result<CheckpointReport> {
        self.checkpoint_timeout(mode, self.engine.options.busy_timeout)
    }

    /// As [`Store::checkpoint`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`Store::checkpoint`].
    pub fn checkpoint_timeout(
        &self,
        mode: CheckpointMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        self.engine.flush(mode, timeout)
    }

    /// The same as [`Store::checkpoint`], under the name of what it is for: to have everything that
    /// was committed on stable storage, for instance before a mobile system suspends the program.
    ///
    /// # Errors
    /// As [`Store::checkpoint`].
    pub fn flush(&self, mode: CheckpointMode) -> Result<CheckpointReport> {
        self.checkpoint(mode)
    }

    /// Waits until no commit has changed data for `quiet`, and flushes. Reading is quiet; a store
    /// that was not written to since open is. There is no limit to the wait.
    ///
    /// # Errors
    /// `Closed` as soon as the store is closed; else as [`Store::flush`].
    pub fn flush_when_idle(
        &self,
        quiet: Duration,
        mode: CheckpointMode,
    ) -> Result<CheckpointReport> {
        self.engine.await_quiet(quiet, None)?;
        self.flush(mode)
    }

    /// As [`Store::flush_when_idle`], waiting no longer than `timeout` for the quiet.
    ///
    /// # Errors
    /// `Busy` when the quiet did not come in time; else as [`Store::flush_when_idle`].
    pub fn flush_when_idle_timeout(
        &self,
        quiet: Duration,
        mode: CheckpointMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        self.engine.await_quiet(quiet, Some(timeout))?;
        self.flush(mode)
    }
}

impl Engine {
    /// A checkpoint after which everything committed before is durable, and the sentinel gone unless
    /// there are newer commits.
    pub(crate) fn flush(
        &self,
        mode: CheckpointMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        let report = self.checkpoint(mode, timeout)?;
        if mode != CheckpointMode::Passive && !report.is_complete {
            return Err(Error::Busy);
        }
        let durable = if report.is_complete { report.upto } else { self.sync_commits()? };
        self.mark_clean(durable)?;
        Ok(report)
    }

    /// Makes all commits durable in the log; returns the last one.
    fn sync_commits(&self) -> Result<CommitNo> {
        let mut tail = self.tail();
        self.expect_unfailed()?;
        self.sync_log(&mut tail).map_err(Error::io("sync the log"))?;
        Ok(tail.newest.commit())
    }

    fn await_quiet(&self, quiet: Duration, timeout: Option<Duration>) -> Result<()> {
        let deadline = timeout.map(|timeout| self.vfs.monotonic().saturating_add(timeout));
        loop {
            let seen = self.signal.bell.ring_count();
            self.expect_open()?;
            if self.signal.is_stopped() {
                return Err(Error::Closed);
            }
            let now = self.vfs.monotonic();
            let Some(left) = self.signal.quiet_in(quiet, now) else { return Ok(()) };
            let patience = deadline.map(|deadline| deadline.saturating_sub(now));
            if patience.is_some_and(|patience| patience.is_zero()) {
                return Err(Error::Busy);
            }
            let wait = patience.map_or(left, |patience| patience.min(left));
            self.vfs.wait(&self.signal.bell, seen, Some(wait));
        }
    }
}

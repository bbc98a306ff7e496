//! Flush: a checkpoint that somebody asked for, after which everything acknowledged is durable.
//!
//! What the checkpoint could not copy past a reader is durable in the log. Then, and only then, the
//! sentinel goes.

use crate::checkpoint::{CheckpointMode, CheckpointReport};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::page::CommitNo;
use std::time::Duration;

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
        self.expect_unfailed()?;
        let newest = self.tail().newest.commit();
        self.sync_all()?;
        Ok(newest)
    }

    /// Waits until no commit has changed data for `quiet`; `Busy` after `timeout`.
    pub(crate) fn await_quiet(&self, quiet: Duration, timeout: Option<Duration>) -> Result<()> {
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

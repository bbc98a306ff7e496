//! The beginning of a write transaction, and what the first one since open has to do before it.

use crate::checkpoint::Ending;
use crate::engine::{Engine, LogState, Tail, log_path};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::log::{self, Log};
use crate::vfs::{OpenMode, SyncKind};
use crate::write_set::WriteSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

impl Engine {
    /// Waits for the writer's lock and gives out the state to build on. The caller releases the
    /// lock through `self.writer`.
    pub(crate) fn begin_write(&self, timeout: Option<Duration>) -> Result<WriteSet> {
        self.expect_writable()?;
        if !matches!(self.tail().log, LogState::Open(_)) {
            self.open_log(timeout)?;
        }
        self.writer.acquire(timeout)?;
        let tail = self.tail();
        Ok(WriteSet::new(Arc::clone(&self.pager), Arc::clone(&tail.newest), tail.hint))
    }

    /// Makes the log ready for the first commit since open.
    fn open_log(&self, timeout: Option<Duration>) -> Result<()> {
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.acquire(timeout)?;
        let opened = self.open_log_locked();
        self.writer.release();
        opened
    }

    fn open_log_locked(&self) -> Result<()> {
        if self.resume_log()? {
            self.restart_log(Ending::Continue)?;
        }
        let mut tail = self.tail();
        match &tail.log {
            LogState::Clean => self.start_log(&mut tail),
            _ => Ok(()),
        }
    }

    /// Makes what recovery found safe to build on; false if there was no recovery.
    pub(crate) fn resume_log(&self) -> Result<bool> {
        let mut tail = self.tail();
        let LogState::Recovered(recovered) = &tail.log else { return Ok(false) };
        let log = self
            .pager
            .with_files(|files| files.log.clone().ok_or(Error::Internal("no log was recovered")))?;
        let log =
            Log::resume(log, tail.header.salt, recovered).inspect_err(|_| self.set_failed())?;
        tail.log = LogState::Open(log);
        Ok(true)
    }

    /// The first write after a clean open: the log file, then the header that counts on it.
    fn start_log(&self, tail: &mut Tail) -> Result<()> {
        let path = log_path(&self.path);
        let file = self.vfs.open(&path, OpenMode::Create).map_err(Error::io("open the log"))?;
        log::claim_file(&*file, tail.header.database_id)?;
        file.sync(SyncKind::Full)
            .inspect_err(|_| self.set_failed())
            .map_err(Error::io("sync the log"))?;
        self.sync_directory()?;
        let header = Header { clean: false, salt: self.new_salt()?, ..tail.header.clone() };
        let header = self.write_header(header)?;
        let log = Log::start(Arc::clone(&file), header.salt)?;
        self.pager.set_log(file);
        tail.header = header;
        tail.log = LogState::Open(log);
        Ok(())
    }
}

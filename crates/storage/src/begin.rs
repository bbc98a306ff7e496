//! The beginning of a write transaction, and what the first one since open has to do before it.

use crate::checkpoint::Ending;
use crate::directory::LoggedPage;
use crate::engine::{Engine, LogState, Tail, log_path};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::log::record::FrameKind;
use crate::log::recovery::RecoveredCommit;
use crate::log::{FIRST_RECORD, Log, head};
use crate::page::{BLOCK_BYTES, Page};
use crate::pager::Files;
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
        if let Err(failed) = self.expect_unfailed() {
            self.writer.release();
            return Err(failed);
        }
        Ok(WriteSet::new(Arc::clone(&self.pager), Arc::clone(&tail.newest), tail.hint))
    }

    /// Makes the log ready for the first commit since open.
    fn open_log(&self, timeout: Option<Duration>) -> Result<()> {
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        self.writer.with(timeout, || self.open_log_locked())
    }

    fn open_log_locked(&self) -> Result<()> {
        self.expect_files_in_place()?;
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
    ///
    /// What was read back is no proof that the device holds it: the process before may have died
    /// before a sync, or its sync failed and left the bytes marked as clean. Writing them again in
    /// place would risk the ones that are safe. So the commits are appended anew behind the old
    /// ones, as a generation of their own, and synced, before a header names that generation.
    pub(crate) fn resume_log(&self) -> Result<bool> {
        let mut tail = self.tail();
        let LogState::Recovered(recovered) = &tail.log else { return Ok(false) };
        let start = recovered.end.next_multiple_of(BLOCK_BYTES as u64);
        let salt = self.new_salt()?;
        let (log, positions) = self.pager.with_files(|files| {
            let file = files.log.clone().ok_or(Error::Internal("no log was recovered"))?;
            let mut log = Log::begin(file, salt, start)?;
            let append = |commit| self.append_again(files, &mut log, commit);
            let positions = recovered.commits.iter().map(append).collect::<Result<Vec<u64>>>()?;
            log.sync().inspect_err(|_| self.set_failed()).map_err(Error::io("sync the log"))?;
            Ok((log, positions))
        })?;
        let relocated: Vec<_> = recovered
            .commits
            .iter()
            .zip(positions)
            .flat_map(|(commit, images_at)| {
                let version = commit.header.commit;
                commit.placed(images_at).map(move |(frame, at)| (frame.page_no, version, at))
            })
            .collect();
        let header = Header { salt, log_start: start, ..tail.header.clone() };
        self.write_header(&mut tail, header)?;
        for (page_no, version, position) in relocated {
            self.pager.directory.relocate(page_no, version, position);
        }
        tail.log = LogState::Open(log);
        Ok(true)
    }

    /// Appends a recovered commit to another generation; returns where its images are.
    fn append_again(&self, files: &Files, log: &mut Log, commit: &RecoveredCommit) -> Result<u64> {
        let images = commit
            .placed(commit.images_at)
            .filter(|(frame, _)| frame.kind == FrameKind::Image)
            .map(|(frame, position)| {
                self.pager.logged(
                    files,
                    &LoggedPage {
                        page_no: frame.page_no,
                        block_count: frame.block_count,
                        version: commit.header.commit,
                        position,
                    },
                )
            })
            .collect::<Result<Vec<Page>>>()?;
        let bytes: Vec<&[u8]> = images.iter().map(Page::bytes).collect();
        log.append(commit.header.clone(), &commit.descriptors, &commit.frames, &bytes)
    }

    /// The first write after a clean open: the log file, then the header that counts on it.
    fn start_log(&self, tail: &mut Tail) -> Result<()> {
        let path = log_path(&self.path);
        let opened = self.vfs.open_beside(&self.path, &path, OpenMode::Create);
        let file = opened.map_err(Error::io_of_writing("open the log"))?;
        head::expect_free(&*file, &tail.header)?;
        // Until the clean header is durable, a log that is still there may be needed after all.
        self.secure_header(tail)?;
        let sync = || {
            let synced = file.sync(SyncKind::Full).inspect_err(|_| self.set_failed());
            synced.map_err(Error::io("sync the log"))
        };
        if head::cut_old_records(&*file)? {
            sync()?;
        }
        let claimed_by = tail.header.next(1)?.sequence;
        head::claim(&*file, tail.header.database_id, claimed_by)?;
        sync()?;
        self.sync_directory()?;
        let salt = self.new_salt()?;
        let header = Header { clean: false, salt, log_start: FIRST_RECORD, ..tail.header.clone() };
        self.write_header(tail, header)?;
        debug_assert_eq!(tail.header.sequence, claimed_by, "the log is claimed for this header");
        let log = Log::begin(Arc::clone(&file), salt, FIRST_RECORD)?;
        self.pager.set_log(file);
        tail.log = LogState::Open(log);
        Ok(())
    }
}

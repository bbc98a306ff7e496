//! The beginning of a write transaction, and what the first one since open has to do before it.

use crate::directory::LoggedPage;
use crate::engine::{Engine, LogState, log_path};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::ids::LogPoint;
use crate::log::record::{Contents, FrameHeader, FrameKind, Kind};
use crate::log::recovery::{Recovered, RecoveredCommit};
use crate::log::{FIRST_RECORD, Log, first_chain, head};
use crate::page::{BLOCK_BYTES, CommitNo, Page, PageNo};
use crate::pager::{Files, Pager};
use crate::sync::{Arc, CountedArc};
use crate::vfs::{OpenMode, SyncKind};
use crate::write_set::{SpillLog, WriteSet};
use std::time::Duration;

/// A write transaction holds so many bytes of changed pages in memory however small the cache is:
/// room for the pages on the way down several trees, so that a change does not spill what the next
/// one needs.
const LEAST_WRITE_BYTES: u64 = 128 << 10;

impl Engine {
    /// Waits for the writer's lock and gives out the state to build on. The caller releases the
    /// lock through `self.writer`.
    pub(crate) fn begin_write(self: &Arc<Self>, timeout: Option<Duration>) -> Result<WriteSet> {
        self.expect_writable()?;
        self.keep_log_short();
        loop {
            if !self.is_log_open() {
                self.open_log(timeout)?;
            }
            self.writer.acquire(timeout)?;
            if let Err(failed) = self.expect_unfailed() {
                self.writer.release();
                return Err(failed);
            }
            // A checkpoint may have emptied the log since.
            if self.is_log_open() {
                break;
            }
            self.writer.release();
        }
        let tail = self.tail();
        let set =
            WriteSet::new(Arc::clone(&self.pager), CountedArc::clone(&tail.newest), tail.hint);
        drop(tail);
        // What a transaction changes shares the budget with what is read.
        let budget = (self.options.cache_bytes / 2).max(LEAST_WRITE_BYTES);
        let log: Arc<dyn SpillLog> = Arc::<Self>::clone(self);
        Ok(set.with_spill(log, budget))
    }

    fn is_log_open(&self) -> bool {
        matches!(self.tail().log, LogState::Open(_))
    }

    /// Makes the log ready for the first commit since open.
    fn open_log(&self, timeout: Option<Duration>) -> Result<()> {
        self.checkpointing.with(timeout, || {
            // Somebody else may have done so, and have begun to write, while this one waited.
            if self.is_log_open() {
                return Ok(());
            }
            self.writer.with(timeout, || {
                self.expect_unfailed()?;
                self.expect_files_in_place()?;
                if self.resume_log()? {
                    self.advance()?;
                }
                if matches!(self.tail().log, LogState::Clean) { self.start_log() } else { Ok(()) }
            })
        })
    }

    /// Makes what recovery found safe to build on; false if there was no recovery. The caller holds
    /// the checkpoint's lock.
    ///
    /// What was read back is no proof that the device holds it: the process before may have died
    /// before a sync, or its sync failed and left the bytes marked as clean. Writing them again in
    /// place would risk the ones that are safe. So the commits are appended anew beside the old
    /// ones, as a generation of their own, and synced, before a header names that generation.
    pub(crate) fn resume_log(&self) -> Result<bool> {
        let mut tail = self.tail();
        let LogState::Recovered(recovered) = &tail.log else { return Ok(false) };
        self.expect_unfailed()?;
        self.expect_files_in_place()?;
        // Until the header that was found is durable, the one before it counts after a power loss;
        // and what looks free in the log may be what that one needs.
        self.secure_header()?;
        let known_durable = self.header().in_force().log_durable;
        let salt = self.new_salt()?;
        let start = LogPoint {
            position: place_for(recovered),
            lsn: recovered.end.lsn,
            chain: first_chain(salt),
        };
        let (mut log, moved, behind) = self.pager.with_files(|files| {
            let file = files.log.clone().ok_or(Error::Internal("no log was recovered"))?;
            let mut again = Again {
                pager: &self.pager,
                files,
                log: Log::begin_beside(file, salt, start, &recovered.space, known_durable)?,
                moved: Vec::new(),
            };
            let behind = again.append_all(recovered, self.checkpointed_upto())?;
            Ok((again.log, again.moved, behind))
        })?;
        let sync = log.begin_sync();
        sync.run().inspect_err(|_| self.set_failed()).map_err(Error::io("sync the log"))?;
        log.synced(&sync);
        let log_durable = log.durable_upto();
        self.write_header(|header| Header {
            salt,
            log_start: start,
            log_durable,
            ..header.clone()
        })?;
        log.take_over();
        for (page_no, version, position) in moved {
            self.pager.directory.relocate(page_no, version, position);
        }
        if let Some(behind) = behind {
            tail.newest.set_behind(behind);
        }
        tail.log = LogState::Open(Box::new(log));
        Ok(true)
    }

    /// The first write after a clean open, or after the log was emptied: the log file, then the
    /// header that counts on it.
    fn start_log(&self) -> Result<()> {
        let path = log_path(&self.path);
        let opened = self.vfs.open_beside(&self.path, &path, OpenMode::Create);
        let file = opened.map_err(Error::io_of_writing("open the log"))?;
        head::expect_free(&*file, self.header().in_force())?;
        // Until the clean header is durable, a log that is still there may be needed after all.
        self.secure_header()?;
        let sync = || {
            let synced = file.sync(SyncKind::Full).inspect_err(|_| self.set_failed());
            synced.map_err(Error::io("sync the log"))
        };
        head::cut_old_records(&*file)?;
        sync()?;
        let clean = self.header().in_force().clone();
        head::claim(&*file, clean.database_id, clean.next(1)?.sequence)?;
        sync()?;
        // A name that a failed sync lost would be there for the next process and for no power loss.
        self.sync_directory().inspect_err(|_| drop(self.vfs.remove(&path)))?;
        let salt = self.new_salt()?;
        let lsn = clean.log_durable;
        let start = LogPoint { position: FIRST_RECORD, lsn, chain: first_chain(salt) };
        // Before the header: from then on nothing may fail, or the log would be claimed twice.
        let log = Log::begin(Arc::clone(&file), salt, start)?;
        self.write_header(|header| Header {
            clean: false,
            salt,
            log_start: start,
            log_durable: lsn,
            ..header.clone()
        })?;
        self.pager.set_log(file);
        self.tail().log = LogState::Open(Box::new(log));
        Ok(())
    }
}

/// Where everything that was recovered can be appended once more without touching it.
fn place_for(recovered: &Recovered) -> u64 {
    if recovered.commits.is_empty() && recovered.base.is_empty() {
        return FIRST_RECORD;
    }
    // A record that holds its images inline takes no more than one that was spilled; the sync and
    // the base add less than a few blocks.
    let slack = 16 * BLOCK_BYTES as u64;
    let base = 64 * recovered.base.len() as u64;
    let bytes = recovered.used_bytes.saturating_mul(2).saturating_add(base).saturating_add(slack);
    recovered.space.gap(bytes).unwrap_or_else(|| recovered.space.behind_all())
}

/// Recovered commits on their way to another generation.
struct Again<'e> {
    pager: &'e Pager,
    files: &'e Files,
    log: Log,
    /// Where each image stands now.
    moved: Vec<(PageNo, CommitNo, u64)>,
}

impl Again<'_> {
    /// Returns the place behind the last commit.
    fn append_all(&mut self, recovered: &Recovered, base: CommitNo) -> Result<Option<LogPoint>> {
        if !recovered.base.is_empty() {
            self.log.append(&Contents {
                kind: Kind::Base(base),
                descriptors: &recovered.base,
                frames: &[],
                images: &[],
            })?;
        }
        let mut behind = None;
        for commit in &recovered.commits {
            behind = Some(self.append_commit(commit)?);
        }
        Ok(behind)
    }

    /// Appends one commit, however large, with little memory: what is more than a batch is spilled.
    fn append_commit(&mut self, commit: &RecoveredCommit) -> Result<LogPoint> {
        const BATCH_BYTES: usize = 1 << 20;
        let version = commit.counters.commit;
        let is_large =
            commit.frames.iter().map(FrameHeader::page_bytes).sum::<usize>() > BATCH_BYTES;
        let mut frames: Vec<FrameHeader> = Vec::with_capacity(commit.frames.len());
        let mut batch: Vec<(usize, Page)> = Vec::new();
        let mut batch_bytes = 0;
        for (frame, position) in commit.placed() {
            if frame.kind == FrameKind::Freed {
                frames.push(frame);
                continue;
            }
            let page = self.read(&frame, version, position)?;
            batch_bytes += page.bytes().len();
            batch.push((frames.len(), page));
            frames.push(FrameHeader { kind: FrameKind::Image, ..frame });
            if is_large && batch_bytes >= BATCH_BYTES {
                self.spill(version, &mut frames, std::mem::take(&mut batch))?;
                batch_bytes = 0;
            }
        }
        let images: Vec<&[u8]> = batch.iter().map(|(_, page)| page.bytes()).collect();
        let appended = self.log.append(&Contents {
            kind: Kind::Commit(commit.counters),
            descriptors: &commit.descriptors,
            frames: &frames,
            images: &images,
        })?;
        self.note(version, appended.images_at, &batch);
        Ok(appended.behind)
    }

    fn read(&self, frame: &FrameHeader, version: CommitNo, position: u64) -> Result<Page> {
        let (page_no, block_count) = (frame.page_no, frame.block_count);
        self.pager.logged(self.files, &LoggedPage { page_no, block_count, version, position })
    }

    fn spill(
        &mut self,
        version: CommitNo,
        frames: &mut [FrameHeader],
        batch: Vec<(usize, Page)>,
    ) -> Result<()> {
        let images: Vec<&[u8]> = batch.iter().map(|(_, page)| page.bytes()).collect();
        let spilled: Vec<FrameHeader> =
            batch.iter().filter_map(|(index, _)| frames.get(*index).copied()).collect();
        let appended = self.log.append(&Contents {
            kind: Kind::Spill(version),
            descriptors: &[],
            frames: &spilled,
            images: &images,
        })?;
        let mut position = appended.images_at;
        for (index, page) in &batch {
            if let Some(frame) = frames.get_mut(*index) {
                frame.kind = FrameKind::Placed(position);
            }
            position += page.bytes().len() as u64;
        }
        self.note(version, appended.images_at, &batch);
        Ok(())
    }

    fn note(&mut self, version: CommitNo, images_at: u64, batch: &[(usize, Page)]) {
        let mut position = images_at;
        for (_, page) in batch {
            self.moved.push((page.page_no(), version, position));
            position += page.bytes().len() as u64;
        }
    }
}

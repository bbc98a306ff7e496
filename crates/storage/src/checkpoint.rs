//! Checkpoints: the log copied into the file, and its space given back.
//!
//! The order is what makes a crash harmless at every step: the log is synced; of each page the
//! newest version that every snapshot sees or has passed is written to its place, freed blocks are
//! wiped; the file is synced; only then does a header say that the log begins behind what was
//! copied, and only when that header is synced is the log's space before used again. A crash before
//! that replays the log over pages that may or may not have been copied, which comes to the same.
//!
//! None of this stops a writer, who appends behind. What a checkpoint passes over in the log, it
//! need not find in the descriptor tree: a record that it appends, the base, names the trees that
//! had changed. Only the stronger modes wait for the writer and keep others out.

mod copy;
mod report;

pub use report::{CheckpointMode, CheckpointReport};

use crate::bitmap;
use crate::commit::Origin;
use crate::engine::{Engine, LogState, log_path};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::ids::{LogPoint, Lsn, TREE_ZERO};
use crate::log::record::{Contents, DescriptorUpdate, Kind};
use crate::log::{FIRST_RECORD, first_chain};
use crate::options::{AutoCheckpoint, Sync};
use crate::page::{BLOCK_BYTES, CommitNo, PageNo};
use crate::planted::is_planted;
use crate::state::{CommitState, descriptor_key};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, CountedArc, Instant, thread};
use crate::tree::{self, TreeDescriptor};
use crate::vfs::VfsFile;
use crate::write_set::WriteSet;
use copy::FileBlocks;
use std::time::Duration;

/// What follows a restart of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// More commits, from the start of the log file on.
    Restart,
    /// An empty log file.
    Truncate,
    /// The close of the store.
    Close,
}

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// What is left; `None` is without limit.
    fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

impl Engine {
    /// Copies the log into the file, as far and as thoroughly as `mode` says.
    ///
    /// # Errors
    /// `Busy` when a checkpoint is under way, or, with the stronger modes, a writer or a reader of
    /// an older snapshot stands in the way, for longer than `timeout`; what a passive one can do is
    /// done then.
    pub(crate) fn checkpoint(
        &self,
        mode: CheckpointMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        self.expect_writable()?;
        let deadline = Deadline::after(timeout);
        self.checkpointing.with(deadline.left(), || {
            self.resume_log()?;
            self.sync_all()?;
            let before = Before::of(self);
            match mode {
                CheckpointMode::Passive => self.advance()?,
                _ => self.complete(mode, deadline)?,
            }
            Ok(before.report(self, mode))
        })
    }

    /// A checkpoint that nobody asked for, if one is due and none is under way.
    pub(crate) fn checkpoint_if_due(&self) -> Result<()> {
        self.expect_same_process()?;
        if !self.is_checkpoint_due() {
            return Ok(());
        }
        match self.checkpointing.with(Some(Duration::ZERO), || self.advance()) {
            Err(Error::Busy) => Ok(()),
            done => done,
        }
    }

    /// True if the log has grown enough, and a checkpoint could give some of it back.
    pub(crate) fn is_checkpoint_due(&self) -> bool {
        self.checkpoint_after_bytes().is_some_and(|limit| self.log_used_bytes() >= limit)
            && self.can_advance()
    }

    /// How long the log may become before it is copied without being asked.
    fn checkpoint_after_bytes(&self) -> Option<u64> {
        const LEAST: u64 = 40 << 20;
        const MOST: u64 = 1 << 30;
        match self.options.auto_checkpoint {
            AutoCheckpoint::Off => None,
            AutoCheckpoint::Adaptive => {
                let blocks = u64::from(self.tail().newest.counters.block_count);
                Some((blocks.saturating_mul(BLOCK_BYTES as u64) / 4).clamp(LEAST, MOST))
            }
            AutoCheckpoint::Background { after_bytes } | AutoCheckpoint::Inline { after_bytes } => {
                Some(after_bytes)
            }
        }
    }

    /// Bytes of the log that no checkpoint has passed.
    pub(crate) fn log_used_bytes(&self) -> u64 {
        match &self.tail().log {
            LogState::Clean => 0,
            LogState::Recovered(recovered) => recovered.used_bytes,
            LogState::Open(log) => log.used_bytes(),
        }
    }

    /// True unless the oldest snapshot stands where the last checkpoint ended.
    fn can_advance(&self) -> bool {
        self.oldest_snapshot() > self.checkpointed_upto()
    }

    /// The commit that the last checkpoint reached.
    pub(crate) fn checkpointed_upto(&self) -> CommitNo {
        CommitNo(self.checkpointed.load(Ordering::Acquire))
    }

    /// Slows a writer down while the log is longer than the soft limit: it waits for the checkpoint
    /// under way, or makes one. Nobody waits for a reader. A checkpoint that fails does not concern
    /// the writer; the one in the background meets the same and tells of it.
    pub(crate) fn keep_log_short(&self) {
        const PATIENCE: Duration = Duration::from_millis(100);
        let soft = self
            .options
            .log_soft_limit_bytes
            .or_else(|| self.checkpoint_after_bytes().map(|after| after.saturating_mul(4)));
        if soft.is_some_and(|soft| self.log_used_bytes() >= soft) {
            let _ = self.make_log_room(PATIENCE);
        }
    }

    /// A checkpoint for the sake of a commit, unless a reader makes it vain.
    pub(crate) fn make_log_room(&self, wait: Duration) -> Result<()> {
        if !self.can_advance() {
            return Ok(());
        }
        let advance = || if self.can_advance() { self.advance() } else { Ok(()) };
        match self.checkpointing.with(Some(wait), advance) {
            Err(Error::Busy) => Ok(()),
            done => done,
        }
    }

    /// Copies what every snapshot allows, and gives the log's space before that back. Waits for
    /// nobody but the device. The caller holds the checkpoint's lock.
    pub(crate) fn advance(&self) -> Result<()> {
        self.expect_unfailed()?;
        self.expect_files_in_place()?;
        if !self.queue.is_empty() {
            // What waits for its sync can be seen, and passed, after it.
            self.sync_all()?;
        }
        let target =
            if is_planted("pass_readers") { self.published() } else { self.oldest_state() };
        let Some(behind) = target.behind() else { return Ok(()) };
        if target.commit() <= self.checkpointed_upto() {
            return Ok(());
        }
        let durable = self.append_base(&target)?;
        self.sync_log(durable)?;
        self.copy_upto(target.commit(), FileBlocks::AtLeast(target.counters.block_count))?;
        self.expect_files_in_place()?;
        let (target, behind) = if is_planted("header_ahead") {
            let newest = CountedArc::clone(&self.tail().newest);
            let behind = newest.behind().unwrap_or(behind);
            (newest, behind)
        } else {
            (target, behind)
        };
        self.write_header(|header| Header {
            log_start: behind,
            log_durable: durable,
            ..header_of(&target, header)
        })?;
        if let LogState::Open(log) = &mut self.tail().log {
            log.release(behind);
        }
        Ok(())
    }

    /// Appends the trees that the descriptor tree does not hold as of `target`; returns where the
    /// log has to be durable to for a header to count on it.
    fn append_base(&self, target: &CommitState) -> Result<Lsn> {
        let descriptors: Vec<DescriptorUpdate> =
            target.changed.iter().map(|(&id, &descriptor)| (id, descriptor)).collect();
        let contents = Contents {
            kind: Kind::Base(target.commit()),
            descriptors: &descriptors,
            frames: &[],
            images: &[],
        };
        let mut tail = self.tail();
        self.expect_unfailed()?;
        if is_planted("skip_base") {
            return Ok(target.behind().map_or(Lsn(0), |behind| behind.lsn));
        }
        Ok(self.append_record(&mut tail, &contents)?.behind.lsn)
    }

    /// What the modes do that are not content with a part.
    fn complete(&self, mode: CheckpointMode, deadline: Deadline) -> Result<()> {
        // The bulk of the work, while writers go on.
        self.advance()?;
        self.writer.with(deadline.left(), || {
            self.expect_unfailed()?;
            self.sync_all()?;
            let newest = self.tail().newest.commit();
            self.wait_for_readers(newest, deadline)?;
            match mode {
                CheckpointMode::Passive | CheckpointMode::Full => self.advance(),
                CheckpointMode::Restart => self.restart_log(Ending::Restart, deadline),
                CheckpointMode::Truncate => self.restart_log(Ending::Truncate, deadline),
            }
        })
    }

    /// Makes every commit so far durable, and so visible.
    pub(crate) fn sync_all(&self) -> Result<()> {
        let end = match &self.tail().log {
            LogState::Open(log) if log.durable_upto() < log.end().lsn => log.end().lsn,
            _ => return Ok(()),
        };
        self.sync_log(end)
    }

    /// Waits until nobody reads an older state than `target`.
    fn wait_for_readers(&self, target: CommitNo, deadline: Deadline) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(1);
        while self.oldest_snapshot() < target {
            if self.signal.is_stopped() {
                return Err(Error::Closed);
            }
            if deadline.left().is_some_and(|left| left.is_zero()) {
                return Err(Error::Busy);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Closes the log: everything is in the file, whatever anybody still reads. The caller holds the
    /// checkpoint's lock, and no writer is left.
    pub(crate) fn close_log(&self) -> Result<()> {
        if !matches!(self.tail().log, LogState::Open(_)) {
            return Ok(());
        }
        self.sync_all()?;
        self.restart_log(Ending::Close, Deadline(None))
    }

    /// Copies everything, cuts the free end of the file, and starts the log anew. The caller holds
    /// the checkpoint's and the writer's locks.
    fn restart_log(&self, ending: Ending, deadline: Deadline) -> Result<()> {
        self.expect_files_in_place()?;
        self.fold_descriptors()?;
        let (target, end) = {
            let tail = self.tail();
            let LogState::Open(log) = &tail.log else { return Ok(()) };
            (CountedArc::clone(&tail.newest), log.end())
        };
        if ending != Ending::Close {
            self.wait_for_readers(target.commit(), deadline)?;
        }
        self.sync_log(end.lsn)?;
        self.copy_upto(target.commit(), FileBlocks::Exactly(target.counters.block_count))?;
        self.expect_files_in_place()?;
        let salt = self.new_salt()?;
        let start = LogPoint { position: FIRST_RECORD, lsn: end.lsn, chain: first_chain(salt) };
        self.write_header(|header| Header {
            clean: ending != Ending::Restart,
            salt,
            log_start: start,
            log_durable: start.lsn,
            ..header_of(&target, header)
        })?;
        self.begin_anew(ending, salt, start)
    }

    fn begin_anew(&self, ending: Ending, salt: [u8; 16], start: LogPoint) -> Result<()> {
        let mut tail = self.tail();
        match (ending, std::mem::replace(&mut tail.log, LogState::Clean)) {
            (Ending::Restart, LogState::Open(mut log)) => {
                log.restart(salt, start);
                tail.log = LogState::Open(log);
                Ok(())
            }
            (Ending::Truncate, LogState::Open(log)) => {
                log.truncate().map_err(Error::io("truncate the log"))
            }
            _ => Ok(()),
        }
    }

    /// Brings the descriptor tree up to date by a commit of its own, so that the header's one
    /// descriptor leads to all others.
    fn fold_descriptors(&self) -> Result<()> {
        let (newest, hint) = {
            let tail = self.tail();
            (CountedArc::clone(&tail.newest), tail.hint)
        };
        let mut set = WriteSet::new(Arc::clone(&self.pager), CountedArc::clone(&newest), hint);
        let tree_zero = fold(&mut set, &newest)?;
        if tree_zero != newest.tree_zero {
            set.trees.insert(TREE_ZERO, Some(tree_zero));
        }
        set.trim()?;
        drop(newest);
        let commit = self.append_commit(set, Sync::Normal, Origin::Fold)?;
        self.settle(commit)
    }

    /// Puts a new header in force.
    pub(crate) fn write_header(&self, next: impl FnOnce(&Header) -> Header) -> Result<()> {
        let mut slots = self.header();
        let header = next(slots.in_force());
        let commit = header.commit;
        self.pager.with_files(|files| {
            let sync = |main: &dyn VfsFile| self.sync_main(main);
            slots.write(&*files.main, header, &sync, &|| self.set_failed())
        })?;
        self.checkpointed.store(commit.0, Ordering::Release);
        Ok(())
    }

    /// Makes sure that the header in force is durable.
    pub(crate) fn secure_header(&self) -> Result<()> {
        let mut slots = self.header();
        self.pager.with_files(|files| {
            let sync = |main: &dyn VfsFile| self.sync_main(main);
            slots.secure(&*files.main, &sync)
        })
    }

    /// Removes the log file that nothing is needed of any more.
    pub(crate) fn remove_log(&self) -> Result<()> {
        self.vfs.remove(&log_path(&self.path)).map_err(Error::io("remove the log"))?;
        self.sync_directory()
    }
}

/// Brings the descriptor tree up to date with a state, so that its one descriptor, which this returns,
/// leads to all others.
pub(crate) fn fold(set: &mut WriteSet, state: &CommitState) -> Result<TreeDescriptor> {
    let mut tree_zero = state.tree_zero;
    for (&tree, descriptor) in &state.changed {
        let key = descriptor_key(tree);
        match descriptor {
            Some(descriptor) => tree::put(set, &mut tree_zero, &key, &descriptor.encode())?,
            None => {
                tree::remove(set, &mut tree_zero, &key)?;
            }
        }
    }
    Ok(tree_zero)
}

/// A header for the state after a commit, with the log of the one before it.
fn header_of(state: &CommitState, before: &Header) -> Header {
    let counters = state.counters;
    Header {
        clean: false,
        commit: counters.commit,
        block_count: counters.block_count,
        free_blocks: counters.free_blocks,
        next_tree: counters.next_tree,
        catalog_version: counters.catalog_version,
        tree_zero: state.tree_zero,
        ..before.clone()
    }
}

/// What a report compares with.
struct Before {
    newest: CommitNo,
    copied: u64,
    log_pages: u64,
}

impl Before {
    fn of(engine: &Engine) -> Self {
        let newest = engine.tail().newest.commit();
        let copied = engine.counts.pages_copied.load(Ordering::Relaxed);
        Self { newest, copied, log_pages: engine.log_used_bytes() / BLOCK_BYTES as u64 }
    }

    fn report(self, engine: &Engine, mode: CheckpointMode) -> CheckpointReport {
        let upto = engine.checkpointed_upto();
        let left = engine.log_used_bytes() / BLOCK_BYTES as u64;
        CheckpointReport {
            mode,
            log_frames: self.log_pages,
            frames_copied: self.log_pages.saturating_sub(left),
            pages_copied: engine.counts.pages_copied.load(Ordering::Relaxed) - self.copied,
            log_restarted: matches!(mode, CheckpointMode::Restart | CheckpointMode::Truncate),
            log_truncated: mode == CheckpointMode::Truncate,
            is_complete: upto >= self.newest,
            upto,
        }
    }
}

/// The bitmap pages of a file of `block_count` blocks.
pub(crate) fn bitmap_pages(block_count: u32) -> impl Iterator<Item = PageNo> {
    (0..bitmap::group_count(block_count)).filter_map(bitmap::bitmap_page)
}

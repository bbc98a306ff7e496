//! Commit: pages are sealed and appended under the writer's and the log's lock; the next writer goes
//! on from there. What readers see follows when the log is as safe as was asked.

use crate::commit_queue::{Goal, Pending};
use crate::directory::LoggedPage;
use crate::engine::{Engine, FreedBlocks, LogState, Tail};
use crate::error::{Error, Result};
use crate::ids::Lsn;
use crate::log::Appended;
use crate::log::record::{Contents, DescriptorUpdate, FrameHeader, FrameKind, Kind};
use crate::options::Sync;
use crate::page::{CommitNo, Page, PageNo};
use crate::planted::is_planted;
use crate::state::CommitState;
use crate::sync::CountedArc;
use crate::sync::atomic::Ordering;
use crate::write_set::{AllocationHint, Content, Dirty, Freed, SpillLog, WriteSet};
use std::io;
use std::time::Duration;

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Transaction,
    /// A checkpoint, which has brought the descriptor tree up to date.
    Fold,
}

/// A commit that is ready to be appended.
struct Prepared {
    state: CountedArc<CommitState>,
    updates: Vec<DescriptorUpdate>,
    pages: Vec<(PageNo, Dirty)>,
    freed: Vec<Freed>,
    hint: AllocationHint,
}

impl Engine {
    /// Appends a transaction's work and makes it what the next writer builds on. The caller gives up
    /// the writer's lock and then settles what this returns.
    ///
    /// # Errors
    /// `CommitUnknown` when a failed append could not be undone; with every other error the commit
    /// is certainly not applied.
    pub(crate) fn append_commit(
        &self,
        set: WriteSet,
        sync: Sync,
        origin: Origin,
    ) -> Result<CommitNo> {
        if !set.is_changed() {
            // What it read may not be visible yet, and is not to be acted upon before.
            return Ok(set.base().commit());
        }
        if origin == Origin::Transaction {
            self.expect_writable()?;
            self.expect_log_room()?;
            self.before_append(set.base().commit())?;
        }
        // Before the lock, which a thread of the parent may have held at the fork.
        self.expect_same_process()?;
        let prepared = self.prepare(set, origin == Origin::Fold)?;
        let commit = prepared.state.commit();
        let mut tail = self.tail();
        match origin {
            Origin::Transaction => self.expect_writable()?,
            Origin::Fold => self.expect_unfailed()?,
        }
        if is_planted("publish_before_append") {
            self.publish(CountedArc::clone(&prepared.state));
        }
        let appended = self.append(&mut tail, &prepared)?;
        prepared.state.set_behind(appended.behind);
        let pending =
            Pending { state: CountedArc::clone(&prepared.state), upto: appended.behind.lsn, sync };
        self.install(&mut tail, prepared, appended.images_at);
        self.queue.push(pending, &|state| self.publish(state));
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        Ok(commit)
    }

    /// Waits until a commit is as safe as was asked, and visible.
    ///
    /// # Errors
    /// `CommitUnknown` when the log could not be synced.
    pub(crate) fn settle(&self, commit: CommitNo) -> Result<()> {
        self.reach(Goal::Visible(commit)).map_err(|source| Error::CommitUnknown { source })
    }

    /// Makes the log durable up to a place.
    ///
    /// # Errors
    /// `Io`, `NoSpace`; a failure is final for writing.
    pub(crate) fn sync_log(&self, upto: Lsn) -> Result<()> {
        self.reach(Goal::Durable(upto)).map_err(Error::io("sync the log"))
    }

    fn reach(&self, goal: Goal) -> io::Result<()> {
        self.queue.settle(goal, &|| self.lead_sync(), &|state| self.publish(state))
    }

    /// Syncs what was appended so far; others append meanwhile.
    fn lead_sync(&self) -> io::Result<Lsn> {
        let sync = match &mut self.tail().log {
            LogState::Open(log) => log.begin_sync(),
            LogState::Clean | LogState::Recovered(_) => {
                return Err(io::Error::other("the log is not open"));
            }
        };
        self.counts.log_syncs.fetch_add(1, Ordering::Relaxed);
        let unproven = Unproven(self);
        match sync.run() {
            Err(_) if is_planted("retry_sync") => sync.run()?,
            synced => synced?,
        }
        std::mem::forget(unproven);
        if let LogState::Open(log) = &mut self.tail().log {
            log.synced(&sync);
        }
        Ok(sync.upto)
    }

    /// Stamps and seals the pages, and works out the state after the commit.
    fn prepare(&self, mut set: WriteSet, folded: bool) -> Result<Prepared> {
        let base = CountedArc::clone(set.base());
        let commit = base.commit().0.checked_add(1).map(CommitNo);
        set.counters.commit = commit.ok_or(Error::LimitExceeded("commit numbers"))?;
        let counters = set.counters;
        let updates: Vec<DescriptorUpdate> = std::mem::take(&mut set.trees).into_iter().collect();
        let hint = set.hint;
        let (mut pages, freed) = set.into_pages();
        for (_, dirty) in &mut pages {
            if let Content::Resident(page) = &mut dirty.content {
                page.set_version(counters.commit);
                self.pager.codec.seal(page.make_mut());
            }
        }
        let state = CountedArc::new(base.next(counters, &updates, folded));
        Ok(Prepared { state, updates, pages, freed, hint })
    }

    fn append(&self, tail: &mut Tail, prepared: &Prepared) -> Result<Appended> {
        let frames: Vec<FrameHeader> = prepared.frames().collect();
        let images: Vec<&[u8]> = prepared.pages.iter().filter_map(|(_, d)| image(d)).collect();
        let contents = Contents {
            kind: Kind::Commit(prepared.state.counters),
            descriptors: &prepared.updates,
            frames: &frames,
            images: &images,
        };
        self.append_record(tail, &contents)
    }

    /// Appends a record of any kind.
    pub(crate) fn append_record(
        &self,
        tail: &mut Tail,
        contents: &Contents<'_>,
    ) -> Result<Appended> {
        let LogState::Open(log) = &mut tail.log else {
            return Err(Error::Internal("the log is not open"));
        };
        let before = log.end().lsn;
        let appended = log.append(contents).inspect_err(|error| {
            if matches!(error, Error::CommitUnknown { .. }) {
                self.set_failed();
            }
        })?;
        let bytes = appended.behind.lsn.0.saturating_sub(before.0);
        self.counts.logged_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counts.frames.fetch_add(contents.images.len() as u64, Ordering::Relaxed);
        self.counts.log_jumps.fetch_add(appended.jumped.into(), Ordering::Relaxed);
        Ok(appended)
    }

    /// Enters the pages into the directory, where only snapshots of this commit or later find them.
    fn install(&self, tail: &mut Tail, prepared: Prepared, mut position: u64) {
        let commit = prepared.state.commit();
        let oldest = self.oldest_snapshot();
        for freed in &prepared.freed {
            self.pager.directory.install_freed(freed.page_no, commit, oldest);
            tail.freed.push(FreedBlocks {
                version: commit,
                page_no: freed.page_no,
                block_count: freed.block_count,
            });
        }
        for (page_no, dirty) in prepared.pages {
            match dirty.content {
                Content::Resident(page) => {
                    self.pager.directory.install(&page, position, oldest);
                    position += page.bytes().len() as u64;
                }
                Content::Spilled { position, block_count } => {
                    let spilled = LoggedPage { page_no, block_count, version: commit, position };
                    self.pager.directory.install_logged(spilled, oldest);
                }
            }
        }
        tail.hint = prepared.hint;
        tail.newest = prepared.state;
    }

    /// Bytes of log that the commits so far hold.
    fn committed_bytes(&self) -> u64 {
        let tail = self.tail();
        match (&tail.log, tail.newest.behind()) {
            (LogState::Open(log), Some(behind)) => log.bytes_upto(behind),
            _ => 0,
        }
    }

    /// Refuses a commit that would make the log longer than allowed, naming who is in the way. A
    /// checkpoint that can make room is waited for.
    fn expect_log_room(&self) -> Result<()> {
        /// Whoever makes a stronger checkpoint may itself wait for this writer.
        const LONGEST_WAIT: Duration = Duration::from_secs(1);
        let Some(limit_bytes) = self.options.log_limit_bytes else { return Ok(()) };
        let has_room = || self.committed_bytes() < limit_bytes;
        if has_room() {
            return Ok(());
        }
        self.make_log_room(self.options.busy_timeout.min(LONGEST_WAIT))?;
        if has_room() {
            return Ok(());
        }
        let oldest = self.snapshots().into_iter().next();
        Err(Error::LogFull { limit_bytes, oldest })
    }
}

fn image(dirty: &Dirty) -> Option<&[u8]> {
    match &dirty.content {
        Content::Resident(page) => Some(page.bytes()),
        Content::Spilled { .. } => None,
    }
}

impl SpillLog for Engine {
    fn spill(&self, commit: CommitNo, pages: &[Page]) -> Result<Vec<u64>> {
        let frames: Vec<FrameHeader> = pages
            .iter()
            .map(|page| FrameHeader {
                kind: FrameKind::Image,
                page_no: page.page_no(),
                block_count: page.block_count(),
                replaces: CommitNo(0),
            })
            .collect();
        let images: Vec<&[u8]> = pages.iter().map(Page::bytes).collect();
        let contents = Contents {
            kind: Kind::Spill(commit),
            descriptors: &[],
            frames: &frames,
            images: &images,
        };
        self.expect_writable()?;
        self.before_append(CommitNo(commit.0.saturating_sub(1)))?;
        let mut tail = self.tail();
        self.expect_writable()?;
        let first = self.append_record(&mut tail, &contents)?.images_at;
        self.counts.spilled_pages.fetch_add(pages.len() as u64, Ordering::Relaxed);
        let positions = pages.iter().scan(first, |position, page| {
            let at = *position;
            *position += page.bytes().len() as u64;
            Some(at)
        });
        Ok(positions.collect())
    }
}

/// A sync that has not come back well: then the store only reads, also after a panic.
struct Unproven<'e>(&'e Engine);

impl Drop for Unproven<'_> {
    fn drop(&mut self) {
        self.0.set_failed();
    }
}

impl Prepared {
    /// Freed pages first: one that is used again in the same commit has its image behind.
    fn frames(&self) -> impl Iterator<Item = FrameHeader> + '_ {
        let freed = self.freed.iter().map(|freed| FrameHeader {
            kind: FrameKind::Freed,
            page_no: freed.page_no,
            block_count: freed.block_count,
            replaces: CommitNo(0),
        });
        let images = self.pages.iter().map(|(page_no, dirty)| {
            let (kind, block_count) = match &dirty.content {
                Content::Resident(page) => (FrameKind::Image, page.block_count()),
                Content::Spilled { position, block_count } => {
                    (FrameKind::Placed(*position), *block_count)
                }
            };
            FrameHeader { kind, page_no: *page_no, block_count, replaces: dirty.replaces }
        });
        freed.chain(images)
    }
}

//! The write-ahead log: records, appended; replayed by `recovery`.
//!
//! The file starts with a block that names the database it belongs to. The records form one endless
//! row, each chained to the one before it, which the file holds in pieces: `space` says where.
//! Records between two syncs are packed; the first one after a sync began starts on the next 4096
//! boundary, so that a torn append cannot touch what that sync makes durable. A checkpoint gives
//! back what it has copied and stops nobody; new records take its place, and what is left there of
//! old ones is told apart by the chain and by the place in the row that every record names.

pub(crate) mod head;
pub(crate) mod record;
pub(crate) mod recovery;
mod space;

use crate::error::{Error, Result};
use crate::ids::{Check, CommitNo, LogPoint, Lsn};
use crate::page::BLOCK_BYTES;
use crate::planted::is_planted;
use crate::vfs::{SyncKind, VfsFile, write_all, write_all_vectored};
use record::{Contents, EncodedRecord, Kind, RecordHeader};
use space::Space;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use twox_hash::XxHash3_128;

/// Where the first record of a generation stands.
pub(crate) const FIRST_RECORD: u64 = BLOCK_BYTES as u64;
/// The log file grows by this.
const GROWTH_BYTES: u64 = 1 << 20;

/// Where an appended record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    /// Of the first image; the others follow.
    pub(crate) images_at: u64,
    /// The row of records went on elsewhere for it.
    pub(crate) jumped: bool,
    /// The place behind the record.
    pub(crate) behind: LogPoint,
}

/// The end of the log, where the writer appends.
#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<dyn VfsFile>,
    salt: [u8; 16],
    space: Space,
    /// Where what the header in force does not cover begins.
    start: LogPoint,
    end: LogPoint,
    /// The log is known to be synced below this place.
    durable_upto: Lsn,
    /// A sync of everything below this place has begun.
    sync_begun: Lsn,
    /// Records since `start` that hold no pages: where they are and how long.
    bookkeeping: VecDeque<(Lsn, u64)>,
    /// Where the append of a record failed that could not be voided yet.
    to_void: Option<u64>,
    file_bytes: u64,
}

impl Log {
    /// A generation `salt` without records, which starts at `start`.
    pub(crate) fn begin(file: Arc<dyn VfsFile>, salt: [u8; 16], start: LogPoint) -> Result<Self> {
        let file_bytes = file.len().map_err(Error::io("read the length of the log"))?;
        let space = Space::new(start.position, start.lsn);
        Ok(Self {
            file,
            salt,
            space,
            start,
            end: start,
            durable_upto: start.lsn,
            sync_begun: start.lsn,
            bookkeeping: VecDeque::new(),
            to_void: None,
            file_bytes,
        })
    }

    /// A generation beside another one, which a crash needs until a header names this one. What it
    /// repeats may not be on the disk yet where it was read: its records must not say that the log was
    /// synced beyond `durable`, or they would turn what a power loss takes into damage.
    pub(crate) fn begin_beside(
        file: Arc<dyn VfsFile>,
        salt: [u8; 16],
        start: LogPoint,
        before: &Space,
        durable: Lsn,
    ) -> Result<Self> {
        let space = Space::beside(before, start.position, start.lsn);
        Ok(Self { space, durable_upto: durable, ..Self::begin(file, salt, start)? })
    }

    /// A header names this generation: what the one before took is free.
    pub(crate) fn take_over(&mut self) {
        self.space.forget_before();
    }

    /// Starts the next generation in place. Nothing of this one is needed any more.
    pub(crate) fn restart(&mut self, salt: [u8; 16], start: LogPoint) {
        self.salt = salt;
        self.space = Space::new(start.position, start.lsn);
        self.start = start;
        self.end = start;
        self.durable_upto = start.lsn;
        self.sync_begun = start.lsn;
        self.bookkeeping.clear();
    }

    /// Gives back what stands before a place.
    pub(crate) fn release(&mut self, start: LogPoint) {
        self.space.release(start.position, start.lsn);
        while self.bookkeeping.front().is_some_and(|(lsn, _)| *lsn < start.lsn) {
            self.bookkeeping.pop_front();
        }
        self.start = start;
    }

    /// Bytes of commits that no checkpoint has passed.
    pub(crate) fn used_bytes(&self) -> u64 {
        let bookkeeping: u64 = self.bookkeeping.iter().map(|(_, length)| length).sum();
        self.end.lsn.0.saturating_sub(self.start.lsn.0).saturating_sub(bookkeeping)
    }

    /// Bytes of records up to a place, which are what commits take: those of an open transaction,
    /// and of one that was given up, stand behind it. A place in an earlier generation is passed.
    pub(crate) fn bytes_upto(&self, place: LogPoint) -> u64 {
        place.lsn.0.saturating_sub(self.start.lsn.0)
    }

    /// Bytes of the file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The place behind the last record.
    pub(crate) fn end(&self) -> LogPoint {
        self.end
    }

    /// Appends one record with one vectored write.
    ///
    /// # Errors
    /// `NoSpace` and `Io` when the record is certainly not in the log; `CommitUnknown` when that
    /// could not be made certain.
    pub(crate) fn append(&mut self, contents: &Contents<'_>) -> Result<Appended> {
        if let Some(position) = self.to_void {
            self.void(position).map_err(Error::io("append to the log"))?;
            self.to_void = None;
        }
        let length = record::length(contents);
        let position = self.next_position();
        match self.space.jump(position, length, self.file_bytes) {
            Some(target) => {
                self.append_at(position, &Contents::jump(target))?;
                // From here on the row goes on there, whatever becomes of the record.
                self.end.position = target;
                self.space.enter(target, 0, self.end.lsn);
                Ok(Appended { jumped: true, ..self.append_at(target, contents)? })
            }
            None => self.append_at(position, contents),
        }
    }

    fn append_at(&mut self, position: u64, contents: &Contents<'_>) -> Result<Appended> {
        let header = RecordHeader {
            kind: contents.kind,
            salt: self.salt,
            position,
            lsn: self.end.lsn,
            previous: self.end.chain,
            durable_upto: self.durable_upto,
        };
        let encoded = record::encode(&header, contents);
        self.reserve(position.saturating_add(encoded.length))?;
        if let Err(error) = self.write(position, &encoded, contents.images) {
            if matches!(contents.kind, Kind::Commit(_)) {
                self.void(position).map_err(|source| Error::CommitUnknown { source })?;
            } else if self.void(position).is_err() {
                // By itself it says nothing that must not come true, but it must not take the place
                // of what comes next.
                self.to_void = Some(position);
            }
            return Err(error);
        }
        self.space.enter(position, encoded.length, self.end.lsn);
        if matches!(contents.kind, Kind::Base(_) | Kind::Jump(_)) {
            self.bookkeeping.push_back((self.end.lsn, encoded.length));
        }
        self.end = LogPoint {
            position: position + encoded.length,
            lsn: Lsn(self.end.lsn.0 + encoded.length),
            chain: encoded.check,
        };
        let images_at = position + encoded.meta.len() as u64;
        Ok(Appended { images_at, jumped: false, behind: self.end })
    }

    fn next_position(&self) -> u64 {
        if self.end.lsn == self.sync_begun {
            self.end.position.next_multiple_of(BLOCK_BYTES as u64)
        } else {
            self.end.position
        }
    }

    /// Meets a full disk before half a record is written.
    fn reserve(&mut self, upto: u64) -> Result<()> {
        if upto > self.file_bytes {
            let goal = upto.next_multiple_of(GROWTH_BYTES);
            self.file.allocate(goal).map_err(Error::io("extend the log"))?;
            self.file_bytes = goal;
        }
        Ok(())
    }

    fn write(&self, position: u64, encoded: &EncodedRecord, images: &[&[u8]]) -> Result<()> {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(images.len() + 1);
        parts.push(&encoded.meta);
        parts.extend_from_slice(images);
        write_all_vectored(&*self.file, &parts, position).map_err(Error::io("append to the log"))
    }

    /// Makes sure that a record whose append failed is not taken for one.
    fn void(&self, position: u64) -> io::Result<()> {
        write_all(&*self.file, &[0u8; record::HEADER_BYTES], position)
    }

    /// Begins a sync of everything that was appended. The caller syncs the file without the log's
    /// lock, so that others append meanwhile, and then says so.
    pub(crate) fn begin_sync(&mut self) -> PendingSync {
        self.sync_begun = self.end.lsn;
        PendingSync { file: Arc::clone(&self.file), upto: self.end.lsn, salt: self.salt }
    }

    /// A sync is done.
    pub(crate) fn synced(&mut self, sync: &PendingSync) {
        if sync.salt == self.salt {
            self.durable_upto = self.durable_upto.max(sync.upto);
        }
    }

    /// How far the log is known to be synced.
    pub(crate) fn durable_upto(&self) -> Lsn {
        self.durable_upto
    }

    /// Cuts the file to nothing; the log is to be begun anew.
    pub(crate) fn truncate(self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

/// A sync under way.
#[derive(Debug)]
pub(crate) struct PendingSync {
    file: Arc<dyn VfsFile>,
    /// What was appended before it began ends here.
    pub(crate) upto: Lsn,
    salt: [u8; 16],
}

impl PendingSync {
    /// Makes everything that was appended before durable.
    pub(crate) fn run(&self) -> io::Result<()> {
        if is_planted("skip_log_sync") { Ok(()) } else { self.file.sync(SyncKind::Data) }
    }
}

/// The chain value that the first record of a generation carries.
pub(crate) fn first_chain(salt: [u8; 16]) -> Check {
    XxHash3_128::oneshot(&salt).to_le_bytes()
}

/// The error for a log that cannot be used at all.
pub(crate) fn foreign(reason: &'static str) -> Error {
    Error::LogDamaged { first_bad: 0, last_commit_seen: CommitNo(0), reason }
}

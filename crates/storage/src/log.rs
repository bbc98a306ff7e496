//! The write-ahead log: commit records, appended; replayed by `recovery`.
//!
//! The file starts with a block that names the database it belongs to; records follow from the
//! second block on, or from where the header of the database says. Records between two syncs are packed; the first one after a sync starts on the
//! next 4096 boundary, so that a torn append cannot touch what was durable. A checkpoint that has
//! copied everything restarts the log in place under a new salt: old records, still there, belong
//! to a generation that the header no longer names.

pub(crate) mod head;
pub(crate) mod record;
pub(crate) mod recovery;

use crate::error::{Error, Result};
use crate::page::{BLOCK_BYTES, CommitNo};
use crate::vfs::{SyncKind, VfsFile, write_all, write_all_vectored};
use record::{Check, DescriptorUpdate, EncodedRecord, FrameHeader, RecordHeader};
use std::sync::Arc;
use twox_hash::XxHash3_128;

/// Where the first record of a generation stands.
pub(crate) const FIRST_RECORD: u64 = BLOCK_BYTES as u64;
/// The log file grows by this.
const GROWTH_BYTES: u64 = 4 << 20;

/// The end of the log, where the writer appends.
#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<dyn VfsFile>,
    salt: [u8; 16],
    /// Where the generation starts; a multiple of 4096.
    start: u64,
    /// Where the next record goes, before alignment.
    end: u64,
    /// The log is known to be synced below this position.
    durable_upto: u64,
    /// Check of the last record.
    chain: Check,
    allocated: u64,
}

impl Log {
    /// A generation `salt` without records, which starts at `start`.
    pub(crate) fn begin(file: Arc<dyn VfsFile>, salt: [u8; 16], start: u64) -> Result<Self> {
        let allocated = file.len().map_err(Error::io("read the length of the log"))?;
        let chain = first_chain(salt);
        Ok(Self { file, salt, start, end: start, durable_upto: start, chain, allocated })
    }

    /// Starts the next generation in place.
    pub(crate) fn restart(&mut self, salt: [u8; 16]) {
        self.salt = salt;
        self.start = FIRST_RECORD;
        self.end = FIRST_RECORD;
        self.durable_upto = FIRST_RECORD;
        self.chain = first_chain(salt);
    }

    /// Bytes of records in this generation.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Appends one record with one vectored write; returns where its images start.
    ///
    /// # Errors
    /// `NoSpace` and `Io` when the record is certainly not in the log; `CommitUnknown` when that
    /// could not be made certain.
    pub(crate) fn append(
        &mut self,
        header: RecordHeader,
        descriptors: &[DescriptorUpdate],
        frames: &[FrameHeader],
        images: &[&[u8]],
    ) -> Result<u64> {
        let position = self.next_position();
        let header = RecordHeader {
            salt: self.salt,
            position,
            previous: self.chain,
            durable_upto: self.durable_upto,
            ..header
        };
        let encoded = record::encode(&header, descriptors, frames, images);
        self.reserve(position + encoded.length)?;
        if let Err(error) = self.write(position, &encoded, images) {
            self.void(position)?;
            return Err(error);
        }
        self.end = position + encoded.length;
        self.chain = encoded.check;
        Ok(position + encoded.meta.len() as u64)
    }

    fn next_position(&self) -> u64 {
        if self.end == self.durable_upto {
            self.end.next_multiple_of(BLOCK_BYTES as u64)
        } else {
            self.end
        }
    }

    /// Meets a full disk before half a record is written.
    fn reserve(&mut self, upto: u64) -> Result<()> {
        if upto > self.allocated {
            let goal = upto.next_multiple_of(GROWTH_BYTES);
            self.file.allocate(goal).map_err(Error::io("extend the log"))?;
            self.allocated = goal;
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
    fn void(&self, position: u64) -> Result<()> {
        let nothing = [0u8; record::HEADER_BYTES];
        write_all(&*self.file, &nothing, position).map_err(|source| Error::CommitUnknown { source })
    }

    /// Makes everything that was appended durable.
    pub(crate) fn sync(&mut self) -> std::io::Result<()> {
        if self.durable_upto < self.end {
            if !cfg!(planted = "skip_log_sync") {
                self.file.sync(SyncKind::Data)?;
            }
            self.durable_upto = self.end;
        }
        Ok(())
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

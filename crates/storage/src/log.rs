//! The write-ahead log: commit records, appended; replayed by `recovery`.
//!
//! The file starts with a block that names the database it belongs to; records follow from the
//! second block on, or from where the header of the database says. Records between two syncs are packed; the first one after a sync starts on the
//! next 4096 boundary, so that a torn append cannot touch what was durable. A checkpoint that has
//! copied everything restarts the log in place under a new salt: old records, still there, belong
//! to a generation that the header no longer names.

pub(crate) mod record;
pub(crate) mod recovery;

use crate::error::{Error, Result};
use crate::page::{BLOCK_BYTES, CommitNo, array_at, put, u32_at};
use crate::vfs::{SyncKind, VfsFile, read_full, write_all, write_all_vectored};
use record::{Check, DescriptorUpdate, EncodedRecord, FrameHeader, RecordHeader};
use std::sync::Arc;
use twox_hash::XxHash3_128;

/// Where the first record of a generation stands.
pub(crate) const FIRST_RECORD: u64 = BLOCK_BYTES as u64;
const MAGIC: [u8; 16] = *b"any-store log\r\n\n";
const VERSION_AT: usize = 16;
const DATABASE_ID_AT: usize = 24;
const CHECK_AT: usize = BLOCK_BYTES - 16;
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

/// Makes a log file the one of this database. It is new, or was left by an earlier session that
/// needs nothing of it any more. Its head is written even where it reads well: an earlier process
/// may have died before it was synced.
///
/// # Errors
/// `LogDamaged` when the file is somebody else's; it is left as it is.
pub(crate) fn claim_file(file: &dyn VfsFile, database_id: [u8; 16]) -> Result<()> {
    match read_file_header(file)? {
        FileHeader::Of(id) if id == database_id => write_file_header(file, database_id),
        FileHeader::Unwritten => write_file_header(file, database_id),
        FileHeader::Of(_) => Err(foreign("belongs to another database")),
        FileHeader::Newer(_) => Err(foreign("was written by a newer version")),
        FileHeader::Damaged => Err(foreign("is no log")),
    }
}

/// The error for a log that cannot be used at all.
pub(crate) fn foreign(reason: &'static str) -> Error {
    Error::LogDamaged { first_bad: 0, last_commit_seen: CommitNo(0), reason }
}

fn write_file_header(file: &dyn VfsFile, database_id: [u8; 16]) -> Result<()> {
    let mut block = vec![0u8; BLOCK_BYTES];
    put(&mut block, 0, &MAGIC);
    put(&mut block, VERSION_AT, &crate::header::FORMAT_VERSION.to_le_bytes());
    put(&mut block, DATABASE_ID_AT, &database_id);
    let check = file_header_check(&block);
    put(&mut block, CHECK_AT, &check);
    write_all(file, &block, 0).map_err(Error::io("write the head of the log"))
}

/// What the head of a log file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FileHeader {
    Of([u8; 16]),
    Newer(u32),
    /// Nothing, or a head that was being written when the power went.
    Unwritten,
    /// Not a log, or a damaged one.
    Damaged,
}

pub(crate) fn read_file_header(file: &dyn VfsFile) -> Result<FileHeader> {
    let mut block = vec![0u8; BLOCK_BYTES];
    let present = read_full(file, &mut block, 0).map_err(Error::io("read the head of the log"))?;
    if present < BLOCK_BYTES || array_at(&block, CHECK_AT) != Some(file_header_check(&block)) {
        let torn = block.starts_with(&MAGIC) || block.iter().take(512).all(|&byte| byte == 0);
        return Ok(if torn { FileHeader::Unwritten } else { FileHeader::Damaged });
    }
    let version = u32_at(&block, VERSION_AT);
    if block.get(..MAGIC.len()) != Some(&MAGIC[..]) {
        Ok(FileHeader::Damaged)
    } else if version != crate::header::FORMAT_VERSION {
        Ok(FileHeader::Newer(version))
    } else {
        Ok(FileHeader::Of(array_at(&block, DATABASE_ID_AT).unwrap_or_default()))
    }
}

fn file_header_check(block: &[u8]) -> Check {
    XxHash3_128::oneshot(block.get(..CHECK_AT).unwrap_or(block)).to_le_bytes()
}

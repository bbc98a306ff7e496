//! The first block of the log file, which names the database that the log belongs to.

use crate::error::{Error, Result};
use crate::header::FORMAT_VERSION;
use crate::ids::{Check, CommitNo};
use crate::page::{BLOCK_BYTES, array_at, put, u32_at};
use crate::vfs::{VfsFile, read_full, write_all};
use twox_hash::XxHash3_128;

const MAGIC: [u8; 16] = *b"any-store log\r\n\n";
const VERSION_AT: usize = 16;
const DATABASE_ID_AT: usize = 24;
const CHECK_AT: usize = BLOCK_BYTES - 16;

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
    put(&mut block, VERSION_AT, &FORMAT_VERSION.to_le_bytes());
    put(&mut block, DATABASE_ID_AT, &database_id);
    let check = check_of(&block);
    put(&mut block, CHECK_AT, &check);
    write_all(file, &block, 0).map_err(Error::io("write the head of the log"))
}

pub(crate) fn read_file_header(file: &dyn VfsFile) -> Result<FileHeader> {
    let mut block = vec![0u8; BLOCK_BYTES];
    let present = read_full(file, &mut block, 0).map_err(Error::io("read the head of the log"))?;
    if present < BLOCK_BYTES || array_at(&block, CHECK_AT) != Some(check_of(&block)) {
        let torn = block.starts_with(&MAGIC) || block.iter().take(512).all(|&byte| byte == 0);
        return Ok(if torn { FileHeader::Unwritten } else { FileHeader::Damaged });
    }
    let version = u32_at(&block, VERSION_AT);
    if block.get(..MAGIC.len()) != Some(&MAGIC[..]) {
        Ok(FileHeader::Damaged)
    } else if version != FORMAT_VERSION {
        Ok(FileHeader::Newer(version))
    } else {
        Ok(FileHeader::Of(array_at(&block, DATABASE_ID_AT).unwrap_or_default()))
    }
}

fn check_of(block: &[u8]) -> Check {
    XxHash3_128::oneshot(block.get(..CHECK_AT).unwrap_or(block)).to_le_bytes()
}

//! The head of a log file: which database it belongs to, and from when on.
//!
//! The first write after a clean open claims the log, under the sequence number that the header of
//! the database gets next: the one that says that the file alone is not the database any more. A
//! clean header with a later number has done with this log, which was only not removed. A clean
//! header with an earlier one has never heard of it: if there are records, then the file is an older
//! copy, or its newer header is lost, and the log is nobody's to overwrite.

use super::{FIRST_RECORD, foreign, record};
use crate::error::{Error, Result};
use crate::header::{FORMAT_VERSION, Header};
use crate::page::{BLOCK_BYTES, array_at, put, u32_at, u64_at};
use crate::vfs::{VfsFile, read_full, write_all};
use twox_hash::XxHash3_128;

const MAGIC: [u8; 16] = *b"any-store log\r\n\n";
const VERSION_AT: usize = 16;
const DATABASE_ID_AT: usize = 24;
const CLAIMED_BY_AT: usize = 40;
const CHECK_AT: usize = BLOCK_BYTES - 16;

/// What the head of a log file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Of {
        database_id: [u8; 16],
        /// The sequence number of the first header that counts on this log.
        claimed_by: u64,
    },
    Newer(u32),
    /// Nothing, or a head that was being written when the power went.
    Unwritten,
    /// Not a log, or a damaged one.
    Damaged,
}

pub(crate) fn read(file: &dyn VfsFile) -> Result<Head> {
    let mut block = vec![0u8; BLOCK_BYTES];
    let present = read_full(file, &mut block, 0).map_err(Error::io("read the head of the log"))?;
    if present < BLOCK_BYTES || array_at(&block, CHECK_AT) != Some(check_of(&block)) {
        let torn = block.starts_with(&MAGIC) || block.iter().take(512).all(|&byte| byte == 0);
        return Ok(if torn { Head::Unwritten } else { Head::Damaged });
    }
    let version = u32_at(&block, VERSION_AT);
    if block.get(..MAGIC.len()) != Some(&MAGIC[..]) {
        Ok(Head::Damaged)
    } else if version != FORMAT_VERSION {
        Ok(Head::Newer(version))
    } else {
        let database_id = array_at(&block, DATABASE_ID_AT).unwrap_or_default();
        Ok(Head::Of { database_id, claimed_by: u64_at(&block, CLAIMED_BY_AT) })
    }
}

/// Refuses a log file that is not free to be claimed for the database with this clean header. A free
/// one is new, or was left by an earlier session that needs nothing of it any more.
pub(crate) fn expect_free(file: &dyn VfsFile, header: &Header) -> Result<()> {
    match read(file)? {
        Head::Of { database_id, .. } if database_id == header.database_id => {
            expect_spent(file, header)
        }
        Head::Unwritten => Ok(()),
        Head::Of { .. } => Err(foreign("belongs to another database")),
        Head::Newer(_) => Err(foreign("was written by a newer version")),
        Head::Damaged => Err(foreign("is no log")),
    }
}

/// Cuts off the records of an earlier session; true if there were any. To be synced before the claim:
/// under the new head they would look like records that the header lacks. The clean header in force
/// must be durable by now.
pub(crate) fn cut_old_records(file: &dyn VfsFile) -> Result<bool> {
    let len = file.len().map_err(Error::io("read the length of the log"))?;
    if len <= BLOCK_BYTES as u64 {
        return Ok(false);
    }
    file.set_len(BLOCK_BYTES as u64).map_err(Error::io("cut an old log"))?;
    Ok(true)
}

/// Makes a free log file the one of this database, for the header that gets the number `claimed_by`.
/// The head is written even where it reads well: an earlier process may have died before it was
/// synced.
pub(crate) fn claim(file: &dyn VfsFile, database_id: [u8; 16], claimed_by: u64) -> Result<()> {
    let mut block = vec![0u8; BLOCK_BYTES];
    put(&mut block, 0, &MAGIC);
    put(&mut block, VERSION_AT, &FORMAT_VERSION.to_le_bytes());
    put(&mut block, DATABASE_ID_AT, &database_id);
    put(&mut block, CLAIMED_BY_AT, &claimed_by.to_le_bytes());
    let check = check_of(&block);
    put(&mut block, CHECK_AT, &check);
    write_all(file, &block, 0).map_err(Error::io("write the head of the log"))
}

/// Refuses a log of this database with records that a clean header knows nothing of.
pub(crate) fn expect_spent(file: &dyn VfsFile, header: &Header) -> Result<()> {
    let Head::Of { database_id, claimed_by } = read(file)? else { return Ok(()) };
    let is_older = database_id == header.database_id && header.sequence < claimed_by;
    if is_older && holds_records(file)? {
        return Err(foreign("it is newer than the file, and holds commits that the file lacks"));
    }
    Ok(())
}

fn holds_records(file: &dyn VfsFile) -> Result<bool> {
    let mut magic = [0u8; 8];
    read_full(file, &mut magic, FIRST_RECORD).map_err(Error::io("read the log"))?;
    Ok(u64::from_le_bytes(magic) == record::MAGIC)
}

fn check_of(block: &[u8]) -> [u8; 16] {
    XxHash3_128::oneshot(block.get(..CHECK_AT).unwrap_or(block)).to_le_bytes()
}

//! The header slots in the first two blocks of the file.
//!
//! There are four, two in each block, every one under its own check. They are written in turn, from
//! block to block, and the valid one with the highest sequence wins. So a torn header write leaves
//! the one before it in force, even where that one, too, had only reached the page cache of a
//! process that died. A slot is written by create, by the first write after an open, by a checkpoint
//! that restarts the log, and by a clean close; what changes with every commit travels in the
//! commit record.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::{Error, Result};
use crate::ids::{Counters, LogPoint, Lsn, TREE_ZERO};
use crate::page::{BLOCK_BYTES, CommitNo, PageNo, array_at, put, u32_at, u64_at};
use crate::planted::is_planted;
use crate::tree::TreeDescriptor;
use crate::vfs::{VfsFile, read_full, write_all};
use twox_hash::XxHash3_128;

/// Blocks at the start of the file that hold the slots.
pub(crate) const HEADER_BLOCKS: u32 = 2;
/// Number of header slots.
pub(crate) const SLOT_COUNT: usize = 4;
const SLOT_BYTES: usize = BLOCK_BYTES / 2;
/// The first bytes of a database.
pub(crate) const MAGIC: [u8; 16] = *b"any-store db\r\n\x1a\n";
/// The format this library reads and writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

const READ_VERSION_AT: usize = 16;
const WRITE_VERSION_AT: usize = 20;
const DATABASE_ID_AT: usize = 24;
const SEQUENCE_AT: usize = 40;
const FLAGS_AT: usize = 48;
const BLOCK_COUNT_AT: usize = 52;
const COMMIT_AT: usize = 56;
const FREE_BLOCKS_AT: usize = 64;
const NEXT_TREE_AT: usize = 68;
const CATALOG_VERSION_AT: usize = 72;
const SALT_AT: usize = 80;
const TREE_ZERO_AT: usize = 96;
const LOG_START_AT: usize = TREE_ZERO_AT + TreeDescriptor::ENCODED_BYTES;
const LOG_LSN_AT: usize = LOG_START_AT + 8;
const LOG_DURABLE_AT: usize = LOG_LSN_AT + 8;
const LOG_CHAIN_AT: usize = LOG_DURABLE_AT + 8;
const CHECK_AT: usize = SLOT_BYTES - 16;
const FLAG_CLEAN: u32 = 1;
/// No log was ever as long.
const MOST_LSN: u64 = 1 << 62;

/// The state of the file as of its last restart of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    /// What a library has to know to write this file.
    pub(crate) write_version: u32,
    /// Names this database, for ever.
    pub(crate) database_id: [u8; 16],
    /// Rises with each slot written.
    pub(crate) sequence: u64,
    /// The file alone is the whole database; the log holds nothing.
    pub(crate) clean: bool,
    /// The commit whose state the file holds.
    pub(crate) commit: CommitNo,
    /// Blocks of the file that are in use or were.
    pub(crate) block_count: u32,
    /// Free ones among them.
    pub(crate) free_blocks: u32,
    /// The number the next new tree gets.
    pub(crate) next_tree: u32,
    /// Version of the catalog, counted by the layer above.
    pub(crate) catalog_version: u64,
    /// Names the generation of the log that continues this state.
    pub(crate) salt: [u8; 16],
    /// The tree of descriptors.
    pub(crate) tree_zero: TreeDescriptor,
    /// Where in the log what continues this state begins.
    pub(crate) log_start: LogPoint,
    /// The log was synced below this place when the header was written: a log that ends before has
    /// lost durable commits.
    pub(crate) log_durable: Lsn,
}

impl Header {
    /// The bytes of a slot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut slot = vec![0u8; SLOT_BYTES];
        put(&mut slot, 0, &MAGIC);
        put(&mut slot, READ_VERSION_AT, &FORMAT_VERSION.to_le_bytes());
        put(&mut slot, WRITE_VERSION_AT, &self.write_version.to_le_bytes());
        put(&mut slot, DATABASE_ID_AT, &self.database_id);
        put(&mut slot, SEQUENCE_AT, &self.sequence.to_le_bytes());
        let flags = if self.clean { FLAG_CLEAN } else { 0 };
        put(&mut slot, FLAGS_AT, &flags.to_le_bytes());
        put(&mut slot, BLOCK_COUNT_AT, &self.block_count.to_le_bytes());
        put(&mut slot, COMMIT_AT, &self.commit.0.to_le_bytes());
        put(&mut slot, FREE_BLOCKS_AT, &self.free_blocks.to_le_bytes());
        put(&mut slot, NEXT_TREE_AT, &self.next_tree.to_le_bytes());
        put(&mut slot, CATALOG_VERSION_AT, &self.catalog_version.to_le_bytes());
        put(&mut slot, SALT_AT, &self.salt);
        put(&mut slot, TREE_ZERO_AT, &self.tree_zero.encode());
        put(&mut slot, LOG_START_AT, &self.log_start.position.to_le_bytes());
        put(&mut slot, LOG_LSN_AT, &self.log_start.lsn.0.to_le_bytes());
        put(&mut slot, LOG_DURABLE_AT, &self.log_durable.0.to_le_bytes());
        put(&mut slot, LOG_CHAIN_AT, &self.log_start.chain);
        let check = slot_check(&slot);
        put(&mut slot, CHECK_AT, &check);
        slot
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let descriptor = slot.get(TREE_ZERO_AT..)?.get(..TreeDescriptor::ENCODED_BYTES)?;
        let header = Self {
            write_version: u32_at(slot, WRITE_VERSION_AT),
            database_id: array_at(slot, DATABASE_ID_AT)?,
            sequence: u64_at(slot, SEQUENCE_AT),
            clean: u32_at(slot, FLAGS_AT) & FLAG_CLEAN != 0,
            commit: CommitNo(u64_at(slot, COMMIT_AT)),
            block_count: u32_at(slot, BLOCK_COUNT_AT),
            free_blocks: u32_at(slot, FREE_BLOCKS_AT),
            next_tree: u32_at(slot, NEXT_TREE_AT),
            catalog_version: u64_at(slot, CATALOG_VERSION_AT),
            salt: array_at(slot, SALT_AT)?,
            tree_zero: TreeDescriptor::decode(descriptor)?,
            log_start: LogPoint {
                position: u64_at(slot, LOG_START_AT),
                lsn: Lsn(u64_at(slot, LOG_LSN_AT)),
                chain: array_at(slot, LOG_CHAIN_AT)?,
            },
            log_durable: Lsn(u64_at(slot, LOG_DURABLE_AT)),
        };
        header.is_plausible().then_some(header)
    }

    /// The numbers of the state it describes.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            commit: self.commit,
            block_count: self.block_count,
            free_blocks: self.free_blocks,
            next_tree: self.next_tree,
            catalog_version: self.catalog_version,
        }
    }

    /// The same state under a later sequence number.
    pub(crate) fn next(&self, steps: u64) -> Result<Self> {
        let sequence = self.sequence.checked_add(steps);
        let sequence = sequence.ok_or(Error::LimitExceeded("sequence numbers of the header"))?;
        Ok(Self { sequence, ..self.clone() })
    }

    /// What no library writes. The first block behind the slots is a bitmap, and tree 0 is there.
    fn is_plausible(&self) -> bool {
        self.block_count > HEADER_BLOCKS
            && self.free_blocks < self.block_count
            && self.next_tree > TREE_ZERO.0
            && self.tree_zero.id == TREE_ZERO
            && self.log_start.lsn <= self.log_durable
            && self.log_durable.0 < MOST_LSN
            && self.log_start.position < MOST_LSN
    }

    /// # Errors
    /// `UnsupportedFormat` when only newer versions know how to write this file.
    pub(crate) fn expect_writable(&self) -> Result<()> {
        let found = self.write_version;
        if found > FORMAT_VERSION {
            return Err(Error::UnsupportedFormat { found, supported: FORMAT_VERSION });
        }
        Ok(())
    }
}

/// What one slot holds.
#[derive(Debug)]
pub(crate) enum Slot {
    Valid(Box<Header>),
    /// Written by a newer version, which says it cannot be read by this one.
    Newer(u32),
    /// Ours by its first bytes, and damaged.
    Damaged,
    Foreign,
}

/// Reads all slots, in the order in which they are written.
pub(crate) fn read_slots(file: &dyn VfsFile) -> Result<[Slot; SLOT_COUNT]> {
    let mut bytes = [0u8; SLOT_BYTES.saturating_mul(SLOT_COUNT)];
    let present = read_full(file, &mut bytes, 0).map_err(Error::io("read the header"))?;
    let present = bytes.get(..present).unwrap_or_default();
    Ok([0, 1, 2, 3].map(|slot| {
        let from = slot_offset(slot).min(present.len());
        let until = from.saturating_add(SLOT_BYTES).min(present.len());
        read_slot(present.get(from..until).unwrap_or_default())
    }))
}

/// Slots that follow each other stand in different blocks.
fn slot_offset(slot: usize) -> usize {
    let (block, half) = (slot & 1, slot >> 1);
    block.saturating_mul(BLOCK_BYTES).saturating_add(half.saturating_mul(SLOT_BYTES))
}

/// The block that a slot stands in.
pub(crate) fn slot_block(slot: usize) -> PageNo {
    PageNo(u32::from(slot & 1 != 0))
}

fn read_slot(slot: &[u8]) -> Slot {
    if slot.get(..MAGIC.len()) != Some(&MAGIC[..]) {
        return Slot::Foreign;
    }
    let checked = slot.len() == SLOT_BYTES && array_at(slot, CHECK_AT) == Some(slot_check(slot));
    if !checked && !is_planted("header_unchecked") {
        return Slot::Damaged;
    }
    match u32_at(slot, READ_VERSION_AT) {
        FORMAT_VERSION => Header::decode(slot).map_or(Slot::Damaged, |h| Slot::Valid(Box::new(h))),
        newer => Slot::Newer(newer),
    }
}

/// The header in force.
///
/// # Errors
/// `NotADatabase` when no slot looks like ours, `Corrupt` when all that do are damaged,
/// `UnsupportedFormat` when a newer version wrote them.
pub(crate) fn current(slots: [Slot; SLOT_COUNT]) -> Result<Header> {
    let mut best: Option<Box<Header>> = None;
    let mut damaged = false;
    for slot in slots {
        match slot {
            Slot::Valid(header) => {
                if best.as_ref().is_none_or(|b| b.sequence < header.sequence) {
                    best = Some(header);
                }
            }
            Slot::Newer(found) => {
                return Err(Error::UnsupportedFormat { found, supported: FORMAT_VERSION });
            }
            Slot::Damaged => damaged = true,
            Slot::Foreign => {}
        }
    }
    match best {
        Some(header) => Ok(*header),
        None if damaged => Err(Error::corrupt(PageNo(0), "all header slots are damaged")),
        None => Err(Error::NotADatabase),
    }
}

/// The blocks of the header of a file whose every slot says the same.
pub(crate) fn encode_blocks(header: &Header) -> Result<Vec<u8>> {
    let mut blocks = vec![0; SLOT_BYTES.saturating_mul(SLOT_COUNT)];
    for slot in 0..SLOT_COUNT {
        let header = header.next(slot as u64)?;
        put(&mut blocks, slot_offset(slot), &header.encode());
    }
    Ok(blocks)
}

/// Writes a header into the slot that its sequence number chooses: the one written longest ago.
pub(crate) fn write(file: &dyn VfsFile, header: &Header) -> Result<()> {
    write_at_slot_of(file, header.sequence, header)
}

/// Writes a header into the slot that another's sequence number chooses.
pub(crate) fn write_at_slot_of(file: &dyn VfsFile, sequence: u64, header: &Header) -> Result<()> {
    let slot = sequence.checked_rem(SLOT_COUNT as u64).unwrap_or(0);
    let offset = slot_offset(usize::try_from(slot).unwrap_or(0));
    write_all(file, &header.encode(), offset as u64).map_err(Error::io("write the header"))
}

fn slot_check(slot: &[u8]) -> [u8; 16] {
    XxHash3_128::oneshot(slot.get(..CHECK_AT).unwrap_or(slot)).to_le_bytes()
}

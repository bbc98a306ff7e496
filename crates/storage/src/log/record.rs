//! The record: one commit, or what the log needs between commits, as bytes.
//!
//! ```text
//!   +--------+-------------+---------------+-------------------------+
//!   | header | descriptors | frame headers | page images             |
//!   | 128 B  | n x 64 B    | m x 24 B      | each a multiple of 4 KiB|
//!   +--------+-------------+---------------+-------------------------+
//! ```
//!
//! The header says what the record is, how long it is, where it stands, what stood before it
//! (the previous record's check: the chain), and how far the log was known to be synced when it was
//! written. Its check covers the header, the descriptors, the frame headers and the tails of the
//! images; each image is covered by its own tail. So a record is verified alone, and in its chain.
#![deny(clippy::arithmetic_side_effects)]

use crate::codec::page_tail;
use crate::header::HEADER_BLOCKS;
use crate::ids::{Check, Counters, Lsn, TREE_ZERO};
use crate::page::{BLOCK_BYTES, CommitNo, PageNo, TreeId, array_at, put, u16_at, u32_at, u64_at};
use crate::tree::TreeDescriptor;
use twox_hash::xxhash3_128::Hasher;

/// First bytes of a record.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"\xA5ANYREC\x01");
/// Bytes of the record header.
pub(crate) const HEADER_BYTES: usize = 128;
/// Records stand at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;
const DESCRIPTOR_BYTES: usize = TreeDescriptor::ENCODED_BYTES.next_multiple_of(8) + 8;
const FRAME_BYTES: usize = 24;

const SALT_AT: usize = 8;
const POSITION_AT: usize = 24;
const COMMIT_AT: usize = 32;
const PREVIOUS_AT: usize = 40;
const DURABLE_UPTO_AT: usize = 56;
const LENGTH_AT: usize = 64;
const CATALOG_VERSION_AT: usize = 72;
const TARGET_AT: usize = 72;
const FRAME_COUNT_AT: usize = 80;
const DESCRIPTOR_COUNT_AT: usize = 84;
const BLOCK_COUNT_AT: usize = 88;
const FREE_BLOCKS_AT: usize = 92;
const NEXT_TREE_AT: usize = 96;
const KIND_AT: usize = 100;
const LSN_AT: usize = 104;
const CHECK_AT: usize = HEADER_BYTES - 16;

/// True for what a library writes.
fn is_plausible(counters: &Counters) -> bool {
    counters.block_count > HEADER_BLOCKS
        && counters.free_blocks < counters.block_count
        && counters.next_tree > TREE_ZERO.0
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One commit.
    Commit(Counters),
    /// Pages of a transaction that has no room for them; they count once its commit names their
    /// places.
    Spill(CommitNo),
    /// The trees that had changed since the descriptor tree was last brought up to date, as of a
    /// commit that a checkpoint has passed.
    Base(CommitNo),
    /// The next record stands at this position.
    Jump(u64),
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Commit(_) => 0,
            Self::Spill(_) => 1,
            Self::Base(_) => 2,
            Self::Jump(_) => 3,
        }
    }

    /// The commit that the record is, or belongs to.
    pub(crate) fn commit(self) -> CommitNo {
        match self {
            Self::Commit(counters) => counters.commit,
            Self::Spill(commit) | Self::Base(commit) => commit,
            Self::Jump(_) => CommitNo(0),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let commit = CommitNo(u64_at(bytes, COMMIT_AT));
        match bytes.get(KIND_AT)? {
            0 => Some(Self::Commit(Counters {
                commit,
                block_count: u32_at(bytes, BLOCK_COUNT_AT),
                free_blocks: u32_at(bytes, FREE_BLOCKS_AT),
                next_tree: u32_at(bytes, NEXT_TREE_AT),
                catalog_version: u64_at(bytes, CATALOG_VERSION_AT),
            }))
            .filter(|kind| matches!(kind, Self::Commit(counters) if is_plausible(counters))),
            1 => Some(Self::Spill(commit)),
            2 => Some(Self::Base(commit)),
            3 => Some(Self::Jump(u64_at(bytes, TARGET_AT))),
            _ => None,
        }
    }

    fn encode(self, meta: &mut [u8]) {
        put(meta, KIND_AT, &[self.code()]);
        put(meta, COMMIT_AT, &self.commit().0.to_le_bytes());
        match self {
            Self::Commit(counters) => {
                put(meta, CATALOG_VERSION_AT, &counters.catalog_version.to_le_bytes());
                put(meta, BLOCK_COUNT_AT, &counters.block_count.to_le_bytes());
                put(meta, FREE_BLOCKS_AT, &counters.free_blocks.to_le_bytes());
                put(meta, NEXT_TREE_AT, &counters.next_tree.to_le_bytes());
            }
            Self::Jump(target) => put(meta, TARGET_AT, &target.to_le_bytes()),
            Self::Spill(_) | Self::Base(_) => {}
        }
    }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    /// The generation of the log.
    pub(crate) salt: [u8; 16],
    /// Where in the file the record stands.
    pub(crate) position: u64,
    pub(crate) lsn: Lsn,
    /// Check of the record before.
    pub(crate) previous: Check,
    /// The log was known to be synced below this place.
    pub(crate) durable_upto: Lsn,
}

/// A tree that the commit changed: its new descriptor, or `None` when it was dropped.
pub(crate) type DescriptorUpdate = (TreeId, Option<TreeDescriptor>);

/// What a frame says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// The whole page follows.
    Image,
    /// The page is in use no longer; nothing follows.
    Freed,
    /// The whole page stands at this position, in a spill of the same commit.
    Placed(u64),
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    pub(crate) page_no: PageNo,
    pub(crate) block_count: u16,
    /// The version of the page before this commit; 0 if there was none.
    pub(crate) replaces: CommitNo,
}

impl FrameHeader {
    /// Bytes of the image behind the frame headers.
    pub(crate) fn image_bytes(&self) -> usize {
        match self.kind {
            FrameKind::Image => self.page_bytes(),
            FrameKind::Freed | FrameKind::Placed(_) => 0,
        }
    }

    /// Bytes of the page.
    pub(crate) fn page_bytes(&self) -> usize {
        BLOCK_BYTES.saturating_mul(self.block_count as usize)
    }

    fn encode(&self, commit: CommitNo, meta: &mut [u8], at: usize) {
        let (code, place) = match self.kind {
            FrameKind::Image => (1, commit.0),
            FrameKind::Freed => (2, commit.0),
            FrameKind::Placed(position) => (4, position),
        };
        put(meta, at, &self.page_no.0.to_le_bytes());
        put(meta, at.saturating_add(4), &self.block_count.to_le_bytes());
        put(meta, at.saturating_add(6), &[code]);
        put(meta, at.saturating_add(8), &place.to_le_bytes());
        put(meta, at.saturating_add(16), &self.replaces.0.to_le_bytes());
    }
}

/// What a record is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) kind: Kind,
    pub(crate) descriptors: &'a [DescriptorUpdate],
    pub(crate) frames: &'a [FrameHeader],
    /// The bytes of the image frames, in their order.
    pub(crate) images: &'a [&'a [u8]],
}

impl Contents<'_> {
    /// The record that says where the next one stands.
    pub(crate) fn jump(target: u64) -> Self {
        Self { kind: Kind::Jump(target), descriptors: &[], frames: &[], images: &[] }
    }
}

/// A record made for appending: everything but the images, which are written from their pages.
pub(crate) struct EncodedRecord {
    pub(crate) meta: Vec<u8>,
    pub(crate) check: Check,
    /// Of the whole record, images included.
    pub(crate) length: u64,
}

/// Bytes that a record takes.
pub(crate) fn length(contents: &Contents<'_>) -> u64 {
    let images = contents.images.iter().fold(0usize, |sum, image| sum.saturating_add(image.len()));
    let meta = meta_bytes(contents.descriptors.len(), contents.frames.len());
    meta.unwrap_or(usize::MAX).saturating_add(images) as u64
}

/// Encodes a record.
pub(crate) fn encode(header: &RecordHeader, contents: &Contents<'_>) -> EncodedRecord {
    let Contents { descriptors, frames, images, .. } = contents;
    let mut meta = vec![0u8; meta_bytes(descriptors.len(), frames.len()).unwrap_or(usize::MAX)];
    let length = length(contents);
    put_header(&mut meta, header, length);
    put(&mut meta, FRAME_COUNT_AT, &count(frames.len()));
    put(&mut meta, DESCRIPTOR_COUNT_AT, &count(descriptors.len()));
    let mut at = HEADER_BYTES;
    for (tree, descriptor) in *descriptors {
        put(&mut meta, at, &tree.0.to_le_bytes());
        if let Some(descriptor) = descriptor {
            put(&mut meta, at.saturating_add(4), &[1]);
            put(&mut meta, at.saturating_add(8), &descriptor.encode());
        }
        at = at.saturating_add(DESCRIPTOR_BYTES);
    }
    for frame in *frames {
        frame.encode(header.kind.commit(), &mut meta, at);
        at = at.saturating_add(FRAME_BYTES);
    }
    let mut hasher = Hasher::new();
    hasher.write(meta.get(..CHECK_AT).unwrap_or_default());
    hasher.write(meta.get(HEADER_BYTES..).unwrap_or_default());
    for image in *images {
        hasher.write(&page_tail(image).unwrap_or_default());
    }
    let check = hasher.finish_128().to_le_bytes();
    put(&mut meta, CHECK_AT, &check);
    EncodedRecord { meta, check, length }
}

fn put_header(meta: &mut [u8], header: &RecordHeader, length: u64) {
    put(meta, 0, &MAGIC.to_le_bytes());
    put(meta, SALT_AT, &header.salt);
    put(meta, POSITION_AT, &header.position.to_le_bytes());
    put(meta, PREVIOUS_AT, &header.previous);
    put(meta, DURABLE_UPTO_AT, &header.durable_upto.0.to_le_bytes());
    put(meta, LENGTH_AT, &length.to_le_bytes());
    put(meta, LSN_AT, &header.lsn.0.to_le_bytes());
    header.kind.encode(meta);
}

fn count(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// Bytes before the images.
fn meta_bytes(descriptors: usize, frames: usize) -> Option<usize> {
    let descriptors = descriptors.checked_mul(DESCRIPTOR_BYTES)?;
    let frames = frames.checked_mul(FRAME_BYTES)?;
    HEADER_BYTES.checked_add(descriptors)?.checked_add(frames)
}

/// The head of a record as found in a log, not yet verified.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) header: RecordHeader,
    pub(crate) check: Check,
    pub(crate) length: u64,
    pub(crate) meta_bytes: usize,
    descriptor_count: usize,
    frame_count: usize,
}

impl Found {
    /// Reads a record's head. `None` unless the bytes claim to be a record that stands at
    /// `position` and ends at or before `log_end`.
    pub(crate) fn parse(bytes: &[u8], position: u64, log_end: u64) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let ours = u64_at(bytes, 0) == MAGIC && u64_at(bytes, POSITION_AT) == position;
        let length = u64_at(bytes, LENGTH_AT);
        let frame_count = u32_at(bytes, FRAME_COUNT_AT) as usize;
        let descriptor_count = u32_at(bytes, DESCRIPTOR_COUNT_AT) as usize;
        let meta_bytes = meta_bytes(descriptor_count, frame_count)?;
        let fits = position.checked_add(length)? <= log_end
            && meta_bytes as u64 <= length
            && length.is_multiple_of(ALIGNMENT);
        (ours && fits).then_some(())?;
        let header = RecordHeader {
            kind: Kind::decode(bytes)?,
            salt: array_at(bytes, SALT_AT)?,
            position,
            lsn: Lsn(u64_at(bytes, LSN_AT)),
            previous: array_at(bytes, PREVIOUS_AT)?,
            durable_upto: Lsn(u64_at(bytes, DURABLE_UPTO_AT)),
        };
        let check = array_at(bytes, CHECK_AT)?;
        Some(Self { header, check, length, meta_bytes, descriptor_count, frame_count })
    }

    /// Reads descriptors and frame headers. `None` if they are not well formed or do not add up to
    /// the record's length.
    pub(crate) fn body(&self, meta: &[u8]) -> Option<Body> {
        let body = meta.get(HEADER_BYTES..self.meta_bytes)?;
        let split = self.descriptor_count.checked_mul(DESCRIPTOR_BYTES)?;
        let (descriptors, frames) = body.split_at_checked(split)?;
        let descriptors = descriptors
            .chunks_exact(DESCRIPTOR_BYTES)
            .map(descriptor_update)
            .collect::<Option<_>>()?;
        let frames: Vec<FrameHeader> =
            frames.chunks_exact(FRAME_BYTES).map(frame_header).collect::<Option<_>>()?;
        debug_assert_eq!(frames.len(), self.frame_count);
        let images =
            frames.iter().try_fold(0usize, |sum, frame| sum.checked_add(frame.image_bytes()))?;
        let adds_up = (self.meta_bytes as u64).checked_add(images as u64)? == self.length;
        let plausible = frames.iter().all(|frame| self.can_hold(frame));
        (adds_up && plausible).then_some(Body { descriptors, frames })
    }

    /// Images lie behind the header slots, and those of a commit inside the file. A freed page may
    /// lie beyond its end: a close frees and cuts in one commit.
    fn can_hold(&self, frame: &FrameHeader) -> bool {
        let end = frame.page_no.0.checked_add(frame.block_count.into());
        let limit = match (self.header.kind, frame.kind) {
            (Kind::Commit(counters), FrameKind::Image | FrameKind::Placed(_)) => {
                counters.block_count
            }
            (Kind::Commit(_), FrameKind::Freed) | (Kind::Spill(_), FrameKind::Image) => u32::MAX,
            _ => return false,
        };
        frame.page_no.0 >= HEADER_BLOCKS && end.is_some_and(|end| end <= limit)
    }

    /// Starts the check of this record; the tails of its images are to be added in order.
    pub(crate) fn begin_check(&self, meta: &[u8]) -> RecordCheck {
        let mut hasher = Hasher::new();
        hasher.write(meta.get(..CHECK_AT).unwrap_or_default());
        hasher.write(meta.get(HEADER_BYTES..).unwrap_or_default());
        RecordCheck { hasher, expected: self.check }
    }
}

fn descriptor_update(bytes: &[u8]) -> Option<DescriptorUpdate> {
    let tree = TreeId(u32_at(bytes, 0));
    let encoded = bytes.get(8..)?.get(..TreeDescriptor::ENCODED_BYTES)?;
    match bytes.get(4)? {
        0 if tree != TREE_ZERO => Some((tree, None)),
        1 => Some((tree, Some(TreeDescriptor::decode(encoded).filter(|d| d.id == tree)?))),
        _ => None,
    }
}

fn frame_header(bytes: &[u8]) -> Option<FrameHeader> {
    let kind = match bytes.get(6).copied()? {
        1 => FrameKind::Image,
        2 => FrameKind::Freed,
        4 => FrameKind::Placed(u64_at(bytes, 8)),
        _ => return None,
    };
    let block_count = u16_at(bytes, 4);
    (block_count > 0).then_some(FrameHeader {
        kind,
        page_no: PageNo(u32_at(bytes, 0)),
        block_count,
        replaces: CommitNo(u64_at(bytes, 16)),
    })
}

/// What a record found in the log holds.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) descriptors: Vec<DescriptorUpdate>,
    pub(crate) frames: Vec<FrameHeader>,
}

/// The check of a record under way.
pub(crate) struct RecordCheck {
    hasher: Hasher,
    expected: Check,
}

impl RecordCheck {
    pub(crate) fn add_image(&mut self, image: &[u8]) {
        self.hasher.write(&page_tail(image).unwrap_or_default());
    }

    pub(crate) fn holds(&self) -> bool {
        self.hasher.finish_128().to_le_bytes() == self.expected
    }
}

//! Recovery: what a log says after a crash.
//!
//! The longest valid prefix of records counts. Where it ends, either the last append was torn and
//! what follows was never durable, or bytes below a durable commit have rotted. The two are told
//! apart by evidence: a later valid record of this generation which says that the log was synced
//! beyond the first bad byte. A torn tail is dropped; damage is reported and nothing is changed.
#![deny(clippy::arithmetic_side_effects)]

use super::first_chain;
use super::record::{
    ALIGNMENT, Check, Contents, DescriptorUpdate, Found, FrameHeader, FrameKind, HEADER_BYTES,
    MAGIC, RecordHeader,
};
use crate::bitmap;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::page::{BLOCK_BYTES, CommitNo, PageNo};
use crate::tree::TreeDescriptor;
use crate::vfs::{VfsFile, read_full};
use crate::{page, page::TreeId};
use std::collections::{BTreeMap, BTreeSet};

const WINDOW_BYTES: usize = 1 << 20;

/// A commit that the log holds.
#[derive(Debug)]
pub(crate) struct RecoveredCommit {
    pub(crate) header: RecordHeader,
    pub(crate) descriptors: Vec<DescriptorUpdate>,
    pub(crate) frames: Vec<FrameHeader>,
    /// Position of the first image; the others follow.
    pub(crate) images_at: u64,
}

impl RecoveredCommit {
    /// The frames, each with the position of its image, if the images start at `images_at`.
    pub(crate) fn placed(&self, images_at: u64) -> impl Iterator<Item = (FrameHeader, u64)> + '_ {
        self.frames.iter().scan(images_at, |position, frame| {
            let at = *position;
            *position = position.saturating_add(frame.image_bytes() as u64);
            Some((*frame, at))
        })
    }
}

/// The numbers that ride in every commit record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) commit: CommitNo,
    pub(crate) block_count: u32,
    pub(crate) free_blocks: u32,
    pub(crate) next_tree: u32,
    pub(crate) catalog_version: u64,
}

/// The valid prefix of a log.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Oldest first.
    pub(crate) commits: Vec<RecoveredCommit>,
    /// End of the last record.
    pub(crate) end: u64,
}

impl Recovered {
    /// The counters after the last commit; `None` when there is none.
    pub(crate) fn counters(&self) -> Option<Counters> {
        self.commits.last().map(|last| Counters {
            commit: last.header.commit,
            block_count: last.header.block_count,
            free_blocks: last.header.free_blocks,
            next_tree: last.header.next_tree,
            catalog_version: last.header.catalog_version,
        })
    }

    /// The trees that were changed, with their newest descriptors.
    pub(crate) fn descriptors(&self) -> BTreeMap<TreeId, Option<TreeDescriptor>> {
        self.commits.iter().flat_map(|commit| commit.descriptors.iter().copied()).collect()
    }

    fn add(&mut self, record: Record) {
        let Record { found, contents } = record;
        self.end = found.header.position.saturating_add(found.length);
        self.commits.push(RecoveredCommit {
            images_at: found.header.position.saturating_add(found.meta_bytes as u64),
            header: found.header,
            descriptors: contents.descriptors,
            frames: contents.frames,
        });
    }
}

/// Reads the generation `salt`, which starts at `start` and continues the state after commit `base`.
///
/// # Errors
/// `LogDamaged` when records below a durable commit are bad; `Io` when the log cannot be read.
pub(crate) fn recover(
    file: &dyn VfsFile,
    codec: &dyn Codec,
    salt: [u8; 16],
    start: u64,
    base: Counters,
) -> Result<Recovered> {
    let mut reader = LogReader::new(file)?;
    if start > reader.len {
        return Err(super::foreign("the log is shorter than the header says"));
    }
    let mut recovered = Recovered { commits: Vec::new(), end: start };
    let mut chain = first_chain(salt);
    let (mut last, mut group_count) = (base.commit, bitmap::group_count(base.block_count));
    loop {
        let packed = recovered.end;
        let record = match reader.record_in_chain(packed, salt, codec, last, chain)? {
            Some(record) => Some(record),
            None => {
                let boundary = packed.next_multiple_of(BLOCK_BYTES as u64);
                reader.record_in_chain(boundary, salt, codec, last, chain)?
            }
        };
        let Some(record) = record.filter(|record| record.brings_groups(group_count)) else { break };
        group_count = bitmap::group_count(record.found.header.block_count);
        last = record.found.header.commit;
        chain = record.found.check;
        recovered.add(record);
    }
    reader.refuse_damage(recovered.end, salt, codec, last)?;
    Ok(recovered)
}

/// A record whose check holds.
struct Record {
    found: Found,
    contents: Contents,
}

impl Record {
    /// True if there is a bitmap for each group of blocks that was not there before. So no record
    /// makes the file longer than its own bytes warrant.
    fn brings_groups(&self, before: u32) -> bool {
        let new = before..bitmap::group_count(self.found.header.block_count);
        if new.len() > self.contents.frames.len() {
            return false;
        }
        let is_image = |frame: &&FrameHeader| frame.kind == FrameKind::Image;
        let images = self.contents.frames.iter().filter(is_image).map(|frame| frame.page_no);
        let images: BTreeSet<PageNo> =
            if new.is_empty() { BTreeSet::new() } else { images.collect() };
        new.into_iter().all(|group| bitmap::bitmap_page(group).is_some_and(|b| images.contains(&b)))
    }
}

/// Reads the log through a window that moves forward.
struct LogReader<'f> {
    file: &'f dyn VfsFile,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'f> LogReader<'f> {
    fn new(file: &'f dyn VfsFile) -> Result<Self> {
        let len = file.len().map_err(Error::io("read the length of the log"))?;
        Ok(Self { file, len, window: Vec::new(), window_at: 0 })
    }

    /// The bytes `at..at + len`; fewer at the end of the file.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        let offset = at.checked_sub(self.window_at).and_then(|offset| usize::try_from(offset).ok());
        let inside = offset
            .filter(|offset| offset.checked_add(len).is_some_and(|end| end <= self.window.len()));
        let offset = match inside {
            Some(offset) => offset,
            None => {
                self.fill(at, len.max(WINDOW_BYTES))?;
                0
            }
        };
        let end = offset.saturating_add(len).min(self.window.len());
        Ok(self.window.get(offset..end).unwrap_or_default())
    }

    fn fill(&mut self, at: u64, want: usize) -> Result<()> {
        let present = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let want = want.min(present);
        self.window.clear();
        let memory = Error::LimitExceeded("memory for reading the log");
        self.window.try_reserve_exact(want).map_err(|_| memory)?;
        self.window.resize(want, 0);
        let read = read_full(self.file, &mut self.window, at).map_err(Error::io("read the log"))?;
        self.window.truncate(read);
        self.window_at = at;
        Ok(())
    }

    /// The record at `position`, if it is valid and continues the chain.
    fn record_in_chain(
        &mut self,
        position: u64,
        salt: [u8; 16],
        codec: &dyn Codec,
        last: CommitNo,
        chain: Check,
    ) -> Result<Option<Record>> {
        let Some(found) = self.find(position, salt)? else { return Ok(None) };
        let continues =
            found.header.previous == chain && Some(found.header.commit.0) == last.0.checked_add(1);
        if continues { self.verify(found, codec) } else { Ok(None) }
    }

    fn find(&mut self, position: u64, salt: [u8; 16]) -> Result<Option<Found>> {
        let log_end = self.len;
        let head = self.bytes(position, HEADER_BYTES)?;
        Ok(Found::parse(head, salt, position, log_end))
    }

    /// Checks the record and each of its images.
    fn verify(&mut self, found: Found, codec: &dyn Codec) -> Result<Option<Record>> {
        let meta = self.bytes(found.header.position, found.meta_bytes)?;
        let Some(contents) = found.contents(meta) else { return Ok(None) };
        let mut check = found.begin_check(meta);
        let mut position = found.header.position.saturating_add(found.meta_bytes as u64);
        for frame in &contents.frames {
            let len = frame.image_bytes();
            if len > 0 {
                let image = self.bytes(position, len)?;
                let intact = image.len() == len
                    && codec.open(image)
                    && page::is_version_of(image, frame.page_no, found.header.commit);
                if !intact && !cfg!(planted = "keep_uncommitted_tail") {
                    return Ok(None);
                }
                check.add_image(image);
            }
            position = position.saturating_add(len as u64);
        }
        let valid = check.holds() || cfg!(planted = "keep_uncommitted_tail");
        Ok(valid.then_some(Record { found, contents }))
    }

    /// Looks behind `first_bad` for proof that it was durable once.
    fn refuse_damage(
        &mut self,
        first_bad: u64,
        salt: [u8; 16],
        codec: &dyn Codec,
        last: CommitNo,
    ) -> Result<()> {
        let mut at = first_bad.next_multiple_of(ALIGNMENT);
        // A crafted log may hold many heads of huge records; reading more than this proves rot.
        let mut budget = self.len.saturating_mul(4);
        while at < self.len {
            let window = self.bytes(at, WINDOW_BYTES)?;
            let step = window.len() as u64;
            let candidates = places_of_magic(window, at);
            for position in candidates {
                let Some(found) = self.find(position, salt)? else { continue };
                if found.header.durable_upto <= first_bad {
                    continue;
                }
                let (commit, length) = (found.header.commit, found.length);
                let affordable = budget.checked_sub(length);
                budget = affordable.unwrap_or(0);
                if affordable.is_none() || self.verify(found, codec)?.is_some() {
                    return Err(Error::LogDamaged {
                        first_bad,
                        last_commit_seen: commit.max(last),
                        reason: "bad bytes below a durable commit",
                    });
                }
            }
            if step == 0 {
                break;
            }
            at = at.saturating_add(step.next_multiple_of(ALIGNMENT));
        }
        Ok(())
    }
}

/// Where a window that begins at `at` may hold the head of a record.
fn places_of_magic(window: &[u8], at: u64) -> Vec<u64> {
    /// Blocks without a match are passed over whole, by a loop without branches.
    const SPAN: usize = 64;
    let (words, _) = window.as_chunks::<8>();
    let magic = MAGIC.to_le_bytes();
    let mut places = Vec::new();
    for (span, index) in words.chunks(SPAN).zip(0u64..) {
        if !span.iter().fold(false, |found, word| found | (*word == magic)) {
            continue;
        }
        let bytes_before = index.saturating_mul(SPAN as u64).saturating_mul(ALIGNMENT);
        let start = at.saturating_add(bytes_before);
        let matching = span.iter().zip(0u64..).filter(|(word, _)| **word == magic);
        places
            .extend(matching.map(|(_, word)| start.saturating_add(word.saturating_mul(ALIGNMENT))));
    }
    places
}

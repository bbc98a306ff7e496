//! Recovery: what a log says after a crash.
//!
//! The longest valid row of records counts. Where it ends, either the last append was torn and
//! what follows was never durable, or bytes below a durable commit have rotted. The two are told
//! apart by evidence: the header, or a valid record elsewhere in the log, says that it was synced
//! beyond the first bad byte, or that a later generation went on there. A torn tail is dropped;
//! damage is reported and nothing is changed.
#![deny(clippy::arithmetic_side_effects)]

mod reader;

use super::record::{Body, DescriptorUpdate, FrameHeader, FrameKind, Kind};
use super::space::Space;
use crate::bitmap;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::header::Header;
use crate::ids::{Counters, LogPoint, Lsn};
use crate::page::{BLOCK_BYTES, CommitNo, PageNo, TreeId};
use crate::planted::is_planted;
use crate::tree::TreeDescriptor;
use crate::vfs::VfsFile;
use reader::{LogReader, Record};
use std::collections::{BTreeMap, BTreeSet};

/// Where recovery begins: what the header in force says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) salt: [u8; 16],
    pub(crate) point: LogPoint,
    /// The log was synced below this place.
    pub(crate) durable: Lsn,
    /// The state that the log continues.
    pub(crate) base: Counters,
}

impl Start {
    pub(crate) fn of(header: &Header) -> Self {
        Self {
            salt: header.salt,
            point: header.log_start,
            durable: header.log_durable,
            base: header.counters(),
        }
    }
}

/// A commit that the log holds.
#[derive(Debug)]
pub(crate) struct RecoveredCommit {
    pub(crate) counters: Counters,
    pub(crate) descriptors: Vec<DescriptorUpdate>,
    pub(crate) frames: Vec<FrameHeader>,
    /// Position of the first image; the others follow.
    images_at: u64,
}

impl RecoveredCommit {
    /// The frames, each with the position of its image.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (FrameHeader, u64)> + '_ {
        self.frames.iter().scan(self.images_at, |position, frame| {
            let at = match frame.kind {
                FrameKind::Placed(elsewhere) => elsewhere,
                FrameKind::Image | FrameKind::Freed => *position,
            };
            *position = position.saturating_add(frame.image_bytes() as u64);
            Some((*frame, at))
        })
    }
}

/// The valid row of a log.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Trees as of the state that the log continues, which the descriptor tree does not hold.
    pub(crate) base: Vec<DescriptorUpdate>,
    /// Oldest first.
    pub(crate) commits: Vec<RecoveredCommit>,
    /// End of the last record.
    pub(crate) end: LogPoint,
    /// Where the records stand.
    pub(crate) space: Space,
    /// Bytes of commits, spills included.
    pub(crate) used_bytes: u64,
}

impl Recovered {
    /// The counters after the last commit; `None` when there is none.
    pub(crate) fn counters(&self) -> Option<Counters> {
        self.commits.last().map(|last| last.counters)
    }

    /// The trees that were changed, with their newest descriptors.
    pub(crate) fn descriptors(&self) -> BTreeMap<TreeId, Option<TreeDescriptor>> {
        let commits = self.commits.iter().flat_map(|commit| commit.descriptors.iter());
        self.base.iter().chain(commits).copied().collect()
    }
}

/// Reads the generation that the header names.
///
/// # Errors
/// `LogDamaged` when records below a durable commit are bad; `Io` when the log cannot be read.
pub(crate) fn recover(file: &dyn VfsFile, codec: &dyn Codec, start: Start) -> Result<Recovered> {
    let mut reader = LogReader::new(file, start.salt)?;
    if start.point.position > reader.len() {
        return Err(super::foreign("the log is shorter than the header says"));
    }
    let mut row = Row::read(&mut reader, codec, start)?;
    row.refuse_loss(start.durable)?;
    row.refuse_damage(&mut reader, codec)?;
    if is_planted("stop_early") {
        row.recovered.commits.pop();
    }
    Ok(row.recovered)
}

/// The valid row of a log, whatever should come behind it.
///
/// # Errors
/// `Io` when the log cannot be read.
pub(crate) fn valid_row(file: &dyn VfsFile, codec: &dyn Codec, start: Start) -> Result<Recovered> {
    let mut reader = LogReader::new(file, start.salt)?;
    Ok(Row::read(&mut reader, codec, start)?.recovered)
}

/// A whole block behind the head, in no file longer than any can be.
fn is_jump_target(position: u64) -> bool {
    const LONGEST: u64 = 1 << 48;
    position >= super::FIRST_RECORD
        && position.is_multiple_of(BLOCK_BYTES as u64)
        && position < LONGEST
}

/// The valid records so far.
struct Row {
    recovered: Recovered,
    base: CommitNo,
    last: CommitNo,
    group_count: u32,
    /// Images that the open transaction spilled, by position.
    spilled: BTreeMap<u64, (PageNo, u16)>,
    spilled_by: CommitNo,
}

impl Row {
    fn new(start: Start) -> Self {
        Self {
            recovered: Recovered {
                base: Vec::new(),
                commits: Vec::new(),
                end: start.point,
                space: Space::new(start.point.position, start.point.lsn),
                used_bytes: 0,
            },
            base: start.base.commit,
            last: start.base.commit,
            group_count: bitmap::group_count(start.base.block_count),
            spilled: BTreeMap::new(),
            spilled_by: start.base.commit,
        }
    }

    /// The longest valid row.
    fn read(reader: &mut LogReader<'_>, codec: &dyn Codec, start: Start) -> Result<Self> {
        let mut row = Self::new(start);
        while let Some(record) = row.next(reader, codec)? {
            row.add(record);
        }
        Ok(row)
    }

    /// The record behind the last one: packed, or on the next boundary.
    fn next(&self, reader: &mut LogReader<'_>, codec: &dyn Codec) -> Result<Option<Record>> {
        let packed = self.recovered.end.position;
        let boundary = packed.next_multiple_of(BLOCK_BYTES as u64);
        for position in [packed, boundary] {
            if let Some(record) = reader.record(position, codec)?
                && self.continues(&record)
            {
                return Ok(Some(record));
            }
            if packed == boundary {
                break;
            }
        }
        Ok(None)
    }

    fn continues(&self, record: &Record) -> bool {
        let header = &record.found.header;
        let end = &self.recovered.end;
        if is_planted("reuse_salt") && !matches!(header.kind, Kind::Jump(_)) {
            return true;
        }
        header.previous == end.chain
            && header.lsn == end.lsn
            && match header.kind {
                Kind::Commit(counters) => {
                    Some(counters.commit.0) == self.last.0.checked_add(1)
                        && self.brings_groups(counters, &record.body)
                        && self.knows_places(counters.commit, &record.body)
                }
                Kind::Spill(commit) => Some(commit.0) == self.last.0.checked_add(1),
                Kind::Base(commit) => commit <= self.last,
                Kind::Jump(target) => is_jump_target(target),
            }
    }

    /// True if there is a bitmap for each group of blocks that was not there before. So no record
    /// makes the file longer than its own bytes warrant.
    fn brings_groups(&self, counters: Counters, body: &Body) -> bool {
        let new = self.group_count..bitmap::group_count(counters.block_count);
        if new.is_empty() {
            return true;
        }
        if new.len() > body.frames.len() {
            return false;
        }
        let is_image = |frame: &&FrameHeader| frame.kind != FrameKind::Freed;
        let images = body.frames.iter().filter(is_image).map(|frame| frame.page_no);
        let images: BTreeSet<PageNo> = images.collect();
        new.into_iter().all(|group| bitmap::bitmap_page(group).is_some_and(|b| images.contains(&b)))
    }

    /// True if every image that stands elsewhere was spilled by the same commit.
    fn knows_places(&self, commit: CommitNo, body: &Body) -> bool {
        body.frames.iter().all(|frame| match frame.kind {
            FrameKind::Placed(position) => {
                commit == self.spilled_by
                    && self.spilled.get(&position) == Some(&(frame.page_no, frame.block_count))
            }
            FrameKind::Image | FrameKind::Freed => true,
        })
    }

    fn add(&mut self, record: Record) {
        let Record { found, body } = record;
        let header = found.header;
        let recovered = &mut self.recovered;
        recovered.space.enter(header.position, found.length, header.lsn);
        if matches!(header.kind, Kind::Commit(_) | Kind::Spill(_)) {
            recovered.used_bytes = recovered.used_bytes.saturating_add(found.length);
        }
        recovered.end = LogPoint {
            position: header.position.saturating_add(found.length),
            lsn: Lsn(header.lsn.0.saturating_add(found.length)),
            chain: found.check,
        };
        let images_at = header.position.saturating_add(found.meta_bytes as u64);
        match header.kind {
            Kind::Commit(counters) => {
                self.last = counters.commit;
                self.group_count = bitmap::group_count(counters.block_count);
                self.spilled.clear();
                recovered.commits.push(RecoveredCommit {
                    counters,
                    descriptors: body.descriptors,
                    frames: body.frames,
                    images_at,
                });
            }
            Kind::Spill(commit) => self.add_spill(commit, images_at, &body.frames),
            Kind::Base(commit) if commit == self.base => recovered.base = body.descriptors,
            Kind::Base(_) => {}
            Kind::Jump(target) => recovered.end.position = target,
        }
    }

    fn add_spill(&mut self, commit: CommitNo, images_at: u64, frames: &[FrameHeader]) {
        self.spilled_by = commit;
        let mut position = images_at;
        for frame in frames {
            self.spilled.insert(position, (frame.page_no, frame.block_count));
            position = position.saturating_add(frame.image_bytes() as u64);
        }
    }

    fn damaged(&self, last_commit_seen: CommitNo) -> Error {
        Error::LogDamaged {
            first_bad: self.recovered.end.position,
            last_commit_seen: last_commit_seen.max(self.last),
            reason: "bad bytes below a durable commit",
        }
    }

    /// Refuses a log that ends before the place that was durable when the header was written.
    fn refuse_loss(&self, durable: Lsn) -> Result<()> {
        if self.recovered.end.lsn < durable { Err(self.damaged(CommitNo(0))) } else { Ok(()) }
    }

    /// Looks all over the log for proof that what is bad was durable once.
    fn refuse_damage(&self, reader: &mut LogReader<'_>, codec: &dyn Codec) -> Result<()> {
        match reader.evidence(self.recovered.end, self.last, codec)? {
            Some(commit) => Err(self.damaged(commit)),
            None => Ok(()),
        }
    }
}

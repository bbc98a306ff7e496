//! Reading a log through a window: the record at a place, and evidence of damage.
#![deny(clippy::arithmetic_side_effects)]

use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::ids::LogPoint;
use crate::log::record::{ALIGNMENT, Body, Found, HEADER_BYTES, Kind, MAGIC, RecordHeader};
use crate::log::{FIRST_RECORD, first_chain};
use crate::page::{self, CommitNo};
use crate::planted::is_planted;
use crate::vfs::{VfsFile, read_full};

const WINDOW_BYTES: usize = 1 << 20;

/// A record whose check holds.
pub(super) struct Record {
    pub(super) found: Found,
    pub(super) body: Body,
}

/// Reads the records of a log.
pub(super) struct LogReader<'f> {
    file: &'f dyn VfsFile,
    salt: [u8; 16],
    len: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'f> LogReader<'f> {
    pub(super) fn new(file: &'f dyn VfsFile, salt: [u8; 16]) -> Result<Self> {
        let len = file.len().map_err(Error::io("read the length of the log"))?;
        Ok(Self { file, salt, len, window: Vec::new(), window_at: 0 })
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
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
        let read = match read_full(self.file, &mut self.window, at) {
            Err(_) if is_planted("error_as_end") => 0,
            read => read.map_err(Error::io("read the log"))?,
        };
        self.window.truncate(read);
        self.window_at = at;
        Ok(())
    }

    /// The record of the generation at `position`, if it is valid by itself.
    pub(super) fn record(&mut self, position: u64, codec: &dyn Codec) -> Result<Option<Record>> {
        match self.find(position)?.filter(|found| found.header.salt == self.salt) {
            Some(found) => self.verify(found, codec),
            None => Ok(None),
        }
    }

    fn find(&mut self, position: u64) -> Result<Option<Found>> {
        let log_end = self.len;
        let head = self.bytes(position, HEADER_BYTES)?;
        Ok(Found::parse(head, position, log_end))
    }

    /// Checks the record and each of its images.
    fn verify(&mut self, found: Found, codec: &dyn Codec) -> Result<Option<Record>> {
        let meta = self.bytes(found.header.position, found.meta_bytes)?;
        let Some(body) = found.body(meta) else { return Ok(None) };
        if is_planted("spill_unverified") && matches!(found.header.kind, Kind::Spill(_)) {
            return Ok(Some(Record { found, body }));
        }
        let mut check = found.begin_check(meta);
        let mut position = found.header.position.saturating_add(found.meta_bytes as u64);
        for frame in &body.frames {
            let len = frame.image_bytes();
            if len > 0 {
                let image = self.bytes(position, len)?;
                let intact = image.len() == len
                    && codec.open(image)
                    && page::is_version_of(image, frame.page_no, found.header.kind.commit());
                if !intact && !is_planted("keep_uncommitted_tail") {
                    return Ok(None);
                }
                check.add_image(image);
            }
            position = position.saturating_add(len as u64);
        }
        let valid = check.holds() || is_planted("keep_uncommitted_tail");
        Ok(valid.then_some(Record { found, body }))
    }

    /// A record which proves that the row went on behind `end`, where it was found to end after the
    /// commit `last`; the commit it belongs to.
    pub(super) fn evidence(
        &mut self,
        end: LogPoint,
        last: CommitNo,
        codec: &dyn Codec,
    ) -> Result<Option<CommitNo>> {
        let mut at = FIRST_RECORD;
        // A crafted log may hold many heads of huge records; reading more than this proves rot.
        let mut budget = self.len.saturating_mul(4);
        while at < self.len {
            let window = self.bytes(at, WINDOW_BYTES)?;
            let step = window.len() as u64;
            let candidates = places_of_magic(window, at);
            for position in candidates {
                let Some(found) = self.find(position)? else { continue };
                if !self.would_prove(&found.header, end, last) {
                    continue;
                }
                let commit = found.header.kind.commit();
                let affordable = budget.checked_sub(found.length);
                budget = affordable.unwrap_or(0);
                if affordable.is_none() || self.verify(found, codec)?.is_some() {
                    return Ok(Some(commit));
                }
            }
            if step == 0 {
                break;
            }
            at = at.saturating_add(step.next_multiple_of(ALIGNMENT));
        }
        Ok(None)
    }
}

impl LogReader<'_> {
    /// True for a record that, if valid, says that something behind the end of the row is lost.
    ///
    /// Either it says that the log was synced beyond: log positions never go back, so what an earlier
    /// generation left behind says less. Or it begins a generation where this one ends, with a commit
    /// that this one lacks: so a header named that generation, and was durable before, and is lost.
    /// One that no header came to name repeats commits, and adds none.
    fn would_prove(&self, header: &RecordHeader, end: LogPoint, last: CommitNo) -> bool {
        let begins_the_next = header.salt != self.salt
            && header.lsn == end.lsn
            && header.previous == first_chain(header.salt)
            && header.kind.commit() > last;
        header.durable_upto > end.lsn || begins_the_next
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

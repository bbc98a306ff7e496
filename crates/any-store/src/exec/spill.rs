//! Rows that do not fit in memory: runs of records in one temporary file without a name.
//!
//! A record is a `u32` length and its bytes. A run is records one after the other, written once and
//! read once from its start. The file belongs to one operation and vanishes with it, whatever
//! happens to the process.

use std::io;
use std::sync::Arc;

use any_store_storage::vfs::{self, VfsFile};

use super::Resources;
use crate::error::{Error, ErrorKind, Result};

/// Bytes gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 256 << 10;
/// Bytes read at a time, for each run that is open.
pub(super) const READ_BUFFER_BYTES: usize = 64 << 10;

const LENGTH_BYTES: usize = 4;

/// A temporary file that grows run by run.
pub(super) struct SpillFile {
    file: Arc<dyn VfsFile>,
    len: u64,
}

/// A part of a spill file that holds whole records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    start: u64,
    end: u64,
}

impl SpillFile {
    pub(super) fn create(resources: &Resources) -> Result<Self> {
        let file = resources.vfs.open_temporary(&resources.folder).map_err(spill_error)?;
        Ok(Self { file, len: 0 })
    }

    /// Begins a run at the end of the file.
    pub(super) fn begin_run(&mut self) -> RunWriter<'_> {
        RunWriter { start: self.len, file: self, buffer: Vec::new() }
    }

    pub(super) fn read_run(&self, run: Run) -> RunReader {
        RunReader {
            file: Arc::clone(&self.file),
            next: run.start,
            end: run.end,
            buffer: Vec::new(),
            record_end: 0,
            record_start: 0,
        }
    }

    /// Gives the space of a run back, where the system can; the run is not read again.
    pub(super) fn forget_run(&self, run: Run) {
        // The file is gone in a moment anyway, so a system that cannot is no failure.
        let _ = self.file.punch(run.start, run.end.saturating_sub(run.start));
    }
}

/// Writes one run.
pub(super) struct RunWriter<'f> {
    file: &'f mut SpillFile,
    start: u64,
    buffer: Vec<u8>,
}

impl RunWriter<'_> {
    /// Adds a record made of `parts`.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).map_err(|_| {
            Error::new(ErrorKind::LimitExceeded, "a row to be sorted has more than 4 GiB")
        })?;
        let room = LENGTH_BYTES.saturating_add(len as usize);
        self.buffer.try_reserve(room).map_err(|_| no_memory())?;
        self.buffer.extend_from_slice(&len.to_le_bytes());
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        if self.buffer.len() >= WRITE_BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Run> {
        self.flush()?;
        Ok(Run { start: self.start, end: self.file.len })
    }

    fn flush(&mut self) -> Result<()> {
        vfs::write_all(&*self.file.file, &self.buffer, self.file.len).map_err(spill_error)?;
        self.file.len = self.file.len.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }
}

/// Reads one run from its start.
pub(super) struct RunReader {
    file: Arc<dyn VfsFile>,
    /// Where the file goes on behind the buffer.
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    record_start: usize,
    record_end: usize,
}

impl RunReader {
    /// Moves to the next record; false at the end of the run.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.record_start = self.record_end;
        if self.record_start == self.buffer.len() && self.next == self.end {
            return Ok(false);
        }
        self.fill(LENGTH_BYTES)?;
        let len = self.buffer.get(self.record_start..).and_then(|rest| rest.first_chunk());
        let len = u32::from_le_bytes(*len.ok_or_else(damaged)?) as usize;
        self.record_start = self.record_start.saturating_add(LENGTH_BYTES);
        self.fill(len)?;
        self.record_end = self.record_start.saturating_add(len);
        Ok(true)
    }

    /// The record under the reader.
    pub(super) fn record(&self) -> &[u8] {
        self.buffer.get(self.record_start..self.record_end).unwrap_or_default()
    }

    /// Makes `len` bytes from `record_start` present, dropping what lies before.
    fn fill(&mut self, len: usize) -> Result<()> {
        if self.buffer.len().saturating_sub(self.record_start) >= len {
            return Ok(());
        }
        self.buffer.drain(..self.record_start);
        self.record_start = 0;
        let present = self.buffer.len();
        let left = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        let missing = len.saturating_sub(present);
        if missing > left {
            return Err(damaged());
        }
        let wanted = missing.max(READ_BUFFER_BYTES).min(left);
        self.buffer.try_reserve_exact(wanted).map_err(|_| no_memory())?;
        self.buffer.resize(present.saturating_add(wanted), 0);
        let target = self.buffer.get_mut(present..).unwrap_or_default();
        vfs::read_exact(&*self.file, target, self.next).map_err(spill_error)?;
        self.next = self.next.saturating_add(wanted as u64);
        Ok(())
    }
}

fn damaged() -> Error {
    Error::corrupt("a temporary file does not hold what was written to it")
}

fn no_memory() -> Error {
    Error::new(ErrorKind::LimitExceeded, "there is not enough memory for a temporary file's buffer")
}

fn spill_error(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Io,
    };
    Error::new(kind, "a temporary file for a sort or an update failed").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use any_store_storage::vfs::MemVfs;
    use std::path::PathBuf;

    fn file() -> SpillFile {
        let vfs = Arc::new(MemVfs::new());
        let resources = Resources { vfs, folder: PathBuf::from("."), budget_bytes: 0 };
        SpillFile::create(&resources).unwrap()
    }

    fn record(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 + len) as u8).collect()
    }

    #[test]
    fn runs_read_back_record_by_record_whatever_their_lengths() {
        let lengths = [0, 1, 100, 65_531, 65_532, 65_533, 300_000, 0, 262_144, 5];
        let mut file = file();
        let mut runs = Vec::new();
        for skip in 0..lengths.len() {
            let mut writer = file.begin_run();
            for len in &lengths[skip..] {
                let record = record(*len);
                let (head, tail) = record.split_at(len / 3);
                writer.push(&[head, tail]).unwrap();
            }
            runs.push(writer.finish().unwrap());
        }
        for (skip, run) in runs.into_iter().enumerate().rev() {
            let mut reader = file.read_run(run);
            for len in &lengths[skip..] {
                assert!(reader.advance().unwrap());
                assert!(reader.record() == record(*len), "{len} bytes");
            }
            assert!(!reader.advance().unwrap());
            assert!(!reader.advance().unwrap(), "it stays ended");
        }
    }

    #[test]
    fn an_empty_run_has_no_records() {
        let mut file = file();
        let run = file.begin_run().finish().unwrap();
        assert!(!file.read_run(run).advance().unwrap());
    }

    #[test]
    fn a_length_that_leaves_its_run_is_damage_and_allocates_nothing() {
        for lie in [6u32, 1 << 30, u32::MAX] {
            let mut file = file();
            let mut writer = file.begin_run();
            writer.push(&[b"first"]).unwrap();
            let run = writer.finish().unwrap();
            vfs::write_all(&*file.file, &lie.to_le_bytes(), 0).unwrap();
            let mut reader = file.read_run(run);
            assert_eq!(reader.advance().unwrap_err().kind(), ErrorKind::Corrupt);
            assert!(reader.buffer.capacity() <= READ_BUFFER_BYTES);
        }
    }
}

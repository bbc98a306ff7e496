//! The way out of the process: files, directories, time, randomness and process identity.
//!
//! The engine holds a `dyn Vfs` and touches nothing of the operating system itself. So a simulator
//! can tear, drop, reorder and fail every call, a database can live in memory, and a platform
//! without files can bring its own.
//!
//! Contract for implementors:
//!  1. Positions and lengths are bytes. Short reads and writes are allowed; the engine loops.
//!  2. A read at or past the end of a file returns 0. A write past the end fills the gap with zeros.
//!  3. What [`VfsFile::sync`] covered survives a power loss; names survive after [`Vfs::sync_dir`].
//!  4. Every file the engine creates is private to its owner (mode 0600 where modes exist).

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod mem;
mod os;

pub use mem::MemVfs;
pub use os::OsVfs;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Read only; the file must exist.
    Read,
    /// Read and write; the file must exist.
    Write,
    /// Read and write; created if absent.
    Create,
    /// Read and write; an error of kind `AlreadyExists` if the name is taken.
    CreateNew,
}

/// How much a sync must make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// The data, and the metadata needed to read it back (the length).
    Data,
    /// Everything.
    Full,
}

/// What a lock on a whole file excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Others may hold shared locks.
    Shared,
    /// Nobody else may hold a lock.
    Exclusive,
}

/// What a file is, whatever its names: device and number on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The device, or the number of the file system in memory.
    pub device: u64,
    /// The file on that device.
    pub number: u64,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The full path.
    pub path: PathBuf,
    /// The length in bytes.
    pub len: u64,
}

/// A file system with its clocks and its randomness.
pub trait Vfs: fmt::Debug + Send + Sync + 'static {
    /// Opens a regular file. Symbolic links are followed for `Read` and `Write`; a directory, FIFO
    /// or device is an error, never a wait.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;

    /// A new, empty, private file in `dir` that has no name and vanishes when it is dropped.
    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>>;

    /// Renames; an error of kind `AlreadyExists` if `to` is taken.
    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames; what `to` named before is replaced in one step, so that at every moment `to` names
    /// the one or the other.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name. The bytes live on while a handle is open.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The files in `dir`.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Time since some fixed instant; never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC by the wall clock, which may jump.
    fn wall_clock_ms(&self) -> i64;

    /// Fills `buf` from the system's random source.
    fn random(&self, buf: &mut [u8]) -> io::Result<()>;

    /// The number of this process.
    fn process_id(&self) -> u32;
}

/// An open file. Dropping the last handle closes it and gives up its lock.
pub trait VfsFile: fmt::Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 means end of file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes up to `buf.len()` bytes at `offset`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Writes the buffers one after the other at `offset`, in one system call where there is one.
    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        match bufs.iter().find(|buf| !buf.is_empty()) {
            Some(buf) => self.write_at(buf, offset),
            None => Ok(0),
        }
    }

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// True for a file of no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reserves space so that writes below `len` cannot meet a full disk; the length becomes at
    /// least `len` and new bytes read as zeros. May do no more than `set_len`.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes a range inside the file read as zeros, giving the space back where that is possible.
    fn punch(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Makes all earlier writes durable.
    fn sync(&self, kind: SyncKind) -> io::Result<()>;

    /// What this file is, for telling apart names of one file.
    fn identity(&self) -> io::Result<FileId>;

    /// Tries to lock the whole file for this handle; false if another handle holds it.
    fn try_lock(&self, mode: LockMode) -> io::Result<bool>;
}

/// Reads exactly `buf.len()` bytes, or up to the end of the file; returns how many.
///
/// # Errors
/// What `read_at` returned; interruptions are retried.
pub fn read_full(file: &dyn VfsFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0usize;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.checked_add(done as u64).ok_or(io::ErrorKind::InvalidInput)?;
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(n) => done = done.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Reads exactly `buf.len()` bytes.
///
/// # Errors
/// `UnexpectedEof` if the file ends before; else as [`read_full`].
pub fn read_exact(file: &dyn VfsFile, buf: &mut [u8], offset: u64) -> io::Result<()> {
    if read_full(file, buf, offset)? == buf.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Writes all of `buf`.
///
/// # Errors
/// What `write_at` returned, `WriteZero` if it wrote nothing; interruptions are retried.
pub fn write_all(file: &dyn VfsFile, buf: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0usize;
    while let Some(rest) = buf.get(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.checked_add(done as u64).ok_or(io::ErrorKind::InvalidInput)?;
        match file.write_at(rest, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done = done.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Writes all buffers, one after the other, at `offset`; one system call for up to 1024 of them.
///
/// # Errors
/// As [`write_all`].
pub fn write_all_vectored(file: &dyn VfsFile, bufs: &[&[u8]], offset: u64) -> io::Result<()> {
    /// More parts than any system takes in one call are split.
    const MAX_PARTS: usize = 1024;
    let mut at = offset;
    for chunk in bufs.chunks(MAX_PARTS) {
        let mut slices: Vec<IoSlice<'_>> = chunk.iter().map(|buf| IoSlice::new(buf)).collect();
        let mut rest = slices.as_mut_slice();
        // Drops leading empty slices, so that an all-empty rest ends the loop.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_vectored_at(rest, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    at = at.checked_add(n as u64).ok_or(io::ErrorKind::InvalidInput)?;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

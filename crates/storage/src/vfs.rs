//! The way out of the process: files, directories, time, randomness and process identity.
//!
//! The engine holds a `dyn Vfs` and touches nothing of the operating system itself. So a simulator
//! can tear, drop, reorder and fail every call, a database can live in memory, and a platform
//! without files can bring its own.
//!
//! # Writing a file system
//!
//! Implement [`Vfs`] and [`VfsFile`]; the methods with defaults are there to be overridden where the
//! system knows better. What the engine relies on:
//!  1. Positions and lengths are bytes, 64 bits wide. Short reads and writes are allowed; the engine
//!     loops.
//!  2. A read at or past the end of a file returns 0. A write past the end fills the gap with zeros;
//!     one that writes nothing is an error.
//!  3. Reads, writes and `try_lock` may answer `Interrupted` and are asked again. Every other call
//!     goes on by itself after an interruption.
//!  4. What [`VfsFile::sync`] covered survives a power loss; names survive after [`Vfs::sync_dir`].
//!     A sync that failed is never tried again.
//!  5. Every file the engine creates is private to its owner (mode 0600 where modes exist).
//!  6. Open files that are the same file have the same [`FileId`], and no two others have: all
//!     databases of the process are told apart by it. A file system whose files are not the operating
//!     system's draws its device number from [`unique_device`].
//!  7. A lock belongs to one open file, as `flock` has it: another open of the same file conflicts
//!     with it, in the same process too, and closing that other one does not end it.
//!  8. [`Vfs::monotonic`] never goes back. Nothing about commit, recovery and locking asks
//!     [`Vfs::wall_clock_ms`].
//!  9. All calls may come from several threads at once.
//!
//! A file system that only looks at the calls wraps another one. This one counts reads:
//!
//! ```
//! use any_store_storage::vfs::*;
//! use std::io;
//! use std::path::{Path, PathBuf};
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::time::Duration;
//!
//! #[derive(Debug)]
//! struct Counting<V> {
//!     inner: V,
//!     reads: Arc<AtomicU64>,
//! }
//!
//! #[derive(Debug)]
//! struct CountingFile {
//!     inner: Arc<dyn VfsFile>,
//!     reads: Arc<AtomicU64>,
//! }
//!
//! impl<V> Counting<V> {
//!     fn wrap(&self, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
//!         Arc::new(CountingFile { inner, reads: Arc::clone(&self.reads) })
//!     }
//! }
//!
//! impl<V: Vfs> Vfs for Counting<V> {
//!     fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
//!         Ok(self.wrap(self.inner.open(path, mode)?))
//!     }
//!     fn open_beside(&self, main: &Path, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
//!         Ok(self.wrap(self.inner.open_beside(main, path, mode)?))
//!     }
//!     fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
//!         Ok(self.wrap(self.inner.open_temporary(dir)?))
//!     }
//!     fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
//!         self.inner.resolve(path)
//!     }
//!     fn identity(&self, path: &Path) -> io::Result<FileId> {
//!         self.inner.identity(path)
//!     }
//!     fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
//!         self.inner.rename_noreplace(from, to)
//!     }
//!     fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
//!         self.inner.rename(from, to)
//!     }
//!     fn remove(&self, path: &Path) -> io::Result<()> {
//!         self.inner.remove(path)
//!     }
//!     fn sync_dir(&self, dir: &Path) -> io::Result<()> {
//!         self.inner.sync_dir(dir)
//!     }
//!     fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
//!         self.inner.list(dir)
//!     }
//!     fn monotonic(&self) -> Duration {
//!         self.inner.monotonic()
//!     }
//!     fn pause(&self, time: Duration) {
//!         self.inner.pause(time);
//!     }
//!     fn wall_clock_ms(&self) -> i64 {
//!         self.inner.wall_clock_ms()
//!     }
//!     fn random(&self, buf: &mut [u8]) -> io::Result<()> {
//!         self.inner.random(buf)
//!     }
//!     fn process_id(&self) -> u32 {
//!         self.inner.process_id()
//!     }
//! }
//!
//! impl VfsFile for CountingFile {
//!     fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
//!         self.reads.fetch_add(1, Ordering::Relaxed);
//!         self.inner.read_at(buf, offset)
//!     }
//!     fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
//!         self.inner.write_at(buf, offset)
//!     }
//!     fn write_vectored_at(&self, bufs: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize> {
//!         self.inner.write_vectored_at(bufs, offset)
//!     }
//!     fn set_len(&self, len: u64) -> io::Result<()> {
//!         self.inner.set_len(len)
//!     }
//!     fn len(&self) -> io::Result<u64> {
//!         self.inner.len()
//!     }
//!     fn allocate(&self, len: u64) -> io::Result<()> {
//!         self.inner.allocate(len)
//!     }
//!     fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
//!         self.inner.punch(offset, len)
//!     }
//!     fn sync(&self, kind: SyncKind) -> io::Result<()> {
//!         self.inner.sync(kind)
//!     }
//!     fn identity(&self) -> io::Result<FileId> {
//!         self.inner.identity()
//!     }
//!     fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
//!         self.inner.try_lock(mode)
//!     }
//!     fn unlock(&self) -> io::Result<()> {
//!         self.inner.unlock()
//!     }
//!     fn lock_holder(&self) -> Option<u32> {
//!         self.inner.lock_holder()
//!     }
//! }
//!
//! use any_store_storage::{Store, StoreOptions, TreeOptions};
//! let reads = Arc::new(AtomicU64::new(0));
//! let vfs = Counting { inner: MemVfs::new(), reads: Arc::clone(&reads) };
//! let store = Store::open(Arc::new(vfs), Path::new("/db"), StoreOptions::default())?;
//! let at_open = reads.load(Ordering::Relaxed);
//! assert!(at_open > 0, "the header was read");
//! let mut txn = store.begin_write()?;
//! let tree = txn.create_tree(TreeOptions::default())?;
//! txn.put(tree, b"key", b"value")?;
//! txn.commit()?;
//! let before = reads.load(Ordering::Relaxed);
//! assert!(store.begin_read()?.get(tree, b"key")?.is_some());
//! assert_eq!(reads.load(Ordering::Relaxed), before, "what was just written is in the cache");
//! # Ok::<(), any_store_storage::Error>(())
//! ```

use crate::planted::is_planted;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod bell;
mod mem;
mod os;

pub use bell::Bell;
pub use mem::MemVfs;
pub use os::OsVfs;

/// The time of day as the system has it, in milliseconds since 1970; 0 before.
fn system_clock_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

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

/// A device number that no file of the operating system and no other file system of this process
/// has, for a [`Vfs`] that keeps files of its own.
#[must_use]
pub fn unique_device() -> u64 {
    static TAKEN: AtomicU64 = AtomicU64::new(1);
    // Counted from the top, away from the numbers of real devices.
    u64::MAX - TAKEN.fetch_add(1, Ordering::Relaxed)
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

    /// Opens a file that stands beside a database and belongs to it, as its log does: a regular file
    /// with one link, owned by this user or by the owner of the database. Anything else that
    /// somebody may have put there is an error, links included; they are not followed.
    fn open_beside(
        &self,
        main: &Path,
        path: &Path,
        mode: OpenMode,
    ) -> io::Result<Arc<dyn VfsFile>> {
        let _ = main;
        self.open(path, mode)
    }

    /// The path that names the same file, now or once it is created, without links and whatever
    /// happens to the current directory. The database's other files are looked for beside it.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// What file a path names. The default opens the file; a system that can tell without should.
    fn identity(&self, path: &Path) -> io::Result<FileId> {
        self.open(path, OpenMode::Read)?.identity()
    }

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

    /// Lets so much [`monotonic`](Self::monotonic) time pass. The default asks for it over and over,
    /// giving way to other threads; a system that can sleep should.
    fn pause(&self, time: Duration) {
        let until = self.monotonic().saturating_add(time);
        while self.monotonic() < until {
            std::thread::yield_now();
        }
    }

    /// Milliseconds since 1970-01-01 UTC by the wall clock, which may jump.
    fn wall_clock_ms(&self) -> i64;

    /// Fills `buf` from the system's random source.
    fn random(&self, buf: &mut [u8]) -> io::Result<()>;

    /// The number of this process; another one in a forked child. Asked for before every transfer
    /// of a page, so it should cost no system call.
    fn process_id(&self) -> u32;

    /// What tells this run of the system from the one before, where there is such a thing.
    fn boot_id(&self) -> Option<[u8; 16]> {
        None
    }

    /// Waits until `bell` has rung since it had rung `seen` times, or until `timeout` has passed by
    /// [`Vfs::monotonic`]. May return early; the engine looks again and waits for the rest.
    ///
    /// The default waits by the system's clock. A file system with a clock of its own that it moves
    /// by hand rings the bell when it has done so.
    fn wait(&self, bell: &Arc<Bell>, seen: u64, timeout: Option<Duration>) {
        bell.wait(seen, timeout);
    }
}

/// An open file. Dropping the last handle closes it and gives up its lock.
pub trait VfsFile: fmt::Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 means end of file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `buf` with the bytes at `offset` out of a memory map of the file's first `limit` bytes,
    /// which is made and grown as needed. False where there is none, as in most implementations: then
    /// the caller uses [`VfsFile::read_at`].
    fn read_mapped(&self, buf: &mut [u8], offset: u64, limit: u64) -> bool {
        let _ = (buf, offset, limit);
        false
    }

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

    /// Gives the lock up at once, also where a forked child still has the file open. The default
    /// leaves that to the drop of the handle.
    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }

    /// The process that holds a lock on this file, where the system tells.
    fn lock_holder(&self) -> Option<u32> {
        None
    }
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

/// Takes a lock as [`VfsFile::try_lock`] does, however often that is interrupted.
///
/// # Errors
/// What `try_lock` returned; interruptions are retried.
pub(crate) fn try_lock(file: &dyn VfsFile, mode: LockMode) -> io::Result<bool> {
    loop {
        match file.try_lock(mode) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
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
                Ok(_) if is_planted("ignore_short_write") => break,
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

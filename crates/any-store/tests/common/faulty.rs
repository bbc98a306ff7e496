//! A file system in memory that fails on demand and counts temporary files.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use any_store::vfs::{DirEntry, FileId, LockMode, OpenMode, SyncKind};
use any_store::{MemVfs, Vfs, VfsFile};

/// Which calls fail at the moment.
#[derive(Debug, Default)]
pub struct Faults {
    pub reads: AtomicBool,
    pub writes: AtomicBool,
    /// The next write fails, and no other.
    pub next_write: AtomicBool,
    pub syncs: AtomicBool,
    /// There is no room for temporary files.
    pub temporary: AtomicBool,
    /// Temporary files made so far.
    pub temporary_count: AtomicUsize,
}

impl Faults {
    fn check(fault: &AtomicBool) -> io::Result<()> {
        if fault.load(Ordering::Relaxed) { Err(io::Error::other("planned")) } else { Ok(()) }
    }

    fn check_once(fault: &AtomicBool) -> io::Result<()> {
        if fault.swap(false, Ordering::Relaxed) { Err(io::Error::other("planned")) } else { Ok(()) }
    }
}

#[derive(Debug)]
pub struct FaultyVfs {
    pub files: MemVfs,
    pub faults: Arc<Faults>,
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn VfsFile>,
    faults: Arc<Faults>,
}

impl FaultyVfs {
    fn wrap(&self, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(FaultyFile { file, faults: Arc::clone(&self.faults) })
    }
}

impl Vfs for FaultyVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.files.open(path, mode).map(|file| self.wrap(file))
    }

    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        if self.faults.temporary.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.faults.temporary_count.fetch_add(1, Ordering::Relaxed);
        self.files.open_temporary(dir).map(|file| self.wrap(file))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename_noreplace(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.files.list(dir)
    }

    fn monotonic(&self) -> Duration {
        self.files.monotonic()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.files.wall_clock_ms()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.files.random(buf)
    }

    fn process_id(&self) -> u32 {
        self.files.process_id()
    }
}

impl VfsFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Faults::check(&self.faults.reads)?;
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        Faults::check(&self.faults.writes)?;
        Faults::check_once(&self.faults.next_write)?;
        self.file.write_at(buf, offset)
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Faults::check(&self.faults.writes)?;
        Faults::check_once(&self.faults.next_write)?;
        self.file.write_vectored_at(bufs, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Faults::check(&self.faults.writes)?;
        Faults::check_once(&self.faults.next_write)?;
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        Faults::check(&self.faults.writes)?;
        Faults::check_once(&self.faults.next_write)?;
        self.file.allocate(len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.punch(offset, len)
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        Faults::check(&self.faults.syncs)?;
        self.file.sync(kind)
    }

    fn identity(&self) -> io::Result<FileId> {
        self.file.identity()
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.file.try_lock(mode)
    }
}

//! Files of the operating system. What differs between systems stands in `unix.rs` and `other.rs`.

use super::{DirEntry, FileId, LockMode, OpenMode, SyncKind, Vfs, VfsFile};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[cfg(unix)]
#[path = "os/unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "os/other.rs"]
mod system;

mod map;

/// The files, clocks and randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

#[derive(Debug)]
struct OsFile {
    file: File,
    id: FileId,
    map: map::Mapping,
}

/// What becomes of a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

fn options_of(mode: OpenMode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(mode != OpenMode::Read)
        .create(mode == OpenMode::Create)
        .create_new(mode == OpenMode::CreateNew);
    options
}

fn open_regular(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    let file = system::open(path, options, links)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

impl OsFile {
    #[expect(clippy::new_ret_no_self, reason = "what leaves this module is the trait")]
    fn new(path: &Path, file: File) -> io::Result<Arc<dyn VfsFile>> {
        let id = system::identity(path, &file.metadata()?)?;
        Ok(Arc::new(Self { file, id, map: map::Mapping::default() }))
    }
}

impl Vfs for OsVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let links = if mode == OpenMode::CreateNew { Links::Refuse } else { Links::Follow };
        OsFile::new(path, open_regular(path, &mut options_of(mode), links)?)
    }

    fn open_beside(
        &self,
        main: &Path,
        path: &Path,
        mode: OpenMode,
    ) -> io::Result<Arc<dyn VfsFile>> {
        let file = open_regular(path, &mut options_of(mode), Links::Refuse)?;
        system::expect_beside(main, &file)?;
        OsFile::new(path, file)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        /// As many as Linux follows.
        const MOST_LINKS: usize = 40;
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            match fs::canonicalize(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                resolved => return resolved,
            }
            // The file, or the one that a link leads to, is still to be created.
            let (Some(name), parent) = (path.file_name(), path.parent()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
            let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")))?;
            let named = parent.join(name);
            match fs::read_link(&named) {
                Ok(target) => path = parent.join(target),
                Err(_) => return Ok(named),
            }
        }
        Err(io::Error::other("too many symbolic links"))
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        system::identity(path, &fs::metadata(path)?)
    }

    fn open_temporary(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        const ATTEMPTS: usize = 16;
        for _ in 0..ATTEMPTS {
            let mut name = [0u8; 8];
            self.random(&mut name)?;
            let path = dir.join(format!(".any-store-{:016x}.tmp", u64::from_le_bytes(name)));
            match self.open(&path, OpenMode::CreateNew) {
                Ok(file) => {
                    fs::remove_file(&path)?;
                    return Ok(file);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        system::rename_noreplace(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        system::sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                entries.push(DirEntry { path: entry.path(), len: metadata.len() });
            }
        }
        Ok(entries)
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn wall_clock_ms(&self) -> i64 {
        super::system_clock_ms()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buf).map_err(io::Error::other)
    }

    fn process_id(&self) -> u32 {
        any_store_os::process_id()
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        system::boot_id()
    }
}

impl VfsFile for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        system::read_at(&self.file, buf, offset)
    }

    fn read_mapped(&self, buf: &mut [u8], offset: u64, limit: u64) -> bool {
        self.map.read(&self.file, buf, offset, limit)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        system::write_at(&self.file, buf, offset)
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        system::write_vectored_at(&self.file, bufs, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.map.set_len(&self.file, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        system::allocate(&self.file, len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        system::punch(&self.file, offset, len)
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        match kind {
            SyncKind::Data => self.file.sync_data(),
            SyncKind::Full => self.file.sync_all(),
        }
    }

    fn identity(&self) -> io::Result<FileId> {
        Ok(self.id)
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let outcome = match mode {
            LockMode::Shared => self.file.try_lock_shared(),
            LockMode::Exclusive => self.file.try_lock(),
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }

    fn lock_holder(&self) -> Option<u32> {
        system::lock_holder(self.id)
    }
}

/// Writes zeros over a range that cannot be punched; never beyond the end of the file.
fn write_zeros(file: &File, offset: u64, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let end = offset.saturating_add(len).min(file.metadata()?.len());
    let mut at = offset;
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        match system::write_at(file, ZEROS.get(..left).unwrap_or(&ZEROS), at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => at += n as u64,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

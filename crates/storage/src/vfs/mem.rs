//! Files in memory. Nothing outlives the value; needs no operating system.

use super::{DirEntry, FileId, LockMode, OpenMode, SyncKind, Vfs, VfsFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1);

/// A file system in memory. Clones share the files.
///
/// Time stands still but for a tick at every question, and randomness is a counter run through a
/// mixing function: the same calls give the same answers.
#[derive(Clone, Debug)]
pub struct MemVfs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: u64,
    names: Mutex<BTreeMap<PathBuf, Arc<Node>>>,
    next_number: AtomicU64,
    ticks: AtomicU64,
    random: AtomicU64,
}

#[derive(Debug)]
struct Node {
    id: FileId,
    bytes: RwLock<Vec<u8>>,
    locks: Mutex<Locks>,
}

#[derive(Debug, Default)]
struct Locks {
    shared: usize,
    exclusive: bool,
}

#[derive(Debug)]
struct MemFile {
    node: Arc<Node>,
    writable: bool,
    held: Mutex<Option<LockMode>>,
}

impl MemVfs {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            // Counted from the top, away from the numbers of real devices.
            device: u64::MAX - NEXT_DEVICE.fetch_add(1, Ordering::Relaxed),
            names: Mutex::default(),
            next_number: AtomicU64::new(1),
            ticks: AtomicU64::new(0),
            random: AtomicU64::new(0),
        }))
    }

    /// Puts a file of these bytes at `path`, in place of what is there. A database file of a store
    /// that was closed, or a backup, opens from there like from a disk:
    ///
    /// ```
    /// use any_store_storage::{BackupOptions, MemVfs, Store, StoreOptions};
    /// use std::{path::Path, sync::Arc};
    /// # let vfs = Arc::new(MemVfs::new());
    /// # let store = Store::open(vfs, Path::new("db"), StoreOptions::default())?;
    /// let mut bytes = Vec::new();
    /// store.backup_to(&mut bytes, &BackupOptions::default())?;
    /// let memory = MemVfs::new();
    /// memory.put_file("copy", bytes);
    /// let copy = Store::open(Arc::new(memory), Path::new("copy"), StoreOptions::default())?;
    /// # Ok::<(), any_store_storage::Error>(())
    /// ```
    pub fn put_file(&self, path: impl Into<PathBuf>, bytes: Vec<u8>) {
        let node = self.new_node();
        *node.bytes.write().unwrap_or_else(PoisonError::into_inner) = bytes;
        self.names().insert(path.into(), node);
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<Node>>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_node(&self) -> Arc<Node> {
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        Arc::new(Node {
            id: FileId { device: self.0.device, number },
            bytes: RwLock::default(),
            locks: Mutex::default(),
        })
    }
}

impl Default for MemVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Vfs for MemVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut names = self.names();
        let node = match (names.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(node), _) => Arc::clone(node),
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let node = self.new_node();
                names.insert(path.to_owned(), Arc::clone(&node));
                node
            }
        };
        Ok(Arc::new(MemFile { node, writable: mode != OpenMode::Read, held: Mutex::default() }))
    }

    fn open_temporary(&self, _: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(MemFile { node: self.new_node(), writable: true, held: Mutex::default() }))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        if names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), node);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        let node = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.names().remove(path) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let names = self.names();
        let entries =
            names.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(path, node)| {
                let bytes = node.bytes.read().unwrap_or_else(PoisonError::into_inner);
                DirEntry { path: path.clone(), len: bytes.len() as u64 }
            });
        Ok(entries.collect())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.ticks.fetch_add(1, Ordering::Relaxed))
    }

    fn wall_clock_ms(&self) -> i64 {
        i64::try_from(self.0.ticks.fetch_add(1, Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        for chunk in buf.chunks_mut(8) {
            let drawn = mix(self.0.random.fetch_add(1, Ordering::Relaxed) ^ (self.0.device << 32));
            for (byte, drawn) in chunk.iter_mut().zip(drawn.to_le_bytes()) {
                *byte = drawn;
            }
        }
        Ok(())
    }

    fn process_id(&self) -> u32 {
        1
    }
}

/// The output function of splitmix64 (Steele, Lea, Flood 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl MemFile {
    fn writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    /// The bytes `start..end` of the file, which is extended with zeros to hold them.
    fn with_range<R>(
        &self,
        offset: u64,
        len: usize,
        action: impl FnOnce(&mut [u8]) -> R,
    ) -> io::Result<R> {
        self.writable()?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(len).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.node.bytes.write().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() < end {
            let missing = end - bytes.len();
            bytes.try_reserve(missing).map_err(|_| io::ErrorKind::StorageFull)?;
            bytes.resize(end, 0);
        }
        bytes.get_mut(start..end).map(action).ok_or(io::ErrorKind::InvalidInput.into())
    }
}

impl VfsFile for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.node.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let (_, present) = bytes.split_at(start);
        let len = buf.len().min(present.len());
        let (buf, _) = buf.split_at_mut(len);
        buf.copy_from_slice(present.split_at(len).0);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.with_range(offset, buf.len(), |range| range.copy_from_slice(buf))?;
        Ok(buf.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.node.bytes.write().unwrap_or_else(PoisonError::into_inner).resize(len, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.len()? { self.set_len(len) } else { Ok(()) }
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        let within = self.len()?.saturating_sub(offset).min(len);
        let within = usize::try_from(within).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if within == 0 {
            return Ok(());
        }
        self.with_range(offset, within, |range| range.fill(0))
    }

    fn sync(&self, _: SyncKind) -> io::Result<()> {
        Ok(())
    }

    fn identity(&self) -> io::Result<FileId> {
        Ok(self.node.id)
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut locks = self.node.locks.lock().unwrap_or_else(PoisonError::into_inner);
        release(&mut locks, held.take());
        let free = match mode {
            LockMode::Shared => !locks.exclusive,
            LockMode::Exclusive => !locks.exclusive && locks.shared == 0,
        };
        if free {
            match mode {
                LockMode::Shared => locks.shared += 1,
                LockMode::Exclusive => locks.exclusive = true,
            }
            *held = Some(mode);
        }
        Ok(free)
    }
}

fn release(locks: &mut Locks, held: Option<LockMode>) {
    match held {
        Some(LockMode::Shared) => locks.shared -= 1,
        Some(LockMode::Exclusive) => locks.exclusive = false,
        None => {}
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut locks = self.node.locks.lock().unwrap_or_else(PoisonError::into_inner);
        release(&mut locks, held);
    }
}

//! Files in memory. Nothing outlives the value; needs no operating system.
//!
//! Like a file system's, these files are sparse: memory is taken by what was written, and given back
//! by what is punched or cut, whatever the length says.

mod content;

use super::{Bell, DirEntry, FileId, LockMode, OpenMode, SyncKind, Vfs, VfsFile, unique_device};
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, thread};
use content::Content;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A file system in memory. Clones share the files.
///
/// Durations stand still but for a tick at every question and for what is waited for, and randomness
/// is a counter run through a mixing function: the same calls give the same answers. The time of day
/// alone is the system's.
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
    content: RwLock<Content>,
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
            device: unique_device(),
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
        let mut content = node.content.write().unwrap_or_else(PoisonError::into_inner);
        // Memory holds more than a file may have only of what is in memory already.
        content.write(&bytes, 0).expect("a file takes what fits into memory");
        drop(content);
        self.names().insert(path.into(), node);
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<Node>>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_node(&self) -> Arc<Node> {
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        Arc::new(Node {
            id: FileId { device: self.0.device, number },
            content: RwLock::default(),
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

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        self.names().get(path).map(|node| node.id).ok_or(io::ErrorKind::NotFound.into())
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
                let content = node.content.read().unwrap_or_else(PoisonError::into_inner);
                DirEntry { path: path.clone(), len: content.len() }
            });
        Ok(entries.collect())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.ticks.fetch_add(1, Ordering::Relaxed))
    }

    fn pause(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.ticks.fetch_add(micros, Ordering::Relaxed);
        thread::yield_now();
    }

    fn wall_clock_ms(&self) -> i64 {
        // Users keep databases in memory, too, and store dates in them.
        super::system_clock_ms()
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

    fn wait(&self, bell: &Arc<Bell>, seen: u64, timeout: Option<Duration>) {
        if !bell.wait(seen, timeout) {
            let passed = timeout.unwrap_or_default().as_micros();
            let passed = u64::try_from(passed).unwrap_or(u64::MAX);
            self.0.ticks.fetch_add(passed, Ordering::Relaxed);
        }
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

    fn content(&self) -> RwLockReadGuard<'_, Content> {
        self.node.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_mut(&self) -> io::Result<RwLockWriteGuard<'_, Content>> {
        self.writable()?;
        Ok(self.node.content.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl VfsFile for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.content().read(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.content_mut()?.write(buf, offset)?;
        Ok(buf.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.content_mut()?.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content().len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut content = self.content_mut()?;
        if len > content.len() { content.set_len(len) } else { Ok(()) }
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.content_mut()?.clear(offset, len);
        Ok(())
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

    fn unlock(&self) -> io::Result<()> {
        self.release_lock();
        Ok(())
    }
}

fn release(locks: &mut Locks, held: Option<LockMode>) {
    match held {
        Some(LockMode::Shared) => locks.shared -= 1,
        Some(LockMode::Exclusive) => locks.exclusive = false,
        None => {}
    }
}

impl MemFile {
    fn release_lock(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut locks = self.node.locks.lock().unwrap_or_else(PoisonError::into_inner);
        release(&mut locks, held);
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        self.release_lock();
    }
}

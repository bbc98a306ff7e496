//! A file system of shared images: each file is bytes that all cases share, and the blocks in which
//! this case differs. So a case costs what it changes, whatever the size of the database.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use any_store::vfs::{DirEntry, FileId, LockMode, OpenMode, SyncKind, Vfs, VfsFile};
use any_store::vfs::{read_full, unique_device};
use any_store_storage::BLOCK_BYTES;

const BLOCK: u64 = BLOCK_BYTES as u64;
/// No file is longer: so many blocks have numbers.
const MAX_BYTES: u64 = 1 << 44;

/// Files that stand on shared bytes. Clones share the files.
#[derive(Clone, Debug)]
pub(crate) struct Overlay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: u64,
    names: Mutex<BTreeMap<PathBuf, Arc<Node>>>,
    next_number: AtomicU64,
    ticks: AtomicU64,
    random: AtomicU64,
    calls: AtomicU64,
    /// Calls that change a file or a name.
    changes: AtomicU64,
    /// Reads since the recording began, if it has.
    reads: Mutex<Option<Vec<FileRead>>>,
}

/// The number of a file, in the order in which they were put, and what was read of it.
pub(crate) type FileRead = (u64, Range<u64>);

#[derive(Debug)]
struct Node {
    id: FileId,
    bytes: Mutex<Bytes>,
}

/// The bytes of one file.
#[derive(Debug, Default)]
struct Bytes {
    base: Arc<[u8]>,
    /// How much of the base still counts.
    base_len: u64,
    len: u64,
    /// Whole blocks that stand in place of the base's; behind `len` they hold zeros.
    changed: BTreeMap<u64, Box<[u8; BLOCK_BYTES]>>,
}

#[derive(Debug)]
struct OverlayFile {
    vfs: Overlay,
    node: Arc<Node>,
    writable: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Overlay {
    /// After so many calls every further one fails: no case needs as many.
    const CALL_BUDGET: u64 = 2_000_000;

    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            device: unique_device(),
            names: Mutex::default(),
            next_number: AtomicU64::new(1),
            ticks: AtomicU64::new(0),
            random: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            reads: Mutex::default(),
        }))
    }

    /// Puts a file of these shared bytes at `path`, in place of what is there.
    pub(crate) fn put(&self, path: impl Into<PathBuf>, base: &Arc<[u8]>) {
        let node = self.new_node();
        let len = base.len() as u64;
        *locked(&node.bytes) =
            Bytes { base: Arc::clone(base), base_len: len, len, changed: BTreeMap::new() };
        locked(&self.0.names).insert(path.into(), node);
    }

    /// Changes the bytes at `offset` behind the engine's back.
    pub(crate) fn patch(&self, path: &Path, offset: u64, bytes: &[u8]) {
        let node = locked(&self.0.names).get(path).cloned();
        let node = node.expect("only files that were put there are patched");
        locked(&node.bytes).write(bytes, offset).expect("patches lie inside the file");
    }

    /// Cuts or extends a file behind the engine's back.
    pub(crate) fn resize(&self, path: &Path, len: u64) {
        let node = locked(&self.0.names).get(path).cloned();
        locked(&node.expect("only files that were put there are cut").bytes).set_len(len);
    }

    /// All bytes of a file; `None` if there is none.
    pub(crate) fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let node = locked(&self.0.names).get(path).cloned()?;
        let bytes = locked(&node.bytes);
        let mut all = vec![0; usize::try_from(bytes.len).ok()?];
        bytes.read(&mut all, 0);
        Some(all)
    }

    /// Some bytes of a file that is there.
    pub(crate) fn peek(&self, path: &Path, offset: u64, len: usize) -> Vec<u8> {
        let node = locked(&self.0.names).get(path).cloned();
        let mut bytes = vec![0; len];
        let node = node.expect("only files that were put there are looked at");
        locked(&node.bytes).read(&mut bytes, offset);
        bytes
    }

    /// How often anything was changed through the file system.
    pub(crate) fn change_count(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// The engine made more calls than any case needs.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.0.calls.load(Ordering::Relaxed) >= Self::CALL_BUDGET
    }

    /// What `action` reads.
    pub(crate) fn reads_of<R>(&self, action: impl FnOnce() -> R) -> (R, Vec<FileRead>) {
        *locked(&self.0.reads) = Some(Vec::new());
        let result = action();
        (result, locked(&self.0.reads).take().unwrap_or_default())
    }

    fn new_node(&self) -> Arc<Node> {
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        let id = FileId { device: self.0.device, number };
        Arc::new(Node { id, bytes: Mutex::default() })
    }

    fn call(&self) -> io::Result<()> {
        let calls = self.0.calls.fetch_add(1, Ordering::Relaxed);
        if calls < Self::CALL_BUDGET { Ok(()) } else { Err(io::Error::other("too many calls")) }
    }

    fn change(&self) -> io::Result<()> {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        self.call()
    }
}

impl Bytes {
    fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        let buf = &mut buf[..len];
        buf.fill(0);
        if let Ok(at) = usize::try_from(offset)
            && let Some(base) = self.base.get(at..usize::try_from(self.base_len).unwrap_or(0))
        {
            let shared = base.len().min(len);
            buf[..shared].copy_from_slice(&base[..shared]);
        }
        let end = offset + len as u64;
        for (number, block) in self.changed.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = number * BLOCK;
            let from = start.max(offset);
            let until = (start + BLOCK).min(end);
            let within = &block[(from - start) as usize..(until - start) as usize];
            buf[(from - offset) as usize..(until - offset) as usize].copy_from_slice(within);
        }
        len
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= MAX_BYTES);
        let end = end.ok_or(io::ErrorKind::FileTooLarge)?;
        let mut done = 0usize;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % BLOCK) as usize;
            let part = (BLOCK_BYTES - within).min(bytes.len() - done);
            self.block(at / BLOCK)[within..within + part]
                .copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
        if !bytes.is_empty() {
            self.len = self.len.max(end);
        }
        Ok(())
    }

    /// A block of this case's own.
    fn block(&mut self, number: u64) -> &mut [u8; BLOCK_BYTES] {
        if !self.changed.contains_key(&number) {
            let mut block = Box::new([0; BLOCK_BYTES]);
            let from = (number * BLOCK).min(self.base_len) as usize;
            let until = (number * BLOCK + BLOCK).min(self.base_len) as usize;
            block[..until - from].copy_from_slice(&self.base[from..until]);
            self.changed.insert(number, block);
        }
        self.changed.get_mut(&number).expect("it was just made")
    }

    /// Makes a range read as zeros. Blocks that are nowhere need nothing: a hostile file may ask for
    /// more of them than could be walked over.
    fn clear(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.len);
        if offset >= end {
            return;
        }
        let shared = offset / BLOCK..self.base_len.min(end).div_ceil(BLOCK);
        let own = self.changed.range(offset / BLOCK..end.div_ceil(BLOCK));
        let own: Vec<u64> = own.map(|(number, _)| *number).collect();
        for number in shared.chain(own) {
            let from = offset.max(number * BLOCK) - number * BLOCK;
            let until = end.min(number * BLOCK + BLOCK) - number * BLOCK;
            self.block(number)[from as usize..until as usize].fill(0);
        }
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            let next_block = len.next_multiple_of(BLOCK).min(self.len);
            self.clear(len, next_block - len);
            self.changed.split_off(&next_block.div_ceil(BLOCK));
            self.base_len = self.base_len.min(len);
        }
        self.len = len;
    }
}

impl Vfs for Overlay {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.call()?;
        let mut names = locked(&self.0.names);
        let node = match (names.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(node), _) => Arc::clone(node),
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                self.0.changes.fetch_add(1, Ordering::Relaxed);
                let node = self.new_node();
                names.insert(path.to_owned(), Arc::clone(&node));
                node
            }
        };
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(OverlayFile { vfs: self.clone(), node, writable }))
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        let names = locked(&self.0.names);
        names.get(path).map(|node| node.id).ok_or(io::ErrorKind::NotFound.into())
    }

    fn open_temporary(&self, _: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = OverlayFile { vfs: self.clone(), node: self.new_node(), writable: true };
        Ok(Arc::new(file))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        if locked(&self.0.names).contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        let mut names = locked(&self.0.names);
        let node = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        let removed = locked(&self.0.names).remove(path);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.call()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let names = locked(&self.0.names);
        let inside = names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Arc<Node>)| DirEntry {
            path: path.clone(),
            len: locked(&node.bytes).len,
        };
        Ok(inside.map(entry).collect())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.ticks.fetch_add(1, Ordering::Relaxed))
    }

    fn pause(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.ticks.fetch_add(micros, Ordering::Relaxed);
    }

    fn wall_clock_ms(&self) -> i64 {
        i64::try_from(self.0.ticks.fetch_add(1, Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    /// The same bytes in every case, and not those that the images were made with.
    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        let drawn = self.0.random.fetch_add(1, Ordering::Relaxed);
        any_store_sim::Rng::for_parts(&[0x0E71, drawn]).fill(buf);
        Ok(())
    }

    fn process_id(&self) -> u32 {
        1
    }
}

impl OverlayFile {
    fn change(&self) -> io::Result<MutexGuard<'_, Bytes>> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.vfs.change()?;
        Ok(locked(&self.node.bytes))
    }
}

impl VfsFile for OverlayFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.vfs.call()?;
        if let Some(reads) = locked(&self.vfs.0.reads).as_mut() {
            reads.push((self.node.id.number, offset..offset.saturating_add(buf.len() as u64)));
        }
        Ok(locked(&self.node.bytes).read(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.change()?.write(buf, offset)?;
        Ok(buf.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.change()?.set_len(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.vfs.call()?;
        Ok(locked(&self.node.bytes).len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.len()? { self.set_len(len) } else { Ok(()) }
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change()?.clear(offset, len);
        Ok(())
    }

    fn sync(&self, _: SyncKind) -> io::Result<()> {
        self.vfs.call()
    }

    fn identity(&self) -> io::Result<FileId> {
        Ok(self.node.id)
    }

    /// Nobody else has these files.
    fn try_lock(&self, _: LockMode) -> io::Result<bool> {
        Ok(true)
    }
}

/// All bytes of a file of any file system.
pub(crate) fn bytes_of(vfs: &dyn Vfs, path: &Path) -> io::Result<Arc<[u8]>> {
    let file = vfs.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    read_full(&*file, &mut bytes, 0)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use any_store::MemVfs;
    use any_store_sim::Rng;

    /// The overlay does what the file system in memory does, call by call.
    #[test]
    fn it_reads_like_a_copy_of_the_files() {
        let mut rng = Rng::new(5);
        let path = Path::new("/file");
        for _ in 0..40 {
            let mut base = vec![0; rng.index(40_000)];
            rng.fill(&mut base);
            let (overlay, memory) = (Overlay::new(), MemVfs::new());
            overlay.put(path, &base.clone().into());
            memory.put_file(path, base.clone());
            let files = [
                overlay.open(path, OpenMode::Write).unwrap(),
                memory.open(path, OpenMode::Write).unwrap(),
            ];
            for _ in 0..60 {
                let (offset, len) = (rng.below(50_000), rng.below(9_000));
                let verb = rng.below(4);
                for file in &files {
                    match verb {
                        0 => file.set_len(offset).unwrap(),
                        1 => file.punch(offset, len).unwrap(),
                        2 => file.allocate(offset).unwrap(),
                        _ => drop(file.write_at(&vec![7; len as usize], offset).unwrap()),
                    }
                }
                assert!(bytes_of(&overlay, path).unwrap() == bytes_of(&memory, path).unwrap());
            }
            assert_eq!(overlay.bytes(path).unwrap().len() as u64, files[1].len().unwrap());
        }
    }

    #[test]
    fn a_case_does_not_reach_another_through_the_shared_bytes() {
        let base: Arc<[u8]> = vec![1; 10_000].into();
        let (one, other) = (Overlay::new(), Overlay::new());
        let path = Path::new("/file");
        one.put(path, &base);
        other.put(path, &base);
        one.patch(path, 5000, &[9]);
        assert_eq!(one.bytes(path).unwrap()[4999..5002], [1, 9, 1]);
        assert_eq!(other.bytes(path).unwrap(), vec![1; 10_000]);
        assert_eq!(one.change_count(), 0, "patches are not the engine's");
    }
}

//! Who has a database file open: this process, by a registry, and other processes, by the kernel's
//! lock.
//!
//! A [`Claim`] is both. It is taken before anything is read beyond the file's identity, and given up
//! when the store is closed. The registry knows files by device and number, so that no spelling,
//! link or race of a path opens a file twice in one process, but to read.
//!
//! A forked child inherits the memory and the open files, but neither the entry nor the lock is its
//! own: an entry carries the process that made it, and a claim in another process does nothing.

use crate::error::{Error, LockHolder, Result};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, PoisonError};
use crate::vfs::{self, FileId, LockMode, Vfs, VfsFile};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// The files open in this process.
static OPEN_FILES: Mutex<BTreeMap<FileId, Entry>> = Mutex::new(BTreeMap::new());

fn open_files() -> MutexGuard<'static, BTreeMap<FileId, Entry>> {
    OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a file is open.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// In which process. The entry of another one was inherited, and is worth nothing.
    process_id: u32,
    mode: LockMode,
    /// How many claims; more than one only to read.
    count: usize,
}

/// The right to use a database file, until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    vfs: Arc<dyn Vfs>,
    file: Arc<dyn VfsFile>,
    id: FileId,
    process_id: u32,
    released: AtomicBool,
}

impl Claim {
    /// Claims an open file. Waits up to `timeout` for another process, and not at all for this one,
    /// which might be waiting for itself.
    ///
    /// # Errors
    /// `Locked`, `Io`.
    pub(crate) fn take(
        vfs: &Arc<dyn Vfs>,
        file: &Arc<dyn VfsFile>,
        mode: LockMode,
        timeout: Duration,
    ) -> Result<Self> {
        let id = file.identity().map_err(Error::io("identify the database file"))?;
        let process_id = vfs.process_id();
        if !register(id, mode, process_id) {
            return Err(Error::Locked { holder: LockHolder::ThisProcess });
        }
        let claim = Self {
            vfs: Arc::clone(vfs),
            file: Arc::clone(file),
            id,
            process_id,
            released: AtomicBool::new(false),
        };
        claim.lock(mode, timeout)?;
        Ok(claim)
    }

    fn lock(&self, mode: LockMode, timeout: Duration) -> Result<()> {
        const SHORTEST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_millis(50);
        let deadline = self.vfs.monotonic().saturating_add(timeout);
        let mut pause = SHORTEST;
        let try_lock =
            || vfs::try_lock(&*self.file, mode).map_err(Error::io("lock the database file"));
        while !try_lock()? {
            let left = deadline.saturating_sub(self.vfs.monotonic());
            if left.is_zero() {
                let holder = self.file.lock_holder();
                let holder = holder.map_or(LockHolder::Unknown, LockHolder::Process);
                return Err(Error::Locked { holder });
            }
            self.vfs.pause(pause.min(left));
            pause = pause.saturating_mul(2).min(LONGEST);
        }
        Ok(())
    }

    /// True in a forked child of the process that made the claim.
    pub(crate) fn is_inherited(&self) -> bool {
        self.vfs.process_id() != self.process_id
    }

    /// Lets others have the file. An inherited claim is not given up: the lock is the parent's.
    pub(crate) fn release(&self) {
        if self.is_inherited() || self.released.swap(true, Ordering::AcqRel) {
            return;
        }
        // Unlocked by name and not by closing alone: a child that was forked meanwhile may hold the
        // file open a little longer. If it fails, closing does it.
        let _ = self.file.unlock();
        deregister(self.id);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

/// Enters a file; false if this process has it open, unless all claims are only to read.
fn register(id: FileId, mode: LockMode, process_id: u32) -> bool {
    let mut files = open_files();
    match files.get_mut(&id).filter(|entry| entry.process_id == process_id) {
        Some(entry) => {
            let shared = entry.mode == LockMode::Shared && mode == LockMode::Shared;
            entry.count += usize::from(shared);
            shared
        }
        None => {
            files.insert(id, Entry { process_id, mode, count: 1 });
            true
        }
    }
}

fn deregister(id: FileId) {
    let mut files = open_files();
    let left = files.get_mut(&id).map_or(0, |entry| {
        entry.count = entry.count.saturating_sub(1);
        entry.count
    });
    if left == 0 {
        files.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{MemVfs, OpenMode};
    use std::path::Path;

    fn file(vfs: &Arc<dyn Vfs>, path: &str) -> Arc<dyn VfsFile> {
        vfs.open(Path::new(path), OpenMode::Create).unwrap()
    }

    fn take(vfs: &Arc<dyn Vfs>, file: &Arc<dyn VfsFile>) -> Result<Claim> {
        Claim::take(vfs, file, LockMode::Exclusive, Duration::ZERO)
    }

    #[test]
    fn a_file_is_claimed_once_until_the_claim_ends() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let (first, second) = (file(&vfs, "/a"), file(&vfs, "/a"));
        let claim = take(&vfs, &first).unwrap();
        let in_use =
            |claim| matches!(claim, Err(Error::Locked { holder: LockHolder::ThisProcess }));
        assert!(in_use(take(&vfs, &second)));
        assert!(in_use(take(&vfs, &second)), "a refusal takes nothing away");
        take(&vfs, &file(&vfs, "/b")).unwrap();
        claim.release();
        let claim_again = take(&vfs, &second).unwrap();
        drop(claim);
        assert!(in_use(take(&vfs, &first)), "a claim is given up once");
        drop(claim_again);
        take(&vfs, &first).unwrap();
    }

    #[test]
    fn readers_share_a_file_and_keep_a_writer_out() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let to_read = |file| Claim::take(&vfs, file, LockMode::Shared, Duration::ZERO);
        let (first, second, third) = (file(&vfs, "/a"), file(&vfs, "/a"), file(&vfs, "/a"));
        let readers = (to_read(&first).unwrap(), to_read(&second).unwrap());
        assert!(take(&vfs, &third).is_err());
        drop(readers.0);
        assert!(take(&vfs, &third).is_err());
        drop(readers.1);
        let writer = take(&vfs, &third).unwrap();
        assert!(to_read(&first).is_err());
        drop(writer);
        to_read(&first).unwrap();
    }

    #[test]
    fn a_lock_of_another_process_is_waited_for_and_leaves_no_entry() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let (theirs, ours) = (file(&vfs, "/a"), file(&vfs, "/a"));
        assert!(theirs.try_lock(LockMode::Exclusive).unwrap());
        let before = vfs.monotonic();
        let timeout = Duration::from_secs(3);
        let refused = Claim::take(&vfs, &ours, LockMode::Exclusive, timeout);
        assert!(matches!(refused, Err(Error::Locked { holder: LockHolder::Unknown })));
        assert!(vfs.monotonic() - before >= timeout);
        drop(theirs);
        take(&vfs, &ours).unwrap();
    }

    #[test]
    fn an_inherited_claim_neither_bars_the_child_nor_is_given_up_by_it() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let parents = file(&vfs, "/a");
        let mut inherited = take(&vfs, &parents).unwrap();
        inherited.process_id = 7;
        open_files().get_mut(&inherited.id).unwrap().process_id = 7;
        assert!(inherited.is_inherited());
        inherited.release();
        drop(inherited);
        let ours = file(&vfs, "/a");
        let refused = take(&vfs, &ours);
        assert!(matches!(refused, Err(Error::Locked { holder: LockHolder::Unknown })), "its lock");
        drop(parents);
        take(&vfs, &ours).unwrap();
    }
}

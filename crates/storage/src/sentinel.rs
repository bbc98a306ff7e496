//! The sentinel: a file `X.lock` that says "there may be commits that are not on stable storage".
//!
//! It is on stable storage before the first frame of the first such commit is written, and is
//! removed when everything committed is durable. So after a crash at any moment it is there, or
//! nothing committed was at stake:
//!
//!   absent --created, synced, folder synced--> present --frames written, commits acknowledged-->
//!   present --all of it durable--> removed, folder synced --> absent
//!
//! A crash during the creation leaves it empty, torn or whole over a database without new frames;
//! one during the removal brings it back over a database that is durable. Both cost one quick check.
//! Once it may be absent, be it because its removal failed half-way, the next commit makes it anew.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::page::CommitNo;
use crate::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use crate::vfs::{OpenMode, SyncKind, VfsFile, read_full, write_all};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MAGIC: [u8; 16] = *b"any-store use\r\n\n";

/// Magic, database id, boot id, milliseconds of the wall clock, process id, zeros.
const LEN: usize = 64;

/// Whether the file is there, as far as a crash at this moment is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Absent,
    Present,
    /// A removal or a creation failed.
    Unknown,
}

#[derive(Debug, Default)]
struct State {
    database_id: [u8; 16],
    mark: Mark,
    /// The newest commit of which frames may be in the log.
    newest: CommitNo,
}

/// What open found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// How long the check took; `None` if there was none, as in a store that only reads.
    pub(crate) quick_check: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Sentinel {
    state: Mutex<State>,
    found: OnceLock<Found>,
}

impl Sentinel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn found(&self) -> Option<Found> {
        self.found.get().copied()
    }

    pub(crate) fn set_found(&self, found: Found) {
        // Open alone sets it, once.
        let _ = self.found.set(found);
    }
}

impl Engine {
    /// True if an earlier session left one, which is ours from now on.
    ///
    /// # Errors
    /// `Io` when it cannot be told whether the file is there, or it is no sentinel.
    pub(crate) fn find_sentinel(&self) -> Result<bool> {
        let database_id = self.header().in_force().database_id;
        let mut state = self.sentinel.state();
        state.database_id = database_id;
        let what = || Error::io("look for the sentinel");
        match self.vfs.open(&sentinel_path(&self.path), OpenMode::Read) {
            Ok(file) => expect_ours(&*file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(what()(error)),
        }
        if !self.options.read_only {
            state.mark = Mark::Present;
        }
        Ok(true)
    }

    /// Sees to it that the sentinel is on stable storage before frames of the commit after `base` are
    /// written. One call before every append for a transaction, by the holder of the writer's lock.
    pub(crate) fn before_append(&self, base: CommitNo) -> Result<()> {
        if !self.options.sentinel {
            return Ok(());
        }
        let mut state = self.sentinel.state();
        // A close that removed the file has said so before.
        self.expect_open()?;
        state.newest = CommitNo(base.0.saturating_add(1));
        if state.mark != Mark::Present {
            let mode = match state.mark {
                Mark::Absent => OpenMode::CreateNew,
                _ => OpenMode::Create,
            };
            state.mark = Mark::Unknown;
            self.create_sentinel(mode, state.database_id)?;
            state.mark = Mark::Present;
        }
        Ok(())
    }

    fn create_sentinel(&self, mode: OpenMode, database_id: [u8; 16]) -> Result<()> {
        let what = || Error::io("make the sentinel");
        let file = self.vfs.open(&sentinel_path(&self.path), mode).map_err(what())?;
        let content = self.sentinel_content(database_id);
        write_all(&*file, &content, 0).map_err(what())?;
        file.sync(SyncKind::Full).inspect_err(|_| self.set_failed()).map_err(what())?;
        self.sync_directory()
    }

    fn sentinel_content(&self, database_id: [u8; 16]) -> [u8; LEN] {
        let boot_id = self.vfs.boot_id().unwrap_or_default();
        let fields: [&[u8]; 5] = [
            &MAGIC,
            &database_id,
            &boot_id,
            &self.vfs.wall_clock_ms().to_le_bytes(),
            &self.vfs.process_id().to_le_bytes(),
        ];
        let mut content = [0; LEN];
        for (byte, value) in content.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *value;
        }
        content
    }

    /// Removes the sentinel if no commit after `durable` has frames in the log.
    pub(crate) fn mark_clean(&self, durable: CommitNo) -> Result<()> {
        let mut state = self.sentinel.state();
        // Held to the end, so that a commit that begins now makes the file anew behind us.
        if state.newest > durable { Ok(()) } else { self.remove_locked(&mut state) }
    }

    /// Removes the sentinel: the store is closed and everything is durable.
    pub(crate) fn remove_sentinel(&self) -> Result<()> {
        self.remove_locked(&mut self.sentinel.state())
    }

    fn remove_locked(&self, state: &mut State) -> Result<()> {
        if state.mark == Mark::Absent {
            return Ok(());
        }
        state.mark = Mark::Unknown;
        match self.vfs.remove(&sentinel_path(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove the sentinel")(error));
            }
            _ => self.sync_directory()?,
        }
        state.mark = Mark::Absent;
        Ok(())
    }
}

/// The sentinel's path: the database's with `.lock` behind.
fn sentinel_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Refuses a file of somebody else, which would be removed in the end. Ours is as long as one, with
/// whatever a crash made of it, or shorter and the beginning of one.
fn expect_ours(file: &dyn VfsFile) -> Result<()> {
    let what = || Error::io("read the sentinel");
    let len = file.len().map_err(what())?;
    let mut head = [0; MAGIC.len()];
    let count = read_full(file, &mut head, 0).map_err(what())?;
    let head = head.get(..count).unwrap_or_default();
    let is_beginning = MAGIC.starts_with(head) || head.iter().all(|&byte| byte == 0);
    if len == LEN as u64 || (len < LEN as u64 && is_beginning) {
        return Ok(());
    }
    let taken = io::Error::new(io::ErrorKind::AlreadyExists, "another file has its name");
    Err(what()(taken))
}

//! A database file that appears under its name whole and durable, or not at all.
//!
//! It is written under a temporary name in the same directory, synced, and renamed. What had the
//! name before keeps it until that moment, whatever fails; and nobody can open the new file before
//! everything that belongs to the old one is out of the way, since it is locked until then.

use crate::engine::{directory_of, log_path};
use crate::error::{Error, LockHolder, Result};
use crate::header::{self, Slot};
use crate::vfs::{FileId, LockMode, OpenMode, SyncKind, Vfs, VfsFile, try_lock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file on its way to its name. Dropping it before [`NewFile::place`] removes it.
#[derive(Debug)]
pub(crate) struct NewFile {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    temporary: PathBuf,
    file: Arc<dyn VfsFile>,
    before: Before,
    is_placed: bool,
}

/// What has the name now.
#[derive(Debug)]
enum Before {
    /// Nothing, and nothing may come in between.
    Nothing,
    /// A database that somebody holds open for us.
    Held,
    /// A file that this handle keeps others from opening.
    Locked { _file: Arc<dyn VfsFile>, is_clean: bool },
}

impl NewFile {
    /// Makes a file for `path`. With `overwrite` a database that is there will be replaced.
    ///
    /// # Errors
    /// `Locked` if `path` is the file `source` or a database that is open; `Io` of kind
    /// `AlreadyExists` if the name is taken, or the name of its log; `NotADatabase` if what is
    /// there is something else.
    pub(crate) fn create(
        vfs: &Arc<dyn Vfs>,
        path: &Path,
        source: Option<FileId>,
        overwrite: bool,
    ) -> Result<Self> {
        let before = look_at(&**vfs, path, source, overwrite)?;
        Self::with(vfs, path, before)
    }

    /// Makes a file that will replace the closed database at `path`, which the caller has locked.
    pub(crate) fn replacing(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Self> {
        Self::with(vfs, path, Before::Held)
    }

    fn with(vfs: &Arc<dyn Vfs>, path: &Path, before: Before) -> Result<Self> {
        let mut random = [0; 8];
        vfs.random(&mut random).map_err(Error::io("draw random bytes"))?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".new-{:016x}", u64::from_le_bytes(random)));
        let temporary = PathBuf::from(name);
        let file = vfs.open(&temporary, OpenMode::CreateNew);
        let file = file.map_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                // It may have been made all the same.
                let _ = vfs.remove(&temporary);
            }
            Error::io("make the new file")(error)
        })?;
        let (vfs, path) = (Arc::clone(vfs), path.to_owned());
        Ok(Self { vfs, path, temporary, file, before, is_placed: false })
    }

    pub(crate) fn file(&self) -> &Arc<dyn VfsFile> {
        &self.file
    }

    /// Where the file is until it is placed.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync(SyncKind::Full).map_err(Error::io("sync the new file"))
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// `Io`; `path` names either what it named before or the new file, whole.
    pub(crate) fn place(mut self) -> Result<()> {
        if !try_lock(&*self.file, LockMode::Exclusive).map_err(Error::io("lock the new file"))? {
            return Err(Error::Locked { holder: LockHolder::Unknown });
        }
        let (from, to) = (self.temporary.clone(), self.path.clone());
        let named = match self.before {
            Before::Nothing => self.vfs.rename_noreplace(&from, &to),
            Before::Held | Before::Locked { is_clean: true, .. } => {
                // The log of a closed database holds nothing, but the new one would refuse it.
                self.remove_log()?;
                self.vfs.rename(&from, &to)
            }
            Before::Locked { is_clean: false, .. } => self.vfs.rename(&from, &to),
        };
        named.map_err(Error::io("name the new file"))?;
        self.is_placed = true;
        if matches!(self.before, Before::Locked { is_clean: false, .. }) {
            self.remove_log()?;
        }
        self.sync_directory().inspect_err(|_| self.take_name_back())
    }

    /// A name that a failed sync lost is there for everybody who looks, and no later sync would make
    /// it durable. So where there was nothing before, there is nothing again, and whoever comes next
    /// makes a file of his own. Nobody can have opened this one: it is locked.
    fn take_name_back(&self) {
        if matches!(self.before, Before::Nothing) {
            let _ = self.vfs.remove(&self.path);
        }
    }

    fn remove_log(&self) -> Result<()> {
        match self.vfs.remove(&log_path(&self.path)) {
            // Gone for good before the name changes: a crash must not bring it back.
            Ok(()) => self.sync_directory(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("remove the log of the replaced database")(error)),
        }
    }

    fn sync_directory(&self) -> Result<()> {
        let directory = directory_of(&self.path);
        self.vfs.sync_dir(directory).map_err(Error::io("sync the directory"))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_placed {
            // The name is ours alone; a failure leaves a file that nobody asks for.
            let _ = self.vfs.remove(&self.temporary);
        }
    }
}

fn look_at(vfs: &dyn Vfs, path: &Path, source: Option<FileId>, overwrite: bool) -> Result<Before> {
    let file = match vfs.open(path, OpenMode::Write) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            expect_no_log(vfs, path)?;
            return Ok(Before::Nothing);
        }
        Err(error) => return Err(Error::io("open the file to replace")(error)),
    };
    let identity = file.identity().map_err(Error::io("identify the file to replace"))?;
    if source == Some(identity) {
        return Err(Error::Locked { holder: LockHolder::Unknown });
    }
    if !overwrite {
        return Err(taken());
    }
    if !try_lock(&*file, LockMode::Exclusive).map_err(Error::io("lock the file to replace"))? {
        return Err(Error::Locked { holder: LockHolder::Unknown });
    }
    let is_clean = is_clean_database(&*file)?;
    Ok(Before::Locked { _file: file, is_clean })
}

/// Whether the database in `file` needs no log. An empty file is as good as one.
fn is_clean_database(file: &dyn VfsFile) -> Result<bool> {
    let what = "read the length of the file to replace";
    if file.is_empty().map_err(Error::io(what))? {
        return Ok(false);
    }
    let slots = header::read_slots(file)?;
    if slots.iter().all(|slot| matches!(slot, Slot::Foreign)) {
        return Err(Error::NotADatabase);
    }
    // One that is damaged, or that a newer version wrote, may need its log to the end.
    Ok(header::current(slots).is_ok_and(|header| header.clean))
}

/// A log without its file belonged to a database that is gone, and the new one would refuse it.
fn expect_no_log(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    match vfs.open(&log_path(path), OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look for a log beside the new file")(error)),
        Ok(_) => Err(Error::Io {
            what: "make the new file",
            source: io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a log of another database is beside it",
            ),
        }),
    }
}

fn taken() -> Error {
    let source = io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of this name");
    Error::Io { what: "make the new file", source }
}

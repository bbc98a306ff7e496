//! Files that were removed, renamed or replaced under an open store, and processes that were forked.
//!
//! Both turn the open files into something other than what the names say, or somebody else's. So
//! before the first write after open, at both ends of every checkpoint and before a close removes the
//! log, the paths must still name the open files; and a forked child may not use them at all.
//! Nothing is made anew under a name that was lost, and no log is left beside another database.

use crate::engine::{Engine, log_path};
use crate::error::{Error, Result};
use crate::vfs::{Vfs, VfsFile};
use std::io;
use std::path::Path;

impl Engine {
    /// Refuses to go on when the file or the log is no longer what the paths name; the store only
    /// reads from then on.
    ///
    /// # Errors
    /// `FileReplaced`, `Forked`, `Io`, `Closed`.
    pub(crate) fn expect_files_in_place(&self) -> Result<()> {
        self.pager.with_files(|files| {
            self.expect_in_place(&self.path, &*files.main)?;
            match &files.log {
                Some(log) => self.expect_in_place(&log_path(&self.path), &**log),
                None => Ok(()),
            }
        })
    }

    fn expect_in_place(&self, path: &Path, file: &dyn VfsFile) -> Result<()> {
        if names(&*self.vfs, path, file)? {
            return Ok(());
        }
        self.set_failed();
        Err(Error::FileReplaced { path: path.to_owned() })
    }

    /// Refuses everything in a forked child. Comes before any lock is waited for: its holder may be
    /// a thread that only the parent has.
    pub(crate) fn expect_same_process(&self) -> Result<()> {
        self.pager.expect_same_process()
    }
}

/// True if `path` names this file.
pub(crate) fn names(vfs: &dyn Vfs, path: &Path, file: &dyn VfsFile) -> Result<bool> {
    let what = || Error::io("identify a file of the database");
    match vfs.identity(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        named => Ok(named.map_err(what())? == file.identity().map_err(what())?),
    }
}

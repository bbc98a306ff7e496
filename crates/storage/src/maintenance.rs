//! What a store does besides reading and writing: checks with options, backups, compaction.

use crate::backup::{BackupOptions, BackupReport, FileSink, Image, WriteSink};
use crate::check::{self, CheckOptions, CheckReport, Finding, VerifyOptions, VerifyReport};
use crate::compact;
use crate::engine::LogState;
use crate::error::{Error, Result};
use crate::new_file::NewFile;
use crate::options::{AutoCheckpoint, StoreOptions};
use crate::store::Store;
use crate::vfs::{FileId, Vfs};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

impl Store {
    /// As [`Store::integrity_check`], with a limit, progress and an end on demand.
    ///
    /// # Errors
    /// `Cancelled`, `Io` and `Closed`; damage is in the report.
    pub fn integrity_check_with(&self, options: &CheckOptions) -> Result<CheckReport> {
        check::integrity_check(&self.engine, options)
    }

    /// As [`Store::verify`], with a number of threads, a limit, progress and an end on demand.
    ///
    /// # Errors
    /// `Cancelled`, `Io` and `Closed`; damage is in the report.
    pub fn verify_with(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        check::verify(&self.engine, options)
    }

    /// Copies the newest commit into a file of its own at `path`: one closed database without a
    /// log, with an id of its own. Reading and writing go on meanwhile.
    ///
    /// The copy gets its name when it is whole and durable. Before that, whatever fails leaves
    /// what is at `path` as it is.
    ///
    /// # Errors
    /// `Locked` if `path` is this database or another one that is open; `Io` of kind
    /// `AlreadyExists` if there is a file and [`overwrite`](BackupOptions::overwrite) is off;
    /// `NotADatabase` if it is on and the file is something else; `Cancelled`; `Corrupt` if a page
    /// of the source is damaged, or of the copy when that is read back; `NoSpace`, `Io`, `Closed`.
    pub fn backup(&self, path: &Path, options: &BackupOptions) -> Result<BackupReport> {
        self.copy_to(path, options, |file| {
            let image = Image::of(&self.engine)?;
            let task = options.task(image.block_count().into());
            image.write(&mut FileSink { file: &**file.file(), end: 0 }, &task)?;
            task.finish();
            Ok(image.report())
        })
    }

    /// Writes the newest commit to `target` as the bytes of a closed database, from the first to
    /// the last. Stored in a file, or by [`MemVfs::put_file`](crate::MemVfs::put_file), they open
    /// like any other.
    ///
    /// # Errors
    /// `Cancelled`, `Corrupt`, `Closed`; `Io` also for what `target` says.
    pub fn backup_to(
        &self,
        target: &mut dyn Write,
        options: &BackupOptions,
    ) -> Result<BackupReport> {
        let image = Image::of(&self.engine)?;
        let task = options.task(image.block_count().into());
        image.write(&mut WriteSink(target), &task)?;
        task.finish();
        Ok(image.report())
    }

    /// Writes the newest commit into a new file at `path` with every tree built anew: pages full
    /// and in key order, no free blocks between them. Else as [`Store::backup`].
    ///
    /// # Errors
    /// As [`Store::backup`].
    pub fn compact_to(&self, path: &Path, options: &BackupOptions) -> Result<BackupReport> {
        self.copy_to(path, options, |file| compact::write(&self.engine, file.file(), options))
    }

    /// Compacts the database at `path` in its place. Nobody may have it open, and nobody can open it
    /// until the compacted one has its name.
    ///
    /// It takes as much room again as the compacted database needs.
    ///
    /// # Errors
    /// `Locked` if it is open; else as [`Store::open`] and [`Store::backup`]. Whatever fails, the
    /// database at `path` is whole.
    pub fn compact(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        options: &BackupOptions,
    ) -> Result<BackupReport> {
        let store = open_clean(&vfs, path)?;
        let file = NewFile::replacing(&vfs, path)?;
        let report = compact::write(&store.engine, file.file(), options)?;
        complete(&vfs, file, options)?;
        // Clean and never written to, so there is nothing for the close to do but to unlock.
        drop(store);
        Ok(report)
    }

    fn copy_to(
        &self,
        path: &Path,
        options: &BackupOptions,
        write: impl FnOnce(&NewFile) -> Result<BackupReport>,
    ) -> Result<BackupReport> {
        let vfs = options.vfs.as_ref().unwrap_or(&self.engine.vfs);
        let file = NewFile::create(vfs, path, Some(self.identity()?), options.overwrite)?;
        let report = write(&file)?;
        complete(vfs, file, options)?;
        Ok(report)
    }

    fn identity(&self) -> Result<FileId> {
        self.engine.pager.with_files(|files| {
            files.main.identity().map_err(Error::io("identify the database file"))
        })
    }
}

/// Makes a written file durable, reads it back if asked, and gives it its name.
fn complete(vfs: &Arc<dyn Vfs>, file: NewFile, options: &BackupOptions) -> Result<()> {
    file.sync()?;
    if options.verify {
        read_back(vfs, &file, options)?;
    }
    options.task(0).expect_wanted()?;
    file.place()
}

/// Refuses a copy that does not read back whole.
fn read_back(vfs: &Arc<dyn Vfs>, file: &NewFile, options: &BackupOptions) -> Result<()> {
    let read_only = StoreOptions { read_only: true, ..StoreOptions::default() };
    let copy = Store::open(Arc::clone(vfs), file.temporary(), read_only)?;
    let cancel = options.cancel.clone();
    let verified =
        copy.verify_with(&VerifyOptions { cancel: cancel.clone(), ..VerifyOptions::default() })?;
    expect_sound(&verified.findings)?;
    let checked = copy.integrity_check_with(&CheckOptions { cancel, ..CheckOptions::default() })?;
    expect_sound(&checked.findings)
}

fn expect_sound(findings: &[Finding]) -> Result<()> {
    match findings.first() {
        Some(finding) => Err(Error::corrupt(finding.page, finding.reason)),
        None => Ok(()),
    }
}

/// Opens a database whose log holds nothing, which takes a recovery and a close if it does.
fn open_clean(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Store> {
    /// Somebody who leaves the database dirty each time between two of our steps is at work on it.
    const ATTEMPTS: usize = 8;
    let options = StoreOptions {
        create: false,
        auto_checkpoint: AutoCheckpoint::Off,
        ..StoreOptions::default()
    };
    for _ in 0..ATTEMPTS {
        let store = Store::open(Arc::clone(vfs), path, options.clone())?;
        if matches!(store.engine.tail().log, LogState::Clean) {
            return Ok(store);
        }
        store.close()?;
    }
    Err(Error::Busy)
}

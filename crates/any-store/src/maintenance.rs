//! Checks, backups and compaction, and how each is to be done.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use any_store_storage as storage;
use any_store_storage::vfs::{MemVfs, OsVfs, Vfs};
use any_store_storage::{BackupReport, Cancel, OnProgress, Progress, Store, VerifyReport};

use crate::check::{self, CheckReport};
use crate::database::Database;
use crate::error::{Error, Result};
use crate::options::Options;

/// How a copy of a database is made, by a backup or a compaction: a builder.
///
/// ```
/// use any_store::{BackupOptions, Database};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("copy.any");
/// let db = Database::in_memory()?;
/// db.backup_to(&path, BackupOptions::new().verify(true))?;
/// let copy = Database::open(&path)?;
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct BackupOptions(storage::BackupOptions);

impl BackupOptions {
    /// The defaults: the target must not exist, and is not read back.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a database at the target is replaced; false by default. It stays as it is until the
    /// copy is whole and durable, whatever fails before.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.0.overwrite = overwrite;
        self
    }

    /// Whether every byte and every tree of the copy is read back before it gets its name; false by
    /// default.
    pub fn verify(mut self, verify: bool) -> Self {
        self.0.verify = verify;
        self
    }

    /// What ends the copying. Nothing is left at the target then.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.0.cancel = cancel;
        self
    }

    /// Called with the progress every few milliseconds of work.
    pub fn on_progress(mut self, report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.0.on_progress = Some(OnProgress::new(report));
        self
    }

    /// The file system of the target. By default the database's own; for one in memory that of the
    /// operating system.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.0.vfs = Some(vfs);
        self
    }
}

/// How [`Database::integrity_check_with`] is done: a builder.
#[derive(Clone, Debug)]
#[must_use]
pub struct CheckOptions {
    pages: storage::CheckOptions,
    cross: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { pages: storage::CheckOptions::default(), cross: true }
    }
}

impl CheckOptions {
    /// The defaults: the first thousand findings are kept, indexes are compared with documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether each index is compared with the documents: that it has their entries and no others;
    /// true by default. Costs one more pass over the indexes.
    pub fn cross(mut self, cross: bool) -> Self {
        self.cross = cross;
        self
    }

    /// How many findings are kept, of those in the pages and of those above; the rest is counted.
    pub fn max_findings(mut self, max_findings: usize) -> Self {
        self.pages.max_findings = max_findings;
        self
    }

    /// What ends the check.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.pages.cancel = cancel;
        self
    }

    /// Called with the progress of the walk over the pages every few milliseconds of work.
    pub fn on_progress(mut self, report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.pages.on_progress = Some(OnProgress::new(report));
        self
    }
}

/// How [`Database::verify_with`] is done: a builder.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct VerifyOptions(storage::VerifyOptions);

impl VerifyOptions {
    /// The defaults: as many threads as the machine runs at once, the first thousand findings kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many threads check; 0 takes as many as the machine runs at once.
    pub fn threads(mut self, threads: usize) -> Self {
        self.0.threads = threads;
        self
    }

    /// How many findings are kept; the rest is counted.
    pub fn max_findings(mut self, max_findings: usize) -> Self {
        self.0.max_findings = max_findings;
        self
    }

    /// What ends the check.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.0.cancel = cancel;
        self
    }

    /// Called with the progress every few milliseconds of work.
    pub fn on_progress(mut self, report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.0.on_progress = Some(OnProgress::new(report));
        self
    }
}

impl Database {
    /// A database in memory that begins with the content of a database file: one that was closed,
    /// or a backup, for example by [`backup_to_writer`](Self::backup_to_writer).
    ///
    /// ```
    /// use any_store::{doc, BackupOptions, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// db.create_collection("a", CollectionOptions::new())?.insert_one(&doc! { "id": 1 })?;
    /// let mut bytes = Vec::new();
    /// db.backup_to_writer(&mut bytes, BackupOptions::new())?;
    /// let copy = Database::from_bytes(bytes)?;
    /// assert_eq!(copy.open_collection("a")?.count()?, 1);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Options::open`]; [`LogDamaged`](crate::ErrorKind::LogDamaged) if the file was not closed
    /// and needs its log.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let files = MemVfs::new();
        files.put_file(IN_MEMORY, bytes.into());
        Self::open_with(Path::new(IN_MEMORY), Options::new().create(false).in_memory(files))
    }

    /// A check that reads little: headers, the roots of the trees, free space, a sample of pages.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) names the page.
    #[doc(alias = "QuickCheck")]
    pub fn quick_check(&self) -> Result<()> {
        Ok(self.store().quick_check()?)
    }

    /// Walks every tree, the catalog, every document and every index.
    ///
    /// # Errors
    /// The file cannot be read. Damage is in the report.
    #[doc(alias = "IntegrityCheck")]
    pub fn integrity_check(&self) -> Result<CheckReport> {
        self.integrity_check_with(CheckOptions::new())
    }

    /// As [`integrity_check`](Self::integrity_check), with a limit, progress and an end on demand.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); else as
    /// [`integrity_check`](Self::integrity_check).
    pub fn integrity_check_with(&self, options: CheckOptions) -> Result<CheckReport> {
        let pages = self.store().integrity_check_with(&options.pages)?;
        check::run(&self.begin_read()?.source(), pages, &options.pages, options.cross)
    }

    /// Reads every byte of the file: headers, pages, free space, and the head of the log.
    ///
    /// # Errors
    /// The file cannot be read. Damage is in the report.
    #[doc(alias = "VerifyIntegrity")]
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(VerifyOptions::new())
    }

    /// As [`verify`](Self::verify), with a number of threads, a limit, progress and an end on demand.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); else as [`verify`](Self::verify).
    pub fn verify_with(&self, options: VerifyOptions) -> Result<VerifyReport> {
        Ok(self.store().verify_with(&options.0)?)
    }

    /// Copies the last commit into a file of its own: one closed database without a log. Reading and
    /// writing go on meanwhile.
    ///
    /// The copy gets its name when it is whole and durable; whatever fails before leaves what is at
    /// `path` as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) if `path` is this database or another one that
    /// is open; [`ErrorKind::Io`](crate::ErrorKind::Io) if there is a file and
    /// [`overwrite`](BackupOptions::overwrite) is off;
    /// [`ErrorKind::UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat) if it is on and the file
    /// is no database; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a page is damaged;
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    #[doc(alias = "Backup")]
    pub fn backup_to(
        &self,
        path: impl AsRef<Path>,
        options: BackupOptions,
    ) -> Result<BackupReport> {
        let path = path.as_ref();
        let copied = self.store().backup(path, &self.for_copies(options));
        copied.map_err(|error| Error::from(error).at_path(path))
    }

    /// Writes the last commit to `target` as the bytes of a closed database file.
    ///
    /// # Errors
    /// What `target` says; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a page is damaged;
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn backup_to_writer(
        &self,
        target: &mut dyn Write,
        options: BackupOptions,
    ) -> Result<BackupReport> {
        Ok(self.store().backup_to(target, &options.0)?)
    }

    /// Writes the last commit into a new file with every collection laid out anew: full pages in key
    /// order, no free space. Else as [`backup_to`](Self::backup_to).
    ///
    /// # Errors
    /// As [`backup_to`](Self::backup_to).
    pub fn compact_to(
        &self,
        path: impl AsRef<Path>,
        options: BackupOptions,
    ) -> Result<BackupReport> {
        let path = path.as_ref();
        let copied = self.store().compact_to(path, &self.for_copies(options));
        copied.map_err(|error| Error::from(error).at_path(path))
    }

    /// Compacts a database that nobody has open, in its place. Until the compacted one has its name
    /// the old one is whole, and nobody can open either.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) if it is open; else as [`Options::open`] and
    /// [`backup_to`](Self::backup_to).
    pub fn compact(path: impl AsRef<Path>, options: BackupOptions) -> Result<BackupReport> {
        let path = path.as_ref();
        let vfs = options.0.vfs.clone().unwrap_or_else(|| Arc::new(OsVfs));
        Store::compact(vfs, path, &options.0).map_err(|error| Error::from(error).at_path(path))
    }

    /// A copy of a database in memory goes to a file, unless the options say otherwise.
    fn for_copies(&self, options: BackupOptions) -> storage::BackupOptions {
        let vfs = options.0.vfs.or_else(|| self.is_in_memory().then(|| Arc::new(OsVfs) as _));
        storage::BackupOptions { vfs, ..options.0 }
    }
}

/// The name of the one file of a database in memory.
pub(crate) const IN_MEMORY: &str = "memory.any";

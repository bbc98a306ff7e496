//! The database: what is opened, closed, checked, and asked for collections and transactions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use any_store_storage as storage;
use any_store_storage::vfs::{OsVfs, Vfs};
use any_store_storage::{CheckpointReport, Salvaged, Store};
use anyenc::Document;

use crate::FlushMode;
use crate::catalog::{self, CollectionId, CollectionMeta, Generation, Target};
use crate::collection::Collection;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::Resources;
use crate::expiry::Expiry;
use crate::options::{CollectionOptions, Compression, Options};
use crate::source::Source;
use crate::stats::DatabaseStats;
use crate::transaction::{ReadTx, WriteTx};

/// The primary key of a collection that was made without naming one.
const DEFAULT_PRIMARY_KEY: &str = "id";

/// A database: one file, open in one process, shared by all clones of this handle.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("app.any");
/// let db = Database::open(&path)?;
/// let notes = db.get_or_create_collection("notes", CollectionOptions::new())?;
/// notes.insert_one(&doc! { "id": 1, "text": "hello" })?;
/// db.close()?;
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "DB")]
#[doc(alias = "Db")]
pub struct Database(Arc<Shared>);

struct Shared {
    store: Store,
    path: PathBuf,
    is_in_memory: bool,
    compression: Compression,
    busy_timeout: Option<Duration>,
    resources: Resources,
    catalog: catalog::Cache,
    expiry: Expiry,
}

/// A database that others keep open.
pub(crate) struct WeakDatabase(Weak<Shared>);

impl WeakDatabase {
    pub(crate) fn upgrade(&self) -> Option<Database> {
        self.0.upgrade().map(Database)
    }
}

/// A collection and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionInfo {
    /// The name.
    pub name: String,
    /// The top-level field that holds the id.
    pub primary_key: String,
    /// How its documents are stored.
    pub compression: Compression,
    /// Whether a document without an id gets one.
    pub auto_id: bool,
}

impl Database {
    /// Opens the database at `path` with the defaults, and makes it if there is none.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// How to open a database otherwise than with the defaults.
    #[doc(alias = "Config")]
    pub fn options() -> Options {
        Options::new()
    }

    /// A new database that lives in memory and dies with its last handle.
    ///
    /// # Errors
    /// None that a caller can cause.
    #[doc(alias = "InMemory")]
    pub fn in_memory() -> Result<Self> {
        Options::new().open_in_memory()
    }

    pub(crate) fn open_with(path: &Path, options: Options) -> Result<Self> {
        crate::options::check_compression_is_built(options.compression)?;
        let store_options = options.store_options()?;
        let interval = options.expire_every.filter(|_| !store_options.read_only);
        let vfs: Arc<dyn Vfs> = options.vfs.unwrap_or_else(|| Arc::new(OsVfs));
        let store = Store::open(Arc::clone(&vfs), path, store_options)
            .map_err(|error| Error::from(error).at_path(path))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let budget_bytes = usize::try_from(options.sort_bytes).unwrap_or(usize::MAX);
        let database = Self(Arc::new(Shared {
            store,
            path: path.to_owned(),
            is_in_memory: options.is_in_memory,
            compression: options.compression,
            busy_timeout: options.busy_timeout,
            resources: Resources { vfs, folder, budget_bytes },
            catalog: catalog::Cache::default(),
            expiry: Expiry::new(interval),
        }));
        if interval.is_some() {
            // A catalog that cannot be read keeps nobody from opening what else there is.
            let started = database.start_expiry();
            database.0.expiry.note(started);
        }
        Ok(database)
    }

    /// Starts the thread that removes what has expired, if anything can.
    pub(crate) fn start_expiry(&self) -> Result<()> {
        if catalog::has_expiry(&self.begin_read()?.source())? {
            self.0.expiry.start(self);
        }
        Ok(())
    }

    pub(crate) fn expiry(&self) -> &Expiry {
        &self.0.expiry
    }

    pub(crate) fn downgrade(&self) -> WeakDatabase {
        WeakDatabase(Arc::downgrade(&self.0))
    }

    /// Whether nobody else holds the database open.
    pub(crate) fn is_last_handle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A handle to whatever collection has this name when the handle is used. Does no I/O.
    ///
    /// A verb on it fails with [`ErrorKind::CollectionNotFound`] while there is no such collection.
    pub fn collection<T>(&self, name: &str) -> Collection<T> {
        Collection::named(self, name)
    }

    /// Makes a collection and gives a handle bound to it: the handle follows renames, and fails with
    /// [`ErrorKind::CollectionClosed`] once the collection is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionExists`] if the name is taken, [`ErrorKind::InvalidName`] if it is not
    /// 1 to 255 bytes, [`ErrorKind::InvalidOptions`].
    pub fn create_collection(
        &self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>> {
        self.write(|tx| tx.create_collection(name, options))
    }

    /// A handle bound to a collection that exists; see [`create_collection`](Self::create_collection).
    ///
    /// # Errors
    /// [`ErrorKind::CollectionNotFound`].
    pub fn open_collection(&self, name: &str) -> Result<Collection<Document>> {
        let source = self.begin_read()?.source();
        let meta = self.resolve(&source, &Target::Named(name.into()))?;
        Ok(Collection::bound(self, &meta))
    }

    /// A handle bound to the collection of this name, which is made if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] if there is one and an option that was given differs from its
    /// own; else as [`create_collection`](Self::create_collection).
    pub fn get_or_create_collection(
        &self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>> {
        let source = self.begin_read()?.source();
        match self.resolve(&source, &Target::Named(name.into())) {
            Ok(meta) => {
                meta.check_fits(&options)?;
                Ok(Collection::bound(self, &meta))
            }
            // Somebody may make it before we hold the writer lock, so the writer looks again.
            Err(error) if error.kind() == ErrorKind::CollectionNotFound => {
                self.write(|tx| tx.get_or_create_collection(name, options))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a collection with all its documents.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionNotFound`].
    pub fn drop_collection(&self, name: &str) -> Result<()> {
        self.write(|tx| tx.drop_collection(name))
    }

    /// Gives a collection another name. Renaming to the same name does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionNotFound`], [`ErrorKind::CollectionExists`] if the new name is taken,
    /// [`ErrorKind::InvalidName`].
    pub fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.write(|tx| tx.rename_collection(from, to))
    }

    /// The names of the collections, in byte order.
    ///
    /// # Errors
    /// The database is closed, or its pages cannot be read.
    #[doc(alias = "GetCollectionNames")]
    pub fn collection_names(&self) -> Result<Vec<String>> {
        self.begin_read()?.collection_names()
    }

    /// The collections and how they are stored, in byte order of their names.
    ///
    /// # Errors
    /// As [`collection_names`](Self::collection_names).
    pub fn collection_infos(&self) -> Result<Vec<CollectionInfo>> {
        self.begin_read()?.collection_infos()
    }

    /// A snapshot to read from. Costs no I/O, blocks nobody, and there may be any number of them.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`].
    pub fn begin_read(&self) -> Result<ReadTx> {
        ReadTx::begin(self)
    }

    /// The write transaction, once whoever has it now is done.
    ///
    /// A thread that already has one waits for itself: use [`WriteTx::savepoint`] to nest.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] after [`Options::busy_timeout`], [`ErrorKind::ReadOnly`],
    /// [`ErrorKind::Closed`], [`ErrorKind::Failed`] after a failed sync.
    pub fn begin_write(&self) -> Result<WriteTx> {
        match self.0.busy_timeout {
            Some(timeout) => self.begin_write_timeout(timeout),
            None => Ok(WriteTx::begin(self, self.0.store.begin_write()?)),
        }
    }

    /// As [`begin_write`](Self::begin_write), waiting no longer than `timeout`.
    ///
    /// # Errors
    /// As [`begin_write`](Self::begin_write).
    pub fn begin_write_timeout(&self, timeout: Duration) -> Result<WriteTx> {
        Ok(WriteTx::begin(self, self.0.store.begin_write_timeout(timeout)?))
    }

    /// Runs `work` on a snapshot.
    ///
    /// # Errors
    /// Those of `work`, and those of [`begin_read`](Self::begin_read).
    pub fn read<R>(&self, work: impl FnOnce(&ReadTx) -> Result<R>) -> Result<R> {
        work(&self.begin_read()?)
    }

    /// Runs `work` in a write transaction: `Ok` commits, `Err` and a panic roll back.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let log = db.create_collection("log", CollectionOptions::new())?;
    /// let written = db.write(|tx| {
    ///     tx.collection(&log).insert_one(&doc! { "id": 1 })?;
    ///     tx.collection(&log).insert_one(&doc! { "id": 1 })
    /// });
    /// assert!(written.unwrap_err().is_duplicate_key());
    /// assert_eq!(log.count()?, 0);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `work`, of [`begin_write`](Self::begin_write) and of [`WriteTx::commit`].
    pub fn write<R>(&self, work: impl FnOnce(&mut WriteTx) -> Result<R>) -> Result<R> {
        let mut tx = self.begin_write()?;
        let result = work(&mut tx)?;
        tx.commit()?;
        Ok(result)
    }

    /// What was given up when the database was opened with [`Options::salvage`]; `None` if its log
    /// was whole.
    #[must_use]
    pub fn salvaged(&self) -> Option<&Salvaged> {
        self.store().salvaged()
    }

    /// Figures about the catalog, the file, the log and the cache; reads no documents.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`], or the catalog cannot be read.
    pub fn stats(&self) -> Result<DatabaseStats> {
        let collections = catalog::list(&self.begin_read()?.source())?;
        let indexes = collections.iter().map(|collection| collection.indexes.len() as u64).sum();
        Ok(DatabaseStats {
            collections: collections.len() as u64,
            indexes,
            expired_documents: self.0.expiry.removed(),
            expiry_error: self.0.expiry.last_error(),
            storage: self.0.store.stats()?,
        })
    }

    /// Copies the log back into the file as far as `mode` says. Whatever the mode, everything that was
    /// committed before the call is durable when it returns.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if a writer or a reader kept a mode other than [`FlushMode::Passive`] from
    /// what it says for [`Options::busy_timeout`], 5 seconds without it; [`ErrorKind::Io`] and
    /// [`ErrorKind::NoSpace`] if the file cannot be written; [`ErrorKind::ReadOnly`],
    /// [`ErrorKind::Failed`], [`ErrorKind::Closed`].
    pub fn checkpoint(&self, mode: FlushMode) -> Result<CheckpointReport> {
        Ok(self.0.store.checkpoint(mode)?)
    }

    /// Makes everything durable that was committed before the call; the same as
    /// [`checkpoint`](Self::checkpoint), under the name of what it is for.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database, FlushMode};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("app.any");
    /// let db = Database::open(&path)?;
    /// let notes = db.create_collection("notes", CollectionOptions::new())?;
    /// notes.insert_one(&doc! { "id": 1 })?;
    /// let report = db.flush(FlushMode::Passive)?;
    /// assert!(report.is_complete);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn flush(&self, mode: FlushMode) -> Result<CheckpointReport> {
        Ok(self.0.store.flush(mode)?)
    }

    /// Waits until no commit has changed data for `quiet`, as before a mobile system suspends the
    /// program, and flushes. Reading is quiet, and so is a database that was not written to since it
    /// was opened. There is no limit to the wait.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] as soon as the database is closed; else as [`flush`](Self::flush).
    #[doc(alias = "Flush")]
    pub fn flush_when_idle(&self, quiet: Duration, mode: FlushMode) -> Result<CheckpointReport> {
        Ok(self.0.store.flush_when_idle(quiet, mode)?)
    }

    /// As [`flush_when_idle`](Self::flush_when_idle), waiting no longer than `timeout` for the quiet.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if the quiet did not come in time; else as
    /// [`flush_when_idle`](Self::flush_when_idle).
    pub fn flush_when_idle_timeout(
        &self,
        quiet: Duration,
        mode: FlushMode,
        timeout: Duration,
    ) -> Result<CheckpointReport> {
        Ok(self.0.store.flush_when_idle_timeout(quiet, mode, timeout)?)
    }

    /// Closes the database for all clones of this handle; what they do later fails with
    /// [`ErrorKind::Closed`].
    ///
    /// Waits for nobody: open cursors and transactions meet the error at their next step. Dropping
    /// the last handle closes too, but cannot report a failure.
    ///
    /// # Errors
    /// The closing checkpoint failed; what was committed is in the log.
    pub fn close(&self) -> Result<()> {
        Ok(self.0.store.close()?)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.0.is_in_memory
    }

    pub(crate) fn resources(&self) -> &Resources {
        &self.0.resources
    }

    /// Whether both handles are of one open database.
    pub(crate) fn is_same(&self, other: &Database) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The collection that a handle means in this state.
    pub(crate) fn resolve(
        &self,
        source: &Source<'_>,
        target: &Target,
    ) -> Result<Arc<CollectionMeta>> {
        let meta = match source.committed_catalog_version() {
            Some(version) => self.0.catalog.find(source, version, target)?,
            None => catalog::load(source, target)?.map(Arc::new),
        };
        meta.ok_or_else(|| target.missing())
    }

    /// What a new collection will be; the catalog gives it its number and its tree.
    pub(crate) fn new_collection_meta(
        &self,
        name: &str,
        options: &CollectionOptions,
    ) -> Result<CollectionMeta> {
        let mut generation = [0; 8];
        self.0.resources.vfs.random(&mut generation).map_err(|error| {
            Error::new(ErrorKind::Io, "the system gives no random bytes").caused_by(error)
        })?;
        Ok(CollectionMeta {
            id: CollectionId(0),
            generation: Generation(i64::from_le_bytes(generation)),
            name: name.to_owned(),
            tree: storage::TreeId(0),
            primary_key: options.primary_key.as_deref().unwrap_or(DEFAULT_PRIMARY_KEY).to_owned(),
            compression: options.compression.unwrap_or(self.0.compression),
            auto_id: options.auto_id.unwrap_or(false),
            indexes: Vec::new(),
            next_index: catalog::FIRST_INDEX,
        })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl CollectionMeta {
    /// Refuses options that were given and are not those of this collection.
    pub(crate) fn check_fits(&self, options: &CollectionOptions) -> Result<()> {
        let differs = |what: &str, has: &dyn fmt::Display, wanted: &dyn fmt::Display| {
            let message = format!("collection {:?} has {what} {has}, not {wanted}", self.name);
            Err(Error::new(ErrorKind::InvalidOptions, message).in_collection(&self.name))
        };
        if let Some(wanted) = options.primary_key.as_ref().filter(|key| **key != self.primary_key) {
            return differs("primary key", &self.primary_key, wanted);
        }
        if let Some(wanted) = options.auto_id.filter(|auto_id| *auto_id != self.auto_id) {
            return differs("auto_id", &self.auto_id, &wanted);
        }
        if let Some(wanted) = options.compression.filter(|wanted| *wanted != self.compression) {
            return differs("compression", &self.compression.name(), &wanted.name());
        }
        Ok(())
    }
}

impl From<CollectionMeta> for CollectionInfo {
    fn from(meta: CollectionMeta) -> Self {
        Self {
            name: meta.name,
            primary_key: meta.primary_key,
            compression: meta.compression,
            auto_id: meta.auto_id,
        }
    }
}

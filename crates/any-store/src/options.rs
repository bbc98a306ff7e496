//! How a database is opened and how a collection is made.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use any_store_storage::vfs::{MemVfs, Vfs};
use any_store_storage::{
    AutoCheckpoint, BLOCK_BYTES, ErrorCallback, PageBuffer, StoreOptions, Sync,
};

use crate::FlushMode;
use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};
use crate::maintenance::IN_MEMORY;

/// How often expired documents are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// Memory that one sort may use before it goes on in a temporary file.
const SORT_BYTES: u64 = 64 << 20;

/// How a database is opened: a builder, used up by nothing and cloned at will.
///
/// ```
/// use any_store::{Compression, Database, Sync};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("app.any");
/// let db = Database::options()
///     .cache_bytes(16 << 20)
///     .sync(Sync::Full)
///     .compression(Compression::None)
///     .open(&path)?;
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) store: StoreOptions,
    pub(crate) compression: Compression,
    pub(crate) vfs: Option<Arc<dyn Vfs>>,
    pub(crate) is_in_memory: bool,
    pub(crate) sort_bytes: u64,
    /// `None` is never.
    pub(crate) expire_every: Option<Duration>,
    pub(crate) is_buffer_global: bool,
    /// `None` waits without limit.
    pub(crate) busy_timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults: create if absent, `Sync::Normal`, automatic checkpoints.
    pub fn new() -> Self {
        Self {
            store: StoreOptions::default(),
            compression: Compression::default(),
            vfs: None,
            is_in_memory: false,
            sort_bytes: SORT_BYTES,
            expire_every: Some(EXPIRE_EVERY),
            is_buffer_global: false,
            busy_timeout: None,
        }
    }

    /// Whether a file that is absent is created; true by default.
    pub fn create(mut self, create: bool) -> Self {
        self.store.create = create;
        self
    }

    /// Whether the database is opened for reading alone; false by default.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.store.read_only = read_only;
        self
    }

    /// Whether a database whose log is damaged below a durable commit, missing, or another
    /// database's, is opened with what is left: the state after the last commit before the damage;
    /// false by default.
    ///
    /// The commits behind the damage are given up, so this is for a person to decide. The damaged log
    /// is renamed, to the database's name with `-wal.damaged-1` or the next free number behind, and
    /// never deleted; with [`read_only`](Self::read_only) nothing is changed at all.
    /// [`Database::salvaged`] says what was lost. Where the log is whole, this does nothing. Where the
    /// file already holds pages of the lost commits, as after a crash during a checkpoint, only
    /// reading is possible.
    ///
    /// ```
    /// use any_store::Database;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("app.any");
    /// let db = Database::options().salvage(true).open(&path)?;
    /// if let Some(salvaged) = db.salvaged() {
    ///     eprintln!("commits after {} are lost: {}", salvaged.kept, salvaged.reason);
    /// }
    /// # Ok::<(), any_store::Error>(())
    /// ```
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.store.salvage = salvage;
        self
    }

    /// How many bytes of pages the cache may hold; 20,480,000 by default, 0 for no cache.
    #[doc(alias = "CacheSize")]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.store.cache_bytes = bytes;
        self
    }

    /// [`cache_bytes`](Self::cache_bytes) counted in pages of 4096 bytes; 5000 by default.
    #[doc(alias = "CacheSize")]
    pub fn cache_pages(self, pages: u64) -> Self {
        self.cache_bytes(pages.saturating_mul(BLOCK_BYTES as u64))
    }

    /// Memory that the cache shares with those of other databases: the buffer bounds all of them
    /// together, [`cache_bytes`](Self::cache_bytes) this one. None by default.
    ///
    /// ```
    /// # use any_store::{Database, PageBuffer};
    /// let buffer = PageBuffer::new(4096, 5000);
    /// let orders = Database::options().page_buffer(buffer.clone()).open_in_memory()?;
    /// let events = Database::options().page_buffer(buffer.clone()).open_in_memory()?;
    /// assert!(buffer.used_bytes() <= 5000 * 4096);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    #[doc(alias = "UseGlobalPageBuffer")]
    pub fn page_buffer(mut self, buffer: PageBuffer) -> Self {
        self.store.page_buffer = Some(buffer);
        self
    }

    /// Whether the cache shares the memory that [`init_page_buffer`](crate::init_page_buffer) has
    /// named, unless [`page_buffer`](Self::page_buffer) names another; false by default.
    #[doc(alias = "UseGlobalPageBuffer")]
    pub fn global_page_buffer(mut self, use_global: bool) -> Self {
        self.is_buffer_global = use_global;
        self
    }

    /// Up to which position the database file is read through a memory map; 0, the default, reads it
    /// by ordinary calls.
    ///
    /// # Only for local files that nothing else changes
    ///
    /// A page of a map that the system cannot provide ends the process with a bus error, where an
    /// ordinary read returns one. That happens when the file becomes shorter or its device disappears
    /// (an unplugged disk, a file that a cloud service took away, a network mount that timed out), or
    /// when the device fails to read it. So do not map files on network file systems, in folders that
    /// are synchronised (iCloud Drive, OneDrive, Dropbox), or on devices that can be removed. Mapped
    /// pages count against the memory limits of mobile systems.
    ///
    /// Pages are copied from the map and verified like all others; the log is never mapped. Without
    /// effect on systems other than 64-bit Unix, in memory, and with a [`vfs`](Self::vfs) that does not
    /// offer it. 64 to 512 MiB are sensible, and the gain is small: a read of a page that the system
    /// has in memory saves a system call.
    #[doc(alias = "MmapSize")]
    pub fn mmap_bytes(mut self, bytes: u64) -> Self {
        self.store.mmap_bytes = bytes;
        self
    }

    /// What a commit waits for unless its transaction says otherwise
    /// ([`WriteTx::set_sync`](crate::WriteTx::set_sync)); [`Sync::Normal`] by default.
    #[doc(alias = "CommitSync")]
    pub fn sync(mut self, sync: Sync) -> Self {
        self.store.sync = sync;
        self
    }

    /// The compression of collections that are made without saying; [`Compression::Lz4`] by default.
    #[doc(alias = "DisableCompression")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The file system to live in; the operating system's by default. Every file, clock and random
    /// byte of the database comes from it; the page of [`vfs`](crate::vfs) says how to write one.
    #[doc(alias = "SetVFS")]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// A database that lives in these files and is not known by its path.
    pub(crate) fn in_memory(self, files: MemVfs) -> Self {
        Self { is_in_memory: true, ..self.vfs(Arc::new(files)) }
    }

    /// When the log is copied back into the file.
    #[doc(alias = "AutoCheckpointAfter")]
    #[doc(alias = "DisableAutoCheckpoint")]
    pub fn auto_checkpoint(mut self, auto_checkpoint: AutoCheckpoint) -> Self {
        self.store.auto_checkpoint = auto_checkpoint;
        self
    }

    /// What makes commits durable that did not wait for it, and what tells of those that are not.
    ///
    /// ```
    /// use any_store::{Database, Durability};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("app.any");
    /// let db = Database::options()
    ///     .durability(Durability { auto_flush: true, sentinel: true, ..Durability::default() })
    ///     .open(&path)?;
    /// assert!(!db.stats()?.storage.dirty_on_open);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.store.auto_flush = durability.auto_flush;
        self.store.idle_after = durability.idle_after;
        self.store.flush_mode = durability.flush_mode;
        self.store.sentinel = durability.sentinel;
        self
    }

    /// Is told of errors that no call returns: those of automatic checkpoints and of automatic
    /// flushes. The last one and their number are in the [statistics](crate::StoreStats), too.
    ///
    /// It runs on the thread that met the error, under no lock. If it holds a handle of the database,
    /// the database stays open until it is closed.
    pub fn on_background_error(
        mut self,
        callback: impl Fn(&Error) + Send + std::marker::Sync + 'static,
    ) -> Self {
        let callback = ErrorCallback::new(move |error| callback(&Error::of_background(error)));
        self.store.on_background_error = Some(callback);
        self
    }

    /// How long a write waits for the write transaction before it, and a checkpoint for an open one.
    /// A write that waited in vain fails with [`ErrorKind::Busy`]; without this option it waits as
    /// long as it takes.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.store.busy_timeout = timeout;
        self.busy_timeout = Some(timeout);
        self
    }

    /// How long an open waits for another process that has the database open; by default as long as
    /// [`busy_timeout`](Self::busy_timeout) says, or 5 seconds. A database that this process has open
    /// is never waited for: share one handle.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.store.lock_timeout = Some(timeout);
        self
    }

    /// How often a thread looks for documents that have expired by an index with a time to live; 60
    /// seconds by default, `None` for never. The thread runs only where there is such an index, and
    /// never in a database that is opened for reading alone.
    pub fn expire_every(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.expire_every = interval.into();
        self
    }

    /// How many bytes one sort may hold in memory before it goes on in a temporary file beside the
    /// database; 64 MiB by default.
    pub fn sort_bytes(mut self, bytes: u64) -> Self {
        self.sort_bytes = bytes;
        self
    }

    /// Opens the database at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no file and [`create`](Self::create) is off,
    /// [`ErrorKind::Locked`] if somebody has it open, [`ErrorKind::ReadOnly`] if it can be read and
    /// not be written, [`ErrorKind::UnsupportedFormat`] if it is no
    /// database of a known version, [`ErrorKind::Corrupt`] or [`ErrorKind::LogDamaged`] if it is
    /// damaged, [`ErrorKind::QuickCheckFailed`] if it was left with commits that were not flushed and
    /// is damaged, [`ErrorKind::InvalidOptions`] if the options contradict each other,
    /// [`ErrorKind::PageBufferNotInitialized`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        Database::open_with(path.as_ref(), self)
    }

    /// Makes a database that lives in memory and dies with its last handle. It behaves like one in a
    /// file; options that concern files are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::PageBufferNotInitialized`], [`ErrorKind::InvalidOptions`].
    #[doc(alias = "InMemory")]
    pub fn open_in_memory(self) -> Result<Database> {
        self.create(true).read_only(false).in_memory(MemVfs::new()).open(IN_MEMORY)
    }

    /// What the layer below is told.
    pub(crate) fn store_options(&self) -> Result<StoreOptions> {
        let mut store = self.store.clone();
        if self.is_buffer_global && store.page_buffer.is_none() {
            store.page_buffer = Some(crate::buffer::global()?);
        }
        Ok(store)
    }
}

/// What makes commits durable that did not wait for it, and what tells of those that are not.
///
/// A commit with [`Sync::Normal`] survives a crash of the process at once, and a power loss as soon
/// as a flush or a checkpoint after it has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "DurabilityConfig")]
pub struct Durability {
    /// Flush in the background after a quiet time; off by default. One that fails is tried again
    /// after the next quiet time.
    #[doc(alias = "AutoFlush")]
    pub auto_flush: bool,
    /// How long nothing must have been committed before an automatic flush; 20 seconds by default.
    /// Reading does not count.
    #[doc(alias = "IdleAfter")]
    pub idle_after: Duration,
    /// How far an automatic flush goes; [`FlushMode::Passive`] by default.
    pub flush_mode: FlushMode,
    /// Keep a file beside the database, its name with `.lock` behind, while there are commits that
    /// no flush and no close has made durable; off by default. Found at open, it brings about a
    /// [quick check](Database::quick_check), and the [statistics](crate::StoreStats) tell of it.
    #[doc(alias = "Sentinel")]
    pub sentinel: bool,
}

impl Default for Durability {
    fn default() -> Self {
        let StoreOptions { auto_flush, idle_after, flush_mode, sentinel, .. } =
            StoreOptions::default();
        Self { auto_flush, idle_after, flush_mode, sentinel }
    }
}

/// How the documents of a collection are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Documents over 256 bytes are compressed with LZ4 where that saves an eighth or more.
    #[doc(alias = "S2")]
    Lz4,
    /// Documents are stored as they are.
    #[doc(alias = "NoCompression")]
    None,
}

/// [`Compression::Lz4`], or [`Compression::None`] where the feature `compression` is off.
impl Default for Compression {
    fn default() -> Self {
        if cfg!(feature = "compression") { Self::Lz4 } else { Self::None }
    }
}

impl Compression {
    /// The name in the catalog.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::None => "none",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Lz4, Self::None].into_iter().find(|compression| compression.name() == name)
    }
}

/// How a collection is made.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// let db = Database::in_memory()?;
/// let users = db.create_collection("users", CollectionOptions::new().primary_key("_id").auto_id(true))?;
/// let id = users.insert_one(&doc! { "name": "Ann" })?;
/// assert!(users.get(id)?.is_some());
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CollectionOptions {
    pub(crate) primary_key: Option<String>,
    pub(crate) auto_id: Option<bool>,
    pub(crate) compression: Option<Compression>,
}

impl CollectionOptions {
    /// The defaults: primary key `id`, no automatic ids, the database's compression.
    pub fn new() -> Self {
        Self::default()
    }

    /// The top-level field that holds the id; `id` by default. It never changes.
    pub fn primary_key(mut self, field: impl Into<String>) -> Self {
        self.primary_key = Some(field.into());
        self
    }

    /// Whether a document without an id gets an `ObjectId`, put first; else it is refused. Off by
    /// default.
    pub fn auto_id(mut self, auto_id: bool) -> Self {
        self.auto_id = Some(auto_id);
        self
    }

    /// How the documents are stored.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Refuses what no collection can have.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(field) = &self.primary_key {
            let is_plain = !field.is_empty() && !field.starts_with('$') && !field.contains('.');
            if !is_plain || field.len() > MAX_NAME_BYTES {
                return Err(Error::new(
                    ErrorKind::InvalidOptions,
                    "a primary key is a top-level field: 1 to 255 bytes, no dot, no leading $",
                ));
            }
        }
        if self.compression == Some(Compression::Lz4) {
            check_compression_is_built(Compression::Lz4)?;
        }
        Ok(())
    }
}

/// The longest name of a collection, and of a primary key.
pub(crate) const MAX_NAME_BYTES: usize = 255;

pub(crate) fn check_compression_is_built(compression: Compression) -> Result<()> {
    if compression == Compression::Lz4 && !cfg!(feature = "compression") {
        return Err(Error::new(
            ErrorKind::InvalidOptions,
            "this build has no compression: enable the feature \"compression\" of any-store",
        ));
    }
    Ok(())
}

//! How a database is opened and how a collection is made.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use any_store_storage::vfs::{MemVfs, Vfs};
use any_store_storage::{AutoCheckpoint, StoreOptions, Sync};

use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};

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

    /// How many bytes of pages the cache may hold.
    #[doc(alias = "CacheSize")]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.store.cache_bytes = bytes;
        self
    }

    /// What a commit waits for; [`Sync::Normal`] by default.
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

    /// The file system to live in; the operating system's by default.
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

    /// How long a write waits for the write transaction before it, and a checkpoint for an open one.
    /// A write that waited in vain fails with [`ErrorKind::Busy`]; without this option it waits as
    /// long as it takes.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.store.busy_timeout = timeout;
        self.busy_timeout = Some(timeout);
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
    /// [`ErrorKind::Locked`] if somebody has it open, [`ErrorKind::UnsupportedFormat`] if it is no
    /// database of a known version, [`ErrorKind::Corrupt`] or [`ErrorKind::LogDamaged`] if it is
    /// damaged, [`ErrorKind::InvalidOptions`] if the options contradict each other.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        Database::open_with(path.as_ref(), self)
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

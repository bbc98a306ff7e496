//! Transactions as values: a snapshot to read from, a writer, and savepoints inside it.

use std::fmt;
use std::sync::Arc;

use any_store_storage as storage;
use any_store_storage::Sync;
use anyenc::Document;

use crate::catalog::{self, CollectionMeta, Target};
use crate::collection::Collection;
use crate::compress::Packer;
use crate::database::{CollectionInfo, Database};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::index::{self, Existing, IndexBuildOptions, IndexSpec, Maintainer};
use crate::options::CollectionOptions;
use crate::source::Source;
use crate::statement::Statement;
use crate::view::{ReadView, WriteView};

/// A snapshot of the database: one instant, for as long as it lives.
///
/// Nothing that commits later moves it, and it blocks nobody. Clones share the snapshot.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// let db = Database::in_memory()?;
/// let notes = db.create_collection("notes", CollectionOptions::new())?;
/// let before = db.begin_read()?;
/// notes.insert_one(&doc! { "id": 1 })?;
/// assert_eq!(before.collection(&notes).count()?, 0);
/// assert_eq!(notes.count()?, 1);
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone)]
pub struct ReadTx {
    database: Database,
    snapshot: storage::ReadTx,
}

impl ReadTx {
    pub(crate) fn begin(database: &Database) -> Result<Self> {
        Ok(Self { database: database.clone(), snapshot: database.store().begin_read()? })
    }

    /// A collection as this snapshot sees it.
    pub fn collection<T>(&self, collection: &Collection<T>) -> ReadView<'static, T> {
        ReadView::new(self.database.clone(), self.source(), collection)
    }

    /// The names of the collections, in byte order.
    ///
    /// # Errors
    /// The database is closed, or its pages cannot be read.
    #[doc(alias = "GetCollectionNames")]
    pub fn collection_names(&self) -> Result<Vec<String>> {
        collection_names(&self.source())
    }

    /// The collections and how they are stored, in byte order of their names.
    ///
    /// # Errors
    /// As [`collection_names`](Self::collection_names).
    pub fn collection_infos(&self) -> Result<Vec<CollectionInfo>> {
        collection_infos(&self.source())
    }

    /// The number of the commit that this snapshot shows; later commits have larger numbers.
    #[must_use]
    pub fn commit_no(&self) -> u64 {
        self.snapshot.commit_no().0
    }

    pub(crate) fn source(&self) -> Source<'static> {
        Source::Snapshot(self.snapshot.clone())
    }
}

impl fmt::Debug for ReadTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTx").field("database", &self.database).finish_non_exhaustive()
    }
}

/// The write transaction: one at a time; it sees its own changes, others see them once it commits.
///
/// Dropping it rolls back, and so does a panic that unwinds through it. Each write verb is its own
/// savepoint: one that fails undoes itself and leaves the transaction usable.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// let db = Database::in_memory()?;
/// let accounts = db.create_collection("accounts", CollectionOptions::new())?;
/// accounts.insert_many([doc! { "id": "ann", "n": 10 }, doc! { "id": "bob", "n": 0 }])?;
///
/// let mut tx = db.begin_write()?;
/// tx.collection(&accounts).update_id("ann", doc! { "$inc": { "n": -10 } })?;
/// tx.collection(&accounts).update_id("bob", doc! { "$inc": { "n": 10 } })?;
/// tx.commit()?;
/// # Ok::<(), any_store::Error>(())
/// ```
///
/// A cursor of a write transaction borrows it, so writing while iterating does not compile:
///
/// ```compile_fail
/// # use any_store::{doc, Database, Document};
/// # let db = Database::in_memory().unwrap();
/// # let notes = db.collection::<Document>("notes");
/// let mut tx = db.begin_write().unwrap();
/// let mut view = tx.collection(&notes);
/// for note in view.find(()).run().unwrap() {
///     view.insert_one(&note.unwrap()).unwrap();
/// }
/// ```
///
/// Nor does using a transaction after its end:
///
/// ```compile_fail
/// # use any_store::Database;
/// # let db = Database::in_memory().unwrap();
/// let tx = db.begin_write().unwrap();
/// tx.commit().unwrap();
/// tx.rollback();
/// ```
pub struct WriteTx {
    database: Database,
    tx: storage::WriteTx,
    packer: Packer,
    maintainer: Maintainer,
    /// The collection that the last statement used.
    memo: Option<Arc<CollectionMeta>>,
    /// The catalog in this transaction is, or may be, another than the committed one.
    has_changed_catalog: bool,
    /// A savepoint could not be rolled back, so what is here is neither before nor after.
    is_broken: bool,
}

impl WriteTx {
    pub(crate) fn begin(database: &Database, tx: storage::WriteTx) -> Self {
        Self {
            database: database.clone(),
            tx,
            packer: Packer::default(),
            maintainer: Maintainer::default(),
            memo: None,
            has_changed_catalog: false,
            is_broken: false,
        }
    }

    /// A collection to read from and write to in this transaction.
    pub fn collection<T>(&mut self, collection: &Collection<T>) -> WriteView<'_, T> {
        WriteView::new(self, collection)
    }

    /// A collection to read from in this transaction; several such views and their cursors can be
    /// open at once.
    pub fn view<T>(&self, collection: &Collection<T>) -> ReadView<'_, T> {
        ReadView::new(self.database.clone(), self.source(), collection)
    }

    /// Makes a collection; the handle fits it only if the transaction commits.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionExists`], [`ErrorKind::InvalidName`], [`ErrorKind::InvalidOptions`].
    pub fn create_collection(
        &mut self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>> {
        options.check()?;
        let meta = self.database.new_collection_meta(name, &options)?;
        let meta = self.change_catalog(|tx| catalog::create(tx, meta))?;
        Ok(Collection::bound(&self.database, &meta))
    }

    /// A handle bound to a collection that exists.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionNotFound`].
    pub fn open_collection(&self, name: &str) -> Result<Collection<Document>> {
        let target = Target::Named(name.into());
        let meta = self.database.resolve(&self.source(), &target)?;
        Ok(Collection::bound(&self.database, &meta))
    }

    /// A handle bound to the collection of this name, which is made if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`] if there is one and an option that was given differs;
    /// else as [`create_collection`](Self::create_collection).
    pub fn get_or_create_collection(
        &mut self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>> {
        let target = Target::Named(name.into());
        match self.database.resolve(&self.source(), &target) {
            Ok(meta) => {
                meta.check_fits(&options)?;
                Ok(Collection::bound(&self.database, &meta))
            }
            Err(error) if error.kind() == ErrorKind::CollectionNotFound => {
                self.create_collection(name, options)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a collection with all its documents.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionNotFound`].
    pub fn drop_collection(&mut self, name: &str) -> Result<()> {
        self.drop_target(&Target::Named(name.into()))
    }

    /// Gives a collection another name. Renaming to the same name does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::CollectionNotFound`], [`ErrorKind::CollectionExists`] if the new name is taken,
    /// [`ErrorKind::InvalidName`].
    pub fn rename_collection(&mut self, from: &str, to: &str) -> Result<()> {
        self.rename_target(&Target::Named(from.into()), to)
    }

    /// The names of the collections, in byte order, this transaction's own included.
    ///
    /// # Errors
    /// As [`ReadTx::collection_names`].
    pub fn collection_names(&self) -> Result<Vec<String>> {
        collection_names(&self.source())
    }

    /// The collections and how they are stored, in byte order of their names.
    ///
    /// # Errors
    /// As [`ReadTx::collection_names`].
    pub fn collection_infos(&self) -> Result<Vec<CollectionInfo>> {
        collection_infos(&self.source())
    }

    /// A part of this transaction that can be undone alone.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] if the transaction is beyond use, [`ErrorKind::Closed`].
    pub fn savepoint(&mut self) -> Result<Savepoint<'_>> {
        self.check_is_whole()?;
        let point = self.tx.savepoint()?;
        Ok(Savepoint { tx: self, point, is_open: true })
    }

    /// What this transaction's commit waits for, whatever [`Options::sync`](crate::Options::sync)
    /// says: with [`Sync::Full`] it is durable when [`commit`](Self::commit) returns, and so is every
    /// commit before it.
    pub fn set_sync(&mut self, sync: Sync) {
        self.tx.set_sync(sync);
    }

    /// Makes the changes durable as configured, and visible to all who read from now on.
    ///
    /// # Errors
    /// The changes did not survive, or nobody knows; see [`Error::outcome`].
    pub fn commit(self) -> Result<()> {
        self.check_is_whole()?;
        if !self.tx.is_changed() {
            self.tx.rollback();
            return Ok(());
        }
        let may_expire = self.has_changed_catalog;
        match self.tx.commit() {
            Ok(_) => {
                if may_expire {
                    // The commit stands, whether or not the thread can be started now.
                    let started = self.database.start_expiry();
                    self.database.expiry().note(started);
                }
                Ok(())
            }
            Err(error) => {
                let error = Error::from(error);
                let outcome = match error.kind() {
                    ErrorKind::CommitUnknown => Outcome::Unknown,
                    _ => Outcome::Aborted,
                };
                Err(error.with_outcome(outcome))
            }
        }
    }

    /// Undoes everything, as dropping does.
    pub fn rollback(self) {
        self.tx.rollback();
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source::Writer { tx: &self.tx, has_changed_catalog: self.has_changed_catalog }
    }

    pub(crate) fn drop_target(&mut self, target: &Target) -> Result<()> {
        let meta = self.database.resolve(&self.source(), target)?;
        self.change_catalog(|tx| catalog::drop(tx, &meta))
    }

    pub(crate) fn rename_target(&mut self, target: &Target, to: &str) -> Result<()> {
        let meta = self.database.resolve(&self.source(), target)?;
        self.change_catalog(|tx| catalog::rename(tx, &meta, to))
    }

    /// The collection that a handle means in this transaction.
    pub(crate) fn resolve(&mut self, target: &Target) -> Result<Arc<CollectionMeta>> {
        if let Some(meta) = self.memo.as_ref().filter(|meta| target.is(meta)) {
            return Ok(Arc::clone(meta));
        }
        let meta = self.database.resolve(&self.source(), target)?;
        self.memo = Some(Arc::clone(&meta));
        Ok(meta)
    }

    /// Runs a statement on a collection. What it did before it failed is not undone here.
    pub(crate) fn run<R>(
        &mut self,
        collection: &CollectionMeta,
        statement: impl FnOnce(&mut Statement<'_>) -> Result<R>,
    ) -> Result<R> {
        self.check_is_whole()?;
        self.maintainer.begin(collection);
        let mut running = Statement {
            tx: &mut self.tx,
            collection,
            packer: &mut self.packer,
            maintainer: &mut self.maintainer,
            resources: self.database.resources(),
        };
        let result = statement(&mut running);
        let result = result.and_then(|result| self.note_multikey(collection).map(|()| result));
        result.map_err(|error| error.in_collection(&collection.name))
    }

    /// Tells the catalog at which fields of indexes the statement has met several keys for the first
    /// time.
    fn note_multikey(&mut self, collection: &CollectionMeta) -> Result<()> {
        let Some(gained) = self.maintainer.gained() else { return Ok(()) };
        self.has_changed_catalog = true;
        self.memo = None;
        catalog::add_multikey(&mut self.tx, collection, gained)
    }

    /// Makes indexes, all or none, and fills them from the documents; gives their names.
    pub(crate) fn create_indexes(
        &mut self,
        target: &Target,
        specs: &[IndexSpec],
        existing: Existing,
        options: &IndexBuildOptions,
    ) -> Result<Vec<String>> {
        let meta = self.resolve(target)?;
        let created = index::wanted(&meta, specs, existing).and_then(|wanted| {
            if !wanted.new.is_empty() {
                let resources = self.database.resources().clone();
                self.change_catalog(|tx| {
                    let mut indexes = catalog::new_indexes(tx, &meta, wanted.new)?;
                    index::build(tx, &meta, &mut indexes, &resources, options)?;
                    catalog::add_indexes(tx, &meta, indexes)
                })?;
            }
            Ok(wanted.names)
        });
        created.map_err(|error| error.in_collection(&meta.name))
    }

    pub(crate) fn drop_index(&mut self, target: &Target, name: &str) -> Result<()> {
        let meta = self.resolve(target)?;
        let found = meta.index(name).ok_or_else(|| index::missing(name));
        let dropped =
            found.and_then(|index| self.change_catalog(|tx| catalog::drop_index(tx, &meta, index)));
        dropped.map_err(|error| error.in_collection(&meta.name))
    }

    /// Runs `work` under a savepoint: an error or a panic undoes what it did, and nothing else.
    pub(crate) fn atomically<R>(
        &mut self,
        work: impl FnOnce(&mut WriteTx) -> Result<R>,
    ) -> Result<R> {
        let savepoint = self.savepoint()?;
        let result = work(savepoint.tx)?;
        savepoint.commit()?;
        Ok(result)
    }

    fn change_catalog<R>(
        &mut self,
        change: impl FnOnce(&mut storage::WriteTx) -> Result<R>,
    ) -> Result<R> {
        self.atomically(|tx| {
            tx.has_changed_catalog = true;
            tx.memo = None;
            change(&mut tx.tx)
        })
    }

    fn check_is_whole(&self) -> Result<()> {
        if self.is_broken {
            return Err(Error::new(
                ErrorKind::Failed,
                "the transaction cannot go on: a part of it could not be undone",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for WriteTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTx").field("database", &self.database).finish_non_exhaustive()
    }
}

/// A part of a write transaction that can be undone alone.
///
/// It borrows the transaction, so the transaction is used through it or not at all. Dropping it
/// undoes what was done since it began.
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// let db = Database::in_memory()?;
/// let notes = db.create_collection("notes", CollectionOptions::new())?;
/// let mut tx = db.begin_write()?;
/// tx.collection(&notes).insert_one(&doc! { "id": 1 })?;
/// let mut draft = tx.savepoint()?;
/// draft.collection(&notes).insert_one(&doc! { "id": 2 })?;
/// drop(draft);
/// tx.commit()?;
/// assert_eq!(notes.count()?, 1);
/// # Ok::<(), any_store::Error>(())
/// ```
///
/// ```compile_fail
/// # use any_store::Database;
/// # let db = Database::in_memory().unwrap();
/// let mut tx = db.begin_write().unwrap();
/// let savepoint = tx.savepoint().unwrap();
/// tx.commit().unwrap();
/// savepoint.commit().unwrap();
/// ```
#[must_use = "a savepoint that is dropped undoes what was done since it began"]
pub struct Savepoint<'t> {
    tx: &'t mut WriteTx,
    point: storage::Savepoint,
    is_open: bool,
}

impl Savepoint<'_> {
    /// A collection to read from and write to.
    pub fn collection<T>(&mut self, collection: &Collection<T>) -> WriteView<'_, T> {
        self.tx.collection(collection)
    }

    /// A collection to read from; see [`WriteTx::view`].
    pub fn view<T>(&self, collection: &Collection<T>) -> ReadView<'_, T> {
        self.tx.view(collection)
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// As [`WriteTx::create_collection`].
    pub fn create_collection(
        &mut self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>> {
        self.tx.create_collection(name, options)
    }

    /// A handle bound to a collection that exists.
    ///
    /// # Errors
    /// As [`WriteTx::open_collection`].
    pub fn open_collection(&self, name: &str) -> Result<Collection<Document>> {
        self.tx.open_collection(name)
    }

    /// A handle bound to the collection of this name, which is made if there is none.
    ///
    /// # Errors
    /// As [`WriteTx::get_or_create_collection`].
    pub fn get_or_create_collection(
        &mut self,
        name: &str,
        options: CollectionOptions,
    ) -> Result<Collection<Document>> {
        self.tx.get_or_create_collection(name, options)
    }

    /// The names of the collections, in byte order.
    ///
    /// # Errors
    /// As [`ReadTx::collection_names`].
    pub fn collection_names(&self) -> Result<Vec<String>> {
        self.tx.collection_names()
    }

    /// Removes a collection with all its documents.
    ///
    /// # Errors
    /// As [`WriteTx::drop_collection`].
    pub fn drop_collection(&mut self, name: &str) -> Result<()> {
        self.tx.drop_collection(name)
    }

    /// Gives a collection another name.
    ///
    /// # Errors
    /// As [`WriteTx::rename_collection`].
    pub fn rename_collection(&mut self, from: &str, to: &str) -> Result<()> {
        self.tx.rename_collection(from, to)
    }

    /// A savepoint inside this one.
    ///
    /// # Errors
    /// As [`WriteTx::savepoint`].
    pub fn savepoint(&mut self) -> Result<Savepoint<'_>> {
        self.tx.savepoint()
    }

    /// Keeps what was done; it counts once the transaction commits.
    ///
    /// # Errors
    /// The savepoint could not be released; what was done since it began is undone.
    pub fn commit(mut self) -> Result<()> {
        self.tx.tx.release(self.point)?;
        self.is_open = false;
        Ok(())
    }

    /// Undoes what was done since the savepoint began, as dropping does.
    pub fn rollback(self) {}
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        // What the catalog said since the savepoint began is no longer so.
        self.tx.memo = None;
        let undone = self.tx.tx.rollback_to(self.point);
        match undone.and_then(|()| self.tx.tx.release(self.point)) {
            // A closed database says so itself, whatever is asked of the transaction.
            Ok(()) | Err(storage::Error::Closed) => {}
            Err(_) => self.tx.is_broken = true,
        }
    }
}

impl fmt::Debug for Savepoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Savepoint").finish_non_exhaustive()
    }
}

pub(crate) fn collection_names(source: &Source<'_>) -> Result<Vec<String>> {
    Ok(catalog::names(source)?.into_iter().map(|(name, _)| name).collect())
}

pub(crate) fn collection_infos(source: &Source<'_>) -> Result<Vec<CollectionInfo>> {
    Ok(catalog::list(source)?.into_iter().map(CollectionInfo::from).collect())
}

//! A collection: documents under a primary key, each verb a transaction of its own.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use any_store_query::ParseError;
use anyenc::{Document, RawDocumentBuf, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::{CollectionMeta, Target};
use crate::convert::{IntoFilter, IntoUpdate, plain_update};
use crate::database::Database;
use crate::document;
use crate::error::{Error, Result};
use crate::expiry;
use crate::find::{Find, Reading};
use crate::index::{self, Existing, IndexBuildOptions, IndexInfo, IndexSpec, SketchInfo};
use crate::statement::{DeleteResult, Statement, UpdateResult};
use crate::stats::CollectionStats;

/// Documents under a primary key: a handle, cheap to clone, for use by any thread.
///
/// Each write verb is a transaction of its own, all or nothing; each read verb has a snapshot of its
/// own. [`WriteTx::collection`](crate::WriteTx::collection) and
/// [`ReadTx::collection`](crate::ReadTx::collection) give the same verbs inside a transaction.
///
/// `T` is the type of the documents: [`Document`] unless told otherwise, any type with serde's
/// `Serialize` for writing and `Deserialize` for reading,
/// [`RawDocumentBuf`](crate::RawDocumentBuf) for encoded documents as they are.
///
/// ```
/// use any_store::{doc, Collection, CollectionOptions, Database};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     id: u32,
///     name: String,
/// }
///
/// let db = Database::in_memory()?;
/// db.create_collection("users", CollectionOptions::new())?;
/// let users: Collection<User> = db.collection("users");
/// users.insert_one(&User { id: 7, name: "Ann".into() })?;
/// users.update_id(7, doc! { "$set": { "name": "Anna" } })?;
/// assert_eq!(users.get(7)?.unwrap().name, "Anna");
/// # Ok::<(), any_store::Error>(())
/// ```
pub struct Collection<T = Document> {
    database: Database,
    target: Target,
    marker: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        self.with_type()
    }
}

impl<T> Collection<T> {
    pub(crate) fn named(database: &Database, name: &str) -> Self {
        let target = Target::Named(name.into());
        Self { database: database.clone(), target, marker: PhantomData }
    }

    pub(crate) fn bound(database: &Database, meta: &CollectionMeta) -> Self {
        let target = Target::bound_to(meta);
        Self { database: database.clone(), target, marker: PhantomData }
    }

    /// The name: the present one for a handle that follows renames, or the last one known if the
    /// collection cannot be looked up.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.target, self.reading()) {
            (Target::Bound { .. }, Ok(reading)) => reading.collection.name.clone(),
            _ => self.target.given_name().to_owned(),
        }
    }

    /// The top-level field that holds the id.
    ///
    /// # Errors
    /// There is no such collection.
    pub fn primary_key(&self) -> Result<String> {
        Ok(self.reading()?.collection.primary_key.clone())
    }

    /// The database that this is a collection of.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The same collection with documents read and written as another type.
    #[must_use]
    pub fn with_type<U>(&self) -> Collection<U> {
        Collection {
            database: self.database.clone(),
            target: self.target.clone(),
            marker: PhantomData,
        }
    }

    /// Adds a document and returns its id.
    ///
    /// # Errors
    /// [`ErrorKind::DocumentExists`](crate::ErrorKind::DocumentExists) if its id is taken,
    /// [`MissingId`](crate::ErrorKind::MissingId) if it has none and the collection makes none,
    /// [`InvalidId`](crate::ErrorKind::InvalidId) if its id is an array, a regular expression or a
    /// vector, [`LimitExceeded`](crate::ErrorKind::LimitExceeded) over 16 MiB or 300 levels.
    #[doc(alias = "insert")]
    pub fn insert_one(&self, document: &T) -> Result<Value>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        self.autocommit(|statement| statement.insert(document))
    }

    /// Adds documents in one transaction, all or none, and returns their ids in the same order.
    ///
    /// The iterator runs while the transaction is open, so it must not write to this database.
    ///
    /// # Errors
    /// As [`insert_one`](Self::insert_one); [`Error::item`](crate::Error::item) says which one.
    pub fn insert_many<D>(&self, documents: impl IntoIterator<Item = D>) -> Result<Vec<Value>>
    where
        D: Borrow<T>,
        T: Serialize,
    {
        self.autocommit(|statement| statement.insert_many(documents))
    }

    /// Adds a document given as JSON, with extended JSON for the types JSON has not.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`](crate::ErrorKind::Parse) with line and column in
    /// [`Error::json_error`](crate::Error::json_error); else as [`insert_one`](Self::insert_one).
    pub fn insert_json(&self, text: &str) -> Result<Value> {
        let document = anyenc::parse_document(text.as_bytes())?;
        self.autocommit(|statement| statement.insert(document))
    }

    /// The document with this id; `None` if there is none.
    ///
    /// # Errors
    /// There is no such collection; the stored document is not of type `T`
    /// ([`ErrorKind::Deserialize`](crate::ErrorKind::Deserialize)) or is damaged.
    #[doc(alias = "FindId")]
    #[doc(alias = "find_id")]
    pub fn get(&self, id: impl Into<Value>) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.reading()?.get(id.into())
    }

    /// The document with this id as it is stored, without decoding it.
    ///
    /// # Errors
    /// As [`get`](Self::get), whatever `T` is.
    #[doc(alias = "FindIdWithParser")]
    pub fn get_raw(&self, id: impl Into<Value>) -> Result<Option<RawDocumentBuf>> {
        self.reading()?.get_raw(id.into())
    }

    /// A query: a document, JSON text, a [`Filter`](crate::Filter) or `()`, then [`Find`]'s verbs.
    pub fn find(&self, filter: impl IntoFilter) -> Find<T> {
        Find::new(self.clone(), filter)
    }

    /// The first document that matches.
    ///
    /// # Errors
    /// As [`Find::first`].
    pub fn find_one(&self, filter: impl IntoFilter) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.find(filter).first()
    }

    /// How many documents there are; reads none of them.
    ///
    /// # Errors
    /// There is no such collection, or the database is closed.
    pub fn count(&self) -> Result<u64> {
        self.find(()).count()
    }

    /// The different values of a field among the documents that match, in ascending order; see
    /// [`Find::distinct`].
    ///
    /// # Errors
    /// As [`Find::distinct`].
    pub fn distinct(&self, path: &str, filter: impl IntoFilter) -> Result<Vec<Value>> {
        self.find(filter).distinct(path)
    }

    /// Puts a whole document in the place of the one with its id. Equal bytes change nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if no document has its id; else as
    /// [`insert_one`](Self::insert_one).
    #[doc(alias = "UpdateOne")]
    pub fn replace(&self, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        self.autocommit(|statement| statement.replace(&document))
    }

    /// Replaces the document with the same id, or adds this one if there is none.
    ///
    /// # Errors
    /// As [`insert_one`](Self::insert_one), without `DocumentExists`.
    #[doc(alias = "UpsertOne")]
    pub fn upsert(&self, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        self.autocommit(|statement| statement.upsert(document))
    }

    /// Applies an update to the document with this id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if no document has the id,
    /// [`PrimaryKeyModification`](crate::ErrorKind::PrimaryKeyModification) if the update would
    /// change it, [`Parse`](crate::ErrorKind::Parse), [`Apply`](crate::ErrorKind::Apply),
    /// [`Conflict`](crate::ErrorKind::Conflict), [`Overflow`](crate::ErrorKind::Overflow).
    pub fn update_id(&self, id: impl Into<Value>, update: impl IntoUpdate) -> Result<UpdateResult> {
        let (id, update) = (id.into(), self.readable(plain_update(update))?);
        self.autocommit(|statement| statement.update_id(id, &update))
    }

    /// Applies an update to the document with this id, or to a new one that holds the id alone.
    ///
    /// # Errors
    /// As [`update_id`](Self::update_id), without `NotFound`.
    pub fn upsert_id(&self, id: impl Into<Value>, update: impl IntoUpdate) -> Result<UpdateResult> {
        let (id, update) = (id.into(), self.readable(plain_update(update))?);
        self.autocommit(|statement| statement.upsert_id(id, &update))
    }

    /// Removes the document with this id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if no document has it.
    pub fn delete_id(&self, id: impl Into<Value>) -> Result<()> {
        let id = id.into();
        self.autocommit(|statement| statement.delete_id(id))
    }

    /// Applies an update to the first document that matches; [`Find::update`] takes a sort.
    ///
    /// # Errors
    /// As [`Find::update`].
    pub fn update_one(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        self.find(filter).update_one(update)
    }

    /// Applies an update to every document that matches.
    ///
    /// # Errors
    /// As [`Find::update`].
    pub fn update_many(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        self.find(filter).update(update)
    }

    /// Puts a whole document in the place of the first one that matches. Without an id, it takes
    /// over that of the document it replaces.
    ///
    /// # Errors
    /// [`ErrorKind::PrimaryKeyModification`](crate::ErrorKind::PrimaryKeyModification) if it has
    /// another id than the match; else as [`replace`](Self::replace), without `NotFound`.
    pub fn replace_one(&self, filter: impl IntoFilter, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        self.find(filter).replace_one(document)
    }

    /// Removes the first document that matches; [`Find::delete`] takes a sort.
    ///
    /// # Errors
    /// As [`Find::delete`].
    pub fn delete_one(&self, filter: impl IntoFilter) -> Result<DeleteResult> {
        self.find(filter).delete_one()
    }

    /// Removes every document that matches.
    ///
    /// # Errors
    /// As [`Find::delete`].
    pub fn delete_many(&self, filter: impl IntoFilter) -> Result<DeleteResult> {
        self.find(filter).delete()
    }

    /// Applies an update to the first document that matches and gives it as it was;
    /// [`Find::find_one_and_update`] takes a sort and gives the new state, too.
    ///
    /// # Errors
    /// As [`Find::find_one_and_update`].
    pub fn find_one_and_update(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.find(filter).find_one_and_update(update)
    }

    /// Puts a whole document in the place of the first one that matches, and gives that one.
    ///
    /// # Errors
    /// As [`Find::find_one_and_replace`].
    pub fn find_one_and_replace(&self, filter: impl IntoFilter, document: &T) -> Result<Option<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        self.find(filter).find_one_and_replace(document)
    }

    /// Removes the first document that matches, and gives it.
    ///
    /// # Errors
    /// As [`Find::find_one_and_delete`].
    pub fn find_one_and_delete(&self, filter: impl IntoFilter) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.find(filter).find_one_and_delete()
    }

    /// Figures from counters; costs nothing.
    ///
    /// # Errors
    /// There is no such collection, or the database is closed.
    pub fn stats(&self) -> Result<CollectionStats> {
        self.reading()?.stats()
    }

    /// Figures with those that only reading every document gives.
    ///
    /// # Errors
    /// As [`stats`](Self::stats), and those of reading.
    pub fn stats_full(&self) -> Result<CollectionStats> {
        self.reading()?.stats_full()
    }

    /// Makes an index over the documents that are there and all that come; gives its name.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database, ErrorKind, IndexSpec};
    /// let db = Database::in_memory()?;
    /// let users = db.create_collection("users", CollectionOptions::new())?;
    /// users.create_index("-age")?;
    /// users.create_index(["city", "age"])?;
    /// users.create_index(doc! { "city": 1, "age": -1 })?;
    /// users.create_index(IndexSpec::new("email").unique().name("by_email"))?;
    /// users.insert_one(&doc! { "id": 1, "email": "ann@example.org" })?;
    /// let error = users.insert_one(&doc! { "id": 2, "email": "ann@example.org" }).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    /// assert_eq!(error.index_name(), Some("by_email"));
    /// assert_eq!(error.document_id(), Some(&1.into()));
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::IndexExists`](crate::ErrorKind::IndexExists) if there is an equal one of this
    /// name, [`IndexMismatch`](crate::ErrorKind::IndexMismatch) if there is another one,
    /// [`InvalidIndex`](crate::ErrorKind::InvalidIndex) and
    /// [`InvalidName`](crate::ErrorKind::InvalidName) if it is none,
    /// [`UniqueViolation`](crate::ErrorKind::UniqueViolation) and
    /// [`ParallelArrays`](crate::ErrorKind::ParallelArrays) if the documents do not allow it,
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if the collection has 64 already.
    #[doc(alias = "CreateIndex")]
    pub fn create_index(&self, spec: impl Into<IndexSpec>) -> Result<String> {
        self.make_index(spec.into(), Existing::Refused)
    }

    /// As [`create_index`](Self::create_index) for several, all or none, in one pass over the
    /// documents.
    ///
    /// # Errors
    /// As [`create_index`](Self::create_index).
    pub fn create_indexes(
        &self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
    ) -> Result<Vec<String>> {
        self.create_indexes_with(specs, IndexBuildOptions::new())
    }

    /// As [`create_indexes`](Self::create_indexes), with progress and an end on demand.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); else as
    /// [`create_index`](Self::create_index).
    pub fn create_indexes_with(
        &self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
        options: IndexBuildOptions,
    ) -> Result<Vec<String>> {
        let specs: Vec<IndexSpec> = specs.into_iter().map(Into::into).collect();
        self.make_indexes(&specs, Existing::Refused, &options)
    }

    /// As [`create_index`](Self::create_index), unless an equal index of this name is there: then
    /// nothing is done.
    ///
    /// # Errors
    /// As [`create_index`](Self::create_index), without `IndexExists`.
    pub fn ensure_index(&self, spec: impl Into<IndexSpec>) -> Result<String> {
        self.make_index(spec.into(), Existing::Accepted)
    }

    /// As [`ensure_index`](Self::ensure_index) for several, all or none.
    ///
    /// # Errors
    /// As [`ensure_index`](Self::ensure_index).
    pub fn ensure_indexes(
        &self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
    ) -> Result<Vec<String>> {
        self.ensure_indexes_with(specs, IndexBuildOptions::new())
    }

    /// As [`ensure_indexes`](Self::ensure_indexes), with progress and an end on demand.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); else as
    /// [`ensure_index`](Self::ensure_index).
    pub fn ensure_indexes_with(
        &self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
        options: IndexBuildOptions,
    ) -> Result<Vec<String>> {
        let specs: Vec<IndexSpec> = specs.into_iter().map(Into::into).collect();
        self.make_indexes(&specs, Existing::Accepted, &options)
    }

    /// Removes an index.
    ///
    /// # Errors
    /// [`ErrorKind::IndexNotFound`](crate::ErrorKind::IndexNotFound).
    pub fn drop_index(&self, name: &str) -> Result<()> {
        self.database.write(|tx| tx.drop_index(&self.target, name))
    }

    /// The indexes in the order in which they were made.
    ///
    /// # Errors
    /// There is no such collection, or the database is closed.
    #[doc(alias = "GetIndexes")]
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        self.reading()?.indexes()
    }

    /// How the keys of an index are distributed, by a walk over all its entries.
    ///
    /// # Errors
    /// [`ErrorKind::IndexNotFound`](crate::ErrorKind::IndexNotFound), and those of reading.
    #[doc(alias = "InspectIndexSketch")]
    pub fn inspect_sketch(&self, index: &str) -> Result<SketchInfo> {
        self.reading()?.inspect_sketch(index)
    }

    fn make_index(&self, spec: IndexSpec, existing: Existing) -> Result<String> {
        let names = self.make_indexes(&[spec], existing, &IndexBuildOptions::new())?;
        index::only(names)
    }

    fn make_indexes(
        &self,
        specs: &[IndexSpec],
        existing: Existing,
        options: &IndexBuildOptions,
    ) -> Result<Vec<String>> {
        // What is refused or there already needs no writer.
        let reading = self.reading()?;
        let wanted = index::wanted(&reading.collection, specs, existing)
            .map_err(|error| error.in_collection(&reading.collection.name))?;
        if wanted.new.is_empty() {
            return Ok(wanted.names);
        }
        drop(reading);
        self.database.write(|tx| tx.create_indexes(&self.target, specs, existing, options))
    }

    /// Removes the documents that have expired by the indexes with a time to live, and says how many
    /// they were. They go in transactions of a thousand, so an error leaves the earlier ones removed.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database, DateTime, IndexSpec};
    /// use std::time::Duration;
    /// let db = Database::in_memory()?;
    /// let sessions = db.create_collection("sessions", CollectionOptions::new())?;
    /// sessions.create_index(IndexSpec::new("seen").expire_after(Duration::from_secs(3600)))?;
    /// sessions.insert_one(&doc! { "id": 1, "seen": DateTime::from_ms(0) })?;
    /// assert_eq!(sessions.count()?, 1);
    /// assert_eq!(sessions.expire_now()?, 1);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such collection; those of [`Database::begin_write`] and of a commit.
    pub fn expire_now(&self) -> Result<u64> {
        expiry::expire_now(&self.database, &self.target)
    }

    /// Gives the collection another name; bound handles follow.
    ///
    /// # Errors
    /// As [`Database::rename_collection`].
    pub fn rename(&self, to: &str) -> Result<()> {
        self.database.write(|tx| tx.rename_target(&self.target, to))
    }

    /// Removes the collection with all its documents.
    ///
    /// # Errors
    /// There is no such collection.
    #[doc(alias = "drop")]
    pub fn drop_collection(&self) -> Result<()> {
        self.database.write(|tx| tx.drop_target(&self.target))
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// A snapshot of its own with this collection in it.
    pub(crate) fn reading(&self) -> Result<Reading<'static, '_>> {
        let source = self.database.begin_read()?.source();
        Ok(Reading {
            collection: self.database.resolve(&source, &self.target)?,
            source,
            database: &self.database,
            resources: self.database.resources(),
        })
    }

    /// The request, or why it could not be read, told without waiting for the writer. A handle that
    /// means nothing is the graver error.
    pub(crate) fn readable<R>(&self, request: Result<R, ParseError>) -> Result<R> {
        request.or_else(|error| {
            let reading = self.reading()?;
            Err(Error::from(error).in_collection(&reading.collection.name))
        })
    }

    /// Runs one statement in a transaction of its own, which needs no savepoint.
    pub(crate) fn autocommit<R>(
        &self,
        statement: impl FnOnce(&mut Statement<'_>) -> Result<R>,
    ) -> Result<R> {
        self.database.write(|tx| {
            let collection = tx.resolve(&self.target)?;
            tx.run(&collection, statement)
        })
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("name", &self.target.given_name())
            .finish_non_exhaustive()
    }
}

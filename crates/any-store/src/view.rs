//! A collection inside a transaction: read verbs in a snapshot, all verbs in a write transaction.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use anyenc::{Document, RawDocument, RawDocumentBuf, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::{CollectionMeta, Target};
use crate::collection::Collection;
use crate::compress;
use crate::convert::{IntoFilter, IntoUpdate, plain_update};
use crate::database::Database;
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::exec;
use crate::expiry;
use crate::find::{Find, Query, Reading};
use crate::index::{self, Existing, IndexBuildOptions, IndexInfo, IndexSpec, SketchInfo};
use crate::selection::{Need, Selection};
use crate::source::Source;
use crate::statement::{DeleteResult, Statement, UpdateResult};
use crate::stats::{self, CollectionStats};
use crate::transaction::WriteTx;

/// A collection to read from, in a snapshot or in a write transaction.
///
/// The view of a [`ReadTx`](crate::ReadTx) owns the snapshot (`ReadView<'static, T>`); that of a
/// [`WriteTx`] borrows the transaction.
pub struct ReadView<'t, T = Document> {
    database: Database,
    source: Source<'t>,
    target: Target,
    is_foreign: bool,
    marker: PhantomData<fn() -> T>,
}

impl<T> Clone for ReadView<'_, T> {
    fn clone(&self) -> Self {
        Self {
            database: self.database.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            is_foreign: self.is_foreign,
            marker: PhantomData,
        }
    }
}

impl<'t, T> ReadView<'t, T> {
    pub(crate) fn new(database: Database, source: Source<'t>, collection: &Collection<T>) -> Self {
        Self {
            is_foreign: !database.is_same(collection.database()),
            database,
            source,
            target: collection.target().clone(),
            marker: PhantomData,
        }
    }

    /// The document with this id.
    ///
    /// # Errors
    /// As [`Collection::get`].
    #[doc(alias = "FindId")]
    pub fn get(&self, id: impl Into<Value>) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.reading()?.get(id.into())
    }

    /// The document with this id as it is stored, without decoding it.
    ///
    /// # Errors
    /// As [`Collection::get_raw`].
    pub fn get_raw(&self, id: impl Into<Value>) -> Result<Option<RawDocumentBuf>> {
        self.reading()?.get_raw(id.into())
    }

    /// A query over the collection.
    pub fn find(&self, filter: impl IntoFilter) -> Find<T, Self> {
        Find::new(self.clone(), filter)
    }

    /// The first document that matches.
    ///
    /// # Errors
    /// As [`Collection::find_one`].
    pub fn find_one(&self, filter: impl IntoFilter) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.find(filter).first()
    }

    /// How many documents the collection has; reads none of them.
    ///
    /// # Errors
    /// As [`Collection::count`].
    pub fn count(&self) -> Result<u64> {
        self.find(()).count()
    }

    /// As [`Collection::distinct`].
    ///
    /// # Errors
    /// As [`Collection::distinct`].
    pub fn distinct(&self, path: &str, filter: impl IntoFilter) -> Result<Vec<Value>> {
        self.find(filter).distinct(path)
    }

    /// The field that holds the id.
    ///
    /// # Errors
    /// There is no such collection in this transaction.
    pub fn primary_key(&self) -> Result<String> {
        Ok(self.reading()?.collection.primary_key.clone())
    }

    /// The indexes in the order in which they were made.
    ///
    /// # Errors
    /// As [`Collection::indexes`].
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        self.reading()?.indexes()
    }

    /// Figures from counters; costs nothing.
    ///
    /// # Errors
    /// As [`Collection::stats`].
    pub fn stats(&self) -> Result<CollectionStats> {
        self.reading()?.stats()
    }

    /// Figures with those that only reading every document gives.
    ///
    /// # Errors
    /// As [`Collection::stats_full`].
    pub fn stats_full(&self) -> Result<CollectionStats> {
        self.reading()?.stats_full()
    }

    pub(crate) fn reading(&self) -> Result<Reading<'t, '_>> {
        check_is_own(self.is_foreign, &self.target)?;
        Ok(Reading {
            collection: self.database.resolve(&self.source, &self.target)?,
            source: self.source.clone(),
            database: &self.database,
            resources: self.database.resources(),
        })
    }
}

impl Reading<'_, '_> {
    pub(crate) fn get<T: DeserializeOwned>(&self, id: Value) -> Result<Option<T>> {
        self.look_up(id, document::decode)
    }

    pub(crate) fn get_raw(&self, id: Value) -> Result<Option<RawDocumentBuf>> {
        self.look_up(id, |document| Ok(document.to_owned()))
    }

    /// What `read` makes of the document with this id.
    fn look_up<R>(
        &self,
        id: Value,
        read: impl FnOnce(RawDocument<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        let found = || {
            let key = document::id_key(&id)?;
            let Some(stored) = self.source.get(self.collection.tree, &key)? else {
                return Ok(None);
            };
            let mut buffer = Vec::new();
            let document = RawDocument::from_bytes(compress::unpacked(&stored, &mut buffer)?)?;
            read(document).map(Some)
        };
        found().map_err(|error: Error| error.in_collection(&self.collection.name).of_document(id))
    }

    pub(crate) fn indexes(&self) -> Result<Vec<IndexInfo>> {
        index::list(&self.source, &self.collection)
    }

    pub(crate) fn inspect_sketch(&self, name: &str) -> Result<SketchInfo> {
        let index = self.collection.index(name).ok_or_else(|| index::missing(name));
        index
            .and_then(|index| index::inspect(&self.source, index))
            .map_err(|error| error.in_collection(&self.collection.name))
    }

    pub(crate) fn stats(&self) -> Result<CollectionStats> {
        stats::collection(&self.source, &self.collection)
    }

    pub(crate) fn stats_full(&self) -> Result<CollectionStats> {
        let mut stats = self.stats()?;
        let all = Selection::all();
        let mut rows =
            exec::select(&self.source, &self.collection, &all, Need::Documents, self.resources)?;
        let mut document_bytes = 0u64;
        while rows.advance()? {
            document_bytes =
                document_bytes.saturating_add(rows.document()?.as_bytes().len() as u64);
        }
        stats.document_bytes = Some(document_bytes);
        Ok(stats)
    }
}

/// A collection to read from and write to, in a write transaction.
///
/// Each write verb is its own savepoint: one that fails undoes itself and leaves the transaction
/// usable. The verbs are those of [`Collection`].
pub struct WriteView<'t, T = Document> {
    tx: &'t mut WriteTx,
    target: Target,
    is_foreign: bool,
    marker: PhantomData<fn() -> T>,
}

impl<'t, T> WriteView<'t, T> {
    pub(crate) fn new(tx: &'t mut WriteTx, collection: &Collection<T>) -> Self {
        Self {
            is_foreign: !tx.database().is_same(collection.database()),
            tx,
            target: collection.target().clone(),
            marker: PhantomData,
        }
    }

    /// As [`Collection::get`].
    ///
    /// # Errors
    /// As [`Collection::get`].
    #[doc(alias = "FindId")]
    pub fn get(&self, id: impl Into<Value>) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.reading()?.get(id.into())
    }

    /// As [`Collection::get_raw`].
    ///
    /// # Errors
    /// As [`Collection::get_raw`].
    pub fn get_raw(&self, id: impl Into<Value>) -> Result<Option<RawDocumentBuf>> {
        self.reading()?.get_raw(id.into())
    }

    /// A query over the collection, with the verbs that write.
    pub fn find(&mut self, filter: impl IntoFilter) -> Find<T, &mut Self> {
        Find::new(self, filter)
    }

    /// As [`Collection::find_one`].
    ///
    /// # Errors
    /// As [`Collection::find_one`].
    pub fn find_one(&self, filter: impl IntoFilter) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.reading()?.first(Query::new(filter.into_filter()))
    }

    /// As [`Collection::count`].
    ///
    /// # Errors
    /// As [`Collection::count`].
    pub fn count(&self) -> Result<u64> {
        self.reading()?.count(Query::new(().into_filter()))
    }

    /// As [`Collection::distinct`].
    ///
    /// # Errors
    /// As [`Collection::distinct`].
    pub fn distinct(&self, path: &str, filter: impl IntoFilter) -> Result<Vec<Value>> {
        self.reading()?.distinct(Query::new(filter.into_filter()), path)
    }

    /// As [`Collection::stats`].
    ///
    /// # Errors
    /// As [`Collection::stats`].
    pub fn stats(&self) -> Result<CollectionStats> {
        self.reading()?.stats()
    }

    /// As [`Collection::insert_one`].
    ///
    /// # Errors
    /// As [`Collection::insert_one`].
    #[doc(alias = "insert")]
    pub fn insert_one(&mut self, document: &T) -> Result<Value>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        self.statement(|statement| statement.insert(document))
    }

    /// As [`Collection::insert_many`].
    ///
    /// # Errors
    /// As [`Collection::insert_many`].
    pub fn insert_many<D>(&mut self, documents: impl IntoIterator<Item = D>) -> Result<Vec<Value>>
    where
        D: Borrow<T>,
        T: Serialize,
    {
        self.statement(|statement| statement.insert_many(documents))
    }

    /// As [`Collection::insert_json`].
    ///
    /// # Errors
    /// As [`Collection::insert_json`].
    pub fn insert_json(&mut self, text: &str) -> Result<Value> {
        let document = anyenc::parse_document(text.as_bytes())?;
        self.statement(|statement| statement.insert(document))
    }

    /// As [`Collection::replace`].
    ///
    /// # Errors
    /// As [`Collection::replace`].
    pub fn replace(&mut self, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        self.statement(|statement| statement.replace(&document))
    }

    /// As [`Collection::upsert`].
    ///
    /// # Errors
    /// As [`Collection::upsert`].
    #[doc(alias = "UpsertOne")]
    pub fn upsert(&mut self, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        self.statement(|statement| statement.upsert(document))
    }

    /// As [`Collection::update_id`].
    ///
    /// # Errors
    /// As [`Collection::update_id`].
    pub fn update_id(
        &mut self,
        id: impl Into<Value>,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        let (id, update) = (id.into(), plain_update(update));
        self.statement(|statement| statement.update_id(id, &update?))
    }

    /// As [`Collection::upsert_id`].
    ///
    /// # Errors
    /// As [`Collection::upsert_id`].
    pub fn upsert_id(
        &mut self,
        id: impl Into<Value>,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        let (id, update) = (id.into(), plain_update(update));
        self.statement(|statement| statement.upsert_id(id, &update?))
    }

    /// As [`Collection::delete_id`].
    ///
    /// # Errors
    /// As [`Collection::delete_id`].
    pub fn delete_id(&mut self, id: impl Into<Value>) -> Result<()> {
        let id = id.into();
        self.statement(|statement| statement.delete_id(id))
    }

    /// As [`Collection::update_one`].
    ///
    /// # Errors
    /// As [`Collection::update_one`].
    pub fn update_one(
        &mut self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        self.find(filter).update_one(update)
    }

    /// As [`Collection::update_many`].
    ///
    /// # Errors
    /// As [`Collection::update_many`].
    pub fn update_many(
        &mut self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        self.find(filter).update(update)
    }

    /// As [`Collection::replace_one`].
    ///
    /// # Errors
    /// As [`Collection::replace_one`].
    pub fn replace_one(&mut self, filter: impl IntoFilter, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        self.find(filter).replace_one(document)
    }

    /// As [`Collection::delete_one`].
    ///
    /// # Errors
    /// As [`Collection::delete_one`].
    pub fn delete_one(&mut self, filter: impl IntoFilter) -> Result<DeleteResult> {
        self.find(filter).delete_one()
    }

    /// As [`Collection::delete_many`].
    ///
    /// # Errors
    /// As [`Collection::delete_many`].
    pub fn delete_many(&mut self, filter: impl IntoFilter) -> Result<DeleteResult> {
        self.find(filter).delete()
    }

    /// As [`Collection::find_one_and_update`].
    ///
    /// # Errors
    /// As [`Collection::find_one_and_update`].
    pub fn find_one_and_update(
        &mut self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.find(filter).find_one_and_update(update)
    }

    /// As [`Collection::find_one_and_replace`].
    ///
    /// # Errors
    /// As [`Collection::find_one_and_replace`].
    pub fn find_one_and_replace(
        &mut self,
        filter: impl IntoFilter,
        document: &T,
    ) -> Result<Option<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        self.find(filter).find_one_and_replace(document)
    }

    /// As [`Collection::find_one_and_delete`].
    ///
    /// # Errors
    /// As [`Collection::find_one_and_delete`].
    pub fn find_one_and_delete(&mut self, filter: impl IntoFilter) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.find(filter).find_one_and_delete()
    }

    /// As [`Collection::create_index`].
    ///
    /// # Errors
    /// As [`Collection::create_index`].
    pub fn create_index(&mut self, spec: impl Into<IndexSpec>) -> Result<String> {
        let options = IndexBuildOptions::new();
        self.make_indexes(&[spec.into()], Existing::Refused, &options).and_then(index::only)
    }

    /// As [`Collection::create_indexes`].
    ///
    /// # Errors
    /// As [`Collection::create_indexes`].
    pub fn create_indexes(
        &mut self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
    ) -> Result<Vec<String>> {
        self.create_indexes_with(specs, IndexBuildOptions::new())
    }

    /// As [`Collection::create_indexes_with`].
    ///
    /// # Errors
    /// As [`Collection::create_indexes_with`].
    pub fn create_indexes_with(
        &mut self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
        options: IndexBuildOptions,
    ) -> Result<Vec<String>> {
        let specs: Vec<IndexSpec> = specs.into_iter().map(Into::into).collect();
        self.make_indexes(&specs, Existing::Refused, &options)
    }

    /// As [`Collection::ensure_index`].
    ///
    /// # Errors
    /// As [`Collection::ensure_index`].
    pub fn ensure_index(&mut self, spec: impl Into<IndexSpec>) -> Result<String> {
        let options = IndexBuildOptions::new();
        self.make_indexes(&[spec.into()], Existing::Accepted, &options).and_then(index::only)
    }

    /// As [`Collection::ensure_indexes`].
    ///
    /// # Errors
    /// As [`Collection::ensure_indexes`].
    pub fn ensure_indexes(
        &mut self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
    ) -> Result<Vec<String>> {
        self.ensure_indexes_with(specs, IndexBuildOptions::new())
    }

    /// As [`Collection::ensure_indexes_with`].
    ///
    /// # Errors
    /// As [`Collection::ensure_indexes_with`].
    pub fn ensure_indexes_with(
        &mut self,
        specs: impl IntoIterator<Item = impl Into<IndexSpec>>,
        options: IndexBuildOptions,
    ) -> Result<Vec<String>> {
        let specs: Vec<IndexSpec> = specs.into_iter().map(Into::into).collect();
        self.make_indexes(&specs, Existing::Accepted, &options)
    }

    /// As [`Collection::drop_index`].
    ///
    /// # Errors
    /// As [`Collection::drop_index`].
    pub fn drop_index(&mut self, name: &str) -> Result<()> {
        check_is_own(self.is_foreign, &self.target)?;
        self.tx.drop_index(&self.target, name)
    }

    /// As [`Collection::indexes`].
    ///
    /// # Errors
    /// As [`Collection::expire_now`], all in this transaction.
    ///
    /// # Errors
    /// As [`Collection::expire_now`].
    pub fn expire_now(&mut self) -> Result<u64> {
        check_is_own(self.is_foreign, &self.target)?;
        let target = self.target.clone();
        self.tx.atomically(|tx| expiry::expire_some(tx, &target, None))
    }

    /// As [`Collection::indexes`].
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        self.reading()?.indexes()
    }

    fn make_indexes(
        &mut self,
        specs: &[IndexSpec],
        existing: Existing,
        options: &IndexBuildOptions,
    ) -> Result<Vec<String>> {
        check_is_own(self.is_foreign, &self.target)?;
        self.tx.create_indexes(&self.target, specs, existing, options)
    }

    /// As [`Collection::rename`].
    ///
    /// # Errors
    /// As [`Collection::rename`].
    pub fn rename(&mut self, to: &str) -> Result<()> {
        check_is_own(self.is_foreign, &self.target)?;
        self.tx.rename_target(&self.target, to)
    }

    /// As [`Collection::drop_collection`].
    ///
    /// # Errors
    /// As [`Collection::drop_collection`].
    pub fn drop_collection(&mut self) -> Result<()> {
        check_is_own(self.is_foreign, &self.target)?;
        self.tx.drop_target(&self.target)
    }

    pub(crate) fn reading(&self) -> Result<Reading<'_, '_>> {
        check_is_own(self.is_foreign, &self.target)?;
        let source = self.tx.source();
        let database = self.tx.database();
        Ok(Reading {
            collection: database.resolve(&source, &self.target)?,
            source,
            database,
            resources: database.resources(),
        })
    }

    /// Runs a statement under a savepoint of its own.
    pub(crate) fn statement<R>(
        &mut self,
        statement: impl FnOnce(&mut Statement<'_>) -> Result<R>,
    ) -> Result<R> {
        check_is_own(self.is_foreign, &self.target)?;
        let collection: Arc<CollectionMeta> = self.tx.resolve(&self.target)?;
        self.tx.atomically(|tx| tx.run(&collection, statement))
    }
}

fn check_is_own(is_foreign: bool, target: &Target) -> Result<()> {
    if is_foreign {
        let name = target.given_name();
        let message =
            format!("collection {name:?} belongs to another database than the transaction");
        return Err(Error::new(ErrorKind::TxOtherInstance, message).in_collection(name));
    }
    Ok(())
}

impl<T> fmt::Debug for ReadView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadView")
            .field("collection", &self.target.given_name())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for WriteView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteView")
            .field("collection", &self.target.given_name())
            .finish_non_exhaustive()
    }
}

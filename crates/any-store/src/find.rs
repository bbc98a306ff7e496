//! A query: what to select, and verbs that do something with the selection.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use any_store_query::{Filter, ParseError, Projection, Sort};
use anyenc::Document;
use serde::de::DeserializeOwned;

use crate::catalog::CollectionMeta;
use crate::collection::Collection;
use crate::convert::{IntoFilter, IntoProjection, IntoSort, IntoUpdate, ProjectionRequest};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::exec::{self, Keep, Resources, Selection};
use crate::source::Source;
use crate::statement::{DeleteResult, UpdateResult};
use crate::view::{ReadView, WriteView};

/// A query under construction: a builder with verbs at its end.
///
/// Every verb selects the same documents: filter, then sort, then skip, then limit. A request that
/// could not be read is reported by the verb. Equal sort keys come in ascending id order; without a
/// sort the order is that of the ids today, and nothing more is promised than that it is some order.
///
/// `V` says where the query runs: on a [`Collection`], in a snapshot ([`ReadView`]) or in a write
/// transaction ([`WriteView`]).
///
/// ```
/// use any_store::{doc, CollectionOptions, Database};
/// let db = Database::in_memory()?;
/// let films = db.create_collection("films", CollectionOptions::new())?;
/// films.insert_many([
///     doc! { "id": 1, "title": "Alien", "year": 1979 },
///     doc! { "id": 2, "title": "Brazil", "year": 1985 },
///     doc! { "id": 3, "title": "Cube", "year": 1997 },
/// ])?;
/// let newest = films.find(doc! { "year": { "$lt": 1990 } }).sort("-year").first()?;
/// assert_eq!(newest.unwrap().get("title"), Some(&"Brazil".into()));
/// assert_eq!(films.find(()).skip(1).count()?, 2);
/// assert_eq!(films.find(r#"{"title": "Cube"}"#).delete()?.deleted, 1);
/// # Ok::<(), any_store::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a query does nothing until one of its verbs is called"]
#[doc(alias = "Query")]
pub struct Find<T = Document, V = Collection<T>> {
    view: V,
    query: Query,
    marker: PhantomData<fn() -> T>,
}

/// What was asked for; parse errors wait for the verb.
#[derive(Clone)]
pub(crate) struct Query {
    filter: Result<Filter, ParseError>,
    sort: Result<Option<Sort>, ParseError>,
    projection: Option<ProjectionRequest>,
    skip: u64,
    limit: u64,
}

impl Query {
    pub(crate) fn new(filter: Result<Filter, ParseError>) -> Self {
        Self { filter, sort: Ok(None), projection: None, skip: 0, limit: 0 }
    }

    /// The first match of a filter.
    pub(crate) fn first(filter: impl IntoFilter) -> Self {
        Self { limit: 1, ..Self::new(filter.into_filter()) }
    }

    /// The query, unless it cannot be read, as far as that can be told without the collection.
    pub(crate) fn readable(self) -> Result<Self, ParseError> {
        match (&self.filter, &self.sort) {
            (Err(error), _) | (_, Err(error)) => Err(error.clone()),
            _ => Ok(self),
        }
    }

    /// The selection and the projection, if all of the request could be read.
    fn read(self, collection: &CollectionMeta) -> Result<(Selection, Option<Projection>)> {
        let selection = Selection {
            filter: self.filter?,
            sort: self.sort?.unwrap_or_else(Sort::none),
            skip: self.skip,
            limit: self.limit,
        };
        let projection = match self.projection {
            Some(request) => {
                Some(request.read(&collection.primary_key)?.for_filter(&selection.filter)?)
            }
            None => None,
        };
        Ok((selection, projection))
    }

    /// What the write verbs need: which documents, not which of their fields.
    pub(crate) fn selection(self, collection: &CollectionMeta) -> Result<Selection> {
        self.read(collection).map(|(selection, _)| selection)
    }
}

impl<T, V> Find<T, V> {
    pub(crate) fn new(view: V, filter: impl IntoFilter) -> Self {
        Self { view, query: Query::new(filter.into_filter()), marker: PhantomData }
    }

    /// In this order: `"a"`, `"-a"`, `["a", "-b"]`, `doc! { "a": 1, "b": -1 }`. Replaces an earlier
    /// sort.
    pub fn sort(mut self, sort: impl IntoSort) -> Self {
        self.query.sort = sort.into_sort().map(Some);
        self
    }

    /// Without the first `count` documents.
    #[doc(alias = "offset")]
    pub fn skip(mut self, count: u64) -> Self {
        self.query.skip = count;
        self
    }

    /// No more than `count` documents; 0 is no limit.
    pub fn limit(mut self, count: u64) -> Self {
        self.query.limit = count;
        self
    }

    /// With some of the fields alone: `doc! { "name": 1 }`, or `doc! { "secret": 0 }`. Only verbs
    /// that give documents look at it.
    pub fn project(mut self, projection: impl IntoProjection) -> Self {
        self.query.projection = Some(projection.into_projection());
        self
    }
}

/// The verbs that read, once the state to read from and the collection are known.
pub(crate) struct Reading<'t, 'a> {
    pub(crate) source: Source<'t>,
    pub(crate) collection: Arc<CollectionMeta>,
    pub(crate) resources: &'a Resources,
}

impl<'t> Reading<'t, '_> {
    pub(crate) fn run<T>(&self, query: Query) -> Result<Cursor<'t, T>> {
        let (selection, projection) = self.in_collection(query.read(&self.collection))?;
        let mut rows = self.in_collection(exec::select(
            &self.source,
            &self.collection,
            &selection,
            Keep::Documents,
            self.resources,
        ))?;
        if let Some(projection) = projection {
            rows = exec::project(rows, projection);
        }
        Ok(Cursor::new(rows, &self.collection.name, &self.collection.primary_key))
    }

    pub(crate) fn first<T: DeserializeOwned>(&self, query: Query) -> Result<Option<T>> {
        self.run(Query { limit: 1, ..query })?.next().transpose()
    }

    pub(crate) fn count(&self, query: Query) -> Result<u64> {
        self.in_collection(query.selection(&self.collection).and_then(|selection| {
            exec::count(&self.source, &self.collection, &selection, self.resources)
        }))
    }

    pub(crate) fn exists(&self, query: Query) -> Result<bool> {
        Ok(self.count(Query { limit: 1, ..query })? > 0)
    }

    fn in_collection<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| error.in_collection(&self.collection.name))
    }
}

/// On a collection: each verb in a snapshot or a transaction of its own.
impl<T> Find<T, Collection<T>> {
    /// Runs the query.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`](crate::ErrorKind::Parse) with the place, if a part of the request could
    /// not be read; no such collection; the database is closed or damaged.
    #[doc(alias = "Iter")]
    pub fn run(self) -> Result<Cursor<'static, T>> {
        self.view.reading()?.run(self.query)
    }

    /// The first document.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its first step.
    pub fn first(self) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.view.reading()?.first(self.query)
    }

    /// How many documents [`run`](Self::run) would give.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its steps.
    pub fn count(self) -> Result<u64> {
        self.view.reading()?.count(self.query)
    }

    /// Whether [`run`](Self::run) would give any document.
    ///
    /// # Errors
    /// As [`first`](Self::first).
    pub fn exists(self) -> Result<bool> {
        self.view.reading()?.exists(self.query)
    }

    /// Applies an update to each selected document; all or nothing. The documents are chosen before
    /// the first one changes.
    ///
    /// # Errors
    /// As [`run`](Self::run); the update does not apply to a document; it would change an id.
    pub fn update(self, update: impl IntoUpdate) -> Result<UpdateResult> {
        let update = self.view.readable(update.into_update())?;
        let query = self.view.readable(self.query.readable())?;
        self.view.autocommit(|statement| {
            statement.update_selected(&query.selection(statement.collection)?, &update)
        })
    }

    /// Removes each selected document; all or nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn delete(self) -> Result<DeleteResult> {
        let query = self.view.readable(self.query.readable())?;
        self.view.autocommit(|statement| {
            statement.delete_selected(&query.selection(statement.collection)?)
        })
    }
}

/// In a snapshot, or in a write transaction that is only read from.
impl<'t, T> Find<T, ReadView<'t, T>> {
    /// Runs the query.
    ///
    /// # Errors
    /// As [`Find::run`] on a collection.
    pub fn run(self) -> Result<Cursor<'t, T>> {
        self.view.reading()?.run(self.query)
    }

    /// The first document.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its first step.
    pub fn first(self) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.view.reading()?.first(self.query)
    }

    /// How many documents [`run`](Self::run) would give.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its steps.
    pub fn count(self) -> Result<u64> {
        self.view.reading()?.count(self.query)
    }

    /// Whether [`run`](Self::run) would give any document.
    ///
    /// # Errors
    /// As [`first`](Self::first).
    pub fn exists(self) -> Result<bool> {
        self.view.reading()?.exists(self.query)
    }
}

/// In a write transaction: reads see its changes, and each write is a savepoint of its own.
impl<'t, T> Find<T, &'t mut WriteView<'_, T>> {
    /// Runs the query; the cursor borrows the transaction.
    ///
    /// # Errors
    /// As [`Find::run`] on a collection.
    pub fn run(self) -> Result<Cursor<'t, T>> {
        self.view.reading()?.run(self.query)
    }

    /// The first document.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its first step.
    pub fn first(self) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        self.view.reading()?.first(self.query)
    }

    /// How many documents [`run`](Self::run) would give.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its steps.
    pub fn count(self) -> Result<u64> {
        self.view.reading()?.count(self.query)
    }

    /// Whether [`run`](Self::run) would give any document.
    ///
    /// # Errors
    /// As [`first`](Self::first).
    pub fn exists(self) -> Result<bool> {
        self.view.reading()?.exists(self.query)
    }

    /// Applies an update to each selected document; all or nothing.
    ///
    /// # Errors
    /// As [`Find::update`] on a collection.
    pub fn update(self, update: impl IntoUpdate) -> Result<UpdateResult> {
        let update = update.into_update();
        self.view.statement(|statement| {
            let update = update?;
            statement.update_selected(&self.query.selection(statement.collection)?, &update)
        })
    }

    /// Removes each selected document; all or nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn delete(self) -> Result<DeleteResult> {
        self.view.statement(|statement| {
            statement.delete_selected(&self.query.selection(statement.collection)?)
        })
    }
}

/// Runs the query; one that could not be read gives its error as the only item.
impl<T: DeserializeOwned> IntoIterator for Find<T, Collection<T>> {
    type Item = Result<T>;
    type IntoIter = IntoIter<'static, T>;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter(self.run().map_err(Some))
    }
}

/// Runs the query; one that could not be read gives its error as the only item.
impl<'t, T: DeserializeOwned> IntoIterator for Find<T, ReadView<'t, T>> {
    type Item = Result<T>;
    type IntoIter = IntoIter<'t, T>;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter(self.run().map_err(Some))
    }
}

/// The iterator of a query that was not [run](Find::run) beforehand.
pub struct IntoIter<'t, T>(Result<Cursor<'t, T>, Option<crate::error::Error>>);

impl<T: DeserializeOwned> Iterator for IntoIter<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Ok(cursor) => cursor.next(),
            Err(error) => error.take().map(Err),
        }
    }
}

impl<T: DeserializeOwned> std::iter::FusedIterator for IntoIter<'_, T> {}

impl<T, V> fmt::Debug for Find<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Find")
            .field("skip", &self.query.skip)
            .field("limit", &self.query.limit)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for IntoIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").finish_non_exhaustive()
    }
}

//! A query: what to select, and verbs that do something with the selection.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use any_store_query::{Filter, ParseError, Projection, Sort, Update};
use anyenc::{Document, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{ReadAccess, WriteAccess};
use crate::catalog::CollectionMeta;
use crate::collection::Collection;
use crate::convert::{
    IntoArrayFilters, IntoFilter, IntoProjection, IntoSort, IntoUpdate, ProjectionRequest,
};
use crate::cursor::Cursor;
use crate::database::Database;
use crate::document;
use crate::error::{Error, Result};
use crate::exec::{self, Resources};
use crate::explain::{self, Asked, Explain, Run};
use crate::plan::Plan;
use crate::selection::{Need, Preference, Selection};
use crate::source::Source;
use crate::statement::{DeleteResult, UpdateResult};
use crate::view::ReadView;

/// A query under construction: a builder with verbs at its end.
///
/// Every verb selects the same documents: filter, then sort, then skip, then limit. A request that
/// could not be read is reported by the verb. Equal sort keys come in ascending id order; without a
/// sort the order is the plan's, which may be that of the ids or that of an index.
///
/// `V` says where the query runs: on a [`Collection`], in a snapshot ([`ReadView`]) or in a write
/// transaction ([`WriteView`](crate::WriteView)).
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
    array_filters: Option<Result<Vec<Value>, ParseError>>,
    preference: Preference,
    upsert: bool,
    returned: ReturnDocument,
}

/// Which state of a document [`Find::find_one_and_update`] and
/// [`Find::find_one_and_replace`] give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReturnDocument {
    /// As it was; none if it was inserted.
    #[default]
    Before,
    /// As it is.
    After,
}

impl Query {
    pub(crate) fn new(filter: Result<Filter, ParseError>) -> Self {
        Self {
            filter,
            sort: Ok(None),
            projection: None,
            skip: 0,
            limit: 0,
            array_filters: None,
            preference: Preference::default(),
            upsert: false,
            returned: ReturnDocument::Before,
        }
    }

    fn limited_to_one(self) -> Self {
        Self { limit: 1, ..self }
    }

    /// The query with an update that has its array filters, unless one of them cannot be read.
    fn with_update(mut self, update: impl IntoUpdate) -> Result<(Self, Update), ParseError> {
        let update = update.into_update()?;
        let update = match self.array_filters.take() {
            Some(filters) => update.with_array_filters(&filters?)?,
            None => update.with_all_names_known()?,
        };
        Ok((self.readable()?, update))
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
            preference: self.preference,
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

    /// With these conditions on the elements that an update's paths call `$[name]`: documents, a
    /// value or JSON text, one filter for each name.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let carts = db.create_collection("carts", CollectionOptions::new())?;
    /// carts.insert_one(&doc! { "id": 1, "items": [{ "n": 0 }, { "n": 3 }] })?;
    /// carts
    ///     .find(())
    ///     .array_filters([doc! { "none.n": 0 }])
    ///     .update(doc! { "$set": { "items.$[none].gone": true } })?;
    /// let items = vec![doc! { "n": 0, "gone": true }, doc! { "n": 3 }];
    /// assert_eq!(carts.get(1)?, Some(doc! { "id": 1, "items": items }));
    /// # Ok::<(), any_store::Error>(())
    /// ```
    pub fn array_filters(mut self, filters: impl IntoArrayFilters) -> Self {
        self.query.array_filters = Some(filters.into_array_filters());
        self
    }

    /// Whether an update or a replacement that finds nothing inserts a document: the fields that the
    /// filter fixes by equality, then the update; or the replacement.
    pub fn upsert(mut self, upsert: bool) -> Self {
        self.query.upsert = upsert;
        self
    }

    /// Which state of the document the `find_one_and_` verbs give; as it was, unless told otherwise.
    pub fn return_document(mut self, returned: ReturnDocument) -> Self {
        self.query.returned = returned;
        self
    }

    /// By this index and no other; `"$natural"` is the walk over the documents.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let users = db.create_collection("users", CollectionOptions::new())?;
    /// users.create_index("email")?;
    /// users.insert_one(&doc! { "id": 1, "email": "ann@example.org" })?;
    /// let ann = || users.find(doc! { "email": "ann@example.org" });
    /// assert_eq!(ann().hint("email").count()?, ann().hint("$natural").count()?);
    /// assert!(ann().hint("age").count().is_err());
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// The verb fails with [`ErrorKind::IndexNotFound`](crate::ErrorKind::IndexNotFound) if there is
    /// no such index, and with [`InvalidOptions`](crate::ErrorKind::InvalidOptions) if it may lack
    /// documents that match, being sparse or partial.
    pub fn hint(mut self, index: impl Into<String>) -> Self {
        self.query.preference.hint = Some(index.into());
        self
    }

    /// With `boost` taken off the cost of every plan that uses this index, so that it is chosen sooner,
    /// or later if the boost is negative.
    #[doc(alias = "IndexHint")]
    pub fn index_boost(mut self, index: impl Into<String>, boost: f64) -> Self {
        self.query.preference.boosts.push((index.into(), boost));
        self
    }

    /// With some of the fields alone: `doc! { "name": 1 }`, or `doc! { "secret": 0 }`. Only verbs
    /// that give documents look at it.
    pub fn project(mut self, projection: impl IntoProjection) -> Self {
        self.query.projection = Some(projection.into_projection());
        self
    }
}

/// What an explanation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Find,
    Count,
}

/// Whether what is explained is also done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    No,
    ToTheEnd,
}

/// The verbs that read, once the state to read from and the collection are known.
pub struct Reading<'t, 'a> {
    pub(crate) source: Source<'t>,
    pub(crate) collection: Arc<CollectionMeta>,
    pub(crate) database: &'a Database,
    pub(crate) resources: &'a Resources,
}

impl<'t> Reading<'t, '_> {
    pub(crate) fn run<T>(&self, query: Query) -> Result<Cursor<'t, T>> {
        let (selection, projection) = self.in_collection(query.read(&self.collection))?;
        let shown = projection.as_ref().and_then(Projection::included_paths);
        let need = shown.as_deref().map_or(Need::Documents, Need::Paths);
        let mut rows = self.in_collection(exec::select(
            &self.source,
            &self.collection,
            &selection,
            need,
            self.resources,
        ))?;
        if let Some(projection) = projection {
            rows = exec::project(rows, projection);
        }
        Ok(Cursor::new(rows, &self.collection.name, &self.collection.primary_key))
    }

    pub(crate) fn first<T: DeserializeOwned>(&self, query: Query) -> Result<Option<T>> {
        self.run(query.limited_to_one())?.next().transpose()
    }

    pub(crate) fn count(&self, query: Query) -> Result<u64> {
        self.in_collection(query.selection(&self.collection).and_then(|selection| {
            exec::count(&self.source, &self.collection, &selection, self.resources)
        }))
    }

    pub(crate) fn exists(&self, query: Query) -> Result<bool> {
        Ok(self.count(query.limited_to_one())? > 0)
    }

    pub(crate) fn distinct(&self, query: Query, path: &str) -> Result<Vec<Value>> {
        self.in_collection(query.selection(&self.collection).and_then(|selection| {
            exec::distinct(&self.source, &self.collection, &selection, path, self.resources)
        }))
    }

    pub(crate) fn explain(&self, query: Query, verb: Verb, runs: Runs) -> Result<Explain> {
        let (selection, projection) = self.in_collection(query.read(&self.collection))?;
        let projection = projection.filter(|_| verb == Verb::Find);
        let shown = projection.as_ref().and_then(Projection::included_paths);
        let need = match verb {
            Verb::Count => Need::Ids,
            Verb::Find => shown.as_deref().map_or(Need::Documents, Need::Paths),
        };
        let asked = Asked {
            source: &self.source,
            collection: &self.collection,
            selection: &selection,
            need,
            is_projected: projection.is_some(),
            is_count: verb == Verb::Count,
        };
        self.in_collection(explain::explain(&asked, |plan| match runs {
            Runs::No => Ok(None),
            Runs::ToTheEnd => self.measure(&asked, plan, projection).map(Some),
        }))
    }

    /// Runs a plan to its end; without one, counts.
    fn measure(
        &self,
        asked: &Asked<'_, '_>,
        plan: Option<Plan>,
        projection: Option<Projection>,
    ) -> Result<Run> {
        let misses = || Ok::<_, Error>(self.database.store().stats()?.cache.miss_count);
        let before = misses()?;
        let begun = Instant::now();
        let &Asked { source, collection, selection, need, .. } = asked;
        let (rows, meters) = match plan {
            None => (exec::count(source, collection, selection, self.resources)?, None),
            Some(plan) => exec::run_metered(
                source,
                collection,
                plan,
                selection,
                need,
                projection,
                self.resources,
            )
            .map(|(rows, meters)| (rows, Some(meters)))?,
        };
        let time = begun.elapsed();
        Ok(Run { meters, rows, pages_read: misses()?.saturating_sub(before), time })
    }

    fn in_collection<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| error.in_collection(&self.collection.name))
    }
}

/// The verbs that read. On a [`Collection`] each has a snapshot of its own; in a write transaction
/// they see its changes.
impl<T, V> Find<T, V> {
    /// Runs the query. In a write transaction the cursor borrows it.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`](crate::ErrorKind::Parse) with the place, if a part of the request could
    /// not be read; no such collection; the database is closed or damaged.
    #[doc(alias = "Iter")]
    pub fn run<'t>(self) -> Result<Cursor<'t, T>>
    where
        V: ReadAccess<'t>,
    {
        let query = self.query;
        self.view.read(|reading| reading.run(query))
    }

    /// The first document.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its first step.
    pub fn first<'t>(self) -> Result<Option<T>>
    where
        T: DeserializeOwned,
        V: ReadAccess<'t>,
    {
        let query = self.query;
        self.view.read(|reading| reading.first(query))
    }

    /// How many documents [`run`](Self::run) would give.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its steps.
    #[doc(alias = "count_documents")]
    pub fn count<'t>(self) -> Result<u64>
    where
        V: ReadAccess<'t>,
    {
        let query = self.query;
        self.view.read(|reading| reading.count(query))
    }

    /// Whether [`run`](Self::run) would give any document.
    ///
    /// # Errors
    /// As [`first`](Self::first).
    pub fn exists<'t>(self) -> Result<bool>
    where
        V: ReadAccess<'t>,
    {
        let query = self.query;
        self.view.read(|reading| reading.exists(query))
    }

    /// The different values of a field among the selected documents, in ascending order. Of an array
    /// each element counts; a document without the field gives none.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let notes = db.create_collection("notes", CollectionOptions::new())?;
    /// notes.insert_many([
    ///     doc! { "id": 1, "tags": ["b", "a"] },
    ///     doc! { "id": 2, "tags": "b" },
    ///     doc! { "id": 3 },
    /// ])?;
    /// assert_eq!(notes.find(()).distinct("tags")?, ["a".into(), "b".into()]);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its steps; the path has too many parts.
    pub fn distinct<'t>(self, path: &str) -> Result<Vec<Value>>
    where
        V: ReadAccess<'t>,
    {
        let query = self.query;
        self.view.read(|reading| reading.distinct(query, path))
    }
}

/// The verbs that tell how the others do it.
impl<T, V> Find<T, V> {
    /// How [`run`](Self::run) would go about it: the plan, what it is expected to do, and which other
    /// plans there were. Reads no documents.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let users = db.create_collection("users", CollectionOptions::new())?;
    /// users.create_index(["city", "-age"])?;
    /// users.insert_many((0..500).map(|id| doc! { "id": id, "city": "Rome", "age": id % 90 }))?;
    /// let explain = users.find(doc! { "city": "Rome" }).sort("-age").limit(10).explain()?;
    /// assert_eq!(explain.summary, "IndexScan(city,-age) -> Fetch -> Limit(10)");
    /// println!("{explain}");
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain<'t>(self) -> Result<Explain>
    where
        V: ReadAccess<'t>,
    {
        self.explained(Verb::Find, Runs::No)
    }

    /// As [`explain`](Self::explain), and runs the query to its end, so that each stage tells what it
    /// did.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of its steps.
    pub fn explain_analyze<'t>(self) -> Result<Explain>
    where
        V: ReadAccess<'t>,
    {
        self.explained(Verb::Find, Runs::ToTheEnd)
    }

    /// How [`count`](Self::count) would go about it, and [`exists`](Self::exists) with a limit of 1.
    ///
    /// The verbs that update and delete select their documents in the same way, before they read the
    /// ones that they found.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let users = db.create_collection("users", CollectionOptions::new())?;
    /// users.create_index("age")?;
    /// users.insert_many((0..100).map(|id| doc! { "id": id, "age": id }))?;
    /// let explain = users.find(doc! { "age": { "$gte": 90 } }).explain_count_analyze()?;
    /// assert!(explain.is_covered());
    /// assert_eq!(explain.totals.unwrap().fetched, 0);
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain_count<'t>(self) -> Result<Explain>
    where
        V: ReadAccess<'t>,
    {
        self.explained(Verb::Count, Runs::No)
    }

    /// As [`explain_count`](Self::explain_count), and counts, so that each stage tells what it did.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn explain_count_analyze<'t>(self) -> Result<Explain>
    where
        V: ReadAccess<'t>,
    {
        self.explained(Verb::Count, Runs::ToTheEnd)
    }

    fn explained<'t>(self, verb: Verb, runs: Runs) -> Result<Explain>
    where
        V: ReadAccess<'t>,
    {
        let query = self.query;
        self.view.read(|reading| reading.explain(query, verb, runs))
    }
}

/// The verbs that write: each all or nothing. On a [`Collection`] each is a transaction of its own,
/// in a write transaction a savepoint. The documents are chosen before the first one changes.
impl<T, V: WriteAccess> Find<T, V> {
    /// Applies an update to each selected document.
    ///
    /// # Errors
    /// As [`run`](Self::run); the update does not apply to a document
    /// ([`Apply`](crate::ErrorKind::Apply), [`Conflict`](crate::ErrorKind::Conflict),
    /// [`Overflow`](crate::ErrorKind::Overflow)); it would change an id
    /// ([`PrimaryKeyModification`](crate::ErrorKind::PrimaryKeyModification)).
    #[doc(alias = "update_many")]
    pub fn update(self, update: impl IntoUpdate) -> Result<UpdateResult> {
        let request = self.query.with_update(update);
        self.view.write(request, |statement, (query, update)| {
            let upsert = query.upsert;
            statement.update_selected(&query.selection(statement.collection)?, &update, upsert)
        })
    }

    /// Applies an update to the first selected document.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database};
    /// let db = Database::in_memory()?;
    /// let jobs = db.create_collection("jobs", CollectionOptions::new())?;
    /// let next = || jobs.find(doc! { "id": 7, "state": "new" });
    /// let started = next().upsert(true).update_one(doc! { "$inc": { "tries": 1 } })?;
    /// assert_eq!(started.upserted, Some(7.into()));
    /// assert_eq!(jobs.get(7)?, Some(doc! { "id": 7, "state": "new", "tries": 1 }));
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_one(self, update: impl IntoUpdate) -> Result<UpdateResult> {
        Find { query: self.query.limited_to_one(), ..self }.update(update)
    }

    /// Puts a whole document in the place of the first selected one. Without an id, it takes over
    /// that of the document it replaces.
    ///
    /// # Errors
    /// [`ErrorKind::PrimaryKeyModification`](crate::ErrorKind::PrimaryKeyModification) if it has
    /// another id than the match; else as [`run`](Self::run), and
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded).
    pub fn replace_one(self, document: &T) -> Result<UpdateResult>
    where
        T: Serialize,
    {
        let document = document::encode(document)?;
        let request = self.query.limited_to_one().readable();
        self.view.write(request, |statement, query| {
            let upsert = query.upsert;
            let selection = query.selection(statement.collection)?;
            statement.replace_selected(&selection, &document, upsert).map(|touched| touched.result)
        })
    }

    /// Removes each selected document.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[doc(alias = "delete_many")]
    pub fn delete(self) -> Result<DeleteResult> {
        self.view.write(self.query.readable(), |statement, query| {
            statement.delete_selected(&query.selection(statement.collection)?)
        })
    }

    /// Removes the first selected document.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn delete_one(self) -> Result<DeleteResult> {
        Find { query: self.query.limited_to_one(), ..self }.delete()
    }

    /// Applies an update to the first selected document and gives that document as it was, or as
    /// [`return_document`](Self::return_document) says, through the projection.
    ///
    /// ```
    /// use any_store::{doc, CollectionOptions, Database, ReturnDocument};
    /// let db = Database::in_memory()?;
    /// let queue = db.create_collection("queue", CollectionOptions::new())?;
    /// queue.insert_many([doc! { "id": 1, "at": 5 }, doc! { "id": 2, "at": 3 }])?;
    /// let taken = queue
    ///     .find(doc! { "by": null })
    ///     .sort("at")
    ///     .return_document(ReturnDocument::After)
    ///     .find_one_and_update(doc! { "$set": { "by": "Ann" } })?;
    /// assert_eq!(taken, Some(doc! { "id": 2, "at": 3, "by": "Ann" }));
    /// # Ok::<(), any_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`update`](Self::update); the document is not of type `T`, which undoes the change.
    pub fn find_one_and_update(self, update: impl IntoUpdate) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        let request = self.query.limited_to_one().with_update(update);
        self.view.write(request, |statement, (query, update)| {
            let (upsert, returned) = (query.upsert, query.returned);
            let (selection, projection) = query.read(statement.collection)?;
            let touched = statement.update_first(&selection, &update, upsert)?;
            touched.image(returned, projection.as_ref())
        })
    }

    /// Puts a whole document in the place of the first selected one, and gives that one, or the new
    /// one if [`return_document`](Self::return_document) says so.
    ///
    /// # Errors
    /// As [`replace_one`](Self::replace_one) and
    /// [`find_one_and_update`](Self::find_one_and_update).
    pub fn find_one_and_replace(self, document: &T) -> Result<Option<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let document = document::encode(document)?;
        let request = self.query.limited_to_one().readable();
        self.view.write(request, |statement, query| {
            let (upsert, returned) = (query.upsert, query.returned);
            let (selection, projection) = query.read(statement.collection)?;
            let touched = statement.replace_selected(&selection, &document, upsert)?;
            touched.image(returned, projection.as_ref())
        })
    }

    /// Removes the first selected document and gives it, through the projection.
    ///
    /// # Errors
    /// As [`run`](Self::run); the document is not of type `T`, and so is not removed.
    pub fn find_one_and_delete(self) -> Result<Option<T>>
    where
        T: DeserializeOwned,
    {
        let request = self.query.limited_to_one().readable();
        self.view.write(request, |statement, query| {
            let (selection, projection) = query.read(statement.collection)?;
            let touched = statement.delete_first(&selection)?;
            touched.image(ReturnDocument::Before, projection.as_ref())
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

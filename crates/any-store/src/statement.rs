//! The write verbs on one collection, inside a write transaction that somebody else begins, commits
//! and rolls back.
//!
//! A verb that fails may have done a part of its work. Outside a transaction that work vanishes with
//! the statement's own transaction; inside one it is undone by the statement's savepoint. So nothing
//! here cleans up.

use std::borrow::Borrow;

use any_store_query::{
    Applied, ApplyContext, ApplyError, ApplyErrorKind, Filter, Projection, Update,
};
use any_store_storage as storage;
use anyenc::{DateTime, ObjectId, RawDocument, RawDocumentBuf, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::CollectionMeta;
use crate::compress::{self, Packer};
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{self, Resources, Targets};
use crate::find::ReturnDocument;
use crate::index::Maintainer;
use crate::selection::{Need, Selection};
use crate::source::Source;

/// What an update, a replacement or an upsert did.
#[derive(Clone, Debug, Default, PartialEq)]
#[doc(alias = "ModifyResult")]
#[non_exhaustive]
pub struct UpdateResult {
    /// Documents that were selected.
    pub matched: u64,
    /// Documents whose bytes changed.
    pub modified: u64,
    /// The id of the document that was inserted because none was there.
    pub upserted: Option<Value>,
}

/// What a delete did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// Documents that were selected and are gone.
    pub deleted: u64,
}

/// One statement at work on one collection.
pub struct Statement<'a> {
    pub(crate) tx: &'a mut storage::WriteTx,
    pub(crate) collection: &'a CollectionMeta,
    pub(crate) packer: &'a mut Packer,
    pub(crate) maintainer: &'a mut Maintainer,
    pub(crate) resources: &'a Resources,
}

/// Whether bytes changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Stored,
}

impl Statement<'_> {
    /// Adds a document that has, or is given, a new id; returns the id.
    pub(crate) fn insert(&mut self, document: RawDocumentBuf) -> Result<Value> {
        let (document, id) = self.with_id(document)?;
        self.insert_with_id(&document, id)
    }

    fn insert_with_id(&mut self, document: &RawDocumentBuf, id: Value) -> Result<Value> {
        let key = document::id_key(&id)?;
        let stored = self.packer.pack(document.as_bytes(), self.collection.compression);
        if self.tx.insert(self.collection.tree, &key, stored)? {
            self.maintain(&key, None, Some(document.as_raw()))?;
            return Ok(id);
        }
        let name = &self.collection.name;
        let message = format!("a document of this id is in collection {name:?} already");
        Err(Error::new(ErrorKind::DocumentExists, message).of_document(id))
    }

    /// Adds documents one by one; the error says which one failed.
    pub(crate) fn insert_many<T: Serialize, D: Borrow<T>>(
        &mut self,
        documents: impl IntoIterator<Item = D>,
    ) -> Result<Vec<Value>> {
        let insert = |(item, document): (u64, D)| {
            document::encode(document.borrow())
                .and_then(|document| self.insert(document))
                .map_err(|error| error.at_item(item))
        };
        (0..).zip(documents).map(insert).collect()
    }

    /// Puts a whole document in the place of the one with its id.
    pub(crate) fn replace(&mut self, document: &RawDocumentBuf) -> Result<UpdateResult> {
        let id = self.id_of(document.as_raw())?;
        let key = document::id_key(&id)?;
        match self.replace_at(&key, document.as_raw())? {
            Some(change) => Ok(one_matched(change)),
            None => Err(self.no_document(id)),
        }
    }

    /// Replaces the document with this id, or inserts the document if there is none.
    pub(crate) fn upsert(&mut self, document: RawDocumentBuf) -> Result<UpdateResult> {
        let has_id = document::id(document.as_raw(), &self.collection.primary_key)?.is_some();
        if has_id {
            let key = document::id_key(&self.id_of(document.as_raw())?)?;
            if let Some(change) = self.replace_at(&key, document.as_raw())? {
                return Ok(one_matched(change));
            }
        }
        let id = self.insert(document)?;
        Ok(UpdateResult { upserted: Some(id), ..UpdateResult::default() })
    }

    /// Applies an update to the document with this id.
    pub(crate) fn update_id(&mut self, id: Value, update: &Update) -> Result<UpdateResult> {
        let key = document::id_key(&id)?;
        match self.update_at(&key, update, self.context())? {
            Some(change) => Ok(one_matched(change)),
            None => Err(self.no_document(id)),
        }
    }

    /// Applies an update to the document with this id, or to a new one that holds the id alone.
    pub(crate) fn upsert_id(&mut self, id: Value, update: &Update) -> Result<UpdateResult> {
        document::check_id_type(id.value_type(), &self.collection.primary_key)?;
        let key = document::id_key(&id)?;
        if let Some(change) = self.update_at(&key, update, self.context())? {
            return Ok(one_matched(change));
        }
        let empty = RawDocumentBuf::default();
        let seed = document::with_id_first(empty.as_raw(), &self.collection.primary_key, &id)?;
        let document = match self.apply(update, seed.as_raw(), self.context().inserting())? {
            Applied::Unchanged => seed,
            Applied::Changed(document) => document,
        };
        self.insert(document)?;
        Ok(UpdateResult { upserted: Some(id), ..UpdateResult::default() })
    }

    /// Removes the document with this id.
    pub(crate) fn delete_id(&mut self, id: Value) -> Result<()> {
        let key = document::id_key(&id)?;
        if self.remove(&key)? { Ok(()) } else { Err(self.no_document(id)) }
    }

    /// Applies an update to every selected document; to a new one, if there is none and `upsert`.
    pub(crate) fn update_selected(
        &mut self,
        selection: &Selection,
        update: &Update,
        upsert: bool,
    ) -> Result<UpdateResult> {
        let mut targets = self.targets(selection)?;
        let context = self.context().matching(&selection.filter);
        let mut result = UpdateResult::default();
        while let Some(key) = targets.next()? {
            let change = self.update_at(key, update, context)?.ok_or_else(target_is_gone)?;
            result.matched += 1;
            result.modified += u64::from(change == Change::Stored);
        }
        if result.matched == 0 && upsert {
            return self.insert_for(&selection.filter, update).map(|touched| touched.result);
        }
        Ok(result)
    }

    /// As [`update_selected`](Self::update_selected) for the first one, with its images.
    pub(crate) fn update_first(
        &mut self,
        selection: &Selection,
        update: &Update,
        upsert: bool,
    ) -> Result<Touched> {
        let mut targets = self.targets(selection)?;
        let Some(key) = targets.next()? else {
            return if upsert {
                self.insert_for(&selection.filter, update)
            } else {
                Ok(Touched::default())
            };
        };
        let before = self.read(key)?.ok_or_else(target_is_gone)?;
        let context = self.context().matching(&selection.filter);
        let (change, after) = match self.apply(update, before.as_raw(), context)? {
            Applied::Unchanged => (Change::None, before.clone()),
            Applied::Changed(after) => (self.put(key, before.as_raw(), after.as_raw())?, after),
        };
        Ok(Touched { before: Some(before), after: Some(after), result: one_matched(change) })
    }

    /// Puts a document in the place of the first selected one, whose id it has or takes over; inserts
    /// it, if there is none and `upsert`.
    pub(crate) fn replace_selected(
        &mut self,
        selection: &Selection,
        document: &RawDocumentBuf,
        upsert: bool,
    ) -> Result<Touched> {
        let mut targets = self.targets(selection)?;
        let Some(key) = targets.next()? else {
            return if upsert {
                self.insert_replacement(&selection.filter, document)
            } else {
                Ok(Touched::default())
            };
        };
        let before = self.read(key)?.ok_or_else(target_is_gone)?;
        let id = self.id_of(before.as_raw())?;
        let after = self.with_this_id(document, &id)?;
        let change = self.replace_at(key, after.as_raw())?.ok_or_else(target_is_gone)?;
        Ok(Touched { before: Some(before), after: Some(after), result: one_matched(change) })
    }

    /// Removes the first selected document.
    pub(crate) fn delete_first(&mut self, selection: &Selection) -> Result<Touched> {
        let mut targets = self.targets(selection)?;
        let Some(key) = targets.next()? else { return Ok(Touched::default()) };
        let before = self.read(key)?.ok_or_else(target_is_gone)?;
        self.remove_known(key, before.as_raw())?;
        Ok(Touched { before: Some(before), after: None, result: one_matched(Change::Stored) })
    }

    /// Inserts what an update makes of the fields that a filter fixes.
    fn insert_for(&mut self, filter: &Filter, update: &Update) -> Result<Touched> {
        let seed = Update::upsert_seed(filter)?;
        let document = match self.apply(update, seed.as_raw(), self.context().inserting())? {
            Applied::Unchanged => seed,
            Applied::Changed(document) => document,
        };
        self.insert_touched(document)
    }

    /// Inserts a replacement that found nothing to replace; without an id it takes the filter's.
    fn insert_replacement(
        &mut self,
        filter: &Filter,
        document: &RawDocumentBuf,
    ) -> Result<Touched> {
        let seed = Update::upsert_seed(filter)?;
        let document = match document::id(seed.as_raw(), &self.collection.primary_key)? {
            Some(id) => self.with_this_id(document, &id.to_value()?)?,
            None => document.clone(),
        };
        self.insert_touched(document)
    }

    fn insert_touched(&mut self, document: RawDocumentBuf) -> Result<Touched> {
        let (document, id) = self.with_id(document)?;
        let id = self.insert_with_id(&document, id)?;
        let result = UpdateResult { upserted: Some(id), ..UpdateResult::default() };
        Ok(Touched { before: None, after: Some(document), result })
    }

    /// A replacement with the id of what it replaces, in front if it had none.
    fn with_this_id(&self, document: &RawDocumentBuf, id: &Value) -> Result<RawDocumentBuf> {
        let primary_key = &self.collection.primary_key;
        match document::id(document.as_raw(), primary_key)? {
            Some(own) if document::raw_id_key(own)? == document::id_key(id)? => {
                Ok(document.clone())
            }
            Some(_) => Err(self.id_would_change()),
            None => document::with_id_first(document.as_raw(), primary_key, id),
        }
    }

    /// Removes every selected document.
    pub(crate) fn delete_selected(&mut self, selection: &Selection) -> Result<DeleteResult> {
        let mut targets = self.targets(selection)?;
        let mut result = DeleteResult::default();
        while let Some(key) = targets.next()? {
            if !self.remove(key)? {
                return Err(target_is_gone());
            }
            result.deleted += 1;
        }
        Ok(result)
    }

    /// The ids of a selection, all chosen before anything changes.
    fn targets(&self, selection: &Selection) -> Result<Targets> {
        let source = Source::uncommitted(self.tx);
        let rows = exec::select(&source, self.collection, selection, Need::Ids, self.resources)?;
        Targets::collect(rows, self.resources)
    }

    /// The document with the id it has, or with a new one where the collection makes ids.
    fn with_id(&self, document: RawDocumentBuf) -> Result<(RawDocumentBuf, Value)> {
        let primary_key = &self.collection.primary_key;
        if let Some(id) = document::id(document.as_raw(), primary_key)? {
            let id = id.to_value()?;
            return Ok((document, id));
        }
        if !self.collection.auto_id {
            return Err(document::missing_id(primary_key));
        }
        let id = Value::ObjectId(ObjectId::new());
        Ok((document::with_id_first(document.as_raw(), primary_key, &id)?, id))
    }

    fn id_of(&self, document: RawDocument<'_>) -> Result<Value> {
        let primary_key = &self.collection.primary_key;
        let id = document::id(document, primary_key)?;
        Ok(id.ok_or_else(|| document::missing_id(primary_key))?.to_value()?)
    }

    /// The document under a key.
    fn read(&self, key: &[u8]) -> Result<Option<RawDocumentBuf>> {
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(None) };
        let mut buffer = Vec::new();
        let document = compress::unpacked(&stored, &mut buffer)?;
        Ok(Some(RawDocument::from_bytes(document)?.to_owned()))
    }

    /// Stores other bytes under a key that has a document; `None` if it has none.
    fn replace_at(&mut self, key: &[u8], document: RawDocument<'_>) -> Result<Option<Change>> {
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(None) };
        let mut buffer = Vec::new();
        let old = RawDocument::from_bytes(compress::unpacked(&stored, &mut buffer)?)?;
        if old == document {
            return Ok(Some(Change::None));
        }
        self.put(key, old, document).map(Some)
    }

    /// Applies an update to the document under a key; `None` if it has none.
    fn update_at(
        &mut self,
        key: &[u8],
        update: &Update,
        context: ApplyContext<'_>,
    ) -> Result<Option<Change>> {
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(None) };
        let mut buffer = Vec::new();
        let old = RawDocument::from_bytes(compress::unpacked(&stored, &mut buffer)?)?;
        match self.apply(update, old, context)? {
            Applied::Unchanged => Ok(Some(Change::None)),
            Applied::Changed(new) => self.put(key, old, new.as_raw()).map(Some),
        }
    }

    /// The document after an update, which has kept the id it had.
    fn apply(
        &self,
        update: &Update,
        document: RawDocument<'_>,
        context: ApplyContext<'_>,
    ) -> Result<Applied> {
        let primary_key = &self.collection.primary_key;
        let named = |error: Error| document::name_document(error, document, primary_key);
        let applied = update.apply(document, context).map_err(|error| {
            named(if self.is_about_id(&error) { self.id_would_change() } else { error.into() })
        })?;
        if let Applied::Changed(new) = &applied {
            let keeps_id = match (document.get(primary_key)?, new.as_raw().get(primary_key)?) {
                (Some(old), Some(new)) => old.compare(&new)?.is_eq(),
                (Some(_), None) => false,
                (None, _) => true,
            };
            if !keeps_id {
                return Err(named(self.id_would_change()));
            }
        }
        Ok(applied)
    }

    /// For one statement: all of its documents get the same `$currentDate`.
    fn context<'f>(&self) -> ApplyContext<'f> {
        ApplyContext::update().at(DateTime::from_ms(self.resources.vfs.wall_clock_ms()))
    }

    /// Was an update refused for what it would do to the id or inside it?
    fn is_about_id(&self, error: &ApplyError) -> bool {
        let inside = error.path.strip_prefix(self.collection.primary_key.as_str());
        let is_inside = inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        is_inside && matches!(error.kind, ApplyErrorKind::Apply | ApplyErrorKind::Overflow)
    }

    /// Stores a document in the place of another one.
    fn put(&mut self, key: &[u8], old: RawDocument<'_>, new: RawDocument<'_>) -> Result<Change> {
        let stored = self.packer.pack(new.as_bytes(), self.collection.compression);
        self.tx.put(self.collection.tree, key, stored)?;
        self.maintain(key, Some(old), Some(new))?;
        Ok(Change::Stored)
    }

    /// Removes the document under a key; false if it has none.
    fn remove(&mut self, key: &[u8]) -> Result<bool> {
        if self.collection.indexes.is_empty() {
            return Ok(self.tx.remove(self.collection.tree, key)?);
        }
        let Some(stored) = self.tx.get(self.collection.tree, key)? else { return Ok(false) };
        let mut buffer = Vec::new();
        let old = RawDocument::from_bytes(compress::unpacked(&stored, &mut buffer)?)?;
        self.remove_known(key, old)?;
        Ok(true)
    }

    /// Removes the document under a key, which is this one.
    fn remove_known(&mut self, key: &[u8], old: RawDocument<'_>) -> Result<()> {
        if !self.tx.remove(self.collection.tree, key)? {
            return Err(target_is_gone());
        }
        self.maintain(key, Some(old), None)
    }

    /// Every change of a document comes by here, so that the indexes follow it.
    fn maintain(
        &mut self,
        key: &[u8],
        old: Option<RawDocument<'_>>,
        new: Option<RawDocument<'_>>,
    ) -> Result<()> {
        if self.collection.indexes.is_empty() {
            return Ok(());
        }
        self.maintainer.change(self.tx, self.collection, key, old, new)
    }

    fn no_document(&self, id: Value) -> Error {
        let name = &self.collection.name;
        Error::new(ErrorKind::NotFound, format!("no document of this id is in collection {name:?}"))
            .of_document(id)
    }

    fn id_would_change(&self) -> Error {
        let primary_key = &self.collection.primary_key;
        Error::new(
            ErrorKind::PrimaryKeyModification,
            format!("the primary key {primary_key:?} of a document never changes"),
        )
        .at_field(primary_key)
    }
}

/// What a statement did to one document, and the document before and after.
#[derive(Default)]
pub(crate) struct Touched {
    before: Option<RawDocumentBuf>,
    after: Option<RawDocumentBuf>,
    pub(crate) result: UpdateResult,
}

impl Touched {
    /// One of the images, as the caller's type.
    pub(crate) fn image<T: DeserializeOwned>(
        self,
        wanted: ReturnDocument,
        projection: Option<&Projection>,
    ) -> Result<Option<T>> {
        let image = match wanted {
            ReturnDocument::Before => self.before,
            ReturnDocument::After => self.after,
        };
        let Some(image) = image else { return Ok(None) };
        match projection {
            Some(projection) => document::decode(projection.project(image.as_raw())?.as_raw()),
            None => document::decode(image.as_raw()),
        }
        .map(Some)
    }
}

fn one_matched(change: Change) -> UpdateResult {
    let modified = u64::from(change == Change::Stored);
    UpdateResult { matched: 1, modified, upserted: None }
}

/// Only this statement writes, and it deletes no target twice.
fn target_is_gone() -> Error {
    Error::internal("a document that was chosen for a change is gone")
}
